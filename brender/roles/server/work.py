"""What becomes of attempts, in the server's core: reported on, retried, lost, disowned. Pure."""

from collections.abc import Iterable

from brender.bus.messages import (
    FINAL,
    Acks,
    AnyReport,
    Cancel,
    Completed,
    Confirm,
    Failed,
    PartDone,
    Recalled,
    Started,
    Stopped,
    Warned,
)
from brender.model.changes import Update
from brender.model.status import (
    ENDED_JOB,
    OUTCOMES,
    TASK_TRANSITIONS,
    JobStatus,
    Outcome,
    PartStatus,
    TaskStatus,
    change,
)
from brender.roles.effects import Now, Record, Send
from brender.roles.policy import Policy
from brender.roles.server.jobs import Emit, Jobs
from brender.roles.server.state import AttemptState, Farm, JobState, TaskState, WorkerState


class Work:
    """Take reports, give up the lost. Works on *farm*; what must happen outside goes to *emit*."""

    def __init__(self, farm: Farm, policy: Policy, jobs: Jobs, emit: Emit) -> None:
        self.farm = farm
        self.policy = policy
        self.jobs = jobs
        self.emit = emit

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

    def gone(self, worker_id: str, attempts: Iterable[str], now: Now) -> None:
        """A worker does not have these attempts, which it was asked to stop: they are over."""
        for attempt_id in attempts:
            attempt = self.farm.attempts.get(attempt_id)
            if attempt is not None and attempt.worker == worker_id and attempt.canceling:
                self._finish(attempt, Outcome.CANCELED, attempt.canceling, now)

    def reconcile(self, worker: WorkerState, held: Iterable[str], now: Now) -> None:
        """*worker* is registered anew and says what it holds: what an earlier process of it had, and this one does not know
        of, is lost; what it should not have is canceled there; the rest is confirmed.

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

    # --- inside ---------------------------------------------------------------------------------------------------------

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
