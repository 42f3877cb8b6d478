"""Why jobs wait that have work and none of it running, even where it was given out: said on each of them, in the server's core.
Now and then. Pure."""

from collections import deque
from collections.abc import Callable
from itertools import islice

from brender.farm.farm import Farm
from brender.farm.jobs import JobState
from brender.model.obstacle import short_name
from brender.model.status import OPEN_JOB, JobStatus, waits_for_busy
from brender.model.text import plural, some_of
from brender.roles.effects import Now
from brender.roles.policy import Policy
from brender.roles.server.jobs import Jobs
from brender.scheduling.preemption import said_of_pools
from brender.scheduling.reasons import Reasons
from brender.scheduling.roster import Roster

#: Explained jobs, and looks for explanations, in a round at most.
_EXPLAINED_A_ROUND = 50
_EXPLAIN_LOOKS = 250
#: Seconds between two explanations of all such jobs, for each job; a second at least.
_EXPLAIN_SECONDS_A_JOB = 1e-3
#: A job that rendered and whose next tasks are with workers waits once nothing of it was begun for so many seconds: between two
#: frames nothing needs to be said.
_BETWEEN_FRAMES = 3.0
#: Attempts of a job that are looked at, for whether one is about to begin.
_ATTEMPTS_LOOKED_AT = 20
#: Why a farm that runs for one render leaves another job alone.
NOT_THIS_JOB = (
    "The farm that runs now is that of a `brender render`, and renders no other jobs. `brender farm` renders this one, once "
    "that has ended"
)
AFTER_THAT_RENDER = (
    "The farm that runs now is that of another `brender render`. The one that waits for this job goes on once that has ended"
)


class Explanations:
    """Says on jobs of *farm* why nothing of them runs, by *reasons*, which are of *roster*."""

    def __init__(self, farm: Farm, policy: Policy, jobs: Jobs, roster: Roster, reasons: Reasons) -> None:
        self.farm = farm
        self.policy = policy
        self.jobs = jobs
        self._roster, self._reasons = roster, reasons
        self.woken_for: Callable[[str], str] = lambda job: ""
        """Returns why the job with this id waits for a machine that is being woken for it, or "" if it does not."""
        self.silent: dict[str, None] = {}
        """Open jobs of which nothing runs."""
        self.see_new_jobs: Callable[[Now], None] = lambda now: None
        """Called before jobs are explained that have just come."""
        self._only_order: int | None = None
        """Where the farm runs for one job: that job's place in the order of submission, once it is there."""
        self._next: deque[str] = deque()
        self._has_new = False
        self._due = 0.0

    def renders(self, job: JobState) -> bool:
        """Return whether the farm renders *job* at all: one that runs for a render takes its job, and those of renders that were
        begun after it, whose commands wait for them."""
        if not self.policy.only_job:
            return True
        if job.id == self.policy.only_job:
            return True
        if self._only_order is None and (first := self.farm.jobs.get(self.policy.only_job)) is not None:
            self._only_order = first.order
        return job.spec.of_render and self._only_order is not None and job.order > self._only_order

    def soon(self, job: str) -> None:
        """Explain *job* in the next round: its submitter waits to hear it."""
        self._next.appendleft(job)
        self._has_new = True

    def explain(self, now: Now) -> None:
        """Say on each job that has work and none of it running why that is so. Now and then; many jobs in several rounds."""
        if self._roster.is_behind:
            return
        if self._has_new:
            self.see_new_jobs(now)
            self._has_new = False
        if not self._next and now.mono >= self._due:
            self._due = now.mono + max(1.0, _EXPLAIN_SECONDS_A_JOB * len(self.silent))
            self._next.extend(self.silent)
        looks = _EXPLAIN_LOOKS
        for _ in range(min(_EXPLAINED_A_ROUND, len(self._next))):
            job = self.farm.jobs.get(self._next.popleft())
            if job is None or job.begun or job.status not in OPEN_JOB or self._is_about_to_begin(job, now):
                continue
            if job.waiting_for:
                continue  # (which says itself what for: brender.roles.server.waits)
            reason = ""
            if not self.renders(job):
                reason = AFTER_THAT_RENDER if job.spec.of_render else NOT_THIS_JOB
            elif said := self.woken_for(job.id):
                reason = said
            elif job.refusals.said and (job.live or job.refusals.rests_until is not None):
                reason = job.refusals.said
            elif (job.queued or job.live) and job.id in self._roster.jobs:
                looks -= self._reasons.looks(job.id)
                reason = self._with_pools(job, self._reasons.reason(job.id)) + self._handed_out(job)
                if self._ends_for_want_of_workers(job):
                    self.jobs.end(job, JobStatus.FAILED, reason, now)
                    continue
            elif job.delayed:
                reason = "Its failed tasks are tried again in a moment"
            if reason or job.status is JobStatus.QUEUED:
                self.jobs.set_status(job, JobStatus.QUEUED, reason, now)
            if looks <= 0:
                break

    def why_queued(self, job: JobState) -> str:
        """Return why the queued tasks of *job* wait, though others of it may run, as a sentence; "" if nothing hinders them, or
        the scheduler does not know all yet."""
        if self._roster.is_behind or job.id not in self._roster.jobs or not job.queued or job.waiting_for:
            return ""
        return self._with_pools(job, self._reasons.reason(job.id))

    def _with_pools(self, job: JobState, reason: str) -> str:
        """Return the *reason* of *job*; of a rush job that waits for busy workers, also which of these take other jobs first."""
        known = self._roster.jobs[job.id]
        pools = said_of_pools(self._roster, known) if known.demand.rush and waits_for_busy(reason) else ""
        return f"{pools}. {reason}" if pools else reason

    def _handed_out(self, job: JobState) -> str:
        """Return which busy workers have the tasks of a *job* at a limit of which none runs, as a sentence that follows another;
        "" if it is not so."""
        if not job.live or not self._reasons.shut(self._roster.jobs[job.id]):
            return ""
        held = (self.farm.attempts[each].worker for each in islice(job.live, _ATTEMPTS_LOOKED_AT))
        names = sorted({self.farm.workers[each].info.name for each in held if each in self.farm.workers})
        finish = "finishes what it does" if len(names) == 1 else "finish what they do"
        tasks = f"{plural(len(job.live), 'task')} of it {'is' if len(job.live) == 1 else 'are'}"
        return f". {tasks} handed out to {some_of([short_name(each) for each in names])}, which {finish} first" if names else ""

    def _is_about_to_begin(self, job: JobState, now: Now) -> bool:
        """Return whether a worker has a task of *job* next that it can begin, or *job* rested for a moment only."""
        if not job.live:
            return False
        if now.mono < job.rests_since + _BETWEEN_FRAMES:
            return True
        workers = (self.farm.workers.get(self.farm.attempts[each].worker) for each in islice(job.live, _ATTEMPTS_LOOKED_AT))
        return any(worker is not None and not worker.running for worker in workers)

    def _ends_for_want_of_workers(self, job: JobState) -> bool:
        """Return whether the farm runs for renders alone, such as *job*, and its workers are there, and none can run it."""
        if not self.policy.only_workers or not self.renders(job):
            return False
        here = sum(bool(worker.term) for worker in self.farm.workers.values())
        return here >= self.policy.only_workers and self._reasons.nobody_can(job.id)
