"""A whole farm on this machine: server, manager, workers and dashboard as child processes, started, watched, ended."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from brender.bus.address import free_ports
from brender.model.errors import BrenderError
from brender.store.datafolder import DataFolder

_START_SECONDS = 60.0
_STOP_SECONDS = 10.0
_NOT_FOR_CHILDREN = {
    "BRENDER_SERVER",
    "BRENDER_MANAGER",
    "BRENDER_MANAGER_NAME",
    "BRENDER_WORKER_NAME",
    "BRENDER_DATA",
    "BRENDER_CONFIG",
}


@dataclass
class Child:
    """One role's process, and how to start it again."""

    name: str
    arguments: list[str]
    process: subprocess.Popen[bytes]
    started: float
    restarts: int = 0


@dataclass
class FarmPlan:
    """What to start. ``any_ports``: on free ports that are chosen now and kept, instead of the roles' own."""

    folder: DataFolder
    workers: int
    any_ports: bool = False
    with_dashboard: bool = True
    blenders: Sequence[str] = ()
    threads: int | None = None
    config: Path | None = None
    only_job: str = ""
    """Render this job and no other that the data folder may know of."""
    notify: Callable[[str], None] = field(default=lambda text: None)


class LocalFarm:
    """Use it in a ``with`` statement: inside, the farm runs. Each role's own output goes to ``run/<role>.log``."""

    def __init__(self, plan: FarmPlan) -> None:
        self.plan = plan
        self.folder = plan.folder
        self.children: list[Child] = []
        self.dashboard_url = ""

    def __enter__(self) -> "LocalFarm":
        self.folder.make()
        (self.folder.root / "run").mkdir(exist_ok=True)
        try:
            self._start_all()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def check(self) -> None:
        """Start again what has died, later and later if it keeps dying, but not what left on purpose. Call it now and then."""
        for child in list(self.children):
            if child.process.poll() is None:
                continue
            if child.process.returncode == 0:
                self.plan.notify(f"{child.name} has left, as it was asked to")
                self.children.remove(child)
                continue
            if time.monotonic() - child.started > 60:
                child.restarts = 0
            if time.monotonic() - child.started < min(30.0, 0.5 * 2**child.restarts):
                continue
            self.plan.notify(f"{child.name} ended ({self._last_words(child.name)}) and is started again")
            fresh = self._spawn(child.name, child.arguments)
            child.process, child.started, child.restarts = fresh.process, fresh.started, child.restarts + 1

    def stop(self) -> None:
        """End all roles, workers first, so that each can still say goodbye to the next."""
        for group in ("worker", "manager", "dashboard", "server"):
            ending = [child for child in self.children if child.name.startswith(group)]
            for child in ending:
                if child.process.stdin is not None and not child.process.stdin.closed:
                    child.process.stdin.close()
            for child in ending:
                try:
                    child.process.wait(_STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    child.process.kill()
                    child.process.wait()
        self.children.clear()

    def _start_all(self) -> None:
        plan = self.plan
        ports = free_ports(8) if plan.any_ports else None
        # The server has its port and the three below it, the manager the ones on both sides of its own.
        server, manager, dashboard = (None, None, None) if ports is None else (ports + 3, ports + 5, ports + 7)
        to_server, to_manager = _address("--server", server), _address("--manager", manager)
        only = ["--only-job", plan.only_job] if plan.only_job else []
        waits = [
            self._start("server", ["server", *_port(server), *only], announces="server"),
            self._start("manager", ["manager", "--name", "manager", *_port(manager), *to_server], announces="manager-manager"),
        ]
        threads = self._threads()
        for number in range(1, plan.workers + 1):
            named = [word for path in plan.blenders for word in ("--blender", path)]
            self._start(
                f"worker-{number}", ["worker", "--name", f"worker-{number}", "--threads", str(threads), *to_manager, *named]
            )
        if plan.with_dashboard:
            waits.append(self._start("dashboard", ["dashboard", *_port(dashboard), *to_server], announces="dashboard"))
        for wait in waits:
            wait()
        self.dashboard_url = str((self.folder.announced("dashboard") or {}).get("url", ""))

    def _threads(self) -> int:
        """CPU threads for each render: what was asked for, else the cores, shared among the workers (0: all)."""
        if self.plan.threads is not None:
            return self.plan.threads
        return max(1, (psutil.cpu_count() or 1) // self.plan.workers) if self.plan.workers > 1 else 0

    def _start(self, name: str, arguments: list[str], announces: str = "") -> Callable[[], None]:
        """Start a role; returns what waits until it has announced itself as *announces*.

        Where its ports are its own, others find it by what it announces, so that is waited for at once.
        """
        child = self._spawn(name, arguments)
        self.children.append(child)
        if announces and not self.plan.any_ports:
            self._await(child, announces)
        return lambda: self._await(child, announces)

    def _await(self, child: Child, announces: str) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            facts = self.folder.announced(announces)
            if facts is not None and facts.get("pid") == child.process.pid:
                return
            if child.process.poll() is not None:
                raise BrenderError(f"brender-{child.name} did not start: {self._last_words(child.name)}")
            if time.monotonic() > deadline:
                raise BrenderError(
                    f"brender-{child.name} did not start within {_START_SECONDS:.0f} seconds; see {self._log(child.name)}"
                )
            time.sleep(0.02)

    def _spawn(self, name: str, arguments: list[str]) -> Child:
        command = [
            sys.executable,
            "-m",
            "brender.commands.main",
            "role",
            *arguments,
            "--data",
            str(self.folder.root),
            "--lifeline",
        ]
        if self.plan.config is not None:
            command += ["--config", str(self.plan.config)]
        # Ctrl-C at the terminal is for this program, which ends the others in order.
        apart: dict[str, Any] = {"creationflags": 0x200} if os.name == "nt" else {"process_group": 0}
        # Names and addresses that the environment gives to roles started by hand are not for these.
        env = {name: value for name, value in os.environ.items() if name not in _NOT_FOR_CHILDREN}
        with self._log(name).open("wb") as log:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=env, **apart)
        return Child(name, arguments, process, time.monotonic())

    def _log(self, name: str) -> Path:
        return self.folder.root / "run" / f"{name}.log"

    def _last_words(self, name: str) -> str:
        lines = self._log(name).read_text("utf-8", "replace").strip().splitlines()
        return lines[-1].removeprefix("Error: ") if lines else f"it said nothing; see {self._log(name)}"


def _port(port: int | None) -> list[str]:
    return [] if port is None else ["--port-base", str(port)]


def _address(option: str, port: int | None) -> list[str]:
    return [] if port is None else [option, f"127.0.0.1:{port}"]
