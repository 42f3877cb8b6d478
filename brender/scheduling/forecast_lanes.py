"""The workers of a simulated queue; where they are very many, a few that stand for several each. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import ceil

from brender.scheduling.forecast_room import NOTHING, Claim

#: More workers are taken together.
_LANES_MOST = 400


@dataclass(frozen=True)
class Lane:
    """A worker: its kind, its speed, the job that it renders ("" for none) and in how many seconds it is done with that task."""

    kind: int
    speed: float = 1.0
    job: str = ""
    left: float = 0.0
    machine: str = ""
    """What it shares the cores and the memory of with others; "": nobody knows which machine it is on."""
    has: Claim = NOTHING
    """What that machine has, while it renders nothing."""
    pool: str = ""
    """The pool that it belongs to, as all of its kind do, or ""."""
    width: int = 1
    """How many workers it stands for, each on another machine."""


def taken_together(lanes: Sequence[Lane]) -> list[Lane]:
    """Return *lanes*, or where they are very many, fewer: each stands for one worker on each of several machines, which have the
    same cores, memory and kinds of workers and are free at about the same time, and do the same from then on."""
    width = ceil(len(lanes) / _LANES_MOST)
    if width == 1:
        return list(lanes)
    machines: dict[str, list[Lane]] = {}
    for number, lane in enumerate(lanes):
        machines.setdefault(lane.machine or f"/{number}", []).append(lane)
    shapes: dict[tuple[Claim, tuple[int, ...]], list[list[Lane]]] = {}
    for slots in machines.values():
        slots.sort(key=lambda lane: (lane.kind, lane.left, lane.speed))
        shapes.setdefault((slots[0].has, tuple(lane.kind for lane in slots)), []).append(slots)
    found = []
    for alike in shapes.values():
        alike.sort(key=lambda slots: [(lane.left, lane.speed) for lane in slots])
        for first in range(0, len(alike), width):
            found += [_one_for(each) for each in zip(*alike[first : first + width], strict=True)]
    return found


def last_ends(lanes: Iterable[Lane]) -> dict[str, float]:
    """Return by job in how many seconds the last of the tasks is done that *lanes* render."""
    found: dict[str, float] = {}
    for lane in lanes:
        found[lane.job] = max(lane.left, found.get(lane.job, 0.0))
    return found


def _one_for(lanes: Sequence[Lane]) -> Lane:
    count = len(lanes)
    speed, left = sum(lane.speed for lane in lanes) / count, sum(lane.left for lane in lanes) / count
    job = Counter(lane.job for lane in lanes).most_common(1)[0][0]
    return replace(lanes[0], speed=speed, job=job, left=left, width=count)
