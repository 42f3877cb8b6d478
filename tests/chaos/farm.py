"""The farm that chaos is made in: one server, two managers, six workers, each link between them through a `Link`."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import psutil

from benchmarks.localroles import client_of
from brender.bus.address import Address, free_ports
from brender.bus.client import Client
from brender.store.backup import back_up
from tests.chaos.links import Link
from tests.tools import as_ordinary_user, invite, terminate

MANAGERS, WORKERS = 2, 6
LEASE_SECONDS = 6


class ChaosFarm:
    """Roles by name, and the links by the names of their lower ends. Each role's output goes to *folder*.
    *database*: where its record is, if that is not in its data folder."""

    def __init__(self, folder: Path, database: str = "") -> None:
        self.folder = folder
        self.database = database
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.stopped: dict[str, float] = {}
        """Roles that a SIGSTOP holds, and until when (monotonic)."""
        self.down: dict[str, float] = {}
        """Roles that were killed, and when they are started again."""
        self.links: dict[str, list[Link]] = {}
        self.ports: dict[str, int] = {}
        self.tokens: dict[str, str] = {}
        first = free_ports(5 * (2 + MANAGERS + WORKERS) * 4)
        taken = iter(range(first, first + 500, 5))
        # A role's control port lies in the middle of its others: four below (server), one on each side (manager).
        self.ports["server"] = next(taken) + 4
        for number in range(MANAGERS):
            name = f"manager-{number}"
            self.ports[name] = next(taken) + 1
            self.ports[f"{name}→server"] = next(taken) + 4
            self._link(name, self.ports[f"{name}→server"], self.ports["server"], (0, -1, -2, -3, -4))
        self.ports["client→server"] = next(taken) + 4
        self._link("client", self.ports["client→server"], self.ports["server"], (0, -1, -2, -3, -4))
        for number in range(WORKERS):
            for manager in range(MANAGERS):
                way = f"worker-{number}→manager-{manager}"
                self.ports[way] = next(taken) + 1
                self._link(f"worker-{number}", self.ports[way], self.ports[f"manager-{manager}"], (0, 1, -1))

    @property
    def names(self) -> list[str]:
        managers = [f"manager-{number}" for number in range(MANAGERS)]
        return ["server", *managers, *(f"worker-{number}" for number in range(WORKERS))]

    def client(self) -> Client:
        """Return a client of the server, as soon as that listens."""
        return client_of(Address("127.0.0.1", self.ports["server"]), self.folder / "server", timeout=60)

    def start(self, name: str) -> None:
        # Not as one who may use every folder, whatever its rights.
        command = [*as_ordinary_user(), sys.executable, "-m", "brender.commands.main", "role", *self._arguments(name)]
        kind = name.partition("-")[0]
        if kind != "server" and kind not in self.tokens:
            self.tokens[kind] = invite(kind, self.folder / "server", uses=100)
        joining = {"BRENDER_JOIN": self.tokens[kind]} if kind != "server" else {}
        with (self.folder / f"{name}.log").open("ab") as log:
            # A group of its own: this is not a terminal's, and whoever is left in it at the end is an orphan.
            self.processes[name] = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, process_group=0, env=os.environ | joining
            )

    def kill(self, name: str, again_after: float) -> bool:
        """``kill -9``; whether it ran."""
        process = self.processes.get(name)
        if process is None or name in self.down or process.poll() is not None:
            return False
        process.kill()
        process.wait()
        self.stopped.pop(name, None)
        self.down[name] = time.monotonic() + again_after
        return True

    def pause(self, name: str, seconds: float) -> None:
        """SIGSTOP, and SIGCONT after *seconds*."""
        if name not in self.down and name not in self.stopped:
            os.kill(self.processes[name].pid, signal.SIGSTOP)
            self.stopped[name] = time.monotonic() + seconds

    def record(self) -> sqlite3.Connection:
        """Return the record as SQLite has it: of one that is in PostgreSQL, a backup."""
        where = self.folder / "server" / "farm.db"
        if self.database and not where.exists():
            back_up(self.database, where)
        return sqlite3.connect(where)

    def mend(self, everything: bool = False) -> None:
        """Start, or let go on, what it is time for."""
        now = time.monotonic()
        for name in [name for name, until in self.down.items() if everything or until <= now]:
            del self.down[name]
            self.start(name)
        for name in [name for name, until in self.stopped.items() if everything or until <= now]:
            del self.stopped[name]
            os.kill(self.processes[name].pid, signal.SIGCONT)
        for name, process in self.processes.items():
            if name not in self.down and process.poll() is not None:
                raise AssertionError(f"{name} ended by itself: {(self.folder / f'{name}.log').read_text()[-2000:]}")

    def end(self) -> list[str]:
        """End every role, workers first; returns the command lines of processes that are left although they should not be."""
        below = [each for process in self.processes.values() for each in _tree(process.pid)]
        for name in reversed(self.names):
            try:
                terminate(self.processes[name])
            except subprocess.TimeoutExpired:
                return [f"{name} did not end"]
        for links in self.links.values():
            for link in links:
                link.close()
        _, left = psutil.wait_procs(below, timeout=10)
        return [" ".join(each.cmdline()) for each in [*left, *_render_processes(self.folder)] if each.is_running()]

    def _link(self, name: str, port: int, target: int, offsets: tuple[int, ...]) -> None:
        self.links.setdefault(name, []).extend(Link(port + offset, target + offset) for offset in offsets)

    def _arguments(self, name: str) -> list[str]:
        kind, _, number = name.partition("-")
        data = ["--data", str(self.folder / kind)]
        listen = ["--listen", f"127.0.0.1:{self.ports.get(name, 0)}"]
        lease = ["--lease", str(LEASE_SECONDS)]
        if kind == "server":
            return ["server", *listen, *lease, *data, *(["--database", self.database] if self.database else [])]
        if kind == "manager":
            return ["manager", "--name", name, *listen, *lease, "--server", f"127.0.0.1:{self.ports[f'{name}→server']}", *data]
        # Every other worker turns to the other manager first.
        order = range(MANAGERS) if int(number) % 2 == 0 else reversed(range(MANAGERS))
        managers = ",".join(f"manager-{manager}@127.0.0.1:{self.ports[f'{name}→manager-{manager}']}" for manager in order)
        return [
            "worker",
            "--name",
            name,
            "--manager",
            managers,
            "--threads",
            "1",
            "--allow-program",
            "*",
            "--least-free",
            "1",
            *data,
        ]


def _tree(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


def _render_processes(folder: Path) -> list[psutil.Process]:
    """Whatever runs with *folder* in its environment or its command line and is none of the roles."""
    found = []
    for each in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            is_drive = "tests.hanging" in each.cmdline()
            if each.pid != os.getpid() and not is_drive and str(folder) in " ".join([*each.cmdline(), each.cwd()]):
                found.append(each)
    return found
