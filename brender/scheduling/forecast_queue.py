"""The open jobs of a simulated queue, and which of them a worker takes next. Pure.

As in `brender.scheduling.assignment`: priority first, then the project and the user that have used least, then the job at which
the fewest are at work, then the oldest.
"""

from bisect import insort
from collections.abc import Set
from dataclasses import dataclass, field
from heapq import heappop, heappush

from brender.scheduling.forecast_room import Claim, Machine
from brender.scheduling.forecast_shares import Key, Line, Share
from brender.scheduling.forecast_work import Work
from brender.scheduling.gates import Gate

Need = tuple[tuple[Gate, ...], Claim]
"""The limits that count a job's tasks, and what each takes of its machine: a worker may take all tasks of one need, or none."""
#: A line takes as long to look at as so many heaps.
_LOOKS_A_LINE = 3
_Heap = list[tuple[int, int, str]]
"""Jobs as (workers at it, order, job)."""
_Heaps = dict[tuple[Gate, ...], dict[Claim, _Heap]]


@dataclass(eq=False)
class Job:
    work: Work
    left: int
    need: Need
    line: Line
    waits: set[str] = field(default_factory=set)
    frames_of: set[str] = field(default_factory=set)
    no_sooner: float = 0.0
    """It is not done before."""
    kinds: set[int] = field(default_factory=set)
    at_work: int = 0
    """Workers that render it now."""
    lanes: int = 0
    """Workers that may."""
    later: list[tuple[float, int, int]] = field(default_factory=list)
    """When a kind of worker may, from then on, and how many of them there are."""
    done: float | None = None
    is_open: bool = False

    @property
    def wants_more(self) -> bool:
        """Whether one more worker may be at it, as far as that is for the job to say."""
        return self.is_open and self.left > 0 and not 0 < self.work.most <= self.at_work


@dataclass
class _Lines:
    """The jobs of one priority: by the line that they stand in, by their limits, by what they take of a machine; and the projects
    in their order, and in each the lines, by what they had used when they were last looked at."""

    heaps: dict[Line, _Heaps] = field(default_factory=dict)
    projects: dict[Share, list[tuple[Key, Line]]] = field(default_factory=dict)
    order: list[tuple[Key, Share]] = field(default_factory=list)

    def enter(self, line: Line) -> None:
        """Let *line*, which has had no jobs here, stand where it belongs."""
        self.heaps[line] = {}
        if line.project not in self.projects:
            self.projects[line.project] = []
            insort(self.order, (line.project.key, line.project))
        insort(self.projects[line.project], (line.user.key, line))

    def sort(self) -> None:
        """Find the order again: some have used less than they had."""
        self.order = sorted((project.key, project) for project in self.projects)
        self.projects = {project: sorted((line.user.key, line) for _, line in each) for project, each in self.projects.items()}


@dataclass
class Queue:
    """The open jobs that one kind of worker can take."""

    by_priority: dict[int, _Lines] = field(default_factory=dict)
    priorities: list[int] = field(default_factory=list)
    valid: dict[str, int] = field(default_factory=dict)
    """By job, the workers at it that its entry has: others of it are old."""
    looked: int = 0
    """How many heaps the last search looked at, or what takes as long."""
    lacked_room: bool = False
    """Whether the machine had no room for something that the last search looked at."""

    def put(self, job: Job) -> None:
        """Let *job* stand in the queue, as many as are at it now."""
        priority, name = job.work.priority, job.work.job
        if priority not in self.by_priority:
            self.by_priority[priority] = _Lines()
            self.priorities = sorted(self.by_priority, reverse=True)
        if self.valid.get(name) != job.at_work:
            self.valid[name] = job.at_work
            lines, (gates, claim) = self.by_priority[priority], job.need
            if job.line not in lines.heaps:
                lines.enter(job.line)
            heappush(lines.heaps[job.line].setdefault(gates, {}).setdefault(claim, []), (job.at_work, job.work.order, name))

    def first(self, jobs: dict[str, Job], full_gates: Set[Gate], machine: Machine | None) -> Job | None:
        """Take out the job that is next of those that are not counted by *full_gates*, and that *machine* has room for; ``None``
        if there is no such job."""
        fits: dict[Claim, bool] = {}
        self.looked, self.lacked_room = 0, False
        for priority in self.priorities:
            lines, at = self.by_priority[priority], 0
            while at < len(lines.order):
                key, project = lines.order[at]
                self.looked += _LOOKS_A_LINE
                if (now := project.key) != key:  # it has used more since, so that it comes later
                    del lines.order[at]
                    insort(lines.order, (now, project))
                    continue
                if (found := self._first_in(lines, project, jobs, full_gates, machine, fits)) is not None:
                    return found
                if lines.projects[project]:
                    at += 1
                else:
                    del lines.projects[project], lines.order[at]
        return None

    def _first_in(
        self,
        lines: _Lines,
        project: Share,
        jobs: dict[str, Job],
        full_gates: Set[Gate],
        machine: Machine | None,
        fits: dict[Claim, bool],
    ) -> Job | None:
        """Do the same among the lines of *project*."""
        order, at = lines.projects[project], 0
        while at < len(order):
            key, line = order[at]
            self.looked += _LOOKS_A_LINE
            if (now := line.user.key) != key:
                del order[at]
                insort(order, (now, line))
                continue
            if (found := self._first_of(lines.heaps[line], jobs, full_gates, machine, fits)) is not None:
                return found
            if lines.heaps[line]:
                at += 1
            else:
                del lines.heaps[line], order[at]
        return None

    def sort_lines(self) -> None:
        """Find the order of the lines again: some have used less than they had."""
        for lines in self.by_priority.values():
            lines.sort()

    def _first_of(
        self, heaps: _Heaps, jobs: dict[str, Job], full_gates: Set[Gate], machine: Machine | None, fits: dict[Claim, bool]
    ) -> Job | None:
        """Take out of *heaps* the job that is next, and each heap of which nothing is left; *fits*: which claims *machine* is
        known to have room for."""
        best, empty = None, list[Need]()
        for gates, by_claim in heaps.items():
            self.looked += 1
            if gates and not full_gates.isdisjoint(gates):
                continue
            for claim, heap in by_claim.items():
                self.looked += 1
                # (What is at the top may be old, and what is below it comes later still.)
                if best and best[0] < heap[0]:
                    continue
                if machine is not None and claim not in fits:
                    fits[claim] = machine.has_room(claim)
                if machine is not None and not fits[claim]:
                    self.lacked_room = True
                elif not self._has_first(heap, jobs):
                    empty.append((gates, claim))
                elif not (best and best[0] < heap[0]):
                    best = heap
        job = None
        if best is not None:
            job = jobs[heappop(best)[2]]
            del self.valid[job.work.job]
            if not best:
                empty.append(job.need)
        for gates, claim in empty:
            del heaps[gates][claim]
            if not heaps[gates]:
                del heaps[gates]
        return job

    def _has_first(self, heap: _Heap, jobs: dict[str, Job]) -> bool:
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
