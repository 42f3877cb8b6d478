"""Which running tasks an idle worker repeats, so that the slowest frame does not hold a whole job. Pure."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from brender.scheduling.fitting import fits
from brender.scheduling.roster import Roster

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


def repeats(running: Iterable[Running], helper: Callable[[str, Collection[str]], str | None]) -> list[tuple[str, str]]:
    """Return which attempts are repeated and by which idle workers, the most overdue first: (attempt, worker).

    *helper* returns an idle worker that could run tasks of a job and is not one of the given ones, or ``None``.
    """
    found: list[tuple[str, str]] = []
    taken: set[str] = set()
    for slow in sorted(running, key=lambda each: -each.overdue):
        if slow.overdue <= 0:
            break
        worker = helper(slow.job, taken | {slow.worker})
        if worker is not None:
            taken.add(worker)
            found.append((slow.attempt, worker))
    return found


def idle_worker(roster: Roster, job_id: str, others_than: Collection[str]) -> str | None:
    """Return an idle worker that could run tasks of an open job and is not one of the given ones, or ``None``."""
    job = roster.jobs.get(job_id)
    if job is None or roster.gates.left(job.demand) == 0:
        return None
    for kind in job.kind.able:
        if kind.resting:
            for order in (*kind.idle, *kind.blocked):
                worker = roster.by_order[order]
                if not worker.count and worker.id not in others_than and fits(job.demand, worker, roster.free):
                    return worker.id
    return None
