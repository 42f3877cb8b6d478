"""What tasks of one job have to do with each other. Pure.

Some wait for others: they are let go when those are completed, canceled when one of them has failed. Others may be made one,
where their job leaves the size of its tasks to the farm.
"""

from collections.abc import Callable
from typing import Any, Protocol

from brender.model.changes import Update
from brender.model.status import TASK_TRANSITIONS, PartStatus, TaskStatus, change
from brender.roles.effects import Record
from brender.roles.server.state import Farm, JobState, TaskState


class Queue(Protocol):
    """Where tasks go that may be given out."""

    emit: Callable[[Any], None]

    def enqueue(self, job: JobState, task: TaskState) -> None: ...


def release(farm: Farm, job: JobState, queue: Queue) -> None:
    """Look at the held tasks of *job* after one of its tasks ended, or came into mind."""
    for task_id in sorted(job.held):
        task = farm.tasks[task_id]
        below = job.type.waits_for(job.spec, task.number)
        if job.failed_tasks:
            job.held.discard(task_id)
            _cancel(farm, job, task, queue)
        elif job.cursor >= below - 1 and not any(farm.tasks[other].number < below for other in job.tasks):
            job.held.discard(task_id)
            task.status = change(TASK_TRANSITIONS, "task", task.status, TaskStatus.QUEUED)
            queue.emit(Record(Update("task", task.id, {"status": task.status})))
            queue.enqueue(job, task)


def grow(farm: Farm, job: JobState, task: TaskState, wanted: int) -> list[tuple[TaskState, TaskState]]:
    """Let *task*, about to be given out for the first time, have *wanted* parts, with those of the queued tasks after it; returns
    each task that is no more, with the one that its parts are in now."""
    absorbed: list[tuple[TaskState, TaskState]] = []
    if task.granted:
        return absorbed
    while len(task.parts) < wanted and job.queued:
        other = farm.tasks[job.first_queued()]
        if other.granted or len(task.parts) + len(other.parts) > wanted:
            break
        job.next_task()
        other.status = change(TASK_TRANSITIONS, "task", other.status, TaskStatus.COMPLETED)
        task.parts += other.parts
        absorbed.append((other, task))
        job.ended_tasks += 1
        job.tasks.discard(other.id)
        del farm.tasks[other.id]
    return absorbed


def _cancel(farm: Farm, job: JobState, task: TaskState, queue: Queue) -> None:
    """What it waits for will not come."""
    task.status = change(TASK_TRANSITIONS, "task", task.status, TaskStatus.CANCELED)
    reason = "a task that it waits for has failed"
    queue.emit(Record(Update("task", task.id, {"status": task.status, "reason": reason})))
    for part in task.parts:
        queue.emit(Record(Update("part", part.id, {"status": PartStatus.CANCELED})))
    job.ended_tasks += 1
    job.tasks.discard(task.id)
    del farm.tasks[task.id]
