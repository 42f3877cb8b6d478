"""How fast workers are, and how much work a part of each job is, learned from the parts that are done. Pure.

A part of a job with so much *work* takes a worker of such a *speed* work / speed seconds. Both are fitted to what was measured,
so that a job which slow workers have rendered so far is not taken for a slow one. A farm's mean worker has the speed 1.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

#: How many jobs are remembered, those that were heard of last.
_JOBS_MOST = 2000
#: A worker of which little is known is taken for a mean one: it counts as so many parts.
_PRIOR_PARTS = 1.0
_ROUNDS = 6
_FASTEST = 100.0
#: The weight of a job's newest part against those before it, in what its parts take of late.
_NEWEST = 1 / 12


@dataclass(frozen=True)
class Measured:
    """A part that is done: its job, the worker that did it, and the seconds that it took."""

    job: str
    worker: str
    seconds: float


@dataclass(frozen=True)
class Begun:
    """A part that a worker is at, for so many *seconds* by now. *share*: how much of it is done; ``None``: nobody knows."""

    job: str
    worker: str
    seconds: float
    share: float | None = None


@dataclass(frozen=True)
class JobPace:
    """What a part of a job is: seconds of ``work`` at the speed 1 (``recent``: by the last ones), how far parts are spread around
    that, as a share of it, and how many ``parts`` that is known of."""

    work: float
    recent: float
    spread: float
    parts: int

    @property
    def expected(self) -> float:
        """The work of those to come: they are somewhere between all and the last."""
        return (self.work + self.recent) / 2


@dataclass
class _Seen:
    """What was measured of one job: (parts, their seconds) by worker, and the sums that its spread is made of."""

    cells: dict[str, tuple[int, float]] = field(default_factory=dict)
    recent: float = 0.0
    weighed: float = 0.0
    squares: float = 0.0
    parts: int = 0


class Pace:
    """What is known of the pace of workers and jobs."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, _Seen] = OrderedDict()
        self._speeds: dict[str, float] = {}

    def learn(self, measured: Iterable[Measured], begun: Iterable[Begun] = ()) -> None:
        """Take in parts that were done, in the order in which they were, and those that workers are at now: a slow worker is the
        last to be heard of."""
        for each in measured:
            if each.seconds <= 0:
                continue
            seen = self._seen.setdefault(each.job, _Seen())
            self._seen.move_to_end(each.job)
            count, total = seen.cells.get(each.worker, (0, 0.0))
            seen.cells[each.worker] = count + 1, total + each.seconds
            work = each.seconds * self._speeds.get(each.worker, 1.0)
            seen.parts += 1
            seen.weighed += work
            seen.squares += work * work
            weight = max(_NEWEST, 1 / seen.parts)
            seen.recent += weight * (work - seen.recent)
        while len(self._seen) > _JOBS_MOST:
            self._seen.popitem(last=False)
        self._fit([each for each in begun if each.seconds > 0 and each.job in self._seen])

    def speed(self, worker: str) -> float:
        """Return the speed of *worker*; 1 where nothing is known of it."""
        return self._speeds.get(worker, 1.0)

    def of_job(self, job: str) -> JobPace | None:
        """Return what is known of *job*; ``None``: nothing."""
        seen = self._seen.get(job)
        if seen is None:
            return None
        work = _work(seen.cells, self._speeds)
        mean = seen.weighed / seen.parts
        spread = max(0.0, seen.squares / seen.parts / (mean * mean) - 1) ** 0.5
        return JobPace(work, work * seen.recent / mean, spread, seen.parts)

    def _fit(self, begun: list[Begun]) -> None:
        names = {worker for seen in self._seen.values() for worker in seen.cells} | {each.worker for each in begun}
        speeds = {worker: self._speeds.get(worker, 1.0) for worker in names}
        at_work: dict[str, set[str]] = {}
        for each in begun:
            at_work.setdefault(each.job, set()).add(each.worker)
        for _ in range(_ROUNDS):
            done = dict.fromkeys(speeds, _PRIOR_PARTS)
            took = dict.fromkeys(speeds, _PRIOR_PARTS)
            works = {job: _work(seen.cells, speeds) for job, seen in self._seen.items()}
            for each in begun:
                parts = each.seconds / works[each.job]
                # One that takes as long as it should says nothing; one that takes longer is not done yet all the same.
                done[each.worker] += min(1.0, parts * speeds[each.worker]) if each.share is None else each.share
                took[each.worker] += parts
            for job, seen in self._seen.items():
                if len(seen.cells.keys() | at_work.get(job, set())) < 2:
                    continue  # it says nothing of one worker beside others
                work = works[job]
                for worker, (parts, seconds) in seen.cells.items():
                    done[worker] += parts
                    took[worker] += seconds / work
            speeds = {worker: min(_FASTEST, max(1 / _FASTEST, done[worker] / took[worker])) for worker in speeds}
        self._speeds = speeds


def still_takes(whole: float, seconds: float) -> float:
    """Return how many seconds a part still takes that somebody is at for so many *seconds*, where such a part takes *whole* ones:
    of one that takes longer than that, a tenth of what it took."""
    return max(whole - max(0.0, seconds), seconds / 10)


def _work(cells: Mapping[str, tuple[int, float]], speeds: Mapping[str, float]) -> float:
    """Return the mean work of the parts of a job, by what was measured (parts and seconds by worker) and the workers' speeds."""
    parts = sum(count for count, _ in cells.values())
    return sum(seconds * speeds.get(worker, 1.0) for worker, (_, seconds) in cells.items()) / parts
