"""How tasks of one job depend on each other: they wait, are released, are canceled, or become one. Pure."""

from collections.abc import Iterable

from brender.farm.farm import Farm
from brender.farm.jobs import JobState
from brender.farm.tasks import PartState, TaskState


def release(farm: Farm, job: JobState) -> None:
    """Look at all held tasks of *job*, after some of its tasks came into memory: let those go that wait for nothing any more, and
    cancel those of which something failed that they wait for."""
    if job.held:
        look_at(farm, job, sorted(job.held))


def task_ended(farm: Farm, job: JobState, task: TaskState) -> None:
    """Look at the held tasks of *job* that wait for *task*, which has ended."""
    if job.held:
        look_at(farm, job, _waiting_for(farm, job, task))


def frame_done(farm: Farm, job: JobState, part: PartState) -> None:
    """Look at the held tasks of *job* that wait for the frame of *part* alone, which is done. Hot path."""
    if job.held and (task := farm.tasks.get(part.task)) is not None:
        graph = job.graph
        if graph.frame_waiters[graph.place(task.number)]:
            look_at(farm, job, job.dependencies.held_at((part.frame,)))


def _waiting_for(farm: Farm, job: JobState, task: TaskState) -> list[int]:
    known = job.dependencies
    place = known.graph.place(task.number)
    found = known.held_at(part.frame for part in task.parts) if known.graph.frame_waiters[place] else []
    whole = known.graph.whole_waiters[place]
    if whole and (known.unmade[place] or known.is_over(place, job.cursor)):
        found += [each for each in sorted(job.held) if known.graph.place(farm.tasks[each].number) in whole]
    return found


def look_at(farm: Farm, job: JobState, tasks: Iterable[int]) -> None:
    """Let go those of *tasks* of *job*, which may be held, that wait for nothing any more, and cancel those that wait in vain."""
    if job.sweeps:
        return  # what they wait for may be queued again in a moment
    known, looked_at = job.dependencies, list(tasks)
    for task_id in looked_at:  # (which grows: what waits for a task that is canceled is canceled too)
        if task_id not in known.held:
            continue
        task = farm.tasks[task_id]
        if known.is_in_vain(task):
            task.cancel("a task that it waits for has failed or was canceled")
            farm.drop(job, task)
            looked_at += _waiting_for(farm, job, task)
        elif not known.waits(task, job.cursor) and not waits_for_jobs(farm, job, task):
            known.release(task_id)
            task.release()
            farm.enqueue(job, task)


def queue_again(farm: Farm, job: JobState, task: TaskState) -> None:
    """Let *task*, which was given out and is to be done again, wait for its turn; or for a frame of another job, where that was
    queued again meanwhile."""
    if waits_for_jobs(farm, job, task):
        job.hold([task])
        farm.changed_jobs.add(job.id)
    else:
        farm.enqueue(job, task)


def waits_for_jobs(farm: Farm, job: JobState, task: TaskState) -> bool:
    """Return whether *task* of *job* waits for frames of other jobs. What is no frame waits for all of them."""
    if not job.waits_by_frame:
        return False
    place = job.graph.place(task.number)
    if job.graph.waits[place]:
        return False  # it waits for what waits for them
    has_frames = job.graph.stages[place].of_frames
    for after in job.spec.after:
        awaited = farm.awaited.get(after.job)
        if not after.by_frame or (awaited is not None and awaited.is_completed):
            continue
        if awaited is None or not has_frames or not all(awaited.has(part.frame) for part in task.parts):
            return True
    return False


def grow(farm: Farm, job: JobState, task: TaskState, wanted: int) -> None:
    """Let *task*, about to be given out for the first time, have *wanted* parts, with those of the queued tasks of its stage
    after it, which are then no more."""
    graph = job.dependencies.graph
    while not task.granted and len(task.parts) < wanted and job.queued:
        other = farm.tasks[job.first_queued()]
        if other.granted or len(task.parts) + len(other.parts) > wanted or graph.place(other.number) != graph.place(task.number):
            return
        job.next_task()
        for part in other.parts:
            part.move_to(task.id)
        task.parts += other.parts
        other.parts = []
        other.complete(f"its frames went into task {task.number}")
        farm.drop(job, other)
