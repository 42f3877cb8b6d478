"""Who is given what, in the server's core: grants, recalls, and both sent again until they are answered. Pure.

What is decided, and why not, is `brender.scheduling.decide`'s; here it is carried out. Hot path, watched by
benchmarks.dispatch: a round looks at the slots that changed since the last one, and at all of them only where something
changed that may concern any.
"""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from brender.bus.messages import Cancel, Grants, Recall
from brender.model.changes import NewRows, UpdateRows
from brender.model.grant import Grant, Order, PartGrant
from brender.model.status import TASK_TRANSITIONS, JobStatus, Outcome, TaskStatus, WorkerStatus, change
from brender.roles.effects import Now, Record, Send
from brender.roles.policy import Policy
from brender.roles.server.jobs import Emit, Jobs
from brender.roles.server.stages import grow
from brender.roles.server.state import AttemptState, Farm, JobState, TaskState, WorkerState
from brender.scheduling.decide import Demand, Held, Slot, assign, explain, take_back
from brender.scheduling.stragglers import Running, repeats

#: Seconds between two looks at all slots, for each slot there is: a large farm looks at all less often.
_LOOK_SECONDS_A_SLOT = 50e-6
#: The same for explanations, for each pair of a waiting job and a slot.
_EXPLAIN_SECONDS_A_PAIR = 20e-6
_GRANTS_A_MESSAGE = 500
_OPEN = (WorkerStatus.IDLE, WorkerStatus.BUSY)


class Dispatch:
    """Works on *farm*; *new_attempt_id* makes the ids of attempts; what must happen outside goes to *emit*."""

    def __init__(self, farm: Farm, policy: Policy, jobs: Jobs, emit: Emit, new_attempt_id: Callable[[], str]) -> None:
        self.farm = farm
        self.policy = policy
        self.jobs = jobs
        self.emit = emit
        self.new_attempt_id = new_attempt_id
        self._granted: list[tuple[Any, ...]] = []
        """Rows of the attempts that were granted in this round."""
        self._absorbed: list[tuple[TaskState, TaskState]] = []
        """Tasks whose parts went into others in this round, with those others."""
        self._newer: dict[str, bool] = {}
        """By job, whether some worker loses nothing of its .blend (`Demand.newer`); asked again when all slots are looked at."""
        self._look_at_all = self._explain = self._send_again = self._look_for_stragglers = 0.0

    def dispatch(self, now: Now) -> None:
        """Give what can be given, ask back what should be elsewhere, send again what was not confirmed."""
        farm = self.farm
        for job in farm.jobs.values():
            if job.delayed:
                self._wake_delayed(job, now)
        everything = farm.stirred and now.mono >= self._look_at_all
        if everything:
            farm.stirred = False
            self._newer.clear()
            self._look_at_all = now.mono + _LOOK_SECONDS_A_SLOT * len(farm.workers)
            candidates = list(farm.workers.values())
        else:
            candidates = [farm.workers[each] for each in sorted(farm.changed) if each in farm.workers]
        farm.changed.clear()
        if candidates:
            demands = self._demands()
            self._assign(demands, candidates, now)
            if everything:
                self._take_back(demands, now)
            elif any(not worker.attempts for worker in candidates) and self._anything_waits():
                farm.stirred = True
        self._repeat_stragglers(now)
        if now.mono >= self._send_again:
            self._send_again = now.mono + self.policy.resend / 5
            self._resend(now)

    def explain_waiting(self, now: Now) -> None:
        """Say on each job that has work and none of it running why that is so. Now and then."""
        if now.mono < self._explain:
            return
        open_statuses = (JobStatus.QUEUED, JobStatus.ACTIVE)
        silent = [job for job in self.farm.jobs.values() if job.status in open_statuses and not job.live]
        self._explain = now.mono + max(1.0, _EXPLAIN_SECONDS_A_PAIR * len(silent) * len(self.farm.workers))
        slots = [self._slot(worker, now) for worker in self.farm.workers.values()] if silent else []
        for job in silent:
            reason = explain(self._demand(job), slots) if job.queued else ""
            if self.policy.only_job not in ("", job.id):
                reason = "The farm that runs now renders one other job only. `brender farm` renders this one"
            elif job.delayed and not job.queued:
                reason = "Its failed tasks are tried again in a moment"
            if reason or job.status is JobStatus.QUEUED:
                self.jobs.set_status(job, JobStatus.QUEUED, reason, now)

    def is_able(self, job: JobState, worker: WorkerState) -> bool:
        """Whether *worker* could run tasks of *job*."""
        return not self._demand(job).obstacle(worker.info)

    def recall(self, worker: WorkerState, now: Now, job: str = "") -> None:
        """Ask back what waits at *worker*, or only what is of *job*."""
        attempts = [self.farm.attempts[each] for each in worker.attempts]
        self._recall(worker, [a for a in attempts if not a.started and job in ("", a.job)], now)

    def send_again(self, attempt: AttemptState) -> None:
        """Send what *attempt* waits for again in this round."""
        attempt.sent = float("-inf")
        self._send_again = float("-inf")

    # --- inside ---------------------------------------------------------------------------------------------------------

    def _demand(self, job: JobState) -> Demand:
        demand = self._plain_demand(job)
        if job.need.oldest_blender is not None:
            demand.newer = self._has_newer(demand)
        return demand

    def _has_newer(self, demand: Demand) -> bool:
        """Return whether a worker that takes tasks could run the demand's without losing data of its .blend."""
        found = self._newer.get(demand.job)
        if found is None:
            found = any(worker.status in _OPEN and demand.loses_nothing(worker.info) for worker in self.farm.workers.values())
            self._newer[demand.job] = found
        return found

    def _plain_demand(self, job: JobState) -> Demand:
        return Demand(
            job.id,
            job.priority,
            job.order,
            len(job.live),
            job.queued,
            job.need,
            job.mean_task_seconds(len(self.farm.workers)),
            job.kept_off,
            job.memory,
            self.farm.paths if job.need.variables else (),
        )

    def _demands(self) -> list[Demand]:
        open_jobs = [job for job in self.farm.jobs.values() if job.status in (JobStatus.QUEUED, JobStatus.ACTIVE)]
        return [self._demand(job) for job in open_jobs if self.policy.only_job in ("", job.id)]

    def _slot(self, worker: WorkerState, now: Now) -> Slot:
        return Slot(worker.info, worker.status in _OPEN and now.mono >= worker.closed_until, len(worker.attempts), worker.free)

    def _anything_waits(self) -> bool:
        return any(len(worker.attempts) > 1 for worker in self.farm.workers.values())

    def _assign(self, demands: list[Demand], candidates: Iterable[WorkerState], now: Now) -> None:
        grants: dict[str, list[Grant]] = {}
        orders: dict[str, dict[str, Order]] = {}
        for take in assign(demands, [self._slot(worker, now) for worker in candidates], len(self.farm.workers)):
            worker, job = self.farm.workers[take.worker], self.farm.jobs[take.job]
            if not job.queued:
                # Tasks that were given out before it in this round had grown, and took the last ones.
                self.farm.changed.add(take.worker)
                continue
            grants.setdefault(worker.manager, []).append(self._grant(job, worker, now))
            self._add_order(orders, worker.manager, job)
        if self._absorbed:
            parts = [(into.id, part.id) for other, into in self._absorbed for part in other.parts]
            gone = [(other.status, f"its frames went into task {into.number}", other.id) for other, into in self._absorbed]
            self.emit(Record(UpdateRows("part", ("task",), parts)))
            self.emit(Record(UpdateRows("task", ("status", "reason"), gone)))
            self._absorbed = []
        self._record_grants()
        self._send_grants(grants, orders)

    def _record_grants(self) -> None:
        if self._granted:
            self.emit(Record(UpdateRows("task", ("status",), [(TaskStatus.ACTIVE, row[2]) for row in self._granted])))
            self.emit(Record(NewRows("attempt", ("job", "task", "worker", "manager", "outcome", "granted"), self._granted)))
            self._granted = []

    def _repeat_stragglers(self, now: Now) -> None:
        """Let idle workers repeat what holds up a job that has nothing else left to give. Now and then."""
        if now.mono < self._look_for_stragglers:
            return
        idle = [w for w in self.farm.workers.values() if not w.attempts and self._slot(w, now).open]
        if not idle:
            return
        self._look_for_stragglers = now.mono + 1.0
        running = [each for job in self.farm.jobs.values() for each in self._only_attempts(job, now)]
        grants: dict[str, list[Grant]] = {}
        orders: dict[str, dict[str, Order]] = {}
        for attempt_id, worker_id in repeats(running, [worker.info.id for worker in idle], self._is_able_now):
            task, worker = self.farm.tasks[self.farm.attempts[attempt_id].task], self.farm.workers[worker_id]
            task.repeated = True
            job = self.farm.jobs[task.job]
            grants.setdefault(worker.manager, []).append(self._give(task, job, worker, now))
            self._add_order(orders, worker.manager, job)
        self._record_grants()
        self._send_grants(grants, orders)

    def _only_attempts(self, job: JobState, now: Now) -> list[Running]:
        """The running attempts of *job* that could be repeated: where it has given out all its tasks."""
        mean = job.mean_part_seconds
        elsewhere = job.cursor < job.planned - 1 or job.planned < job.task_count
        if mean is None or job.queued or job.delayed or elsewhere or not job.type.may_repeat(job.spec):
            return []
        if job.status is not JobStatus.ACTIVE or self.policy.only_job not in ("", job.id):
            return []
        found = []
        for task_id in sorted(job.tasks):
            task = self.farm.tasks[task_id]
            attempts = [self.farm.attempts[each] for each in task.attempts]
            if task.repeated or len(attempts) != 1 or attempts[0].canceling:
                continue
            if job.type.waits_for(job.spec, task.number):
                continue  # it is another kind of work than the frames, whose time tells nothing of its own
            if (began := attempts[0].began) is not None:
                expected = mean * len(task.parts)
                found.append(Running(attempts[0].id, job.id, attempts[0].worker, now.mono - began, expected))
        return found

    def _is_able_now(self, job: str, worker: str) -> bool:
        state = self.farm.workers[worker]
        return not self._demand(self.farm.jobs[job]).obstacle(state.info, state.free)

    def _take_back(self, demands: list[Demand], now: Now) -> None:
        """Recall for idle slots and urgent jobs, where there can be any such."""
        wanting = [demand.priority for demand in demands if demand.queued > 0]
        lowest = min((job.priority for job in self.farm.jobs.values() if job.live), default=101)
        idle = any(not worker.attempts and worker.status in _OPEN for worker in self.farm.workers.values())
        if not ((idle or max(wanting, default=-1) > lowest) and self._anything_waits()):
            return
        slots = [self._slot(worker, now) for worker in self.farm.workers.values()]
        for slot in slots:
            slot.waiting = self._waiting(self.farm.workers[slot.worker.id])
        back: dict[str, list[AttemptState]] = {}
        for move in take_back(demands, slots):
            back.setdefault(move.worker, []).append(self.farm.attempts[move.attempt])
        for worker, attempts in back.items():
            self._recall(self.farm.workers[worker], attempts, now)

    def _waiting(self, worker: WorkerState) -> list[Held]:
        """The grants of a worker beyond the one that it runs, or is about to."""
        waiting = [attempt for each in worker.attempts if not (attempt := self.farm.attempts[each]).started]
        if not worker.running:
            del waiting[:1]
        return [Held(a.id, a.job, self.farm.jobs[a.job].priority, a.recalling is not None) for a in waiting]

    def _grant(self, job: JobState, worker: WorkerState, now: Now) -> Grant:
        task = self.farm.tasks[job.next_task()]
        wanted = job.chunk(len(self.farm.workers))
        if wanted > 1:
            self._absorbed += grow(self.farm, job, task, wanted)
        task.granted = True
        return self._give(task, job, worker, now)

    def _give(self, task: TaskState, job: JobState, worker: WorkerState, now: Now) -> Grant:
        task.status = change(TASK_TRANSITIONS, "task", task.status, TaskStatus.ACTIVE)
        attempt = AttemptState(
            self.new_attempt_id(), task.id, job.id, worker.info.id, sent=now.mono, incarnation=worker.info.incarnation
        )
        attempt.repeats = bool(task.attempts)
        self.farm.attempts[attempt.id] = attempt
        task.attempts.append(attempt.id)
        job.live.add(attempt.id)
        worker.attempts[attempt.id] = None
        self.farm.changed.add(worker.info.id)
        self._granted.append((attempt.id, job.id, task.id, worker.info.id, worker.manager, Outcome.LIVE, now.wall))
        return self._grant_message(attempt, task)

    def _add_order(self, orders: dict[str, dict[str, Order]], manager: str, job: JobState) -> None:
        """Have the order of *job* among those for *manager*."""
        known = orders.setdefault(manager, {})
        if job.id not in known:
            order = job.order_for_workers
            known[job.id] = msgspec.structs.replace(order, paths=self.farm.paths) if self.farm.paths else order

    def _grant_message(self, attempt: AttemptState, task: TaskState) -> Grant:
        return Grant(
            attempt=attempt.id,
            worker=attempt.worker,
            term=self.farm.workers[attempt.worker].term,
            task=task.id,
            job=task.job,
            repeats=attempt.repeats,
            pieces=self.farm.jobs[task.job].merges(task.number) if self.farm.jobs[task.job].pieces else (),
            parts=tuple(
                PartGrant(id=p.id, frame=p.frame, output=p.output, piece=p.piece, layer=p.layer) for p in task.parts if not p.done
            ),
        )

    def _recall(self, worker: WorkerState, attempts: Iterable[AttemptState], now: Now) -> None:
        fresh = [attempt for attempt in attempts if attempt.recalling is None]
        for attempt in fresh:
            attempt.recalling = attempt.sent = now.mono
        if fresh:
            self.emit(Send(worker.manager, Recall(worker=worker.info.id, attempts=tuple(attempt.id for attempt in fresh))))

    def _resend(self, now: Now) -> None:
        grants: dict[str, list[Grant]] = {}
        orders: dict[str, dict[str, Order]] = {}
        for attempt in self.farm.attempts.values():
            worker = self.farm.workers.get(attempt.worker)
            if worker is None or now.mono - attempt.sent < self.policy.resend:
                continue
            if attempt.canceling:
                message = Cancel(worker=attempt.worker, attempts=(attempt.id,), reason=attempt.canceling)
                self.emit(Send(worker.manager, message))
            elif not attempt.confirmed and attempt.task in self.farm.tasks:
                grants.setdefault(worker.manager, []).append(self._grant_message(attempt, self.farm.tasks[attempt.task]))
                self._add_order(orders, worker.manager, self.farm.jobs[attempt.job])
            elif attempt.recalling is not None and not attempt.started:
                self.emit(Send(worker.manager, Recall(worker=attempt.worker, attempts=(attempt.id,))))
            else:
                continue
            attempt.sent = now.mono
        self._send_grants(grants, orders)

    def _send_grants(self, grants: dict[str, list[Grant]], orders: dict[str, dict[str, Order]]) -> None:
        """Send *grants* and the *orders* that they need, both by manager, in messages of a bounded size."""
        for manager, given in grants.items():
            for start in range(0, len(given), _GRANTS_A_MESSAGE):
                some = tuple(given[start : start + _GRANTS_A_MESSAGE])
                jobs = {grant.job for grant in some}
                needed = tuple(order for job, order in orders[manager].items() if job in jobs)
                self.emit(Send(manager, Grants(grants=some, orders=needed)))

    def _wake_delayed(self, job: JobState, now: Now) -> None:
        running = {self.farm.attempts[attempt].task for attempt in job.live}
        due = [entry for entry in job.delayed if entry[0] <= now.mono and entry[1] not in running]
        if due:
            job.delayed = [entry for entry in job.delayed if entry not in due]
            for _, task_id in due:
                if task_id in self.farm.tasks:
                    self.jobs.enqueue(job, self.farm.tasks[task_id])
