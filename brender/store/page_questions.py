"""Questions that pages ask of the record: lists that are filtered and sorted in the database, summaries, history.

Each is a function of the record and plain arguments, and answers with plain data.
"""

from collections.abc import Sequence
from itertools import groupby
from operator import sub
from typing import Any

from peewee import fn

from brender.jobs.part_names import part_in_words
from brender.jobs.stages import Graph
from brender.model.answers import PAGE
from brender.model.errors import BadInput, NotFound
from brender.model.hooks import KINDS
from brender.model.job import COPY
from brender.model.text import short_id
from brender.store.counted import listed_columns, with_progress
from brender.store.job_graph import stages_of
from brender.store.named import GOING, Record, job_id
from brender.store.questions import as_shown, with_time_left
from brender.store.tables import Tables
from brender.store.why_task import why_task

#: Columns that a list of jobs can be sorted by.
SORTS = ("name", "status", "priority", "user", "project", "submitted", "finished", "progress", "machine_seconds")
_LATEST_SHOWN = 12
_DAY = 86_400.0
#: What of a part a page needs to show its cell, in this order.
PART_COLUMNS = (
    "id", "frame", "piece", "status", "seconds", "memory", "worker", "finished", "change", "output", "size", "warnings",
)  # fmt: skip

#: The letter of a part in the frame strip by its status; a completed one is ``c``, ``w`` with a warning, ``d`` without a picture.
STRIP_STATES = {"queued": "q", "active": "a", "failed": "f", "canceled": "x"}
_STRIP_MOST = 200_000
_ATTEMPTS_SHOWN = 50


def find_jobs(
    record: Record,
    q: str = "",
    status: str = "",
    project: str = "",
    user: str = "",
    tag: str = "",
    sort: str = "submitted",
    descending: bool = True,
    start: int = 0,
    length: int = 50,
) -> dict[str, Any]:
    """Jobs that fit all that is given: ``rows`` from number *start* on, and how many there are, ``total`` and ``filtered``. *q*
    is looked for in names and users, and at the start of ids."""
    job = record.tables.Job
    if sort not in SORTS:
        raise BadInput(f"Jobs cannot be sorted by {sort!r}; they can by: {', '.join(SORTS)}")
    there = job.deleting.not_in(GOING)
    fits = there
    if q:
        fits &= job.name.contains(q) | job.user.contains(q) | job.id.startswith(q)
    if status:
        fits &= job.status.in_(status.split(","))
    if project:
        fits &= job.project == project
    if user:
        fits &= job.user == user
    if tag:
        fits &= job.tags.cast("text").contains(f'"{tag}"')
    column = (
        job.completed_parts * 1.0 / fn.COALESCE(fn.NULLIF(job.part_count, 0), 1) if sort == "progress" else getattr(job, sort)
    )
    ordered = (
        job.select(*listed_columns(job, without=("warnings",)))
        .where(fits)
        .order_by(column.desc() if descending else column.asc(), job.id)
    )
    rows = ordered.limit(max(1, min(length, PAGE))).offset(max(0, start)).dicts()
    total = job.select(fn.COUNT(job.id)).where(there).scalar()
    filtered = total if fits is there else job.select(fn.COUNT(job.id)).where(fits).scalar()
    return {"rows": with_eta(record, [with_progress(row) for row in rows]), "total": total, "filtered": filtered}


def with_eta(record: Record, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return *rows*, each with what its job probably still takes (`with_time_left`)."""
    worker = record.tables.Worker
    active = [row["id"] for row in rows if row["status"] == "active"]
    query = worker.select(worker.job, fn.COUNT(worker.id)).where(worker.job.in_(active) & (worker.status != "offline"))
    busy = dict(query.group_by(worker.job).tuples()) if active else {}
    return [with_time_left(record, row, busy.get(row["id"], 0)) for row in rows]


def choices(record: Record) -> dict[str, list[str]]:
    """Return what a list of jobs can be filtered by: the projects and users that there are."""
    job, project = record.tables.Job, record.tables.Project
    users = [user for (user,) in job.select(job.user).distinct().order_by(job.user).limit(1000).tuples() if user]
    return {"projects": [name for (name,) in project.select(project.name).order_by(project.name).tuples()], "users": users}


def cells(record: Record, job: str, since: int = -1) -> dict[str, Any]:
    """Return what a page shows of a job's parts that changed after the commit *since*: ``rows`` of the values of ``columns``, by
    frame, and the names of the ``workers`` in them by their ids."""
    part = record.tables.Part
    # As the database has them: of tens of thousands of rows, making values of their JSON takes longer than all else.
    plain = {"output": part.output != "", "warnings": part.warnings.cast("text") != "[]"}
    columns = [plain.get(name, getattr(part, name)) for name in PART_COLUMNS]
    query = part.select(*columns).where((part.job == job_id(record, job)) & (part.change > since) & (part.piece != COPY))
    rows = part._meta.database.execute(query.order_by(part.frame, part.id).limit(PAGE * 2)).fetchall()
    worker = record.tables.Worker
    ids = {row[6] for row in rows if row[6]}
    names = dict(worker.select(worker.id, worker.name).where(worker.id.in_(list(ids)[:1000])).tuples()) if ids else {}
    return {"columns": list(PART_COLUMNS), "rows": rows, "workers": names}


def strip(record: Record, job: str, since: int = -1) -> dict[str, Any]:
    """Return what the frame strip shows of a job's parts that changed after the commit *since*, by frame: ``states``, one letter
    a part (`STRIP_STATES`), and their ``ids``, ``frames``, ``pieces`` and ``changes`` as runs of ``[first, step, count]``."""
    part = record.tables.Part
    # As the database has them: of tens of thousands of rows, making values of their JSON takes longer than all else.
    flags = (part.output != "", part.warnings.cast("text") != "[]")
    fits = (part.job == job_id(record, job)) & (part.piece != COPY)
    if since >= 0:
        fits &= part.change > since  # (Without it the rows come by the index of frames, and need no sorting.)
    query = part.select(part.id, part.frame, part.piece, part.change, part.status, *flags).where(fits)
    rows = part._meta.database.execute(query.order_by(part.frame, part.id).limit(_STRIP_MOST)).fetchall()
    ids, frames, pieces, changes, statuses, pictured, warned = zip(*rows, strict=True) if rows else ((),) * 7
    states = "".join(map(_strip_state, statuses, pictured, warned))
    lists = {"ids": ids, "frames": frames, "pieces": pieces, "changes": changes}
    return {"states": states, **{name: _runs(values) for name, values in lists.items()}}


def _strip_state(status: str, pictured: bool, warned: bool) -> str:
    if status == "completed":
        return "d" if not pictured else "w" if warned else "c"
    return STRIP_STATES[status]


def _runs(values: Sequence[int]) -> list[list[int]]:
    """Return *values* as runs of ``[first, step, count]``.

    >>> _runs([1, 2, 3, 3, 3, 9])
    [[1, 1, 3], [3, 0, 2], [9, 0, 1]]
    """
    found: list[list[int]] = []
    first = end = 0  # where the run begins, and where it ends
    # `groupby` goes through ten thousand values in a fraction of the time that a loop of ours takes.
    for step, steps in groupby(map(sub, values[1:], values)):
        end += len(list(steps))
        if end > first:
            found.append([values[first], step, end - first + 1])
            first = end + 1
    if first < len(values):
        found.append([values[first], 0, 1])
    return found


def frame(record: Record, job: str, part: int, queued: str = "") -> dict[str, Any]:
    """Return one part of a job, whole: its worker's name, its task's attempts, newest first, ``mean_seconds``, the mean time of
    the job's frames (``None`` while none is rendered), and the ``revision`` of the job that it was rendered by (``None``: it was
    never edited); what a run of a program is ``called``, and whether its stage is ``of_frames``; ``why`` its task is not done,
    as the end of a sentence (*queued*: as in `brender.store.why_task.why`). Raises `NotFound`."""
    tables, id = record.tables, job_id(record, job)
    row = tables.Part.get_or_none((tables.Part.id == part) & (tables.Part.job == id))
    if row is None:
        raise NotFound(f"The job {short_id(id)} has no frame of the number {part}")
    found = dict(row.__data__)
    attempt, worker = tables.Attempt, tables.Worker
    query = attempt.select(attempt, worker.name.alias("worker_name")).join(worker)
    tried = query.where((attempt.job == id) & (attempt.task == found["task"])).order_by(attempt.granted.desc())
    name = worker.select(worker.name).where(worker.id == row.worker).scalar() if row.worker else ""
    of = tables.Job.get_by_id(id)
    rendered = of.completed_parts - of.kept_parts
    mean = of.render_seconds / rendered if rendered > 0 else None
    made = {"worker_name": name or "", "mean_seconds": mean, "revision": _revision(tables, of, row.attempt)}
    task = tables.Task.get_or_none(tables.Task.id == found["task"])
    of_frames = task is None or Graph(stages_of(of)).stage(task.number).of_frames
    made |= {"called": part_in_words(of.settings, found) if of.settings.get("steps") else "", "of_frames": of_frames}
    made |= {"why": "" if task is None else why_task(record, of, task, queued)}
    return found | made | {"attempts": list(tried.limit(_ATTEMPTS_SHOWN).dicts())}


def _revision(tables: Tables, job: Any, attempt: str) -> int | None:
    """Return the revision of *job*, a row, that *attempt* rendered; ``None`` where that is not known, or there is but one."""
    if job.revision < 2 or not attempt:
        return None
    table = tables.JobRevision
    granted = tables.Attempt.select(tables.Attempt.granted).where(tables.Attempt.id == attempt).scalar()
    if granted is None:
        return None
    found = table.select(fn.MAX(table.revision)).where((table.job == job.id) & (table.wall <= granted)).scalar()
    return None if found is None else int(found)


def worker(record: Record, id: str) -> dict[str, Any]:
    """One worker, whole, with what it did last."""
    tables = record.tables
    row = tables.Worker.get_or_none(tables.Worker.id == id)
    if row is None:
        raise NotFound(f"There is no worker {id!r}")
    attempt, job = tables.Attempt, tables.Job
    query = attempt.select(attempt, job.name.alias("job_name")).join(job).where(attempt.worker == id)
    last = list(query.order_by(attempt.granted.desc()).limit(_LATEST_SHOWN).dicts())
    manager = tables.Manager.get_or_none(tables.Manager.id == row.__data__["manager"])
    return as_shown(dict(row.__data__)) | {"manager_name": manager.name if manager else "", "attempts": last}


def manager(record: Record, id: str) -> dict[str, Any]:
    """One manager, whole, with its workers that are there."""
    tables = record.tables
    row = tables.Manager.get_or_none(tables.Manager.id == id)
    if row is None:
        raise NotFound(f"There is no manager {id!r}")
    worker = tables.Worker
    mine = worker.select(worker.id, worker.name, worker.status, worker.reason).where(
        (worker.manager == id) & (worker.status != "offline")
    )
    return dict(row.__data__) | {"workers": list(mine.order_by(worker.name).limit(PAGE).dicts())}


def worker_log(record: Record, id: str) -> dict[str, Any]:
    """Return what a worker told last of its own log, and when (``wall``; 0: never)."""
    if not record.tables.Worker.select().where(record.tables.Worker.id == id).exists():
        raise NotFound(f"There is no worker {id!r}")
    path = record.folder.worker_log(id)
    try:
        return {"text": path.read_text("utf-8", "replace"), "wall": path.stat().st_mtime}
    except OSError:
        return {"text": "", "wall": 0.0}


def history(record: Record, node: str, seconds: float = _DAY, wall: float = 0.0) -> list[dict[str, Any]]:
    """Return what a worker or manager used in the last *seconds* before *wall*, oldest first."""
    stat = record.tables.Stat
    query = stat.select(stat.wall, stat.seconds, stat.stats).where((stat.node == node) & (stat.wall > wall - seconds))
    return list(query.order_by(stat.wall).limit(PAGE).dicts())


def people(record: Record) -> list[dict[str, Any]]:
    """Return the users, without their passwords."""
    user = record.tables.User
    columns = [field for name, field in user._meta.fields.items() if name != "password"]
    return list(user.select(*columns).order_by(user.name).limit(PAGE).dicts())


def api_tokens(record: Record, user: str = "") -> list[dict[str, Any]]:
    """Return the tokens that were not revoked, of *user*, or all of them; of what their secrets are nothing."""
    token = record.tables.ApiToken
    columns = [field for name, field in token._meta.fields.items() if name != "digest"]
    of = (token.user == user) & token.revoked.is_null() if user else token.revoked.is_null()
    return list(token.select(*columns).where(of).order_by(token.created).limit(PAGE).dicts())


def presets(record: Record) -> list[dict[str, Any]]:
    preset = record.tables.Preset
    return list(preset.select().order_by(preset.name).limit(PAGE).dicts())


def subscriptions(record: Record, user: str = "") -> list[dict[str, Any]]:
    """Who is told of what; only those of *user*, where that is given."""
    table = record.tables.Subscription
    columns = [field for name, field in table._meta.fields.items() if name != "secret"]
    query = table.select(*columns).order_by(table.created)
    return list((query.where(table.user == user) if user else query).limit(PAGE).dicts())


def hooks(record: Record) -> list[dict[str, Any]]:
    """Return the hooks, oldest first, each with how many deliveries are ``waiting``, and the ``error`` of the first of them."""
    delivery = record.tables.HookDelivery
    found = [row for row in subscriptions(record) if row["kind"] in KINDS]
    for row in found:
        mine = delivery.select().where(delivery.hook == row["id"])
        first = mine.order_by(delivery.id).first()
        row |= {"waiting": mine.count(), "error": first.error if first is not None else ""}
        row |= {"ids": [each.id for each in mine.order_by(delivery.id.desc()).limit(100)]}
    return found
