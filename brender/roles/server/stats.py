"""Statistics on their way into the record: the newest on each node's row, averages as its history. Pure."""

from dataclasses import dataclass, field

import msgspec

from brender.model.changes import Change, Put, Update
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

    def seen(self, kind: str, node: str, stats: Stats, now: Now) -> list[Change]:
        """What to write after this sample of *node*, which is a *kind* (``worker`` or ``manager``)."""
        samples = self._samples.setdefault(node, _Samples(now.mono, now.wall))
        plain = msgspec.structs.asdict(stats)
        for name, value in plain.items():
            samples.sums[name] = samples.sums.get(name, 0.0) + value
        samples.count += 1
        changes: list[Change] = []
        if now.mono - samples.shown >= _NEWEST_EVERY:
            samples.shown = now.mono
            changes.append(Update(kind, node, {"stats": plain, "last_seen": now.wall}))
        if now.mono - samples.began >= self.policy.stats_record:
            means = {name: round(total / samples.count, 2) for name, total in samples.sums.items()}
            row = {"seconds": now.mono - samples.began, "stats": means}
            changes.append(Put("stat", (node, samples.began_wall), row))
            self._samples[node] = _Samples(now.mono, now.wall, shown=samples.shown)
        return changes
