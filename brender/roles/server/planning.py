"""The tasks of jobs, created and loaded in slices as they come near their turn. Pure."""

from collections.abc import Callable, Iterable

from brender.farm.farm import Farm
from brender.farm.jobs import JobState
from brender.farm.stages import release
from brender.farm.tasks import PartState, TaskState
from brender.model.status import ENDED_JOB, TaskStatus
from brender.roles.effects import Effect, LoadTasks, Now
from brender.roles.policy import Policy
from brender.roles.server.jobs import Jobs


class Planning:
    """Lets the unfinished jobs of *farm* have enough queued tasks in memory, and no more than they need."""

    def __init__(self, farm: Farm, policy: Policy, jobs: Jobs, emit: Callable[[Effect], None]) -> None:
        self.farm = farm
        self.policy = policy
        self.jobs = jobs
        self.emit = emit
        self._watched = dict.fromkeys(farm.jobs)
        """Jobs that run short of tasks, or may do so without a change of theirs that the scheduler is told of."""

    def plan(self, now: Now) -> None:
        """Create tasks of unfinished jobs, or load them, one slice a call, as they come near their turn."""
        budget = self.policy.plan_slice
        short = self._short_ones()
        for job in sorted(short, key=lambda job: (-job.priority, job.order)):
            if job.cursor < job.planned - 1:
                job.loading = True
                self.emit(LoadTasks(job.id, job.cursor))
                continue
            upto = min(job.task_count, job.planned + budget)
            budget -= upto - job.planned
            if upto != job.planned:
                self._plan_tasks(job, range(job.planned, upto))
                if job.held:  # all that it waits for may have ended already
                    release(self.farm, job)
                self.jobs.settle(job, now)

    def _short_ones(self) -> list[JobState]:
        """Return the jobs that run short. Only those that changed are looked at, and those that may run short since then."""
        self._watched.update(dict.fromkeys(self.farm.changed_jobs))
        self._watched.update(dict.fromkeys(self.farm.granted_jobs))
        self.farm.granted_jobs.clear()
        short = []
        for job_id in list(self._watched):
            job = self.farm.jobs.get(job_id)
            if job is None or not self._may_run_short(job):
                del self._watched[job_id]
            elif self._runs_short(job):
                short.append(job)
        return short

    def audit(self) -> list[str]:
        """Return which jobs run short and are not looked at, a sentence each; for tests."""
        seen = self._watched.keys() | self.farm.changed_jobs | self.farm.granted_jobs
        missed = [job.id for job in self.farm.jobs.values() if self._runs_short(job) and job.id not in seen]
        return [f"nothing more of the job {each} would be planned" for each in missed]

    def _may_run_short(self, job: JobState) -> bool:
        """Return whether *job* has tasks that are not in memory, and has not so many queued ones that it must change before it
        needs more."""
        elsewhere = job.cursor < job.planned - 1 or job.planned < job.task_count
        return elsewhere and job.status not in ENDED_JOB and job.queued < self.policy.plan_ahead

    def _runs_short(self, job: JobState) -> bool:
        """Return whether *job* has tasks that are not in memory, and not enough that are."""
        if not self._may_run_short(job) or job.loading or job.sweeps or job.closed:
            return False
        # What is held waits for tasks before it, which are in memory then.
        return len(job.held) < self.policy.plan_ahead or job.cursor < job.held_upto

    def feed(self, job_id: str, tasks: list[TaskState], after: int, now: Now) -> None:
        """The record's answer to a `LoadTasks`: queued tasks after number *after*, in order; fewer than a slice means that
        there are no more."""
        job = self.farm.jobs.get(job_id)
        if job is None:
            return
        job.loading = False
        self.farm.changed_jobs.add(job_id)
        if job.cursor != after:
            return  # it was requeued meanwhile, and will be read again
        running = {attempt.task for attempt in self.farm.attempts.values()}
        for task in [task for task in tasks if task.id not in self.farm.tasks]:
            self.farm.keep_recorded(task)
            if not task.parts:  # every part of it was done before it was queued again
                task.complete()
                self.farm.drop(job, task)
                continue
            self.farm.hold_in_memory(job, task)
            if task.id in running:
                # An attempt that was canceled has not ended yet: two at once would write one file.
                job.stopping.add(task.id)
            if job.graph.stage(task.number).after or job.waits_by_frame:
                job.dependencies.hold(task, job.waits_by_frame)
            else:
                if task.status is TaskStatus.WAITING:  # for a job that it need not wait for any more
                    task.release()
                self.farm.enqueue(job, task)
        job.cursor = tasks[-1].number if len(tasks) >= self.policy.plan_slice else job.planned - 1
        release(self.farm, job)
        self.jobs.settle(job, now)

    def _plan_tasks(self, job: JobState, numbers: Iterable[int]) -> None:
        """Let the tasks *numbers* of *job* have rows, but for those without frames. Hot path, watched by benchmarks.dispatch."""
        farm, spec, by_frame = self.farm, job.spec, job.waits_by_frame
        planned = [(number, job.type.task(spec, number).parts) for number in numbers]
        job.pass_over(sum(not parts for _, parts in planned))
        for number, parts in planned:
            if not parts:
                continue
            waits = bool(job.graph.stage(number).after) or by_frame
            status = TaskStatus.WAITING if waits else TaskStatus.QUEUED
            task = farm.keep(TaskState(farm.next_task, job.id, number, [], status))
            farm.next_task += 1
            for plan in parts:
                part = PartState(
                    farm.next_part, plan.frame, plan.output, plan.piece, plan.layer, job.id, task.id, plan.scene, plan.view
                )
                farm.next_part += 1
                task.parts.append(farm.keep(part))
            farm.hold_in_memory(job, task)
            if waits:
                job.dependencies.hold(task, by_frame)
            else:
                farm.enqueue(job, task)
        job.planned = planned[-1][0] + 1
        job.cursor = job.planned - 1
        job.touch()
