"""What holds up a job that has nothing else to give is repeated by idle workers, in the server's core. Pure."""

from collections import deque

from brender.farm.farm import Farm
from brender.farm.jobs import JobState
from brender.model.status import JobStatus
from brender.roles.effects import Now
from brender.roles.server.granting import Granting
from brender.scheduling.roster import Roster
from brender.scheduling.stragglers import Running, idle_worker, repeats

_ATTEMPTS_A_ROUND = 1_000


class Repeats:
    """Gives tasks of *farm* that run for too long to idle workers of *roster* too, by *grants*."""

    def __init__(self, farm: Farm, roster: Roster, grants: Granting) -> None:
        self.farm = farm
        self._roster, self._grants = roster, grants
        self.given_out: dict[str, None] = {}
        """Open jobs that have live attempts and no queued tasks in memory."""
        self._suspects: deque[tuple[str, int]] = deque()
        """(job, task) that are still to be looked at."""
        self._stragglers: list[Running] = []
        self._look = 0.0

    def look(self, now: Now) -> None:
        """Let idle workers repeat what holds up a job that has nothing else to give. Now and then; many in several rounds."""
        if not self._suspects:
            if now.mono < self._look or not any(kind.resting for kind in self._roster.classes.of_workers.values()):
                return
            self._look = now.mono + 1.0
            self._stragglers = []
            for job in (self.farm.jobs[each] for each in self.given_out if each in self.farm.jobs):
                if self._may_repeat(job):
                    self._suspects.extend((job.id, task) for task in sorted(job.tasks))
        for _ in range(min(_ATTEMPTS_A_ROUND, len(self._suspects))):
            if (suspect := self._only_attempt(*self._suspects.popleft(), now)) is not None:
                self._stragglers.append(suspect)
        if self._stragglers and not self._suspects:
            self._repeat(self._stragglers, now)

    def _repeat(self, running: list[Running], now: Now) -> None:
        given = 0
        for attempt_id, worker_id in repeats(running, lambda job, others: idle_worker(self._roster, job, others)):
            attempt, worker = self.farm.attempts.get(attempt_id), self.farm.workers[worker_id]
            task = self.farm.tasks.get(attempt.task) if attempt is not None else None
            if task is None or task.attempts != [attempt_id] or worker.attempts or all(part.done for part in task.parts):
                continue  # it ended, or all of it came, or the worker got something, since it was looked at
            known = self._roster.jobs.get(task.job)
            left = self._roster.gates.left(known.demand) if known is not None else None
            if (left is not None and left <= given) or (known is not None and given and known.demand.reserves):
                continue  # (the scheduler counts those of this round in the next)
            given += 1
            task.repeated = True
            self._grants.give(task, self.farm.jobs[task.job], worker, now)
        self._grants.send()

    def _may_repeat(self, job: JobState) -> bool:
        """Return whether *job* has given out all its tasks, and lets them be repeated."""
        elsewhere = job.cursor < job.planned - 1 or job.planned < job.task_count
        if job.mean_part_seconds is None or job.queued or job.delayed or elsewhere or not job.type.may_repeat(job.spec):
            return False
        return job.status is JobStatus.ACTIVE

    def _only_attempt(self, job_id: str, task_id: int, now: Now) -> Running | None:
        """Return the running attempt at a task if it could be repeated."""
        job, task = self.farm.jobs.get(job_id), self.farm.tasks.get(task_id)
        if job is None or task is None or not self._may_repeat(job) or task.repeated or len(task.attempts) != 1:
            return None
        attempt = self.farm.attempts[task.attempts[0]]
        if attempt.canceling or attempt.began is None or job.graph.stage(task.number) is not job.graph.main:
            return None  # what the job does least of is another kind of work, whose time the others tell nothing of
        expected = (job.mean_part_seconds or 0.0) * len(task.parts)
        return Running(attempt.id, job.id, attempt.worker, now.mono - attempt.began, expected)
