"""Which tasks of a simulated queue make room for a job that begins: at once, or once they are done. Pure.

As `brender.scheduling.preemption` decides it, except that here a task may give way any number of times.
"""

from dataclasses import dataclass
from math import floor

from brender.scheduling.forecast_work import Work


@dataclass(frozen=True, slots=True)
class Batch:
    """So many ``tasks`` of a job, one after the other at each of some workers (``hands``), from the time ``begun`` on; ``each``
    takes so many seconds."""

    job: str
    begun: float
    tasks: int
    hands: int
    each: float

    def done(self, when: float) -> int:
        """Return how many of its tasks are done at the time *when*."""
        return min(self.tasks, self.rounds(when) * self.hands)

    def rounds(self, when: float) -> int:
        """Return how many tasks each of its workers has done at the time *when*."""
        return floor((when - self.begun) / self.each) if self.each > 0 else self.tasks

    def lost(self, when: float) -> float:
        """Return for how many seconds the tasks run at the time *when* that run then."""
        return when - self.begun - self.rounds(when) * self.each


def gives_way(running: Work, to: Work, pool: str) -> bool:
    """Return whether a task of *running* is stopped for one of *to* at a worker of *pool*."""
    if running.rush or comes_first(running, to, pool):
        return False
    is_borrowed = pool != "" and to.pool == pool and running.pool != pool
    return (to.rush and running.priority < to.priority) or (to.reclaims and is_borrowed)


def comes_first(one: Work, other: Work, pool: str) -> bool:
    """Return whether a worker of *pool* takes tasks of *one* before those of *other*."""
    own, others = pool != "" and one.pool == pool, pool != "" and other.pool == pool
    return own if own is not others else one.priority > other.priority
