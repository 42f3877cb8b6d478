"""Edits of jobs in the server's core: each is one transition, to the next revision of its job. Pure.

What runs and would look otherwise is stopped and queued again; what is done and would is queued again slice by slice, as by a
requeue. Tasks keep their numbers (`brender.jobs.edits`).
"""

from collections.abc import Callable, Iterable

import msgspec

from brender.bus.messages import Cancel
from brender.farm.farm import Farm
from brender.farm.job_plugin import JobTypeFailed, guarded
from brender.farm.jobs import JobState
from brender.farm.output_owners import may_own
from brender.farm.stages import queue_again
from brender.farm.sweep import Sweep
from brender.farm.sweeps import ALL_ENDED, rename
from brender.jobs.declare import JobType, job_type, requirements_of
from brender.jobs.edits import Revised, revise
from brender.model.edit import Edit
from brender.model.errors import BadInput, Conflict
from brender.model.job import Requirements
from brender.model.output import Output
from brender.model.quotas import QuotaKind, check_licence
from brender.model.status import ENDED_JOB, JobStatus
from brender.model.text import short_id
from brender.model.units import passes_of
from brender.roles.effects import Now, Send
from brender.roles.server.activity import ActivityLog
from brender.roles.server.jobs import PARTS_MOST, Emit, Jobs, Selection, check_series, check_submitted


class Editing:
    """Edits jobs of *farm*; *recall* asks back what waits of a job at its workers."""

    def __init__(
        self, farm: Farm, jobs: Jobs, activity: ActivityLog, emit: Emit, recall: Callable[[JobState, Now], None]
    ) -> None:
        self.farm = farm
        self.jobs = jobs
        self.activity = activity
        self.emit = emit
        self._recall = recall

    def edit(self, job: JobState, edit: Edit, now: Now, user: str) -> None:
        """Let *job* be what *edit* makes of it. Raises `BadInput` or `Conflict`, with nothing changed."""
        try:
            self._edit(job, guarded(job_type(job.spec.job_type), job.id, may_refuse=True), edit, now, user)
        except JobTypeFailed as failure:
            raise BadInput(str(failure)) from failure

    def _edit(self, job: JobState, kind: JobType, edit: Edit, now: Now, user: str) -> None:
        before = job.spec
        known = msgspec.structs.replace(before, priority=job.priority)
        revised = revise(kind, known, edit)
        spec, counts = revised.spec, (kind.task_count(revised.spec), kind.part_count(revised.spec))
        check_submitted(spec)
        for name in set(spec.sharing.licences).difference(before.sharing.licences):
            check_licence(self.farm.usages.quota(QuotaKind.LICENCE, name), name)
        if not spec.project.strip():
            raise BadInput("The project's name is empty: give one with --project")
        if counts[1] > PARTS_MOST:
            raise BadInput(f"So many frames, {counts[1]:,}, no job can have: at most {PARTS_MOST:,}")
        if not revised.said:
            raise Conflict(f"The job {job.called} is so already: nothing is changed")
        grows, ended = counts[0] > job.task_count, job.status in ENDED_JOB
        self._check_time(job, edit, revised, grows)
        need = self._need(job, kind, revised)
        owned = may_own(self.farm, spec, kind)
        if revised.renames and edit.from_now_on:
            raise BadInput("The files of this job's frames get other names: leave --from-now-on out, and all are rendered again")
        again = revised.pictures and not edit.from_now_on and (job.completed_parts > 0 or job.ended_tasks > 0)
        if revised.pictures:
            self._stop(job, f"the job was edited: {revised.said}", now)
        job.revise(msgspec.structs.replace(spec, warnings=before.warnings), need, *counts)
        if revised.pictures:
            job.measured.clear()
            if spec.settings.get("keep"):
                job.overwrite()  # what a stopped attempt has left is of the revision before
        for warning in spec.warnings:
            job.warn(warning)
        ledger = self.farm.ledger
        ledger.put("project", spec.project, {})
        fields = {"settings": spec.settings, "user": user, "wall": now.wall, "said": revised.said}
        ledger.insert("job_revision", (job.id, job.revision), fields)
        self.farm.needs_changed(job)
        if spec.sharing != before.sharing:
            self._recall(job, now)  # what waits at workers is given out again as it is now
        self.activity.note(now, "edit", f"edited {before.name}: {revised.said}", job.id, user)
        if revised.renames:
            self._rename(job, owned, now, user)
        elif again:
            self.jobs.requeue(job, Selection(ALL_ENDED), now, user)
        elif grows:
            self.jobs.adopt(job, owned)
            if ended:
                self.jobs.set_status(job, JobStatus.QUEUED, "", now)

    def _rename(self, job: JobState, owned: tuple[Output, ...], now: Now, user: str) -> None:
        """Have all frames of *job* made again, as files of the names that it has now. Those of before stay where they are."""
        for output in owned:
            if output[1]:
                self.farm.ledger.put("output_owner", output, {"job": job.id})
        self.jobs.adopt(job, owned)
        job.failures = 0
        job.recent.clear()
        for task in map(self.farm.tasks.__getitem__, job.tasks):
            rename(job, task, [part for part in task.parts if not part.done])  # it may be given out before it is swept
        if job.planned:
            job.sweeps.append(Sweep("requeue", statuses=ALL_ENDED, renames=True, user=user))
            job.touch()
        if job.status in ENDED_JOB:
            self.jobs.set_status(job, JobStatus.QUEUED, "", now)

    @staticmethod
    def _check_time(job: JobState, edit: Edit, revised: Revised, grows: bool) -> None:
        """Raise `Conflict` or `BadInput` where *job* stands so that the edit makes no sense."""
        if grows and job.status in (JobStatus.FAILED, JobStatus.CANCELED):
            raise Conflict(
                f"The job {job.called} is {job.status}: queue it again first (`brender requeue {short_id(job.id)}`), and add "
                "frames then"
            )
        if not (revised.pictures and edit.from_now_on):
            return
        if job.status in ENDED_JOB:
            raise Conflict(f"The job {job.called} is {job.status} already: no frame of it is to come")
        settings = revised.spec.settings
        if settings.get("pieces") or settings.get("denoise_after") or passes_of(settings):
            raise BadInput(
                "Each picture of this job is made of several renders, which must be alike: leave --from-now-on out, and all is "
                "rendered again"
            )

    @staticmethod
    def _need(job: JobState, kind: JobType, revised: Revised) -> Requirements:
        """Return what workers need for *job* as it is *revised*. Raises `BadInput`."""
        need = requirements_of(kind, revised.spec)
        check_series(need)
        # The series that was chosen for what is done stays, unless all is rendered with another.
        return need if "blender" in revised.changed else msgspec.structs.replace(need, series=job.need.series)

    def _stop(self, job: JobState, reason: str, now: Now) -> None:
        """Have what runs of *job* stop, and queue it again: that is no failure."""
        farm = self.farm
        stopped = [farm.attempts[each] for each in sorted(job.live) if not farm.attempts[each].canceling]
        for attempt in stopped:
            task = farm.tasks.get(attempt.task)
            if task is not None and attempt.id in task.attempts:
                task.attempts.remove(attempt.id)
                if not task.attempts:
                    task.queue_again()
                    job.stopping.add(task.id)
                    queue_again(farm, job, task)
            attempt.cancel(reason)
            attempt.sent = now.mono
            farm.unanswered[attempt.id] = None
        self._tell((attempt.worker, attempt.id) for attempt in stopped)
        if stopped and job.status is JobStatus.ACTIVE:
            self.jobs.set_status(job, JobStatus.QUEUED, "", now)

    def _tell(self, stopped: Iterable[tuple[str, str]]) -> None:
        by_worker: dict[str, list[str]] = {}
        for worker, attempt in stopped:
            by_worker.setdefault(worker, []).append(attempt)
        for worker, attempts in by_worker.items():
            self.farm.changed.add(worker)
            reason = self.farm.attempts[attempts[0]].canceling
            cancel = Cancel(worker=worker, attempts=tuple(attempts), reason=reason)
            self.emit(Send(self.farm.workers[worker].manager, cancel))
