"""When open jobs will be done: the queue, simulated as the scheduler will serve it. Pure.

Workers take tasks by priority, then from the job at which the fewest are at work, then from the oldest; several tasks of a job at
once where there are many, ever fewer towards its end, so that a farm's night is a few thousand steps. A task that needs cores,
memory or GPU memory of its machine waits until these are free there, and one that has a limit (its job's, user's, project's, or
of its licences) until that leaves room, as on the farm.
"""

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from heapq import heappop, heappush
from math import ceil, sqrt

from brender.model.prospect import Expected
from brender.scheduling.forecast_guesses import LONGEST, SHORTEST, between, guessed
from brender.scheduling.forecast_lanes import Lane, last_ends, taken_together
from brender.scheduling.forecast_room import NOTHING, Claim, Limits, Machine, could_take
from brender.scheduling.forecast_work import Work
from brender.scheduling.gates import Gate

#: Steps after which the simulation ends: of what is not done by then is said that it takes longer. (About a second.)
_STEPS_MOST = 100_000
#: So many needs, or lanes that wait, take as long to look at as a step.
_LOOKS_A_STEP = 50
#: And to so many kinds of workers a job is offered.
_OFFERS_A_STEP = 4
#: A share of what is left of a job that one worker takes at once: an eighth of its part of it.
_AT_ONCE = 8
_MAY_START, _MAY_END = -1, -2
#: Of ten jobs, about eight end between the bounds of a normal distribution that lie so many deviations beside the mean.
_BOUND = 1.28
#: What is not known of the time of parts to come, as a share of it, however many are known.
_UNKNOWN = 0.05


_Need = tuple[tuple[Gate, ...], Claim]
"""The limits that count a job's tasks, and what each takes of its machine: a worker may take all tasks of one need, or none."""


@dataclass
class _Job:
    work: Work
    left: int
    need: _Need
    waits: set[str] = field(default_factory=set)
    frames_of: set[str] = field(default_factory=set)
    no_sooner: float = 0.0
    """It is not done before."""
    kinds: set[int] = field(default_factory=set)
    at_work: int = 0
    """Workers that render it now."""
    lanes: int = 0
    """Workers that may."""
    done: float | None = None
    is_open: bool = False

    @property
    def wants_more(self) -> bool:
        """Whether one more worker may be at it, as far as that is for the job to say."""
        return self.is_open and self.left > 0 and not 0 < self.work.most <= self.at_work


@dataclass
class _Queue:
    """The open jobs that one kind of worker can take, by priority and need, each as (workers at it, order, job)."""

    heaps: dict[int, dict[_Need, list[tuple[int, int, str]]]] = field(default_factory=dict)
    priorities: list[int] = field(default_factory=list)
    valid: dict[str, int] = field(default_factory=dict)
    """By job, the workers at it that its entry has: others of it are old."""
    looked: int = 0
    """How many heaps the last search looked at."""

    def put(self, job: _Job) -> None:
        priority, name = job.work.priority, job.work.job
        if priority not in self.heaps:
            self.heaps[priority] = {}
            self.priorities = sorted(self.heaps, reverse=True)
        if self.valid.get(name) != job.at_work:
            self.valid[name] = job.at_work
            heaps = self.heaps[priority]
            heappush(heaps.setdefault(job.need, []), (job.at_work, job.work.order, name))

    def first(self, jobs: dict[str, _Job], full_gates: Set[Gate], machine: Machine | None) -> _Job | None:
        """Take out the job that is next of those that are not counted by *full_gates*, and that *machine* has room for; ``None``
        if there is no such job."""
        fits: dict[Claim, bool] = {}
        self.looked = 0
        for priority in self.priorities:
            heaps, best = self.heaps[priority], None
            self.looked += len(heaps)
            for need, heap in heaps.items():
                # (What is at the top may be old, and what is below it comes later still.)
                if not heap or (best and best[0] < heap[0]) or not full_gates.isdisjoint(need[0]):
                    continue
                if machine is not None and (claim := need[1]) not in fits:
                    fits[claim] = machine.has_room(claim)
                if machine is not None and not fits[need[1]]:
                    continue
                if self._has_first(heap, jobs) and not (best and best[0] < heap[0]):
                    best = heap
            if best:
                name = heappop(best)[2]
                del self.valid[name]
                return jobs[name]
        return None

    def _has_first(self, heap: list[tuple[int, int, str]], jobs: dict[str, _Job]) -> bool:
        """Take what is old off the top of *heap*, and jobs that wait for no worker. Return whether a job is left there."""
        while heap:
            at_work, _, name = heap[0]
            if self.valid.get(name) == at_work:
                job = jobs[name]
                if job.at_work == at_work and job.wants_more:
                    return True
                del self.valid[name]
            heappop(heap)
        return False


def forecast(lanes: Sequence[Lane], works: Sequence[Work], limits: Mapping[Gate, int] | None = None) -> dict[str, Expected]:
    """Return when each of *works* will be done that *lanes* can do, by its job. *limits*: how many tasks a gate may have out.

    Of jobs whose tasks nobody knows the time of, nothing is returned. What shares workers with these, or waits for them, lies
    between two forecasts: one in which they take no time, and one in which they never end.
    """
    binding = {gate: most for gate, most in (limits or {}).items() if most < len(lanes)}

    def look(lanes: Sequence[Lane], works: Sequence[Work]) -> dict[str, Expected]:
        return Simulation(taken_together(lanes), works, binding, last_ends(lanes)).run()

    unknown = {work.job for work in works if not work.known}
    if not unknown:
        return look(lanes, works)
    soonest, latest = look(*guessed(lanes, works, SHORTEST)), look(*guessed(lanes, works, LONGEST))
    return {job: between(found, latest.get(job)) for job, found in soonest.items() if job not in unknown}


class Simulation:
    """The queue of *works*, served by *lanes* step by step.

    *limits*: how many tasks a gate may have out; *ends*: by job, when the last task ends that is rendered now.
    """

    def __init__(
        self, lanes: Sequence[Lane], works: Sequence[Work], limits: Mapping[Gate, int], ends: Mapping[str, float]
    ) -> None:
        self._lanes = lanes
        self._limits = Limits(limits)
        self._ends = ends
        self._machines: dict[str, Machine] = {}
        self._beside: dict[str, list[int]] = {}
        """The lanes on each machine."""
        for number, lane in enumerate(lanes):
            if lane.machine:
                self._machines.setdefault(lane.machine, Machine(lane.has)).workers += 1
                self._beside.setdefault(lane.machine, []).append(number)
        self._free = [0 for _ in lanes]
        """How many workers of each lane have nothing to do."""
        self._waiting: dict[int, None] = {}
        """Lanes with such workers, which may take nothing of what there is."""
        self._jobs = {work.job: _Job(work, work.tasks, (self._limits.of(work.gates), work.claim)) for work in works}
        self._dependents: dict[str, list[_Job]] = {}
        self._followers: dict[str, list[_Job]] = {}
        """The jobs that wait for one frame of another after the other."""
        for job in self._jobs.values():
            job.waits, job.frames_of = set(job.work.after), set(job.work.frames_of)
            for before in job.waits:
                self._dependents.setdefault(before, []).append(job)
            for before in job.frames_of:
                self._followers.setdefault(before, []).append(job)
        self._open_jobs: Counter[int] = Counter()
        """How many open jobs have tasks left, by priority."""
        self._queues = {lane.kind: _Queue() for lane in lanes}
        self._events: list[tuple[float, int, str, int, int]] = []
        """(when, number, the job that may start then, or of which something is done, by which lane, and by how many of it)."""
        self._number = 0
        self._steps = 0
        alike: Counter[tuple[int, Claim]] = Counter()
        for lane in lanes:
            alike[lane.kind, lane.has if lane.machine else NOTHING] += lane.width
        for job in self._jobs.values():
            for (kind, has), count in alike.items():
                if kind in job.work.kinds and could_take(job.work.claim, has):
                    job.kinds.add(kind)
                    job.lanes += count

    def run(self) -> dict[str, Expected]:
        """Serve the queue; return when each job is done that these lanes can do."""
        for job in self._jobs.values():
            if not job.waits:
                self._at(job.work.delay, job.work.job, _MAY_START)
        for number, lane in enumerate(self._lanes):
            if lane.job in self._jobs:
                self._take(self._jobs[lane.job], number, lane.width)
            self._at(lane.left, lane.job, number, lane.width)
        when = 0.0
        while self._events and self._steps < _STEPS_MOST:
            when, _, name, number, hands = heappop(self._events)
            if number == _MAY_START:
                self._open(self._jobs[name], when)
            elif number == _MAY_END:
                self._look_whether_done(self._jobs[name], when)
            else:
                self._ended(self._jobs.get(name), number, hands, when)
        found = {name: _expected(job) for name, job in self._jobs.items() if job.done is not None}
        if self._events:
            ends = self._jobs.keys() - found.keys() - self._without_end()
            found |= {name: Expected(None, when, None) for name in ends}
        return found

    def _without_end(self) -> set[str]:
        """Return the jobs that nobody can do, those that wait for what is not forecast, and those that wait for such jobs."""
        found = set[str]()
        look = [name for name, job in self._jobs.items() if self._cannot_end(job)]
        while look:
            name = look.pop()
            if name not in found:
                found.add(name)
                look += [job.work.job for job in (*self._dependents.get(name, ()), *self._followers.get(name, ()))]
        return found

    def _cannot_end(self, job: _Job) -> bool:
        is_for_nobody = job.left > 0 and (not job.lanes or not self._limits.most(job.need[0], 1))
        return is_for_nobody or not (job.waits | job.frames_of) <= self._jobs.keys()

    def _at(self, when: float, name: str, lane: int, hands: int = 0) -> None:
        self._number += 1
        heappush(self._events, (when, self._number, name, lane, hands))

    def _open(self, job: _Job, when: float) -> None:
        """Let *job*, which waits for nothing more, be served."""
        job.is_open = True
        self._open_jobs[job.work.priority] += job.left > 0
        self._offer(job)
        self._wake([number for number in self._waiting if self._lanes[number].kind in job.kinds], when)
        self._look_whether_done(job, when)

    def _offer(self, job: _Job) -> None:
        if job.wants_more:
            self._steps += len(job.kinds) // _OFFERS_A_STEP
            for kind in job.kinds:
                self._queues[kind].put(job)

    def _take(self, job: _Job, number: int, hands: int) -> None:
        """Let so many workers more of a lane be at *job* (negative: fewer)."""
        lane = self._lanes[number]
        job.at_work += hands
        self._limits.take(job.need[0], hands)
        if lane.machine:
            self._machines[lane.machine].take(job.work.claim, hands / lane.width)

    def _ended(self, job: _Job | None, number: int, hands: int, when: float) -> None:
        """Let so many workers of a lane, which have done what they had of *job*, take what is next, and others what that leaves
        room for. ``None``: they had nothing."""
        self._free[number] += hands
        if job is None:
            self._next(number, when)
            return
        self._take(job, number, -hands)
        self._offer(job)
        self._look_whether_done(job, when)
        self._next(number, when)
        machine = self._lanes[number].machine
        if (job.need[0] or (job.work.most and job.wants_more)) and self._limits.full.isdisjoint(job.need[0]):
            self._wake(list(self._waiting), when)
        elif machine and (any(job.work.claim) or self._machines[machine].claims):
            self._wake([each for each in self._beside[machine] if each in self._waiting], when)

    def _wake(self, waiting: Sequence[int], when: float) -> None:
        """Let lanes that wait take what they may now."""
        self._steps += len(waiting) // _LOOKS_A_STEP
        failed = set()
        for number in waiting:
            lane = self._lanes[number]
            machine = self._machines.get(lane.machine)
            alike = lane.kind, machine.state if machine else None
            if alike not in failed:
                self._next(number, when)
                if number in self._waiting:
                    failed.add(alike)

    def _next(self, number: int, when: float) -> None:
        """Let the free workers of a lane take what is next for them."""
        lane = self._lanes[number]
        queue, machine = self._queues[lane.kind], self._machines.get(lane.machine)
        self._waiting.pop(number, None)
        while self._free[number]:
            job = queue.first(self._jobs, self._limits.full, machine)
            self._steps += 1 + queue.looked // _LOOKS_A_STEP
            if job is None:
                self._waiting[number] = None
                return
            most = job.work.most or lane.width
            hands = min(self._limits.left(job.need[0], self._free[number]), most - job.at_work if job.work.most else most)
            share = max(1, job.lanes // self._open_jobs[job.work.priority])  # that of the workers which it will have
            lanes = self._limits.most(job.need[0], min(share, job.work.most or share))
            tasks = min(job.left, hands * max(1, job.left // (_AT_ONCE * lanes)))
            job.left -= tasks
            self._take(job, number, hands)
            self._free[number] -= hands
            self._open_jobs[job.work.priority] -= not job.left
            self._offer(job)
            self._at(when + ceil(tasks / hands) * job.work.seconds / lane.speed, job.work.job, number, hands)

    def _look_whether_done(self, job: _Job, when: float) -> None:
        if job.done is not None or job.left or job.at_work or not job.is_open or job.frames_of:
            return
        job.done = max(when, self._ends.get(job.work.job, 0.0), job.no_sooner)
        for other in self._followers.get(job.work.job, ()):
            # What waits for the last frame is still to be done then.
            other.frames_of.discard(job.work.job)
            other.no_sooner = max(other.no_sooner, job.done + other.work.seconds)
            self._at(job.done, other.work.job, _MAY_END)
        for other in self._dependents.get(job.work.job, ()):
            other.waits.discard(job.work.job)
            if not other.waits:
                self._at(max(job.done, other.work.delay), other.work.job, _MAY_START)


def _expected(job: _Job) -> Expected:
    assert job.done is not None
    work = job.work
    share = sqrt(work.spread**2 / max(1, work.known) + work.spread**2 / max(1, work.tasks) + _UNKNOWN**2) * _BOUND
    return Expected(job.done, job.done / (1 + share), job.done * (1 + share))
