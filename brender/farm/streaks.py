"""Workers that fail what others finish: the tasks that failed at each worker in a row, and when it is drained for them. Pure.

A streak grows by each task that fails at the worker, and ends as soon as the worker finishes a frame of any job. What it is for
stands in the worker's row, so that it survives a restart of the server.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from brender.farm.record import Ledger

#: Tasks of one streak that are kept, the newest ones.
_MOST = 50


@dataclass
class Streaks:
    """The streaks of all workers, by their ids; changes go to ``ledger``."""

    ledger: Ledger
    tasks: dict[str, dict[int, bool]] = field(default_factory=dict)
    """The tasks that failed at a worker in a row, and whether another worker has completed each since."""
    drained: dict[str, str] = field(default_factory=dict)
    """Workers that are given nothing new, and why, as a sentence for people."""
    _failed_at: dict[int, set[str]] = field(default_factory=dict)

    def failed(self, worker: str, task: int) -> None:
        """Note that *task* has failed at *worker*."""
        streak = self.tasks.setdefault(worker, {})
        streak.pop(task, None)
        streak[task] = False
        self._failed_at.setdefault(task, set()).add(worker)
        if len(streak) > _MOST:
            self._forget(worker, [next(iter(streak))])
        self._write(worker)

    def succeeded(self, worker: str) -> None:
        """Note that *worker* has finished a frame: its streak is over, unless it is drained for it. Hot path, watched by
        benchmarks.dispatch."""
        if worker in self.tasks and worker not in self.drained:
            self._end(worker)
            self._write(worker)

    def completed(self, task: int) -> list[str]:
        """Note that *task* is completed; return the workers at which it had failed, in whose streaks it is. Hot path, watched by
        benchmarks.dispatch."""
        if task not in self._failed_at:
            return []
        workers = sorted(self._failed_at.pop(task))
        for worker in workers:
            self.tasks[worker][task] = True
            self._write(worker)
        return workers

    def finished_by_others(self, worker: str) -> int:
        """Return how many tasks of the streak of *worker* others have completed."""
        return sum(self.tasks.get(worker, {}).values())

    def drain(self, worker: str, why: str) -> None:
        """Give *worker* nothing new from now on, for *why*."""
        self.drained[worker] = why
        self._write(worker)

    def readmit(self, worker: str) -> None:
        """Let *worker* begin again, without a streak."""
        if worker in self.tasks or worker in self.drained:
            self._end(worker)
            self.drained.pop(worker, None)
            self._write(worker)

    def restore(self, worker: str, streak: Iterable[tuple[int, bool]], drained: str) -> None:
        """Take what the record has of *worker*."""
        self.tasks |= {worker: tasks} if (tasks := {int(task): bool(done) for task, done in streak}) else {}
        for task, done in tasks.items():
            if not done:
                self._failed_at.setdefault(task, set()).add(worker)
        if drained:
            self.drained[worker] = drained

    def _end(self, worker: str) -> None:
        self._forget(worker, list(self.tasks.get(worker, ())))
        self.tasks.pop(worker, None)

    def _forget(self, worker: str, tasks: Iterable[int]) -> None:
        for task in tasks:
            del self.tasks[worker][task]
            if workers := self._failed_at.get(task):
                workers.discard(worker)
                if not workers:
                    del self._failed_at[task]

    def _write(self, worker: str) -> None:
        streak: Mapping[int, bool] = self.tasks.get(worker, {})
        fields = {"failed_in_row": [[task, done] for task, done in streak.items()], "drained": self.drained.get(worker, "")}
        self.ledger.change("worker", worker, fields)
