"""When open jobs will be done: the queue, simulated as the scheduler will serve it. Pure.

Workers take tasks by priority, then from the job at which the fewest are at work, then from the oldest; several tasks of a job at
once where there are many, ever fewer towards its end, so that a farm's night is a few thousand steps.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import groupby
from math import ceil, sqrt

from brender.model.prospect import Expected

#: Steps after which nothing more is said of what is not done by then.
_STEPS_MOST = 20_000
#: More workers are taken together.
_LANES_MOST = 400
#: A share of what is left of a job that one worker takes at once: an eighth of its part of it.
_AT_ONCE = 8
_MAY_START = -1
#: Of ten jobs, about eight end between the bounds of a normal distribution that lie so many deviations beside the mean.
_BOUND = 1.28
#: What is not known of the time of parts to come, as a share of it, however many are known.
_UNKNOWN = 0.05


@dataclass(frozen=True)
class Lane:
    """A worker: its kind, its speed, the job that it renders ("" for none) and in how many seconds it is done with that task."""

    kind: int
    speed: float = 1.0
    job: str = ""
    left: float = 0.0
    width: int = 1
    """How many workers it stands for."""


@dataclass(frozen=True)
class Work:
    """What is left of an open job.

    *tasks* that no worker has begun, each *seconds* of work at the speed 1, spread around that by a share of it (*spread*), as
    far as so many *known* parts tell; *kinds*: the kinds of workers that can take them; *after*: jobs that have to be done
    before; *delay*: seconds until it may start; *most*: workers that may be at it, 0 for any number.
    """

    job: str
    priority: int
    order: int
    tasks: int
    seconds: float
    kinds: frozenset[int]
    spread: float = 0.0
    known: int = 1
    after: frozenset[str] = frozenset()
    delay: float = 0.0
    most: int = 0


@dataclass
class _Job:
    work: Work
    left: int
    waits: set[str] = field(default_factory=set)
    kinds: list[int] = field(default_factory=list)
    at_work: int = 0
    """Lanes that render it now."""
    lanes: int = 0
    """Lanes that may."""
    done: float | None = None
    is_open: bool = False


@dataclass
class _Queue:
    """The open jobs that one kind of worker can take, by priority, each as (lanes at work, order, job)."""

    heaps: dict[int, list[tuple[int, int, str]]] = field(default_factory=dict)
    priorities: list[int] = field(default_factory=list)
    valid: dict[str, int] = field(default_factory=dict)
    """By job, the lanes at work that its entry has: others of it are old."""

    def put(self, job: _Job) -> None:
        priority, name = job.work.priority, job.work.job
        if priority not in self.heaps:
            self.heaps[priority] = []
            self.priorities = sorted(self.heaps, reverse=True)
        if self.valid.get(name) != job.at_work:
            self.valid[name] = job.at_work
            heappush(self.heaps[priority], (job.at_work, job.work.order, name))

    def first(self, jobs: dict[str, _Job]) -> _Job | None:
        """Take out the job that is next; ``None``: there is none."""
        for priority in self.priorities:
            heap = self.heaps[priority]
            full: list[_Job] = []
            found = None
            while heap and found is None:
                at_work, _, name = heappop(heap)
                if self.valid.get(name) != at_work:
                    continue
                del self.valid[name]
                job = jobs[name]
                if not job.left:
                    continue
                if at_work != job.at_work:
                    self.put(job)
                elif job.work.most and job.at_work >= job.work.most:
                    full.append(job)
                else:
                    found = job
            for job in full:
                self.put(job)
            if found is not None:
                return found
        return None


def forecast(lanes: Sequence[Lane], works: Sequence[Work]) -> dict[str, Expected]:
    """Return when each of *works* will be done that *lanes* can do, by its job."""
    return _Simulation(_together(lanes), works).run()


def _together(lanes: Sequence[Lane]) -> list[Lane]:
    """Return *lanes*, or where they are very many, fewer that stand for several of a kind each, which are about as fast."""
    width = ceil(len(lanes) / _LANES_MOST)
    if width == 1:
        return list(lanes)
    found = []
    alike = groupby(sorted(lanes, key=lambda lane: (lane.kind, lane.job, lane.speed)), key=lambda lane: (lane.kind, lane.job))
    for (kind, job), of_one in alike:
        several = list(of_one)
        for first in range(0, len(several), width):
            each = several[first : first + width]
            speed, left = sum(lane.speed for lane in each) / len(each), sum(lane.left for lane in each) / len(each)
            found.append(Lane(kind, speed, job, left, len(each)))
    return found


class _Simulation:
    def __init__(self, lanes: Sequence[Lane], works: Sequence[Work]) -> None:
        self._lanes = lanes
        self._jobs = {work.job: _Job(work, work.tasks) for work in works}
        self._dependents: dict[str, list[_Job]] = {}
        for job in self._jobs.values():
            job.waits = set(job.work.after) & self._jobs.keys()
            for before in job.waits:
                self._dependents.setdefault(before, []).append(job)
        of_kind: Counter[int] = Counter()
        for lane in lanes:
            of_kind[lane.kind] += lane.width
        self._open_jobs: Counter[int] = Counter()
        """How many open jobs have tasks left, by priority."""
        self._queues = {kind: _Queue() for kind in of_kind}
        self._idle: dict[int, list[int]] = {kind: [] for kind in of_kind}
        self._events: list[tuple[float, int, str, int]] = []
        """(when, number, the job that ends or may start then, the lane that renders it; -1: it may start)."""
        self._number = 0
        for job in self._jobs.values():
            job.kinds = sorted(job.work.kinds & of_kind.keys())
            job.lanes = sum(of_kind[kind] for kind in job.kinds)

    def run(self) -> dict[str, Expected]:
        for job in self._jobs.values():
            if not job.waits:
                self._at(job.work.delay, job.work.job, _MAY_START)
        for number, lane in enumerate(self._lanes):
            if lane.job in self._jobs:
                self._jobs[lane.job].at_work += lane.width
            self._at(lane.left, lane.job, number)
        for _ in range(_STEPS_MOST):
            if not self._events:
                break
            when, _, name, number = heappop(self._events)
            if number == _MAY_START:
                self._open(self._jobs[name], when)
                continue
            if name in self._jobs:
                self._ended(self._jobs[name], self._lanes[number].width, when)
            self._next(number, when)
        return {name: _expected(job) for name, job in self._jobs.items() if job.done is not None}

    def _at(self, when: float, name: str, lane: int) -> None:
        self._number += 1
        heappush(self._events, (when, self._number, name, lane))

    def _open(self, job: _Job, when: float) -> None:
        """Let *job*, which waits for nothing more, be served."""
        job.is_open = True
        self._open_jobs[job.work.priority] += job.left > 0
        self._offer(job)
        for kind in job.kinds:
            waiting, self._idle[kind] = self._idle[kind], []
            for number in waiting:
                self._next(number, when)
        self._look_whether_done(job, when)

    def _offer(self, job: _Job) -> None:
        for kind in job.kinds if job.is_open and job.left else ():
            self._queues[kind].put(job)

    def _ended(self, job: _Job, width: int, when: float) -> None:
        """A lane of this *width* has done what it had taken of *job*."""
        job.at_work -= width
        self._offer(job)
        self._look_whether_done(job, when)

    def _next(self, number: int, when: float) -> None:
        """Let a lane take what is next for it."""
        lane = self._lanes[number]
        job = self._queues[lane.kind].first(self._jobs)
        if job is None:
            self._idle[lane.kind].append(number)
            return
        share = max(1, job.lanes // self._open_jobs[job.work.priority])  # that of the workers which it will have
        lanes = min(share, job.work.most) if job.work.most else share
        tasks = min(job.left, lane.width * max(1, job.left // (_AT_ONCE * lanes)))
        job.left -= tasks
        job.at_work += lane.width
        self._open_jobs[job.work.priority] -= not job.left
        self._offer(job)
        self._at(when + ceil(tasks / lane.width) * job.work.seconds / lane.speed, job.work.job, number)

    def _look_whether_done(self, job: _Job, when: float) -> None:
        if job.done is not None or job.left or job.at_work or not job.is_open:
            return
        job.done = when
        for other in self._dependents.get(job.work.job, ()):
            other.waits.discard(job.work.job)
            if not other.waits:
                self._at(max(when, other.work.delay), other.work.job, _MAY_START)


def _expected(job: _Job) -> Expected:
    assert job.done is not None
    work = job.work
    share = sqrt(work.spread**2 / max(1, work.known) + work.spread**2 / max(1, work.tasks) + _UNKNOWN**2) * _BOUND
    return Expected(job.done, job.done / (1 + share), job.done * (1 + share))
