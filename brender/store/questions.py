"""The questions that can be asked of the record, for the command line and the dashboard alike.

Each is a function of the tables, the data folder and plain arguments, and answers with plain data (lists and
dictionaries). `QUESTIONS` lists them by name.
"""

import inspect
import time
from collections.abc import Callable
from typing import Any

from peewee import Case, fn

from brender import __version__
from brender.jobs.part_names import part_in_words
from brender.jobs.stages import Graph
from brender.model.answers import LOG_TAIL, PAGE
from brender.model.errors import BadInput, NotFound
from brender.model.frames import format_frames
from brender.model.job import COPY, FILM, FPS
from brender.model.passes import growth
from brender.model.power import SLEEPING
from brender.model.prospect import NOT_KNOWN, Expected, Prospect
from brender.model.quotas import QuotaKind
from brender.model.status import OPEN_JOB, UNLISTED, JobStatus, PartStatus, WorkerStatus
from brender.model.stuck import STUCK
from brender.model.text import short_id
from brender.store import job_graph, why_task
from brender.store.accounts import accounts
from brender.store.counted import listed_columns, with_progress
from brender.store.database import wal_bytes
from brender.store.datafolder import DataFolder
from brender.store.forecast import backlog
from brender.store.giving_way import gave_way
from brender.store.named import GOING, Record, job_id, unfinished
from brender.store.off_job import off_job
from brender.store.shares import limits as limits_of
from brender.store.shares import shares as shares_of
from brender.store.why_task import frames_unless


def jobs(
    record: Record, status: str = "", limit: int = 1000, offset: int = 0, user: str = "", project: str = ""
) -> list[dict[str, Any]]:
    """Jobs, newest first, perhaps only those of one status, user or project."""
    job = record.tables.Job
    query = job.select(*listed_columns(job)).where(_wanted_jobs(record, status, user, project))
    rows = query.order_by(job.submitted.desc(), job.id).limit(min(limit, PAGE)).offset(offset)
    return [with_progress(row) for row in rows.dicts()]


def _wanted_jobs(record: Record, status: str, user: str, project: str) -> Any:
    """Return the condition that a job is there, and of this status, user and project ("": of any)."""
    job = record.tables.Job
    condition = job.deleting.not_in(GOING)
    for field, value in ((job.status, status), (job.user, user), (job.project, project)):
        if value:
            condition &= field == value
    return condition


def count(record: Record, of: str, job: str = "", status: str = "", user: str = "", project: str = "") -> int:
    """Return how many ``jobs``, ``tasks`` or rows of the ``activity`` log (*of*) there are, as those questions choose them."""
    if of == "jobs":
        return int(record.tables.Job.select().where(_wanted_jobs(record, status, user, project)).count())
    if of not in ("tasks", "activity"):
        raise BadInput(f"{of!r} are not counted, but jobs, tasks and activity")
    table = record.tables.Task if of == "tasks" else record.tables.Activity
    return int((table.select().where(table.job == job_id(record, job)) if job else table.select()).count())


#: Workers whose progress is shown with a job.
_RENDERING_SHOWN = 50


def job(record: Record, id: str) -> dict[str, Any]:
    """One job, whole, with counts of its parts by status, the seconds it probably still takes (``None``: unknown), and the frames
    that workers render at this moment (``frames_now``): of a task of several, the others that are active wait for their turn."""
    answer = job_without_counts(record, id)
    part = record.tables.Part
    counts = part.select(part.status, fn.COUNT(part.id)).where(part.job == answer["id"]).group_by(part.status).tuples()
    answer["parts"] = dict(counts)
    answer["parts"]["queued"] = answer["parts"].get("queued", 0) + answer["part_count"] - sum(answer["parts"].values())
    return answer


def job_without_counts(record: Record, id: str) -> dict[str, Any]:
    """Return the same without ``parts``, which are read one by one to be counted."""
    tables = record.tables
    found = tables.Job.get_by_id(job_id(record, id))
    answer = with_progress(_row(found))
    answer["fps"] = _fps(found)
    worker = tables.Worker
    at_work = (worker.job == found.id) & (worker.status != "offline")
    busy = worker.select().where(at_work).count()
    now = worker.select(worker.id, worker.name, worker.frame, worker.fraction, worker.line).where(at_work)
    answer["rendering"] = list(now.order_by(worker.name).limit(_RENDERING_SHOWN).dicts())
    stuck = worker.select(worker.id, worker.name, worker.frame, worker.reason).where(at_work & worker.reason.startswith(STUCK))
    answer["stuck"] = list(stuck.order_by(worker.name).limit(_RENDERING_SHOWN).dicts())
    frames_now = worker.select(worker.frame).where(at_work & worker.frame.is_null(False)).distinct().order_by(worker.frame)
    answer["frames_now"] = [frame for (frame,) in frames_now.limit(PAGE).tuples()]
    answer |= off_job(record, found, time.time())
    answer["waits"] = job_graph.waits(record, found)
    answer["gave_way"] = gave_way(record, found.id) if found.status in OPEN_JOB else ""
    answer["revisions"] = revisions(record, found) if found.revision > 1 else []
    return with_time_left(record, answer, busy)


def revisions(record: Record, job: Any) -> list[dict[str, Any]]:
    """Return the revisions of *job*, a row: who made each, when (``wall``), and what it changed (``said``)."""
    table = record.tables.JobRevision
    columns = table.revision, table.user, table.wall, table.said
    return list(table.select(*columns).where(table.job == job.id).order_by(table.revision).dicts())


def with_time_left(record: Record, job: dict[str, Any], busy: int) -> dict[str, Any]:
    """Return *job*, a row, with when it is expected to be done (`Expected.as_fields`). *busy* workers render it now."""
    expected = None
    if job["finished"] is None and job["status"] in (JobStatus.QUEUED, JobStatus.ACTIVE):
        if record.outlook is not None:
            expected = record.outlook.of(record).jobs.get(job["id"])
        else:
            expected = Expected(seconds_left(job, busy), None, None)
    return job | (expected or NOT_KNOWN).as_fields()


def seconds_left(job: dict[str, Any], busy: int) -> float | None:
    """Return the seconds that *busy* workers probably need for those parts of *job*, a row, that are still to come: not for what
    failed or was canceled. ``None``: nobody knows."""
    rendered = job["completed_parts"] - job["kept_parts"]
    if rendered <= 0 or not busy:
        return None
    to_come = max(0, job["part_count"] - job["completed_parts"] - job["given_up_parts"])
    grows = growth(job.get("settings", {}), job["completed_parts"], job["part_count"])  # (which a list of jobs goes without)
    return float(job["render_seconds"] / rendered * grows * to_come / busy)


def _fps(job: Any) -> float:
    """Frames a second of the scene that *job* renders."""
    scenes = (job.facts or {}).get("scenes", ())
    return float(next((scene.get("fps", FPS) for scene in scenes if scene["name"] == job.settings.get("scene")), FPS))


def tasks(record: Record, job: str, limit: int = 1000, offset: int = 0) -> list[dict[str, Any]]:
    """Return a job's tasks in their order, each with its stage, its frames and what its last attempt was. ``of_frames``: it
    makes frames, rather than the film of all, or a run of a program."""
    tables, id = record.tables, job_id(record, job)
    task = tables.Task
    rows = list(task.select().where(task.job == id).order_by(task.number).limit(min(limit, PAGE)).offset(offset).dicts())
    if not rows:
        return []
    first, last = rows[0]["id"], rows[-1]["id"]
    ids = [row["id"] for row in rows]
    part, attempt, worker = tables.Part, tables.Attempt, tables.Worker
    frames: dict[int, list[int]] = {}
    # (By the tasks alone: where the job is named too, SQLite reads all of its parts.)
    for owner, frame in part.select(part.task, part.frame).where(part.task.in_(ids)).tuples():
        frames.setdefault(owner, []).append(frame)
    attempts: dict[int, dict[str, Any]] = {}
    query = (
        attempt.select(attempt, worker.name.alias("worker_name"))
        .join(worker)
        .where((attempt.job == id) & attempt.task.between(first, last))
        .order_by(attempt.granted)
    )
    for row in query.dicts():
        attempts[row["task"]] = row
    graph = Graph(job_graph.stages_of(tables.Job.get_by_id(id)))
    for row in rows:
        stage = graph.stage(row["number"])
        row |= {"stage": stage.title, "of_frames": stage.of_frames}
        row["frames"] = frames.get(row["id"], [])
        row["attempt"] = attempts.get(row["id"])
    return rows


def parts(record: Record, job: str, since: int = -1, limit: int = PAGE, by: str = "frame") -> list[dict[str, Any]]:
    """Return a job's parts that changed after the commit *since*, by frame, or *by* the ``change`` that they had last:
    to get more of these, ask beyond the last one."""
    part, worker = record.tables.Part, record.tables.Worker
    query = (
        part.select(part, fn.COALESCE(worker.name, "").alias("worker_name"))
        .join(worker, "LEFT JOIN", on=(part.worker == worker.id))
        .where((part.job == job_id(record, job)) & (part.change > since))
        .order_by(*((part.change, part.id) if by == "change" else (part.frame, part.id)))
        .limit(min(limit, PAGE))
    )
    return list(query.dicts())


def maker(record: Record, output: str, name: str) -> dict[str, Any] | None:
    """Return the ``id`` and ``name`` of the job that rendered the file *name* in the output folder *output* last; ``None`` where
    none did."""
    job, part = record.tables.Job, record.tables.Part
    rendered = (part.output == name) & (part.status == PartStatus.COMPLETED) & ~part.kept & (part.piece != COPY)
    query = part.select(job.id, job.name).join(job).where((job.output == output) & job.frames_deleted.is_null() & rendered)
    return next(iter(query.order_by(part.finished.desc()).limit(1).dicts()), None)


def frames_by_part(record: Record, job: str) -> list[dict[str, Any]]:
    """Return the frame, piece, status and worker of each part of a job, at most `PAGE` of them: little of each, for those who
    hear later what becomes of them."""
    part = record.tables.Part
    columns = (part.id, part.frame, part.piece, part.status, part.worker)
    query = part.select(*columns).where(part.job == job_id(record, job)).order_by(part.id)
    return list(query.limit(PAGE).dicts())


def attempts(record: Record, job: str, frame: int | None = None, limit: int = 1000, offset: int = 0) -> list[dict[str, Any]]:
    """Return a job's attempts, or those of one frame's task, newest first."""
    tables, id = record.tables, job_id(record, job)
    attempt, worker, part = tables.Attempt, tables.Worker, tables.Part
    query = attempt.select(attempt, worker.name.alias("worker_name")).join(worker).where(attempt.job == id)
    if frame is not None:
        of_frame = (part.job == id) & (part.frame == frame) & (part.piece != FILM)
        query = query.where(attempt.task.in_(part.select(part.task).where(of_frame)))
    return list(query.order_by(attempt.granted.desc(), attempt.id).limit(min(limit, PAGE)).offset(offset).dicts())


def workers(record: Record, limit: int = PAGE, offset: int = 0, start: str = "") -> list[dict[str, Any]]:
    """Return every worker that is not forgotten and whose name has this *start*, those that are there first."""
    worker, manager, job = record.tables.Worker, record.tables.Manager, record.tables.Job
    away = Case(None, [(worker.status == "offline", 1)], 0)
    query = (
        worker.select(worker, manager.name.alias("manager_name"), fn.COALESCE(job.name, "").alias("job_name"))
        .join(manager)
        .switch(worker)
        .join(job, "LEFT JOIN", on=(worker.job == job.id))
        .where(worker.wanted.not_in(UNLISTED) & (worker.name.startswith(start) if start else True))
        .order_by(away, worker.name, worker.id)
    )
    return [as_shown(row) for row in query.limit(min(limit, PAGE)).offset(offset).dicts()]


def as_shown(worker: dict[str, Any]) -> dict[str, Any]:
    """Return the row of a *worker* as people are shown it: whether it sleeps is its status."""
    if worker["status"] == WorkerStatus.OFFLINE and worker["reason"].startswith(SLEEPING):
        worker["status"] = WorkerStatus.ASLEEP
    return worker


def managers(record: Record) -> list[dict[str, Any]]:
    """Return every manager that is not forgotten, with the number of its workers that are there."""
    manager, worker = record.tables.Manager, record.tables.Worker
    there = worker.select(fn.COUNT(worker.id)).where((worker.manager == manager.id) & (worker.status != "offline"))
    query = manager.select(manager, there.alias("workers")).where(manager.wanted.not_in(UNLISTED)).order_by(manager.name)
    return list(query.limit(PAGE).dicts())


def activity(record: Record, job: str = "", limit: int = 200, offset: int = 0) -> list[dict[str, Any]]:
    """Who did what, newest first; ``is_job_there``: its job has not been deleted."""
    row, known = record.tables.Activity, record.tables.Job
    query = row.select().order_by(row.id.desc()).limit(min(limit, PAGE)).offset(offset)
    rows = list((query.where(row.job == job_id(record, job)) if job else query).dicts())
    named = {each["job"] for each in rows} - {"", None}
    there = {id for (id,) in known.select(known.id).where(known.id.in_(named)).tuples()} if named else set()
    return [each | {"is_job_there": each["job"] in there} for each in rows]


def log(record: Record, job: str, frame: int | None = None, attempt: str = "") -> dict[str, Any]:
    """Return the end of a log of *job*: of its newest attempt (of a failed job, the newest one that failed), the newest of one
    *frame*, or the one whose id starts with *attempt*. An attempt that a worker gave back before it began has none. ``what``:
    the frames that the attempt is of, in words."""
    id = job_id(record, job)
    known = [row for row in attempts(record, id, frame) if row["id"].startswith(attempt)]
    if not attempt:
        known = [row for row in known if row["outcome"] != "recalled"]
    if not attempt and frame is None and record.tables.Job.get_by_id(id).status == JobStatus.FAILED:
        known.sort(key=lambda row: row["outcome"] != "failed")
    if not known:
        if frame is not None and (frames := frames_unless(record, id, frame)):
            raise NotFound(f"The job {short_id(id)} has no frame {frame}: it has {frames}")
        if frame is not None and not attempt:
            raise NotFound(f"No worker has begun frame {frame} of the job {short_id(id)} yet, so there is no log")
        which = f"attempt {attempt!r}" if attempt else "attempt"
        raise NotFound(f"The job {short_id(id)} has no {which} yet, so there is no log")
    chosen = known[0]
    path = record.folder.log(id, chosen["id"])
    size = path.stat().st_size if path.exists() else 0
    text = log_text(record.folder, id, chosen["id"])
    return {"attempt": chosen, "what": _parts_in_words(record, id, chosen["task"]), "text": text, "size": size, "path": str(path)}


def _parts_in_words(record: Record, job: str, task: int) -> str:
    """Return which frames or pieces, or whether the film, *task* of *job* is, in words."""
    part, settings = record.tables.Part, record.tables.Job.get_by_id(job).settings
    columns = part.frame, part.piece, part.layer, part.output
    found = list(part.select(*columns).where(part.task == task).order_by(part.id).limit(PAGE).dicts())
    frames = sorted({each["frame"] for each in found})
    if len(frames) == 1 or settings.get("pieces") or settings.get("steps"):
        named = dict.fromkeys(part_in_words(settings, each) for each in found)
        return ", ".join([*named][:3]) + (f" and {len(named) - 3} more" if len(named) > 3 else "")
    return f"frames {format_frames(frames)}" if frames else ""


def log_text(folder: DataFolder, job: str, attempt: str) -> str:
    """Return the last `LOG_TAIL` bytes of an attempt's log, or "" while none has arrived."""
    path = folder.log(job, attempt)
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - LOG_TAIL))
            return file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""


def change(record: Record) -> int:
    """Return the number of the last commit."""
    counter = record.tables.Counter
    row = counter.get_or_none(counter.name == "change")
    return int(row.value) if row else 0


def about(record: Record) -> dict[str, Any]:
    """Return the server's software and clock, the last commit, how far SQLite's write-ahead log has grown (bytes), why the
    server cannot record anything now (``trouble``, or "" if it can), how many ``users`` the web page has, and the newest
    ``backup`` (``None``: none yet): its ``file``, ``bytes``, ``wall``, and ``trouble`` where the last one could not be made."""
    return {
        "software": __version__,
        "wall": time.time(),
        "change": change(record),
        "wal_bytes": wal_bytes(str(record.folder.database)),
        "trouble": record.folder.trouble(),
        "users": record.tables.User.select().count(),
        "backup": record.folder.last_backup(),
    }


def projects(record: Record) -> list[dict[str, Any]]:
    """Return every project: its folder, what it keeps, its jobs, how many of them have not ended, when the last of these is
    expected to be done (`Expected.as_fields`) without those of which that is not known (``eta_unknown``), and the pool of its
    jobs."""
    project, job = record.tables.Project, record.tables.Job
    there = job.deleting.not_in(GOING)
    count = job.select(fn.COUNT(job.id)).where((job.project == project.name) & there)
    unfinished = job.select(fn.COUNT(job.id)).where((job.project == project.name) & job.finished.is_null())
    query = project.select(project, count.alias("jobs"), unfinished.alias("unfinished")).order_by(project.name)
    prospect = record.outlook.of(record) if record.outlook is not None else None
    rows = list(query.limit(PAGE).dicts())
    quota = record.tables.Quota
    pools = dict(quota.select(quota.name, quota.pool).where((quota.kind == QuotaKind.PROJECT) & (quota.pool != "")).tuples())
    for row in rows:
        last = prospect.last(row["name"]) if prospect is not None and row["unfinished"] else None
        row |= (last or NOT_KNOWN).as_fields()
        row["eta_unknown"] = prospect.unknown_of(row["name"]) if prospect is not None else 0
        row["pool"] = pools.get(row["name"], "")
    return rows


def prospects(record: Record) -> Prospect:
    """Return when the open jobs will be done, as far as that is known."""
    return record.outlook.of(record) if record.outlook is not None else Prospect()


def paths(record: Record) -> list[dict[str, Any]]:
    """Return what path variables mean, on each platform and site."""
    variable = record.tables.PathVariable
    return list(variable.select().order_by(variable.name, variable.site, variable.platform).dicts())


def addons(record: Record) -> list[dict[str, Any]]:
    """Return the add-ons that every job gets which is accepted now; of each whether its files are here (``is_here``), which are
    not in a backup of the database."""
    table = record.tables.SiteAddOn
    rows = table.select().order_by(table.module).dicts()
    return [row | {"is_here": record.folder.blob(row["addon"]["digest"]).exists()} for row in rows]


def pools(record: Record) -> list[str]:
    """Return the pools that workers belong to, sorted."""
    pool = record.tables.Worker.pool
    return [name for (name,) in record.tables.Worker.select(pool).where(pool != "").distinct().order_by(pool).tuples()]


def shares(record: Record, user: str = "") -> dict[str, Any]:
    """Return how the farm is shared, perhaps naming only one *user* (`brender.store.shares`)."""
    return shares_of(record.tables, user)


def limits(record: Record, user: str = "") -> list[dict[str, Any]]:
    """Return the limits of projects, users and licences, of users perhaps only that of *user* (`brender.store.shares`)."""
    return limits_of(record.tables, user)


def sights(record: Record, proof: str) -> list[dict[str, Any]]:
    """Return what the workers have seen of the file for *proof* (brender.bus.messages.Look)."""
    folder, worker = record.tables.SharedFolder, record.tables.Worker
    query = folder.select(folder, worker.name.alias("worker_name")).join(worker, on=(folder.worker == worker.id))
    return list(query.where(folder.proof == proof).order_by(worker.name).limit(PAGE).dicts())


def set_aside(record: Record) -> list[dict[str, Any]]:
    """Return the messages that the server failed at, newest first, with the last line of why; of what they said nothing, for
    it may be another's."""
    table = record.tables.SetAside
    columns = (table.wall, table.type, table.principal, table.origin, table.error)
    rows = list(table.select(*columns).order_by(table.wall.desc()).limit(PAGE).dicts())
    return [row | {"error": row["error"].strip().splitlines()[-1].partition("DETAIL")[0]} for row in rows]


def keys(record: Record) -> list[dict[str, Any]]:
    """Return every key that was ever admitted, newest last. For admins, who ask with `Manage`."""
    key = record.tables.Key
    return list(key.select().order_by(key.created).limit(PAGE).dicts())


def tokens(record: Record) -> list[dict[str, Any]]:
    """Return every token that there ever was, newest last; of what their secrets are nothing."""
    token = record.tables.Token
    columns = [field for name, field in token._meta.fields.items() if name != "digest"]
    return list(token.select(*columns).order_by(token.created).limit(PAGE).dicts())


def keys_and_tokens(record: Record) -> dict[str, Any]:
    """Return all of both. For admins, who ask with `Manage`."""
    return {"keys": keys(record), "tokens": tokens(record)}


def why(record: Record, job: str, frame: int | None = None, stage: str = "", task: int | None = None, queued: str = "") -> str:
    """Return how a *frame*, a *stage* or a *task* of a job stands and why (`brender.store.why_task.why`)."""
    return why_task.why(record, record.tables.Job.get_by_id(job_id(record, job)), frame, stage, task, queued)


def graph(record: Record, id: str) -> dict[str, Any]:
    """The stages of a job, the jobs that it waits for, and those that wait for it (`brender.store.job_graph`)."""
    return job_graph.graph(record, job_id(record, id))


QUESTIONS: dict[str, Callable[..., Any]] = {
    question.__name__: question
    for question in (
        jobs,
        graph,
        why,
        unfinished,
        count,
        job,
        tasks,
        parts,
        maker,
        frames_by_part,
        attempts,
        workers,
        managers,
        activity,
        log,
        change,
        about,
        projects,
        prospects,
        paths,
        addons,
        shares,
        limits,
        sights,
        set_aside,
        backlog,
        accounts,
    )
}


def answer(record: Record, question: str, arguments: dict[str, Any]) -> Any:
    """Return what *question* answers. Raises `BadInput` for an unknown question or argument, `NotFound` for an unknown thing."""
    if question not in QUESTIONS:
        raise BadInput(f"There is no question {question!r}; there are: {', '.join(QUESTIONS)}")
    function = QUESTIONS[question]
    declared = inspect.signature(function).parameters
    for name, value in arguments.items():
        if name not in declared or name == "record" or not _is_of(value, declared[name].annotation):
            raise BadInput(f"The question {question!r} takes no {name}={value!r}")
    try:
        inspect.signature(function).bind(record, **arguments)
    except TypeError as error:
        raise BadInput(f"The question {question!r} cannot be asked so: {error}") from error
    return function(record, **arguments)


def _is_of(value: Any, annotation: Any) -> bool:
    return type(value) in getattr(annotation, "__args__", (annotation,)) and (type(value) is not int or abs(value) < 2**63)


def _row(model: Any) -> dict[str, Any]:
    return dict(model.__data__)
