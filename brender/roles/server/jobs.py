"""The life of jobs in the server's core: accepted, changed by people, ended. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from brender.bus.messages import Cancel
from brender.farm.farm import Farm
from brender.farm.job_plugin import JobTypeFailed, guarded
from brender.farm.jobs import JobState
from brender.farm.output_owners import delete_files, may_own, own, retire_files
from brender.farm.stages import waits_for_jobs
from brender.farm.sweep import Sweep
from brender.farm.sweeps import ALL_ENDED, UNFINISHED, sweep_slice
from brender.farm.tasks import TaskState
from brender.farm.waiting import check_after, follow, forget, in_words_of, note_deleted, note_placed, note_status
from brender.jobs.blender_progressive import check_until
from brender.jobs.declare import JobType, job_type, requirements_of
from brender.jobs.stages import check_stages
from brender.model.addon import AddOn, bounding, check_addons, with_those_of_site
from brender.model.beginning import Beginning, check_start
from brender.model.eligibility import likely_series
from brender.model.errors import BadInput, Conflict
from brender.model.hooks import NEEDS_SOMEBODY
from brender.model.job import FileFacts, JobSpec, Requirements, check_limits, check_priority
from brender.model.nodes import dotted
from brender.model.output import Output
from brender.model.quotas import QuotaKind, check_licence
from brender.model.sharing import NO_POOL, Sharing, check_sharing, pool_warnings
from brender.model.status import ENDED_JOB, OPEN_JOB, JobStatus, TaskStatus
from brender.model.text import plural, short_id
from brender.model.units import in_tasks, several_of
from brender.roles.effects import DeleteJob, DropFolder, LoadSlice, LogEvent, Now, Send
from brender.roles.server.activity import ActivityLog

Emit = Callable[[Any], None]


#: Parts of one job, at most: every frame that Blender has, a hundred times over.
PARTS_MOST = 200_000_000
#: Of a film or merge that runs, as a sentence goes on.
USES_FRAMES = "uses its finished frames now"
#: The parts of an ended job that can be deleted.
DELETABLE = ("frames", "record", "both")
NOT_FINITE = "A number in it is not finite"
_DELETED = {
    "frames": "the frames that it rendered",
    "record": "its record and its logs",
    "both": "its record, its logs and the frames that it rendered",
}


@dataclass(frozen=True)
class Selection:
    """The tasks and parts of a job that are to be queued again: those of ``statuses``, only of ``frames`` (``None``: of all).
    ``is_empty``: the record has none of that kind. ``of_edit``: because an edit makes the job look different. ``keeps``:
    completed tasks of these stages stay completed."""

    statuses: tuple[str, ...] = UNFINISHED
    frames: tuple[int, ...] | None = None
    is_empty: bool = False
    of_edit: bool = False
    keeps: tuple[str, ...] = ()


class Jobs:
    """Accept, act, end. Works on *farm*; what must happen outside goes to *emit*."""

    def __init__(self, farm: Farm, activity: ActivityLog, emit: Emit) -> None:
        self.farm = farm
        self.activity = activity
        self.emit = emit
        self._deleting: dict[str, str] = {}
        """The names of jobs that are being deleted, by id; not of those that were before a restart."""
        self.frames_folder = "frames"
        """The folder for the frames of a sent job that names no folder."""

    # --- coming and going ---------------------------------------------------------------------------------------------

    def submit(self, spec: JobSpec, now: Now) -> None:
        """Accept *spec*, unless it was accepted before. Raises `BadInput` or `Conflict`, with nothing changed."""
        if spec.id in self.farm.jobs:
            return
        check_submitted(spec)
        check_sharing(spec.sharing)
        spec = msgspec.structs.replace(spec, sharing=self._in_its_pool(spec))
        for name in spec.sharing.licences:
            check_licence(self.farm.usages.quota(QuotaKind.LICENCE, name), name)
        check_after(self.farm, spec.id, spec.after)
        check_start(spec.start_at, now.wall)
        _check_readable(spec)
        installed = job_type(spec.job_type)
        spec = self._with_addons(spec, installed)
        try:
            spec, need, counts = self._prepared(spec, guarded(installed, spec.id, may_refuse=True))
        except JobTypeFailed as failure:
            raise BadInput(str(failure)) from failure
        check_until(spec, now.wall)
        kind = guarded(installed, spec.id)
        check_series(need)
        if unknown := need.variables - {variable.name for variable in self.farm.paths}:
            raise BadInput(
                f"There is no path variable {{{sorted(unknown)[0]}}}: `brender path list` shows those that there are, and "
                "`brender path set` makes one"
            )
        warnings = [*spec.warnings, *self._moved_by_site_addons(spec, need)]
        warnings += pool_warnings(spec.sharing.pool, (worker.info.pool for worker in self.farm.workers.values()))
        owned = may_own(self.farm, spec, kind)
        job = JobState(
            spec=spec,
            type=kind,
            need=need,
            order=self.farm.next_order,
            task_count=counts[0],
            part_count=counts[1],
            status=JobStatus.PAUSED if spec.paused else JobStatus.QUEUED,
            priority=spec.priority,
            warnings=warnings,
            submitted=now.wall,
        )
        self.farm.next_order += 1
        ledger = self.farm.ledger
        ledger.put("project", spec.project, {})
        self.farm.keep(job)
        self.farm.totals.jobs_submitted += 1
        self.farm.happened("job-submitted", now.wall, job)
        ledger.insert("job_revision", (job.id, 1), {"settings": spec.settings, "user": spec.user, "wall": now.wall})
        for each in owned:
            if each[1]:
                ledger.put("output_owner", each, {"job": job.id})
        self.adopt(job, owned)
        self.activity.note(
            now,
            "submit",
            f"submitted {spec.name}: {in_tasks(spec.settings, job.part_count, job.task_count)}",
            job.id,
            spec.user,
        )

    def _in_its_pool(self, spec: JobSpec) -> Sharing:
        """Return how *spec* shares the farm: in the pool of its project, unless it says another, or none."""
        sharing = spec.sharing
        if sharing.pool == NO_POOL:
            return msgspec.structs.replace(sharing, pool="", reclaim_at_once=False)
        pool = sharing.pool or self.farm.usages.quota(QuotaKind.PROJECT, spec.project).pool
        return msgspec.structs.replace(sharing, pool=pool)

    def _prepared(self, spec: JobSpec, kind: JobType) -> tuple[JobSpec, Requirements, tuple[int, int]]:
        """Return *spec* as its job type prepares it, its requirements, and its numbers of tasks and parts. Raises `BadInput`."""
        if spec.bundle and not spec.output:
            spec = msgspec.structs.replace(spec, output=f"{self.frames_folder}/{spec.id}")
        spec = kind.prepare(spec)
        kind.output_key(spec)  # (which is asked again in a moment, when it may raise no more)
        counts = kind.task_count(spec), kind.part_count(spec)
        if not 1 <= counts[0] <= counts[1] <= PARTS_MOST:
            raise BadInput(
                f"The job type {spec.job_type!r} makes {counts[0]:,} tasks with {counts[1]:,} parts of the job, and 1 to "
                f"{PARTS_MOST:,} is what a job can have"
            )
        check_stages(spec.job_type, kind.stages(spec), counts[0])
        return spec, requirements_of(kind, spec), counts

    def site_addons(self, spec: JobSpec) -> tuple[AddOn, ...]:
        """Return the add-ons of the farm that *spec* would get, were it accepted now. Raises `BadInput`."""
        return tuple(addon for addon in self._with_addons(spec, job_type(spec.job_type)).addons if addon.of_site)

    def _with_addons(self, spec: JobSpec, kind: JobType) -> JobSpec:
        """Return *spec* with the add-ons that are enabled for it: its own, and the farm's. Raises `BadInput`."""
        if kind.engine != "blender":
            if spec.addons:
                raise BadInput(f"A job of the type {spec.job_type} is not rendered with Blender, and so has no add-ons")
            return spec
        addons = with_those_of_site(spec.addons, self.farm.addons.values() if spec.site_addons else ())
        check_addons(addons)
        return msgspec.structs.replace(spec, addons=addons)

    def _moved_by_site_addons(self, spec: JobSpec, need: Requirements) -> list[str]:
        """Return a warning where *spec* would have another Blender without the farm's add-ons."""
        of_site = [addon for addon in spec.addons if addon.of_site]
        if need.blender is None or need.series is not None or not of_site:
            return []
        own = tuple(addon for addon in spec.addons if not addon.of_site)
        without = msgspec.structs.replace(need, addons=bool(own), site_addons=False, bounding=bounding(own))
        workers = [worker.info for worker in self.farm.workers.values()]
        had = likely_series(without, self.farm.paths, workers)
        usual = had or need.blender
        chosen = likely_series(need, self.farm.paths, workers)
        reasons = [f"{addon.subject} {addon.why_not(usual)}" for addon in of_site if not addon.takes(usual)]
        if chosen == usual or not (chosen or reasons or had):
            return []
        why = " and ".join(reasons) or f"the workers that have it do not run {' and '.join(each.subject for each in of_site)}"
        what = f"is rendered with Blender {dotted(chosen)}" if chosen is not None else "waits for a worker with another Blender"
        return [
            f"The job {what}, though it would be rendered with Blender {dotted(usual)} without the farm's add-ons, as {why}: "
            "`--no-site-addons` leaves them out"
        ]

    def fail(self, job_id: str, reason: str, now: Now) -> None:
        """Let the job *job_id* fail, where it has not ended: its job type does not do what it must."""
        job = self.farm.jobs.get(job_id)
        if job is not None and job.status not in ENDED_JOB:
            self.end(job, JobStatus.FAILED, reason, now)

    def adopt(self, job: JobState, owned: Iterable[Output]) -> None:
        """Take *job*, new or read from the record, into memory."""
        self.farm.jobs[job.id] = job
        self.farm.changed_jobs.add(job.id)
        follow(self.farm, job)
        own(self.farm, job.id, owned)

    def ask_for_slices(self) -> None:
        """Ask for the next slice of every job that has a sweep to do."""
        for job in self.farm.jobs.values():
            if job.sweeps:
                self.emit(LoadSlice(job.id, job.sweeps[0].cursor))

    def sweep(self, job_id: str, tasks: Sequence[TaskState], after: int, is_last: bool, now: Now) -> None:
        """Take the record's answer to a `LoadSlice`: the *tasks* after number *after* with all their parts, in order."""
        job = self.farm.jobs.get(job_id)
        if job is None or not job.sweeps or job.sweeps[0].cursor != after:
            return
        sweep = sweep_slice(self.farm, job, tasks, is_last)
        if sweep is None:
            return
        if sweep.what == "requeue" and job.status not in ENDED_JOB:
            queued = plural(*several_of(job.spec.settings, sweep.count, job.part_count))
            self.activity.note(now, "requeue", f"queued {queued} of {job.spec.name} again", job.id, sweep.user)
        if sweep.what != "cancel":
            self.settle(job, now)
        self.farm.changed_jobs.add(job.id)
        self.farm.forget_if_over(job)
        self.tidy(job)

    # --- what people ask for ------------------------------------------------------------------------------------------

    def pause(self, job: JobState, now: Now, user: str) -> None:
        self._must_be_unfinished(job, "paused")
        self.set_status(job, JobStatus.PAUSED, "paused: nothing new starts, what renders is finished", now)
        self.activity.note(now, "pause", f"paused {job.spec.name}", job.id, user)

    def resume(self, job: JobState, now: Now, user: str) -> None:
        if job.status is not JobStatus.PAUSED:
            raise Conflict(f"The job {job.called} is {job.status}, not paused. `brender requeue` starts an ended job again")
        self.set_status(job, JobStatus.ACTIVE if job.live else JobStatus.QUEUED, "", now)
        self.activity.note(now, "resume", f"resumed {job.spec.name}", job.id, user)

    def cancel(self, job: JobState, now: Now, user: str) -> None:
        self._must_be_unfinished(job, "canceled")
        self.end(job, JobStatus.CANCELED, "canceled" + (f" by {user}" if user else ""), now)
        self.activity.note(now, "cancel", f"canceled {job.spec.name}", job.id, user)

    def priority(self, job: JobState, value: int, now: Now, user: str) -> None:
        check_priority(value)
        job.priority = value
        job.touch()
        self.farm.changed_jobs.add(job.id)
        self.activity.note(now, "priority", f"set the priority of {job.spec.name} to {value}", job.id, user)

    def wait_otherwise(self, job: JobState, value: Beginning, now: Now, user: str) -> None:
        """Change when *job* begins, and after which jobs, to *value*. Raises `BadInput`, `NotFound` or `Conflict`."""
        self._must_be_unfinished(job, "made to wait")
        check_after(self.farm, job.id, value.after)
        if value.start_at != job.spec.start_at:
            check_start(value.start_at, now.wall)
        awaited = {after.job: self.farm.awaited[after.job] for after in value.after}
        forget(self.farm, job)
        self.farm.awaited |= awaited  # (what nobody else waits for is forgotten)
        job.wait_otherwise(value.after, value.start_at, value.night)
        follow(self.farm, job)
        self.farm.waits_changed.add(job.id)
        if job.waits_by_frame:
            tasks = map(self.farm.tasks.__getitem__, job.tasks)
            job.hold([task for task in tasks if task.status is TaskStatus.QUEUED and waits_for_jobs(self.farm, job, task)])
        self.farm.changed_jobs.add(job.id)
        self.activity.note(now, "when", f"{job.spec.name} begins {in_words_of(value, self.farm)}", job.id, user)

    def readmit(self, job: JobState, worker: str | None, now: Now, user: str) -> None:
        """Let *worker*, or all, try *job* again. Raises `Conflict` where it is neither kept off nor put off."""
        off = job.kept_off | job.put_off.keys()
        chosen = sorted(off if worker is None else off & {worker})
        if not chosen and (worker is not None or not job.refusals.rests):
            raise Conflict(f"No {'such ' if worker else ''}worker is kept off the job {job.called}")
        for each in chosen:
            job.readmit(each)
            self.farm.ledger.change("kept_off", (job.id, each), {"readmitted": now.wall})
        self.can_begin(job, now)
        self.farm.changed_jobs.add(job.id)
        workers = "1 worker" if len(chosen) == 1 else f"{len(chosen)} workers" if chosen else "all workers"
        self.activity.note(now, "readmit", f"{workers} may try {job.spec.name} again", job.id, user)

    def requeue(self, job: JobState, selection: Selection, now: Now, user: str) -> None:
        """Queue the *selection* again, slice by slice. Raises `Conflict` where there is nothing to do."""
        if selection.is_empty or not self._has_ended_work(job, selection):
            known, id = f"The job {job.called} is {job.status}, and", short_id(job.id)
            if selection.frames is not None:
                raise Conflict(f"{known} has none of these frames: `brender job {id}` says which it has")
            raise Conflict(
                f"{known} no frame of it failed or was canceled: `brender requeue {id} --all` renders all of it again, "
                f"`brender requeue {id} --frames FRAMES` only those, such as 1-10"
            )
        if selection.frames is not None and job.status in ENDED_JOB and job.planned < job.task_count:
            raise Conflict(
                f"The job {job.called} ended before all its frames were planned: queue all that is unfinished of it again "
                f"(`brender requeue {short_id(job.id)}`), or submit these frames as a job of their own"
            )
        self._let_wait_again(job, selection)
        self.adopt(job, may_own(self.farm, job.spec, job.type))
        job.failures = 0
        job.recent.clear()
        self.can_begin(job, now)
        job.refusals.is_insisted_on = True
        self.farm.changed_jobs.add(job.id)
        if selection.statuses == ALL_ENDED and selection.frames is None and not job.live and not selection.keeps:
            job.unpin()
            job.forget_missing_files()
        wanted = Sweep("requeue", statuses=selection.statuses, frames=selection.frames, user=user)
        job.sweeps.append(msgspec.structs.replace(wanted, of_edit=selection.of_edit, keeps=selection.keeps))
        job.touch()
        if job.status in ENDED_JOB:
            # Not active: what may still run of it was canceled, and does not belong to what is queued now.
            self.set_status(job, JobStatus.QUEUED, "", now)

    @staticmethod
    def _has_ended_work(job: JobState, selection: Selection) -> bool:
        """Return whether *job* may have anything that *selection* means, by what is counted of it."""
        if selection.frames is not None:
            return True
        if selection.statuses == ALL_ENDED and (job.completed_parts or job.ended_tasks):
            return True
        return job.failed_tasks > 0 or job.status in (JobStatus.FAILED, JobStatus.CANCELED)

    def _let_wait_again(self, job: JobState, selection: Selection) -> None:
        """Before the *selection* is queued again: let what waits for others wait (again). Raises `Conflict` where something runs
        that may be made of the selection."""
        waiting = [task for task in map(self.farm.tasks.__getitem__, job.tasks) if job.graph.stage(task.number).after]
        frames = None if selection.frames is None else frozenset(selection.frames)
        anything = frozenset(stage.name for stage in job.graph)
        for task in waiting:
            is_remade = job.graph.is_remade(job.graph.place(task.number), anything)
            if task.attempts and (is_remade or frames is None or any(part.frame in frames for part in task.parts)):
                raise Conflict(
                    f"A task of the job {job.called} {USES_FRAMES}: queue frames again when that is done, or cancel the job first"
                )
        job.hold(task for task in waiting if not task.attempts)
        self.farm.changed_jobs.add(job.id)

    def delete(self, job: JobState, what: str, now: Now, user: str) -> None:
        """Delete *what* of *job*: its ``frames``, its ``record`` or ``both``. Raises `BadInput` or `Conflict`."""
        if what not in DELETABLE:
            raise BadInput(f"{what!r} of a job cannot be deleted; what can: {', '.join(DELETABLE)}")
        if job.status not in ENDED_JOB:
            raise Conflict(f"The job {job.called} is {job.status}: cancel it first, then delete it")
        if job.live or job.sweeps:
            raise Conflict(f"The job {job.called} is still being stopped: delete it in a moment")
        if what != "record":
            delete_files(self.farm, job)
        self._begin_deleting(job.id, what)
        self.activity.note(now, "delete", f"{job.spec.name}: {_DELETED[what]} are to be deleted", job.id, user)
        self._deleting[job.id] = job.spec.name

    def retire(self, job: str, what: str, folder: str, now: Now) -> None:
        """Delete *what* of the ended *job* with the output *folder*: its project keeps it no longer. A job that was queued again
        meanwhile is left alone, as are files in a folder that another job writes to."""
        if job in self.farm.jobs or (what != "record" and not retire_files(self.farm, job, folder)):
            return
        self._begin_deleting(job, what)

    # --- ends ---------------------------------------------------------------------------------------------------------

    def settle(self, job: JobState, now: Now) -> None:
        """End *job* if all its tasks have ended and its frames are in its folder."""
        if job.ended_tasks < job.task_count or job.placing or job.sweeps or job.status in ENDED_JOB:
            return
        if job.failed_tasks:
            self.end(job, JobStatus.FAILED, job.reason or f"{job.failed_tasks} of {plural(job.task_count, 'task')} failed", now)
        elif job.completed_parts < job.part_count:
            count, noun = several_of(job.spec.settings, job.part_count - job.completed_parts, job.part_count)
            text = f"{plural(count, noun)} {'was' if count == 1 else 'were'}"
            self.end(job, JobStatus.CANCELED, f"{text} canceled before, and not queued again", now)
        else:
            self.end(job, JobStatus.COMPLETED, "", now)

    def placed(self, frames: Iterable[tuple[str, str, int]], now: Now) -> None:
        """Finished *frames*, each a job, an attempt and a part, are in the folders of their jobs."""
        for id, attempt, part in frames:
            if (job := self.farm.jobs.get(id)) is not None:
                job.placing.discard((attempt, part))
                note_placed(self.farm, id, attempt, part)
                self.settle(job, now)

    def hinder(self, hindrances: Mapping[str, str], now: Now) -> None:
        """Say on each job, by its id, why finished frames cannot be put into its folder; on all others that none waits."""
        for job in self.farm.jobs.values():
            hindrance = hindrances.get(job.id, "")
            if hindrance != job.hindrance:
                reason = "" if job.reason == job.hindrance else job.reason
                job.hindrance = hindrance
                self.set_status(job, job.status, reason, now)

    def end(self, job: JobState, status: JobStatus, reason: str, now: Now) -> None:
        """End *job*: what runs is stopped, and what waits is canceled, slice by slice."""
        self.set_status(job, status, reason, now)
        for attempt_id in sorted(job.live):
            attempt = self.farm.attempts[attempt_id]
            if attempt.superseded:
                continue
            attempt.cancel(reason or str(status))
            self.farm.unanswered[attempt_id] = None
            cancel = Cancel(worker=attempt.worker, attempts=(attempt_id,), reason=attempt.canceling)
            self.emit(Send(self.farm.workers[attempt.worker].manager, cancel))
        if status is not JobStatus.CANCELED:
            is_what = "failed" if status is JobStatus.FAILED else f"is {status}"
            text = f"{job.spec.name} {is_what}" + (f": {reason}" if reason else "")
            self.activity.note(now, str(status), text, job.id)
        job.forget_queue()
        forget(self.farm, job)
        job.stand_waiting("")
        edited = [sweep for sweep in job.sweeps if sweep.what == "leave-out" or sweep.renames or sweep.of_edit]
        is_to_cancel = job.ended_tasks < job.planned or any(sweep.what == "requeue" for sweep in edited)
        job.sweeps = edited + ([Sweep("cancel")] if is_to_cancel else [])
        job.touch()
        self.farm.changed_jobs.add(job.id)
        self.farm.owners = {key: owner for key, owner in self.farm.owners.items() if owner != job.id}
        self.farm.forget_if_over(job)
        self.tidy(job)

    def tidy(self, job: JobState) -> None:
        """Remove the folder that was made for *job*, if it has ended without a file in it. It is made again if the job is queued
        again."""
        is_in_vain = job.status in (JobStatus.CANCELED, JobStatus.FAILED) and not job.completed_parts
        if is_in_vain and job.is_over and job.spec.made_output:
            self.emit(DropFolder(job.spec.output, job.spec.made_above))

    def set_status(self, job: JobState, status: JobStatus, reason: str, now: Now) -> None:
        if status in OPEN_JOB:
            reason = job.hindrance or reason
        if job.stand(status, reason, now.wall):
            self.farm.changed_jobs.add(job.id)
            note_status(self.farm, job, status)
            if status in ENDED_JOB:
                self.farm.totals.jobs_ended[status] += 1
                self.farm.happened(f"job-{status}", now.wall, job)
            elif reason.startswith(NEEDS_SOMEBODY):
                self.farm.happened("job-attention", now.wall, job)

    def began(self, job: JobState, worker: str, now: Now) -> None:
        """Make *job* active, since the worker of the name *worker* renders a task of it."""
        if job.started is None:
            self.farm.happened("job-started", now.wall, job, worker=worker, status=JobStatus.ACTIVE)
            self.emit(LogEvent("job-started", {"job": job.id, "name": job.spec.name, "worker": worker}))
        self.set_status(job, JobStatus.ACTIVE, job.refusals.said, now)

    def can_begin(self, job: JobState, now: Now) -> None:
        """Let all workers have *job*, which one could begin, or a person says so: who could not is counted from nothing."""
        said = job.refusals.said
        if job.refusals.clear():
            self.farm.changed_jobs.add(job.id)
        if said and job.reason == said:
            self.set_status(job, job.status, "", now)

    # --- inside -------------------------------------------------------------------------------------------------------

    def amend(self, job_id: str, fields: Mapping[str, Any]) -> None:
        """Set these *fields* of *job_id*, in memory or not."""
        job = self.farm.jobs.get(job_id)
        if job is None:
            self.farm.ledger.change("job", job_id, fields)
            return
        for name, value in fields.items():
            setattr(job, name, value)
        job.touch()

    def deleted(self, job_id: str, fields: Mapping[str, Any] | None, now: Now) -> None:
        """Take what came of the deletion of *job_id*: the *fields* that its record has now, ``None``: the record is gone; or of
        one that *job_id*, which has ended, had waited for."""
        if fields is not None and "after_jobs" in fields:
            self._had_waited(job_id, fields)
            return
        self.farm.deleting.pop(job_id, None)
        job_name = self._deleting.get(job_id, f"the job {short_id(job_id)}")
        if fields is None or fields.get("frames_deleted"):
            self._deleting.pop(job_id, None)
        if fields is None:
            note_deleted(self.farm, job_id)
            self.activity.note(now, "delete", f"the record of {job_name} is deleted", job_id)
            return
        self.amend(job_id, fields)
        if fields.get("frames_deleted"):
            self.activity.note(now, "delete", f"the frames that {job_name} rendered are deleted", job_id)
        elif fields.get("reason"):
            self.activity.note(now, "delete", str(fields["reason"]), job_id)

    def _had_waited(self, job_id: str, fields: Mapping[str, Any]) -> None:
        """Let *job_id* wait for no other jobs than *fields* say from now on."""
        if (job := self.farm.jobs.get(job_id)) is None:
            self.farm.ledger.change("job", job_id, fields)
        elif job.status in ENDED_JOB:
            job.wait_otherwise(fields["after_jobs"], job.spec.start_at, job.spec.night)

    def _begin_deleting(self, job_id: str, what: str) -> None:
        self.amend(job_id, {"deleting": what})
        self.emit(DeleteJob(job_id, what))

    @staticmethod
    def _must_be_unfinished(job: JobState, verb: str) -> None:
        if job.status in ENDED_JOB:
            raise Conflict(f"The job {job.called} is {job.status} already, so it cannot be {verb}")


def check_submitted(spec: JobSpec) -> None:
    """Raise `BadInput` if the name, the priority or the limits of *spec* are not valid."""
    if not spec.name.strip() or len(spec.name) > 255:
        raise BadInput("The job's name is empty or longer than 255 characters: give one with --name")
    check_priority(spec.priority)
    check_limits(spec)


def check_series(need: Requirements) -> None:
    """Raise `BadInput` where a job is to be rendered with a Blender that one of its add-ons is not for."""
    if need.series is None:
        return
    for addon in need.bounding:
        last_of_series = (*need.series, 2**16)
        if not addon.takes(need.series) and not addon.takes(last_of_series):
            raise BadInput(
                f"The job is to be rendered with Blender {dotted(need.series)}, and {addon.subject} "
                f"{addon.why_not(need.series)}: choose another --blender-series; {addon.remedy}"
            )


def _check_readable(spec: JobSpec) -> None:
    """Raise `BadInput` unless what the record keeps of *spec*'s .blend can be read again (JSON has no infinite numbers)."""
    try:
        msgspec.convert(msgspec.json.decode(msgspec.json.encode(spec.facts)), FileFacts | None)
    except msgspec.ValidationError as error:
        raise BadInput(f"The job's facts of its .blend cannot be kept: {error}. {NOT_FINITE}") from error
