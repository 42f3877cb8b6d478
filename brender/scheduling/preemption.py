"""Which running tasks give way to a job that does not wait: those that have least to lose. Pure."""

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from brender.model.giving_way import MOST_TIMES
from brender.model.obstacle import short_name
from brender.model.text import short_id, some_of
from brender.scheduling.classes import Job, Worker, WorkerClass, is_own
from brender.scheduling.reservations import has_room
from brender.scheduling.roster import Roster

#: Workers of a class whose last job is looked at.
_WORKERS_ASKED = 20


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


def said_of_pools(roster: Roster, job: Job) -> str:
    """Return that workers which could run the rush job *job* take work of their own pools before, and the command that helps, as
    a sentence; "" if no pool has such work."""
    need = job.kind.need
    pooled = [kind for kind in job.kind.able if kind.open and kind.info.pool and not is_own(need, kind.info)]
    pools = sorted({kind.info.pool for kind in pooled if _has_own_work(roster, kind)})
    if not pools:
        return ""
    named = f"the pool {short_name(pools[0])} take its jobs" if len(pools) == 1 else f"{some_of(pools)} take jobs of their pools"
    more = f"`brender edit {short_id(job.demand.job)} --pool {shlex.quote(pools[0])}` lets it rush there"
    return f"Workers of {named} before a rush job of another pool or of none: {more}"


def _has_own_work(roster: Roster, kind: WorkerClass) -> bool:
    """Return whether workers of *kind* have a job of their own pool next, or in hand: of those in hand, some are looked at."""
    if next(roster.lines(kind, own=True), None) is not None:
        return True
    tails = (roster.jobs.get(worker.tail) for worker in islice(kind.workers.values(), _WORKERS_ASKED))
    return any(tail is not None and is_own(tail.kind.need, kind.info) for tail in tails)


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
