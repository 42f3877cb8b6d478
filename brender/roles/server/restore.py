"""Reads the record back into the server's memory when it starts."""

from typing import Any

import msgspec
from peewee import SQL, fn

from brender.farm.farm import REMEMBERED_MANAGERS, Farm
from brender.farm.nodes import ManagerState, WorkerState
from brender.farm.tasks import AttemptState
from brender.model.addon import AddOn
from brender.model.device_sign_in import DeviceSignIn, SignInAnswer
from brender.model.hooks import KINDS, Hook
from brender.model.keys import KeyRole, Principal, Token
from brender.model.nodes import GIVEN_BACK, Standing
from brender.model.people import Role
from brender.model.power import Sleep, Sleeper
from brender.model.quotas import HALF_LIFE, Quota, QuotaKind, half_life_of
from brender.model.schedule import parse_schedule
from brender.model.status import ENDED_JOB, ManagerStatus, TaskStatus, Wanted, WorkerStatus
from brender.roles.effects import Deliver, Now
from brender.roles.server.recorded_jobs import adopt
from brender.roles.server.recorded_tasks import unfinished_task
from brender.store.path_variables import path_variables
from brender.store.recorded import worker_info
from brender.store.tables import ATTEMPT_LIVE, Tables
from brender.store.writer import Writer


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
        task = unfinished_task(tables, data["task"])
        task.attempts.append(row.id)
        task.granted = True
        farm.hold_in_memory(job, farm.keep_recorded(task))


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
