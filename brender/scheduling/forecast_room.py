"""What the tasks of a simulated queue take: cores and memory of machines, and a part of what users, projects and licences may
have. Pure.

Counted as `brender.scheduling.machines`, `brender.scheduling.reservations` and `brender.scheduling.gates` count it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from brender.scheduling.gates import Gate

_ROUNDING = 1e-6
#: Sizes of memory are rounded (`about`): tasks have room that together take so many times what there is.
_ROUNDED = 1 + 1 / 32


class Claim(NamedTuple):
    """What one task takes of its machine: the ``cores`` and the bytes of GPU ``memory`` that it reserves, and the bytes of memory
    that it needs; 0: nothing, or not known."""

    cores: int = 0
    memory: int = 0
    gpu_memory: int = 0


NOTHING = Claim()


@dataclass
class Machine:
    """What a machine has (`Claim`; 0: not known), how many ``workers``, what those at work have ``taken`` of its cores, and
    ``held`` of its memory and of its GPUs', and how many of them reserve cores."""

    has: Claim
    workers: int = 0
    taken: float = 0.0
    held: float = 0.0
    gpu_held: float = 0.0
    claims: float = 0.0

    def has_room(self, claim: Claim) -> bool:
        """Return whether one more worker may take a task with this *claim* now."""
        has = self.has
        if has.cores and (claim.cores or self.claims > _ROUNDING) and self.taken + self._share(claim) > has.cores + _ROUNDING:
            return False
        if claim.memory and has.memory and self.held + claim.memory > has.memory * _ROUNDED:
            return False
        return not (claim.gpu_memory and has.gpu_memory and self.gpu_held + claim.gpu_memory > has.gpu_memory * _ROUNDED)

    def take(self, claim: Claim, more: float) -> None:
        """Let so many workers *more* be at such tasks (negative: fewer)."""
        self.taken += more * self._share(claim)
        self.held += more * claim.memory
        self.gpu_held += more * claim.gpu_memory
        self.claims += more if claim.cores else 0

    def _share(self, claim: Claim) -> float:
        """Return the cores that one worker takes for a task with this *claim*."""
        return claim.cores or self.has.cores / self.workers

    @property
    def state(self) -> tuple[object, ...]:
        """What it has room for follows from this."""
        return self.has, self.workers, self.taken, self.held, self.gpu_held, self.claims > _ROUNDING


def could_take(claim: Claim, has: Claim) -> bool:
    """Return whether a machine that *has* so much, and renders nothing else, could take a task with this *claim*."""
    most = has.cores, has.memory * _ROUNDED, has.gpu_memory * _ROUNDED
    return all(not each or wanted <= each for wanted, each in zip(claim, most, strict=True))


def about(size: int) -> int:
    """Return *size*, in bytes, to within a thirty-second: jobs that need about as much are served alike.

    >>> about(1000), about(1023), about(15), about(0)
    (992, 1024, 15, 0)
    """
    step = 1 << max(0, size.bit_length() - 5)
    return (size + step // 2) // step * step


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
