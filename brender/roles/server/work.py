"""What becomes of attempts, in the server's core: reported on, retried, lost, disowned. Pure."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

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
from brender.jobs.film import makes_film
from brender.model.changes import Put, Update, UpdateRows
from brender.model.job import FILM
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
from brender.roles.effects import Now, PublishFrame, Record, Send
from brender.roles.policy import Policy
from brender.roles.server.dispatch import Dispatch
from brender.roles.server.jobs import Emit, Jobs
from brender.roles.server.stages import release
from brender.roles.server.state import AttemptState, Farm, JobState, TaskState, WorkerState

_PART_DONE = (
    "status",
    "attempt",
    "worker",
    "output",
    "size",
    "width",
    "height",
    "seconds",
    "memory",
    "warnings",
    "kept",
    "finished",
)
_PART_FILES = ("digest", "extras")
_ENDED = ("outcome", "reason", "finished", "seconds", "last_report")


class Work:
    """Take reports, give up the lost. Works on *farm*; what must happen outside goes to *emit*."""

    def __init__(self, farm: Farm, policy: Policy, jobs: Jobs, dispatch: Dispatch, emit: Emit) -> None:
        self.farm = farm
        self.policy = policy
        self.jobs = jobs
        self.dispatch = dispatch
        self.emit = emit
        self._counted: dict[str, JobState] = {}
        """Jobs of which parts were done in the present message."""
        self._many: dict[tuple[str, tuple[str, ...]], list[tuple[Any, ...]]] = {}
        """Rows that the present message changes, by table and columns."""

    def reports(self, manager: str, worker_id: str, reports: Sequence[AnyReport], now: Now) -> None:
        """Take *reports* of *worker_id* and acknowledge them, those of attempts that are no longer known too."""
        acks: dict[str, int] = {}
        taken: dict[str, int] = {}
        unknown: list[str] = []
        done_here = {report.part for report in reports if type(report) is PartDone}
        for report in reports:
            attempt = self.farm.attempts.get(report.attempt)
            if attempt is None or attempt.worker != worker_id:
                acks[report.attempt] = max(acks.get(report.attempt, 0), report.number)
                if not isinstance(report, FINAL):
                    unknown.append(report.attempt)
                continue
            if report.number == attempt.last_report + 1:
                attempt.last_report = taken[attempt.id] = report.number
                attempt.confirmed = True
                self._apply(report, attempt, done_here, now)
            # A gap means that an earlier report was lost on the way: its worker sends it again, and this one after it.
            acks[report.attempt] = attempt.last_report
        still = [(number, each) for each, number in taken.items() if each in self.farm.attempts]
        self._rows("attempt", ("last_report",)).extend(still)
        self._emit_rows()
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
        self._emit_rows()

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
                if attempt_id not in held and not attempt.confirmed:
                    # Perhaps it was lost with the manager that it was sent to.
                    self.dispatch.send_again(attempt)
        self._disown(worker.manager, worker.info.id, sorted(held - set(worker.attempts)))
        mine = tuple(each for each in worker.attempts if not self.farm.attempts[each].canceling)
        self.emit(Send(worker.manager, Confirm(worker=worker.info.id, term=worker.term, attempts=mine)))

    def lose(self, attempt: AttemptState, reason: str, now: Now) -> None:
        """Give *attempt* up; its task is tried again. What it had not begun is no fault of the task's; nor is the rest, unless
        that happens again and again."""
        self._finish(attempt, Outcome.LOST, reason, now)
        self._try_after_loss(attempt, reason, now)
        self._emit_rows()

    def _try_after_loss(self, attempt: AttemptState, reason: str, now: Now) -> None:
        task = self._task_of(attempt)
        if task is None or not attempt.started:
            self._again(attempt, now)
            return
        job = self.farm.jobs[attempt.job]
        if self._complete_if_done(task, job, now):
            return
        if self._another_goes_on(attempt, task):
            return
        task.losses += 1
        text = f"attempt lost: {reason}"
        self.emit(Record(Update("task", task.id, {"losses": task.losses, "reason": text})))
        if task.losses >= self.policy.losses:
            self._give_up(task, job, f"lost its worker {task.losses} times; the last time, {reason}", now)
        else:
            self._try_later(task, job, task.losses, now)

    def _disown(self, manager: str, worker_id: str, attempts: list[str]) -> None:
        """Tell a worker to drop attempts that the server does not count as its own."""
        if attempts:
            reason = "the server gave its work to another attempt"
            self.emit(Send(manager, Cancel(worker=worker_id, attempts=tuple(attempts), reason=reason)))

    # --- inside ---------------------------------------------------------------------------------------------------------

    def _apply(self, report: AnyReport, attempt: AttemptState, done_here: set[int], now: Now) -> None:
        job = self.farm.jobs[attempt.job]
        match report:
            case Started():
                self._started(attempt, job, done_here, now)
            case PartDone():
                self._part_done(report, attempt, job, now)
            case Warned():
                self.jobs.warn(job, report.warning, report.subject)
            case Completed():
                self._completed(report, attempt, job, now)
            case Failed():
                self._failed(report, attempt, job, now)
            case Stopped():
                self._gave_back(attempt, attempt.canceling != "", now)
                self._finish(attempt, Outcome.CANCELED, report.reason, now)
                self._again(attempt, now)
            case Recalled():
                self._gave_back(attempt, attempt.recalling is not None or attempt.canceling != "", now)
                self._finish(attempt, Outcome.RECALLED, "", now)
                self._again(attempt, now)

    def _started(self, attempt: AttemptState, job: JobState, done_here: set[int], now: Now) -> None:
        attempt.started = True
        attempt.began = now.mono
        attempt.recalling = None
        if worker := self.farm.workers.get(attempt.worker):
            worker.running = attempt.id
            self.farm.changed.add(attempt.worker)
        self._rows("attempt", ("started",)).append((now.wall, attempt.id))
        task = self._task_of(attempt)
        if task is None:
            return
        begun = [part.id for part in task.parts if not part.done and part.id not in done_here]
        rows = self._rows("part", ("status", "attempt", "worker"))
        rows.extend((PartStatus.ACTIVE, attempt.id, attempt.worker, part) for part in begun)
        if job.status is JobStatus.QUEUED:
            self.jobs.set_status(job, JobStatus.ACTIVE, "", now)

    def _part_done(self, report: PartDone, attempt: AttemptState, job: JobState, now: Now) -> None:
        task = self._task_of(attempt)
        part = next((p for p in task.parts if p.id == report.part), None) if task else None
        if part is None or part.done:
            return
        part.done = True
        job.strikes.pop(attempt.worker, None)
        job.completed_parts += 1
        job.render_seconds += report.seconds
        job.kept_parts += report.kept
        job.memory = max(job.memory, report.memory)
        self.farm.changed_jobs.add(job.id)
        for warning in report.warnings:
            self.jobs.warn(job, warning)
        picture = (report.output, report.size, report.width, report.height)
        # Where files travel, a frame that its worker still had is given its name here like any other.
        kept = report.kept and not job.spec.bundle
        about = (*picture, report.seconds, report.memory, list(report.warnings), kept, now.wall)
        self._rows("part", _PART_DONE).append((PartStatus.COMPLETED, attempt.id, attempt.worker, *about, part.id))
        if report.digest or report.extras:
            extras = [msgspec.to_builtins(extra) for extra in report.extras]
            self._rows("part", _PART_FILES).append((report.digest, extras, part.id))
        self._counted[job.id] = job
        if job.spec.bundle and part.piece > 0:
            job.pieces[part.piece] = report.digest
        elif job.spec.bundle and report.output:
            further = tuple(extra.output for extra in report.extras)
            is_of_film = makes_film(job.spec) and part.piece != FILM
            if is_of_film:
                job.pieces[part.frame] = report.digest
            blob = report.digest if is_of_film else ""
            job.placing.add((attempt.id, part.id))
            self.emit(PublishFrame(attempt.id, part.id, job.spec.output, part.output, further, blob, job.id))

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
            self._complete(task, job, now)

    def _complete(self, task: TaskState, job: JobState, now: Now) -> None:
        task.status = change(TASK_TRANSITIONS, "task", task.status, TaskStatus.COMPLETED)
        self._rows("task", ("status",)).append((task.status, task.id))
        for other in [self.farm.attempts[each] for each in task.attempts if each in self.farm.attempts]:
            self._supersede(other)
        self._drop(task, job)
        release(self.farm, job, self.jobs)
        self.jobs.settle(job, now)

    def _supersede(self, attempt: AttemptState) -> None:
        """Another attempt has finished the task of *attempt*, which stops."""
        attempt.superseded, attempt.canceling = True, "another attempt finished it first"
        worker = self.farm.workers[attempt.worker]
        self.emit(Send(worker.manager, Cancel(worker=attempt.worker, attempts=(attempt.id,), reason=attempt.canceling)))

    def _failed(self, report: Failed, attempt: AttemptState, job: JobState, now: Now) -> None:
        self._finish(attempt, Outcome.FAILED, report.reason, now, report.seconds)
        if report.permanent and self._task_of(attempt) and job.status not in ENDED_JOB:
            self._task_failed(self.farm.tasks[attempt.task], job, report.reason)
            self.jobs.end(job, JobStatus.FAILED, report.reason, now)
        else:
            self._strike(attempt, job, report.reason, now)
            self._retry(attempt, report.reason, now)

    def _strike(self, attempt: AttemptState, job: JobState, reason: str, now: Now) -> None:
        """A worker that fails a job again and again, and never renders a frame of it between, is kept off it, where another
        could run it."""
        job.strikes[attempt.worker] = strikes = job.strikes.get(attempt.worker, 0) + 1
        worker = self.farm.workers.get(attempt.worker)
        if strikes < self.policy.strikes or worker is None or attempt.worker in job.kept_off or job.status in ENDED_JOB:
            return
        if not self.dispatch.runs_elsewhere(job, worker):
            return
        job.kept_off.add(attempt.worker)
        self.farm.changed_jobs.add(job.id)
        fields = {"failures": strikes, "reason": reason, "wall": now.wall, "readmitted": None}
        self.emit(Record(Put("kept_off", (job.id, attempt.worker), fields)))
        text = f"the worker {worker.info.name} is kept off it after {strikes} failures in a row; the last one said: {reason}"
        self.jobs.note(now, "kept-off", text, job.id, worker=attempt.worker)
        self.dispatch.recall(worker, now, job.id)

    def _gave_back(self, attempt: AttemptState, was_asked: bool, now: Now) -> None:
        """A worker that gives work back unasked has its reasons, and will say them: for a moment it gets none."""
        worker = self.farm.workers.get(attempt.worker)
        if worker is not None and not was_asked:
            worker.closed_until = now.mono + self.policy.resend

    def _finish(self, attempt: AttemptState, outcome: Outcome, reason: str, now: Now, seconds: float = 0.0) -> None:
        """The attempt has ended: it leaves the server's mind."""
        if attempt.superseded:
            outcome, reason = Outcome.SUPERSEDED, attempt.canceling
        change(OUTCOMES, f"attempt {attempt.id}", Outcome.LIVE, outcome)
        self._rows("attempt", _ENDED).append((outcome, reason, now.wall, seconds, attempt.last_report, attempt.id))
        del self.farm.attempts[attempt.id]
        if worker := self.farm.workers.get(attempt.worker):
            del worker.attempts[attempt.id]
            if worker.running == attempt.id:
                worker.running = ""
            self.farm.changed.add(attempt.worker)
        job = self.farm.jobs[attempt.job]
        job.live.discard(attempt.id)
        self.farm.changed_jobs.add(job.id)
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
        self.emit(Record(Update("job", job.id, {"failures": job.failures})))
        self.emit(Record(Update("task", task.id, {"failures": task.failures, "reason": reason})))
        if self._another_goes_on(attempt, task) and job.failures < self.policy.failure_limit:
            return
        if job.failures >= self.policy.failure_limit:
            self._task_failed(task, job, reason)
            text = f"Stopped after {job.failures} failed attempts; the last one said: {reason}"
            self.jobs.end(job, JobStatus.FAILED, text, now)
        elif task.failures >= self.policy.tries:
            self._give_up(task, job, f"failed {task.failures} times; the last attempt said: {reason}", now)
        else:
            self._try_later(task, job, task.failures, now)

    def _give_up(self, task: TaskState, job: JobState, what: str, now: Now) -> None:
        """The task has failed for good; the others of its job go on."""
        self._task_failed(task, job, what)
        is_film = any(part.piece == FILM for part in task.parts)
        named = "The film" if is_film else f"Frame {', '.join(str(part.frame) for part in task.parts[:3])}"
        job.reason = f"{named} {what}"
        self._drop(task, job)
        release(self.farm, job, self.jobs)
        self.jobs.settle(job, now)

    def _try_later(self, task: TaskState, job: JobState, times: int, now: Now) -> None:
        """The task waits for another attempt, the longer the more often this has happened."""
        delay = min(self.policy.retry_most, self.policy.retry * 2 ** (times - 1))
        job.delayed.append((now.mono + delay, task.id))
        self.farm.changed_jobs.add(job.id)
        self._queue_again(task, job, now)

    def _again(self, attempt: AttemptState, now: Now) -> None:
        """The attempt ended through no fault of its own: its task is queued at once."""
        task = self._task_of(attempt)
        if task is None:
            return
        job = self.farm.jobs[attempt.job]
        if self._complete_if_done(task, job, now) or self._another_goes_on(attempt, task):
            return
        self._queue_again(task, job, now)
        self.jobs.enqueue(job, task)

    def _complete_if_done(self, task: TaskState, job: JobState, now: Now) -> bool:
        """Whether the attempt that ended had done every part, and only never came to say so: then the task is completed."""
        if not all(part.done for part in task.parts):
            return False
        self._complete(task, job, now)
        return True

    def _another_goes_on(self, attempt: AttemptState, task: TaskState) -> bool:
        """Whether another attempt at *task* is live, now that *attempt* is not."""
        task.attempts = [each for each in task.attempts if each != attempt.id]
        return bool(task.attempts)

    def _queue_again(self, task: TaskState, job: JobState, now: Now) -> None:
        task.attempts = []
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

    def _rows(self, kind: str, columns: tuple[str, ...]) -> list[tuple[Any, ...]]:
        """Where to put rows of these columns that the present message changes."""
        key = (kind, columns)
        rows = self._many.get(key)
        if rows is None:
            rows = self._many[key] = []
        return rows

    def _emit_rows(self) -> None:
        """The end of a message: all rows that it changes, and the counts that follow from them."""
        for (kind, columns), rows in self._many.items():
            if rows:
                self.emit(Record(UpdateRows(kind, columns, rows)))
        self._many = {}
        for job in self._counted.values():
            numbers = {
                "completed_parts": job.completed_parts,
                "kept_parts": job.kept_parts,
                "memory": job.memory,
                "render_seconds": job.render_seconds,
            }
            self.emit(Record(Update("job", job.id, numbers)))
        self._counted.clear()

    def _task_of(self, attempt: AttemptState) -> TaskState | None:
        """The task that *attempt* is a live attempt of; ``None`` where it no longer speaks for one."""
        task = self.farm.tasks.get(attempt.task)
        return task if task is not None and attempt.id in task.attempts and not attempt.canceling else None
