"""Edits of jobs in the server's core: each is one transition, to the next revision of its job. Pure.

Running attempts whose pictures would change are stopped and queued again. Finished frames that would change are queued again
slice by slice, as by a requeue. Tasks keep their numbers (`brender.jobs.edits`). `brender.farm.left_out` takes frames out.
"""

from collections.abc import Callable, Iterable

import msgspec

from brender.bus.messages import Cancel
from brender.farm.farm import Farm
from brender.farm.job_plugin import JobTypeFailed, guarded
from brender.farm.jobs import JobState
from brender.farm.left_out import leave_out, stages_of_frames
from brender.farm.output_owners import may_own
from brender.farm.stopping import stop
from brender.farm.sweep import Sweep
from brender.farm.sweeps import ALL_ENDED, rename
from brender.farm.tasks import AttemptState
from brender.jobs.declare import JobType, job_type, requirements_of
from brender.jobs.edits import Revised, revise
from brender.model.edit import Edit
from brender.model.errors import BadInput, Conflict
from brender.model.job import Requirements
from brender.model.output import Output
from brender.model.passes import passes_of
from brender.model.quotas import QuotaKind, check_licence
from brender.model.ranges import Ranges
from brender.model.sharing import pool_warnings
from brender.model.status import ENDED_JOB, JobStatus
from brender.model.text import plural, short_id, some_of
from brender.roles.effects import Now, Send
from brender.roles.server.activity import ActivityLog
from brender.roles.server.jobs import PARTS_MOST, Emit, Jobs, Selection, check_series, check_submitted

#: Returns of how many of these frames of a job something is rendered.
Rendered = Callable[[Ranges], int]


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

    def edit(self, job: JobState, edit: Edit, now: Now, user: str, rendered: Rendered) -> None:
        """Change *job* as *edit* says. *rendered* counts its rendered frames. Raises `BadInput` or `Conflict`, with nothing
        changed."""
        try:
            self._edit(job, guarded(job_type(job.spec.job_type), job.id, may_refuse=True), edit, now, user, rendered)
        except JobTypeFailed as failure:
            raise BadInput(str(failure)) from failure

    def _edit(self, job: JobState, kind: JobType, edit: Edit, now: Now, user: str, rendered: Rendered) -> None:
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
        self._check_time(job, kind, edit, revised, grows)
        need = self._need(job, kind, revised)
        owned = may_own(self.farm, spec, kind)
        if revised.renames and edit.from_now_on:
            raise BadInput("The files of this job's frames get other names: leave --from-now-on out, and all are rendered again")
        said = revised.said + self._said_of_frames(job, revised, grows, rendered)
        keeps = self._kept(job, kind, revised)
        if revised.pictures:
            self._stop(job, f"the job was edited: {revised.said}", keeps, now)
        leaving = revised.gone or any(sweep.what == "leave-out" for sweep in job.sweeps)
        parts = max(job.part_count, counts[1]) if leaving else counts[1]  # (until those that are gone are counted no more)
        job.revise(msgspec.structs.replace(spec, warnings=before.warnings), need, counts[0], parts)
        if revised.pictures:
            job.measured.clear()
            if spec.settings.get("keep"):
                job.overwrite()  # what a stopped attempt leaves belongs to the earlier revision
        pools = [worker.info.pool for worker in self.farm.workers.values()]
        of_pool = pool_warnings(spec.sharing.pool, pools) if spec.sharing.pool != before.sharing.pool else []
        for warning in (*spec.warnings, *of_pool):
            job.warn(warning)
        ledger = self.farm.ledger
        ledger.put("project", spec.project, {})
        fields = {"settings": spec.settings, "user": user, "wall": now.wall, "said": said}
        ledger.insert("job_revision", (job.id, job.revision), fields)
        self.farm.needs_changed(job)
        if spec.sharing != before.sharing:
            self._recall(job, now)  # tasks that wait at workers are given out again as they are now
        self.activity.note(now, "edit", f"edited {before.name}: {said}", job.id, user)
        if revised.gone or (grows and self._makes_of_all(job)):
            self._leave_out(job, now)
        if revised.renames:
            self._rename(job, owned, now, user)
        elif revised.pictures and not edit.from_now_on and (job.completed_parts > 0 or job.ended_tasks > 0):
            self.jobs.requeue(job, Selection(ALL_ENDED, of_edit=True, keeps=keeps), now, user)
        elif grows or (revised.gone and ended and self._makes_of_all(job)):
            self.jobs.adopt(job, owned)
            if ended:
                self.jobs.set_status(job, JobStatus.QUEUED, "", now)

    def _leave_out(self, job: JobState, now: Now) -> None:
        """Take the frames that *job* no longer has out of its tasks, and what it makes of all frames out of those that are not
        the last to make it: those in memory now, the others slice by slice."""
        self._tell(leave_out(self.farm, job, now.mono))
        if job.status is JobStatus.ACTIVE and all(self.farm.attempts[each].canceling for each in job.live):
            self.jobs.set_status(job, JobStatus.QUEUED, "", now)
        if job.planned:
            job.sweeps.insert(0, Sweep("leave-out", statuses=ALL_ENDED, stages=stages_of_frames(job)))
            job.touch()
        else:
            job.count_parts()

    @staticmethod
    def _makes_of_all(job: JobState) -> bool:
        """Return whether *job* makes something of all its frames, such as a film."""
        touched = frozenset(stages_of_frames(job))
        return any(job.graph.is_remade(place, touched) for place in range(len(job.graph.stages)))

    def _said_of_frames(self, job: JobState, revised: Revised, grows: bool, rendered: Rendered) -> str:
        """Return what happens to the frames that are taken out of *job*, and to its film, as the end of a sentence; "": nothing.
        *grows*: others are added."""
        said, folder = "", job.spec.output
        if count := rendered(revised.gone) if revised.gone else 0:
            that, s = f"{plural(count, 'frame')} that {'was' if count == 1 else 'were'} rendered already", "s" * (count == 1)
            said = f"; {that} stay{s} in {folder}" if folder else f"; {that} no longer count{s}"
        if (revised.gone or grows) and (film := job.spec.settings.get("film")):
            said += f"; the film keeps its name, {film}"
        awaited = self.farm.awaited.get(job.id)
        waiting = [each for each in map(self.farm.jobs.get, awaited.waiting if awaited is not None else ()) if each is not None]
        if revised.gone and (names := sorted(each.spec.name for each in waiting if each.waits_by_frame)):
            said += f"; what waits for such a frame in {some_of(names)} waits until all of this job is done"
        return said

    def _rename(self, job: JobState, owned: tuple[Output, ...], now: Now, user: str) -> None:
        """Queue all frames of *job* again, under the names that it has now. The earlier files stay where they are."""
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
    def _check_time(job: JobState, kind: JobType, edit: Edit, revised: Revised, grows: bool) -> None:
        """Raise `Conflict` or `BadInput` if the edit makes no sense at the present status of *job*."""
        if (grows or revised.gone) and job.status in (JobStatus.FAILED, JobStatus.CANCELED):
            raise Conflict(
                f"The job {job.called} is {job.status}: queue it again first (`brender requeue {short_id(job.id)}`), and change "
                "its frames then"
            )
        if grows and job.frames_deleted is not None and getattr(kind, "first_serves_all", False):
            raise Conflict(
                f"The frames of the job {job.called} were deleted, and with them what it made first: `brender requeue "
                f"{short_id(job.id)} --all` makes all of it again, and frames can be added then"
            )
        if grows and any(sweep.what == "leave-out" for sweep in job.sweeps):
            raise Conflict(f"The frames of the job {job.called} are just being changed: add others in a moment")
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

    @staticmethod
    def _kept(job: JobState, kind: JobType, revised: Revised) -> tuple[str, ...]:
        """Return the stages of *job* that are as good as before where frames look otherwise: what is made first and serves all of
        them, such as a bake, unless another Blender is to make it or it was deleted with the frames."""
        is_as_before = "blender" not in revised.changed and job.frames_deleted is None
        return (job.graph.stages[0].name,) if getattr(kind, "first_serves_all", False) and is_as_before else ()

    def _stop(self, job: JobState, reason: str, keeps: tuple[str, ...], now: Now) -> None:
        """Stop attempts of *job*, but for those of stages that it *keeps*, and queue their tasks again: that is no failure."""
        attempts = [self.farm.attempts[each] for each in sorted(job.live)]
        going = {each.task for each in attempts if each.task in self.farm.tasks and self._stage(job, each) in keeps}
        stopped = stop(self.farm, job, [each.id for each in attempts if each.task not in going], reason, now.mono)
        self._tell(stopped)
        if stopped and not going and job.status is JobStatus.ACTIVE:
            self.jobs.set_status(job, JobStatus.QUEUED, "", now)

    def _stage(self, job: JobState, attempt: AttemptState) -> str:
        return job.graph.stage(self.farm.tasks[attempt.task].number).name

    def _tell(self, stopped: Iterable[AttemptState]) -> None:
        by_worker: dict[str, list[str]] = {}
        for attempt in stopped:
            by_worker.setdefault(attempt.worker, []).append(attempt.id)
        for worker, attempts in by_worker.items():
            self.farm.changed.add(worker)
            reason = self.farm.attempts[attempts[0]].canceling
            cancel = Cancel(worker=worker, attempts=tuple(attempts), reason=reason)
            self.emit(Send(self.farm.workers[worker].manager, cancel))
