"""The ends of attempts, in the server's core: reported, retried, lost, disowned. Pure."""

import shlex
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from brender.bus.messages import (
    FINAL,
    Acks,
    AnyReport,
    Cancel,
    Completed,
    Confirm,
    End,
    Failed,
    PartDone,
    Recalled,
    Started,
    Stopped,
    Warned,
)
from brender.farm.accounts import count_end, count_frame
from brender.farm.farm import Farm
from brender.farm.jobs import JobState
from brender.farm.left_out import has_only_such, reported
from brender.farm.nodes import WorkerState
from brender.farm.stages import frame_done, queue_again, task_ended
from brender.farm.tasks import AttemptState, TaskState
from brender.farm.waiting import note_frame
from brender.jobs.film import makes_film
from brender.jobs.numbering import TAKEN_OUT
from brender.jobs.pieces import is_piece
from brender.model.causes import Cause, cause_named
from brender.model.energy import Energy
from brender.model.frame_file import named_files
from brender.model.job import BAKE, FILM, MISSING_AT_WORKER
from brender.model.log_events import frames_in_words
from brender.model.passes import passes_of
from brender.model.status import ENDED_JOB, OPEN_WORKER, JobStatus, Outcome, PartStatus
from brender.model.text import harmless, plural, times
from brender.model.units import STILL
from brender.roles.effects import LogEvent, Now, PublishFrame, Send
from brender.roles.policy import Policy
from brender.roles.server.activity import ActivityLog
from brender.roles.server.dispatch import Dispatch
from brender.roles.server.jobs import Emit, Jobs
from brender.roles.server.kept_off import KeptOff
from brender.roles.server.strays import adopt

NEVER_CAME = "never came"
WENT_BACK = "its worker had ended it, which this record, restored from before that, did not know"
LOST_ITS_STATE = "the worker restarted and lost its state"
#: Causes of failures that may pass, since another program has what a frame needs.
_OF_MEMORY = (Cause.MEMORY, Cause.DEVICE)
#: Watts: more than any machine that renders draws.
_MOST_WATTS = 20_000.0


class Work:
    """Take reports, give up the lost. Works on *farm*; what must happen outside goes to *emit*."""

    def __init__(self, farm: Farm, policy: Policy, activity: ActivityLog, jobs: Jobs, dispatch: Dispatch, emit: Emit) -> None:
        self.farm = farm
        self.policy = policy
        self.activity = activity
        self.jobs = jobs
        self.dispatch = dispatch
        self.emit = emit
        self._kept_off = KeptOff(farm, policy, activity, dispatch)

    def reports(self, manager: str, worker_id: str, reports: Sequence[AnyReport], now: Now) -> None:
        """Take the *reports* of *worker_id* and acknowledge them, also those of attempts that are no longer known."""
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
                attempt.take_report(report.number)
                self._apply(report, attempt, now)
            # A gap means that an earlier report was lost on the way: its worker sends it again, and this one after it.
            acks[report.attempt] = attempt.last_report
        self.emit(Send(manager, Acks(worker=worker_id, acks=tuple(acks.items()))))
        self._disown(manager, worker_id, list(dict.fromkeys(unknown)))

    def adopt(self, worker_id: str, reports: Sequence[AnyReport], tasks: Mapping[str, TaskState], now: Now) -> None:
        """Let the attempts in *tasks*, of which the record knows nothing and *reports* say that they have finished something, be
        attempts at these tasks by that worker."""
        worker = self.farm.workers.get(worker_id)
        for attempt, task in tasks.items():
            own = [report for report in reports if report.attempt == attempt]
            if worker is not None and adopt(self.farm, worker, task, own, now):
                text = f"{worker.info.name} had finished frames that the restored record did not know of: they count"
                self.activity.note(now, "adopted", text, task.job, worker=worker_id)
                # What was given out meanwhile has those frames to do too.
                for other in [self.farm.attempts[each] for each in task.attempts if each != attempt]:
                    if not other.started and (its := self.farm.workers.get(other.worker)) is not None:
                        self.dispatch.recall(its, now, task.job)

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
        """A worker does not have these attempts, which it was asked to stop, or which were sent to it again: they are over."""
        for attempt_id in attempts:
            attempt = self.farm.attempts.get(attempt_id)
            if attempt is None or attempt.worker != worker_id:
                continue
            if attempt.canceling:
                self._finish(attempt, Outcome.CANCELED, attempt.canceling, now)
            else:
                self._finish(attempt, Outcome.LOST, WENT_BACK, now)
                self._again(attempt, now)

    def reconcile(self, worker: WorkerState, held: Iterable[str], now: Now) -> None:
        """*worker* is registered again and says what it holds: what an earlier process of it had, and this one does not know
        of, is lost; what it should not have is canceled there; the rest is confirmed.

        What the same process does not name was granted while its word was on its way, or lost with the manager that it was sent
        to, or had ended before a record was restored that does not know it: it is sent again, which the worker answers.
        """
        held = set(held)
        for attempt_id in list(worker.attempts):
            attempt = self.farm.attempts[attempt_id]
            if attempt_id not in held and attempt.incarnation != worker.info.incarnation:
                self.lose(attempt, LOST_ITS_STATE, now)
            else:
                attempt.incarnation = worker.info.incarnation
                if attempt_id not in held:
                    attempt.confirmed = False
                    self.dispatch.send_again(attempt)
        self._disown(worker.manager, worker.info.id, sorted(held - set(worker.attempts)))
        mine = tuple(each for each in worker.attempts if not self.farm.attempts[each].canceling)
        self.emit(Send(worker.manager, Confirm(worker=worker.info.id, term=worker.term, attempts=mine)))

    def lose(self, attempt: AttemptState, reason: str, now: Now) -> None:
        """Give *attempt* up; its task is tried again. What it had not begun is not the task's fault; nor is the rest, unless
        that happens again and again."""
        self._finish(attempt, Outcome.LOST, reason, now)
        self._try_after_loss(attempt, reason, now)

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
        task.count_loss(f"attempt lost: {reason}")
        if task.losses >= self.policy.losses:
            self._give_up(task, job, f"lost its worker {times(task.losses)}; the last time, {reason}", now)
        else:
            self._try_later(task, job, task.losses, now)

    def _disown(self, manager: str, worker_id: str, attempts: list[str]) -> None:
        """Tell a worker to drop attempts that the server does not count as its own."""
        if attempts:
            reason = "the server gave its work to another attempt"
            self.emit(Send(manager, Cancel(worker=worker_id, attempts=tuple(attempts), reason=reason)))

    # --- inside ---------------------------------------------------------------------------------------------------------

    def _apply(self, report: AnyReport, attempt: AttemptState, now: Now) -> None:
        job = self.farm.jobs[attempt.job]
        if isinstance(report, End):
            attempt.used = Energy(report.joules, report.metered_seconds)
        match report:
            case Started():
                self._started(attempt, job, now)
            case PartDone():
                self._part_done(report, attempt, job, now)
                self._end_where_the_rest_is_gone(attempt, job, now)
            case Warned():
                if MISSING_AT_WORKER in report.warning and not any(MISSING_AT_WORKER in each for each in job.warnings):
                    self.farm.happened("job-attention", now.wall, job, reason=report.warning)
                job.warn(report.warning, report.subject)
            case Completed():
                self._completed(report, attempt, job, now)
            case Failed():
                self._failed(report, attempt, job, now)
            case Stopped():
                if report.put_off:
                    self._kept_off.put_off(attempt, job, report.reason, now)
                else:
                    self._gave_back(attempt, attempt.canceling != "", now)
                self._finish(attempt, Outcome.CANCELED, report.reason or attempt.canceling, now)
                self._again(attempt, now)
            case Recalled():
                self._gave_back(attempt, attempt.recalling is not None or attempt.canceling != "", now)
                self._finish(attempt, Outcome.RECALLED, "", now)
                self._again(attempt, now)

    def _started(self, attempt: AttemptState, job: JobState, now: Now) -> None:
        job.begun += not attempt.started
        attempt.begin(now.mono, now.wall)
        self._kept_off.begins(job, now)
        if worker := self.farm.workers.get(attempt.worker):
            worker.running = attempt.id
            self.farm.changed.add(attempt.worker)
        task = self._task_of(attempt)
        if task is None:
            return
        for part in task.parts:
            if not part.done and attempt.has_to_do(part):
                part.begin(attempt.id, attempt.worker)
        if job.status is JobStatus.QUEUED:
            self.jobs.began(job, worker.info.name if worker is not None else "", now)

    def _part_done(self, report: PartDone, attempt: AttemptState, job: JobState, now: Now) -> None:
        """Record a part that is done. Hot path, watched by benchmarks.dispatch."""
        task = self._task_of(attempt)
        part = task.part(report.part) if task else None
        reported(self.farm, attempt, report.part)
        if task is None or part is None or part.status is not PartStatus.ACTIVE:
            return  # (one that was queued again meanwhile is rendered again)
        planned, warnings = part.output, tuple(report.warnings)
        part.complete(
            attempt.id,
            attempt.worker,
            now.wall,
            output=report.output,
            size=report.size,
            width=report.width,
            height=report.height,
            seconds=report.seconds,
            memory=report.memory,
            warnings=warnings,
            # Where files travel, a frame that its worker still had is given its name here like any other.
            kept=report.kept and not job.spec.bundle,
            digest=report.digest,
            further_files=tuple([msgspec.to_builtins(further) for further in report.further_files]),
            noise=report.noise,
        )
        worker = self.farm.workers.get(attempt.worker)
        if worker is not None and worker.running == attempt.id and worker.frame == part.frame:
            to_do = (each.frame for each in task.parts if each.status is PartStatus.ACTIVE and attempt.has_to_do(each))
            worker.go_on(next(to_do, part.frame))
        self.farm.streaks.succeeded(attempt.worker)
        job.strikes.pop(attempt.worker, None)
        if not report.kept:
            job.rendered_by.add(attempt.worker)
        job.put_off_times.pop(attempt.worker, None)
        self.jobs.can_begin(job, now)
        if report.memory > job.memory:
            self.farm.needs_changed(job)
        job.count_part(task.number, report.seconds, report.memory, report.kept)
        if job.is_to_be_foreseen:
            self.farm.to_foresee[job.id] = None
        self.farm.totals.frames_completed += part.piece == 0
        # (One that is good enough before its last pass stays as that job's own passes left it: it was rendered all the same.)
        stays = part.kept and not part.output and passes_of(job.spec.settings)
        if part.piece == 0 and (not part.kept or stays):
            count_frame(self.farm, job, attempt.worker, now.wall)
        self.farm.changed_jobs.add(job.id)
        if report.noise is not None:
            job.measured[part.frame] = report.noise
        frame_done(self.farm, job, part)
        files = named_files(planned if report.output else "", (each.output for each in report.further_files))
        note_frame(self.farm, job, part, is_placed=not (job.spec.bundle and files))
        for warning in warnings:
            job.warn(warning)
        if not job.spec.bundle:
            return
        if part.piece == BAKE:
            job.baked = report.digest
            return
        if is_made_of := part.piece > 0 and not passes_of(job.spec.settings):
            job.pieces[part.piece if job.spec.job_type == STILL else part.frame] = report.digest
        accumulated = [each for each in report.further_files if passes_of(job.spec.settings) and is_piece(each.output)]
        for each in accumulated:
            job.pieces[part.frame] = each.digest
        if not is_made_of and files:
            own = {each.output for each in accumulated}
            name, *further = [each for each in files if each not in own]
            is_of_film = makes_film(job.spec) and part.piece != FILM
            if is_of_film:
                job.pieces[part.frame] = report.digest
            blob = report.digest if is_of_film else ""
            job.placing.add((attempt.id, part.id))
            self.emit(PublishFrame(attempt.id, part.id, job.spec.output, name, tuple(further), blob, job.id))

    def _completed(self, report: Completed, attempt: AttemptState, job: JobState, now: Now) -> None:
        task = self._task_of(attempt)
        own = task.parts if task is not None and attempt.parts is not None else []
        missing = [part.frame for part in own if part.status is PartStatus.ACTIVE and attempt.has_to_do(part)]
        if missing:
            reason = f"the worker said it was done, but frame {missing[0]} {NEVER_CAME}"
            self._finish(attempt, Outcome.FAILED, reason, now, report.seconds, Cause.FILES)
            self._retry(attempt, reason, now)
            return
        outcome = Outcome.COMPLETED if task else Outcome.CANCELED
        self._finish(attempt, outcome, "", now, report.seconds)
        if task is not None and task.is_done:
            self._complete(task, job, now)
        elif task is not None:
            self._again(attempt, now)  # parts of it were queued again while it ran

    def _complete(self, task: TaskState, job: JobState, now: Now) -> None:
        task.complete()
        for worker in self.farm.streaks.completed(task.id):
            self._look_at_streak(worker, task, now)
        for other in [self.farm.attempts[each] for each in task.attempts if each in self.farm.attempts]:
            self._supersede(other)
        self.farm.drop(job, task)
        task_ended(self.farm, job, task)
        self.jobs.settle(job, now)

    def _look_at_streak(self, worker_id: str, task: TaskState, now: Now) -> None:
        """Drain the worker where others have completed too many tasks that failed there in a row, the last one *task*; not the
        only worker that takes any."""
        worker, streaks = self.farm.workers.get(worker_id), self.farm.streaks
        count = streaks.finished_by_others(worker_id)
        if worker is None or not 0 < self.policy.drain_after <= count or worker_id in streaks.drained:
            return
        if not any(each.status in OPEN_WORKER and id != worker_id for id, each in self.farm.workers.items()):
            return
        name = shlex.quote(harmless(worker.info.name))
        why = f"failed {plural(count, 'task')} in a row that others then completed"
        why += f"; one said: {task.reason}" if task.reason else ""
        streaks.drain(worker_id, f"drained, since it {why}. `brender enable {name}` lets it try again")
        self.farm.changed.add(worker_id)
        self.activity.note(now, "drained", f"the worker {worker.info.name} is drained: it {why}", worker=worker_id)
        self.dispatch.recall(worker, now)

    def shows_progress(self, attempt_id: str, now: Now) -> None:
        """Note that the attempt renders: it could begin its job. Hot path, watched by benchmarks.dispatch."""
        if (attempt := self.farm.attempts.get(attempt_id)) is not None:
            self.jobs.can_begin(self.farm.jobs[attempt.job], now)

    def _end_where_the_rest_is_gone(self, attempt: AttemptState, job: JobState, now: Now) -> None:
        """Let *attempt* stop where all that it has left was taken out of *job*: its task is done."""
        task = self._task_of(attempt) if attempt.left_out else None
        if task is not None and has_only_such(attempt, task):
            task.attempts.remove(attempt.id)
            attempt.supersede(TAKEN_OUT)
            self._tell_superseded(attempt)
            self._complete(task, job, now)

    def _supersede(self, attempt: AttemptState) -> None:
        """Let *attempt* stop, since another has finished its task."""
        attempt.supersede()
        self._tell_superseded(attempt)

    def _tell_superseded(self, attempt: AttemptState) -> None:
        self.farm.unanswered[attempt.id] = None
        worker = self.farm.workers[attempt.worker]
        self.emit(Send(worker.manager, Cancel(worker=attempt.worker, attempts=(attempt.id,), reason=attempt.canceling)))

    def _failed(self, report: Failed, attempt: AttemptState, job: JobState, now: Now) -> None:
        if report.out_of_memory and self.dispatch.had_company(attempt):
            self._ran_out_of_memory(attempt, job, report, now)
            return
        if report.forbidden and job.completed_parts > job.kept_parts:
            # Its frames went there before: the right was taken away, and may come back.
            self._kept_off.put_off(attempt, job, report.reason, now)
            self._finish(attempt, Outcome.CANCELED, report.reason, now, report.seconds)
            self._again(attempt, now)
            return
        self._log_failure(report, attempt, job)
        if not (report.permanent or report.elsewhere) and (task := self._task_of(attempt)) is not None:
            self.farm.streaks.failed(attempt.worker, task.id)  # (what its machine lacks for one job, others do not need)
        is_of_memory = report.elsewhere and not report.permanent and _cause(report) in _OF_MEMORY
        is_kept_off = is_of_memory and self._kept_off.for_a_while(attempt, job, report.reason, now)
        is_kept_off = is_kept_off or (report.elsewhere and self._kept_off.at_once(attempt, job, report.reason, now))
        is_given_up = is_kept_off and report.permanent and self._kept_off.is_given_up(attempt, job)
        self._finish(attempt, Outcome.FAILED, report.reason, now, report.seconds, _cause(report), counts=not is_kept_off)
        if is_kept_off and not is_given_up:
            self._again(attempt, now)
        elif report.permanent and self._task_of(attempt) and job.status not in ENDED_JOB:
            of_others = self._kept_off.said_of_given_up if is_given_up else self._kept_off.said_of_others
            reason = report.reason + (of_others(job) if report.elsewhere else "")
            self._fail_task(self.farm.tasks[attempt.task], job, reason, now)
            self.jobs.end(job, JobStatus.FAILED, reason, now)
        else:
            self._kept_off.strike(attempt, job, report.reason, now)
            self._retry(attempt, report.reason, now)
            if is_of_memory:
                self._kept_off.wait_for_memory(attempt, job, report.reason, now)

    def _ran_out_of_memory(self, attempt: AttemptState, job: JobState, report: Failed, now: Now) -> None:
        """Let the task of *attempt*, which was killed beside others, be tried again by itself. That is no fault of the job's; the
        next time, with nobody beside it, it is."""
        if (task := self._task_of(attempt)) is not None:
            job.alone.add(task.id)
            self.farm.needs_changed(job)
            self.dispatch.recall_job(job, now)  # what waits behind others would keep their machines from new tasks
        why = f"{report.reason}. Others ran beside it: it is tried again alone"
        self._finish(attempt, Outcome.LOST, why, now, report.seconds, Cause.MEMORY)
        self._again(attempt, now)

    def _gave_back(self, attempt: AttemptState, was_asked: bool, now: Now) -> None:
        """A worker that gives work back unasked has its reasons, and will say them: for a moment it gets none."""
        worker = self.farm.workers.get(attempt.worker)
        if worker is not None and not was_asked:
            worker.closed_until = now.mono + self.policy.resend

    def _log_failure(self, report: Failed, attempt: AttemptState, job: JobState) -> None:
        worker, task = self.farm.workers.get(attempt.worker), self._task_of(attempt)
        frames = sorted({part.frame for part in task.parts if attempt.has_to_do(part)}) if task is not None else []
        fields: dict[str, object] = {"job": job.id, "name": job.spec.name, "attempt": attempt.id, "what": frames_in_words(frames)}
        fields |= {"worker": worker.info.name if worker is not None else attempt.worker, "reason": report.reason}
        self.emit(LogEvent("attempt-failed", fields))

    def _finish(
        self,
        attempt: AttemptState,
        outcome: Outcome,
        reason: str,
        now: Now,
        seconds: float = 0.0,
        cause: Cause = Cause.LOST,
        counts: bool = True,
    ) -> None:
        """End *attempt*: it leaves memory. *cause*: why it failed, where it did; *counts*: among the attempts that may stop its
        job."""
        attempt.end(outcome, reason, now.wall, seconds)
        del self.farm.attempts[attempt.id]
        if worker := self.farm.workers.get(attempt.worker):
            del worker.attempts[attempt.id]
            if worker.running == attempt.id:
                worker.running, worker.worked_until = "", now.mono
            self.farm.changed.add(attempt.worker)
        job = self.farm.jobs[attempt.job]
        job.live.discard(attempt.id)
        if attempt.started:
            job.begun -= 1
            job.rests_since = now.mono
        # (One that was lost or stopped did not tell how long it took.)
        took = seconds or (0.0 if attempt.began is None else now.mono - attempt.began)
        attempt.used = _plausible(attempt.used, took)
        job.count_machine_time(took, attempt.used)
        count_end(self.farm, job, attempt, took, cause, now.wall)
        self.farm.usages.settle(attempt.id, took)
        self.farm.totals.machine_seconds += max(0.0, took)
        self.farm.totals.attempts_ended[attempt.outcome] += 1
        if counts and outcome in (Outcome.COMPLETED, Outcome.FAILED):
            job.count_attempt(outcome is Outcome.FAILED, self.policy.failure_window)
        if not job.live and job.completed_parts == job.kept_parts:
            job.unpin()  # no frame of it is rendered yet that others would have to match
        self.farm.changed_jobs.add(job.id)
        self.farm.forget_if_over(job)
        self.jobs.tidy(job)

    def _retry(self, attempt: AttemptState, reason: str, now: Now) -> None:
        """The attempt failed: its task waits for another try, or has failed."""
        task = self._task_of(attempt)
        if task is None:
            return
        job = self.farm.jobs[attempt.job]
        if self._complete_if_done(task, job, now):
            return
        task.count_failure(reason)
        why_stopped = self._fails_too_often(job)
        if self._another_goes_on(attempt, task) and not why_stopped:
            return
        if why_stopped:
            self._fail_task(task, job, reason, now)
            self.jobs.end(job, JobStatus.FAILED, f"Stopped after {why_stopped}; the last one said: {reason}", now)
        elif task.failures >= self.policy.tries:
            self._give_up(task, job, f"failed {times(task.failures)}; the last attempt said: {reason}", now)
        else:
            self._try_later(task, job, task.failures, now)

    def _fails_too_often(self, job: JobState) -> str:
        """Return how often attempts at *job* have failed if that is too often to go on, else ""."""
        if job.failures >= self.policy.failure_limit:
            return f"{job.failures} failed attempts in a row"
        failed, window = sum(job.recent), self.policy.failure_window
        if len(job.recent) >= window and failed > self.policy.failure_share * window:
            return f"{failed} failed attempts among the last {window}"
        return ""

    def _give_up(self, task: TaskState, job: JobState, what: str, now: Now) -> None:
        """The task has failed for good; the others of its job go on."""
        named = "The film" if task.is_film else f"Frame {', '.join(str(part.frame) for part in task.parts[:3])}"
        self._fail_task(task, job, what, now)
        job.reason = f"{named} {what}"
        job.touch()
        task_ended(self.farm, job, task)
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
        queue_again(self.farm, job, task)

    def _complete_if_done(self, task: TaskState, job: JobState, now: Now) -> bool:
        """Return whether the attempt that ended had done every part, and only never came to say so: then the task is
        completed."""
        if not task.is_done:
            return False
        self._complete(task, job, now)
        return True

    def _another_goes_on(self, attempt: AttemptState, task: TaskState) -> bool:
        """Return whether another attempt at *task* is live, now that *attempt* is not."""
        task.attempts = [each for each in task.attempts if each != attempt.id]
        return bool(task.attempts)

    def _queue_again(self, task: TaskState, job: JobState, now: Now) -> None:
        task.queue_again()
        if job.status is JobStatus.ACTIVE and not job.live:
            self.jobs.set_status(job, JobStatus.QUEUED, "", now)

    def _fail_task(self, task: TaskState, job: JobState, reason: str, now: Now) -> None:
        self.farm.happened("task-failed", now.wall, job, reason=reason, frames=sorted({part.frame for part in task.parts})[:100])
        task.fail(reason)
        self.farm.drop(job, task, failed=True)

    def _task_of(self, attempt: AttemptState) -> TaskState | None:
        """Return the task that *attempt* is a live attempt of; ``None`` where it no longer speaks for one."""
        task = self.farm.tasks.get(attempt.task)
        return task if task is not None and attempt.id in task.attempts and not attempt.canceling else None


def _cause(report: Failed) -> Cause:
    """Return the cause of the failure in *report*, as the accounts count it."""
    if report.out_of_memory:
        return Cause.MEMORY
    return Cause.FOLDER if report.forbidden else cause_named(report.cause)


def _plausible(used: Energy, took: float) -> Energy:
    """Return *used*, at most what a machine can use in the seconds that it *took*: a worker may report anything."""
    seconds = min(used.seconds, max(0.0, took))
    return Energy(min(used.joules, seconds * _MOST_WATTS), seconds)
