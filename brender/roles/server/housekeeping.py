"""What the server does now and then beside its rounds: its history is pruned, its database tidied, and what nobody needs goes."""

import contextlib
import logging
from collections.abc import Callable, Mapping
from functools import partial

from peewee import OperationalError

from brender.engines.type_files import all_problems
from brender.roles.effects import Now
from brender.roles.policy import Policy
from brender.roles.server.blob_retention import delete_unneeded
from brender.roles.server.deletion import retired
from brender.roles.server.files import FileKeeper
from brender.roles.server.folder_threads import Alive
from brender.store.datafolder import DataFolder
from brender.store.last_seen import note_seen
from brender.store.pruning import Pruning
from brender.store.writer import Writer

log = logging.getLogger("brender.server")

_CHECKPOINT_SECONDS = 30.0
_PRUNE_SECONDS = 3600.0
_TYPES_SECONDS = 30.0


class Housekeeping:
    """The housekeeping of a server that keeps its record at *database*, through *writer*, and its files in *folder*.

    *retire* takes the ended jobs that their projects keep no longer (`retired`). *tell* takes a sentence about a job type that
    cannot be used, once. Both are called from any thread.
    """

    def __init__(
        self,
        writer: Writer,
        database: str,
        keeper: FileKeeper,
        folder: DataFolder,
        policy: Policy,
        retire: Callable[[Mapping[str, tuple[str, str]]], None],
        now: Now,
        tell: Callable[[str], None],
    ) -> None:
        self._tell = tell
        self._told: set[str] = set()
        self._types_seen = now.mono
        self.policy = policy
        self._writer = writer
        self._database = database
        self._keeper = keeper
        self._folder = folder
        self._retire = retire
        self._checkpointed = self._pruned = now.mono
        self._pruning: Pruning | None = None
        self._begin_pruning(now)
        self._note_seen(now)

    def step(self, now: Now) -> None:
        """Do what it is time for, as far as it takes no longer than a moment; the rest in threads."""
        self._prune()
        if now.mono - self._checkpointed > _CHECKPOINT_SECONDS:
            self._checkpointed = now.mono
            with contextlib.suppress(OperationalError):  # no room for it, or busy: there is a next time
                self._writer.checkpoint()
            self._note_seen(now)
        if now.mono - self._types_seen > _TYPES_SECONDS:
            self._types_seen = now.mono
            self._keeper.threads.do("job types", self._look_at_types)
        if now.mono - self._pruned > _PRUNE_SECONDS:
            self._pruned = now.mono
            self._begin_pruning(now)
            keeper, keep = self._keeper, self.policy.blobs_keep
            keeper.threads.do("blobs", partial(delete_unneeded, self._database, keeper.blobs, now.wall, keep))
            keeper.threads.do("incoming", partial(keeper.delete_leftovers, now.wall))
            keeper.threads.do("retention", lambda alive: self._look_for_retired(now))

    def _look_at_types(self, alive: Alive) -> None:
        """Tell of job types that others wrote and that cannot be used; in a thread of its own. Each problem is told of once, and
        again where it had gone."""
        broken = set(all_problems(self._folder.job_types))
        for problem in sorted(broken - self._told):
            self._tell(problem)
        self._told = broken

    def _look_for_retired(self, now: Now) -> None:
        """Look for jobs that are kept too long; in a thread of its own."""
        gone = retired(self._database, self._folder.frames_folder, now.wall)
        if gone:
            self._retire(gone)

    def _note_seen(self, now: Now) -> None:
        """Note how far the record is; in a thread of its own."""
        change = self._writer.change

        def note(alive: Alive) -> None:
            with contextlib.suppress(OSError):  # it is a help, no more
                note_seen(self._folder, self._database, change, now.wall)

        self._keeper.threads.do("seen", note)

    def _begin_pruning(self, now: Now) -> None:
        policy = self.policy
        self._pruning = Pruning(self._writer.tables, now.wall - policy.stats_keep, now.wall - policy.activity_keep)

    def _prune(self) -> None:
        """Remove a slice of the history that is old enough."""
        if self._pruning is None:
            return
        try:
            if not self._pruning.step():
                self._pruning = None
        except OperationalError as error:
            self._pruning = None
            log.warning("old statistics and activity could not be removed, and will be later: %s", error)
