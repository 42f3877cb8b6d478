"""`Worker`: a worker of a `Farm`, and what people may ask of it."""

from collections.abc import Iterable
from typing import Literal

from brender.api.known import Known
from brender.api.standing import JUST_JOINED, one_node, worker_standing
from brender.model.answers import WHY_WORKER
from brender.model.errors import BadInput

NodeVerb = Literal["drain", "disable", "enable", "restart", "sleep", "wake", "forget"]


class Worker(Known):
    """A worker of a `Farm`, as it was when it was looked at last. ``record`` has all that is known of it."""

    def __repr__(self) -> str:
        return f"<Worker {self.name!r}, {self.status}>"

    def refresh(self) -> "Worker":
        """Look at it again; returns it. Raises `NotFound` where the farm has forgotten it."""
        self.record = one_node(self._connection, "worker", self.id)
        return self

    def drain(self) -> "Worker":
        """Let it finish what it renders, and leave."""
        return self._tell("drain")

    def restart(self) -> "Worker":
        """Let it finish what it renders, and start again."""
        return self._tell("restart")

    def disable(self) -> "Worker":
        """Give it nothing new; what it renders is finished."""
        return self._tell("disable")

    def enable(self) -> "Worker":
        """Give it work again."""
        return self._tell("enable")

    def sleep(self) -> "Worker":
        """Put its machine to sleep, after what it renders. Work that waits wakes it, unless it is disabled. Raises `BadInput`
        where the farm has no command for that, `Conflict` where it cannot sleep now."""
        return self._tell("sleep")

    def wake(self) -> "Worker":
        """Wake its machine, which sleeps or is switched off. Raises `BadInput` where the farm has no command for that, `Conflict`
        where it is awake."""
        return self._tell("wake")

    def forget(self) -> None:
        """Take it off the lists, since it is gone for good; one that starts again is listed again. Raises `Conflict` where it is
        there."""
        self._connection.act("forget", self.id)

    def describe(
        self,
        *,
        tags: Iterable[str] | None = None,
        add_tags: Iterable[str] = (),
        note: str | None = None,
        sleeps: str | None = None,
        give_back: float | None = None,
    ) -> "Worker":
        """Set what people say of it; what is not given stays. *tags*: those that it has besides its own, or *add_tags* besides
        those that it has by now; *sleeps*: the hours in which it takes nothing new, such as ``mon-fri 09:00-18:00``, "" for none;
        *give_back*: hours for which its machine's owner has it, 0 ends that. Raises `BadInput`."""
        if more := tuple(add_tags):
            if tags is not None:
                raise BadInput("Give tags, which replaces the earlier tags, or add_tags, not both")
            tags = {*self.refresh().record["extra_tags"], *more}
        said = {
            "tags": None if tags is None else ",".join(sorted(tags)),
            "note": note,
            "schedule": sleeps,
            "give-back": None if give_back is None else f"{give_back:g}",
        }
        for action, value in said.items():
            if value is not None:
                self._connection.act(action, self.id, value)
        return self.refresh()

    def why(self) -> str:
        """Return in a sentence how it stands, or why it renders nothing."""
        told = worker_standing(self.refresh().record) or self._connection.ask(WHY_WORKER, id=self.id)
        return str(told or JUST_JOINED.format(name=self.name))

    def _tell(self, verb: NodeVerb) -> "Worker":
        self._connection.act(verb, self.id)
        return self.refresh()
