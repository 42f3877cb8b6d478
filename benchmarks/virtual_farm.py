"""The scheduler alone, with workers that do what they take on a clock of its own: no sockets, no database."""

import random
from collections import deque
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush

from brender.farm.record import Ledger
from brender.farm.usage import Usages
from brender.model.nodes import WorkerInfo
from brender.scheduling.assignment import assign
from brender.scheduling.roster import Roster
from brender.scheduling.terms import Demand

_ALL = 10**9


@dataclass(slots=True)
class Task:
    """A task that a worker has: running since ``began``, or next."""

    id: str
    job: str
    began: float = 0.0


@dataclass
class VirtualFarm:
    """Workers, and jobs by their demands. A task of a job takes its ``seconds``, times 0.5 to 1.5 by chance, and ``switch``
    seconds more where its worker did another job before."""

    workers: list[WorkerInfo]
    demands: dict[str, Demand]
    seconds: dict[str, float]
    half_life: float = 3600.0
    switch: float = 0.0
    seed: int = 1
    now: float = 1.0
    done: dict[tuple[str, str], float] = field(default_factory=dict)
    """The seconds of machine that each user has used within each project."""
    ended: int = 0
    """Tasks."""

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.usages = Usages(Ledger())
        self.usages.half_life = self.half_life
        self.usages.advance(self.now)
        self.roster = Roster(lambda worker: None)
        self.has: dict[str, deque[Task]] = {info.id: deque() for info in self.workers}
        self._warm: dict[str, str] = {}
        self._due: list[tuple[float, str]] = []
        self._took: dict[str, tuple[int, float]] = {}
        self._attempts = 0
        for info in self.workers:
            self.roster.worker_changed(info, 0)
        for demand in self.demands.values():
            self.roster.job_changed(demand)

    def weigh(self, kind: str, name: str, weight: float) -> None:
        """Give a project or a user (*kind*) a weight."""
        self.roster.shares.set_weight(kind, name, weight)

    def decide(self) -> None:
        """Let the scheduler decide."""
        self._tell_shares()
        for take in assign(self.roster, _ALL).takes:
            self._attempts += 1
            task, demand = Task(f"{self._attempts}", take.job), self.demands[take.job]
            self.usages.charge(task.id, demand.project, demand.user, demand.expected_seconds)
            self.has[take.worker].append(task)
            if len(self.has[take.worker]) == 1:
                self._start(take.worker)
        self._tell_shares()

    def end_one(self) -> bool:
        """Let the task end that ends first; return whether there was one."""
        if not self._due:
            return False
        self.now, worker = heappop(self._due)
        self.usages.advance(self.now)
        has = self.has[worker]
        task = has.popleft()
        demand, took = self.demands[task.job], self.now - task.began
        who = demand.project, demand.user
        self.done[who] = self.done.get(who, 0.0) + took
        self.ended += 1
        self.usages.settle(task.id, took)
        tasks, seconds = self._took.get(task.job, (0, 0.0))
        tasks, seconds = self._took[task.job] = tasks + 1, seconds + took
        demand = self.demands[task.job] = replace(demand, live=demand.live - 1, mean_seconds=seconds / tasks)
        if demand.live or demand.queued:
            self.roster.job_changed(demand)
        else:
            self.roster.job_closed(demand.job)
        self.roster.worker_changed(self.roster.workers[worker].info, len(has), tail=has[-1].job if has else "")
        if has:
            self._start(worker)
        return True

    def run(self, tasks: int) -> None:
        """Decide after each task that ends, until so many have."""
        self.decide()
        while self.ended < tasks and self.end_one():
            self.decide()

    # --- inside -----------------------------------------------------------------------------------------------------------

    def _start(self, worker: str) -> None:
        task = self.has[worker][0]
        task.began = self.now
        cold = self._warm.get(worker) != task.job
        self._warm[worker] = task.job
        heappush(self._due, (self.now + self.seconds[task.job] * self.chance.uniform(0.5, 1.5) + self.switch * cold, worker))

    def _tell_shares(self) -> None:
        shares, usages = self.roster.shares, self.usages
        if usages.rescaled != 1.0:
            shares.rescale(usages.rescaled)
            usages.rescaled = 1.0
        shares.scale = usages.scale
        for who in usages.changed:
            shares.set_used(*who, usages.known[who].used)
        usages.changed.clear()
