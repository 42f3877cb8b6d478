"""Which events a monitor looks at where more come than it can: the ones that say how things stand, and a sample of the others.

Pure. A monitor that falls behind shows what was; one that samples shows what is, and says so.
"""

from collections import Counter

#: Kinds of which each single event matters; all others only add to what is known already.
_TELLING = frozenset({"worker", "manager", "job", "activity", "stats"})
#: Events a second that are looked at: of the others, and of those that matter.
OTHERS, TELLING = 500, 6_000


class Sampler:
    """Counts what comes in each second, and says of each event whether it is looked at."""

    def __init__(self, others: int = OTHERS, telling: int = TELLING) -> None:
        self._limits = {True: telling, False: others}
        self._second = float("-inf")
        self._seen: Counter[bool] = Counter()
        self._every: dict[bool, int] = {True: 1, False: 1}
        self._skipped = 0

    @property
    def of(self) -> int:
        """One of so many of the other events is looked at now."""
        return self._every[False]

    @property
    def of_telling(self) -> int:
        """One of so many of those that matter is."""
        return self._every[True]

    def takes(self, kind: str, now: float) -> bool:
        """Return whether an event of this *kind*, which came *now* (monotonic), is looked at."""
        if now - self._second >= 1.0:
            self._turn(now)
        matters = kind in _TELLING
        self._seen[matters] += 1
        count = self._seen[matters]
        # (Within a second that begins with a burst the limit holds too.)
        if count % self._every[matters] == 0 and count // self._every[matters] <= self._limits[matters]:
            return True
        self._skipped += 1
        return False

    def skipped(self) -> int:
        """Return how many were not looked at since the last call."""
        count, self._skipped = self._skipped, 0
        return count

    def _turn(self, now: float) -> None:
        """Begin another second: what came in the last one decides how many are looked at in this one."""
        for matters, limit in self._limits.items():
            self._every[matters] = max(1, -(-self._seen[matters] // limit))
        self._seen.clear()
        self._second = now
