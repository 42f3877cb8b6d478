"""Who is given what, in the server's core: grants, recalls, and both sent again until they are answered. Pure.

What is decided, and why not, is `brender.scheduling.decide`'s; here it is carried out.
"""

from collections.abc import Callable
from typing import Any

from brender.bus.messages import Cancel, Grants, Recall
from brender.model.changes import New, Update
from brender.model.grant import Grant, PartGrant
from brender.model.status import TASK_TRANSITIONS, JobStatus, Outcome, TaskStatus, WorkerStatus, change
from brender.roles.effects import Now, Record, Send
from brender.roles.policy import Policy
from brender.roles.server.jobs import Emit, Jobs
from brender.roles.server.state import AttemptState, Farm, JobState, TaskState, WorkerState
from brender.scheduling.decide import Demand, Held, Slot, Take, decide, explain


class Dispatch:
    """Works on *farm*; *new_id* makes the ids of attempts; what must happen outside goes to *emit*."""

    def __init__(self, farm: Farm, policy: Policy, jobs: Jobs, emit: Emit, new_id: Callable[[], str]) -> None:
        self.farm = farm
        self.policy = policy
        self.jobs = jobs
        self.emit = emit
        self.new_id = new_id
        self._explained = 0.0

    def dispatch(self, now: Now) -> None:
        """Give what can be given, ask back what should be elsewhere, send again what was not confirmed."""
        for job in self.farm.jobs.values():
            self._wake_delayed(job, now)
        grants: dict[str, list[Grant]] = {}
        for move in decide(self._demands(), self._slots()):
            worker = self.farm.workers[move.worker]
            if isinstance(move, Take):
                grants.setdefault(worker.manager, []).append(self._grant(self.farm.jobs[move.job], worker, now))
            else:
                self._recall(self.farm.attempts[move.attempt], worker, now)
        for manager, given in grants.items():
            self.emit(Send(manager, Grants(grants=tuple(given))))
        self._resend(now)
        for worker in self.farm.workers.values():
            self._show(worker)

    def explain_waiting(self, now: Now) -> None:
        """Say on each job that has work and none of it running why that is so. Not more than once a second."""
        if now.mono - self._explained < 1.0:
            return
        self._explained = now.mono
        slots = self._slots()
        for job in self.farm.jobs.values():
            if job.status is JobStatus.QUEUED and not job.live:
                reason = explain(self._demand(job), slots) if job.queued else ""
                if self.policy.only_job not in ("", job.id):
                    reason = "The farm that runs now renders one other job only. `brender farm` renders this one"
                elif job.delayed and not job.queued:
                    reason = "Its failed tasks are tried again in a moment"
                self.jobs.set_status(job, JobStatus.QUEUED, reason, now)

    # --- inside ---------------------------------------------------------------------------------------------------------

    def _demand(self, job: JobState) -> Demand:
        return Demand(job.id, job.priority, job.order, len(job.live), job.queued, job.need, job.mean_task_seconds)

    def _demands(self) -> list[Demand]:
        open_jobs = [job for job in self.farm.jobs.values() if job.status in (JobStatus.QUEUED, JobStatus.ACTIVE)]
        return [self._demand(job) for job in open_jobs if self.policy.only_job in ("", job.id)]

    def _slots(self) -> list[Slot]:
        slots = []
        for worker in self.farm.workers.values():
            held = []
            for attempt_id in worker.attempts:
                attempt = self.farm.attempts[attempt_id]
                job = self.farm.jobs[attempt.job]
                held.append(Held(attempt.id, job.id, job.priority, attempt.started, attempt.recalling is not None))
            is_open = worker.status in (WorkerStatus.IDLE, WorkerStatus.BUSY)
            slots.append(Slot(worker.info, is_open, held))
        return slots

    def _grant(self, job: JobState, worker: WorkerState, now: Now) -> Grant:
        task = self.farm.tasks[job.next_task()]
        task.status = change(TASK_TRANSITIONS, f"task {task.id}", task.status, TaskStatus.ACTIVE)
        self.emit(Record(Update("task", task.id, {"status": task.status})))
        attempt = AttemptState(self.new_id(), task.id, job.id, worker.info.id, sent=now.mono, incarnation=worker.info.incarnation)
        self.farm.attempts[attempt.id] = attempt
        task.attempt = attempt.id
        job.live.add(attempt.id)
        worker.attempts.append(attempt.id)
        fields = {
            "job": job.id,
            "task": task.id,
            "worker": worker.info.id,
            "manager": worker.manager,
            "outcome": Outcome.LIVE,
            "granted": now.wall,
        }
        self.emit(Record(New("attempt", attempt.id, fields)))
        return self._grant_message(attempt, job, task)

    def _grant_message(self, attempt: AttemptState, job: JobState, task: TaskState) -> Grant:
        return Grant(
            attempt=attempt.id,
            worker=attempt.worker,
            term=self.farm.workers[attempt.worker].term,
            task=task.id,
            job=job.id,
            job_name=job.spec.name,
            job_type=job.spec.job_type,
            engine=job.type.engine,
            settings=job.spec.settings,
            parts=tuple(PartGrant(id=p.id, frame=p.frame, output=p.output) for p in task.parts if not p.done),
            output=job.spec.output,
            blender=job.need.blender,
            trusted=job.spec.trusted,
        )

    def _recall(self, attempt: AttemptState, worker: WorkerState, now: Now) -> None:
        attempt.recalling = now.mono
        self.emit(Send(worker.manager, Recall(worker=worker.info.id, attempts=(attempt.id,))))

    def _resend(self, now: Now) -> None:
        for attempt in self.farm.attempts.values():
            if now.mono - attempt.sent < self.policy.resend:
                continue
            worker = self.farm.workers.get(attempt.worker)
            if worker is None:
                continue
            if attempt.canceling:
                message = Cancel(worker=attempt.worker, attempts=(attempt.id,), reason=attempt.canceling)
                self.emit(Send(worker.manager, message))
            elif not attempt.confirmed and attempt.task in self.farm.tasks:
                grant = self._grant_message(attempt, self.farm.jobs[attempt.job], self.farm.tasks[attempt.task])
                self.emit(Send(worker.manager, Grants(grants=(grant,))))
            elif attempt.recalling is not None and not attempt.started:
                self.emit(Send(worker.manager, Recall(worker=attempt.worker, attempts=(attempt.id,))))
            else:
                continue
            attempt.sent = now.mono

    def _wake_delayed(self, job: JobState, now: Now) -> None:
        running = {self.farm.attempts[attempt].task for attempt in job.live}
        due = [entry for entry in job.delayed if entry[0] <= now.mono and entry[1] not in running]
        if due:
            job.delayed = [entry for entry in job.delayed if entry not in due]
            for _, task_id in due:
                if task_id in self.farm.tasks:
                    job.enqueue(self.farm.tasks[task_id])

    def _show(self, worker: WorkerState) -> None:
        """Keep the worker's row true: what it is and what it runs."""
        running = next((a for a in worker.attempts if self.farm.attempts[a].started), "")
        if worker.status in (WorkerStatus.IDLE, WorkerStatus.BUSY):
            worker.status = WorkerStatus.BUSY if worker.attempts else WorkerStatus.IDLE
        job = self.farm.attempts[running].job if running else ""
        shown = (str(worker.status), running, job)
        if shown != worker.shown:
            fields: dict[str, Any] = {"status": worker.status, "attempt": running, "job": job}
            if running != worker.shown[1]:
                fields |= {"fraction": 0.0, "line": "", "frame": None}
            worker.shown = shown
            self.emit(Record(Update("worker", worker.info.id, fields)))
