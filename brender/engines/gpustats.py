"""What NVIDIA's own program says of the machine's GPUs. (Other makers' GPUs are not looked at.)

``nvidia-smi --query-gpu`` takes a tenth of a second and more, so that it is asked now and then, in a thread of its own.
"""

import shutil
import subprocess
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from brender.model.devices import Device

_EVERY_SECONDS = 5.0
_ANSWER_SECONDS = 10.0
_QUERY = ("--query-gpu=utilization.gpu,memory.used,memory.total,power.draw,pci.bus_id", "--format=csv,noheader,nounits")


@dataclass(frozen=True)
class GpuUse:
    """Of all GPUs together: percent busy in the mean, and bytes of memory; no memory where there is no GPU."""

    percent: float = 0.0
    memory_used: int = 0
    memory_total: int = 0
    watts: Mapping[str, float] = field(default_factory=dict)
    """What each card draws that says so, by where it is on the bus (``0000:65:00``)."""

    def watts_of(self, device: str) -> float | None:
        """Return what the card draws that has Cycles' id *device*, which ends with where it is; ``None``: not known."""
        named = device.removesuffix("_OptiX").lower()
        return next((watts for place, watts in self.watts.items() if named.endswith(place)), None)


def read_use(text: str) -> GpuUse:
    """Return what the lines of ``nvidia-smi`` say: percent, MiB used, MiB in all, watts and place of each GPU; what is not known
    of one counts as 0, and its watts not at all."""
    rows = [[each.strip() for each in line.split(",")] for line in text.splitlines() if line.count(",") == 4]
    if not rows:
        return GpuUse()
    percent, used, total = (sum(map(_number, column)) for column in list(zip(*rows, strict=True))[:3])
    watts = {_place(place): _number(drawn) for *_, drawn, place in rows if _number(drawn) > 0}
    return GpuUse(percent / len(rows), int(used * 2**20), int(total * 2**20), watts)


def smallest_memory(cards: Iterable[Device]) -> int:
    """Return the bytes of memory that each of *cards* has by that program, the smallest of several; 0 where one is not known."""
    program, ids = shutil.which("nvidia-smi"), {card.card.lower() for card in cards}
    if program is None or not ids:
        return 0
    command = [program, "--query-gpu=pci.bus_id,memory.total", "--format=csv,noheader,nounits"]
    try:
        done = _answer(command)
    except (OSError, subprocess.SubprocessError):
        return 0
    return read_smallest_memory(done, ids)


def read_smallest_memory(text: str, ids: Iterable[str]) -> int:
    """Return the same by what it says: the place on the bus and MiB of each card. *ids*: those of Cycles, which end with the
    place."""
    rows = [line.split(",") for line in text.splitlines() if line.count(",") == 1]
    sizes = {_place(place.strip()): int(_number(total.strip()) * 2**20) for place, total in rows}
    return min((next((size for place, size in sizes.items() if each.endswith(place)), 0) for each in ids), default=0)


class GpuWatch:
    """Asks from now on, where that program is there. ``now`` is what it said last."""

    def __init__(self) -> None:
        self.now = GpuUse()
        program = shutil.which("nvidia-smi")
        if program is not None:
            threading.Thread(target=self._watch, args=(program,), name="brender-gpus", daemon=True).start()

    def _watch(self, program: str) -> None:
        pause = threading.Event()
        while True:
            try:
                self.now = read_use(_answer([program, *_QUERY]))
            except (OSError, subprocess.SubprocessError):
                self.now = GpuUse()
            pause.wait(_EVERY_SECONDS)


def _answer(command: list[str]) -> str:
    """Return what *command* prints. Raises `OSError` or `subprocess.SubprocessError`."""
    return subprocess.run(
        command, capture_output=True, text=True, timeout=_ANSWER_SECONDS, check=True, stdin=subprocess.DEVNULL
    ).stdout


def _place(bus_id: str) -> str:
    """Return where a card is, as the ids of Cycles end: ``0000:65:00`` for ``00000000:65:00.0``."""
    return bus_id.lower()[4:].rpartition(".")[0]


def _number(field: str) -> float:
    try:
        return float(field)
    except ValueError:  # [N/A]
        return 0.0
