"""The JSON API: editing a job, and submitting it again."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from flask import Blueprint

from brender.engines.destination import output_folder
from brender.jobs.declare import job_type
from brender.jobs.no_blend import check_no_blend, has_blend
from brender.model.beginning import After, parse_start
from brender.model.edit import Edit
from brender.model.sharing import CORES_MOST, GPU_MEMORY_MOST, WORKERS_MOST
from dashboard.answers import jobs as job_answers
from dashboard.answers import submitting as answers
from dashboard.endpoint import endpoint
from dashboard.farm import farm
from dashboard.sources import Name, placed
from dashboard.v1.jobs import AfterJob
from dashboard.v1.submission import AS_FIELD, Minutes
from dashboard.v1.submitting import earlier_job, submit_again

blueprint = Blueprint("v1-edits", __name__)


class Changes(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Fields that are left out, or null, stay as they are. ``settings``: those of the job's type that change; null: as the .blend
    says."""

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
    the job's type that change; null: as the .blend says. Other fields that are left out, or null, stay as they are."""

    from_now_on: bool = False


class Again(Changes, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Fields that are left out, or null, are those of the first job; but it begins at once, unless ``paused``, ``after``,
    ``start_at`` or ``night`` say otherwise. ``output``: the folder for its frames; without it, a new one beside the first's."""

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
    spec = earlier_job(id, _change(body))
    if not has_blend((kind := job_type(spec.job_type)).settings):
        check_no_blend(spec.job_type, {"overwrite": body.overwrite}, kind.engine, AS_FIELD)
    spec = msgspec.structs.replace(
        spec,
        output=placed(output_folder(body.output)) if body.output else spec.output,
        overwrite=body.overwrite,
        paused=body.paused,
        after=tuple(After(each.job, each.by_frame) for each in body.after),
        start_at=parse_start(body.start_at, datetime.now()) if body.start_at else 0.0,
        night=body.night,
    )
    return submit_again(spec, spec.trusted, in_new_folder=not body.output)


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
