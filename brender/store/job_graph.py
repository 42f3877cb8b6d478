"""Questions about what waits for what: the stages of a job, the jobs that it waits for, and those that wait for it."""

from collections.abc import Iterable
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any

import msgspec
from peewee import SQL, Case, fn

from brender.farm.job_plugin import JobTypeFailed, guarded
from brender.jobs.declare import job_type
from brender.jobs.numbering import TAKEN_OUT, numbering_of
from brender.jobs.stages import Stage, one_stage
from brender.model.errors import BrenderError
from brender.model.job import FileFacts
from brender.model.status import ENDED_JOB, HANDED_OUT
from brender.model.units import units_of
from brender.store.recorded import job_spec
from brender.store.tables import ATTEMPT_LIVE

if TYPE_CHECKING:
    from brender.store.named import Record

#: Jobs of one graph at most.
JOBS_MOST = 60


def waits(record: "Record", row: Any) -> list[dict[str, Any]]:
    """Return the jobs that the one of *row* waits for: each with its name and status ("" for one that is deleted), how far it
    is, and whether it is waited for ``by_frame``."""
    after = row["after_jobs"] if isinstance(row, dict) else row.after_jobs
    table = record.tables.Job
    found = {each.id: each for each in table.select().where(table.id.in_([each["job"] for each in after]))} if after else {}
    return [_wait(each["job"], bool(each.get("by_frame")), found.get(each["job"])) for each in after]


def _wait(id: str, by_frame: bool, row: Any) -> dict[str, Any]:
    known = {"job": id, "by_frame": by_frame, "name": "", "status": "", "done": ""}
    if row is None:
        return known
    return known | {"name": row.name, "status": row.status, "done": _how_far(row)}


def _how_far(row: Any) -> str:
    return str(units_of(row.settings, row.completed_parts, row.part_count, row.finished_frames))


def graph(record: "Record", id: str) -> dict[str, Any]:
    """Return the ``stages`` of the job with this *id*; the ``jobs`` that it waits for, those that wait for it, and so on, itself
    among them; and the ``waits`` between these (``job`` waits for ``after``). ``left_out``: there are more."""
    table = record.tables.Job
    rows: dict[str, Any] = {}
    edges: dict[tuple[str, str], bool] = {}
    left, left_out = [id], False
    while left:
        wanted = [each for each in dict.fromkeys(left) if each not in rows]
        left_out |= len(rows) + len(wanted) > JOBS_MOST
        wanted = wanted[: JOBS_MOST - len(rows)]
        for row in table.select().where(table.id.in_(wanted)) if wanted else ():
            rows[row.id] = row
        followers = _followers(record, wanted)
        left = [*followers]
        edges |= {(follower, each["job"]): bool(each.get("by_frame")) for follower, after in followers.items() for each in after}
        for each in wanted:
            for after in rows[each].after_jobs if each in rows else ():
                edges[each, after["job"]] = bool(after.get("by_frame"))
                left.append(after["job"])
        left = [each for each in left if each not in rows and each not in wanted]
        if len(rows) >= JOBS_MOST:
            left = []
    own = rows[id]
    return {
        "stages": stages(record, own),
        "planned": own.planned_tasks,
        "tasks": own.task_count,
        "jobs": [_job(row) for row in rows.values()],
        "waits": [
            {"job": job, "after": after, "by_frame": by_frame}
            for (job, after), by_frame in edges.items()
            if job in rows and (after in rows or not left_out)
        ],
        "left_out": left_out,
    }


def _followers(record: "Record", jobs: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
    """Return the unfinished jobs that wait for *jobs*, each with all that it waits for."""
    table = record.tables.Job
    wanted = frozenset(jobs)
    text = table.after_jobs.cast("text")
    waiting = table.select(table.id, table.after_jobs).where(table.status.not_in(ENDED_JOB) & (text != "[]"))
    return {id: after for id, after in waiting.tuples().limit(5000) if not wanted.isdisjoint(each["job"] for each in after)}


def _job(row: Any) -> dict[str, Any]:
    counted = units_of(row.settings, row.completed_parts, row.part_count, row.finished_frames)
    known = {"id": row.id, "name": row.name, "status": row.status, "reason": row.reason}
    known |= {"unit": counted.noun, "units_done": counted.done, "units": counted.total}
    return known | {"steps_done": counted.steps_done, "steps": counted.steps, "done_words": str(counted)}


def stages_of(row: Any) -> tuple[Stage, ...]:
    """Return the stages that the job of *row* is declared to have."""
    try:
        kind = guarded(job_type(row.job_type), row.id)
        spec = job_spec(row, kind, msgspec.convert(row.facts, FileFacts) if row.facts else None)
        return tuple(kind.stages(spec))
    except (BrenderError, JobTypeFailed, msgspec.ValidationError):
        return one_stage(row.task_count, "tasks")  # (its job type is not there, or fails: the server says so)


def stages(record: "Record", row: Any) -> list[dict[str, Any]]:
    """Return the stages of the job of *row*: each with its ``tasks``, its ``counts`` of those that are planned by status, and
    what it waits for. Those that a worker has, and has not begun, are ``handed out``."""
    found = stages_of(row)
    task, attempt = record.tables.Task, record.tables.Attempt
    begun = attempt.select(attempt.task).where(SQL(ATTEMPT_LIVE) & (attempt.job == row.id) & attempt.started.is_null(False))
    stands = Case(None, [((task.status == "active") & task.id.not_in(begun), HANDED_OUT)], task.status)
    told, empty = [], numbering_of(row.settings).empty if row.settings.get("numbered") else 0
    for title in dict.fromkeys(stage.title for stage in found):
        stage, *others = same = [each for each in found if each.title == title]
        of_these = (task.number.between(each.first_task, each.last_task) for each in same)
        own = (task.job == row.id) & (task.number >= stage.first_task if stage is found[-1] else reduce(or_, of_these))
        counts = dict(task.select(stands, fn.COUNT(task.id)).where(own & (task.reason != TAKEN_OUT)).group_by(stands).tuples())
        after = [{"stage": wait.stage, "by_frame": wait.by_frame} for wait in stage.after]
        left_out = empty if stage.of_frames else len(others)
        tasks = sum(each.count for each in same) - left_out
        told.append({"name": title, "tasks": tasks, "counts": counts, "after": after})
    return told
