"""How fast somebody may go on: so many at once, and then so many a second. Pure."""

from dataclasses import dataclass


@dataclass(slots=True)
class Pace:
    """``rate`` a second, and up to ``burst`` saved up. ``since``: the time of the last look, in seconds of any steady clock."""

    rate: float
    burst: float
    since: float
    _left: float = -1.0

    def take(self, now: float) -> bool:
        """Return whether one more may be taken at *now*; if so it is."""
        left = self.burst if self._left < 0 else min(self.burst, self._left + (now - self.since) * self.rate)
        self.since = now
        if left < 1:
            self._left = left
            return False
        self._left = left - 1
        return True
