"""Reads jobs of the record into the server's memory, and what has to be known of jobs that others wait for."""

from collections.abc import Callable, Iterable
from functools import reduce
from operator import or_
from typing import Any

import msgspec

from brender.farm.awaited import Awaited
from brender.farm.farm import Farm
from brender.farm.job_plugin import JobTypeFailed, guarded, missing
from brender.farm.jobs import Estimated, JobState
from brender.farm.output_owners import outputs_of, own
from brender.farm.sweep import Sweep
from brender.jobs.declare import JobType, job_type, requirements_of
from brender.jobs.film import makes_film
from brender.jobs.stages import Graph, check_stages
from brender.model.beginning import After
from brender.model.errors import BadInput
from brender.model.job import BAKE, FileFacts, Requirements
from brender.model.nodes import read_series
from brender.model.ranges import Ranges
from brender.model.status import ENDED_JOB, ENDED_TASK, JobStatus, PartStatus
from brender.model.units import units_of
from brender.store.progressive import accumulated, noises
from brender.store.recorded import job_spec
from brender.store.tables import Tables

UNREADABLE_FACTS = "The facts of its .blend cannot be read from the record any more"


def adopt(farm: Farm, tables: Tables, row: Any) -> JobState:
    """Take the job of *row* into *farm*'s memory, and return it."""
    kind = _kind_of(row)
    facts = _facts_of(farm, row)
    spec = job_spec(row, kind, facts)
    task = tables.Task
    ended = row.planned_tasks
    if row.status not in ENDED_JOB or row.sweeps:  # (tasks without frames have no rows)
        ended -= task.select().where((task.job == row.id) & task.status.not_in(ENDED_TASK)).count()
    job = JobState(
        spec=spec,
        type=kind,
        need=Requirements(job_type=row.job_type, series=read_series(row.series) if row.series else None),
        order=farm.next_order,
        task_count=row.task_count,
        part_count=row.part_count,
        status=JobStatus(row.status),
        reason=row.reason,
        priority=row.priority,
        planned=row.planned_tasks,
        completed_parts=row.completed_parts,
        kept_parts=row.kept_parts,
        finished_frames=row.finished_frames,
        given_up_parts=row.given_up_parts,
        memory=row.memory,
        ended_tasks=ended,
        failed_tasks=row.failed_tasks,
        failures=row.failures,
        render_seconds=row.render_seconds,
        slowest_seconds=row.slowest_seconds,
        machine_seconds=row.machine_seconds,
        joules=row.joules,
        metered_seconds=row.metered_seconds,
        submitted=row.submitted,
        started=row.started,
        finished=row.finished,
        revision=row.revision,
        deleting=row.deleting,
        frames_deleted=row.frames_deleted,
        sweeps=msgspec.convert(row.sweeps, list[Sweep]),
        waiting_for=row.waiting_for,
        estimates=msgspec.convert(row.estimates, list[Estimated]),
        warnings=list(row.warnings),
    )
    kept_off = tables.KeptOff
    rows = kept_off.select(kept_off.worker).where((kept_off.job == row.id) & kept_off.readmitted.is_null())
    job.kept_off = {worker for (worker,) in rows.tuples()}
    farm.next_order += 1
    farm.jobs[job.id] = farm.keep(job, recorded=True)
    farm.changed_jobs.add(job.id)
    try:
        job.need = msgspec.structs.replace(requirements_of(kind, spec), series=job.need.series)
        check_stages(row.job_type, kind.stages(spec), row.task_count)
        if row.passes:
            job.measured = noises(tables, job.id)
            accumulates = accumulated(tables, tables.Part.job == job.id) if row.bundle else {}
            job.pieces = {frame: digest for (_, frame), digest in accumulates.items()}
        elif row.bundle and job.graph.has_waits:
            job.pieces, job.baked = _pieces(tables, job), _baked(tables, job)
        if job.graph.has_waits and row.given_up_parts:
            _note_unmade(tables, job)
        if job.status not in ENDED_JOB:
            own(farm, job.id, outputs_of(spec, kind))
    except (JobTypeFailed, BadInput) as failure:
        farm.broken.setdefault(job.id, str(failure))
    return job


def bring_awaited(farm: Farm, tables: Tables, after: Iterable[After], placing: Callable[[str], set[tuple[str, int]]]) -> None:
    """Bring what has to be known of the jobs that a job is to wait *after* into *farm*'s mind. *placing* returns the finished
    frames of a job that are not in its folder yet. One that is not there counts as deleted."""
    for each in after:
        awaited = farm.awaited.get(each.job)
        row = None
        if awaited is None or (each.by_frame and awaited.frames is None):
            row = tables.Job.get_or_none(tables.Job.id == each.job)
        if awaited is None:
            awaited = farm.awaited[each.job] = Awaited(each.job, "", None)
            if row is not None:
                awaited.name, awaited.status = row.name, JobStatus(row.status)
                awaited.done = units_of(row.settings, row.completed_parts, row.part_count, row.finished_frames)
        if each.by_frame and awaited.frames is None and row is not None:
            _note_frames_done(tables, row, awaited, placing(each.job))


def waits_of(tables: Tables, jobs: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return the jobs that each of *jobs* waits for, or did, and those that these wait for, and so on, by their ids."""
    found: dict[str, tuple[str, ...]] = {}
    left = list(jobs)
    while left:
        rows = dict(tables.Job.select(tables.Job.id, tables.Job.after_jobs).where(tables.Job.id.in_(left[:500])).tuples())
        for id in left[:500]:
            found[id] = tuple(each["job"] for each in rows.get(id, ()))
        left = [other for other in dict.fromkeys([*left[500:], *(o for id in rows for o in found[id])]) if other not in found]
    return found


def _note_frames_done(tables: Tables, row: Any, awaited: Awaited, placing: set[tuple[str, int]]) -> None:
    """Note which frames of the job of *row* are done, and which of these are not in its folder yet."""
    part, task, kind = tables.Part, tables.Task, _kind_of(row)
    try:
        graph = Graph(kind.stages(job_spec(row, kind, _facts(row))))
    except (JobTypeFailed, msgspec.ValidationError):
        return  # (it has to be completed)
    awaited.frames = Ranges()
    query = part.select(part.frame, part.status, part.id, part.attempt).where(part.job == row.id).order_by(part.frame)
    if len(graph.stages) > 1:
        last = [graph.stages[place] for place in sorted(graph.last_of_frames)]
        of_last = reduce(or_, (task.number.between(stage.first_task, stage.last_task) for stage in last))
        query = query.join(task, on=part.task == task.id).where(of_last)
    undone: list[int] = []
    for frame, status, id, attempt in query.tuples().iterator():
        if status != PartStatus.COMPLETED:
            undone.append(frame)
            continue
        awaited.frames.add(frame)
        if (attempt, id) in placing:
            awaited.placing[attempt, id] = frame
            undone.append(frame)
    for frame in undone:
        awaited.frames.discard(frame)


def _facts(row: Any) -> FileFacts | None:
    return msgspec.convert(row.facts, FileFacts) if row.facts else None


def _facts_of(farm: Farm, row: Any) -> FileFacts | None:
    """Return the facts of the .blend of the job of *row*. If they cannot be read, that job fails, and no other."""
    try:
        return _facts(row)
    except msgspec.ValidationError as error:
        farm.broken[row.id] = f"{UNREADABLE_FACTS}: {error}"
        return None


def _kind_of(row: Any) -> JobType:
    """Return the job type of the job of *row*; a stand-in if it is not installed any more."""
    try:
        return guarded(job_type(row.job_type), row.id)
    except BadInput:
        return missing(row.job_type, row.id)


def _pieces(tables: Tables, job: JobState) -> dict[int, str]:
    """Return the digests of the pieces of a still that are done, by number, or of the frames of a film, or those that are to be
    denoised."""
    part, film = tables.Part, makes_film(job.spec)
    if job.spec.settings.get("denoise_after"):
        done = (part.job == job.id) & (part.piece >= 0) & (part.status == PartStatus.COMPLETED)
        return dict(part.select(part.frame, part.digest).where(done).order_by(part.id).tuples())
    done = (part.job == job.id) & (part.piece == 0 if film else part.piece > 0) & (part.status == PartStatus.COMPLETED)
    return dict(part.select(part.frame if film else part.piece, part.digest).where(done).tuples())


def _baked(tables: Tables, job: JobState) -> str:
    """Return the digest of the .blend with the bake of *job*, or ""."""
    part = tables.Part
    done = (part.job == job.id) & (part.piece == BAKE) & (part.status == PartStatus.COMPLETED)
    return next((digest for (digest,) in part.select(part.digest).where(done).tuples()), "")


def _note_unmade(tables: Tables, job: JobState) -> None:
    """Note which frames of *job* failed or were canceled, by stage."""
    part, task = tables.Part, tables.Task
    given_up = (part.job == job.id) & part.status.in_((PartStatus.FAILED, PartStatus.CANCELED))
    query = part.select(task.number, part.frame).join(task, on=part.task == task.id).where(given_up)
    for number, frame in query.order_by(task.number).tuples().iterator():
        job.dependencies.unmade[job.graph.place(number)].add(frame)
