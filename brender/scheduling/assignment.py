"""Decides which workers take which tasks next. Pure.

Priority first; among equals the project with the smallest share of the farm, then the user with the smallest share within it
(brender.scheduling.shares). Of one user's jobs there the one that the fewest workers render, as far as it is decided now what
each renders last, then the one with the fewest live attempts, then the oldest. (A task that waits behind frames of another job is
no share of the workers.) An idle worker comes before a prefetch anywhere. A worker of a pool takes the jobs of that pool first.
Of idle workers that are alike, the one takes a task that has its scene open, or its files (brender.scheduling.warmth).

Hot path, watched by benchmarks.scale and benchmarks.dispatch.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heapify, heappop, heapreplace

from brender.scheduling.classes import Job, JobClass, Line, Rank, Worker, WorkerClass
from brender.scheduling.fitting import fits
from brender.scheduling.reservations import follows
from brender.scheduling.roster import Roster
from brender.scheduling.terms import PREFETCH_MOST, Take

#: What a take costs of a budget, and one for a worker that was looked at for a take before; a look at a job costs 1.
TAKE_COST = 25
NEXT_TAKE_COST = 7
#: The looks that it costs to find the next line of jobs.
LINE_COST = 10


@dataclass(slots=True)
class Assignment:
    """The decisions. ``idle_served``: no idle worker is left that could take a task; ``complete``: nor any other worker."""

    takes: list[Take] = field(default_factory=list)
    idle_served: bool = False
    complete: bool = False


def assign(roster: Roster, budget: int) -> Assignment:
    """Decide which workers take what, as *roster* knows them, and note it there.

    Stops when *budget* is used up (in looks; a worker that has begun to look ends looking); the next call goes on from there.
    """
    return _Round(roster, budget).run()


class _Round:
    def __init__(self, roster: Roster, budget: int) -> None:
        self.roster = roster
        self.left = budget
        self.found = Assignment()

    def run(self) -> Assignment:
        self.left -= self.roster.catch_up(self.left)
        if self.roster.is_behind:
            return self.found
        if self.roster.queues.hungry:
            for worker in self._in_order(idle=True):
                if (best := self._best(worker)) is not None:
                    self._take(self._nearest(best, worker), best, TAKE_COST)
        self.found.idle_served = self.left > 0 or not self.roster.queues.hungry
        if self.found.idle_served and self.roster.queues.hungry:
            for worker in self._in_order(idle=False):
                self._prefetch(worker)
        self.found.complete = self.left > 0 or not self.roster.queues.hungry
        return self.found

    def _in_order(self, idle: bool) -> Iterator[Worker]:
        """Yield the first of all idle workers (or else of all others that may take more) again and again, until none is left in
        the queues or the budget is used up."""
        roster = self.roster
        heads = []
        for kind in list(roster.queues.hungry):
            queue = kind.idle if idle else kind.eager
            if self._is_hungry(kind) and queue:
                heads.append((queue[0], kind.number, kind))
        heapify(heads)
        while heads and self.left > 0:
            order, number, kind = heads[0]
            yield roster.by_order[order]
            queue = kind.idle if idle else kind.eager
            if kind in roster.queues.hungry and queue:
                heapreplace(heads, (queue[0], number, kind))
            else:
                heappop(heads)

    def _is_hungry(self, kind: WorkerClass) -> bool:
        """Return whether *kind* has workers that may take something, and there is something for them."""
        if not kind.mask & self.roster.ready.mask or not (kind.idle or kind.eager):
            self.roster.queues.sate(kind)
            return False
        return True

    def _best(self, worker: Worker) -> Job | None:
        """Return the job whose task *worker* should take next. If there is none, the worker or its class is put aside."""
        kind = worker.kind
        for own in (True, False) if kind.own else (False,):
            bit = kind.own_bit if own else kind.bit
            for line in self.roster.lines(kind, own):
                self.left -= LINE_COST
                best = self._best_of(line, worker, bit)
                if best is not None:
                    return self._own_nearly(line, worker, bit) or best
        if kind.mask & self.roster.ready.mask:
            self.roster.block(worker)
        else:
            self.roster.queues.sate(kind)
        return None

    def _best_of(self, line: Line, worker: Worker, bit: int) -> Job | None:
        """Return the job of *line* whose task *worker* should take next, of those that workers with *bit* can run; or
        ``None``."""
        best: Job | None = None
        best_rank: Rank | None = None
        for kind in self._in_both(line, worker.kind, bit):
            for rank in line.ready[kind]:
                self.left -= 1
                if best_rank is not None and rank > best_rank:
                    break
                job = kind.jobs[rank[-1]]
                if fits(job.demand, worker, self.roster.free):
                    best, best_rank = job, rank
                    break
        if best_rank is not None and worker.tail and (own := self._own(worker, line, bit)) is not None:
            priority, tails, *rest = own.rank or (0, 0, 0, 0, "")
            # What is taken now comes after its own last one.
            if priority == best_rank[0] and (priority, tails - 1, *rest) < best_rank:
                best = own
        return best

    @staticmethod
    def _in_both(line: Line, kind: WorkerClass, bit: int) -> list[JobClass]:
        """Return the classes of the jobs of *line* that workers of *kind* can run, by their *bit*, and that no licence keeps
        waiting."""
        ready = line.ready
        if len(ready) < len(kind.runs):
            return [each for each in ready if each.reach & bit and not each.shut]
        return [each for each in kind.runs if each in ready and each.reach & bit and not each.shut]

    def _own_nearly(self, line: Line, worker: Worker, bit: int) -> Job | None:
        """Return the job of the last grant of *worker*, which its Blender will have open, if it stands not in *line* but its
        share is nearly as small; else ``None``."""
        own = self.roster.jobs.get(worker.tail) if worker.tail else None
        if own is None or own.rank is None or not self.roster.shares.is_near(own, line) or self.roster.is_shut(own.demand):
            return None
        if not own.kind.reach & bit or not fits(own.demand, worker, self.roster.free):
            return None
        return own

    def _own(self, worker: Worker, line: Line, bit: int) -> Job | None:
        """Return the job of the last grant of *worker*, if it is ready, its user and project are those of *line*, and the worker
        could take more of it."""
        job = self.roster.jobs.get(worker.tail)
        if job is None or job.rank is None or job.line is not line or self.roster.is_shut(job.demand):
            return None
        if not job.kind.reach & bit or not fits(job.demand, worker, self.roster.free):
            return None
        return job

    def _nearest(self, job: Job, worker: Worker) -> Worker:
        """Return who takes the task of *job* that *worker* would take: an idle one like it that has its scene open, if there is
        one."""
        roster, demand = self.roster, job.demand
        return roster.warmth.nearest(demand, worker, lambda each: fits(demand, each, roster.free))

    def _prefetch(self, worker: Worker) -> None:
        width, cost = len(self.roster.workers), TAKE_COST
        while worker.count <= PREFETCH_MOST and self.left > 0:
            if worker.count > 1 and not worker.kind.mask & self.roster.ready.tiny_mask:
                worker.stand_in(None)  # of no job would it take more: which is the next need not be found out
                return
            best = self._best(worker)
            if best is None:
                return
            behind_others = best.demand.rush and worker.tail != best.demand.job  # it would wait there for what gives way
            behind_others = behind_others or not follows(best.demand, worker)
            if worker.count > best.demand.prefetch_depth(width) or behind_others:
                worker.stand_in(None)
                return
            self._take(worker, best, cost)
            cost = NEXT_TAKE_COST

    def _take(self, worker: Worker, job: Job, cost: int) -> None:
        self.left -= cost
        self.found.takes.append(self.roster.take(worker, job))
