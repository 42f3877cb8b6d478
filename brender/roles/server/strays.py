"""Reports of attempts that the record does not know: it was restored from a backup that is older than they are. Pure.

What such an attempt has finished is adopted: the attempt is entered in the record, as if it had just been granted, and its
reports are taken like any other's.
"""

from collections.abc import Sequence

from brender.bus.messages import AnyReport, PartDone
from brender.farm.farm import Farm
from brender.farm.jobs import JobState
from brender.farm.nodes import WorkerState
from brender.farm.tasks import AttemptState, TaskState
from brender.model.status import ENDED_JOB, TaskStatus
from brender.roles.effects import Now

_MOST_ATTEMPTS = 2


def strays_in(farm: Farm, reports: Sequence[AnyReport]) -> list[PartDone]:
    """Return those of *reports* that say what an attempt has finished which *farm* does not know. Hot path."""
    known = farm.attempts
    return [each for each in reports if each.attempt not in known and isinstance(each, PartDone)]


def adopt(farm: Farm, worker: WorkerState, task: TaskState, reports: Sequence[AnyReport], now: Now) -> bool:
    """Let the attempt that *reports* are of, in their order, be one at *task* by *worker*. Return whether it is: not where the
    task has ended, or two others are at it already."""
    job = farm.jobs.get(task.job)
    if job is None or job.status in ENDED_JOB or not _has_room(farm, job, task):
        return False
    if task.id not in farm.tasks:
        farm.hold_in_memory(job, farm.keep_recorded(task))
    done = {report.part for report in reports if isinstance(report, PartDone)}
    attempt = AttemptState(
        reports[0].attempt,
        task.id,
        job.id,
        worker.info.id,
        sent=now.mono,
        manager=worker.manager,
        granted_wall=now.wall,
        incarnation=worker.info.incarnation,
        parts=done,
        confirmed=True,
        repeats=bool(task.attempts),
        last_report=reports[0].number - 1,
    )
    farm.enter(attempt, task, job, worker)
    attempt.begin(now.mono, now.wall)
    job.take_out(task.id)
    if task.status is TaskStatus.QUEUED:
        task.start()
    task.granted = True
    for part in task.parts:
        if part.id in done and not part.done:
            part.begin(attempt.id, worker.info.id)
    job.begun += 1
    return True


def _has_room(farm: Farm, job: JobState, task: TaskState) -> bool:
    """Return whether *task* can have one more attempt."""
    known = farm.tasks.get(task.id, task)
    return known is task and task.status in (TaskStatus.QUEUED, TaskStatus.ACTIVE) and len(task.attempts) < _MOST_ATTEMPTS
