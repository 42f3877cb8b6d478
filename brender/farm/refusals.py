"""What workers in a row say who cannot begin a job, until one renders some of it. Pure.

Once so many have said so, the rest of a large farm is not asked one after the other. Not kept: a server that starts again counts
from the beginning.
"""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Refusals:
    """The refusals of one job. ``by``: the workers that could not begin it; ``rests``: how often it rested for that, as ``said``
    tells people; ``rests_until``: when (monotonic) it is given out again, ``None`` where it does not rest; ``is_insisted_on``:
    a person has queued it again, so that all workers are to be asked."""

    by: set[str] = field(default_factory=set)
    rests: int = 0
    rests_until: float | None = None
    said: str = ""
    is_insisted_on: bool = False

    def clear(self) -> bool:
        """Begin again from nothing; return whether that changed anything."""
        had = bool(self.by)
        self.by.clear()
        self.rests, self.rests_until, self.said = 0, None, ""
        return had
