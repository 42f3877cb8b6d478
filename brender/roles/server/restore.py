"""Reads the record back into the server's memory: at its start, and when a person acts on a job that has ended."""

import functools
import operator
from collections.abc import Callable, Iterable
from functools import reduce
from operator import or_
from typing import Any

import msgspec
from peewee import SQL, fn

from brender.bus.messages import PartDone
from brender.farm.awaited import Awaited
from brender.farm.farm import REMEMBERED_MANAGERS, Farm
from brender.farm.job_plugin import JobTypeFailed, guarded, missing
from brender.farm.jobs import Estimated, JobState
from brender.farm.nodes import ManagerState, WorkerState
from brender.farm.output_owners import outputs_of, own
from brender.farm.sweep import Sweep
from brender.farm.sweeps import ALL_ENDED, UNFINISHED
from brender.farm.tasks import AttemptState, PartState, TaskState
from brender.jobs.declare import JobType, job_type, requirements_of
from brender.jobs.film import makes_film
from brender.jobs.stages import Graph, check_stages
from brender.model.addon import AddOn
from brender.model.beginning import After
from brender.model.device_sign_in import DeviceSignIn, SignInAnswer
from brender.model.errors import BadInput
from brender.model.frames import parse_frames
from brender.model.hooks import KINDS, Hook
from brender.model.job import BAKE, COPY, FILM, FileFacts, Requirements
from brender.model.keys import KeyRole, Principal, Token
from brender.model.nodes import GIVEN_BACK, Standing, read_series
from brender.model.people import Role
from brender.model.power import Sleep, Sleeper
from brender.model.quotas import HALF_LIFE, Quota, QuotaKind, half_life_of
from brender.model.ranges import Ranges
from brender.model.schedule import parse_schedule
from brender.model.status import ENDED_JOB, ENDED_TASK, JobStatus, ManagerStatus, PartStatus, TaskStatus, Wanted, WorkerStatus
from brender.model.units import units_of
from brender.roles.effects import Deliver, Now
from brender.roles.server.jobs import Selection
from brender.store.path_variables import path_variables
from brender.store.progressive import accumulated, noises
from brender.store.recorded import job_spec, worker_info
from brender.store.tables import ATTEMPT_LIVE, Tables
from brender.store.writer import Writer

#: Ranges of frames that are named in one query.
_RANGES_A_READ = 200

#: Frames that one requeue may name: each becomes a variable of an SQL statement.
_REQUEUED_BY_NAME = 10_000
#: Parts of one slice of a sweep, which is read, changed and written in one round.
SLICE_PARTS = 250


def restore(writer: Writer, now: Now) -> Farm:
    """Return the farm as the record has it: its unfinished jobs, live attempts, and the nodes that were there."""
    tables, mono = writer.tables, now.mono
    farm = Farm(
        next_task=writer.last_id("task") + 1,
        next_part=writer.last_id("part") + 1,
        next_activity=writer.last_id("activity") + 1,
    )
    _restore_shares(farm, tables)
    for id, until in (
        tables.Worker.select(tables.Worker.id, tables.Worker.paused_until)
        .where(tables.Worker.paused_until.is_null(False))
        .tuples()
    ):
        farm.paused[id] = until
    worker = tables.Worker
    for row in worker.select().where(worker.power.is_null(False)):
        farm.sleepers[row.id] = Sleeper(worker_info(row), msgspec.convert(row.power, Sleep))
    for row in worker.select(worker.id, worker.extra_tags, worker.schedule, worker.failed_in_row, worker.drained):
        if row.extra_tags:
            farm.extra_tags[row.id] = frozenset(row.extra_tags)
        farm.streaks.restore(row.id, row.failed_in_row, row.drained)
        if row.schedule:
            farm.schedules[row.id] = parse_schedule(row.schedule)
    for table in (tables.Manager, tables.Worker):
        farm.wanted |= {row.id: Wanted(row.wanted) for row in table.select(table.id, table.wanted).where(table.wanted != "")}
    for row in tables.Manager.select().where(tables.Manager.status != ManagerStatus.OFFLINE):
        _keep_manager(farm, row, mono)
    for row in reversed(list(tables.Manager.select().order_by(tables.Manager.last_seen.desc()).limit(REMEMBERED_MANAGERS))):
        farm.remember(_manager(row, mono))
    for row in tables.Worker.select().where(tables.Worker.status != WorkerStatus.OFFLINE):
        _keep_worker(farm, row)
    for manager in {worker.manager for worker in farm.workers.values()} - farm.managers.keys():
        # It left while the server was away. Its lease tells what happens to its workers.
        _keep_manager(farm, tables.Manager.get_by_id(manager), mono)
    for worker in farm.workers.values():
        farm.managers[worker.manager].workers.add(worker.info.id)
    job = tables.Job
    for row in job.select().where(job.status.not_in(ENDED_JOB) | SQL("sweeps <> '[]'")).order_by(job.submitted):
        adopt(farm, tables, row)
    going = job.select(job.id, job.output).where(job.deleting.in_(("frames", "both")))
    farm.deleting = {id: (output, "") for id, output in going.tuples()}
    _restore_waits(farm, tables, now)
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
    farm.addons = {row.module: msgspec.convert(row.addon, AddOn) for row in tables.SiteAddOn.select()}
    for row in tables.User.select():
        farm.users[row.name] = Role(row.role)
        if row.disabled is not None:
            farm.disabled_users.add(row.name)
    farm.api_tokens = dict(tables.ApiToken.select(tables.ApiToken.id, tables.ApiToken.user).tuples())
    renewed = tables.ApiToken.select(tables.ApiToken.id, tables.ApiToken.days).where(tables.ApiToken.days.is_null(False))
    farm.token_days = dict(renewed.tuples())
    for row in tables.DeviceSignIn.select():
        answer = SignInAnswer(row.answer)
        farm.device_sign_ins[row.id] = DeviceSignIn(name=row.name, device=row.device, expires=row.expires, answer=answer)
    for row in tables.Subscription.select():
        farm.subscriptions[row.id] = row.user
        if row.kind in KINDS:
            farm.hooks[row.id] = _hook(row)
    delivery = tables.HookDelivery
    farm.hooks_waiting.update(dict(delivery.select(delivery.hook, fn.COUNT(delivery.id)).group_by(delivery.hook).tuples()))
    farm.changed = set(farm.workers)
    farm.changed_jobs = set(farm.jobs)
    return farm


def _restore_waits(farm: Farm, tables: Tables, now: Now) -> None:
    """Let workers that wait with a job since they had too little memory for it, which counts as a failure, wait on. Those that
    could not use its folders try again at once, as the record says from now on."""
    off = tables.KeptOff
    for row in off.select().where(off.readmitted > now.wall):
        if not row.failures:
            farm.ledger.change("kept_off", (row.job_id, row.worker_id), {"readmitted": now.wall})
        elif (job := farm.jobs.get(row.job_id)) is not None:
            left = min(row.readmitted - now.wall, row.readmitted - row.wall)  # (clocks may have been set back)
            job.put_off[row.worker_id] = (now.mono + left, row.reason)
            job.put_off_times[row.worker_id] = row.failures


def _restore_shares(farm: Farm, tables: Tables) -> None:
    """Read how much of the farm was used, and the quotas."""
    usages = farm.usages
    for row in tables.Quota.select():
        quota = Quota(row.weight, row.most, row.pool, row.by_command, row.by_file)
        usages.quotas[QuotaKind(row.kind), row.name] = quota
    usages.changed_quotas.update(dict.fromkeys(usages.quotas))
    if half_life := usages.quotas.get(HALF_LIFE):
        usages.half_life = half_life_of(half_life)
    for row in tables.Usage.select():
        usages.restore(row.project, row.user, row.seconds, row.wall)


def adopt(farm: Farm, tables: Tables, row: Any) -> JobState:
    """Take the job of *row* into *farm*'s memory, and return it."""
    kind = _kind_of(row)
    facts = _facts_of(farm, row)
    spec = job_spec(row, kind, facts)
    task = tables.Task
    ended = row.planned_tasks
    if row.status not in ENDED_JOB or row.sweeps:  # (tasks without frames have no rows)
        ended -= task.select().where((task.job == row.id) & task.status.not_in(ENDED_TASK)).count()
    job = JobState(
        spec=spec,
        type=kind,
        need=Requirements(job_type=row.job_type, series=read_series(row.series) if row.series else None),
        order=farm.next_order,
        task_count=row.task_count,
        part_count=row.part_count,
        status=JobStatus(row.status),
        reason=row.reason,
        priority=row.priority,
        planned=row.planned_tasks,
        completed_parts=row.completed_parts,
        kept_parts=row.kept_parts,
        finished_frames=row.finished_frames,
        given_up_parts=row.given_up_parts,
        memory=row.memory,
        ended_tasks=ended,
        failed_tasks=row.failed_tasks,
        failures=row.failures,
        render_seconds=row.render_seconds,
        slowest_seconds=row.slowest_seconds,
        machine_seconds=row.machine_seconds,
        joules=row.joules,
        metered_seconds=row.metered_seconds,
        submitted=row.submitted,
        started=row.started,
        finished=row.finished,
        revision=row.revision,
        deleting=row.deleting,
        frames_deleted=row.frames_deleted,
        sweeps=msgspec.convert(row.sweeps, list[Sweep]),
        waiting_for=row.waiting_for,
        estimates=msgspec.convert(row.estimates, list[Estimated]),
        warnings=list(row.warnings),
    )
    kept_off = tables.KeptOff
    rows = kept_off.select(kept_off.worker).where((kept_off.job == row.id) & kept_off.readmitted.is_null())
    job.kept_off = {worker for (worker,) in rows.tuples()}
    farm.next_order += 1
    farm.jobs[job.id] = farm.keep(job, recorded=True)
    farm.changed_jobs.add(job.id)
    try:
        job.need = msgspec.structs.replace(requirements_of(kind, spec), series=job.need.series)
        check_stages(row.job_type, kind.stages(spec), row.task_count)
        if row.passes:
            job.measured = noises(tables, job.id)
            accumulates = accumulated(tables, tables.Part.job == job.id) if row.bundle else {}
            job.pieces = {frame: digest for (_, frame), digest in accumulates.items()}
        elif row.bundle and job.graph.has_waits:
            job.pieces, job.baked = _pieces(tables, job), _baked(tables, job)
        if job.graph.has_waits and row.given_up_parts:
            _note_unmade(tables, job)
        if job.status not in ENDED_JOB:
            own(farm, job.id, outputs_of(spec, kind))
    except (JobTypeFailed, BadInput) as failure:
        farm.broken.setdefault(job.id, str(failure))
    return job


def bring_awaited(farm: Farm, tables: Tables, after: Iterable[After], placing: Callable[[str], set[tuple[str, int]]]) -> None:
    """Bring what has to be known of the jobs that a job is to wait *after* into *farm*'s mind. *placing* returns the finished
    frames of a job that are not in its folder yet. One that is not there counts as deleted."""
    for each in after:
        awaited = farm.awaited.get(each.job)
        row = None
        if awaited is None or (each.by_frame and awaited.frames is None):
            row = tables.Job.get_or_none(tables.Job.id == each.job)
        if awaited is None:
            awaited = farm.awaited[each.job] = Awaited(each.job, "", None)
            if row is not None:
                awaited.name, awaited.status = row.name, JobStatus(row.status)
                awaited.done = units_of(row.settings, row.completed_parts, row.part_count, row.finished_frames)
        if each.by_frame and awaited.frames is None and row is not None:
            _note_frames_done(tables, row, awaited, placing(each.job))


def _note_frames_done(tables: Tables, row: Any, awaited: Awaited, placing: set[tuple[str, int]]) -> None:
    """Note which frames of the job of *row* are done, and which of these are not in its folder yet."""
    part, task, kind = tables.Part, tables.Task, _kind_of(row)
    try:
        graph = Graph(kind.stages(job_spec(row, kind, _facts(row))))
    except (JobTypeFailed, msgspec.ValidationError):
        return  # (it has to be completed)
    awaited.frames = Ranges()
    query = part.select(part.frame, part.status, part.id, part.attempt).where(part.job == row.id).order_by(part.frame)
    if len(graph.stages) > 1:
        last = [graph.stages[place] for place in sorted(graph.last_of_frames)]
        of_last = reduce(or_, (task.number.between(stage.first_task, stage.last_task) for stage in last))
        query = query.join(task, on=part.task == task.id).where(of_last)
    undone: list[int] = []
    for frame, status, id, attempt in query.tuples().iterator():
        if status != PartStatus.COMPLETED:
            undone.append(frame)
            continue
        awaited.frames.add(frame)
        if (attempt, id) in placing:
            awaited.placing[attempt, id] = frame
            undone.append(frame)
    for frame in undone:
        awaited.frames.discard(frame)


def waits_of(tables: Tables, jobs: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return the jobs that each of *jobs* waits for, or did, and those that these wait for, and so on, by their ids."""
    found: dict[str, tuple[str, ...]] = {}
    left = list(jobs)
    while left:
        rows = dict(tables.Job.select(tables.Job.id, tables.Job.after_jobs).where(tables.Job.id.in_(left[:500])).tuples())
        for id in left[:500]:
            found[id] = tuple(each["job"] for each in rows.get(id, ()))
        left = [other for other in dict.fromkeys([*left[500:], *(o for id in rows for o in found[id])]) if other not in found]
    return found


def _facts(row: Any) -> FileFacts | None:
    return msgspec.convert(row.facts, FileFacts) if row.facts else None


def _facts_of(farm: Farm, row: Any) -> FileFacts | None:
    """Return the facts of the .blend of the job of *row*. If they cannot be read, that job fails, and no other."""
    try:
        return _facts(row)
    except msgspec.ValidationError as error:
        farm.broken[row.id] = f"The facts of its .blend cannot be read from the record any more: {error}"
        return None


def _kind_of(row: Any) -> JobType:
    """Return the job type of the job of *row*; a stand-in if it is not installed any more."""
    try:
        return guarded(job_type(row.job_type), row.id)
    except BadInput:
        return missing(row.job_type, row.id)


def _pieces(tables: Tables, job: JobState) -> dict[int, str]:
    """Return the digests of the pieces of a still that are done, by number, or of the frames of a film, or those that are to be
    denoised."""
    part, film = tables.Part, makes_film(job.spec)
    if job.spec.settings.get("denoise_after"):
        done = (part.job == job.id) & (part.piece >= 0) & (part.status == PartStatus.COMPLETED)
        return dict(part.select(part.frame, part.digest).where(done).order_by(part.id).tuples())
    done = (part.job == job.id) & (part.piece == 0 if film else part.piece > 0) & (part.status == PartStatus.COMPLETED)
    return dict(part.select(part.frame if film else part.piece, part.digest).where(done).tuples())


def _baked(tables: Tables, job: JobState) -> str:
    """Return the digest of the .blend with the bake of *job*, or ""."""
    part = tables.Part
    done = (part.job == job.id) & (part.piece == BAKE) & (part.status == PartStatus.COMPLETED)
    return next((digest for (digest,) in part.select(part.digest).where(done).tuples()), "")


def _note_unmade(tables: Tables, job: JobState) -> None:
    """Note which frames of *job* failed or were canceled, by stage."""
    part, task = tables.Part, tables.Task
    given_up = (part.job == job.id) & part.status.in_((PartStatus.FAILED, PartStatus.CANCELED))
    query = part.select(task.number, part.frame).join(task, on=part.task == task.id).where(given_up)
    for number, frame in query.order_by(task.number).tuples().iterator():
        job.dependencies.unmade[job.graph.place(number)].add(frame)


def queued_tasks(tables: Tables, job: str, after: int, limit: int) -> list[TaskState]:
    """Return the next *limit* tasks of *job* after number *after* that are queued or wait for others, with the parts that they
    still have to do."""
    task, part = tables.Task, tables.Part
    wanted = (task.job == job) & (task.number > after) & task.status.in_((TaskStatus.QUEUED, TaskStatus.WAITING))
    found = _tasks(tables, wanted, limit)
    if found:
        _add_parts(found, _parts(tables, _is_of(found, part) & (part.status != PartStatus.COMPLETED)))
    return found


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
            (task,) = _tasks(tables, tables.Task.id == row[0], 1)
            _add_parts([task], _parts(tables, (part.task == task.id) & (part.status != PartStatus.COMPLETED)))
        found[report.attempt] = task
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


def _restore_attempt(farm: Farm, tables: Tables, row: Any, mono: float) -> None:
    data = row.__data__
    task_row = tables.Task.get_by_id(data["task"])
    if data["job"] not in farm.jobs:
        # It was being canceled when the server stopped; its job has ended, and the attempt still has to.
        adopt(farm, tables, tables.Job.get_by_id(data["job"]))
    job = farm.jobs[data["job"]]
    # An attempt that was canceled and has not ended yet is live in the record, with the reason. (A record of an earlier version
    # has none; there its task is canceled, or queued again.)
    canceling = row.reason
    if not canceling and (job.status in ENDED_JOB or task_row.status != TaskStatus.ACTIVE):
        canceling = "it was canceled before the server restarted"
    state = AttemptState(
        id=row.id,
        task=data["task"],
        job=job.id,
        worker=data["worker"],
        sent=mono,
        manager=data["manager"],
        granted_wall=row.granted,
        left_out=set(row.left_out or ()),
        confirmed=row.last_report > 0,
        started_wall=row.started,
        began=mono if row.started is not None else None,
        last_report=row.last_report,
        canceling=canceling,
    )
    farm.attempts[row.id] = farm.keep(state, recorded=True)
    farm.unanswered[row.id] = None
    job.live.add(row.id)
    job.begun += state.started
    farm.charge(state, job, 1)
    if data["worker"] not in farm.workers:
        _keep_worker(farm, tables.Worker.get_by_id(data["worker"]))
    worker = farm.workers[data["worker"]]
    worker.attempts[row.id] = None
    if state.started:
        worker.running = row.id
    state.incarnation = worker.info.incarnation
    if canceling:
        return
    if data["task"] in farm.tasks:
        farm.tasks[data["task"]].attempts.append(row.id)
        state.repeats = True
    else:
        (task,) = _tasks(tables, tables.Task.id == data["task"], 1)
        _add_parts([task], _parts(tables, (tables.Part.task == task.id) & (tables.Part.status != PartStatus.COMPLETED)))
        task.attempts.append(row.id)
        task.granted = True
        farm.hold_in_memory(job, farm.keep_recorded(task))


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


def _keep_manager(farm: Farm, row: Any, mono: float) -> None:
    farm.managers[row.id] = farm.keep(_manager(row, mono), recorded=True)


def _manager(row: Any, mono: float) -> ManagerState:
    return ManagerState(
        row.id,
        row.incarnation,
        row.name,
        heard=mono,
        beat=mono,
        address=row.address,
        shown=(ManagerStatus(row.status), row.reason),
        host=row.host,
        software=row.software,
        pid=row.pid,
        stats=row.stats,
        last_seen=row.last_seen,
    )


def _keep_worker(farm: Farm, row: Any) -> None:
    info = worker_info(row)
    # (What others pause, it does not say itself.)
    pauses = row.status == WorkerStatus.PAUSED and row.reason.startswith(GIVEN_BACK) and row.id not in farm.paused
    worker = WorkerState(
        msgspec.structs.replace(info, tags=info.tags | farm.extra_tags.get(row.id, frozenset())),
        standing=Standing.PAUSED if pauses else Standing.OPEN,
        reason=row.reason if pauses else "",
        manager=row.__data__["manager"],
        own_tags=info.tags,
        shown=(WorkerStatus(row.status), row.reason, row.attempt, row.job),
        frame=row.frame,
        fraction=row.fraction,
        line=row.line,
        stats=row.stats,
        last_seen=row.last_seen,
    )
    farm.workers[row.id] = farm.keep(worker, recorded=True)


def waiting_deliveries(tables: Tables) -> list[tuple[Deliver, int]]:
    """Return the deliveries of hooks that an earlier server left, in their order, each with how often it was tried."""
    subscription, found = tables.Subscription, []
    hooks = {row.id: _hook(row) for row in subscription.select().where(subscription.kind.in_(KINDS))}
    for row in tables.HookDelivery.select().order_by(tables.HookDelivery.id):
        if (hook := hooks.get(row.hook)) is not None:
            found.append((Deliver(row.id, hook, row.event, row.body, row.created), row.tries))
    return found


def _hook(row: Any) -> Hook:
    return Hook(row.id, row.kind, row.target, row.secret, frozenset(row.events), row.project)
