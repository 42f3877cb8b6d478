"""A render process under its supervisor: started, its output read, its end told, and stopped with all that it started.

Nothing here waits for ever. Whatever the process left behind, what else holds its output open, and however its supervisor ended:
`Supervised.stop` returns within `STOP_SECONDS`.
"""

import contextlib
import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import psutil

from brender.engines.exits import describe_exit
from brender.system.processes import APART, kill_group
from brender.system.removal import remove_tree

#: Python's -I keeps users' own modules away, and also those that they have installed for themselves, which brender may be of.
_STARTS = "import sys; sys.path += sys.argv[1].split('|'); from brender.engines.supervisor import main; main(sys.argv[2:])"
#: How the name of a process's folder for temporary files begins.
SCRATCH = "temporary-"
#: What names that folder to programs on Unix and on Windows (Python's `tempfile.gettempdir` says which).
_TEMPORARY_FOLDER = ("TMPDIR", "TEMP", "TMP")
#: Seconds that a supervisor may take to kill its tree before it is killed itself.
_SUPERVISOR_SECONDS = 10.0
#: Seconds that the end of a supervisor, and of what it and its child still had to say, may take to arrive after that.
_END_SECONDS = 2.0
#: The exit code of bubblewrap where what it runs was killed (128 and the signal's number).
_KILLED_IN_SANDBOX = 137
#: Seconds within which `Supervised.stop` returns.
STOP_SECONDS = _SUPERVISOR_SECONDS + 4 * _END_SECONDS

log = logging.getLogger("brender.worker")


class Supervised:
    """The process *command*, running. Each piece of its output goes to *write*, from a thread of its own. *memory*: bytes that it
    may hold, with all that it starts; 0 for any. What it leaves in its folder for temporary files, within *folder*, goes with it.

    ``pid`` is the child's, ``None`` before it runs. ``error`` says why it could not be started, or "" if it could.
    """

    def __init__(
        self, command: Sequence[str], env: Mapping[str, str], folder: Path, write: Callable[[bytes], None], memory: int = 0
    ) -> None:
        self._killed_before = memory_kills()
        self.pid: int | None = None
        self.returncode: int | None = None
        self.error = ""
        self._scratch = scratch = tempfile.mkdtemp(prefix=SCRATCH, dir=folder)
        # A session of its own: Ctrl-C at the terminal is for the worker, which decides what becomes of the render.
        self._supervisor = subprocess.Popen(
            [sys.executable, "-I", "-c", _STARTS, _roots(), str(memory), scratch, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**env, **dict.fromkeys(_TEMPORARY_FOLDER, scratch)},
            cwd=folder,
            **APART,
        )
        self._output = threading.Thread(target=self._read_output, args=(write,), name="render-output", daemon=True)
        self._status = threading.Thread(target=self._read_status, name="render-status", daemon=True)
        self._output.start()
        self._status.start()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for the end of process and output, at most *seconds*; whether it has ended. What it leaves running is killed."""
        try:
            self._supervisor.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        self._status.join(_END_SECONDS)
        if self.returncode is None and not self.error:
            # Its supervisor was killed: what that watched over is nobody's now, and may hold the output open for ever.
            self._kill_what_is_left()
        self._output.join(_END_SECONDS)
        if self._output.is_alive():
            self._kill_what_is_left()
            self._output.join(_END_SECONDS)
        return True

    def stop(self) -> None:
        """Kill it and everything it started, and wait until that is done, at most `STOP_SECONDS`: what hangs in the system's
        kernel, on a drive that does not answer, ends only when that does. Harmless where it has ended."""
        self.let_go()
        if self.wait(_SUPERVISOR_SECONDS):
            return
        with contextlib.suppress(psutil.Error):
            supervisor = psutil.Process(self._supervisor.pid)
            _kill(supervisor.children(recursive=True))
        self._supervisor.kill()
        if not self.wait(_END_SECONDS):
            self._kill_what_is_left()
            log.error("the process %s cannot be ended: it hangs in the system, and ends when what it waits for answers", self.pid)

    def let_go(self) -> None:
        """Tell the supervisor to kill the tree, without waiting."""
        if self._supervisor.stdin is not None and not self._supervisor.stdin.closed:
            with contextlib.suppress(OSError):
                self._supervisor.stdin.close()

    @property
    def ending(self) -> str:
        """How it ended, in words, or "" if it ended well."""
        if self.error:
            return self.error
        if self.returncode is None:
            return "its supervisor was killed"
        if self.ran_out_of_memory:
            return "the machine ran out of memory, and its system killed it"
        return describe_exit(self.returncode)

    @property
    def ran_out_of_memory(self) -> bool:
        """Whether the system killed it for want of memory, as far as can be seen."""
        return self.returncode in (-9, _KILLED_IN_SANDBOX) and memory_kills() > self._killed_before

    def _kill_what_is_left(self) -> None:
        """Kill what the child left: its group, and whatever has its folder for temporary files in its environment. So what left
        its session is found too, where no supervisor is its parent."""
        if self.pid is not None and self.returncode is None:
            kill_group(self.pid)
        _kill(_with_temporary_folder(self._scratch))
        remove_tree(self._scratch)

    def _read_output(self, write: Callable[[bytes], None]) -> None:
        assert self._supervisor.stdout is not None
        with self._supervisor.stdout as stream:
            while piece := os.read(stream.fileno(), 65536):
                try:
                    write(piece)
                except Exception:
                    # Read on: a process whose output nobody takes stands still.
                    log.exception("a piece of the output of process %s was lost", self.pid)

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


def _roots() -> str:
    """Return the folders that brender and what it needs are installed in."""
    return "|".join([str(Path(__file__).resolve().parents[2]), *(each for each in sys.path if each.endswith("-packages"))])


def _with_temporary_folder(folder: str) -> list[psutil.Process]:
    """Return the processes that were started with *folder* for their temporary files."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get("TMPDIR") == folder:
                found.append(process)
    return found


def _kill(processes: Iterable[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()


def memory_kills(counters: Path = Path("/proc/vmstat")) -> int:
    """Return how many processes this machine's kernel has killed for want of memory; 0 where it does not say (proc(5),
    vmstat)."""
    try:
        lines = counters.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
