"""The request that submits a job over the JSON API, and the checks that its fields make sense together."""

from typing import Annotated, Any

import msgspec

from brender.jobs.declare import job_type
from brender.jobs.no_blend import OF_A_BLEND, check_no_blend, has_blend
from brender.jobs.steps import STEPS
from brender.model.errors import BadInput
from brender.model.job import LIMIT_MINUTES, MINUTES_MOST, PRIORITY_NORMAL, STALL_MINUTES, FileFacts
from brender.model.sharing import CORES_MOST, GPU_MEMORY_MOST, WORKERS_MOST
from dashboard.endpoint import schema_of_settings
from dashboard.sources import Name, Where
from dashboard.templates_of_jobs import Template
from dashboard.v1.jobs import AfterJob

#: How a field of the JSON API is written in a sentence.
AS_FIELD = '"{}"'.format
#: The fields of a submission that are about its .blend.
_OF_ITS_BLEND = ("source", "facts", *OF_A_BLEND, "site_addons")
_USUAL_TYPE = "blender-animation"
_Settings = Annotated[dict[str, Any], msgspec.Meta(extra_json_schema=schema_of_settings())]
Minutes = Annotated[float, msgspec.Meta(ge=0, le=MINUTES_MOST)]
_MISSING_SHOWN = 10


class Submission(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``settings`` are those of the job type; what is left out is what the .blend says. ``output`` is a folder on the server's
    machine; without it the farm keeps the frames of an upload, and those of a project's file go where its scene says.
    ``trusted``: scripts inside the .blend run, or they do not; a .blend that has some is refused where neither is said.
    ``test``: its frames go to a folder of their own below that folder, so that they replace none. ``after``, ``start_at`` and
    ``night`` say when it begins, as a job's beginning does. ``stall_minutes`` without any progress, or ``limit_minutes`` in all,
    end an attempt at a task; 0 never does. ``most_workers`` render it at most (0: any number), each of its tasks takes one of
    each of ``licences``, the workers of its ``pool`` prefer it (``reclaim_at_once``: and leave what they render of others), and
    with ``rush`` a running task of lower priority gives way where no worker is free. Each task reserves so many ``cores`` of its
    machine and so many bytes of the memory of its worker's GPUs (``gpu_memory``); 0: none. ``again``: a job whose file, as that
    has it, and whose add-ons this one has too, in place of a ``source``; without an ``output``, its frames go to a new folder
    beside those of that job. ``template``: one of Open Job Description, in place of a job type; ``settings`` are then its
    parameters. ``addons``: the Blender add-ons that it has, each a .zip or .py file by its path in the upload of its ``source``;
    without ``site_addons`` those that the farm has for all jobs are left out. ``id``: the job's, chosen by a program that may
    submit it again because it did not hear the answer; it is then the same job."""

    id: Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{16})?$")] = ""
    job_type: Name = _USUAL_TYPE
    settings: _Settings = {}
    source: Where | None = None
    again: Name = ""
    template: Template | None = None
    name: Name = ""
    project: Name = "default"
    priority: Annotated[int, msgspec.Meta(ge=0, le=100)] = PRIORITY_NORMAL
    tags: Annotated[list[Name], msgspec.Meta(max_length=50)] = []
    output: Annotated[str, msgspec.Meta(max_length=1000)] = ""
    paused: bool = False
    after: Annotated[list[AfterJob], msgspec.Meta(max_length=1000)] = []
    start_at: Annotated[str, msgspec.Meta(max_length=100)] = ""
    night: bool = False
    overwrite: bool = False
    allow_missing: bool = False
    trusted: bool | None = None
    test: bool = False
    stall_minutes: Minutes = STALL_MINUTES
    limit_minutes: Minutes = LIMIT_MINUTES
    most_workers: Annotated[int, msgspec.Meta(ge=0, le=WORKERS_MOST)] = 0
    licences: Annotated[list[Name], msgspec.Meta(max_length=50)] = []
    pool: Name = ""
    reclaim_at_once: bool = False
    rush: bool = False
    cores: Annotated[int, msgspec.Meta(ge=0, le=CORES_MOST)] = 0
    gpu_memory: Annotated[int, msgspec.Meta(ge=0, le=GPU_MEMORY_MOST)] = 0
    addons: Annotated[list[Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]], msgspec.Meta(max_length=50)] = []
    site_addons: bool = True


class Prospect(Submission, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A job that is not submitted yet. ``facts``: what its .blend says, from a program that has it open, in place of the
    ``source``."""

    facts: FileFacts | None = None


def check_missing(facts: FileFacts, allowed: bool) -> None:
    """Raise `BadInput` where the .blend of *facts* uses files that are missing, unless that is *allowed*."""
    if not facts.missing or allowed:
        return
    count = len(facts.missing)
    shown = "; ".join(f"{each.path}, used by {each.used_by}" for each in facts.missing[:_MISSING_SHOWN])
    more = f"; and {count - _MISSING_SHOWN} more" if count > _MISSING_SHOWN else ""
    are, them = ("1 file is", "it") if count == 1 else (f"{count} files are", "them")
    raise BadInput(f"{are} missing: {shown}{more}. Upload {them} too, or allow that it renders without {them}")


def _check_addons(body: Submission) -> None:
    """Raise `BadInput` where *body* has add-ons, and is no render of an upload."""
    if body.addons and (body.source is None or not body.source.upload or job_type(body.job_type).engine != "blender"):
        raise BadInput("Add-ons are for a .blend that is uploaded with them, and rendered: leave them out")


def check_sense(body: Submission, named: str) -> None:
    """Raise `BadInput` where *body*, submitted as the job type *named*, says what its job has no use for. Its own job type is one
    of brender's."""
    _check_addons(body)
    if has_blend((kind := job_type(body.job_type)).settings):
        return
    check_no_blend(named, {name: getattr(body, name, None) for name in _OF_ITS_BLEND}, kind.engine, AS_FIELD)
    if body.test and not body.output and not body.again:
        raise BadInput('The files of a test go to a folder below "output", and this job names none: leave out "test"')


def check_of_template(body: Submission) -> None:
    """Raise `BadInput` where *body* has a template, and a job type too."""
    if body.job_type not in (_USUAL_TYPE, STEPS):
        raise BadInput(f'A template says itself what its job does: leave out "job_type", which is {body.job_type!r}')
