"""A whole farm on this machine: server, manager, workers and dashboard as child processes, started, watched, ended."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from brender.bus.address import OTHER_PORTS, free_ports
from brender.bus.keys import kept_pair
from brender.commands.children import Child, Children
from brender.commands.options import client
from brender.model.errors import BrenderError, Conflict
from brender.store.datafolder import KEEPER, DataFolder
from brender.system.processes import is_process_of

_START_SECONDS = 60.0


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
    """Render this job and no other that the data folder may know of, but for renders that are begun after it."""
    command: str = "brender farm"
    """What runs the farm, for those who find the folder in use."""
    notify: Callable[[str], None] = field(default=lambda text: None)


class LocalFarm:
    """Use it in a ``with`` statement: inside, the farm runs. Each role's own output goes to ``run/<role>.log``."""

    def __init__(self, plan: FarmPlan) -> None:
        self.plan = plan
        self.folder = plan.folder
        self._children = Children(plan.folder, plan.config, plan.notify)
        self.dashboard_url = self._setup_url = ""

    @property
    def children(self) -> list[Child]:
        return self._children.all

    def __enter__(self) -> "LocalFarm":
        self.folder.make()
        self._claim()
        try:
            self._start_all()
        except BaseException as end:
            if isinstance(end, KeyboardInterrupt):  # what has started takes seconds to end
                self.plan.notify("Interrupted: what has started is being stopped. A second Ctrl-C ends it at once")
            self.stop()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def link(self, path: str = "", to_look: bool = False) -> str:
        """Return the address of the dashboard's page at *path*. As long as there are no users, it is the link that makes the
        first one and then leads there; or with *to_look* one that shows the page at once, to a guest who can change nothing."""
        with client(None, self.folder.root) as connection:
            users = connection.ask("about")["users"]
        first = self._setup_url.replace("setup?", "look?", 1) if to_look else self._setup_url
        return self.dashboard_url + path if users else f"{first}&next=/{path}"

    def check(self) -> None:
        """Start again what has died. Call it now and then."""
        self._children.check()

    def stop(self) -> None:
        """End all roles, workers first, so that each can still say goodbye to the next."""
        self.folder.withdraw(KEEPER)
        for group in ("worker", "manager", "dashboard", "server"):
            self._children.end([child for child in self.children if child.name.startswith(group)])

    def kill(self) -> None:
        """End all roles at once."""
        for child in self.children:
            child.process.kill()

    def _claim(self) -> None:
        """Take the data folder for this farm. Raises `Conflict`, at once, where another server uses it."""
        try:
            self._children.keep_server()
            self.folder.lock("server").release()
        except Conflict as error:
            self._children.end([])  # gives its place back
            raise Conflict(
                f"{self.folder.server_in_words()}. Stop it first (Ctrl-C in its terminal), or run a farm beside it, with other "
                "ports: `brender farm --data OTHER-FOLDER --any-ports`"
            ) from error
        self.folder.announce(KEEPER, command=self.plan.command)

    def _start_all(self) -> None:
        plan = self.plan
        ports = free_ports(9) if plan.any_ports else None
        # The server has its port and the four below it, the manager the ones on both sides of its own.
        server, manager, dashboard = (None, None, None) if ports is None else (ports + 4, ports + 6, ports + 8)
        for key in (self.folder.server_key, self.folder.local_key, self.folder.dashboard_key):
            kept_pair(key)  # the others look for them, perhaps before the server does
        to_server, to_manager = _address("--server", server), _address("--manager", manager)
        only = ["--only-job", plan.only_job, "--only-workers", str(plan.workers)] if plan.only_job else []
        waits = [
            self._start("server", ["server", *_port(server), *only], announces="server"),
            self._start("manager", ["manager", "--name", "manager", *_port(manager), *to_server], announces="manager-manager"),
        ]
        threads = self._threads()
        for number in range(1, plan.workers + 1):
            named = [word for path in plan.blenders for word in ("--blender", path)]
            # Its workers belong to the one who started the farm, and who gives out its tokens.
            named += ["--allow-program", "*", "--accept-trusted"]
            if number > 1:  # an address that the settings file names is for one worker
                named += ["--metrics", ""]
            self._start(
                f"worker-{number}", ["worker", "--name", f"worker-{number}", "--threads", str(threads), *to_manager, *named]
            )
        if plan.with_dashboard:
            waits.append(self._start("dashboard", ["dashboard", *_port(dashboard), *to_server], announces="dashboard"))
        for wait in waits:
            wait()
        facts = self.folder.announced("dashboard") or {}
        self.dashboard_url, self._setup_url = str(facts.get("url", "")), str(facts.get("setup", ""))

    def _threads(self) -> int:
        """CPU threads for each render: what was asked for, else the cores, shared among the workers (0: all)."""
        if self.plan.threads is not None:
            return self.plan.threads
        return max(1, (psutil.cpu_count() or 1) // self.plan.workers) if self.plan.workers > 1 else 0

    def _start(self, name: str, arguments: list[str], announces: str = "") -> Callable[[], None]:
        """Start a role; returns what waits until it has announced itself as *announces*.

        Where its ports are its own, others find it by what it announces, so that is waited for at once.
        """
        child = self._children.start(name, arguments)
        if announces and not self.plan.any_ports:
            self._await(child, announces)
        return lambda: self._await(child, announces)

    def _await(self, child: Child, announces: str) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            facts = self.folder.announced(announces)
            if facts is not None and is_process_of(int(facts["pid"]), child.process.pid):
                return
            if child.process.poll() is not None:
                why = self._children.last_words(child.name).replace(OTHER_PORTS, "use any that are free with --any-ports")
                raise BrenderError(f"brender-{child.name} did not start: {why}")
            if time.monotonic() > deadline:
                log = self._children.log(child.name)
                if announces == "server" and self.folder.is_locked("server"):
                    # It may migrate a large record. To end it now would only have it begin again.
                    self.plan.notify(f"brender-server is still starting, as after an upgrade; its log is {log}")
                    deadline += _START_SECONDS
                    continue
                raise BrenderError(f"brender-{child.name} did not start within {_START_SECONDS:.0f} seconds; see {log}")
            time.sleep(0.02)


def _port(port: int | None) -> list[str]:
    return [] if port is None else ["--port-base", str(port)]


def _address(option: str, port: int | None) -> list[str]:
    return [] if port is None else [option, f"127.0.0.1:{port}"]
