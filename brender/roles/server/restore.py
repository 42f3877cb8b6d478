"""From the record back into the server's mind: at its start, and when somebody acts on a job that has ended."""

from typing import Any

import msgspec
from peewee import SQL

from brender.jobs.declare import job_type
from brender.jobs.film import makes_film
from brender.model.errors import BadInput
from brender.model.frames import parse_frames
from brender.model.job import FILM, FileFacts, JobSpec
from brender.model.keys import KeyRole, Principal, Token
from brender.model.nodes import Blender, WorkerInfo
from brender.model.people import Role
from brender.model.schedule import parse_schedule
from brender.model.status import ENDED_JOB, ENDED_TASK, JobStatus, ManagerStatus, PartStatus, TaskStatus, Wanted, WorkerStatus
from brender.roles.server.jobs import Selection, requirements_of
from brender.roles.server.state import AttemptState, Farm, JobState, ManagerState, PartState, TaskState, WorkerState
from brender.store.path_variables import path_variables
from brender.store.tables import ATTEMPT_LIVE, Tables
from brender.store.writer import Writer

#: Frames that one requeue may name: each becomes a variable of an SQL statement.
_REQUEUED_BY_NAME = 10_000


def restore(writer: Writer, mono: float) -> Farm:
    """The farm as the record has it: its unfinished jobs, live attempts, and the nodes that were there."""
    tables = writer.tables
    farm = Farm(
        next_task=writer.last_id("task") + 1,
        next_part=writer.last_id("part") + 1,
        next_activity=writer.last_id("activity") + 1,
    )
    for row in tables.Worker.select(tables.Worker.id, tables.Worker.extra_tags, tables.Worker.schedule):
        if row.extra_tags:
            farm.extra_tags[row.id] = frozenset(row.extra_tags)
        if row.schedule:
            farm.schedules[row.id] = parse_schedule(row.schedule)
    for table in (tables.Manager, tables.Worker):
        farm.wanted |= {row.id: Wanted(row.wanted) for row in table.select(table.id, table.wanted).where(table.wanted != "")}
    for row in tables.Manager.select().where(tables.Manager.status != ManagerStatus.OFFLINE):
        farm.managers[row.id] = ManagerState(row.id, row.incarnation, row.name, heard=mono, beat=mono)
    for row in tables.Worker.select().where(tables.Worker.status != WorkerStatus.OFFLINE):
        manager = row.__data__["manager"]
        info = _worker_info(row)
        tags = info.tags | farm.extra_tags.get(row.id, frozenset())
        farm.workers[row.id] = WorkerState(msgspec.structs.replace(info, tags=tags), manager=manager, own_tags=info.tags)
        if manager in farm.managers:
            farm.managers[manager].workers.add(row.id)
    for manager in {worker.manager for worker in farm.workers.values()} - farm.managers.keys():
        # It left while the server was not looking; its lease tells what became of its workers.
        row = tables.Manager.get_by_id(manager)
        farm.managers[row.id] = ManagerState(row.id, row.incarnation, row.name, heard=mono, beat=mono)
        farm.managers[row.id].workers = {id for id, worker in farm.workers.items() if worker.manager == row.id}
    job = tables.Job
    for row in job.select().where(job.status.not_in(ENDED_JOB)).order_by(job.submitted):
        adopt(farm, tables, row)
    attempt = tables.Attempt
    for row in attempt.select().where(SQL(ATTEMPT_LIVE)).order_by(attempt.granted):
        _restore_attempt(farm, tables, row, mono)
    for row in tables.Key.select().where(tables.Key.revoked.is_null()):
        farm.keys[row.id] = Principal(
            id=row.id, public=row.public, role=KeyRole(row.role), name=row.name, node=row.node, expires=row.expires
        )
    for row in tables.Token.select().where(tables.Token.revoked.is_null()):
        farm.tokens[row.id] = Token(
            id=row.id,
            role=KeyRole(row.role),
            digest=row.digest,
            uses=row.uses,
            expires=row.expires,
            name=row.name,
            key_seconds=row.key_seconds,
        )
    farm.paths = path_variables(tables)
    for row in tables.User.select():
        farm.users[row.name] = Role(row.role)
        if row.disabled is not None:
            farm.disabled_users.add(row.name)
    farm.changed = set(farm.workers)
    farm.changed_jobs = set(farm.jobs)
    return farm


def adopt(farm: Farm, tables: Tables, row: Any) -> JobState:
    """The job of *row*, taken into *farm*'s mind."""
    kind = job_type(row.job_type)
    facts = msgspec.convert(row.facts, FileFacts) if row.facts else None
    spec = JobSpec(
        id=row.id,
        name=row.name,
        job_type=row.job_type,
        # A job of an earlier version knows nothing of settings that came since.
        settings={setting.name: setting.default for setting in kind.settings} | row.settings,
        project=row.__data__["project"],
        user=row.user,
        priority=row.priority,
        tags=tuple(row.tags),
        output=row.output,
        trusted=row.trusted,
        overwrite=row.overwrite,
        bundle=row.bundle,
        stall_minutes=row.stall_minutes,
        limit_minutes=row.limit_minutes,
        facts=facts,
        warnings=tuple(row.warnings),
    )
    task = tables.Task
    ended = task.select().where((task.job == row.id) & task.status.in_(ENDED_TASK)).count()
    job = JobState(
        spec=spec,
        type=kind,
        need=requirements_of(kind, spec),
        order=farm.next_order,
        task_count=row.task_count,
        part_count=row.part_count,
        status=JobStatus(row.status),
        reason=row.reason,
        priority=row.priority,
        planned=row.planned_tasks,
        completed_parts=row.completed_parts,
        kept_parts=row.kept_parts,
        memory=row.memory,
        ended_tasks=ended,
        failed_tasks=row.failed_tasks,
        failures=row.failures,
        render_seconds=row.render_seconds,
        started=row.started,
        warnings=list(row.warnings),
    )
    kept_off = tables.KeptOff
    rows = kept_off.select(kept_off.worker).where((kept_off.job == row.id) & kept_off.readmitted.is_null())
    job.kept_off = {worker for (worker,) in rows.tuples()}
    part = tables.Part
    if row.bundle and kind.waits_for(spec, row.task_count - 1):
        film = makes_film(spec)
        done = (part.job == row.id) & (part.piece == 0 if film else part.piece > 0) & (part.status == PartStatus.COMPLETED)
        job.pieces = dict(part.select(part.frame if film else part.piece, part.digest).where(done).tuples())
    farm.next_order += 1
    farm.jobs[job.id] = job
    if job.status not in ENDED_JOB and (pattern := kind.output_key(spec)):
        farm.owners[(spec.output, pattern)] = job.id
    return job


def queued_tasks(tables: Tables, job: str, after: int, limit: int) -> list[TaskState]:
    """The next *limit* tasks of *job* after number *after* that are queued or wait for others, with the parts that they still
    have to do."""
    task, part = tables.Task, tables.Part
    wanted = (task.job == job) & (task.number > after) & task.status.in_((TaskStatus.QUEUED, TaskStatus.WAITING))
    rows = {row.id: _task_state(row) for row in task.select().where(wanted).order_by(task.number).limit(limit)}
    if rows:
        _load_parts(rows, part, (part.job == job) & part.task.between(min(rows), max(rows)))
    return list(rows.values())


def select_for_requeue(tables: Tables, job: str, value: object) -> Selection:
    """What ``requeue`` means for *job*: *value* is ``None`` (what failed or was canceled), ``"all"``, or a frame set.

    Raises `BadInput` for a frame set that is none.
    """
    task, part = tables.Task, tables.Part
    statuses: tuple[str, ...] = (TaskStatus.FAILED, TaskStatus.CANCELED)
    ids: tuple[int, ...] | None = None
    frames: tuple[int, ...] | None = None
    if value in ("all", None):
        if value == "all":
            statuses = (*statuses, TaskStatus.COMPLETED)
        which_tasks = (task.job == job) & task.status.in_(statuses)
        which_parts = (part.job == job) & part.status.in_(statuses)
    else:
        frames = parse_frames(str(value))
        if len(frames) > _REQUEUED_BY_NAME:
            raise BadInput(
                f"{len(frames)} frames are too many to name in one requeue ({_REQUEUED_BY_NAME} at most): queue all again instead"
            )
        ended = task.status.in_(ENDED_TASK)
        # Whatever a film is made of, it is made again when that is.
        whole = tuple(row.task_id for row in part.select(part.task).where((part.job == job) & (part.piece == FILM)))
        owners = part.select(part.task).where((part.job == job) & part.frame.in_(frames))
        named = (task.job == job) & ended
        ids = tuple(row.id for row in task.select(task.id).where(named & task.id.in_(owners)))
        if ids and whole:
            ids = tuple(row.id for row in task.select(task.id).where(named & (task.id.in_(ids) | task.id.in_(whole))))
        which_tasks = (task.job == job) & task.id.in_(ids)
        which_parts = (part.job == job) & (part.frame.in_(frames) | (part.piece == FILM)) & part.task.in_(ids)
    return Selection(
        statuses=statuses,
        tasks=ids,
        frames=frames,
        part_count=part.select().where(which_parts).count(),
        completed_parts=part.select().where(which_parts & (part.status == PartStatus.COMPLETED)).count(),
        ended_tasks=task.select().where(which_tasks & task.status.in_(ENDED_TASK)).count(),
        failed_tasks=task.select().where(which_tasks & (task.status == TaskStatus.FAILED)).count(),
        film=part.select().where(which_parts & (part.piece == FILM)).exists(),
    )


def receipt(row: Any) -> dict[str, Any]:
    """What the submitter of the job of *row* is told."""
    return {
        "id": row.id,
        "name": row.name,
        "status": row.status,
        "tasks": row.task_count,
        "frames": row.part_count,
        "output": row.output,
        "warnings": row.warnings,
    }


def _restore_attempt(farm: Farm, tables: Tables, row: Any, mono: float) -> None:
    data = row.__data__
    task_row = tables.Task.get_by_id(data["task"])
    if data["job"] not in farm.jobs:
        # It was being canceled when the server stopped; its job has ended, and the attempt still has to.
        adopt(farm, tables, tables.Job.get_by_id(data["job"]))
    job = farm.jobs[data["job"]]
    # An attempt that was canceled and has not ended yet is live in the record; its task is canceled, or queued again.
    speaks = job.status not in ENDED_JOB and task_row.status == TaskStatus.ACTIVE
    state = AttemptState(
        id=row.id,
        task=data["task"],
        job=job.id,
        worker=data["worker"],
        sent=mono,
        confirmed=row.last_report > 0,
        started=row.started is not None,
        began=mono if row.started is not None else None,
        last_report=row.last_report,
        canceling="" if speaks else "it was canceled before the server was started anew",
    )
    farm.attempts[row.id] = state
    job.live.add(row.id)
    if data["worker"] not in farm.workers:
        worker = tables.Worker.get_by_id(data["worker"])
        farm.workers[worker.id] = WorkerState(_worker_info(worker), manager=worker.__data__["manager"])
    worker_state = farm.workers[data["worker"]]
    worker_state.attempts[row.id] = None
    if state.started:
        worker_state.running = row.id
    state.incarnation = worker_state.info.incarnation
    if speaks and data["task"] in farm.tasks:
        farm.tasks[data["task"]].attempts.append(row.id)
        state.repeats = True
    elif speaks:
        task = _task_state(task_row)
        task.attempts.append(row.id)
        task.granted = True
        _load_parts({task.id: task}, tables.Part, tables.Part.task == task.id)
        farm.tasks[task.id] = task
        job.tasks.add(task.id)


def _task_state(row: Any) -> TaskState:
    return TaskState(
        id=row.id,
        job=row.__data__["job"],
        number=row.number,
        parts=[],
        status=TaskStatus(row.status),
        failures=row.failures,
        losses=row.losses,
        granted=bool(row.failures or row.losses),
    )


def _load_parts(tasks: dict[int, TaskState], part: Any, where: Any) -> None:
    for row in part.select().where(where & (part.status != PartStatus.COMPLETED)).order_by(part.id):
        owner = row.__data__["task"]
        if owner in tasks:
            tasks[owner].parts.append(PartState(row.id, row.frame, row.output, row.piece, row.layer))


def _worker_info(row: Any) -> WorkerInfo:
    blenders = []
    for blender in row.blenders:
        major, minor, patch = (int(number) for number in blender["version"].split("."))
        blenders.append(Blender(blender["kind"], blender["path"], (major, minor, patch), blender.get("file_subversion")))
    return WorkerInfo(
        id=row.id,
        incarnation=row.incarnation,
        name=row.name,
        host=row.host,
        platform=row.platform,
        software=row.software,
        pid=row.pid,
        cores=row.cores,
        memory=row.memory,
        blenders=tuple(blenders),
        tags=frozenset(row.tags),
        job_types=frozenset(row.job_types),
        programs=frozenset(row.programs),
        takes_trusted=row.takes_trusted,
        site=row.site,
    )
