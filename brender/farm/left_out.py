"""Takes frames out of a job that is edited, and the film of the frames before the edit. Their parts leave the record, and tasks
that have no other parts end. Pure.

Tasks in memory are cut at once (`leave_out`), so that no worker gets such a frame; the others slice by slice
(`brender.farm.sweeps`). The files of finished frames stay where they are.
"""

from collections.abc import Set

from brender.farm.farm import Farm
from brender.farm.jobs import JobState
from brender.farm.stopping import stop
from brender.farm.tasks import AttemptState, PartState, TaskState
from brender.farm.waiting import note_left_out
from brender.jobs.numbering import TAKEN_OUT, numbering_of
from brender.jobs.stages import Graph
from brender.model.job import FILM
from brender.model.ranges import Ranges
from brender.model.status import ENDED_TASK, PartStatus, TaskStatus


def stages_of_frames(job: JobState) -> tuple[str, ...]:
    """Return the names of the stages of *job* that frames can be taken out of."""
    return tuple(stage.name for stage in job.graph if stage.of_frames)


def leave_out(farm: Farm, job: JobState, mono: float) -> list[AttemptState]:
    """Take the frames that *job* no longer has out of its tasks in memory, at *mono* seconds. Return the attempts to stop: those
    that render such a frame or have no other left, and those that make something of all frames."""
    kept, graph, touched = numbering_of(job.spec.settings).kept, job.graph, frozenset(stages_of_frames(job))
    tasks = [farm.tasks[each] for each in sorted(job.tasks)]
    gone = {task.id: ids for task in tasks if (ids := gone_parts(job, task, kept))}
    cut = [task for task in tasks if task.id in gone]
    ending = [each for task in cut for each in task.attempts if not _goes_on(farm.attempts[each], task, gone[task.id])]
    ending += [attempt for task in tasks if graph.is_remade(graph.place(task.number), touched) for attempt in task.attempts]
    stopped = stop(farm, job, dict.fromkeys(ending), TAKEN_OUT, mono)
    resting = [task for task in cut if not task.attempts]
    job.take_out(*(each.id for each in resting if all(part.done or part.id in gone[each.id] for part in each.parts)))
    for task in cut:
        for attempt in (farm.attempts[each] for each in task.attempts):
            _note(farm, attempt, attempt.left_out | {part.id for part in task.parts if _has_still(attempt, part, gone[task.id])})
        cut_task(farm, job, task, kept)
    farm.changed_jobs.add(job.id)
    return stopped


def _goes_on(attempt: AttemptState, task: TaskState, gone: Set[int]) -> bool:
    """Return whether *attempt* at *task*, whose parts *gone* are no longer of the job, makes one that is, as far as the server
    knows: then nothing of what it has done is lost."""
    first = next((part for part in task.parts if not part.done and attempt.has_to_do(part)), None)
    return attempt.started and first is not None and first.id not in gone


def gone_parts(job: JobState, task: TaskState, kept: Ranges) -> frozenset[int]:
    """Return the ids of the parts of *task* that are no longer of *job*, which has the frames *kept*: those of other frames; and
    all of a task that makes something of all frames, where a later one makes it, since frames were added."""
    if job.graph.stage(task.number).of_frames:
        return frozenset(part.id for part in task.parts if part.frame not in kept)
    return frozenset(part.id for part in task.parts) if is_superseded(job.graph, task.number) else frozenset()


def is_superseded(graph: Graph, number: int) -> bool:
    """Return whether task *number* is of a stage that is made of all frames, and another after it makes that."""
    stage = graph.stage(number)
    return not stage.of_frames and any(each.title == stage.title for each in graph.stages[graph.place(number) + 1 :])


def cut_task(farm: Farm, job: JobState, task: TaskState, kept: Ranges) -> None:
    """Take the parts of *task* out of it, and out of the record, that are no longer of *job*, which has the frames *kept*. It
    ends where it has nothing left to do."""
    ids = gone_parts(job, task, kept)
    if not ids:
        return
    gone = [part for part in task.parts if part.id in ids]
    ended, failed = task.status in ENDED_TASK, task.status is TaskStatus.FAILED
    if ended:
        job.uncount_ended_task(failed, sum(part.is_given_up for part in task.parts))
    note_left_out(farm, job, task, gone)
    job.dependencies.forget(task.number, gone)
    for part in gone:
        if part.done:
            job.uncount_part(task.number, part)
            if part.piece == FILM and not job.spec.overwrite:
                job.overwrite()  # it is made again, under its name
        if part.frame not in kept:  # (a film has the number of the last of its frames, which may stay)
            job.measured.pop(part.frame, None)
            job.pieces.pop(part.frame, None)
        farm.ledger.drop("part", part.id)
    task.parts = [part for part in task.parts if part.id not in ids]
    reason = "" if task.parts else TAKEN_OUT
    if ended:
        if task.is_done and task.status is not TaskStatus.COMPLETED:
            task.requeue()
            task.complete(reason)
        elif reason:
            task.explain(reason)
        job.count_ended_task(task.status is TaskStatus.FAILED, sum(part.is_given_up for part in task.parts))
    elif task.is_done and not task.attempts:
        if task.status is TaskStatus.WAITING:
            task.release()
        task.complete(reason)
        farm.drop(job, task)


def _has_still(attempt: AttemptState, part: PartState, gone: Set[int]) -> bool:
    """Return whether *attempt* still has to do *part*, which is one of *gone*."""
    # A server that restarted knows what an attempt was given by the parts that have begun.
    is_given = attempt.has_to_do(part) and (attempt.parts is not None or part.status is PartStatus.ACTIVE)
    return part.id in gone and not part.done and is_given


def _note(farm: Farm, attempt: AttemptState, left_out: set[int]) -> None:
    """Note what *attempt* has *left_out* of its grant, in its row too, since a server that restarts has to know it."""
    if left_out != attempt.left_out:
        attempt.left_out = left_out
        farm.ledger.change("attempt", attempt.id, {"left_out": sorted(left_out)})


def reported(farm: Farm, attempt: AttemptState, part: int) -> None:
    """Note that *attempt* has done *part*, which may have been taken out of its job. Hot path, watched by benchmarks.dispatch."""
    if attempt.parts is not None:
        attempt.parts.discard(part)
    if attempt.left_out:
        _note(farm, attempt, attempt.left_out - {part})


def has_only_such(attempt: AttemptState, task: TaskState) -> bool:
    """Return whether the task is done, since all parts that *attempt* at *task* still has to do were taken out of the job."""
    return task.is_done and bool(attempt.left_out)
