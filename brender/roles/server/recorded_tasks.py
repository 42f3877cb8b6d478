"""Reads tasks of the record into the server's memory: the next to be planned, the slices of a sweep, what a person requeues."""

import functools
import operator
from collections.abc import Iterable
from typing import Any

from peewee import fn

from brender.bus.messages import PartDone
from brender.farm.farm import Farm
from brender.farm.sweeps import ALL_ENDED, UNFINISHED
from brender.farm.tasks import PartState, TaskState
from brender.model.errors import BadInput
from brender.model.frames import parse_frames
from brender.model.job import BAKE, COPY, FILM
from brender.model.ranges import Ranges
from brender.model.status import PartStatus, TaskStatus
from brender.roles.server.jobs import Selection
from brender.store.tables import Tables

#: Ranges of frames that are named in one query.
_RANGES_A_READ = 200

#: Frames that one requeue may name: each becomes a variable of an SQL statement.
_REQUEUED_BY_NAME = 10_000
#: Parts of one slice of a sweep, which is read, changed and written in one round.
SLICE_PARTS = 250


def queued_tasks(tables: Tables, job: str, after: int, limit: int) -> list[TaskState]:
    """Return the next *limit* tasks of *job* after number *after* that are queued or wait for others, with the parts that they
    still have to do."""
    task, part = tables.Task, tables.Part
    wanted = (task.job == job) & (task.number > after) & task.status.in_((TaskStatus.QUEUED, TaskStatus.WAITING))
    found = _tasks(tables, wanted, limit)
    if found:
        _add_parts(found, _parts(tables, _is_of(found, part) & (part.status != PartStatus.COMPLETED)))
    return found


def slice_of_tasks(tables: Tables, job: str, after: int, limit: int) -> tuple[list[TaskState], bool]:
    """Return the tasks of *job* after number *after*, each with all its parts, as many as one round may change, and whether these
    are the last."""
    task, part = tables.Task, tables.Part
    found = _tasks(tables, (task.job == job) & (task.number > after), limit)
    if not found:
        return [], True
    parts = _parts(tables, _is_of(found, part), SLICE_PARTS + 1)
    if len(parts) <= SLICE_PARTS:
        _add_parts(found, parts)
        return found, len(found) < limit
    # The last of these tasks may have more parts than were read: it is the next slice's, unless there is no other.
    cut = parts[-1].task
    whole = [each for each in found if each.id < cut] or found[:1]
    if whole[0].id == cut:
        parts = _parts(tables, part.task == cut)
    _add_parts(whole, parts)
    return whole, False


def strays(farm: Farm, tables: Tables, reports: Iterable[PartDone], since: float) -> dict[str, TaskState]:
    """Return the attempts of *reports* that the record does not know, each with the task whose part it finished. A job that was
    submitted after *since*, when the server started, has none: it knows all attempts since then."""
    found: dict[str, TaskState] = {}
    part, attempt = tables.Part, tables.Attempt
    for report in reports:
        if report.attempt in found:
            continue
        if attempt.select().where(attempt.id == report.attempt).exists():
            continue
        row = part.select(part.task, part.job).where(part.id == report.part).tuples().first()
        job = farm.jobs.get(row[1]) if row is not None else None
        if row is None or job is None or job.submitted >= since:
            continue
        task = farm.tasks.get(row[0])
        if task is None:
            task = unfinished_task(tables, row[0])
        found[report.attempt] = task
    return found


def select_for_requeue(tables: Tables, job: str, value: object) -> Selection:
    """Return what ``requeue`` means for *job*: *value* is ``None`` (what failed or was canceled), ``"all"``, or a frame set.

    Raises `BadInput` for text that is not a frame set.
    """
    if value is None:
        return Selection(UNFINISHED)
    if value == "all":
        return Selection(ALL_ENDED)
    frames = parse_frames(str(value))
    if len(frames) > _REQUEUED_BY_NAME:
        raise BadInput(
            f"{len(frames)} frames are too many to name in one requeue ({_REQUEUED_BY_NAME} at most): queue all again instead"
        )
    part = tables.Part
    ended = (part.job == job) & part.frame.in_(frames) & part.status.in_(ALL_ENDED)
    return Selection(ALL_ENDED, frames, is_empty=not part.select().where(ended).exists())


def count_rendered(tables: Tables, job: str, frames: Ranges) -> int:
    """Return of how many of *frames* of *job* something is rendered, whatever is made of all frames left aside."""
    part, count, pairs = tables.Part, 0, list(frames.pairs())
    done = (part.job == job) & (part.status == PartStatus.COMPLETED) & part.piece.not_in((FILM, BAKE, COPY))
    for at in range(0, len(pairs), _RANGES_A_READ):
        named = functools.reduce(operator.or_, (part.frame.between(*pair) for pair in pairs[at : at + _RANGES_A_READ]))
        count += part.select(fn.COUNT(part.frame.distinct())).where(done & named).scalar()
    return count


def unfinished_task(tables: Tables, id: int) -> TaskState:
    """Return the task *id* of the record, with the parts that it still has to do."""
    (task,) = _tasks(tables, tables.Task.id == id, 1)
    _add_parts([task], _parts(tables, (tables.Part.task == id) & (tables.Part.status != PartStatus.COMPLETED)))
    return task


def _tasks(tables: Tables, where: Any, limit: int) -> list[TaskState]:
    """Return the first *limit* tasks, by their numbers, without their parts."""
    task = tables.Task
    columns = (task.id, task.job, task.number, task.status, task.failures, task.losses, task.reason)
    rows = task.select(*columns).where(where).order_by(task.number).limit(limit).tuples()
    return [
        TaskState(id, job, number, [], TaskStatus(status), failures, losses, reason, granted=bool(failures or losses))
        for id, job, number, status, failures, losses, reason in rows
    ]


def _is_of(tasks: Iterable[TaskState], part: Any) -> Any:
    """Return the condition that a part is of one of *tasks*. By their ids alone: where the job is named too, SQLite reads all of
    the job's parts, of which there may be a million."""
    return part.task.in_([task.id for task in tasks])


def _parts(tables: Tables, where: Any, limit: int | None = None) -> list[PartState]:
    """Return the parts, in the order of their tasks and their own."""
    part = tables.Part
    fields = (*PartState.columns, "id", "job", "frame", "scene", "layer", "view", "piece")
    query = part.select(*(getattr(part, name) for name in fields)).where(where).order_by(part.task, part.id).limit(limit)
    found = []
    for row in query.tuples():
        values = dict(zip(fields, row, strict=True))
        values["status"] = PartStatus(values["status"])
        for name in ("further_files", "warnings"):
            values[name] = tuple(values[name])
        found.append(PartState(**values))
    return found


def _add_parts(tasks: Iterable[TaskState], parts: Iterable[PartState]) -> None:
    """Give each of *parts* to the one of *tasks* that it is of, if that is there."""
    by_id = {task.id: task for task in tasks}
    for part in parts:
        if (task := by_id.get(part.task)) is not None:
            task.parts.append(part)
