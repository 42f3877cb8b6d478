"""The life of jobs in the server's core: accepted, planned in slices, changed by people, ended. Pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from brender.bus.messages import Cancel
from brender.jobs.declare import JobType, job_type
from brender.model.changes import New, NewRows, Put, Update, UpdateWhere
from brender.model.errors import BadInput, Conflict
from brender.model.job import FILM, JobSpec, Requirements, check_limits, check_priority
from brender.model.paths import paths_of, variables_in
from brender.model.status import ENDED_JOB, JOB_TRANSITIONS, TASK_TRANSITIONS, JobStatus, PartStatus, TaskStatus, change
from brender.roles.effects import DeleteJob, LoadTasks, Now, Peer, Record, Send
from brender.roles.policy import Policy
from brender.roles.server.stages import release
from brender.roles.server.state import Farm, JobState, PartState, TaskState

Emit = Callable[[Any], None]


#: What can be deleted of a job that has ended.
DELETABLE = ("frames", "record", "both")
_DELETED = {
    "frames": "the frames that it rendered",
    "record": "its record and logs",
    "both": "its record, its logs and the frames that it rendered",
}


@dataclass(frozen=True)
class Selection:
    """Which of a job's tasks are to be queued again. ``tasks``: these; ``None``: all of ``statuses``. ``frames``: only
    these of their parts. The counts are what the record says of them."""

    statuses: tuple[str, ...]
    tasks: tuple[int, ...] | None
    frames: tuple[int, ...] | None
    part_count: int
    completed_parts: int
    ended_tasks: int
    failed_tasks: int
    film: bool = False
    """The film of the frames is among them."""


class Jobs:
    """Accept, plan, act, end. Works on *farm*; what must happen outside goes to *emit*."""

    def __init__(self, farm: Farm, policy: Policy, emit: Emit) -> None:
        self.farm = farm
        self.policy = policy
        self.emit = emit
        self.frames_folder = "frames"
        """Where the frames of a job go whose files travel, and that names no folder."""
        self.by: Peer | None = None
        """Whose message is handled now, for the activity log."""

    # --- coming and going ---------------------------------------------------------------------------------------------

    def submit(self, spec: JobSpec, now: Now) -> dict[str, Any]:
        """Accept *spec*; returns what the submitter is told. Raises `BadInput` or `Conflict`, with nothing changed.

        A job that was accepted before is answered as it was then.
        """
        if spec.id in self.farm.jobs:
            return self._receipt(self.farm.jobs[spec.id])
        if not spec.name.strip() or len(spec.name) > 255:
            raise BadInput("The job's name is empty or longer than 255 characters: give one with --name")
        check_priority(spec.priority)
        check_limits(spec)
        kind = job_type(spec.job_type)
        if spec.bundle and not spec.output:
            spec = msgspec.structs.replace(spec, output=f"{self.frames_folder}/{spec.id}")
        spec = kind.prepare(spec)
        need = requirements_of(kind, spec)
        if unknown := need.variables - {variable.name for variable in self.farm.paths}:
            raise BadInput(
                f"There is no path variable {{{sorted(unknown)[0]}}}: `brender path list` shows those that there are, and "
                "`brender path set` makes one"
            )
        owned = self._may_own(spec, kind)
        job = JobState(
            spec=spec,
            type=kind,
            need=need,
            order=self.farm.next_order,
            task_count=kind.task_count(spec),
            part_count=kind.part_count(spec),
            status=JobStatus.PAUSED if spec.paused else JobStatus.QUEUED,
            priority=spec.priority,
            warnings=list(spec.warnings),
        )
        self.farm.next_order += 1
        self._record_new(job, owned, now)
        self.adopt(job, owned)
        self.note(
            now,
            "submit",
            f"submitted {spec.name}: {job.part_count} frames in {job.task_count} tasks",
            job.id,
            spec.user,
        )
        return self._receipt(job)

    def adopt(self, job: JobState, owned: tuple[str, str]) -> None:
        """Take *job*, new or read from the record, into mind."""
        self.farm.jobs[job.id] = job
        self.farm.changed_jobs.add(job.id)
        if owned[1]:
            self.farm.owners[owned] = job.id

    def plan(self, now: Now) -> None:
        """Let tasks of unfinished jobs come into being, or into memory, one slice a call, as they come near their turn."""
        budget = self.policy.plan_slice
        short = [job for job in self.farm.jobs.values() if self._runs_short(job)]
        for job in sorted(short, key=lambda job: (-job.priority, job.order)):
            if job.cursor < job.planned - 1:
                job.loading = True
                self.emit(LoadTasks(job.id, job.cursor))
                continue
            upto = min(job.task_count, job.planned + budget)
            budget -= upto - job.planned
            if upto != job.planned:
                self._plan_tasks(job, range(job.planned, upto))
                job.planned = upto
                job.cursor = upto - 1
                self.emit(Record(Update("job", job.id, {"planned_tasks": upto})))
                if job.held:  # all that it waits for may have ended already
                    release(self.farm, job, self)
                    self.settle(job, now)

    def _runs_short(self, job: JobState) -> bool:
        """Whether *job* has tasks that are not in mind, and not enough that are."""
        elsewhere = job.cursor < job.planned - 1 or job.planned < job.task_count
        return elsewhere and job.queued < self.policy.plan_ahead and not job.loading and job.status not in ENDED_JOB

    def feed(self, job_id: str, tasks: list[TaskState], after: int, now: Now) -> None:
        """The record's answer to a `LoadTasks`: queued tasks after number *after*, in order; fewer than a slice means that
        there are no more."""
        job = self.farm.jobs.get(job_id)
        if job is None:
            return
        job.loading = False
        self.farm.changed_jobs.add(job_id)
        if job.cursor != after:
            return  # it was requeued meanwhile, and will be read anew
        running = {attempt.task for attempt in self.farm.attempts.values()}
        for task in tasks:
            if task.id not in self.farm.tasks and not task.parts:
                self._complete(job, task)
            elif task.id not in self.farm.tasks:
                self._keep(job, task)
                if task.id in running:
                    # An attempt that was canceled has not ended yet: two at once would write one file.
                    job.delayed.append((0.0, task.id))
                elif job.type.waits_for(job.spec, task.number):
                    job.held.add(task.id)
                else:
                    self.enqueue(job, task)
        job.cursor = tasks[-1].number if len(tasks) >= self.policy.plan_slice else job.planned - 1
        release(self.farm, job, self)
        self.settle(job, now)

    # --- what people ask for ------------------------------------------------------------------------------------------

    def pause(self, job: JobState, now: Now, user: str) -> None:
        self._must_be_unfinished(job, "paused")
        self.set_status(job, JobStatus.PAUSED, "paused: nothing new starts, what renders is finished", now)
        self.note(now, "pause", "paused", job.id, user)

    def resume(self, job: JobState, now: Now, user: str) -> None:
        if job.status is not JobStatus.PAUSED:
            raise BadInput(f"The job {job.id} is {job.status}, not paused. `brender requeue` starts an ended job again")
        self.set_status(job, JobStatus.ACTIVE if job.live else JobStatus.QUEUED, "", now)
        self.note(now, "resume", "resumed", job.id, user)

    def cancel(self, job: JobState, now: Now, user: str) -> None:
        self._must_be_unfinished(job, "canceled")
        self.end(job, JobStatus.CANCELED, "canceled" + (f" by {user}" if user else ""), now)
        self.note(now, "cancel", "canceled", job.id, user)

    def priority(self, job: JobState, value: int, now: Now, user: str) -> None:
        check_priority(value)
        job.priority = value
        self.farm.changed_jobs.add(job.id)
        self.emit(Record(Update("job", job.id, {"priority": value})))
        self.note(now, "priority", f"priority set to {value}", job.id, user)

    def readmit(self, job: JobState, worker: str | None, now: Now, user: str) -> None:
        """Let *worker*, or all, try *job* again. Raises `BadInput` where it is not kept off."""
        chosen = sorted(job.kept_off if worker is None else job.kept_off & {worker})
        if not chosen:
            raise BadInput(f"No {'such ' if worker else ''}worker is kept off the job {job.id}")
        for each in chosen:
            job.kept_off.discard(each)
            job.strikes.pop(each, None)
            self.emit(Record(Update("kept_off", (job.id, each), {"readmitted": now.wall})))
        self.farm.changed_jobs.add(job.id)
        self.note(now, "readmit", f"{len(chosen)} workers may try it again", job.id, user)

    def requeue(self, job: JobState, selection: Selection, now: Now, user: str) -> int:
        """Queue the *selection* again; returns how many parts that is. Raises `BadInput` where there is nothing to do."""
        unplanned = selection.tasks is None and job.planned < job.task_count and job.status in ENDED_JOB
        if not (selection.part_count or selection.ended_tasks or unplanned):
            raise BadInput(f"The job {job.id} has nothing of that kind to queue again (its status is {job.status})")
        self._let_wait_again(job)
        self.adopt(job, self._may_own(job.spec, job.type))
        where: dict[str, Any] = {"job": job.id, "status": selection.statuses}
        if selection.tasks is not None:
            where = {"job": job.id, "id": selection.tasks}
        self.emit(Record(UpdateWhere("task", where, {"status": TaskStatus.QUEUED, "failures": 0, "reason": ""})))
        fields: dict[str, Any] = {"status": PartStatus.QUEUED, "attempt": "", "finished": None, "digest": "", "extras": []}
        if selection.frames is not None:
            self.emit(Record(UpdateWhere("part", {"job": job.id, "frame": selection.frames}, fields)))
            if selection.film:
                self.emit(Record(UpdateWhere("part", {"job": job.id, "piece": (FILM,)}, fields)))
        else:
            self.emit(Record(UpdateWhere("part", {"job": job.id, "status": selection.statuses}, fields)))
        if selection.completed_parts and not job.spec.overwrite:
            # Who queues a finished frame again wants it rendered, and not found.
            job.overwrite()
            self.emit(Record(Update("job", job.id, {"overwrite": True})))
        job.completed_parts -= selection.completed_parts
        job.kept_parts = min(job.kept_parts, job.completed_parts)
        job.ended_tasks -= selection.ended_tasks
        job.failed_tasks -= selection.failed_tasks
        job.failures = 0
        job.cursor = -1
        job.loading = False
        if job.status in ENDED_JOB:
            # Not active: what may still run of it was canceled, and is none of what is queued now.
            self.set_status(job, JobStatus.QUEUED, "", now)
        self.emit(
            Record(
                Update(
                    "job",
                    job.id,
                    {
                        "completed_parts": job.completed_parts,
                        "kept_parts": job.kept_parts,
                        "failed_tasks": job.failed_tasks,
                        "failures": 0,
                        "finished": None,
                        "frames_deleted": None,
                    },
                )
            )
        )
        self.note(now, "requeue", f"queued {selection.part_count} frames again", job.id, user)
        return selection.part_count

    def _let_wait_again(self, job: JobState) -> None:
        """Before others of its tasks are queued again: let those that wait for them wait. Raises `Conflict` where one runs."""
        waiting = [task for task in map(self.farm.tasks.__getitem__, job.tasks) if job.type.waits_for(job.spec, task.number)]
        for task in waiting:
            if task.attempts:
                raise Conflict(
                    f"What the tasks of the job {job.id} are to make together is being made now: queue frames again when that is "
                    "done, or cancel the job first"
                )
        for task in waiting:
            job.hold(task.id)
        self.farm.changed_jobs.add(job.id)

    def delete(self, job: JobState, what: str, now: Now, user: str) -> None:
        """Delete *what* of *job*: its ``frames``, its ``record`` or ``both``. Raises `BadInput` or `Conflict`."""
        if what not in DELETABLE:
            raise BadInput(f"{what!r} of a job cannot be deleted; what can: {', '.join(DELETABLE)}")
        if job.status not in ENDED_JOB:
            raise Conflict(f"The job {job.id} is {job.status}: cancel it first, then delete it")
        if job.live:
            raise Conflict(f"The job {job.id} is still being stopped: delete it in a moment")
        self._begin_deleting(job.id, what, now)
        self.note(now, "delete", f"{job.spec.name}: deleted {_DELETED[what]}", job.id, user)

    def retire(self, job: str, what: str, now: Now) -> None:
        """Delete *what* of the ended *job*, since its project does not keep it any longer."""
        self._begin_deleting(job, what, now)
        self.note(now, "delete", f"deleted {_DELETED[what]}: its project keeps no more", job)

    # --- ends ---------------------------------------------------------------------------------------------------------

    def settle(self, job: JobState, now: Now) -> None:
        """End *job* if all its tasks have ended and its frames are in its folder."""
        if job.ended_tasks < job.task_count or job.placing or job.status in ENDED_JOB:
            return
        if job.failed_tasks:
            self.end(job, JobStatus.FAILED, job.reason or f"{job.failed_tasks} of {job.task_count} tasks failed", now)
        else:
            self.end(job, JobStatus.COMPLETED, "", now)

    def placed(self, frames: Iterable[tuple[str, str, int]], now: Now) -> None:
        """Finished *frames*, each a job, an attempt and a part, are in the folders of their jobs."""
        for id, attempt, part in frames:
            if (job := self.farm.jobs.get(id)) is not None:
                job.placing.discard((attempt, part))
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
        """End *job*: what runs is stopped, what waits is canceled, and it leaves the server's mind."""
        self.set_status(job, status, reason, now)
        for attempt_id in sorted(job.live):
            attempt = self.farm.attempts[attempt_id]
            if attempt.superseded:
                continue
            attempt.canceling = reason or str(status)
            self.emit(
                Send(
                    self.farm.workers[attempt.worker].manager,
                    Cancel(worker=attempt.worker, attempts=(attempt_id,), reason=attempt.canceling),
                )
            )
        if status is not JobStatus.COMPLETED:
            open_statuses = (TaskStatus.WAITING, TaskStatus.QUEUED, TaskStatus.ACTIVE)
            where = {"job": job.id, "status": open_statuses}
            self.emit(Record(UpdateWhere("task", where, {"status": TaskStatus.CANCELED})))
            self.emit(Record(UpdateWhere("part", where, {"status": PartStatus.CANCELED})))
            job.ended_tasks = job.planned
        self.emit(Record(Update("job", job.id, {"finished": now.wall, "failed_tasks": job.failed_tasks})))
        if status is not JobStatus.CANCELED:
            text = f"{job.spec.name} is {status}" + (f": {reason}" if reason else "")
            self.note(now, str(status), text, job.id)
        job.forget_queue()
        self.farm.changed_jobs.add(job.id)
        for task_id in job.tasks:
            task = self.farm.tasks.pop(task_id)
            task.status = TaskStatus.CANCELED
        job.tasks.clear()
        self.farm.owners = {key: owner for key, owner in self.farm.owners.items() if owner != job.id}
        if not job.live:
            del self.farm.jobs[job.id]

    def set_status(self, job: JobState, status: JobStatus, reason: str, now: Now) -> None:
        change(JOB_TRANSITIONS, f"job {job.id}", job.status, status)
        if status in (JobStatus.QUEUED, JobStatus.ACTIVE):
            reason = job.hindrance or reason
        fields: dict[str, Any] = {"status": status, "reason": reason}
        if status is JobStatus.ACTIVE and job.started is None:
            job.started = now.wall
            fields["started"] = now.wall
        if status != job.status or reason != job.reason:
            job.status, job.reason = status, reason
            self.farm.changed_jobs.add(job.id)
            self.emit(Record(Update("job", job.id, fields)))

    def warn(self, job: JobState, warning: str, subject: str = "") -> None:
        """Put *warning* on *job*, unless one about the same *subject* is there. A hundred of them are enough to know."""
        known = any((subject or warning) in other for other in job.warnings)
        if not known and len(job.warnings) < 100:
            job.warnings.append(warning)
            self.emit(Record(Update("job", job.id, {"warnings": list(job.warnings)})))

    def note(self, now: Now, action: str, text: str, job: str = "", user: str = "", worker: str = "") -> None:
        """Write into the activity log: as the doing of whoever's message is handled now, where there is one."""
        fields = {
            "wall": now.wall,
            "user": user,
            "principal": self.by.principal if self.by is not None else "",
            "origin": self.by.origin if self.by is not None else "",
            "action": action,
            "job": job,
            "worker": worker,
            "text": text,
        }
        self.emit(Record(New("activity", self.farm.next_activity, fields)))
        self.farm.next_activity += 1

    def _may_own(self, spec: JobSpec, kind: JobType) -> tuple[str, str]:
        """The output that *spec* would own: folder and name pattern. Raises `Conflict` where another unfinished job does."""
        owned = (spec.output, kind.output_key(spec))
        other = self.farm.owners.get(owned, spec.id) if owned[1] else spec.id
        if other != spec.id:
            raise Conflict(
                f"The job {other} ({self.farm.jobs[other].spec.name}) writes the same files, {owned[1]} in {owned[0]}, and has "
                "not ended. Choose another --output, or cancel that job"
            )
        return owned

    # --- inside -------------------------------------------------------------------------------------------------------

    def _begin_deleting(self, job: str, what: str, now: Now) -> None:
        self.emit(Record(Update("job", job, {"deleting": what})))
        self.emit(DeleteJob(job, what))

    def _record_new(self, job: JobState, owned: tuple[str, str], now: Now) -> None:
        spec = job.spec
        self.emit(Record(Put("project", spec.project, {})))
        facts = spec.facts
        self.emit(
            Record(
                New(
                    "job",
                    job.id,
                    {
                        "project": spec.project,
                        "name": spec.name,
                        "user": spec.user,
                        "job_type": spec.job_type,
                        "status": job.status,
                        "priority": job.priority,
                        "tags": list(spec.tags),
                        "output": spec.output,
                        "trusted": spec.trusted,
                        "overwrite": spec.overwrite,
                        "bundle": spec.bundle,
                        "stall_minutes": spec.stall_minutes,
                        "limit_minutes": spec.limit_minutes,
                        "warnings": list(job.warnings),
                        "settings": spec.settings,
                        "facts": msgspec.to_builtins(facts) if facts else None,
                        "blender_version": ".".join(map(str, facts.version)) if facts else "",
                        "task_count": job.task_count,
                        "part_count": job.part_count,
                        "submitted": now.wall,
                    },
                )
            )
        )
        revision = {"settings": spec.settings, "user": spec.user, "wall": now.wall}
        self.emit(Record(New("job_revision", (job.id, 1), revision)))
        if owned[1]:
            self.emit(Record(Put("output_owner", owned, {"job": job.id})))

    def _plan_tasks(self, job: JobState, numbers: Iterable[int]) -> None:
        """Hot path, watched by benchmarks.dispatch."""
        tasks: list[tuple[Any, ...]] = []
        parts: list[tuple[Any, ...]] = []
        for number in numbers:
            task = TaskState(id=self.farm.next_task, job=job.id, number=number, parts=[])
            if job.type.waits_for(job.spec, number):
                task.status = TaskStatus.WAITING
            self.farm.next_task += 1
            tasks.append((task.id, job.id, number, task.status))
            for plan in job.type.task(job.spec, number).parts:
                part = PartState(self.farm.next_part, plan.frame, plan.output, plan.piece, plan.layer)
                self.farm.next_part += 1
                task.parts.append(part)
                named = (plan.frame, plan.scene, plan.layer, plan.view, plan.piece, plan.output)
                parts.append((part.id, job.id, task.id, PartStatus.QUEUED, *named))
            self._keep(job, task)
            if task.status is TaskStatus.WAITING:
                job.held.add(task.id)
            else:
                self.enqueue(job, task)
        self.emit(Record(NewRows("task", ("job", "number", "status"), tasks)))
        columns = ("job", "task", "status", "frame", "scene", "layer", "view", "piece", "output")
        self.emit(Record(NewRows("part", columns, parts)))

    def enqueue(self, job: JobState, task: TaskState) -> None:
        """Let *task*, which is in mind, wait for its turn."""
        self.farm.changed_jobs.add(job.id)
        job.enqueue(task)

    def _complete(self, job: JobState, task: TaskState) -> None:
        """Complete *task*, of which every part was done before it was queued again."""
        task.status = change(TASK_TRANSITIONS, f"task {task.id}", task.status, TaskStatus.COMPLETED)
        job.ended_tasks += 1
        self.emit(Record(Update("task", task.id, {"status": task.status})))

    def _keep(self, job: JobState, task: TaskState) -> None:
        self.farm.tasks[task.id] = task
        job.tasks.add(task.id)

    @staticmethod
    def _receipt(job: JobState) -> dict[str, Any]:
        return {
            "id": job.id,
            "name": job.spec.name,
            "status": str(job.status),
            "tasks": job.task_count,
            "frames": job.part_count,
            "output": job.spec.output,
            "warnings": list(job.warnings),
        }

    @staticmethod
    def _must_be_unfinished(job: JobState, verb: str) -> None:
        if job.status in ENDED_JOB:
            raise BadInput(f"The job {job.id} is {job.status} already, so it cannot be {verb}")


def requirements_of(kind: JobType, spec: JobSpec) -> Requirements:
    """What a worker must have to run tasks of *spec*: what its job type asks for, and the folders that its paths lead to."""
    variables = variables_in(spec.output, *paths_of(spec.settings).values())
    return msgspec.structs.replace(kind.requirements(spec), variables=variables)
