"""A farm for benchmarks: one server, managers and no-op workers, each a process of its own, on free ports of this machine."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from brender.api.jobspec import command_job
from brender.bus.address import Address, free_ports
from brender.bus.client import Client
from brender.bus.keys import kept_pair
from brender.commands.options import client
from brender.model.errors import Unreachable
from brender.store.datafolder import DataFolder

_WAIT_SECONDS = 120.0


@dataclass
class Roles:
    """The processes by name, and how to start each."""

    folder: Path
    first: int
    workers: int
    armed: bool = True
    links: bool = True
    """Files go to roles on this machine by links."""
    metrics: bool = False
    """Server, manager and workers show their metrics."""
    database: str = ""
    """Where the server keeps its record; "": in its folder."""
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for key in (DataFolder(self.folder).server_key, DataFolder(self.folder).local_key):
            kept_pair(key)  # the others look for them, perhaps before the server does

    @property
    def server(self) -> Address:
        return Address("127.0.0.1", self.first + 4)

    def metrics_port(self, name: str) -> int:
        """Return where the role *name* shows its metrics."""
        return self.first + 9 + (("server", "manager").index(name) if name in ("server", "manager") else 2 + int(name[7:]))

    @property
    def metrics_ports(self) -> list[int]:
        return [self.metrics_port(name) for name in self.processes]

    def command(self, name: str) -> list[str]:
        page = ["--metrics", f"127.0.0.1:{self.metrics_port(name)}"] if self.metrics else []
        return [*self._command(name), *page]

    def _command(self, name: str) -> list[str]:
        server, manager = self.server, f"127.0.0.1:{self.first + 6}"
        data = str(self.folder)
        role = ["-m", "brender.commands.main" if self.armed else "benchmarks.plain", "role"]
        links = [] if self.links else ["--no-link-files"]
        if name == "server":
            kept = ["--database", self.database] if self.database else []
            return [*role, "server", *links, *kept, "--listen", str(server), "--data", data]
        if name == "manager":
            return [*role, "manager", *links, "--name", "m", "--listen", manager, "--server", str(server), "--data", data]
        return [
            "-m",
            "benchmarks.noop",
            *([] if self.armed else ["--plain"]),
            "--data",
            data,
            "--manager",
            manager,
            "--name",
            name,
        ]

    def start(self, name: str) -> None:
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.processes[name] = subprocess.Popen([sys.executable, *self.command(name)], **quiet)

    def client(self) -> Client:
        """Return a client of the server, as soon as that listens."""
        return client_of(self.server, self.folder, timeout=30)

    def run(self, client: Client, tasks: int) -> float:
        """Submit *tasks* no-op tasks; returns the seconds from submit to recorded-complete, by the server's record."""
        spec = command_job(("true",), {"frames": f"1-{tasks}"}, "no-op")
        client.submit(spec)
        record = until(lambda: _ended(client, spec.id), look=0.25)
        return float(record["finished"] - record["submitted"])


def client_of(server: Address, folder: Path, timeout: float) -> Client:
    """Return a client, with the key in *folder*, of the server at that address, as soon as that listens."""

    def connected() -> Client | None:
        try:
            return client(str(server), folder, timeout)
        except Unreachable:
            return None

    found: Client = until(connected)
    return found


def until(what: Callable[[], Any], look: float = 0.02, seconds: float = _WAIT_SECONDS) -> Any:
    """Wait until *what* gives something true, looking every *look* seconds, at most *seconds*; returns that."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        if time.monotonic() > deadline:
            raise SystemExit("what the benchmark waits for never came true")
        time.sleep(look)
    return found


@contextlib.contextmanager
def roles(folder: Path, workers: int, armed: bool = True, metrics: bool = False, database: str = "") -> Iterator[Roles]:
    """The farm, ready to work; ended when the block is. *armed*: with keys, as always; else this process has none either.
    *metrics*: its roles show their metrics. *database*: where its record is kept."""
    ports = free_ports(9 + (workers + 2 if metrics else 0))
    farm = Roles(folder, ports, workers, armed, metrics=metrics, database=database)
    try:
        for name in ("server", "manager", *(f"worker-{number}" for number in range(workers))):
            farm.start(name)
        with farm.client() as connection:
            until(lambda: sum(row["status"] == "idle" for row in connection.ask("workers")) >= workers, look=0.1)
            farm.run(connection, 100)  # what is only slow the first time
        yield farm
    finally:
        for process in farm.processes.values():
            process.kill()
        for process in farm.processes.values():
            process.wait()


def _ended(client: Client, job: str) -> dict[str, Any] | None:
    record: dict[str, Any] = client.ask("job", id=job)
    return record if record["finished"] else None
