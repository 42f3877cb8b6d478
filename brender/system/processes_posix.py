"""`brender.system.processes` for Linux and macOS."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

assert sys.platform != "win32"

#: Seconds that processes have to end in after they were asked to.
GRACE_SECONDS = 2.0
#: Words for `subprocess.Popen`: in a session of its own. Ctrl-C at the terminal does not reach the process.
APART: dict[str, Any] = {"start_new_session": True}
#: As `APART`, in the same session.
IN_OWN_GROUP: dict[str, Any] = {"process_group": 0}


def adopt_descendants() -> None:
    """Become, on Linux, the parent of whatever children leave behind, so that it can be found (prctl(2),
    PR_SET_CHILD_SUBREAPER). macOS has nothing like it."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)


def forbid_core_dumps() -> None:
    """Let no core be written: what a crash would write is the memory of the scene, and large."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def kill_group(pid: int) -> None:
    """Kill what is left of the group of *pid*, a process that was started `APART`, if anything is."""
    with contextlib.suppress(OSError):
        os.killpg(pid, signal.SIGKILL)


class Tree:
    """The process *command* and all below it. Its standard error goes where its output goes. Raises `OSError`."""

    def __init__(self, command: Sequence[str]) -> None:
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT, **APART)

    def is_left(self) -> bool:
        """Return whether the process, which has ended, left others behind. Cheap, since nearly always it did not."""
        try:
            os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            with contextlib.suppress(OSError):
                os.killpg(self.process.pid, 0)
                return True
            return False
        return True

    def kill(self) -> None:
        """Kill the process and all below it: asked first, forced after a moment."""
        deadline = time.monotonic() + GRACE_SECONDS
        self._signal_all(signal.SIGTERM)
        while time.monotonic() < deadline and self._below():
            time.sleep(0.02)
        while self._below():
            self._signal_all(signal.SIGKILL)
            time.sleep(0.02)

    def _signal_all(self, number: int) -> None:
        with contextlib.suppress(OSError):
            os.killpg(self.process.pid, number)
        for other in self._below():
            with contextlib.suppress(OSError):
                os.kill(other, number)

    def _below(self) -> list[int]:
        """Return the processes that are left: what runs below this one, but for zombies (only the child itself may be one)."""
        import psutil

        left = []
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if process.status() == psutil.STATUS_ZOMBIE:
                    if process.pid != self.process.pid:
                        with contextlib.suppress(OSError):
                            os.waitpid(process.pid, os.WNOHANG)
                else:
                    left.append(process.pid)
        return left
