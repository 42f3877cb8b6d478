"""Roles as child processes of one command: started, watched, started again, ended with it."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock

from brender.commands.lifeline import STOP_SECONDS
from brender.commands.role_logs import message_of
from brender.model.errors import BadInput, Conflict
from brender.store.datafolder import KEEPER, DataFolder
from brender.system.processes import IN_OWN_GROUP
from brender.system.restart import START_AGAIN

#: Times in a row that a child may refuse what it is given, soon after its start, before it is given up. A host's name that is not
#: known yet is not such a refusal: it is tried for as long as it takes.
_REFUSALS = 20
#: Seconds between two sentences about a child that keeps ending for the same cause.
_SAID_AGAIN_SECONDS = 60.0
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
    said: tuple[str, float] = ("", float("-inf"))
    """Why it was last said to have ended, and when, monotonic."""


@dataclass
class Children:
    """The children of this process, which work in *folder*. Each role's own output goes to ``run/<role>.log`` in it."""

    folder: DataFolder
    config: Path | None = None
    notify: Callable[[str], None] = field(default=lambda text: None)
    all: list[Child] = field(default_factory=list, init=False)
    refused: str = field(default="", init=False)
    """Why the last child that was given up could not be started."""
    _keeping: FileLock | None = field(default=None, init=False)
    """The place of what starts the folder's server again, as long as this process lives."""

    def start(self, name: str, arguments: list[str]) -> Child:
        """Start the role that *arguments* say."""
        if name == "server":
            with contextlib.suppress(Conflict):  # another keeps it; then this server ends by itself
                self.keep_server()
        child = self._spawn(name, arguments)
        self.all.append(child)
        return child

    def keep_server(self) -> None:
        """Hold the place of what starts the folder's server again, until the server is ended. Raises `Conflict` where another has
        it."""
        if self._keeping is None:
            self._keeping = self.folder.lock(KEEPER)

    def check(self) -> None:
        """Start again what has died, later and later if it keeps dying, but not what left on purpose, nor what refuses again and
        again what it is given. Call it now and then."""
        for child in list(self.all):
            if child.process.poll() is None:
                continue
            if child.process.returncode == START_AGAIN:
                child.process, child.started = self._spawn(child.name, child.arguments).process, time.monotonic()
                continue
            if child.process.returncode == 0:
                self.notify(f"{child.name} has left, as it was asked to")
                self.all.remove(child)
                continue
            if time.monotonic() - child.started > 60:
                child.restarts = 0
            if child.process.returncode == BadInput.exit_code and child.restarts >= _REFUSALS:
                self.refused = self.last_words(child.name)
                self.notify(f"{child.name} is not started again: {self.refused}")
                self.all.remove(child)
                continue
            if time.monotonic() - child.started < min(30.0, 0.5 * 2**child.restarts):
                continue
            code = child.process.returncode
            why = f"killed by signal {-code}" if code < 0 else self.last_words(child.name)
            if why != child.said[0] or time.monotonic() - child.said[1] >= _SAID_AGAIN_SECONDS:
                self.notify(f"{child.name} ended ({why}) and is started again")
                child.said = why, time.monotonic()
            fresh = self._spawn(child.name, child.arguments)
            child.process, child.started, child.restarts = fresh.process, fresh.started, child.restarts + 1

    def end(self, ending: Sequence[Child]) -> None:
        """End these, all at once, and wait for them."""
        for child in ending:
            if child.process.stdin is not None and not child.process.stdin.closed:
                child.process.stdin.close()
        for child in ending:
            try:
                child.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()
        self.all = [child for child in self.all if child not in ending]
        if self._keeping is not None and not any(child.name == "server" for child in self.all):
            self._keeping.release()
            self._keeping = None

    def log(self, name: str) -> Path:
        """Return the file with the own output of the role called *name*."""
        return self.folder.root / "run" / f"{name}.log"

    def last_words(self, name: str) -> str:
        """Return why it ended: the last error that its log names, else what a trace at its end is of, else the log's last line. A
        role of the same name that runs already in the folder writes to the same log."""
        said = [message_of(line) for line in self.log(name).read_text("utf-8", "replace").strip().splitlines()]
        errors = [line.removeprefix("Error: ") for line in said if line.startswith("Error: ")]
        return (errors or _raised(said) or said or [f"it said nothing; see {self.log(name)}"])[-1]

    def _spawn(self, name: str, arguments: list[str]) -> Child:
        (self.folder.root / "run").mkdir(parents=True, exist_ok=True)
        command = [
            sys.executable,
            "-P",  # a user's glob.py in the working folder is not Python's
            "-m",
            "brender.commands.main",
            "role",
            *arguments,
            "--data",
            str(self.folder.root),
            "--lifeline",
        ]
        if self.config is not None:
            command += ["--config", str(self.config)]
        # Ctrl-C at the terminal is for this program, which ends the others in order.
        # Names and addresses that the environment gives to roles started by hand are not for these.
        env = {name: value for name, value in os.environ.items() if name not in _NOT_FOR_CHILDREN}
        with self.log(name).open("wb") as log:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=env, **IN_OWN_GROUP)
        return Child(name, arguments, process, time.monotonic())


def _raised(said: Sequence[str]) -> list[str]:
    """Return the line of the last trace in *said* that names what was raised, which more lines may follow; none where there is no
    trace."""
    starts = [number for number, line in enumerate(said) if line.startswith("Traceback (")]
    return [line for line in said[starts[-1] + 1 :] if line and not line.startswith(" ")][:1] if starts else []
