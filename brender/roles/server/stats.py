"""Statistics on their way into the record: the newest on each node's row, averages as its history. Pure."""

from dataclasses import dataclass, field
from typing import Any

import msgspec

from brender.model.nodes import Stats
from brender.roles.effects import Now
from brender.roles.policy import Policy

#: Seconds between two writings of a node's newest statistics.
_NEWEST_EVERY = 5.0


@dataclass
class _Samples:
    began: float
    began_wall: float
    shown: float = -1e9
    sums: dict[str, float] = field(default_factory=dict)
    count: int = 0


class StatsRecorder:
    """Feed it every sample; it says what to write, and when."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._samples: dict[str, _Samples] = {}

    def seen(self, node: str, stats: Stats, now: Now) -> tuple[dict[str, float] | None, tuple[float, dict[str, Any]] | None]:
        """Take a sample of *node*; return its newest statistics where they are to be written now, and a row of its history
        where one is full: the time that it begins at and its fields."""
        samples = self._samples.setdefault(node, _Samples(now.mono, now.wall))
        plain = msgspec.structs.asdict(stats)
        for name, value in plain.items():
            samples.sums[name] = samples.sums.get(name, 0.0) + value
        samples.count += 1
        newest = history = None
        if now.mono - samples.shown >= _NEWEST_EVERY:
            samples.shown = now.mono
            newest = plain
        if now.mono - samples.began >= self.policy.stats_record:
            means = {name: round(total / samples.count, 2) for name, total in samples.sums.items()}
            history = samples.began_wall, {"seconds": now.mono - samples.began, "stats": means}
            self._samples[node] = _Samples(now.mono, now.wall, shown=samples.shown)
        return newest, history
