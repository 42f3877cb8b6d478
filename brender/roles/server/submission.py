"""Submitted jobs whose files travel, from their submission until their files and folder have been looked at.

That may take a while, and for ever where the folder does not answer: the control loop does not wait for it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from brender.bus.messages import Submit
from brender.bus.transport import Received
from brender.model.job import JobSpec
from brender.model.paths import PathVariable
from brender.roles.effects import Peer
from brender.roles.server.files import FileKeeper
from brender.roles.server.folder_threads import PATIENCE_SECONDS


@dataclass(frozen=True)
class Submitted:
    """A job that was submitted in a message that was ``received``, and waits ``until`` a time on the monotonic clock."""

    peer: Peer
    submit: Submit
    received: Received
    until: float


class Submissions:
    """Has submitted jobs looked at. *post* does something soon in the control loop; *decide* is called there with each job, and
    the job as it is to be accepted, or why it cannot be."""

    def __init__(
        self,
        keeper: FileKeeper,
        post: Callable[[Callable[[], None]], None],
        decide: Callable[[Submitted, JobSpec | Exception], None],
    ) -> None:
        self._keeper = keeper
        self._post = post
        self._decide = decide
        self._waiting: dict[str, Submitted] = {}

    def look(
        self, peer: Peer, submit: Submit, received: Received, variables: Iterable[PathVariable], site: str, mono: float
    ) -> None:
        """Have the job of *submit* looked at. Its client may ask again meanwhile: the last one who asked is answered, and the job
        is theirs who submitted it first."""
        id = submit.job.id
        if (known := self._waiting.get(id)) is not None:
            peer = replace(peer, user=known.peer.user or known.submit.job.user)
        self._waiting[id] = Submitted(peer, submit, received, known.until if known else mono + PATIENCE_SECONDS)
        if known is None:
            self._keeper.prepare(submit.job, variables, site, lambda found: self._post(lambda: self._found(id, found)))

    def submitter(self, job: str) -> str | None:
        """Return the user who submitted *job*, ``None`` where it is not looked at."""
        known = self._waiting.get(job)
        return None if known is None else known.peer.user or known.submit.job.user

    def overdue(self, mono: float) -> list[tuple[Submitted, str]]:
        """Return, and forget, the jobs whose folders have not answered in time; each with a sentence for its submitter."""
        late = [each for each in self._waiting.values() if mono > each.until]
        for each in late:
            del self._waiting[each.submit.job.id]
        return [(each, self._silent(each.submit.job.output)) for each in late]

    def _found(self, id: str, found: JobSpec | Exception) -> None:
        if (submitted := self._waiting.pop(id, None)) is not None:
            self._decide(submitted, found)

    @staticmethod
    def _silent(folder: str) -> str:
        return (
            f"The folder {folder} does not answer on the server's machine: submit the job again when it does, or give another "
            "with --output"
        )
