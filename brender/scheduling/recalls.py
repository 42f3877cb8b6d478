"""Which grants, not started yet, are asked back: for idle workers that found nothing, and for more urgent jobs. Pure.

Hot path, watched by benchmarks.scale.
"""

from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from heapq import merge

from brender.scheduling.classes import Job, JobClass, Rank, Worker, WorkerClass
from brender.scheduling.roster import Roster
from brender.scheduling.terms import Held, TakeBack

#: What it costs of a budget to read what a worker holds, beyond 1 for each grant.
_READ_COST = 8


@dataclass(slots=True)
class _Holding:
    """What one worker holds and has not begun, counted by the class of the job. ``lowest``: the lowest priority among that;
    ``None`` if something of it is being recalled already, and nothing more is to be for an urgent job."""

    order: int
    kind: WorkerClass
    waiting: list[JobClass] = field(default_factory=list)
    recalling: Counter[JobClass] = field(default_factory=Counter)
    lowest: int | None = None


class Recalls:
    """Decides what is asked back. *waiting* returns the grants that the worker with this id holds beyond the one that it runs or
    is about to run."""

    def __init__(self, roster: Roster, waiting: Callable[[str], Sequence[Held]]) -> None:
        self.roster = roster
        self.waiting = waiting
        self.behind = False
        """The budget was used up before all was looked at; the next call goes on from there."""
        self.spent = 0
        """What the last call used of its budget."""
        self._seen = -1
        self._holdings: dict[str, _Holding] = {}
        self._holders: dict[JobClass, list[int]] = {}
        """The orders of the workers with a grant that could be recalled, by the class of its job, sorted."""
        self._lowest: dict[WorkerClass, list[tuple[int, int]]] = {}
        """(lowest priority that waits, order) of the workers of a class, sorted."""
        self._recalling: Counter[JobClass] = Counter()
        self._held: dict[str, list[Held]] = {}
        """What was read in this call and has not been asked back in it."""
        self._left = 0
        self._after_worker = 0
        self._after_rank: Rank | None = None

    def take_back(self, budget: int) -> list[TakeBack]:
        """Return what is asked back now, once `assign` has served the idle workers. Nothing is done while nothing has changed."""
        roster = self.roster
        self.spent = 0
        if roster.version == self._seen or not roster.crowded:
            return []
        live = [kind for kind in roster.job_classes.values() if kind.live]
        idle = [kind for kind in roster.worker_classes.values() if kind.resting and any(kind in each.able for each in live)]
        lowest_live = min(roster.live, default=None)
        urgent = lowest_live is not None and any(-kind.ready[0][0] > lowest_live for kind in roster.ready)
        if not idle and not urgent:
            self._seen = roster.version
            return []
        self._left, self._held = budget, {}
        self._refresh()
        found: list[TakeBack] = []
        half = self._left // 2
        self.behind = False
        if idle:
            self._left -= half
            found += self._relieve(idle)
            self.behind = self._left <= 0
            self._left += half
        if urgent:
            found += self._preempt()
        self.behind = self.behind or self._left <= 0
        self.spent = budget - self._left
        if not self.behind:
            self._seen = roster.version
        return found

    # --- what workers hold --------------------------------------------------------------------------------------------------

    def _refresh(self) -> None:
        """Read again what the workers hold that changed since the last time."""
        roster = self.roster
        if roster.grants_moved:
            roster.grants_moved = False
            roster.touched.update(roster.crowded)
            roster.touched.update(dict.fromkeys(self._holdings))
        while roster.touched and self._left > 0:
            worker_id, _ = roster.touched.popitem()
            self._left -= 1
            self._forget(worker_id)
            if worker_id in roster.crowded:
                self._note(roster.workers[worker_id])

    def _note(self, worker: Worker) -> None:
        holding = _Holding(worker.order, worker.kind)
        grants = self._read(worker.id)
        for held in grants:
            job = self.roster.jobs.get(held.job)
            if job is None:
                continue
            if held.recalling:
                holding.recalling[job.kind] += 1
            elif job.kind not in holding.waiting:
                holding.waiting.append(job.kind)
        if not grants:
            return
        self._holdings[worker.id] = holding
        for kind in holding.waiting:
            insort(self._holders.setdefault(kind, []), worker.order)
        if holding.recalling:
            self._recalling += holding.recalling
        if not any(held.recalling for held in grants):
            holding.lowest = min(held.priority for held in grants)
            insort(self._lowest.setdefault(worker.kind, []), (holding.lowest, worker.order))

    def _forget(self, worker_id: str) -> None:
        holding = self._holdings.pop(worker_id, None)
        if holding is None:
            return
        for kind in holding.waiting:
            orders = self._holders[kind]
            del orders[bisect_left(orders, holding.order)]
            if not orders:
                del self._holders[kind]
        if holding.recalling:
            self._recalling -= holding.recalling
        if holding.lowest is not None:
            entries = self._lowest[holding.kind]
            del entries[bisect_left(entries, (holding.lowest, holding.order))]
            if not entries:
                del self._lowest[holding.kind]

    def _read(self, worker_id: str) -> list[Held]:
        held = self._held.get(worker_id)
        if held is None:
            held = self._held[worker_id] = list(self.waiting(worker_id))
            self._left -= _READ_COST + len(held)
        return held

    def _ask(self, worker: Worker, asked: Sequence[Held]) -> list[TakeBack]:
        gone = {held.attempt for held in asked}
        self._held[worker.id] = [held for held in self._read(worker.id) if held.attempt not in gone]
        self.roster.touched[worker.id] = None
        return [TakeBack(worker.id, held.attempt) for held in asked]

    # --- for idle workers -----------------------------------------------------------------------------------------------------

    def _relieve(self, idle: list[WorkerClass]) -> list[TakeBack]:
        """Return what idle workers ask back from busy ones: up to half of what waits at one, unless something that they could run
        is on its way back already."""
        able: dict[WorkerClass, list[JobClass]] = {}
        for kind in idle:
            useful = [each for each in {**self._holders, **self._recalling} if kind in each.able]
            if useful:
                able[kind] = useful
        orders = sorted(order for kind in able for queue in (kind.idle, kind.blocked) for order in queue)
        start = bisect_right(orders, self._after_worker)
        self._after_worker = 0
        coming = Counter(self._recalling)
        found: list[TakeBack] = []
        for order in orders[start:] + orders[:start]:
            if self._left <= 0:
                break
            self._left -= 1
            worker = self.roster.by_order[order]
            if worker.count:
                continue  # blocked, and not idle
            kinds = able[worker.kind]
            underway = next((kind for kind in kinds if coming[kind] > 0), None)
            if underway is not None:
                coming[underway] -= 1
                continue
            found += self._relieve_one(worker, kinds)
            if self._left <= 0:
                self._after_worker = order
        return found

    def _relieve_one(self, worker: Worker, kinds: list[JobClass]) -> list[TakeBack]:
        wanted = set(kinds)
        previous = 0
        for order in merge(*(self._holders.get(kind, ()) for kind in kinds)):
            if order == previous:
                continue
            previous = order
            busy = self.roster.by_order[order]
            candidates = []
            for held in self._read(busy.id):
                job = self.roster.jobs.get(held.job)
                if job is not None and not held.recalling and job.kind in wanted and self.roster.fits(job.demand, worker):
                    candidates.append(held)
            self._left -= 1
            if candidates:
                return self._ask(busy, candidates[len(candidates) // 2 :])
        return []

    # --- for urgent jobs ------------------------------------------------------------------------------------------------------

    def _preempt(self) -> list[TakeBack]:
        """Return what jobs with queued tasks ask back from less urgent ones: one grant of a worker at a time, the least urgent
        first."""
        found: list[TakeBack] = []
        start, self._after_rank = self._after_rank, None
        done = start
        for job in self._urgent(start):
            if self._left <= 0:
                self._after_rank = done
                break
            self._left -= 1
            mine = self._preempt_for(job)
            for back in mine:
                self._forget(back.worker)  # until it is read again
            found += mine
            done = job.rank
        return found

    def _preempt_for(self, job: Job) -> list[TakeBack]:
        found: list[TakeBack] = []
        for order in self._less_urgent(job):
            if self._left <= 0 or len(found) >= job.demand.queued:
                break
            self._left -= 1
            worker = self.roster.by_order[order]
            if self.roster.fits(job.demand, worker):
                holds = self._read(worker.id)
                lesser = [held for held in holds if held.priority < job.demand.priority]
                if lesser and not any(held.recalling for held in holds):
                    found += self._ask(worker, lesser[-1:])
        return found

    def _urgent(self, start: Rank | None) -> Iterator[Job]:
        """Yield the ready jobs whose priority is higher than something that waits where they could run, the most urgent first.

        *start*: the rank of the last job of a call that did not come to its end.
        """
        queues = []
        lowest = min((entries[0][0] for entries in self._lowest.values()), default=101)
        for kind in self.roster.ready:
            if -kind.ready[0][0] <= lowest:
                continue
            able = [self._lowest[each][0][0] for each in kind.able if each in self._lowest]
            if able:
                begin = 0 if start is None else bisect_right(kind.ready, start)
                queues.append(kind.ready[begin : bisect_left(kind.ready, (-min(able),))])
        for rank in merge(*queues):
            yield self.roster.jobs[rank[3]]

    def _less_urgent(self, job: Job) -> Iterator[int]:
        """Yield the orders of the workers that hold something less urgent than *job*, the least urgent first."""
        queues = []
        for kind in job.kind.able:
            entries = self._lowest.get(kind)
            if entries:
                queues.append(entries[: bisect_left(entries, (job.demand.priority,))])
        for _, order in merge(*queues):
            yield order
