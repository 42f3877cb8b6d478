"""What a round of the server's decisions costs on a large farm: who gets what, what is asked back, and why not.

    python -m benchmarks.rounds [--quick] [--before FOLDER]

10,000 workers of 50 kinds, half of which may use some folders only; 5,000 open jobs of many priorities and requirements, each
with a folder of its own; 1,000,000 tasks of 30 seconds; 100 users of 20 projects, with weights, limits, a licence and pools. The
server's core alone, on a clock of its own, with each message that the workers would send. Measured are the milliseconds of the
processor that a round's decisions take, explanations included, in a farm

- that has just been switched on, so that all workers are idle;
- at work;
- in which nothing has changed;
- to which an urgent job of 20,000 tasks was submitted;
- of which a tenth of the workers went away and came back;
- with 1,000 jobs more that nobody can run.

The server begins a round as soon as something has arrived. At this rate something always has, so that one round follows the
other as fast as decisions and commits are made, which here is every 20 ms. "At work, late": each round has what arrived in 100
ms, as after a slow commit.

``--before``: a checkout of an earlier version. Both are measured, in turn, with smaller numbers.
"""

import argparse
import gc
import itertools
import os
import random
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.report import report
from brender.api.jobspec import command_job
from brender.bus.messages import Completed, Hello, Joined, Left, PartDone, Recall, Recalled, Received, Reports, Started, Submit
from brender.bus.messages import Grants as GrantsMessage
from brender.model.grant import Grant
from brender.model.keys import KeyRole
from brender.model.nodes import WorkerInfo
from brender.roles.effects import Now, Peer, Send
from brender.roles.policy import Policy
from brender.roles.server import collection
from brender.roles.server.core import ServerCore

try:
    from brender.farm.farm import Farm
except ImportError:  # an earlier version (--before)
    from brender.roles.server.state import Farm

try:
    from brender.model.quotas import Quota
    from brender.model.sharing import Sharing
except ImportError:  # an earlier version (--before)
    Quota = Sharing = None

#: Workers, open jobs, tasks.
LARGE, SMALL = (10_000, 5_000, 1_000_000), (1_000, 500, 20_000)
TASK_SECONDS, ROUND_SECONDS, LATE_SECONDS = 30.0, 0.02, 0.1
POOLS, PROGRAMS = 10, 5
USERS, PROJECTS = 100, 20
CLIENT = Peer("local", b"client", key=KeyRole.ADMIN)
MANAGER = Peer("local", b"manager", "m" * 16, "manager", key=KeyRole.MANAGER)


#: What the server does after each round; an earlier version (--before) let Python choose the moments.
_collect: Callable[[], None] = getattr(collection, "collect_a_step", lambda: None)


class SimulatedFarm:
    """The server's core, and workers that do what they are granted on the clock ``now``."""

    def __init__(self, workers: int, seed: int = 1) -> None:
        self.chance = random.Random(seed)
        self.now = 1000.0
        numbers = itertools.count(1)
        self.core = ServerCore("5e" * 8, "server", "3", Policy(lease=1e9, suspicion=1e9), lambda: f"{next(numbers):016x}", Farm())
        self.spent = 0.0
        """Seconds of decisions in the present round."""
        dispatch: Any = self.core.dispatch
        dispatch.dispatch = self._timed(dispatch.dispatch)
        dispatch.explanations.explain = self._timed(dispatch.explanations.explain)
        self.granted = 0
        self._held: dict[str, deque[Grant]] = {}
        self._due: list[tuple[float, str, Grant]] = []
        self._running: dict[str, Grant] = {}
        self._sent: deque[Any] = deque()
        self._handle(Hello(node=MANAGER.node, incarnation=1, role="manager", name="m", host="h", software="3"))
        self.infos = {info.id: info for info in (self._info(number) for number in range(workers))}

    def _info(self, number: int) -> WorkerInfo:
        pool, program = number % POOLS, number // POOLS % PROGRAMS
        return WorkerInfo(
            id=f"{number:016x}",
            incarnation=1,
            name=f"w{number}",
            platform="Linux",
            tags=frozenset({f"pool-{pool}", f"machine-{number}"}),
            job_types=frozenset({"command"}),
            programs=frozenset(f"program-{each}" for each in range(program + 1)),
            folders=(f"/shows/{pool}", f"/shows/{program}") if pool % 2 else (),
            **({"pool": f"pool {pool}"} if Sharing is not None else {}),
        )

    def join(self) -> None:
        for info in self.infos.values():
            if info.id not in self._held:
                self._held[info.id] = deque()
                self._handle(Joined(worker=info, term=f"m.{self.now}"))

    def leave(self, workers: list[str]) -> None:
        for worker in workers:
            del self._held[worker]
            self._running.pop(worker, None)
            self._handle(Left(worker=worker, reason="was switched off"))

    def submit(self, tasks: int, **more: Any) -> None:
        program = f"program-{self.chance.randrange(PROGRAMS)}"
        pool = (f"pool-{self.chance.randrange(POOLS)}",) if self.chance.random() < 0.7 else ()
        fields = {"tags": pool, "priority": self.chance.choice([30, 50, 50, 50, 70])} | more
        job = command_job((program,), {"frames": f"1-{tasks}", "chunk": 1}, "job", **fields)
        folder = f"/shows/{self.chance.randrange(POOLS)}/{job.id}"
        self._handle(
            Submit(id="0" * 16, job=msgspec.structs.replace(job, output="" if "tags" in more else folder, **self._sharing()))
        )

    def _sharing(self) -> dict[str, Any]:
        """Return whose a job is, and how it shares the farm: users, projects, pools and limits by chance."""
        who = {"user": f"user {self.chance.randrange(USERS)}", "project": f"project {self.chance.randrange(PROJECTS)}"}
        if Sharing is None:
            return who
        pool = f"pool {self.chance.randrange(POOLS)}" if self.chance.random() < 0.3 else ""
        most, licences = self.chance.choice([0, 0, 0, 50]), ("nuke",) if self.chance.random() < 0.05 else ()
        return who | {"sharing": Sharing(most_workers=most, licences=licences, pool=pool)}

    def limit(self) -> None:
        """Give weights and limits to some, where the version has them."""
        usages = getattr(self.core.farm, "usages", None)
        if usages is not None:
            usages.set_quota("licence", "nuke", Quota(most=100))
            for number in range(0, USERS, 4):
                usages.set_quota("user", f"user {number}", Quota(weight=2.0, most=len(self.infos) // 20))

    def plan(self) -> None:
        """Until all tasks are in memory."""
        now = self._at()
        while any(job.planned < job.task_count and job.queued < 4000 for job in self.core.farm.jobs.values()):
            self.core.planning.plan(now)
        self.core._effects.clear()
        self._record()

    def round(self, after: float = ROUND_SECONDS) -> float:
        """Let the workers go on for so many seconds, and the server decide; returns the seconds of that."""
        self.now += after
        while self._due and self._due[0][0] <= self.now:
            _, worker, grant = heappop(self._due)
            if self._running.get(worker) is grant:
                done = PartDone(attempt=grant.attempt, number=2, part=grant.parts[0].id, seconds=TASK_SECONDS)
                self._report(worker, done, Completed(attempt=grant.attempt, number=3, seconds=TASK_SECONDS))
                del self._running[worker]
                self._start_next(worker)
        self.spent = 0.0
        self._take(self.core.tick(self._at()))
        self._record()
        while self._sent:
            self._receive(self._sent.popleft())
        _collect()
        return self.spent

    # --- inside -----------------------------------------------------------------------------------------------------------

    def _record(self) -> None:
        """Take what the store would write."""
        if (ledger := getattr(self.core.farm, "ledger", None)) is not None:
            ledger.take()

    def _timed(self, call: Callable[[Now], None]) -> Callable[[Now], None]:
        def timed(now: Now) -> None:
            began = time.thread_time()
            call(now)
            self.spent += time.thread_time() - began

        return timed

    def _at(self) -> Now:
        return Now(self.now, self.now)

    def _handle(self, message: Any) -> None:
        self._take(self.core.handle(CLIENT if isinstance(message, Submit) else MANAGER, message, self._at()))

    def _take(self, effects: list[Any]) -> None:
        self._sent.extend(effect.message for effect in effects if isinstance(effect, Send))

    def _receive(self, message: Any) -> None:
        if isinstance(message, GrantsMessage):
            for grant in message.grants:
                self.granted += 1
                self._handle(Received(worker=grant.worker, attempts=(grant.attempt,)))
                self._held[grant.worker].append(grant)
                self._start_next(grant.worker)
        elif isinstance(message, Recall):
            held = self._held[message.worker]
            back = [grant.attempt for grant in held if grant.attempt in message.attempts]
            self._held[message.worker] = deque(grant for grant in held if grant.attempt not in back)
            self._report(message.worker, *(Recalled(attempt=attempt, number=1) for attempt in back))

    def _start_next(self, worker: str) -> None:
        if worker not in self._running and self._held[worker]:
            grant = self._running[worker] = self._held[worker].popleft()
            heappush(self._due, (self.now + TASK_SECONDS * self.chance.uniform(0.5, 1.5), worker, grant))
            self._report(worker, Started(attempt=grant.attempt, number=1))

    def _report(self, worker: str, *reports: Any) -> None:
        if reports:
            self._handle(Reports(worker=worker, reports=reports))


def phases(workers: int, jobs: int, tasks: int) -> Iterator[tuple[str, list[float]]]:
    """Yield the seconds of the rounds of each phase."""
    farm = SimulatedFarm(workers)
    farm.limit()
    for _ in range(jobs):
        farm.submit(tasks // jobs)
    farm.plan()
    farm.join()
    collection.collect_in_steps()  # as the server does
    rounds = [farm.round()]
    while farm.granted < workers and len(rounds) < 500:
        rounds.append(farm.round())
    yield "switched on", rounds
    for _ in range(int(TASK_SECONDS * 1.5 / LATE_SECONDS)):
        farm.round(LATE_SECONDS)
    yield "at work, late", [farm.round(LATE_SECONDS) for _ in range(300)]
    yield "at work", [farm.round() for _ in range(1000)]
    farm.submit(workers * 2, priority=90, tags=())
    farm.plan()
    yield "an urgent job", [farm.round() for _ in range(1000)]
    some = list(farm.infos)[::10]
    farm.leave(some)
    rounds = [farm.round() for _ in range(100)]
    farm.join()
    yield "a tenth of the workers went and came", rounds + [farm.round() for _ in range(900)]
    for _ in range(jobs // 5):
        farm.submit(1, tags=("nobody-has-it",))
    yield "jobs that nobody can run", [farm.round() for _ in range(1000)]
    farm._due.clear()
    for _ in range(100):
        farm.round(LATE_SECONDS)
    yield "nothing has changed", [farm.round() for _ in range(1000)]


def measure(size: tuple[int, int, int]) -> dict[str, dict[str, float]]:
    """Return the milliseconds of a round, by phase: p50, p99 and the longest."""
    gc.set_threshold(100_000, 20, 20)  # while the farm is made: the server plans slice by slice, and that is not measured here
    found = {}
    for phase, rounds in phases(*size):
        ordered = sorted(seconds * 1e3 for seconds in rounds)
        found[phase] = {
            "p50": ordered[len(ordered) // 2],
            "p99": ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))],
            "longest": ordered[-1],
        }
    return found


def report_all(size: tuple[int, int, int]) -> None:
    """Print the figures of a farm with so many workers, jobs and tasks."""
    workers, jobs, tasks = size
    what = f"{workers} workers of {POOLS * PROGRAMS} kinds, {jobs} jobs, {tasks} tasks"
    for phase, figures in measure(size).items():
        for name, value in figures.items():
            report(f"decisions of a round, {phase}, {name}", value, "ms", what)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a short run: enough to see that it works")
    parser.add_argument("--before", type=Path, help="a checkout of an earlier version, measured too, both with smaller numbers")
    options = parser.parse_args()
    if options.before:
        command = [sys.executable, __file__, "--quick"]
        print(f"# before: {options.before}", flush=True)
        subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": str(options.before)})
        print("# now", flush=True)
    report_all(SMALL if options.quick or options.before else LARGE)


if __name__ == "__main__":
    main()
