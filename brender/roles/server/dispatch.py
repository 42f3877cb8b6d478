"""Who is given what, in the server's core: grants, recalls, and both sent again until they are answered. Pure.

brender.scheduling decides, and says why not. This module tells it of changes (`Farm.changed`, `Farm.changed_jobs`), and carries
out its decisions. A round's work is bounded: the rest is done in the next rounds.

Hot path, watched by benchmarks.dispatch and benchmarks.scale.
"""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from brender.bus.messages import Cancel, Recall
from brender.farm.farm import Farm
from brender.farm.jobs import JobState
from brender.farm.nodes import WorkerState
from brender.farm.stages import grow, queue_again
from brender.farm.tasks import AttemptState
from brender.model.answers import WHY_QUEUED
from brender.model.eligibility import general_obstacle
from brender.model.nodes import choose_blender, choose_series
from brender.model.status import OPEN_JOB
from brender.roles.effects import Now, Send
from brender.roles.policy import Policy
from brender.roles.server.availability import job_at, why_closed, why_nobody
from brender.roles.server.explanations import Explanations
from brender.roles.server.giving_way import GivingWay
from brender.roles.server.granting import Granting
from brender.roles.server.jobs import Emit, Jobs
from brender.roles.server.repeats import Repeats
from brender.roles.server.roster_updates import RosterUpdates
from brender.scheduling.assignment import assign
from brender.scheduling.reasons import Reasons
from brender.scheduling.recalls import Recalls
from brender.scheduling.roster import Roster
from brender.scheduling.solitude import Solitude
from brender.scheduling.terms import Held, Take
from brender.scheduling.worker_reasons import WorkerReasons

#: The looks that a round spends on decisions at most (`assign`, `Recalls.take_back`): some milliseconds of work. New jobs and
#: workers (`RosterUpdates.spent`, which is less) are paid for from the first.
_ASSIGN_BUDGET = 2_000
_RECALL_BUDGET = 500
#: Seconds until the next look at what could be asked back, for each unit of the budget that the last one used: it takes a tenth
#: of the time at most.
_RECALL_PAUSE = 13e-6
#: Attempts that are looked at in a round at most, for what is to be sent again.
_ATTEMPTS_A_ROUND = 1_000
#: Jobs whose retries become due that are looked at in a round at most.
_DELAYED_A_ROUND = 200
#: Attempts that are looked at in a round at most, for whether they run for longer than was expected; and the seconds from one
#: look at all to the next.
_OUTRUN_A_ROUND, _OUTRUN_SECONDS = 100, 5.0


class Dispatch:
    """Works on *farm*; *new_attempt_id* makes the ids of attempts; what must happen outside goes to *emit*."""

    def __init__(self, farm: Farm, policy: Policy, jobs: Jobs, emit: Emit, new_attempt_id: Callable[[], str]) -> None:
        self.farm = farm
        self.policy = policy
        self.jobs = jobs
        self.emit = emit
        self._grants = Granting(farm, emit, new_attempt_id, policy.failure_patterns)
        self.behind = False
        """The last round had no time for all that could be given or asked back: the next one is to begin at once."""
        self._roster = Roster(self._free)
        self._recalls = Recalls(self._roster, self._waiting)
        self._reasons = Reasons(
            self._roster,
            lambda worker: why_closed(farm, farm.workers[worker]),
            lambda: why_nobody(farm),
            lambda worker: job_at(farm, worker),
        )
        self._worker_reasons = WorkerReasons(
            self._roster,
            self._reasons,
            lambda worker: why_closed(farm, farm.workers[worker]),
            lambda job: farm.jobs[job].spec.name,
            lambda: {id: job.refusals.said for id, job in farm.jobs.items() if _rests(job)},
        )
        self.roster = self._roster
        self.explanations = Explanations(farm, policy, jobs, self._roster, self._reasons)
        self._repeats = Repeats(farm, self._roster, self._grants)
        self._updates = RosterUpdates(farm, policy, self._roster, self._reasons, self.explanations, self._repeats)
        self._giving_way = GivingWay(farm, self._roster, jobs, emit, self.recall)
        self._to_send_again: deque[str] = deque()
        self._solitude = Solitude(self._roster, self._remaining)
        self._look_alone = 0.0
        self._send_again = self._look_back = 0.0
        self._to_outrun: deque[str] = deque()
        self._outrun_due = 0.0

    def dispatch(self, now: Now) -> None:
        """Grant tasks, ask back those that should be elsewhere, and send unconfirmed messages again."""
        self.farm.usages.advance(now.wall)
        self._count_running(now)
        for job_id in [job_id for job_id, due in self._updates.delayed.items() if due <= now.mono][:_DELAYED_A_ROUND]:
            if job := self.farm.jobs.get(job_id):
                self._wake_delayed(job, now)
        self._updates.tell(now)
        if self._roster.lonely or self._roster.reserving or self._roster.machines.kept:
            self._keep_free(now)
        assignment = assign(self._roster, _ASSIGN_BUDGET - self._updates.spent)
        self._carry_out(assignment.takes, now)
        if assignment.idle_served and now.mono >= self._look_back:
            self._take_back(now)
        self.behind = not assignment.complete or self._updates.is_behind
        if self._roster.pressing and assignment.idle_served:
            self._giving_way.look(now)
        self._repeats.look(now)
        self._resend(now)

    def runs_elsewhere(self, job: JobState, worker: WorkerState) -> bool:
        """Return whether a worker other than *worker*, which it is not kept off either, could run tasks of *job*."""
        for kind in self._roster.classes.of_workers.values():
            others = (each for each in kind.workers if each in self.farm.workers and each not in job.kept_off)
            other = next((each for each in others if each != worker.info.id), None)
            if other is not None and not general_obstacle(job.need, self.farm.paths, self.farm.workers[other].info):
                return True
        return False

    def audit(self) -> list[str]:
        """Return what is wrong with what the scheduler knows of the farm, a sentence each; for tests, after `dispatch`."""
        return self._updates.audit()

    def why(self, question: str, id: str) -> str:
        """Return the answer to a *question* for the scheduler (`OF_THE_SCHEDULER`) about the worker or job *id*, as a sentence;
        "" if it is not there, nothing hinders it, or the scheduler does not know all yet."""
        if question == WHY_QUEUED:
            job = self.farm.jobs.get(id)
            return self.explanations.why_queued(job) if job is not None else ""
        known = id in self.farm.workers and id in self._roster.workers and not self._roster.is_behind
        return self._worker_reasons.reason(id) if known else ""

    def knowing(self, question: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return the *arguments* of a *question* to the record, with what the scheduler adds to them."""
        job = self.farm.jobs.get(str(arguments.get("job"))) if question == "why" else None
        return arguments | {"queued": self.explanations.why_queued(job)} if job is not None else arguments

    def recall(self, worker: WorkerState, now: Now, job: str = "") -> None:
        """Ask back what waits at *worker*, or only what is of *job*."""
        attempts = [self.farm.attempts[each] for each in worker.attempts]
        self._recall(worker, [a for a in attempts if not a.started and job in ("", a.job)], now)

    def recall_job(self, job: JobState, now: Now) -> None:
        """Ask back what waits of *job* at its workers."""
        for worker in sorted({self.farm.attempts[attempt].worker for attempt in job.live}):
            if worker in self.farm.workers:
                self.recall(self.farm.workers[worker], now, job.id)

    def send_again(self, attempt: AttemptState) -> None:
        """Send what *attempt* waits for again in this round."""
        attempt.sent = float("-inf")
        self.farm.unanswered[attempt.id] = None
        self._to_send_again.appendleft(attempt.id)

    # --- what the scheduler knows ---------------------------------------------------------------------------------------

    def _count_running(self, now: Now) -> None:
        """Count attempts that run for longer than was expected, while they run. Now and then; many in several rounds."""
        if not self._to_outrun and now.mono >= self._outrun_due:
            self._outrun_due = now.mono + _OUTRUN_SECONDS
            self._to_outrun.extend(self.farm.attempts)
        for _ in range(min(_OUTRUN_A_ROUND, len(self._to_outrun))):
            attempt = self.farm.attempts.get(self._to_outrun.popleft())
            if attempt is not None and attempt.began is not None:
                self.farm.usages.outrun(attempt.id, now.mono - attempt.began)

    def note_memory(self, worker: WorkerState, available: int) -> None:
        """Note the bytes of memory that nothing uses on the machine of *worker*, as that says now."""
        known = self._roster.workers.get(worker.info.id)
        if known is not None and known.machine is not None:
            known.machine.available = available

    def _free(self, worker_id: str) -> int | None:
        """Return the bytes of memory that a render could have at a worker: by what any worker of its machine said last, since it
        may have grown elsewhere there since this one spoke."""
        worker, machine = self.farm.workers[worker_id], self._roster.workers[worker_id].machine
        if machine is None or len(machine.slots) < 2 or machine.available is None:
            return worker.free
        return machine.available + worker.rendering

    def had_company(self, attempt: AttemptState) -> bool:
        """Return whether other slots of its machine have tasks, or had some while *attempt* ran: of two that are killed together,
        one is reported after the other."""
        known = self._roster.workers.get(attempt.worker)
        if known is None or known.machine is None:
            return False
        beside = [each.id for each in known.machine.slots if each is not known]
        others = [self.farm.workers[each] for each in beside if each in self.farm.workers]
        return any(each.attempts or (attempt.began is not None and each.worked_until >= attempt.began) for each in others)

    # --- inside ---------------------------------------------------------------------------------------------------------

    def _carry_out(self, takes: list[Take], now: Now) -> None:
        pinned: set[str] = set()
        workers, jobs = set(self.farm.changed), set(self.farm.changed_jobs)
        granted = []
        for take in takes:
            worker, job = self.farm.workers[take.worker], self.farm.jobs[take.job]
            self.farm.usages.changed[job.spec.project, job.spec.user] = None
            if not job.queued:
                # Earlier tasks of this round took more parts than planned, and nothing is left.
                self.farm.changed.add(take.worker)
                continue
            if not self._has_its_blender(worker, job, pinned):
                self.farm.changed.add(take.worker)
                self.farm.changed_jobs.add(job.id)
                continue
            self._grant(job, worker, now)
            if take.worker not in workers and job.id not in jobs:
                granted.append((job, worker))
        self._updates.note_granted(granted)
        self._grants.send()

    def _has_its_blender(self, worker: WorkerState, job: JobState, pinned: set[str]) -> bool:
        """Return whether *worker* has the series of Blender that all of *job* is rendered with.

        It is chosen here where nothing of the job was given out yet, and stays so once something is. *pinned* are the jobs for
        which that was done in this round, after it was decided who takes what.
        """
        need = job.need
        if need.blender is None or (need.series is not None and job.id not in pinned):
            return True
        if need.series is None:
            kinds = [
                (kind.info.blenders, sum(each.serving and each.id not in job.kept_off for each in kind.workers.values()))
                for kind in self._roster.jobs[job.id].kind.able
            ]
            able = [(blenders, count) for blenders, count in kinds if count]
            series = choose_series(able or [(worker.info.blenders, 1)], need.blender, need.oldest_blender, need.bounding)
        else:
            series = need.series
        blenders = worker.info.blenders
        has_it = choose_blender(blenders, need.blender, need.oldest_blender, series, need.bounding) is not None
        if need.series is None and has_it:
            pinned.add(job.id)
            job.pin(series)
        return has_it

    def _keep_free(self, now: Now) -> None:
        """Keep machines free for jobs that wait to render alone. Now and then."""
        if now.mono < self._look_alone:
            return
        self._look_alone = now.mono + 1.0
        for machine in self._solitude.look(now.mono):
            for worker in [self.farm.workers[each.id] for each in machine.slots if each.id in self.farm.workers]:
                self.recall(worker, now)

    def _remaining(self, worker_id: str, mono: float) -> float | None:
        """Return the seconds from *mono* until *worker_id* has done what it runs; what takes longer than others of its job did is
        taken to go on for as long again."""
        attempt = self.farm.attempts.get(self.farm.workers[worker_id].running)
        job, task = (self.farm.jobs.get(attempt.job), self.farm.tasks.get(attempt.task)) if attempt is not None else (None, None)
        if attempt is None or attempt.began is None or job is None or task is None or job.mean_part_seconds is None:
            return None
        return abs(job.mean_part_seconds * len(task.parts) - (mono - attempt.began))

    def _take_back(self, now: Now) -> None:
        """Recall for idle workers and urgent jobs."""
        back: dict[str, list[AttemptState]] = {}
        for move in self._recalls.take_back(_RECALL_BUDGET):
            back.setdefault(move.worker, []).append(self.farm.attempts[move.attempt])
        for worker, attempts in back.items():
            self._recall(self.farm.workers[worker], attempts, now)
        self._look_back = now.mono + _RECALL_PAUSE * self._recalls.spent

    def _waiting(self, worker_id: str) -> list[Held]:
        """Return the grants of a worker beyond the one that it runs, or is about to."""
        worker = self.farm.workers[worker_id]
        waiting = [attempt for each in worker.attempts if not (attempt := self.farm.attempts[each]).started]
        if not worker.running:
            del waiting[:1]
        return [Held(a.id, a.job, self.farm.jobs[a.job].urgency, a.recalling is not None) for a in waiting]

    def _grant(self, job: JobState, worker: WorkerState, now: Now) -> None:
        """Give the next task of *job* to *worker*."""
        task = self.farm.tasks[job.next_task()]
        wanted = job.chunk(len(self.farm.workers))
        if wanted > 1:
            grow(self.farm, job, task, wanted)
        task.granted = True
        self._grants.give(task, job, worker, now)

    def _recall(self, worker: WorkerState, attempts: Iterable[AttemptState], now: Now) -> None:
        fresh = [attempt for attempt in attempts if attempt.recalling is None]
        for attempt in fresh:
            attempt.recalling = attempt.sent = now.mono
            self.farm.unanswered[attempt.id] = None
        if fresh:
            self.farm.changed.add(worker.info.id)
            self.emit(Send(worker.manager, Recall(worker=worker.info.id, attempts=tuple(attempt.id for attempt in fresh))))

    def _resend(self, now: Now) -> None:
        farm = self.farm
        if not self._to_send_again and now.mono >= self._send_again:
            self._send_again = now.mono + self.policy.resend / 5
            self._to_send_again = deque(farm.unanswered)
        for _ in range(min(_ATTEMPTS_A_ROUND, len(self._to_send_again))):
            attempt_id = self._to_send_again.popleft()
            attempt = farm.attempts.get(attempt_id)
            if attempt is None or self._is_answered(attempt):
                farm.unanswered.pop(attempt_id, None)
                continue
            worker = farm.workers.get(attempt.worker)
            if worker is None or now.mono - attempt.sent < self.policy.resend:
                continue
            if attempt.canceling:
                message = Cancel(worker=attempt.worker, attempts=(attempt.id,), reason=attempt.canceling)
                self.emit(Send(worker.manager, message))
            elif not attempt.confirmed and attempt.task in farm.tasks:
                self._grants.add(attempt, farm.tasks[attempt.task], farm.jobs[attempt.job], worker.manager)
            elif attempt.recalling is not None and not attempt.started:
                self.emit(Send(worker.manager, Recall(worker=attempt.worker, attempts=(attempt.id,))))
            else:
                continue
            attempt.sent = now.mono
        self._grants.send()

    @staticmethod
    def _is_answered(attempt: AttemptState) -> bool:
        recalled = attempt.recalling is not None and not attempt.started
        return attempt.confirmed and not attempt.canceling and not recalled

    def _wake_delayed(self, job: JobState, now: Now) -> None:
        running = {self.farm.attempts[attempt].task for attempt in job.live}
        if ready := [worker for worker, (until, _) in job.put_off.items() if until <= now.mono]:
            for worker in ready:
                del job.put_off[worker]
            self.farm.changed_jobs.add(job.id)
        refusals = job.refusals
        if (due := refusals.due()) is not None and due <= now.mono:
            if refusals.rests_until is not None:
                refusals.rests_until = None
            elif job.begun:
                self.jobs.can_begin(job, now)
            else:
                refusals.tries_until = None
            self.farm.changed_jobs.add(job.id)
        over = [entry for entry in job.delayed if entry[0] <= now.mono and entry[1] not in running]
        if over:
            job.delayed = [entry for entry in job.delayed if entry[0] > now.mono or entry[1] in running]
            self.farm.changed_jobs.add(job.id)
            for _, task_id in over:
                if task_id in self.farm.tasks:
                    queue_again(self.farm, job, self.farm.tasks[task_id])


def _rests(job: JobState) -> bool:
    return job.refusals.rests_until is not None and job.status in OPEN_JOB
