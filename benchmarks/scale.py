"""A server with very many workers, jobs and tasks, and with a very long job.

    python -m benchmarks.scale [--quick]

- 10,000 simulated workers behind 20 simulated managers, over real sockets to a real server: each worker with a heartbeat every
  five seconds and tasks of 30 seconds. What the server uses of one core, and how many workers it falsely calls lost.
- The submit of a job of 1,000,000 frames: seconds until it is answered, and the server's memory at its peak.
"""

import heapq
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import Any

import psutil
import zmq

from benchmarks.localroles import Roles, until
from benchmarks.report import arguments, report
from brender.api.jobspec import command_job
from brender.bus.address import free_ports
from brender.bus.client import Client
from brender.bus.ids import new_id
from brender.bus.keys import Credentials, new_pair, read_pair
from brender.bus.messages import (
    AnyReport,
    Beat,
    Beats,
    Completed,
    Grants,
    Hello,
    Joined,
    PartDone,
    Ping,
    Pong,
    Recall,
    Recalled,
    Received,
    Renew,
    Reports,
    Started,
    Welcome,
    WhoAreYou,
)
from brender.bus.transport import Socket
from brender.model.grant import Grant
from brender.model.keys import proof_key, proof_of
from brender.model.nodes import Stats, WorkerInfo
from brender.store.datafolder import DataFolder

TASK_SECONDS, BEAT_SECONDS, RENEW_SECONDS = 30.0, 5.0, 7.5


class SimulatedWorker:
    """A slot that takes `TASK_SECONDS` for each grant."""

    def __init__(self, number: int) -> None:
        self.info = WorkerInfo(
            id=new_id(),
            incarnation=1,
            name=f"w{number}",
            host="simulated",
            cores=8,
            job_types=frozenset({"command"}),
            programs=frozenset({"*"}),
        )
        self.waiting: deque[Grant] = deque()
        self.running: Grant | None = None
        self.known: set[str] = set()


class SimulatedManager:
    """A manager and its workers: just enough of both for the server not to tell the difference."""

    def __init__(self, context: Any, admin: Client, master: str, number: int, workers: int) -> None:
        """*admin* admits its key and its workers'; *master* is the server's secret, by which their proofs are made here."""
        self.id = new_id()
        self.name = f"m{number}"
        server, own = admin.addresses, new_pair()
        admin.manage("admit", role="manager", name=self.name, node=self.id, public=own.public)
        keys = Credentials(own, server.key)
        self.workers = {worker.info.id: worker for worker in (SimulatedWorker(number * workers + n) for n in range(workers))}
        self.proofs: dict[str, str] = {}
        for worker in self.workers.values():
            public, info = new_pair().public, worker.info
            admin.manage("admit", role="worker", name=info.name, node=info.id, public=public)
            self.proofs[info.id] = proof_of(proof_key(master, public), info.id, info.registration, own.public)
        self.socket = Socket(context, zmq.DEALER, self.name, keys)
        self.beats = Socket(context, zmq.PUB, self.name, keys)
        self.socket.connect(server.control)
        self.beats.connect(server.stats)
        self._due: list[tuple[float, str]] = []
        self._renewed = self._beat = 0.0
        self._sequence = 0

    def hello(self) -> None:
        hello = Hello(node=self.id, incarnation=1, role="manager", name=self.name, host="simulated", software="simulated")
        self.socket.send(hello)

    def round(self, now: float) -> None:
        for received in self.socket.drain():
            match received.message:
                case Welcome():
                    for worker in self.workers.values():
                        self.socket.send(Joined(worker=worker.info, term=f"{self.id}.1", proof=self.proofs[worker.info.id]))
                case WhoAreYou():
                    self.hello()
                case Ping():
                    self.socket.send(Pong())
                case Grants(grants=grants):
                    self._take(grants, now)
                case Recall(worker=worker, attempts=attempts):
                    self._give_back(self.workers[worker], attempts)
        while self._due and self._due[0][0] <= now:
            self._finish(self.workers[heapq.heappop(self._due)[1]], now)
        if now - self._renewed > RENEW_SECONDS:
            self._renewed = now
            self.socket.send(Renew(sent=now, workers=tuple(self.workers)))
        if now - self._beat > BEAT_SECONDS:
            self._beat = now
            self._sequence += 1
            stats = Stats(cpu_percent=50.0, load=4.0, memory_used=2**33, memory_total=2**34, disk_free=2**38)
            beats = tuple(Beat(node=id, incarnation=1, sequence=self._sequence, stats=stats) for id in self.workers)
            self.beats.send(Beats(manager=self.id, incarnation=1, sequence=self._sequence, stats=stats, workers=beats), topic="")

    def _take(self, grants: tuple[Grant, ...], now: float) -> None:
        for grant in grants:
            worker = self.workers[grant.worker]
            self.socket.send(Received(worker=grant.worker, attempts=(grant.attempt,)))
            if grant.attempt not in worker.known:
                worker.known.add(grant.attempt)
                worker.waiting.append(grant)
                self._start(worker, now)

    def _start(self, worker: SimulatedWorker, now: float) -> None:
        if worker.running is None and worker.waiting:
            worker.running = worker.waiting.popleft()
            heapq.heappush(self._due, (now + TASK_SECONDS, worker.info.id))
            self._report(worker, Started(attempt=worker.running.attempt, number=1))

    def _finish(self, worker: SimulatedWorker, now: float) -> None:
        assert worker.running is not None
        grant, worker.running = worker.running, None
        done = PartDone(attempt=grant.attempt, number=2, part=grant.parts[0].id, seconds=TASK_SECONDS)
        self._report(worker, done, Completed(attempt=grant.attempt, number=3, seconds=TASK_SECONDS))
        self._start(worker, now)

    def _give_back(self, worker: SimulatedWorker, attempts: tuple[str, ...]) -> None:
        for attempt in attempts:
            if any(grant.attempt == attempt for grant in worker.waiting):
                worker.waiting = deque(grant for grant in worker.waiting if grant.attempt != attempt)
                self._report(worker, Recalled(attempt=attempt, number=1))

    def _report(self, worker: SimulatedWorker, *reports: AnyReport) -> None:
        self.socket.send(Reports(worker=worker.info.id, reports=reports))


def many_workers(managers: int, workers: int, seconds: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        farm = Roles(Path(folder), free_ports(9), 0)
        farm.start("server")
        context: Any = zmq.Context()
        master = read_pair(DataFolder(Path(folder)).server_key).secret
        try:
            with farm.client() as client:
                until(lambda: client.ask("change") is not None)
                simulated = [SimulatedManager(context, client, master, number, workers // managers) for number in range(managers)]
                client.submit(command_job(("true",), {"frames": f"1-{workers * 8}"}, "many"))
                for manager in simulated:
                    manager.hello()
                _simulate(simulated, TASK_SECONDS * 1.5)
                process = psutil.Process(farm.processes["server"].pid)
                before, began = process.cpu_times(), time.monotonic()
                _simulate(simulated, seconds)
                after, took = process.cpu_times(), time.monotonic() - began
                used = (after.user + after.system - before.user - before.system) / took
                (job,) = client.ask("jobs")
                lost = sum(row["action"] == "worker-left" for row in client.ask("activity", limit=10_000))
                running = sum(
                    manager_worker.running is not None for each in simulated for manager_worker in each.workers.values()
                )
                report(f"server, {workers} workers behind {managers} managers, 30 s tasks", used, "of one core")
                report("of these, running a task at the end", running, "workers")
                report("workers falsely called lost", lost, "workers")
                report("tasks completed meanwhile", job["completed_parts"], "tasks")
        finally:
            context.destroy(linger=0)
            farm.processes["server"].kill()
            farm.processes["server"].wait()


def _simulate(managers: list[SimulatedManager], seconds: float) -> None:
    end = time.monotonic() + seconds
    while (now := time.monotonic()) < end:
        for manager in managers:
            manager.round(now)
        time.sleep(0.02)


def long_job(frames: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        farm = Roles(Path(folder), free_ports(9), 0)
        farm.start("server")
        try:
            with farm.client() as client:
                until(lambda: client.ask("change") is not None)
                began = time.monotonic()
                spec = command_job(("true",), {"frames": f"1-{frames}"}, "long")
                client.submit(spec)
                report(f"submit of a job of {frames} frames", time.monotonic() - began, "s")
                time.sleep(2.0)
                status = Path(f"/proc/{farm.processes['server'].pid}/status").read_text()
                peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
                report("server's memory at its peak, with that job", peak / 1024, "MiB")
        finally:
            farm.processes["server"].kill()
            farm.processes["server"].wait()


def main() -> None:
    quick = arguments(__doc__.splitlines()[0]).quick
    if Path("/proc/self/status").exists():
        long_job(1_000_000)
    if quick:
        many_workers(managers=4, workers=400, seconds=10.0)
    else:
        many_workers(managers=20, workers=10_000, seconds=90.0)


if __name__ == "__main__":
    main()
