"""The limits of users, projects and licences: how many tasks each may have out at a time, and has. Pure.

What is handed out counts, begun or not, so that no limit is ever exceeded. A job's own limit is `Demand.most`.

Hot path, watched by benchmarks.rounds.
"""

from collections import Counter

from brender.scheduling.terms import Demand

#: What has a limit: ``project``, ``user`` or ``licence``, and its name.
Gate = tuple[str, str]


def gates_of(demand: Demand) -> tuple[Gate, ...]:
    """Return what counts the tasks of *demand*."""
    licences = demand.need.licences
    mine: tuple[Gate, ...] = (("project", demand.project), ("user", demand.user))
    return (*mine, *(("licence", each) for each in licences)) if licences else mine


class Gates:
    """The limits that tasks count against, and how much of each is used. ``full`` are those with nothing left."""

    def __init__(self) -> None:
        self.most: dict[Gate, int] = {}
        self.live: Counter[Gate] = Counter()
        """Of all, with a limit or without; none is 0."""
        self.full: dict[Gate, None] = {}
        self.opened = False
        """One that was full is so no more, since someone unset this."""

    def count(self, gate: Gate, more: int) -> None:
        """Note that *more* tasks of *gate* are out."""
        live = self.live[gate] + more
        if live:
            self.live[gate] = live
        else:
            del self.live[gate]
        if self.most:
            self._look(gate)

    def limit(self, gate: Gate, most: int | None) -> None:
        """Let so many tasks of *gate* be out at most; ``None``: any number."""
        if most is None:
            self.most.pop(gate, None)
        else:
            self.most[gate] = most
        self._look(gate)

    def left(self, demand: Demand) -> int | None:
        """Return how many more tasks of *demand* may be given out, by its own limit too; ``None``: any number."""
        left = [demand.most - demand.live] if demand.most else []
        left += [self.most[gate] - self.live[gate] for gate in gates_of(demand) if gate in self.most]
        return max(0, min(left)) if left else None

    def closed(self, demand: Demand) -> Gate | None:
        """Return the gate that is full, and keeps *demand* waiting; ``None`` if no gate does."""
        if not self.full:
            return None
        return next((gate for gate in gates_of(demand) if gate in self.full), None)

    def _look(self, gate: Gate) -> None:
        is_full = gate in self.most and self.live[gate] >= self.most[gate]
        if is_full:
            self.full[gate] = None
        elif gate in self.full:
            del self.full[gate]
            self.opened = True
