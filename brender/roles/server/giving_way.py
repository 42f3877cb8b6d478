"""Running tasks give way to rush jobs, and to jobs that take their pool's workers back at once, in the server's core. Pure."""

from collections import Counter
from collections.abc import Callable
from itertools import islice

from brender.bus.messages import Cancel
from brender.farm.farm import Farm
from brender.farm.nodes import WorkerState
from brender.farm.stages import queue_again
from brender.farm.tasks import AttemptState
from brender.model.giving_way import GAVE_WAY_TO
from brender.roles.effects import Now, Send
from brender.roles.server.jobs import Emit, Jobs
from brender.scheduling.preemption import Candidate, give_way
from brender.scheduling.roster import Roster
from brender.scheduling.stragglers import idle_worker

#: Seconds between two looks, and the attempts, those that were given out last, that are looked at.
_LOOK_SECONDS = 0.5
_ATTEMPTS_A_LOOK = 2_000
#: Jobs that are looked at, and attempts that give way, in a look at most.
_JOBS_A_LOOK, _GIVE_WAY_A_LOOK = 20, 50


class GivingWay:
    """Has attempts of *farm* stop for jobs of *roster*; *recall* asks back what else a worker was given."""

    def __init__(self, farm: Farm, roster: Roster, jobs: Jobs, emit: Emit, recall: Callable[[WorkerState, Now], None]) -> None:
        self.farm = farm
        self.jobs = jobs
        self.emit = emit
        self._roster, self._recall = roster, recall
        self._stopping: dict[str, str] = {}
        """By attempt that was asked to stop, the job that it gave way to."""
        self._look = 0.0

    def look(self, now: Now) -> None:
        """Let attempts give way to the jobs that do not wait, where no worker is free. Now and then."""
        if now.mono < self._look:
            return
        self._look = now.mono + _LOOK_SECONDS
        self._stopping = {attempt: job for attempt, job in self._stopping.items() if attempt in self.farm.attempts}
        coming = Counter(self._stopping.values())
        pressing = [job for each in self._roster.pressing if (job := self._roster.jobs[each]).rank is not None]
        for job in sorted(pressing, key=lambda job: job.rank or ())[:_JOBS_A_LOOK]:
            left = self._roster.gates.left(job.demand)
            wanted = (job.demand.queued if left is None else min(job.demand.queued, left)) - coming[job.demand.job]
            if wanted <= 0 or idle_worker(self._roster, job.demand.job, ()) is not None:
                continue
            for each in give_way(self._roster, job, self._running(now), min(wanted, _GIVE_WAY_A_LOOK)):
                self._stop(self.farm.attempts[each.attempt], job.demand.job, now)

    # --- inside -----------------------------------------------------------------------------------------------------------

    def _running(self, now: Now) -> list[Candidate]:
        """Return the attempts that run, of those that were given out last."""
        found = []
        for attempt in islice(reversed(self.farm.attempts.values()), _ATTEMPTS_A_LOOK):
            worker = self.farm.workers.get(attempt.worker)
            if worker is None or worker.running != attempt.id or attempt.began is None or attempt.canceling:
                continue
            free = worker.free + worker.rendering if worker.free is not None else None
            task = self.farm.tasks.get(attempt.task)
            times = task.gave_way if task is not None else 0
            found.append(Candidate(attempt.id, attempt.job, attempt.worker, now.mono - attempt.began, free, times))
        return found

    def _stop(self, attempt: AttemptState, to: str, now: Now) -> None:
        """Let *attempt* give way to the job *to*: its task is queued again, and has not failed."""
        farm = self.farm
        job, worker, task = farm.jobs[attempt.job], farm.workers[attempt.worker], farm.tasks.get(attempt.task)
        self._stopping[attempt.id] = to
        self._recall(worker, now)  # first: it must not begin what it has next
        reason = f"{GAVE_WAY_TO}{farm.jobs[to].called}"
        if task is not None and attempt.id in task.attempts:
            task.attempts.remove(attempt.id)
            task.gave_way += 1
            if not task.attempts:
                task.queue_again()
                queue_again(farm, job, task)
        attempt.cancel(reason)
        farm.unanswered[attempt.id] = None
        attempt.sent = now.mono
        farm.changed.add(worker.info.id)
        farm.changed_jobs.add(job.id)
        self.emit(Send(worker.manager, Cancel(worker=attempt.worker, attempts=(attempt.id,), reason=reason)))
        text = f"a task of {job.spec.name} on {worker.info.name} gave way to {farm.jobs[to].spec.name}, and is queued again"
        self.jobs.activity.note(now, "gave-way", text, job.id, worker=worker.info.id)
