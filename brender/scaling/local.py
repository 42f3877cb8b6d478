"""The provider of workers that are processes of this machine."""

import contextlib
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import psutil

from brender.scaling.fleet import Allocation
from brender.scaling.provider import FleetSettings, ProviderRefused
from brender.store.datafolder import DataFolder
from brender.system.processes import APART
from brender.system.removal import remove_tree

#: What starts a worker where brender itself is installed as here. An address for metrics in the settings file is for one worker.
OWN_COMMAND = (sys.executable, "-P", "-m", "brender.commands.main", "role", "worker", "--metrics", "")
#: What the environment of `brender scale` says of itself, and not of its workers.
NOT_FOR_WORKERS = (
    "BRENDER_SERVER",
    "BRENDER_MANAGER",
    "BRENDER_WORKER_NAME",
    "BRENDER_WORKER_METRICS",
    "BRENDER_DATA",
    "BRENDER_JOIN",
)


class Local:
    """Workers as processes of this machine, in the fleet's own data folder. They live on where `brender scale` ends, and are
    found by their command lines."""

    def __init__(self, settings: FleetSettings) -> None:
        self._settings = settings
        self._folder = DataFolder(Path(settings.data) if settings.data else settings.folder)
        self._children: list[subprocess.Popen[bytes]] = []

    def check(self) -> None:
        """Nothing is needed."""

    def start(self, name: str, join: str) -> None:
        """Start the process."""
        root, log = self._folder.make().root, self._log(name)
        log.parent.mkdir(parents=True, exist_ok=True)
        command = [*(self._settings.command or OWN_COMMAND), *self._settings.worker_words(name, str(root))]
        env = {key: value for key, value in os.environ.items() if key not in NOT_FOR_WORKERS}
        try:
            with log.open("wb") as output:
                child = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env=env | {"BRENDER_JOIN": join},
                    **APART,
                )
        except OSError as error:
            raise ProviderRefused(f"{command[0]} cannot be started: {error.strerror}") from error
        self._children.append(child)

    def allocations(self) -> list[Allocation]:
        """Return the processes whose command lines say that they are this fleet's."""
        return [Allocation(name, True, f"process {process.pid}") for name, process in self._processes().items()]

    def withdraw(self, name: str, at_once: bool) -> None:
        """Ask the process to end, or kill it."""
        process = self._processes().get(name)
        if process is not None:
            with contextlib.suppress(psutil.Error):
                process.kill() if at_once else process.terminate()

    def tidy(self, name: str) -> None:
        """Remove the worker's own folder, and what of it lies in the folder of what runs."""
        remove_tree(self._folder.worker(name))
        for path in self._log(name).parent.glob(f"worker-{name}.*"):
            path.unlink(missing_ok=True)

    def trace(self, name: str) -> str:
        """Return the last line of its log."""
        try:
            lines = self._log(name).read_text("utf-8", "replace").strip().splitlines()
        except OSError:
            return ""
        said = [line.removeprefix("Error: ") for line in lines if line.startswith("Error: ")] or lines
        return said[-1] if said else f"it said nothing; its output is in {self._log(name)}"

    def _log(self, name: str) -> Path:
        return self._folder.root / "run" / f"worker-{name}.log"

    def _processes(self) -> dict[str, psutil.Process]:
        self._children = [child for child in self._children if child.poll() is None]  # (one that has ended is not left a zombie)
        found: dict[str, psutil.Process] = {}
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                name = self._name_in(process.cmdline())
                if name:
                    found.setdefault(name, process)
        return found

    def _name_in(self, words: list[str]) -> str:
        """Return the name of the worker that *words* have started, where it is one of this fleet; else ""."""
        options = set(pairwise(words))
        ours = {("--data", str(self._folder.root)), ("--tag", self._settings.tag)}
        names = [value for option, value in options if option == "--name"]
        return names[0] if ours <= options and len(names) == 1 and names[0].startswith(f"{self._settings.name}-") else ""
