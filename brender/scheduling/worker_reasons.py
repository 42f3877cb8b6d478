"""Why a worker renders nothing, as sentences. Made from the same classes that decide, so that they are true. Pure."""

from collections.abc import Callable, Iterator, Mapping
from itertools import chain

from brender.model.eligibility import general_obstacle
from brender.model.obstacle import Obstacle, short_name
from brender.model.text import plural, some_of
from brender.scheduling.classes import OUTSIDE, Job, JobClass, Worker
from brender.scheduling.fitting import hindrance
from brender.scheduling.reasons import Reasons
from brender.scheduling.roster import Roster

#: Jobs that are looked at one by one, and causes that are given.
_JOBS_ASKED, _CAUSES_SHOWN = 200, 3


class WorkerReasons:
    """Sentences about the workers of *roster*. *reasons* says why jobs wait; *why_closed* why the worker with this id takes no
    new tasks now; *name_of* what the job with this id is called; *resting* which jobs that the roster does not have rest for a
    while, and why."""

    def __init__(
        self,
        roster: Roster,
        reasons: Reasons,
        why_closed: Callable[[str], Obstacle],
        name_of: Callable[[str], str],
        resting: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self._roster, self._reasons = roster, reasons
        self._why_closed, self._name_of = why_closed, name_of
        self._resting = resting

    def reason(self, worker_id: str) -> str:
        """Return why the worker *worker_id*, which is there and renders nothing, does not."""
        worker = self._roster.workers[worker_id]
        name = worker.info.name
        if not worker.open:
            return self._why_closed(worker_id).said_of(1, [name])
        if worker.count:
            return f"The worker {short_name(name)} has tasks, and begins the next one in a moment"
        limited = [job for job in self._roster.jobs.values() if job.demand.queued and not job.demand.wants_more]
        resting = self._resting()
        if not self._roster.ready.classes and not limited and not resting:
            return f"The worker {short_name(name)} is idle: no job has a task that waits for a worker"
        causes: dict[str, list[str]] = {}
        total = len(limited) + len(resting)
        for job_id, said in resting.items():
            causes.setdefault(said, []).append(self._name_of(job_id))
        for job in limited[:_JOBS_ASKED]:  # (they are not among the ready ones)
            said = self._why_unable(job, worker) or self._reasons.shut(job)
            causes.setdefault(said, []).append(self._name_of(job.demand.job))
        for kind in self._roster.ready.classes:
            total += len(kind.ready)
            for said, job_id in self._hindrances(kind, worker):
                if not said:
                    return f"The worker {short_name(name)} is about to be given a task of {self._name_of(job_id)}"
                causes.setdefault(said, []).append(self._name_of(job_id))
        return self._sentence(name, total, causes)

    def _hindrances(self, kind: JobClass, worker: Worker) -> Iterator[tuple[str, str]]:
        """Yield why *worker* takes nothing of each ready job of *kind* ("": nothing hinders it), and the job's id."""
        ready = [self._roster.jobs[rank[-1]] for rank in kind.ready[:_JOBS_ASKED]]
        unable = self._why_unable(ready[0], worker)
        yield from ((unable or self._exception(job, worker), job.demand.job) for job in ready)

    @staticmethod
    def _why_unable(job: Job, worker: Worker) -> str:
        """Return what *worker* and all like it lack for *job* and all like it, as a sentence, or ""."""
        kind, name = job.kind, worker.info.name
        if worker.kind in kind.able:
            return ""
        obstacle = kind.obstacles.get(worker.kind)
        if obstacle is OUTSIDE or obstacle is None:
            obstacle = general_obstacle(kind.need, job.demand.paths, worker.info)
        return obstacle.said_of(1, [name]) if obstacle is not None else f"The worker {short_name(name)} cannot run it"

    def _exception(self, job: Job, worker: Worker) -> str:
        if shut := self._reasons.shut(job):
            return shut
        exception = hindrance(job.demand, worker, self._roster.free)
        return exception.said_of(1, [worker.info.name]) if exception is not None else ""

    @staticmethod
    def _sentence(name: str, total: int, causes: dict[str, list[str]]) -> str:
        commonest = sorted(causes.items(), key=lambda each: (-len(each[1]), each[0]))
        told = [f"{said} ({some_of(jobs)})" for said, jobs in commonest[:_CAUSES_SHOWN]]
        if rest := len(set(chain.from_iterable(jobs for _, jobs in commonest[_CAUSES_SHOWN:]))):
            told.append(f"{plural(rest, 'more job')} cannot go there for other reasons")
        waiting = "The job that waits" if total == 1 else f"Of the {total:,} jobs that wait, none"
        cannot = f"cannot go to {short_name(name)}" if total == 1 else f"can go to {short_name(name)}"
        return ". ".join([f"{waiting} {cannot}", *told])
