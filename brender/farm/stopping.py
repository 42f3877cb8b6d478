"""Attempts that are stopped though nothing is wrong with them: their tasks are queued again, and that is no failure. Pure."""

from collections.abc import Iterable

from brender.farm.farm import Farm
from brender.farm.jobs import JobState
from brender.farm.stages import queue_again
from brender.farm.tasks import AttemptState


def stop(farm: Farm, job: JobState, attempts: Iterable[str], reason: str, mono: float) -> list[AttemptState]:
    """Let *attempts* of *job* stop at *mono*, for this *reason*, and queue their tasks again. Return those that were not stopped
    before: their workers have to be told."""
    stopped = [farm.attempts[each] for each in attempts if not farm.attempts[each].canceling]
    for attempt in stopped:
        task = farm.tasks.get(attempt.task)
        if task is not None and attempt.id in task.attempts:
            task.attempts.remove(attempt.id)
            if not task.attempts:
                task.queue_again()
                job.stopping.add(task.id)
                queue_again(farm, job, task)
        attempt.cancel(reason)
        attempt.sent = mono
        farm.unanswered[attempt.id] = None
    return stopped
