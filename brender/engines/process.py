"""A render process under its supervisor: started, its output read, its end told, and stopped with all that it started."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from brender.engines.exits import describe_exit

_SUPERVISOR = Path(__file__).with_name("supervisor.py")
#: How the name of a process's folder for temporary files begins.
SCRATCH = "temporary-"
#: What names that folder to programs on Unix and on Windows (Python's `tempfile.gettempdir` says which).
_TEMPORARY_FOLDER = ("TMPDIR", "TEMP", "TMP")
#: Seconds that a supervisor may take to kill its tree before it is killed itself.
_STOP_SECONDS = 15.0


class Supervised:
    """The process *command*, running. Each piece of its output goes to *write*, from a thread of its own. *memory*: bytes that it
    may hold, with all that it starts; 0 for any. What it leaves in its folder for temporary files, within *folder*, goes with it.

    ``pid`` is the child's, ``None`` before it runs. ``error`` says why it could not be started, "" where it could.
    """

    def __init__(
        self, command: Sequence[str], env: Mapping[str, str], folder: Path, write: Callable[[bytes], None], memory: int = 0
    ) -> None:
        self._killed_before = memory_kills()
        self.pid: int | None = None
        self.returncode: int | None = None
        self.error = ""
        scratch = tempfile.mkdtemp(prefix=SCRATCH, dir=folder)
        # A session of its own: Ctrl-C at the terminal is for the worker, which decides what becomes of the render.
        apart: dict[str, Any] = {"creationflags": 0x200} if os.name == "nt" else {"start_new_session": True}
        self._supervisor = subprocess.Popen(
            [sys.executable, "-I", str(_SUPERVISOR), str(memory), scratch, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**env, **dict.fromkeys(_TEMPORARY_FOLDER, scratch)},
            cwd=folder,
            **apart,
        )
        self._readers = [
            threading.Thread(target=self._read_output, args=(write,), name="render-output", daemon=True),
            threading.Thread(target=self._read_status, name="render-status", daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for the end of process and output, at most *seconds*; whether it has ended."""
        try:
            self._supervisor.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        for reader in self._readers:
            reader.join()
        return True

    def stop(self) -> None:
        """Kill it and everything it started, and wait until that is done. Harmless where it has ended."""
        self.let_go()
        if not self.wait(_STOP_SECONDS):
            self._supervisor.kill()
            self._kill_group()
            self._supervisor.wait()
        elif self.returncode is None:
            self._kill_group()

    def let_go(self) -> None:
        """Tell the supervisor to kill the tree, without waiting."""
        if self._supervisor.stdin is not None and not self._supervisor.stdin.closed:
            self._supervisor.stdin.close()

    @property
    def ending(self) -> str:
        """How it ended, in words; "" where it ended well."""
        if self.error:
            return self.error
        if self.returncode is None:
            return "its supervisor was killed"
        if self.returncode == -9 and memory_kills() > self._killed_before:
            return "the machine ran out of memory, and its system killed it"
        return describe_exit(self.returncode)

    def _kill_group(self) -> None:
        """The supervisor is gone and has not said that its child ended: kill the child's group from here."""
        if self.pid is not None and os.name != "nt":
            try:
                os.killpg(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                return

    def _read_output(self, write: Callable[[bytes], None]) -> None:
        assert self._supervisor.stdout is not None
        with self._supervisor.stdout as stream:
            while piece := os.read(stream.fileno(), 65536):
                write(piece)

    def _read_status(self) -> None:
        assert self._supervisor.stderr is not None
        with self._supervisor.stderr as stream:
            for line in stream:
                try:
                    said = json.loads(line)
                except ValueError:
                    self.error = line.decode("utf-8", "replace").strip() or self.error
                    continue
                self.pid = said.get("pid", self.pid)
                self.returncode = said.get("returncode", self.returncode)
                self.error = said.get("error", self.error)


def memory_kills(counters: Path = Path("/proc/vmstat")) -> int:
    """How many processes this machine's kernel has killed for want of memory; 0 where it does not say (proc(5), vmstat)."""
    try:
        lines = counters.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
