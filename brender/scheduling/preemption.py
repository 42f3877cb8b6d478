"""Which running tasks give way to a job that does not wait: those that have least to lose. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from brender.model.giving_way import MOST_TIMES
from brender.scheduling.classes import Job, Worker, WorkerClass, is_own
from brender.scheduling.reservations import has_room
from brender.scheduling.roster import Roster


@dataclass(frozen=True, slots=True)
class Candidate:
    """An attempt that runs for ``seconds`` at a worker, where a render could have so many bytes of memory (``free``) if it did
    not run; ``None``: not known. ``times``: how often its task gave way before."""

    attempt: str
    job: str
    worker: str
    seconds: float
    free: int | None = None
    times: int = 0


def give_way(roster: Roster, job: Job, running: Iterable[Candidate], wanted: int) -> list[Candidate]:
    """Return which of *running* give way to *job*, which has tasks for *wanted* more workers: those that have done least.

    To a rush job all gives way that is less urgent, and no rush itself; to a job that reclaims its pool's workers, there, what
    is of no job of the pool. At a worker that would take a job of its own pool next, nothing gives way to a job of no such pool,
    which would not get it.
    """
    pools = _Pools(roster, job)
    found = [each for each in running if _gives_way(roster, job, each, pools)]
    return sorted(found, key=lambda each: (each.seconds, each.attempt))[:wanted]


class _Pools:
    """At which workers jobs of their own pool come before *job*. Kept for each class of workers, as a look asks of thousands."""

    def __init__(self, roster: Roster, job: Job) -> None:
        self._roster = roster
        self._job = job
        self._wait: dict[WorkerClass, bool] = {}

    def come_first(self, worker: Worker, running: Job) -> bool:
        """Return whether *worker* would take a job of its own pool before, were *running* queued again."""
        kind = worker.kind
        if not worker.info.pool or is_own(self._job.kind.need, worker.info):
            return False
        if is_own(running.kind.need, worker.info):
            return True
        if kind not in self._wait:
            self._wait[kind] = next(self._roster.lines(kind, own=True), None) is not None
        return self._wait[kind]


def _gives_way(roster: Roster, job: Job, each: Candidate, pools: _Pools) -> bool:
    demand, worker, other = job.demand, roster.workers.get(each.worker), roster.jobs.get(each.job)
    if each.times >= MOST_TIMES or worker is None or other is None or not worker.open or not worker.kind.mask & job.kind.bit:
        return False
    if other.demand.rush or worker.id in demand.kept_off or demand.alone:
        return False
    if demand.memory and each.free is not None and each.free < demand.memory:
        return False
    if not has_room(demand, worker):
        return False  # others take it that run beside
    if demand.rush and other.demand.priority < demand.priority:
        return not pools.come_first(worker, other)
    borrowed = is_own(job.kind.need, worker.info) and not is_own(other.kind.need, worker.info)
    return demand.reclaims and borrowed
