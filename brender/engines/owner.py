"""Whether the owner of this machine works at it, so that a worker can step back.

They say so (``brender pause-here``, a file in the data folder), or their input or the load of their programs does
(``--yield-to-owner``). Input: on Linux what logind knows of the machine's seat, on Windows and macOS what their systems say;
these two were not tried. Where none of that is there, the load of what is not this farm's counts.
"""

import contextlib
import ctypes
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psutil

from brender.model.nodes import GIVEN_BACK, OWNERS_USE
from brender.system.pause import Pause

_LOOK_SECONDS = 5.0
_ANSWER_SECONDS = 5.0
#: Input that is older than this does not count as work.
_FRESH_SECONDS = 30.0
#: Share of the machine's processors that others use who work at it.
_LOAD = 0.25
#: So often in a row it must be seen: a program that starts is no work.
_TIMES = 3


@dataclass(frozen=True)
class Use:
    """Why the worker steps back, as others are told, and whether what runs is given back at once."""

    reason: str
    at_once: bool


def use_by(pause: Pause | None, is_worked_at: bool) -> Use | None:
    """Return why a worker steps back with this *pause*, or since somebody works at the machine; ``None``: it need not."""
    if pause is not None:
        until = datetime.fromtimestamp(pause.until)
        day = "" if until.date() == datetime.now().date() else f"{until:%Y-%m-%d} "
        return Use(f"{GIVEN_BACK}{day}{until:%H:%M}", pause.at_once)
    return Use(f"{OWNERS_USE} now", True) if is_worked_at else None


class OwnerWatch:
    """Looks, in a thread of its own, whether somebody works at this machine. They do until they have not for *quiet* seconds.

    *idle*: seconds since the last input, ``None`` where that is not known; then *load*, the share of the processors that others
    use, decides. *clock*: monotonic.
    """

    def __init__(
        self,
        quiet: float,
        idle: Callable[[], float | None] | None = None,
        load: Callable[[], float] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._quiet = quiet
        self._idle = idle or input_idle_seconds
        self._load = load or OthersLoad().read
        self._clock = clock
        self._last_use = float("-inf")
        self._loaded = 0

    def start(self) -> None:
        """Begin to look."""
        threading.Thread(target=self._watch, name="brender-owner", daemon=True).start()

    @property
    def is_in_use(self) -> bool:
        """Whether somebody works at the machine, or did a moment ago."""
        return self._clock() - self._last_use < self._quiet

    def look(self) -> None:
        """Look once."""
        idle = self._idle()
        if idle is not None:
            if idle < _FRESH_SECONDS:
                self._last_use = max(self._last_use, self._clock() - idle)
            return
        self._loaded = self._loaded + 1 if self._load() >= _LOAD else 0
        if self._loaded >= _TIMES:
            self._last_use = self._clock()

    def _watch(self) -> None:
        pause = threading.Event()
        while True:
            with contextlib.suppress(Exception):  # a look that fails is one that saw nobody
                self.look()
            pause.wait(_LOOK_SECONDS)


class OthersLoad:
    """The load of all that is not brender's."""

    def __init__(self) -> None:
        self._before: tuple[float, float, float] | None = None

    def read(self) -> float:
        """Return the share of the machine's processors that others have used since the last call; 0 at the first."""
        used = psutil.cpu_times()
        busy = float(sum(getattr(used, name, 0.0) for name in ("user", "system", "irq", "softirq")))
        own = _own_seconds()
        now, before = (time.monotonic(), busy, own), self._before
        self._before = now
        if before is None or now[0] <= before[0]:
            return 0.0
        cores = psutil.cpu_count() or 1
        return max(0.0, (busy - before[1]) - max(0.0, own - before[2])) / ((now[0] - before[0]) * cores)


def _own_seconds() -> float:
    """Return the processor time of the farm's processes on this machine: those with brender in their command, and what they have
    started."""
    total, counted = 0.0, set()
    for process in psutil.process_iter(["cmdline"]):
        if not any("brender" in word for word in (process.info["cmdline"] or ())[:4]):
            continue
        with contextlib.suppress(psutil.Error):
            for each in (process, *process.children(recursive=True)):
                if each.pid not in counted:
                    counted.add(each.pid)
                    used = each.cpu_times()
                    total += used.user + used.system
    return total


def input_idle_seconds() -> float | None:
    """Return the seconds since the last input at this machine; ``None`` where that is not known."""
    if sys.platform == "win32":
        return _idle_on_windows()
    if sys.platform == "darwin":
        return _idle_by(("ioreg", "-c", "IOHIDSystem", "-d", "4"), idle_of_ioreg)
    return _idle_by(
        ("loginctl", "show-seat", "seat0", "-p", "ActiveSession", "-p", "IdleHint", "-p", "IdleSinceHint"), idle_of_logind
    )


def idle_of_logind(text: str, wall: float | None = None) -> float | None:
    """Return the idle seconds by what ``loginctl show-seat`` says; ``None`` where nobody has a session at the seat.

    >>> idle_of_logind("ActiveSession=2\\nIdleHint=yes\\nIdleSinceHint=1000000000\\n", 1060.0)
    60.0
    >>> idle_of_logind("ActiveSession=2\\nIdleHint=no\\nIdleSinceHint=0\\n")
    0.0
    """
    said = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    if not said.get("ActiveSession") or "IdleHint" not in said:
        return None
    if said["IdleHint"] != "yes":
        return 0.0
    since = int(said.get("IdleSinceHint") or 0) / 1e6
    return max(0.0, (time.time() if wall is None else wall) - since)


def idle_of_ioreg(text: str) -> float | None:
    """Return the idle seconds by what macOS' ``ioreg`` says.

    >>> idle_of_ioreg('  | |   "HIDIdleTime" = 2500000000')
    2.5
    """
    found = re.search(r'"HIDIdleTime" = ([0-9]+)', text)
    return int(found[1]) / 1e9 if found else None


def _idle_by(words: tuple[str, ...], read: Callable[[str], float | None]) -> float | None:
    if shutil.which(words[0]) is None:
        return None
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=_ANSWER_SECONDS, stdin=subprocess.DEVNULL)
        return read(done.stdout) if done.returncode == 0 else None
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


def _idle_on_windows() -> float | None:
    """Ask the system (GetLastInputInfo), which answers for the session that this process is in."""

    class LastInput(ctypes.Structure):
        _fields_ = [("size", ctypes.c_uint), ("tick", ctypes.c_uint)]

    libraries: Any = ctypes
    said = LastInput(ctypes.sizeof(LastInput), 0)
    if not libraries.windll.user32.GetLastInputInfo(ctypes.byref(said)):
        return None
    return float((libraries.windll.kernel32.GetTickCount() - said.tick) % 2**32) / 1000.0
