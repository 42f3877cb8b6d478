"""What the tasks of a simulated queue take: cores of machines, and a part of what users, projects and licences may have. Pure.

Counted as `brender.scheduling.reservations` and `brender.scheduling.gates` count it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from brender.scheduling.gates import Gate

_ROUNDING = 1e-6


@dataclass
class Machine:
    """The ``cores`` of a machine (0: not known) and its ``workers``; what those at work have ``taken``, and how many of them
    reserve it."""

    cores: int
    workers: int = 0
    taken: float = 0.0
    claims: float = 0.0

    def share(self, wanted: int) -> float:
        """Return the cores that one worker takes for a task that reserves *wanted* (0: nothing)."""
        return wanted or self.cores / self.workers

    def has_room(self, wanted: int) -> bool:
        """Return whether one more worker may take such a task now."""
        if not self.cores or not (wanted or self.claims > _ROUNDING):
            return True
        return self.taken + self.share(wanted) <= self.cores + _ROUNDING

    def take(self, wanted: int, more: float) -> None:
        """Let so many workers *more* be at such tasks (negative: fewer)."""
        self.taken += more * self.share(wanted)
        self.claims += more if wanted else 0


class Limits:
    """How many more tasks each gate may have out, of its limit in *most*."""

    def __init__(self, most: Mapping[Gate, int]) -> None:
        self._most = dict(most)
        self._left = dict(most)
        self.full = {gate for gate, count in most.items() if count <= 0}
        """Those of which nothing is left."""

    def of(self, gates: Iterable[Gate]) -> tuple[Gate, ...]:
        """Return those of *gates* that have a limit."""
        return tuple(gate for gate in gates if gate in self._most)

    def most(self, gates: tuple[Gate, ...], wanted: int) -> int:
        """Return how many of *wanted* tasks of *gates* may ever be out."""
        return min(wanted, *(self._most[gate] for gate in gates)) if gates else wanted

    def left(self, gates: tuple[Gate, ...], wanted: int) -> int:
        """Return how many of *wanted* tasks of *gates*, none of which is full, may be out beside those that are."""
        return min(wanted, *(self._left[gate] for gate in gates)) if gates else wanted

    def take(self, gates: tuple[Gate, ...], more: int) -> None:
        """Let so many *more* tasks of *gates* be out (negative: fewer)."""
        for gate in gates:
            self._left[gate] -= more
            if self._left[gate] > 0:
                self.full.discard(gate)
            else:
                self.full.add(gate)
