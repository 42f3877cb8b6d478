"""Workers that do not get a job: kept off it after failures, or put off for a while since they cannot use its folders now."""

from brender.farm.farm import Farm
from brender.farm.jobs import JobState
from brender.farm.tasks import AttemptState
from brender.model.status import ENDED_JOB
from brender.model.text import plural, short_id, some_of
from brender.roles.effects import Now
from brender.roles.policy import Policy
from brender.roles.server.activity import ActivityLog
from brender.roles.server.dispatch import Dispatch


class KeptOff:
    """Keeps workers off jobs. Works on *farm*."""

    def __init__(self, farm: Farm, policy: Policy, activity: ActivityLog, dispatch: Dispatch) -> None:
        self._farm = farm
        self._policy = policy
        self._activity = activity
        self._dispatch = dispatch

    def strike(self, attempt: AttemptState, job: JobState, reason: str, now: Now) -> None:
        """Count a failure of *attempt*. A worker that fails *job* again and again, without a frame of it in between, is kept off
        it, if another could run it."""
        job.strikes[attempt.worker] = strikes = job.strikes.get(attempt.worker, 0) + 1
        if strikes >= self._policy.strikes:
            self._keep_off(attempt, job, f"{plural(strikes, 'failure')} in a row; the last one", reason, now)

    def at_once(self, attempt: AttemptState, job: JobState, reason: str, now: Now) -> bool:
        """Keep the worker of *attempt* off *job* for one failure, if another could run that; return whether it is kept off."""
        return self._keep_off(attempt, job, "a failure that another may not have", reason, now)

    def said_of_others(self, job: JobState) -> str:
        """Return what to add to the reason for which *job* ends because its last worker has failed it: which workers are kept off
        it for such a failure, and how they try again; or "" if none is."""
        off = sorted(worker.info.name for each in job.kept_off if (worker := self._farm.workers.get(each)) is not None)
        if not off:
            return ""
        kept, id = f"{some_of(off)} {'is' if len(off) == 1 else 'are'} kept off it", short_id(job.id)
        return f". No other worker could run it: {kept}. `brender readmit {id}` and `brender requeue {id}` let all try again"

    def is_given_up(self, attempt: AttemptState, job: JobState) -> bool:
        """Count that the machine of *attempt* lacks what *job* needs; return whether so many in a row have said so that the
        others are not asked. They are asked where any of it was rendered, or is, or where a person has queued it again."""
        job.refusals.lacking.add(attempt.worker)
        is_rendered = job.begun > attempt.started or job.completed_parts > job.kept_parts
        return not is_rendered and not job.refusals.is_insisted_on and len(job.refusals.lacking) >= self._policy.lacking

    def said_of_given_up(self, job: JobState) -> str:
        """Return what to add to the reason for which *job* ends because so many workers in a row could not begin it."""
        id, count = short_id(job.id), len(job.refusals.lacking)
        return (
            f". {count} workers in a row have said so, and none has rendered any of it, so the others were not asked: "
            f"`brender requeue {id}` asks them; `brender readmit {id}` before that, those {count} again too"
        )

    def put_off(self, attempt: AttemptState, job: JobState, reason: str, now: Now) -> None:
        """Keep the worker of *attempt*, which cannot use the folders of *job* now, off that for a while. It may take others."""
        if attempt.worker in job.put_off:
            return  # what it had been given before it said so
        job.put_off_times[attempt.worker] = times = job.put_off_times.get(attempt.worker, 0) + 1
        delay = min(self._policy.put_off_most, self._policy.put_off * 2 ** min(times - 1, 10))
        job.put_off[attempt.worker] = (now.mono + delay, reason)
        if attempt.worker not in job.kept_off and job.status not in ENDED_JOB:
            # (For who asks the record when the job will be done; a server that starts again lets it try at once.)
            fields = {"failures": 0, "reason": reason, "wall": now.wall, "readmitted": now.wall + delay}
            self._farm.ledger.put("kept_off", (job.id, attempt.worker), fields)
        self._rest(attempt, job, reason, now)
        self._farm.changed_jobs.add(job.id)
        if (worker := self._farm.workers.get(attempt.worker)) is not None:
            self._dispatch.recall(worker, now, job.id)

    def wait_for_memory(self, attempt: AttemptState, job: JobState, reason: str, now: Now) -> None:
        """Keep the worker of *attempt* off *job* for a while, where that has failed for want of memory and nobody else could run
        it: what another program holds, it may let go of in a minute, and three tries in a row would be over before.

        Where nothing of *job* was ever rendered, and it has waited as often as one task is tried again, it is taken to need more
        than there is: then it waits no more.
        """
        times = job.put_off_times.get(attempt.worker, 0) + 1
        is_too_large = times >= self._policy.tries and job.completed_parts == job.kept_parts
        if not (is_too_large or job.status in ENDED_JOB or attempt.worker in job.kept_off | job.put_off.keys()):
            self._wait(attempt, job, times, reason, now)

    def for_a_while(self, attempt: AttemptState, job: JobState, reason: str, now: Now) -> bool:
        """Keep the worker of *attempt* off *job* for a while, where it had enough memory for frames of that before, and another
        could run it; return whether it waits now. It waits as often in a row as one task is tried again."""
        if attempt.worker in job.put_off:
            return True  # it had been given this one before
        worker, times = self._farm.workers.get(attempt.worker), job.put_off_times.get(attempt.worker, 0) + 1
        is_lasting = attempt.worker not in job.rendered_by or times >= self._policy.tries
        if is_lasting or worker is None or attempt.worker in job.kept_off or job.status in ENDED_JOB:
            return False
        if not self._dispatch.runs_elsewhere(job, worker):
            return False
        self._wait(attempt, job, times, reason, now)
        return True

    def _wait(self, attempt: AttemptState, job: JobState, times: int, reason: str, now: Now) -> None:
        """Let the worker of *attempt* wait for memory with *job*, for the time number *times* in a row."""
        job.put_off_times[attempt.worker] = times
        delay = min(self._policy.memory_retry_most, self._policy.memory_retry * 4 ** min(times - 1, 10))
        job.put_off[attempt.worker] = (now.mono + delay, reason)
        # (A server that starts again lets it wait on: `brender.roles.server.restore`.)
        fields = {"failures": times, "reason": reason, "wall": now.wall, "readmitted": now.wall + delay}
        self._farm.ledger.put("kept_off", (job.id, attempt.worker), fields)
        self._farm.changed_jobs.add(job.id)
        if (worker := self._farm.workers.get(attempt.worker)) is not None:
            self._dispatch.recall(worker, now, job.id)

    def begins(self, job: JobState, now: Now) -> None:
        """Note that a worker begins *job*. Where that tries it after a rest, it need not show progress, which programs may not
        have: those that cannot begin it say so soon."""
        if job.refusals.rests:
            job.refusals.tries_until = now.mono + self._policy.put_off
            self._farm.changed_jobs.add(job.id)

    def _rest(self, attempt: AttemptState, job: JobState, reason: str, now: Now) -> None:
        """Count that the worker of *attempt* was put off. Where so many were in a row, and nothing of *job* is rendered, let it
        rest; after that one worker at a time tries it, until one shows progress."""
        refusals = job.refusals
        refusals.put_off.add(attempt.worker)
        if len(refusals.put_off) < self._policy.refusals or job.begun > attempt.started:
            return
        if refusals.rests_until is not None:
            return  # what it had begun before the rest
        delay = min(self._policy.put_off_most, self._policy.put_off * 2 ** min(refusals.rests, 10))
        refusals.rests += 1
        refusals.said = (
            f"{len(refusals.put_off)} workers in a row could not run it ({reason}). One worker at a time tries it, with pauses "
            f"of some minutes; `brender readmit {short_id(job.id)}` lets all try at once"
        )
        refusals.rests_until, refusals.tries_until = now.mono + delay, None
        if refusals.rests == 1:
            self._activity.note(now, "put-off", refusals.said, job.id)
            self._farm.happened("job-attention", now.wall, job, reason=refusals.said)
        self._dispatch.recall_job(job, now)

    def _keep_off(self, attempt: AttemptState, job: JobState, after: str, reason: str, now: Now) -> bool:
        """Keep the worker of *attempt* off *job*, if another could run it; return whether it is kept off now. *after*: what led
        to it, with its *reason*."""
        worker = self._farm.workers.get(attempt.worker)
        if worker is None or job.status in ENDED_JOB or not self._dispatch.runs_elsewhere(job, worker):
            return False
        if attempt.worker in job.kept_off:
            return True  # it had been given this one before
        job.kept_off.add(attempt.worker)
        self._farm.changed_jobs.add(job.id)
        fields = {"failures": job.strikes.get(attempt.worker, 1), "reason": reason, "wall": now.wall, "readmitted": None}
        self._farm.ledger.put("kept_off", (job.id, attempt.worker), fields)
        text = f"the worker {worker.info.name} is kept off it after {after} said: {reason}"
        self._activity.note(now, "kept-off", text, job.id, worker=attempt.worker)
        self._dispatch.recall(worker, now, job.id)
        return True
