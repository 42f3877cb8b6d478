"""Which grants, not started yet, are asked back: for idle workers that found nothing, and for more urgent jobs. Pure.

Hot path, watched by benchmarks.scale.
"""

from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from heapq import merge

from brender.scheduling.classes import Job, JobClass, Rank, Worker, WorkerClass
from brender.scheduling.fitting import fits
from brender.scheduling.roster import Roster
from brender.scheduling.terms import Held, TakeBack

#: What it costs of a budget to read what a worker holds, beyond 1 for each grant.
_READ_COST = 8
#: A job is so much more urgent at the workers of its own pool: more than any other priority.
_OWN_POOL = 1000


@dataclass(slots=True)
class _Holding:
    """What one worker holds and has not begun, counted by the class of the job. ``lowest``: the lowest priority among that;
    ``None`` if something of it is being recalled already, and nothing more is to be for an urgent job."""

    order: int
    kind: WorkerClass
    waiting: list[JobClass] = field(default_factory=list)
    recalling: list[JobClass] = field(default_factory=list)
    lowest: int | None = None


@dataclass(slots=True)
class _Pass:
    """A look at each idle worker and each urgent job, which may take several calls.

    ``version`` is that of the roster when it began. ``relieved``: it is through with the workers; ``preempted``: with the jobs.
    """

    version: int
    relieved: bool = False
    preempted: bool = False
    after_worker: int = 0
    """The order of the last idle worker that was looked at."""
    expected: Counter[JobClass] = field(default_factory=Counter)
    """What is on its way back by class of job, as far as idle workers that were looked at wait for it."""
    at_rank: Rank | None = None
    """The urgent job that is looked at."""
    after_holder: tuple[int, int] | None = None
    """The last of the workers that were looked at for it, and what it asked back."""
    asked: int = 0


def _own_pool(job_class: JobClass, kind: WorkerClass) -> int:
    """Return how much more urgent jobs of *job_class* are at workers of *kind* than their priority says."""
    pool = job_class.needs.need.pool
    return _OWN_POOL if pool and pool == kind.info.pool else 0


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
        """(lowest urgency that waits, order) of the workers of a class, sorted."""
        self._recalling: Counter[JobClass] = Counter()
        self._held: dict[str, list[Held]] = {}
        """What was read in this call and has not been asked back in it."""
        self._left = 0
        self._pass: _Pass | None = None

    def take_back(self, budget: int) -> list[TakeBack]:
        """Return what is asked back now, once `assign` has served the idle workers. Nothing is done while nothing has changed."""
        roster = self.roster
        self.spent = 0
        if roster.version == self._seen or not roster.crowded:
            self._end_pass()
            return []
        idle = [kind for kind in roster.classes.of_workers.values() if kind.resting and any(each.live for each in kind.runs)]
        lowest_live, top = min(roster.live, default=None), max(roster.ready.tops, default=0)
        urgent = lowest_live is not None and (top > lowest_live or roster.ready.mask & roster.ready.pooled_mask > 0)
        if not idle and not urgent:
            self._seen = roster.version
            self._end_pass()
            return []
        if self._pass is None:
            self._pass = _Pass(roster.version)
        self._left, self._held = budget, {}
        self._refresh()
        found = self._go_on(self._pass, idle, urgent) if self._left > 0 else []
        self.spent = budget - self._left
        if self._pass.relieved and self._pass.preempted:
            self._seen = self._pass.version
            self._end_pass()
        else:
            self.behind = True
        return found

    def _end_pass(self) -> None:
        self._pass, self.behind = None, False

    def _go_on(self, going: _Pass, idle: list[WorkerClass], urgent: bool) -> list[TakeBack]:
        """Return what is asked back in what is left of the budget. Half of it is for the urgent jobs."""
        found: list[TakeBack] = []
        half = self._left // 2
        if not going.relieved:
            self._left -= half
            found += self._relieve(going, idle)
            self._left += half
        if not urgent:
            going.preempted = True
        if not going.preempted and self._left > 0:
            found += self._preempt(going)
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
                holding.recalling.append(job.kind)
            elif job.kind not in holding.waiting:
                holding.waiting.append(job.kind)
        if not grants:
            return
        self._holdings[worker.id] = holding
        for kind in holding.waiting:
            insort(self._holders.setdefault(kind, []), worker.order)
        self._recalling.update(holding.recalling)
        if not any(held.recalling for held in grants):
            holding.lowest = min(self._urgency(held, worker.kind) for held in grants)
            insort(self._lowest.setdefault(worker.kind, []), (holding.lowest, worker.order))

    def _urgency(self, held: Held, kind: WorkerClass) -> int:
        """Return how urgent it is that a worker of *kind* holds *held*: its priority; what is of its own pool, more than all
        else."""
        job = self.roster.jobs.get(held.job)
        return held.priority + (_own_pool(job.kind, kind) if job is not None else 0)

    def _forget(self, worker_id: str) -> None:
        holding = self._holdings.pop(worker_id, None)
        if holding is None:
            return
        for kind in holding.waiting:
            orders = self._holders[kind]
            del orders[bisect_left(orders, holding.order)]
            if not orders:
                del self._holders[kind]
        for kind in holding.recalling:
            self._recalling[kind] -= 1
            if not self._recalling[kind]:
                del self._recalling[kind]
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

    def _relieve(self, going: _Pass, idle: list[WorkerClass]) -> list[TakeBack]:
        """Return what idle workers ask back from busy ones: up to half of what waits at one, unless something that they could run
        is on its way back already."""
        able: dict[WorkerClass, list[JobClass]] = {}
        for kind in idle:
            useful = [each for each in {**self._holders, **self._recalling} if kind in each.able]
            if useful:
                able[kind] = useful
        orders = sorted(order for kind in able for queue in (kind.idle, kind.blocked) for order in queue)
        coming = Counter(self._recalling)
        coming.subtract(going.expected)
        found: list[TakeBack] = []
        for order in orders[bisect_right(orders, going.after_worker) :]:
            if self._left <= 0:
                return found
            self._left -= 1
            going.after_worker = order
            worker = self.roster.by_order[order]
            if worker.count:
                continue  # blocked, and not idle
            kinds = able[worker.kind]
            underway = next((kind for kind in kinds if coming[kind] > 0), None)
            if underway is not None:
                coming[underway] -= 1
                going.expected[underway] += 1
                continue
            found += self._relieve_one(going, worker, kinds)
        going.relieved = True
        return found

    def _relieve_one(self, going: _Pass, worker: Worker, kinds: list[JobClass]) -> list[TakeBack]:
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
                if job is not None and not held.recalling and job.kind in wanted and fits(job.demand, worker, self.roster.free):
                    candidates.append(held)
            self._left -= 1
            if candidates:
                asked = candidates[len(candidates) // 2 :]
                going.expected.update(self.roster.jobs[held.job].kind for held in asked)
                return self._ask(busy, asked)
        return []

    # --- for urgent jobs ------------------------------------------------------------------------------------------------------

    def _preempt(self, going: _Pass) -> list[TakeBack]:
        """Return what jobs with queued tasks ask back from less urgent ones: one grant of a worker at a time, the least urgent
        first."""
        found: list[TakeBack] = []
        for job in self._urgent(going.at_rank):
            if self._left <= 0:
                return found
            self._left -= 1
            mine = self._preempt_for(going, job)
            for back in mine:
                self._forget(back.worker)  # until it is read again
            found += mine
        going.preempted = self._left > 0
        return found

    def _preempt_for(self, going: _Pass, job: Job) -> list[TakeBack]:
        if job.rank != going.at_rank:
            going.at_rank, going.after_holder, going.asked = job.rank, None, 0
        found: list[TakeBack] = []
        left = self.roster.gates.left(job.demand)
        wanted = job.demand.queued if left is None else min(job.demand.queued, left)
        for holder in self._less_urgent(job, going.after_holder):
            if self._left <= 0 or going.asked >= wanted:
                break
            self._left -= 1
            going.after_holder = holder
            worker = self.roster.by_order[holder[1]]
            if fits(job.demand, worker, self.roster.free):
                holds = self._read(worker.id)
                mine = job.demand.priority + _own_pool(job.kind, worker.kind)
                lesser = [held for held in holds if self._urgency(held, worker.kind) < mine]
                if lesser and not any(held.recalling for held in holds):
                    found += self._ask(worker, lesser[-1:])
                    going.asked += 1
        return found

    def _urgent(self, start: Rank | None) -> Iterator[Job]:
        """Yield the ready jobs whose priority is higher than something that waits where they could run, the most urgent first.

        *start*: the rank to go on from, where a call did not come to its end.
        """
        queues = []
        # By how urgent the least urgent grants are: the bits of the classes of jobs that could run where these are. Grants that
        # are borrowed from a pool are less urgent than any job of that.
        lows = dict[int, int]()
        for each, entries in self._lowest.items():
            low = entries[0][0]
            lows[low] = lows.get(low, 0) | each.mask
            if each.own:
                lows[low - _OWN_POOL] = lows.get(low - _OWN_POOL, 0) | each.own
        seen = 0
        for least in sorted(lows):
            # (Those that were seen before find something that is less urgent still.)
            bits, seen = lows[least] & self._above(least) & ~seen, seen | lows[least]
            while bits:
                bit = bits & -bits
                bits ^= bit
                ready = self.roster.ready.by_bit[bit].ready
                begin = 0 if start is None else bisect_left(ready, start)
                queues.append(ready[begin : bisect_left(ready, (-least,))])
        for rank in merge(*queues):
            yield self.roster.jobs[rank[-1]]

    def _above(self, least: int) -> int:
        """Return the bits of the classes with a ready job whose priority is higher than *least*."""
        bits = 0
        for priority, classes in self.roster.ready.tops.items():
            if priority > least:
                bits |= classes
        return bits

    def _less_urgent(self, job: Job, start: tuple[int, int] | None) -> Iterator[tuple[int, int]]:
        """Yield (lowest priority, order) of the workers that hold something less urgent than *job*, the least urgent first.

        *start*: what was yielded last where a call did not come to its end.
        """
        queues = []
        for kind in job.kind.able:
            entries = self._lowest.get(kind)
            if entries:
                begin = 0 if start is None else bisect_right(entries, start)
                queues.append(entries[begin : bisect_left(entries, (job.demand.priority + _own_pool(job.kind, kind),))])
        yield from merge(*queues)
