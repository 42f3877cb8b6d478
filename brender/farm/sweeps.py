"""What is done to many tasks of a job: canceled or queued again, a slice in each round, so that no round is long. Pure.

A sweep's intent and its cursor stand in its job's row: a server that is killed goes on with it. A slice has the tasks after the
cursor, in the order of their numbers, each with all its parts.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from brender.farm.left_out import cut_task, is_superseded
from brender.farm.sweep import Sweep
from brender.farm.waiting import note_queued_again
from brender.jobs.numbering import numbering_of
from brender.model.status import ENDED_TASK, PartStatus, TaskStatus

if TYPE_CHECKING:
    from brender.farm.farm import Farm
    from brender.farm.jobs import JobState
    from brender.farm.tasks import PartState, TaskState
    from brender.model.job import PartPlan


#: What a requeue is about that names frames, or all of a job.
ALL_ENDED: tuple[str, ...] = (TaskStatus.FAILED, TaskStatus.CANCELED, TaskStatus.COMPLETED)
#: What it is about where nothing is named.
UNFINISHED: tuple[str, ...] = (TaskStatus.FAILED, TaskStatus.CANCELED)


def sweep_slice(farm: "Farm", job: "JobState", tasks: Sequence["TaskState"], is_last: bool) -> Sweep | None:
    """Do to *tasks*, which the record has after the cursor of *job*'s first sweep, what that asks for; returns the sweep where it
    is over then (*is_last*)."""
    sweep = job.sweeps[0]
    frames = None if sweep.frames is None else frozenset(sweep.frames)
    count, touched = 0, dict.fromkeys(sweep.stages)
    leaves_out = sweep.what == "leave-out"
    for loaded in tasks:
        task = _in_memory(farm, job, loaded)
        if sweep.renames:
            rename(job, task, task.parts)
        if sweep.what == "cancel":
            _cancel(farm, job, task)
        elif leaves_out and (job.graph.stage(task.number).of_frames or is_superseded(job.graph, task.number)):
            cut_task(farm, job, task, numbering_of(job.spec.settings).kept)
        elif _is_kept(job, task, sweep) or (leaves_out and not _is_remade(job, task, touched)):
            continue
        elif queued := _requeue(farm, job, task, sweep.statuses, frames, frozenset(touched)):
            count += queued
            touched[job.graph.stage(task.number).name] = None
    cursor = tasks[-1].number if tasks else sweep.cursor
    sweep = msgspec.structs.replace(sweep, cursor=cursor, count=sweep.count + count, stages=tuple(touched))
    job.sweeps[0] = sweep
    job.touch()
    if not is_last:
        return None
    del job.sweeps[0]
    if leaves_out:
        job.count_parts()
    # What is queued now and not in memory comes there in its turn, and first of all what is held in memory already waits for.
    job.cursor, job.loading = -1, False
    job.held_upto = max((job.held_upto, *(farm.tasks[held].number for held in job.held)))
    return sweep


def _is_kept(job: "JobState", task: "TaskState", sweep: Sweep) -> bool:
    """Return whether *task* is completed, and *sweep* keeps what is of its stage."""
    return task.status is TaskStatus.COMPLETED and job.graph.stage(task.number).name in sweep.keeps


def _is_remade(job: "JobState", task: "TaskState", touched: Iterable[str]) -> bool:
    """Return whether *task* is to be made again, since some of the stages *touched* is that it is made of."""
    return job.graph.is_remade(job.graph.place(task.number), frozenset(touched))


def _in_memory(farm: "Farm", job: "JobState", loaded: "TaskState") -> "TaskState":
    """Return the task as it is in memory, with the parts that it had done before; where it is not there, *loaded* itself."""
    task = farm.tasks.get(loaded.id)
    if task is None:
        return farm.keep_recorded(loaded)
    known = {part.id for part in task.parts}
    more = [farm.keep(part, recorded=True) for part in loaded.parts if part.id not in known]
    task.parts += more
    job.dependencies.watch(task.number, more)
    return task


def _cancel(farm: "Farm", job: "JobState", task: "TaskState") -> None:
    if task.status in ENDED_TASK:
        return
    task.cancel()
    farm.drop(job, task)


def _requeue(
    farm: "Farm",
    job: "JobState",
    task: "TaskState",
    statuses: tuple[str, ...],
    frames: frozenset[int] | None,
    touched: frozenset[str],
) -> int:
    """Queue again what has one of *statuses* of *task*, of *frames* only (``None``: of all); return how many parts that is.
    *touched*: the stages of which some was queued again before."""
    ended = task.status in ENDED_TASK
    if not task.parts or (ended and task.status not in statuses):
        return 0  # (a task without parts gave them to another)
    if frames is not None:
        place = job.graph.place(task.number)
        if job.graph.is_remade(place, touched):
            frames = None  # whatever it is made of, it is made again when that is
        elif not job.graph.stages[place].of_frames:
            frames = frozenset()
    parts = [part for part in task.parts if part.status in statuses and (frames is None or part.frame in frames)]
    if not parts and not (ended and frames is None):
        return 0
    if ended:
        # It cannot be completed without those of its parts that nobody named.
        parts += [part for part in task.parts if part.status in UNFINISHED and part not in parts]
        job.uncount_ended_task(task.status is TaskStatus.FAILED, sum(part.is_given_up for part in task.parts))
        task.requeue()
    job.dependencies.queue_again(task.number, parts)
    note_queued_again(farm, job, task, parts)
    for part in parts:
        if part.status is PartStatus.COMPLETED:
            job.uncount_part(task.number, part)
            if not job.spec.overwrite:
                # A finished frame that is queued again is to be rendered, not found.
                job.overwrite()
        part.requeue()
        if not part.output:  # (where it had nothing to do, it says that it made no file)
            part.output = _planned_output(job, task, part) or ""
    return len(parts)


def rename(job: "JobState", task: "TaskState", parts: Iterable["PartState"]) -> None:
    """Let *parts* of *task* make the files that *job* now has for them."""
    for part in parts:
        if (output := _planned_output(job, task, part)) is not None:
            part.output = output
            part.touch()


def _own(part: "PartState | PartPlan") -> tuple[int, str, int]:
    return part.frame, part.layer, part.piece


def _planned_output(job: "JobState", task: "TaskState", part: "PartState") -> str | None:
    """Return the file that *part* of *task* is to make; ``None`` where *job* plans no such part (any more)."""
    stage = job.graph.stage(task.number)
    for number in _where_planned(job, task, part, stage.first_task, stage.last_task):
        for each in job.type.task(job.spec, number).parts:
            if _own(each) == _own(part):
                return each.output
    return None


def _where_planned(job: "JobState", task: "TaskState", part: "PartState", first: int, last: int) -> Iterator[int]:
    """Yield the numbers of tasks, *first* to *last*, that may have been planned to do *part* of *task*: its own first, for only a
    task that has grown has those of others, which came after it; then where the frame is if they are in order; then all."""
    yield task.number

    def frame(number: int) -> int:
        return min((each.frame for each in job.type.task(job.spec, number).parts), default=part.frame)

    place = first + bisect_right(range(first, last + 1), part.frame, key=frame) - 1
    yield from (number for number in (place,) if number >= first)
    yield from range(task.number + 1, last + 1)
