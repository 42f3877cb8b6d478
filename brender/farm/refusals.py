"""What workers in a row say who cannot begin a job, until one renders some of it. Pure.

Once so many have said so, the rest of a large farm is not asked one after the other. Not kept: a server that starts again counts
from the beginning.
"""

from dataclasses import dataclass, field

#: Workers in a row that cannot begin a job now, before it rests.
RESTS_AFTER = 5


@dataclass(slots=True)
class Refusals:
    """The refusals of one job. ``lacking``: the workers whose machines lack what it needs; ``put_off``: those that could not use
    its folders; ``rests``: how often it rested for these, as ``said`` tells people; ``rests_until``: when (monotonic) it is given
    out again, ``None`` where it does not rest; ``tries_until``: when the one that tries it after a rest has rendered for so long
    that it could begin it, ``None`` if no worker tries it; ``is_insisted_on``: a person has queued it again, so that all workers
    are asked."""

    lacking: set[str] = field(default_factory=set)
    put_off: set[str] = field(default_factory=set)
    rests: int = 0
    rests_until: float | None = None
    tries_until: float | None = None
    said: str = ""
    is_insisted_on: bool = False

    def clear(self) -> bool:
        """Begin again from nothing; return whether that changed anything."""
        had = bool(self.lacking or self.put_off)
        self.lacking.clear()
        self.put_off.clear()
        self.rests, self.rests_until, self.tries_until, self.said = 0, None, None, ""
        return had

    def due(self) -> float | None:
        """Return when (monotonic) its rest is over, or its trial; ``None`` where there is neither."""
        return self.tries_until if self.rests_until is None else self.rests_until
