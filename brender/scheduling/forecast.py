"""When open jobs will be done: the queue, simulated as the scheduler will serve it. Pure.

Workers take tasks in the order that `brender.scheduling.forecast_queue` has, those of a pool its own first; several tasks of a
job at once where there are many, ever fewer towards its end, so that a farm's night is a few thousand steps. A task that needs
cores, memory or GPU memory of its machine waits until these are free there, and one that has a limit (its job's, user's,
project's, or of its licences) until that leaves room, as on the farm. For a job that begins later, workers stop what comes after
it once they have done the task that they are at, and for one that does not wait at once.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from heapq import heappop, heappush
from math import ceil, sqrt

from brender.model.prospect import Expected
from brender.scheduling.forecast_guesses import LONGEST, SHORTEST, between, guessed
from brender.scheduling.forecast_lanes import Lane, last_ends, taken_together
from brender.scheduling.forecast_preemption import Batch, comes_first, gives_way
from brender.scheduling.forecast_queue import Job, Queue
from brender.scheduling.forecast_room import NOTHING, Claim, Limits, Machine, could_take
from brender.scheduling.forecast_shares import Lines, Usage
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
_MAY_START, _MAY_END, _MAY_PRESS, _MAY_JOIN = -1, -2, -3, -4
#: Of ten jobs, about eight end between the bounds of a normal distribution that lie so many deviations beside the mean.
_BOUND = 1.28
#: What is not known of the time of parts to come, as a share of it, however many are known.
_UNKNOWN = 0.05


def forecast(
    lanes: Sequence[Lane], works: Sequence[Work], limits: Mapping[Gate, int] | None = None, usage: Usage | None = None
) -> dict[str, Expected]:
    """Return when each of *works* will be done that *lanes* can do, by its job. *limits*: how many tasks a gate may have out;
    *usage*: what users and projects have had of the farm.

    Of jobs whose tasks nobody knows the time of, nothing is returned. What shares workers with these, or waits for them, lies
    between two forecasts: one in which they take no time, and one in which they never end.
    """
    binding = {gate: most for gate, most in (limits or {}).items() if most < len(lanes)}

    def look(lanes: Sequence[Lane], works: Sequence[Work]) -> dict[str, Expected]:
        return Simulation(taken_together(lanes), works, binding, last_ends(lanes), usage or Usage()).run()

    unknown = {work.job for work in works if not work.known}
    if not unknown:
        return look(lanes, works)
    soonest, latest = look(*guessed(lanes, works, SHORTEST)), look(*guessed(lanes, works, LONGEST))
    return {job: between(found, latest.get(job)) for job, found in soonest.items() if job not in unknown}


class Simulation:
    """The queue of *works*, served by *lanes* step by step.

    *limits*: how many tasks a gate may have out; *ends*: by job, when the last task ends that is rendered now; *usage*: what
    users and projects have had.
    """

    def __init__(
        self,
        lanes: Sequence[Lane],
        works: Sequence[Work],
        limits: Mapping[Gate, int],
        ends: Mapping[str, float],
        usage: Usage,
    ) -> None:
        self._lanes = lanes
        self._limits = Limits(limits)
        self._ends = ends
        self._lines = Lines(usage)
        self._machines: dict[str, Machine] = {}
        self._beside: dict[str, list[int]] = {}
        """The lanes on each machine."""
        for number, lane in enumerate(lanes):
            if lane.machine:
                self._machines.setdefault(lane.machine, Machine(lane.has)).workers += 1
                self._beside.setdefault(lane.machine, []).append(number)
        self._free = [0 for _ in lanes]
        """How many workers of each lane have nothing to do."""
        self._batches: dict[int, tuple[int, Batch]] = {}
        """By event, the lane at which something ends then, and what."""
        self._waiting: dict[int, None] = {}
        """Lanes with such workers, which may take nothing of what there is."""
        self._jobs: dict[str, Job] = {}
        for work in works:
            need = self._limits.of(work.gates), work.claim
            self._jobs[work.job] = Job(work, work.tasks, need, self._lines.of(work.project, work.user))
        self._dependents: dict[str, list[Job]] = {}
        self._followers: dict[str, list[Job]] = {}
        """The jobs that wait for one frame of another after the other."""
        for job in self._jobs.values():
            job.waits, job.frames_of = set(job.work.after), set(job.work.frames_of)
            for before in job.waits:
                self._dependents.setdefault(before, []).append(job)
            for before in job.frames_of:
                self._followers.setdefault(before, []).append(job)
        self._open_jobs: Counter[int] = Counter()
        """How many open jobs have tasks left, by priority."""
        self._queues = {lane.kind: Queue() for lane in lanes}
        self._own = {lane.kind: (lane.pool, Queue()) for lane in lanes if lane.pool}
        """Of the kinds of workers of a pool, that and its jobs."""
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
            for later, seconds in job.work.later:
                fitting = [count for (kind, has), count in alike.items() if kind == later and could_take(job.work.claim, has)]
                job.later += [(seconds, later, count) for count in fitting]

    def run(self) -> dict[str, Expected]:
        """Serve the queue; return when each job is done that these lanes can do."""
        for job in self._jobs.values():
            if not job.waits:
                self._at(job.work.delay, job.work.job, _MAY_START)
            for seconds, *_ in job.later:
                self._at(seconds, job.work.job, _MAY_JOIN)
        for number, lane in enumerate(self._lanes):
            if lane.job in self._jobs:
                self._take(self._jobs[lane.job], number, lane.width)
                self._batches[self._number + 1] = number, Batch(lane.job, 0.0, lane.width, lane.width, lane.left)
                self._charge(self._jobs[lane.job], number, lane.width, 0.0)
            self._at(lane.left, lane.job, number, lane.width)
        when = 0.0
        while self._events and self._steps < _STEPS_MOST:
            when, event, name, number, hands = heappop(self._events)
            if number >= 0 and self._batches.pop(event, None) is None and name in self._jobs:
                continue  # it was cut short
            if number == _MAY_START:
                self._open(self._jobs[name], when)
            elif number == _MAY_END:
                self._look_whether_done(self._jobs[name], when)
            elif number == _MAY_JOIN:
                self._join(self._jobs[name], when)
            elif number == _MAY_PRESS:
                self._press(self._jobs[name], when)
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

    def _cannot_end(self, job: Job) -> bool:
        is_for_nobody = job.left > 0 and (not (job.lanes or job.later) or not self._limits.most(job.need[0], 1))
        return is_for_nobody or not (job.waits | job.frames_of) <= self._jobs.keys()

    def _at(self, when: float, name: str, lane: int, hands: int = 0) -> None:
        self._number += 1
        heappush(self._events, (when, self._number, name, lane, hands))

    def _open(self, job: Job, when: float) -> None:
        """Let *job*, which waits for nothing more, be served."""
        job.is_open = True
        self._open_jobs[job.work.priority] += job.left > 0
        self._offer(job)
        self._wake([number for number in self._waiting if self._lanes[number].kind in job.kinds], when)
        self._look_whether_done(job, when)
        if job.left and (when > 0 or job.work.rush or job.work.reclaims):
            self._at(when, job.work.job, _MAY_PRESS)  # once those that wait have taken what they can

    def _join(self, job: Job, when: float) -> None:
        """Let workers take *job* that could not before."""
        kinds = {kind for seconds, kind, _ in job.later if seconds <= when}
        job.lanes += sum(count for seconds, _, count in job.later if seconds <= when)
        job.later = [each for each in job.later if each[0] > when]
        job.kinds |= kinds
        if job.is_open and job.left:
            self._offer(job)
            self._wake([number for number in self._waiting if self._lanes[number].kind in kinds], when)
            self._at(when, job.work.job, _MAY_PRESS)

    def _press(self, job: Job, when: float) -> None:
        """Let workers that are at something else take *job* next, as far as it comes first: at once or when they have done what
        they are at."""
        wanted = min(self._limits.left(job.need[0], job.left), job.work.most - job.at_work if job.work.most else job.left)
        self._steps += len(self._batches) // _LOOKS_A_STEP
        found = list[tuple[bool, float, int]]()
        for event, (number, batch) in self._batches.items():
            lane, other = self._lanes[number], self._jobs[batch.job].work
            if lane.kind not in job.kinds or not comes_first(job.work, other, lane.pool):
                continue
            at_once = gives_way(other, job.work, lane.pool) and self._has_room_instead(job, number, batch)
            if at_once or batch.tasks > batch.hands:
                found.append((not at_once, batch.lost(when), event))
        for later, _, event in sorted(found):
            if wanted <= 0:
                break
            number, batch = self._batches.pop(event)
            rounds = batch.rounds(when) + later
            tasks = min(batch.tasks, rounds * batch.hands)
            self._put_back(self._jobs[batch.job], number, batch.tasks - tasks, when)
            self._begin(number, replace(batch, tasks=tasks), max(when, batch.begun + rounds * batch.each))
            wanted -= batch.hands
        if found:
            for queue in (*self._queues.values(), *(own for _, own in self._own.values())):
                queue.sort_lines()

    def _has_room_instead(self, job: Job, number: int, batch: Batch) -> bool:
        """Return whether the machine of a lane has room for *job* once *batch* is not there."""
        machine = self._machines.get(self._lanes[number].machine)
        if machine is None:
            return True
        claim, share = self._jobs[batch.job].work.claim, batch.hands / self._lanes[number].width
        machine.take(claim, -share)
        has_room = machine.has_room(job.work.claim)
        machine.take(claim, share)
        return has_room

    def _put_back(self, job: Job, number: int, tasks: int, when: float) -> None:
        """Let so many *tasks* of *job*, which a lane had before it and has not done, wait again."""
        if tasks:
            self._open_jobs[job.work.priority] += job.is_open and not job.left
            job.left += tasks
            self._charge(job, number, -tasks, when)
            self._offer(job)

    def _begin(self, number: int, batch: Batch, until: float) -> None:
        self._at(until, batch.job, number, batch.hands)
        self._batches[self._number] = number, batch

    def _offer(self, job: Job) -> None:
        if job.wants_more:
            self._steps += len(job.kinds) // _OFFERS_A_STEP
            for kind in job.kinds:
                self._queues[kind].put(job)
                if job.work.pool and (own := self._own.get(kind)) and own[0] == job.work.pool:
                    own[1].put(job)

    def _take(self, job: Job, number: int, hands: int) -> None:
        """Let so many workers more of a lane be at *job* (negative: fewer)."""
        lane = self._lanes[number]
        job.at_work += hands
        self._limits.take(job.need[0], hands)
        if lane.machine:
            self._machines[lane.machine].take(job.work.claim, hands / lane.width)

    def _charge(self, job: Job, number: int, tasks: int, when: float) -> None:
        """Count what a lane will need for so many *tasks* of *job* among what its user and project have had."""
        self._lines.charge(job.line, tasks * job.work.seconds / self._lanes[number].speed, when)

    def _ended(self, job: Job | None, number: int, hands: int, when: float) -> None:
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
        failed = set[tuple[int, object]]()
        for number in waiting:
            lane = self._lanes[number]
            machine = self._machines.get(lane.machine)
            state = machine.state if machine else None
            if (lane.kind, None) not in failed and (lane.kind, state) not in failed:
                self._next(number, when)
                if number in self._waiting:
                    failed.add((lane.kind, state if self._queues[lane.kind].lacked_room else None))

    def _next(self, number: int, when: float) -> None:
        """Let the free workers of a lane take what is next for them."""
        lane = self._lanes[number]
        queue, machine = self._queues[lane.kind], self._machines.get(lane.machine)
        own = self._own[lane.kind][1] if lane.pool else None
        self._waiting.pop(number, None)
        while self._free[number]:
            job = own.first(self._jobs, self._limits.full, machine) if own is not None else None
            if job is None:
                job = queue.first(self._jobs, self._limits.full, machine)
                self._steps += queue.looked // _LOOKS_A_STEP
            self._steps += 1
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
            self._charge(job, number, tasks, when)
            self._free[number] -= hands
            self._open_jobs[job.work.priority] -= not job.left
            self._offer(job)
            each = job.work.seconds / lane.speed
            self._begin(number, Batch(job.work.job, when, tasks, hands, each), when + ceil(tasks / hands) * each)

    def _look_whether_done(self, job: Job, when: float) -> None:
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


def _expected(job: Job) -> Expected:
    assert job.done is not None
    work = job.work
    share = sqrt(work.spread**2 / max(1, work.known) + work.spread**2 / max(1, work.tasks) + _UNKNOWN**2) * _BOUND
    return Expected(job.done, job.done / (1 + share), job.done * (1 + share))
