"""Questions about work to come: what earlier jobs took, which workers there are for a job, and what is queued."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

import msgspec
from peewee import fn

from brender.farm.job_plugin import JobTypeFailed, guarded
from brender.jobs.declare import JobType, job_type, requirements_of
from brender.jobs.numbering import tasks_without_frames
from brender.jobs.stages import Graph
from brender.model.eligibility import count_able, general_obstacle, obstacle
from brender.model.errors import BrenderError
from brender.model.estimates import Shot, estimate, work_of
from brender.model.job import FileFacts, Requirements
from brender.model.nodes import WorkerInfo, choose_series, read_series
from brender.model.passes import growth, passes_of
from brender.model.paths import PathVariable
from brender.model.status import JobStatus, WorkerStatus
from brender.model.units import steps_of
from brender.store.path_variables import path_variables
from brender.store.recorded import job_spec, worker_info

if TYPE_CHECKING:
    from brender.store.named import Record

#: How many earlier jobs an estimate looks at.
_SHOTS = 60
#: Open jobs that a backlog counts, those that are served first; how many of them are compared with earlier ones, and how many are
#: named where none of the workers asked about can take them.
_JOBS_COUNTED, _JOBS_ESTIMATED, _NAMED = 1000, 20, 3
#: Kinds of requirements by which workers are counted that share a backlog.
_NEEDS_COUNTED = 10
_THERE = (WorkerStatus.IDLE, WorkerStatus.BUSY)
#: By what workers are told apart, where it is asked which jobs they can take.
_TOLD_APART_BY = (
    *("platform", "site", "blenders", "tags", "extra_tags", "job_types", "programs"),
    *("takes_trusted", "takes_addons", "folders", "readable", "cores", "gpu_memory", "pool"),
)


def earlier_shots(record: "Record", project: str, job_type: str) -> list[Shot]:
    """Return what the frames of the last completed jobs of *job_type* in *project* took, newest first."""
    job = record.tables.Job
    columns = (job.settings, job.facts, job.render_seconds, job.completed_parts, job.kept_parts, job.passes)
    fits = (job.project == project) & (job.job_type == job_type) & (job.status == JobStatus.COMPLETED)
    shots = []
    for row in job.select(*columns).where(fits).order_by(job.submitted.desc()).limit(_SHOTS):
        # A still is one frame in pieces, and a film no frame at all.
        rendered = row.completed_parts - row.kept_parts - bool(row.settings.get("film"))
        whole = 1 if row.settings.get("pieces") else rendered // _parts_a_frame(row.settings)
        if whole > 0 and row.render_seconds > 0:
            shots.append(Shot(work_of(row.settings, row.facts), row.render_seconds / whole, whole))
    return shots


def workers_for(record: "Record", need: Requirements) -> int:
    """Return how many workers there are now that would render a job with the requirements *need*."""
    return count_able(need, path_variables(record.tables), _workers_there(record))


def backlog(record: "Record", fleet: str = "", like: str = "") -> dict[str, Any]:
    """Return what is queued, for who decides how many workers there should be.

    Counted are the open jobs that a worker such as *like* (the id of one, here or gone) can take, or "" for all. Of these: the
    ``tasks`` that no worker renders yet; the seconds that these and the running ones take on one worker (``seconds``), without
    the ``unknown`` tasks of which nobody knows that; the ``workers`` that are there and can take some, without those tagged
    *fleet*, and how many of them are ``idle``. ``unfit``: how many jobs are not counted, with the names of some (``unfit_named``)
    and why (``unfit_why``).
    """
    tables = record.tables
    paths = path_variables(tables)
    row = tables.Worker.get_or_none(tables.Worker.id == like) if like else None
    example = None if row is None else _with_extra_tags(row)
    found: dict[str, Any] = {"tasks": 0, "seconds": 0.0, "unknown": 0, "unfit": 0, "unfit_named": [], "unfit_why": ""}
    needs: list[Requirements] = []
    for queued in _open_jobs(record):
        why = general_obstacle(queued.need, paths, example) if example is not None else None
        if why is not None:
            found["unfit"] += 1
            found["unfit_why"] = found["unfit_why"] or f"{example.name if example else like} {why.one}"
            found["unfit_named"] = [*found["unfit_named"], queued.name][:_NAMED]
            continue
        found["tasks"] += queued.tasks
        if queued.task_seconds is None:
            found["unknown"] += queued.tasks
        else:
            found["seconds"] += queued.task_seconds * (queued.tasks + queued.running / 2)  # (which are half done)
        if queued.need not in needs and len(needs) < _NEEDS_COUNTED:
            needs.append(queued.need)
    return found | _sharing(record, needs, paths, fleet)


@dataclass(frozen=True)
class _Queued:
    """An open job: its tasks that no worker renders yet, those that some do, and the seconds that one takes (``None``: nobody
    knows)."""

    name: str
    need: Requirements
    tasks: int
    running: int
    task_seconds: float | None


def _open_jobs(record: "Record") -> Iterable[_Queued]:
    job, worker = record.tables.Job, record.tables.Worker
    rows = list(
        job.select()
        .where(job.status.in_([JobStatus.QUEUED, JobStatus.ACTIVE]) & (job.waiting_for == ""))
        .order_by(job.priority.desc(), job.submitted)
        .limit(_JOBS_COUNTED)
    )
    at_work = worker.select(worker.job, fn.COUNT(worker.id)).where((worker.status != WorkerStatus.OFFLINE) & (worker.job != ""))
    running = dict(at_work.group_by(worker.job).tuples()) if rows else {}
    compared = 0
    for row in rows:
        to_come = row.part_count - row.completed_parts - row.given_up_parts
        if to_come <= 0 or not row.task_count:
            continue
        if (planned := _planned(row)) is None:
            continue
        need, graph = planned
        parts = parts_a_task(row)
        tasks = ceil(to_come / parts)
        tasks = max(1, graph.ready(max(0, row.task_count - tasks)))  # a task that is made of other frames waits for those
        part_seconds = _part_seconds(row)
        if part_seconds is None and compared < _JOBS_ESTIMATED:
            compared += 1
            part_seconds = estimated_part_seconds(record, row)
        busy = min(tasks, running.get(row.id, 0))
        yield _Queued(row.name, need, tasks - busy, busy, None if part_seconds is None else part_seconds * parts)


def _parts_a_frame(settings: Mapping[str, Any]) -> int:
    """Return how many parts each frame is of a job with these *settings*."""
    return int(settings.get("pieces") or passes_of(settings) or steps_of(settings))


def parts_a_task(row: Any) -> float:
    """Return how many parts a task of the job of *row* has: those without frames, which were taken out, are left aside."""
    return float(row.part_count / max(1, row.task_count - tasks_without_frames(row.settings)))


def need_of(row: Any) -> Requirements | None:
    """Return what a worker must have for the job of *row*; ``None`` where its job type cannot say."""
    planned = _planned(row)
    return None if planned is None else planned[0]


def _planned(row: Any) -> tuple[Requirements, Graph] | None:
    try:
        kind: JobType = guarded(job_type(row.job_type), row.id)
        spec = job_spec(row, kind, msgspec.convert(row.facts, FileFacts) if row.facts else None)
        need = requirements_of(kind, spec)
        graph = Graph(kind.stages(spec))
    except (BrenderError, JobTypeFailed, msgspec.ValidationError):
        return None  # (its job type is not there, or fails: the server says so)
    return msgspec.structs.replace(need, series=read_series(row.series) if row.series else None), graph


def _part_seconds(row: Any) -> float | None:
    """Return the seconds that a part to come of the job of *row* takes, by those that it has; ``None`` where it has none."""
    rendered = row.completed_parts - row.kept_parts
    if rendered <= 0 or row.render_seconds <= 0:
        return None
    return float(row.render_seconds / rendered * growth(row.settings, row.completed_parts, row.part_count))


def estimated_part_seconds(record: "Record", row: Any) -> float | None:
    """Return the same by what earlier jobs like it took."""
    shots = earlier_shots(record, row.__data__["project"], row.job_type)
    found = estimate(work_of(row.settings, row.facts), 1, 1, shots) if shots else None
    return None if found is None else found.seconds / _parts_a_frame(row.settings)


def _sharing(record: "Record", needs: list[Requirements], paths: tuple[PathVariable, ...], fleet: str) -> dict[str, int]:
    """Return how many workers there are for something of *needs*, and how many of those are idle."""
    if not needs:
        return {"workers": 0, "idle": 0}
    kinds = [kind for kind in kinds_there(record) if not fleet or fleet not in kind.worker.tags]
    able = [able_kinds(need, paths, kinds) for need in needs]
    return {name: max(sum(getattr(kind, name) for kind in each) for each in able) for name in ("workers", "idle")}


@dataclass(frozen=True)
class Kind:
    """Workers that are there and cannot be told apart: one of them, how many there are and are idle, and their ids."""

    worker: WorkerInfo
    workers: int
    idle: int
    ids: tuple[str, ...]


def kinds_there(record: "Record") -> list[Kind]:
    worker = record.tables.Worker
    # As text, which is compared and not read: ten thousand workers are of a few kinds.
    columns = [getattr(worker, name).cast("text") for name in _TOLD_APART_BY]
    rows = worker.select(worker.id, worker.status, *columns).where(worker.status.in_(_THERE)).tuples()
    found: dict[tuple[str, ...], list[tuple[str, bool]]] = {}
    for id, status, *told in rows:
        found.setdefault(tuple(told), []).append((id, status == WorkerStatus.IDLE))
    firsts = {row.id: row for row in worker.select().where(worker.id.in_([alike[0][0] for alike in found.values()]))}
    return [
        Kind(_with_extra_tags(firsts[alike[0][0]]), len(alike), sum(idle for _, idle in alike), tuple(id for id, _ in alike))
        for alike in found.values()
        if alike[0][0] in firsts
    ]


def able_kinds(need: Requirements, paths: tuple[PathVariable, ...], kinds: list[Kind]) -> list[Kind]:
    """Return those of *kinds* that would render a job with these requirements, as `count_able` counts workers."""
    able = [kind for kind in kinds if general_obstacle(need, paths, kind.worker) is None]
    if need.blender is not None and need.series is None:
        weighed = [(kind.worker.blenders, kind.workers) for kind in able]
        series = choose_series(weighed, need.blender, need.oldest_blender, need.bounding)
        able = [kind for kind in able if obstacle(msgspec.structs.replace(need, series=series), kind.worker) is None]
    return able


def _workers_there(record: "Record") -> list[WorkerInfo]:
    worker = record.tables.Worker
    return [_with_extra_tags(row) for row in worker.select().where(worker.status.in_(_THERE))]


def _with_extra_tags(row: Any) -> WorkerInfo:
    info = worker_info(row)
    return msgspec.structs.replace(info, tags=info.tags | set(row.extra_tags))
