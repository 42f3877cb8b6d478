"""Where the server keeps its farm: what a round writes into the database, and reads from it.

While the database cannot be written (a full disk, a lock, a lost connection), ``trouble`` says why, and nothing that depends on
what was not written may leave the server: an asker without an answer asks again.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from peewee import DataError, IntegrityError, InterfaceError, OperationalError, PeeweeException

from brender.bus.messages import PartDone
from brender.farm.farm import Farm
from brender.farm.jobs import JobState
from brender.farm.record import Ledger, Row
from brender.farm.tasks import TaskState
from brender.farm.waiting import follow
from brender.model.addon import AddOn
from brender.model.beginning import After
from brender.model.errors import BadInput, BrenderError
from brender.model.nodes import WorkerInfo
from brender.model.ranges import Ranges
from brender.model.status import ENDED_JOB
from brender.model.text import job_in_words
from brender.roles.effects import Now
from brender.roles.server import recorded_jobs, recorded_tasks
from brender.roles.server.jobs import Selection
from brender.roles.server.receipts import receipt_of_row
from brender.roles.server.restore import restore
from brender.roles.server.set_aside import REFUSED_FOR_EVER
from brender.store.named import Record, job_id, node_id
from brender.store.recorded import worker_info
from brender.store.writer import Writer

log = logging.getLogger("brender.server")

_TRY_AGAIN_SECONDS = 1.0


class DatabaseLost(BrenderError):
    """What was accepted can never be recorded."""


class Unrecordable(Exception):
    """The database does not take these rows, whatever its state: something in them is wrong."""


class FarmStore:
    """The farm in the database of *writer*, called *name*; *record* answers questions about it.

    *tell* is called with why nothing can be written, and with "" when it can be again. *waiting* returns the finished frames of a
    job that are not in its folder yet. *slice_size*: tasks that are brought into memory at once.
    """

    def __init__(
        self,
        writer: Writer,
        record: Record,
        name: str = "",
        tell: Callable[[str], None] = lambda text: None,
        waiting: Callable[[str], set[tuple[str, int]]] = lambda job: set(),
        slice_size: int = 1000,
        sweep_size: int = recorded_tasks.SLICE_PARTS,
    ) -> None:
        self.writer = writer
        self.record = record
        self.trouble = ""
        self.looked_at: Callable[[str], str | None] = lambda job: None
        """Tells who submitted a job whose files are looked at, so that it is not in the record yet."""
        self._pending: list[Row] = []
        self._committed: list[Row] = []
        """Rows that are written, and were not returned yet."""
        self._name = name
        self._tell = tell
        self._waiting = waiting
        self._slice, self._sweep = slice_size, sweep_size
        self._tried = 0.0

    # --- writing ------------------------------------------------------------------------------------------------------

    def commit(self, ledger: Ledger, mono: float) -> list[Row]:
        """Write what *ledger* says is no longer true, in one transaction; return it, or nothing while it cannot be written
        (``trouble`` then says why).

        After such a time what could not be written then comes first, in a transaction of its own. *mono*: now. Raises
        `Unrecordable`, with nothing written; `DatabaseLost` where trying again would not help.
        """
        if self.trouble and mono - self._tried < _TRY_AGAIN_SECONDS:
            return []
        self._tried = mono
        while self._pending or ledger.is_behind:
            self._pending = self._pending or ledger.take()
            if self._pending and not self._write():
                return []
            self._committed += self._pending
            self._pending = []
        committed, self._committed = self._committed, []
        return committed

    def _write(self) -> bool:
        """Write what is pending; return whether it could be."""
        try:
            self.writer.commit(self._pending)
        except (OperationalError, InterfaceError) as error:
            # A full disk, a lock that another program holds, a lost connection: what passes.
            self._pause(_cause(error))
            return False
        except (IntegrityError, DataError, ValueError) as error:
            self._pending = []
            raise Unrecordable(_cause(error)) from error
        except PeeweeException as error:
            raise DatabaseLost(
                f"The database {self._name} cannot be written ({error}). The server stops; nothing that was acknowledged is "
                "lost. Mend it, or put a backup in its place, and start the server again"
            ) from error
        if self.trouble:
            log.warning("the database can be written again; nothing was lost")
            self.trouble = ""
            self._tell("")
        return True

    def finish_pending(self, mono: float) -> bool:
        """Write what an earlier commit could not; return whether nothing of that is left."""
        self.commit(Ledger(), mono)
        return not self._pending

    def _pause(self, why: str) -> None:
        said = f"The server cannot write its database ({why}). Nothing new is accepted or handed out until it can"
        if said != self.trouble:
            log.error("%s: %s. Running renders go on", self._name, said)
            self.trouble = said
            self._tell(said)

    # --- reading ------------------------------------------------------------------------------------------------------

    def restore(self, now: Now) -> Farm:
        """Return the farm as the record has it."""
        try:
            farm = restore(self.writer, now)
        except (OperationalError, InterfaceError):
            self.writer.reconnect()
            farm = restore(self.writer, now)
        for job in farm.jobs.values():
            job.placing = self._waiting(job.id)
        for job in farm.jobs.values():
            if job.status not in ENDED_JOB:
                self.bring_awaited(farm, job.spec.after)
                follow(farm, job)
        return farm

    def adopt(self, farm: Farm, job: str) -> JobState:
        """Bring the ended *job* into the memory of *farm*."""
        adopted = recorded_jobs.adopt(farm, self.writer.tables, self.writer.tables.Job.get_by_id(job))
        adopted.placing = self._waiting(job)
        return adopted

    def bring_awaited(self, farm: Farm, after: Iterable[After]) -> None:
        """Bring what has to be known of the jobs that a job is to wait *after* into the memory of *farm*."""
        recorded_jobs.bring_awaited(farm, self.writer.tables, after, self._waiting)

    def named_after(self, job: str, after: Iterable[After]) -> tuple[After, ...]:
        """Return *after*, the names of jobs that *job* is to wait for, with their ids. Raises `NotFound` or `BadInput`, such
        as where they wait for *job* themselves."""
        known = tuple(After(self.job_id(each.job), each.by_frame) for each in after)
        waits = recorded_jobs.waits_of(self.writer.tables, [each.job for each in known])
        way = next((each.job for each in known if each.job != job and _leads_to(waits, each.job, job)), None)
        if way is not None:
            other = self.writer.tables.Job.get_by_id(way)
            raise BadInput(
                f"{job_in_words(way, other.name)} waits for this job itself: were this to wait for it, neither would ever begin"
            )
        return known

    def queued_tasks(self, job: str, after: int) -> list[TaskState]:
        """Return the next tasks of *job* after number *after* that are queued or wait for others."""
        return recorded_tasks.queued_tasks(self.writer.tables, job, after, self._slice)

    def slice_of_tasks(self, job: str, after: int) -> tuple[list[TaskState], bool]:
        """Return the next tasks of *job* after number *after*, with all their parts, and whether these are the last."""
        return recorded_tasks.slice_of_tasks(self.writer.tables, job, after, self._sweep)

    def strays(self, farm: Farm, reports: Sequence[PartDone], since: float) -> dict[str, TaskState]:
        """Return those attempts of *reports* that the record does not know, each with the task of *farm* that it worked on; none
        of jobs that were submitted after *since*."""
        return recorded_tasks.strays(farm, self.writer.tables, reports, since)

    def select_for_requeue(self, job: str, value: object) -> Selection:
        return recorded_tasks.select_for_requeue(self.writer.tables, job, value)

    def count_rendered(self, job: str, frames: Ranges) -> int:
        """Return of how many of *frames* of *job* something is rendered."""
        return recorded_tasks.count_rendered(self.writer.tables, job, frames)

    def job_id(self, named: str) -> str:
        """Return the id of the job *named* so. Raises `NotFound` or `BadInput`."""
        return job_id(self.record, named)

    def job_owner(self, job: str) -> str:
        """Return the user of the job with this id."""
        return str(self.writer.tables.Job.select(self.writer.tables.Job.user).where(self.writer.tables.Job.id == job).scalar())

    def submitter(self, job: str) -> str | None:
        """Return the user who submitted the job with this id, also while its files are still being checked; ``None`` if nobody
        did."""
        submitter = self.looked_at(job)
        return self.job_owner(job) if submitter is None and self.has_job(job) else submitter

    def preset_owner(self, name: str) -> str | None:
        """Return the user who keeps the preset *name*, or ``None`` if nobody does."""
        row = self.writer.tables.Preset.get_or_none(name=name)
        return None if row is None else str(row.user)

    def node(self, named: str) -> tuple[str, str, str]:
        """Return kind, id and name of the worker or manager *named* so. Raises `NotFound` or `BadInput`."""
        return node_id(self.record, named)

    def worker(self, id: str) -> WorkerInfo:
        """Return how the worker *id* introduced itself last. It may be long gone."""
        return worker_info(self.writer.tables.Worker.get_by_id(id))

    def why_not(self, job: str) -> str:
        """Return why nothing can be done to *job* by what only the record knows, or "" if something can."""
        table = self.writer.tables.Job
        row = table.select(table.name, table.deleting).where(table.id == job).first()
        return f"The job {job_in_words(job, row.name)} is being deleted" if row is not None and row.deleting else ""

    def has_job(self, job: str) -> bool:
        return self.writer.has("job", job)

    def files_of(self, job: str) -> tuple[str, tuple[AddOn, ...]]:
        """Return what *job* needs of the files that clients have sent: the bundle, "" for none, and its add-ons. Nothing where
        there is no such job."""
        table = self.writer.tables.Job
        row = table.select(table.bundle, table.addons).where(table.id == job).first()
        return (row.bundle, msgspec.convert(row.addons, tuple[AddOn, ...])) if row is not None else ("", ())

    def receipt(self, job: str) -> dict[str, Any] | None:
        """Return what the submitter of *job* was told, ``None`` where there is no such job."""
        return receipt_of_row(self.writer.tables.Job.get_by_id(job)) if self.writer.has("job", job) else None

    def set_aside_digests(self) -> set[str]:
        """Return what the messages are known by that the server failed at, and does not try again."""
        table, types = self.writer.tables.SetAside, [each.__name__ for each in REFUSED_FOR_EVER]
        return {digest for (digest,) in table.select(table.digest).where(table.type.in_(types)).tuples()}


def _leads_to(waits: Mapping[str, Sequence[str]], start: str, end: str) -> bool:
    """Return whether *start* waits for *end*, or for something that does, as *waits* say of each."""
    seen, left = {start}, [start]
    while left:
        for other in waits.get(left.pop(), ()):
            if other == end:
                return True
            if other not in seen:
                seen.add(other)
                left.append(other)
    return False


def _cause(error: BaseException) -> str:
    """Return what was wrong first: undoing a transaction that a full disk has undone already fails too."""
    while error.__context__ is not None:
        error = error.__context__
    return " ".join(str(error).split())
