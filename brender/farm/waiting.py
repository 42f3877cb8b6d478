"""Jobs that wait for other jobs, for a time, or for the night: what holds them up, and what lets their frames go. Pure.

What a job waits for is looked at again and again, so that it waits again where that is queued again.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import NamedTuple

from brender.farm.awaited import Awaited
from brender.farm.farm import Farm
from brender.farm.jobs import JobState
from brender.farm.stages import look_at, waits_for_jobs
from brender.farm.tasks import PartState, TaskState
from brender.model.beginning import JOBS, SOMEBODY, TIME, After, Beginning, said_night, said_start
from brender.model.errors import BadInput, NotFound
from brender.model.status import ENDED_JOB, JobStatus, TaskStatus
from brender.model.text import job_in_words, plural, short_id, some_of
from brender.model.units import Units, units_of

#: Jobs that one job may wait for.
AFTER_MOST = 1000


class Hindrance(NamedTuple):
    """Why a job waits, as a sentence, and for what (`JOBS`, `TIME`, `SOMEBODY`). ``closed``: none of it may be given out."""

    closed: bool
    kind: str
    reason: str


def follow(farm: Farm, job: JobState) -> None:
    """Let *job*, which is unfinished, wait for what it has to wait for."""
    for after in job.spec.after:
        farm.awaited[after.job].waiting.add(job.id)
    if job.spec.after or job.spec.start_at or job.spec.night:
        farm.waiting.add(job.id)
        farm.waits_changed.add(job.id)


def forget(farm: Farm, job: JobState) -> None:
    """Let *job*, which has ended or is to wait for something else, wait for nothing any more."""
    farm.waiting.discard(job.id)
    for after in job.spec.after:
        awaited = farm.awaited.get(after.job)
        if awaited is not None:
            awaited.waiting.discard(job.id)
            if not awaited.waiting:
                del farm.awaited[after.job]


def note_status(farm: Farm, job: JobState, status: JobStatus | None) -> None:
    """Note that *job*, which others may wait for, is *status* now; ``None``: it is deleted."""
    awaited = farm.awaited.get(job.id)
    if awaited is None:
        return
    was_completed = awaited.is_completed
    awaited.status, awaited.done = status, how_far(job)
    farm.waits_changed |= awaited.waiting
    if was_completed and not awaited.is_completed:
        _hold_again(farm, awaited)


def note_deleted(farm: Farm, job: str) -> None:
    """Note that the record of *job*, which others may wait for, is gone. Nobody waits for it any more if it was completed."""
    awaited = farm.awaited.get(job)
    if awaited is None:
        return
    farm.waits_changed |= awaited.waiting
    if not awaited.is_completed:
        awaited.status = None
        return
    for waiting in [farm.jobs[each] for each in sorted(awaited.waiting) if each in farm.jobs]:
        forget(farm, waiting)
        left = tuple(after for after in waiting.spec.after if after.job != job)
        waiting.wait_otherwise(left, waiting.spec.start_at, waiting.spec.night)
        follow(farm, waiting)


def check_after(farm: Farm, job: str, after: tuple[After, ...]) -> None:
    """Raise `BadInput` where *job* cannot wait for these jobs, which are looked up already, `NotFound` where one is not there."""
    if len({each.job for each in after}) < len(after):
        raise BadInput("A job waits for another either for all of it or frame by frame: name each once")
    if len(after) > AFTER_MOST:
        raise BadInput(f"A job waits for {AFTER_MOST} others at most, not {len(after)}")
    for each in after:
        if each.job == job:
            raise BadInput("A job cannot wait for itself")
        if each.job not in farm.awaited:
            raise NotFound(f"There is no job {each.job!r} to wait for. `brender jobs` lists them")


def in_words_of(beginning: Beginning, farm: Farm) -> str:
    """Return when a job begins, for the activity log."""
    names = [job_in_words(each.job, farm.awaited[each.job].name) for each in beginning.after]
    said = [f"after {some_of(names)}"] if names else []
    if beginning.start_at:
        said.append(f"from {datetime.fromtimestamp(beginning.start_at):%Y-%m-%d %H:%M} on")
    if beginning.night:
        said.append("at night")
    return ", ".join(said) or "at once"


def note_frame(farm: Farm, job: JobState, part: PartState, is_placed: bool) -> None:
    """Note that *part* of *job* is done: jobs may wait for its frame. Hot path. *is_placed*: its file is where it belongs; else
    `note_placed` is to follow."""
    awaited, task = farm.awaited.get(job.id), farm.tasks.get(part.task)
    if awaited is None or awaited.frames is None or task is None or not is_last_of_frames(job, task):
        return
    if not all(other.done for other in task.parts if other.frame == part.frame):
        return
    if is_placed:
        _frame_done(farm, awaited, part.frame)
    else:
        awaited.placing[part.attempt, part.id] = part.frame


def note_placed(farm: Farm, job: str, attempt: str, part: int) -> None:
    """Note that the file of the *part* that *attempt* has done is in the folder of *job*."""
    awaited = farm.awaited.get(job)
    if awaited is not None and (frame := awaited.placing.pop((attempt, part), None)) is not None:
        _frame_done(farm, awaited, frame)


def note_queued_again(farm: Farm, job: JobState, task: TaskState, parts: Iterable[PartState]) -> None:
    """Note that *parts* of *task* of *job* are to be done again: what waits for their frames, and was not begun, waits again."""
    awaited = farm.awaited.get(job.id)
    if awaited is None or awaited.frames is None or not is_last_of_frames(job, task):
        return
    frames = {part.frame for part in parts}
    for frame in frames:
        awaited.frames.discard(frame)
    _hold_again(farm, awaited, frames)


def note_left_out(farm: Farm, job: JobState, task: TaskState, parts: Iterable[PartState]) -> None:
    """Note that *parts* of *task* are no longer of *job*: what waits for their frames waits for all of it, as for all frames that
    it does not have."""
    parts = list(parts)
    awaited = farm.awaited.get(job.id)
    if awaited is not None and is_last_of_frames(job, task):
        gone = {part.id for part in parts}
        awaited.placing = {key: frame for key, frame in awaited.placing.items() if key[1] not in gone}
    note_queued_again(farm, job, task, parts)


def _hold_again(farm: Farm, awaited: Awaited, frames: set[int] | None = None) -> None:
    """Let what waits for *awaited*, and was not begun, wait again; only that which waits for these *frames*, where they are
    named."""
    for waiting in (farm.jobs[each] for each in awaited.waiting if each in farm.jobs):
        if not waiting.waits_by_frame:
            continue
        queued = [farm.tasks[each] for each in waiting.tasks if farm.tasks[each].status is TaskStatus.QUEUED]
        named = queued if frames is None else [each for each in queued if not frames.isdisjoint(frames_of(each))]
        if again := [each for each in named if waits_for_jobs(farm, waiting, each)]:
            waiting.hold(again)
            farm.changed_jobs.add(waiting.id)


def frames_of(task: TaskState) -> set[int]:
    """Return the frames of *task*."""
    return {part.frame for part in task.parts}


def is_last_of_frames(job: JobState, task: TaskState) -> bool:
    """Return whether *task* is of a stage of *job* that its frames are done with."""
    return job.graph.place(task.number) in job.graph.last_of_frames


def _frame_done(farm: Farm, awaited: Awaited, frame: int) -> None:
    assert awaited.frames is not None, "somebody waits for its frames"
    awaited.frames.add(frame)
    for job in (farm.jobs[each] for each in sorted(awaited.waiting) if each in farm.jobs):
        if job.closed:
            farm.waits_changed.add(job.id)
        look_at(farm, job, job.dependencies.held_at((frame,)))


def hindrance(farm: Farm, job: JobState, wall: float, night: Callable[[float], float | None]) -> Hindrance | None:
    """Return why *job* waits at *wall*; ``None``: for nothing. *night* returns when the night begins that comes next, ``None``
    where it is night."""
    found: list[Hindrance] = []
    for after in job.spec.after:
        awaited = farm.awaited.get(after.job) or Awaited(after.job, "", None)
        if not awaited.is_completed:
            closed = not after.by_frame or not awaited.frames
            found.append(_said_of(farm, job, awaited, closed, after.by_frame))
    found.sort(key=lambda each: (each.kind != SOMEBODY, not each.closed))
    begin = night(max(wall, job.spec.start_at)) if job.spec.night else None
    if begin is not None:
        found.append(Hindrance(True, TIME, said_night(begin, wall, job.started is not None)))
    elif job.spec.start_at > wall:
        found.append(Hindrance(True, TIME, said_start(job.spec.start_at, wall)))
    if not found:
        return None
    first, others = found[0], len(found) - 1
    more = f". It waits for {plural(others, 'more job')} too" if others and found[-1].kind != TIME else ""
    if others and found[-1].kind == TIME:
        more = f". {found[-1].reason}"
    return Hindrance(any(each.closed for each in found), first.kind, first.reason + more)


def _said_of(farm: Farm, job: JobState, awaited: Awaited, closed: bool, by_frame: bool) -> Hindrance:
    live = farm.jobs.get(awaited.id)
    done = how_far(live) if live is not None else awaited.done
    called = job_in_words(awaited.id, awaited.name) if awaited.name else f"the job {short_id(awaited.id)}"
    waits = f"Waits for {'frames of ' if by_frame else ''}{called}"
    without = f"`brender when {short_id(job.id)} --not-after {short_id(awaited.id)}` lets this one begin without it"
    if awaited.status is None:
        return Hindrance(closed, SOMEBODY, f"{waits}, which is deleted: {without}")
    if awaited.status in ENDED_JOB:
        what = "failed" if awaited.status is JobStatus.FAILED else "was canceled"
        again = f"`brender requeue {short_id(awaited.id)}` renders it again"
        return Hindrance(closed, SOMEBODY, f"{waits}, which {what} ({done}): {again}, {without}")
    is_paused = ", which is paused" if awaited.status is JobStatus.PAUSED else ""
    return Hindrance(closed, JOBS, f"{waits}{is_paused}: {done.clause}")


def how_far(job: JobState) -> Units:
    """Return how far *job* is."""
    return units_of(job.spec.settings, job.completed_parts, job.part_count, job.finished_frames)
