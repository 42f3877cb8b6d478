"""Which running tasks an idle worker repeats, so that the slowest frame does not hold a whole job. Pure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

#: A task is a straggler once it has run for so many times what it should take, and for some seconds more than it should.
TIMES_EXPECTED = 2.0
SECONDS_MORE = 5.0


@dataclass(frozen=True, slots=True)
class Running:
    """The only attempt at a task of a job that has no other left to give: it has run for ``seconds``, and should take
    ``expected``."""

    attempt: str
    job: str
    worker: str
    seconds: float
    expected: float

    @property
    def overdue(self) -> float:
        return self.seconds - max(self.expected * TIMES_EXPECTED, self.expected + SECONDS_MORE)


def repeats(running: Iterable[Running], idle: Iterable[str], able: Callable[[str, str], bool]) -> list[tuple[str, str]]:
    """Which attempt each of the *idle* workers repeats, the most overdue first: (attempt, worker). *able* (job, worker) says
    whether that worker could run it."""
    free = list(idle)
    found: list[tuple[str, str]] = []
    for slow in sorted(running, key=lambda each: -each.overdue):
        if slow.overdue <= 0:
            break
        helper = next((worker for worker in free if worker != slow.worker and able(slow.job, worker)), None)
        if helper is not None:
            free.remove(helper)
            found.append((slow.attempt, helper))
    return found
