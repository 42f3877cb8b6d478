"""The life of attempts in the server's core: granted, reported on, retried, lost. Pure."""

from collections.abc import Callable, Iterable
from typing import Any

from brender.bus.messages import (
    FINAL,
    Acks,
    AnyReport,
    Cancel,
    Completed,
    Confirm,
    Failed,
    Grants,
    PartDone,
    Recall,
    Recalled,
    Started,
    Stopped,
    Warned,
)
from brender.model.changes import New, Update
from brender.model.grant import Grant, PartGrant
from brender.model.status import (
    ENDED_JOB,
    OUTCOMES,
    TASK_TRANSITIONS,
    JobStatus,
    Outcome,
    PartStatus,
    TaskStatus,
    WorkerStatus,
    change,
)
from brender.roles.effects import Now, Record, Send
from brender.roles.policy import Policy
from brender.roles.server.jobs import Jobs
from brender.roles.server.state import AttemptState, Farm, JobState, TaskState, WorkerState
from brender.scheduling.decide import Demand, Held, Slot, Take, decide, explain

Emit = Callable[[Any], None]


class Work:
    """Grant, take reports, give up the lost. Works on *farm*; *new_id* makes the ids of attempts."""

    def __init__(self, farm: Farm, policy: Policy, jobs: Jobs, emit: Emit, new_id: Callable[[], str]) -> None:
        self.farm = farm
        self.policy = policy
        self.jobs = jobs
        self.emit = emit
        self.new_id = new_id
        self._explained = 0.0

    # --- giving -------------------------------------------------------------------------------------------------------

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

    # --- hearing ------------------------------------------------------------------------------------------------------

    def reports(self, manager: str, worker_id: str, reports: Iterable[AnyReport], now: Now) -> None:
        """Take *reports* of *worker_id* and acknowledge them, those of attempts that are no longer known too."""
        acks: dict[str, int] = {}
        unknown: list[str] = []
        for report in reports:
            attempt = self.farm.attempts.get(report.attempt)
            if attempt is None or attempt.worker != worker_id:
                acks[report.attempt] = max(acks.get(report.attempt, 0), report.number)
                if not isinstance(report, FINAL):
                    unknown.append(report.attempt)
                continue
            if report.number == attempt.last_report + 1:
                attempt.last_report = report.number
                attempt.confirmed = True
                self.emit(Record(Update("attempt", attempt.id, {"last_report": report.number})))
                self._apply(report, attempt, now)
            # A gap means that an earlier report was lost on the way: its worker sends it again, and this one after it.
            acks[report.attempt] = attempt.last_report
        self.emit(Send(manager, Acks(worker=worker_id, acks=tuple(acks.items()))))
        self._disown(manager, worker_id, list(dict.fromkeys(unknown)))

    def received(self, manager: str, worker_id: str, attempts: Iterable[str]) -> None:
        """A worker has these grants; those that are over, and came late, it is told to drop."""
        strange = []
        for attempt_id in attempts:
            attempt = self.farm.attempts.get(attempt_id)
            if attempt is not None and attempt.worker == worker_id:
                attempt.confirmed = True
            else:
                strange.append(attempt_id)
        self._disown(manager, worker_id, strange)

    def reconcile(self, worker: WorkerState, held: Iterable[str], now: Now) -> None:
        """*worker* is registered anew and says what it holds: what an earlier process of it had, and this one does not know of, is
        lost; what it should not have is canceled there; the rest is confirmed.

        What the same process does not name was granted while its word was on its way.
        """
        held = set(held)
        for attempt_id in list(worker.attempts):
            attempt = self.farm.attempts[attempt_id]
            if attempt_id not in held and attempt.incarnation != worker.info.incarnation:
                self.lose(attempt, "the worker was started anew and no longer knows of it", now)
            else:
                attempt.incarnation = worker.info.incarnation
        self._disown(worker.manager, worker.info.id, sorted(held - set(worker.attempts)))
        mine = tuple(each for each in worker.attempts if not self.farm.attempts[each].canceling)
        self.emit(Send(worker.manager, Confirm(worker=worker.info.id, term=worker.term, attempts=mine)))

    def lose(self, attempt: AttemptState, reason: str, now: Now) -> None:
        """Give *attempt* up; its task is tried again."""
        self._finish(attempt, Outcome.LOST, reason, now)
        self._retry(attempt, f"attempt lost: {reason}", now)

    def _disown(self, manager: str, worker_id: str, attempts: list[str]) -> None:
        """Tell a worker to drop attempts that the server does not count as its own."""
        if attempts:
            reason = "the server gave its work to another attempt"
            self.emit(Send(manager, Cancel(worker=worker_id, attempts=tuple(attempts), reason=reason)))

    # --- inside: giving -----------------------------------------------------------------------------------------------

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
        self._task_status(task, TaskStatus.ACTIVE)
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
        due = [entry for entry in job.delayed if entry[0] <= now.mono]
        if due:
            job.delayed = [entry for entry in job.delayed if entry[0] > now.mono]
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

    # --- inside: hearing ----------------------------------------------------------------------------------------------

    def _apply(self, report: AnyReport, attempt: AttemptState, now: Now) -> None:
        job = self.farm.jobs[attempt.job]
        match report:
            case Started():
                self._started(attempt, job, now)
            case PartDone():
                self._part_done(report, attempt, job, now)
            case Warned():
                self.jobs.warn(job, report.warning, report.subject)
            case Completed():
                self._completed(report, attempt, job, now)
            case Failed():
                self._failed(report, attempt, job, now)
            case Stopped():
                self._finish(attempt, Outcome.CANCELED, report.reason, now)
                self._again(attempt, now)
            case Recalled():
                self._finish(attempt, Outcome.RECALLED, "", now)
                self._again(attempt, now)

    def _started(self, attempt: AttemptState, job: JobState, now: Now) -> None:
        attempt.started = True
        attempt.recalling = None
        self.emit(Record(Update("attempt", attempt.id, {"started": now.wall})))
        task = self._task_of(attempt)
        if task is None:
            return
        for part in task.parts:
            if not part.done:
                fields = {"status": PartStatus.ACTIVE, "attempt": attempt.id, "worker": attempt.worker}
                self.emit(Record(Update("part", part.id, fields)))
        if job.status is JobStatus.QUEUED:
            self.jobs.set_status(job, JobStatus.ACTIVE, "", now)

    def _part_done(self, report: PartDone, attempt: AttemptState, job: JobState, now: Now) -> None:
        task = self._task_of(attempt)
        part = next((p for p in task.parts if p.id == report.part), None) if task else None
        if part is None or part.done:
            return
        part.done = True
        job.completed_parts += 1
        job.render_seconds += report.seconds
        for warning in report.warnings:
            self.jobs.warn(job, warning)
        fields = {
            "status": PartStatus.COMPLETED,
            "attempt": attempt.id,
            "worker": attempt.worker,
            "output": report.output,
            "size": report.size,
            "width": report.width,
            "height": report.height,
            "seconds": report.seconds,
            "warnings": list(report.warnings),
            "finished": now.wall,
        }
        self.emit(Record(Update("part", part.id, fields)))
        numbers = {"completed_parts": job.completed_parts, "render_seconds": job.render_seconds}
        self.emit(Record(Update("job", job.id, numbers)))

    def _completed(self, report: Completed, attempt: AttemptState, job: JobState, now: Now) -> None:
        task = self._task_of(attempt)
        missing = [part.frame for part in task.parts if not part.done] if task else []
        if missing:
            reason = f"the worker said it was done, but frame {missing[0]} never came"
            self._finish(attempt, Outcome.FAILED, reason, now, report.seconds)
            self._retry(attempt, reason, now)
            return
        outcome = Outcome.COMPLETED if task else Outcome.CANCELED
        self._finish(attempt, outcome, "", now, report.seconds)
        if task is not None:
            self._task_status(task, TaskStatus.COMPLETED)
            self._drop(task, job)
            self.jobs.settle(job, now)

    def _failed(self, report: Failed, attempt: AttemptState, job: JobState, now: Now) -> None:
        self._finish(attempt, Outcome.FAILED, report.reason, now, report.seconds)
        if report.permanent and self._task_of(attempt) and job.status not in ENDED_JOB:
            self._task_failed(self.farm.tasks[attempt.task], job, report.reason)
            self.jobs.end(job, JobStatus.FAILED, report.reason, now)
        else:
            self._retry(attempt, report.reason, now)

    def _finish(self, attempt: AttemptState, outcome: Outcome, reason: str, now: Now, seconds: float = 0.0) -> None:
        """The attempt has ended: it leaves the server's mind."""
        change(OUTCOMES, f"attempt {attempt.id}", Outcome.LIVE, outcome)
        fields = {"outcome": outcome, "reason": reason, "finished": now.wall, "seconds": seconds}
        self.emit(Record(Update("attempt", attempt.id, fields)))
        del self.farm.attempts[attempt.id]
        if worker := self.farm.workers.get(attempt.worker):
            worker.attempts.remove(attempt.id)
        job = self.farm.jobs[attempt.job]
        job.live.discard(attempt.id)
        if job.status in ENDED_JOB and not job.live:
            del self.farm.jobs[job.id]

    def _retry(self, attempt: AttemptState, reason: str, now: Now) -> None:
        """The attempt failed: its task waits for another try, or has failed."""
        task = self._task_of(attempt)
        if task is None:
            return
        job = self.farm.jobs[attempt.job]
        if self._complete_if_done(task, job, now):
            return
        task.failures += 1
        job.failures += 1
        task.attempt = ""
        self.emit(Record(Update("job", job.id, {"failures": job.failures})))
        self.emit(Record(Update("task", task.id, {"failures": task.failures, "reason": reason})))
        if job.failures >= self.policy.failure_limit:
            self._task_failed(task, job, reason)
            text = f"Stopped after {job.failures} failed attempts; the last one said: {reason}"
            self.jobs.end(job, JobStatus.FAILED, text, now)
        elif task.failures >= self.policy.tries:
            self._task_failed(task, job, reason)
            frames = ", ".join(str(part.frame) for part in task.parts[:3])
            job.reason = f"Frame {frames} failed {task.failures} times; the last attempt said: {reason}"
            self._drop(task, job)
            self.jobs.settle(job, now)
        else:
            delay = min(self.policy.retry_most, self.policy.retry * 2 ** (task.failures - 1))
            job.delayed.append((now.mono + delay, task.id))
            self._queue_again(task, job, now)

    def _again(self, attempt: AttemptState, now: Now) -> None:
        """The attempt ended through no fault of its own: its task is queued at once."""
        task = self._task_of(attempt)
        if task is None:
            return
        job = self.farm.jobs[attempt.job]
        if self._complete_if_done(task, job, now):
            return
        self._queue_again(task, job, now)
        job.enqueue(task)

    def _complete_if_done(self, task: TaskState, job: JobState, now: Now) -> bool:
        """Whether the attempt that ended had done every part, and only never came to say so: then the task is completed."""
        if not all(part.done for part in task.parts):
            return False
        self._task_status(task, TaskStatus.COMPLETED)
        self._drop(task, job)
        self.jobs.settle(job, now)
        return True

    def _queue_again(self, task: TaskState, job: JobState, now: Now) -> None:
        task.attempt = ""
        self._task_status(task, TaskStatus.QUEUED)
        for part in task.parts:
            if not part.done:
                fields = {"status": PartStatus.QUEUED, "attempt": "", "worker": ""}
                self.emit(Record(Update("part", part.id, fields)))
        if job.status is JobStatus.ACTIVE and not job.live:
            self.jobs.set_status(job, JobStatus.QUEUED, "", now)

    def _task_failed(self, task: TaskState, job: JobState, reason: str) -> None:
        self._task_status(task, TaskStatus.FAILED)
        job.failed_tasks += 1
        self.emit(Record(Update("task", task.id, {"reason": reason})))
        self.emit(Record(Update("job", job.id, {"failed_tasks": job.failed_tasks})))
        for part in task.parts:
            if not part.done:
                self.emit(Record(Update("part", part.id, {"status": PartStatus.FAILED})))

    def _task_status(self, task: TaskState, status: TaskStatus) -> None:
        task.status = change(TASK_TRANSITIONS, f"task {task.id}", task.status, status)
        self.emit(Record(Update("task", task.id, {"status": status})))

    def _drop(self, task: TaskState, job: JobState) -> None:
        """The task has ended: it leaves the server's mind."""
        job.ended_tasks += 1
        job.tasks.discard(task.id)
        del self.farm.tasks[task.id]

    def _task_of(self, attempt: AttemptState) -> TaskState | None:
        """The task that *attempt* is the live attempt of; ``None`` where it no longer speaks for one."""
        task = self.farm.tasks.get(attempt.task)
        return task if task is not None and task.attempt == attempt.id and not attempt.canceling else None
