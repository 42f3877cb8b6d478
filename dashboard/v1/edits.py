"""The JSON API: editing a job, and submitting it again."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from flask import Blueprint

from brender.bus.ids import new_id
from brender.jobs.clones import clone, free_folder
from brender.jobs.declare import job_type
from brender.model.beginning import After, parse_start
from brender.model.edit import Edit
from brender.model.errors import Conflict
from brender.model.job import JobSpec
from brender.model.sharing import CORES_MOST, GPU_MEMORY_MOST, WORKERS_MOST
from brender.model.trust import check_trust
from brender.store import questions
from dashboard.answers import jobs as job_answers
from dashboard.answers import submitting as answers
from dashboard.endpoint import endpoint
from dashboard.farm import farm, user_name
from dashboard.sources import Name, is_there, placed, to_be_made
from dashboard.v1.jobs import AfterJob
from dashboard.v1.submitting import Minutes

blueprint = Blueprint("v1-edits", __name__)

#: Folders that are tried, where each is another job's.
_TRIES = 20


class Changes(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is left out, or null, stays as it is. ``settings``: those of the job's type that change; one that is null is what the
    .blend says."""

    name: Name | None = None
    project: Name | None = None
    priority: Annotated[int, msgspec.Meta(ge=0, le=100)] | None = None
    tags: Annotated[list[Name], msgspec.Meta(max_length=50)] | None = None
    stall_minutes: Minutes | None = None
    limit_minutes: Minutes | None = None
    most_workers: Annotated[int, msgspec.Meta(ge=0, le=WORKERS_MOST)] | None = None
    licences: Annotated[list[Name], msgspec.Meta(max_length=50)] | None = None
    pool: Name | None = None
    cores: Annotated[int, msgspec.Meta(ge=0, le=CORES_MOST)] | None = None
    gpu_memory: Annotated[int, msgspec.Meta(ge=0, le=GPU_MEMORY_MOST)] | None = None
    settings: dict[str, Any] = {}


class EditOfJob(Changes, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``from_now_on``: frames that are done stay as they are, although the others will look otherwise. ``settings`` is those of
    the job's type that change; one that is null is what the .blend says. What else is left out, or null, stays as it is."""

    from_now_on: bool = False


class Again(Changes, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is left out, or null, is as of the first job; but it begins at once, unless ``paused``, ``after``, ``start_at`` or
    ``night`` say otherwise. ``output``: the folder for its frames; without it, a new one beside the first's."""

    output: Annotated[str, msgspec.Meta(max_length=1000)] = ""
    overwrite: bool = False
    paused: bool = False
    after: Annotated[list[AfterJob], msgspec.Meta(max_length=1000)] = []
    start_at: Annotated[str, msgspec.Meta(max_length=100)] = ""
    night: bool = False


@endpoint(blueprint, "POST", "/jobs/{id}/edit", body=EditOfJob, answer=job_answers.Acted)
def edit(id: str, body: EditOfJob) -> Any:
    """Change a job: what is done stays, unless it would look otherwise; then it is rendered again."""
    change = msgspec.structs.replace(_change(body), from_now_on=body.from_now_on)
    with farm().client() as client:
        return client.act("edit", id, msgspec.to_builtins(change))


@endpoint(blueprint, "POST", "/jobs/{id}/clone", body=Again, needed="submit", answer=answers.Submitted)
def again(id: str, body: Again) -> Any:
    """Submit a job again, with what is said otherwise; its files are those of the first."""
    with farm().reader.record() as record:
        first = questions.job_without_counts(record, id)
    spec = clone(first, new_id(), user_name(), _change(body), placed(body.output) if body.output else "")
    cautions = check_trust(spec.facts, spec.trusted, "trusted", "untrusted") if spec.facts is not None else ()
    spec = msgspec.structs.replace(
        spec,
        warnings=cautions,
        overwrite=body.overwrite,
        paused=body.paused,
        after=tuple(After(each.job, each.by_frame) for each in body.after),
        start_at=parse_start(body.start_at, datetime.now()) if body.start_at else 0.0,
        night=body.night,
    )
    if body.output or not spec.output:
        return _submit(spec)
    for _ in range(_TRIES):
        spec = msgspec.structs.replace(spec, output=free_folder(spec.output, is_there))
        try:
            return _submit(spec)
        except Conflict as conflict:
            refused = conflict
    raise refused


def _submit(spec: JobSpec) -> dict[str, Any]:
    made = to_be_made(spec.output) if spec.output else 0
    spec = msgspec.structs.replace(job_type(spec.job_type).prepare(spec), made_output=made > 0, made_above=max(0, made - 1))
    with farm().client() as client:
        return client.submit(spec)


def _change(body: Changes) -> Edit:
    return Edit(
        name=body.name,
        project=body.project,
        priority=body.priority,
        tags=None if body.tags is None else tuple(body.tags),
        stall_minutes=body.stall_minutes,
        limit_minutes=body.limit_minutes,
        most_workers=body.most_workers,
        licences=None if body.licences is None else tuple(body.licences),
        pool=body.pool,
        cores=body.cores,
        gpu_memory=body.gpu_memory,
        settings=body.settings,
    )
