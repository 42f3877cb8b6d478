"""How tasks of one job depend on each other: they wait, are released, are canceled, or become one. Pure."""

from brender.farm.farm import Farm
from brender.farm.jobs import JobState
from brender.farm.tasks import TaskState


def release(farm: Farm, job: JobState) -> None:
    """Look at the held tasks of *job* after one of its tasks ended, or came into memory: let those go that wait for nothing any
    more, and cancel them where a task has failed."""
    if job.sweeps:
        return  # what they wait for may be queued again in a moment
    for task_id in sorted(job.held):
        task = farm.tasks[task_id]
        below = job.type.waits_for(job.spec, task.number)
        if job.failed_tasks:
            task.cancel("a task that it waits for has failed")
            farm.drop(job, task)
        elif job.cursor >= below - 1 and not any(farm.tasks[other].number < below for other in job.tasks):
            job.held.discard(task_id)
            task.release()
            farm.enqueue(job, task)


def grow(farm: Farm, job: JobState, task: TaskState, wanted: int) -> None:
    """Let *task*, about to be given out for the first time, have *wanted* parts, with those of the queued tasks after it, which
    are then no more."""
    while not task.granted and len(task.parts) < wanted and job.queued:
        other = farm.tasks[job.first_queued()]
        if other.granted or len(task.parts) + len(other.parts) > wanted:
            return
        job.next_task()
        for part in other.parts:
            part.move_to(task.id)
        task.parts += other.parts
        other.parts = []
        other.complete(f"its frames went into task {task.number}")
        farm.drop(job, other)
