"""The electric energy that a worker's renders use, where the machine tells it; nothing is estimated.

Processors and their memory: the counters of RAPL (Linux, ``/sys/class/powercap``, of Intel and AMD; on most systems root alone
may read them). What the machine used between two looks is the render's by the share of the processor time that this worker's
processes had of all that was used in between, so that several slots of one machine divide it. GPUs: what ``nvidia-smi`` says of
the cards that the worker renders on, as a whole.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from brender.engines.gpustats import GpuUse
from brender.model.devices import Device
from brender.model.energy import Energy

POWERCAP = Path("/sys/class/powercap")
_MICRO = 1e-6


@dataclass(frozen=True)
class _Look:
    at: float
    counters: dict[Path, int] | None
    own: float
    busy: float


class Powercap:
    """RAPL's counters below *root*: those of each processor (``package``) and of its memory (``dram``)."""

    def __init__(self, root: Path = POWERCAP) -> None:
        self._largest: dict[Path, int] = {}
        for zone in sorted(root.glob("intel-rapl:*")):
            name = _text(zone / "name") or ""
            if name.startswith(("package", "dram")) and (largest := _number(zone / "max_energy_range_uj")):
                self._largest[zone / "energy_uj"] = largest

    def read(self) -> dict[Path, int] | None:
        """Return the counters of now in microjoules; ``None`` if there are none, or one cannot be read."""
        counters: dict[Path, int] = {}
        for path in self._largest:
            if (value := _number(path)) is None:
                return None
            counters[path] = value
        return counters or None

    def joules(self, before: dict[Path, int], now: dict[Path, int]) -> float:
        """Return what was used between two readings. A counter that is at its end begins again at 0."""
        used = 0
        for path, value in now.items():
            used += value - before[path] + (self._largest[path] if value < before[path] else 0)
        return used * _MICRO


class EnergyMeter:
    """Measures what the renders of this process use, for a worker that renders on *cards* (none: on the processors alone). *gpus*
    tells what the GPUs do now."""

    def __init__(
        self,
        cards: Sequence[Device] = (),
        gpus: Callable[[], GpuUse] = GpuUse,
        powercap: Path = POWERCAP,
        clock: Callable[[], float] = time.monotonic,
        own_seconds: Callable[[], float] | None = None,
        busy_seconds: Callable[[], float] | None = None,
    ) -> None:
        self._cards = tuple(cards)
        self._gpus = gpus
        self._powercap = Powercap(powercap)
        self._clock = clock
        self._own_seconds = own_seconds or descendants_seconds
        self._busy_seconds = busy_seconds or machine_seconds
        self._joules = self._seconds = 0.0
        self._before = self._look()
        self.watts = 0.0
        """What the machine's processors and GPUs use now, by the last look; 0 where nothing is known."""

    def look(self) -> None:
        """Measure up to now. To be called every few seconds."""
        before, now = self._before, self._look()
        self._before = now
        seconds = now.at - before.at
        if seconds <= 0:
            return
        use = self._gpus()
        own = known = 0.0
        all_watts = sum(use.watts.values())
        if before.counters is not None and now.counters is not None:
            used = self._powercap.joules(before.counters, now.counters)
            all_watts += used / seconds
            busy = now.busy - before.busy
            own += used * min(1.0, max(0.0, now.own - before.own) / busy) if busy > 0 else 0.0
            known = seconds
        mine = [use.watts_of(card.id) for card in self._cards]
        if measured := [watts for watts in mine if watts is not None]:
            own += sum(measured) * seconds
            known = seconds
        self.watts = all_watts
        self._joules, self._seconds = self._joules + own, self._seconds + known

    def begin(self) -> None:
        """Let an attempt begin: what was used before is not its."""
        self.look()
        self._joules = self._seconds = 0.0

    def end(self) -> Energy:
        """Return what was used since `begin`."""
        self.look()
        used = Energy(self._joules, self._seconds)
        self._joules = self._seconds = 0.0
        return used

    def _look(self) -> _Look:
        counters = self._powercap.read()
        # (Without counters nobody asks for their shares, which takes a look at all processes.)
        own, busy = (self._own_seconds(), self._busy_seconds()) if counters is not None else (0.0, 0.0)
        return _Look(self._clock(), counters, own, busy)


def descendants_seconds() -> float:
    """Return the processor time of all that this process has started, and that these have, ended or not."""
    times = os.times()
    total = times.children_user + times.children_system
    for process in psutil.Process().children(recursive=True):
        try:
            used = process.cpu_times()
        except psutil.Error:
            continue  # it has ended just now, and counts among the ended next time
        total += used.user + used.system + used.children_user + used.children_system
    return total


def machine_seconds() -> float:
    """Return the processor time of all that runs on this machine."""
    used = psutil.cpu_times()
    return float(sum(getattr(used, name, 0.0) for name in ("user", "nice", "system", "irq", "softirq")))


def _text(path: Path) -> str | None:
    try:
        return path.read_text("ascii", "replace").strip()
    except OSError:
        return None


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text is not None and text.isdecimal() else None
