"""The JSON API: submitting. A .blend comes as an upload, with what lies beside it, or is picked from a project's folder on the
server's machine; what it says of itself fills in the rest.

Uploads are sent to the farm by their content, as `brender submit --send` does; files of a project's folder are used where they
are."""

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import msgspec
from flask import Blueprint, Response, request

from brender.blender_addon.build import ZIP_NAME, addon_zip
from brender.blendfile.packing import Packed, digest_of_file, packed
from brender.bus.ids import new_id
from brender.bus.keys import Credentials
from brender.engines.destination import NoDestination, destination, output_folder
from brender.engines.ocio import check_configuration, configuration_to_send
from brender.jobs.blender_animation import own_path
from brender.jobs.clones import clone, free_folder
from brender.jobs.declare import job_type, job_types, requirements_of
from brender.jobs.no_blend import has_blend
from brender.jobs.steps import STEPS
from brender.model.addon import AddOn
from brender.model.beginning import After, parse_start
from brender.model.bundle import as_bytes
from brender.model.edit import Edit
from brender.model.errors import BadInput, Conflict
from brender.model.estimates import Estimate, estimate, work_of
from brender.model.job import FileFacts, JobSpec
from brender.model.output import output_of
from brender.model.paths import BUILT_IN
from brender.model.sharing import Sharing
from brender.model.spans import bounds_in_words, estimate_in_words
from brender.model.text import short_id
from brender.model.trust import check_trust
from brender.model.units import units_of
from brender.store import questions
from brender.store.forecast import earlier_shots, workers_for
from brender.store.named import Record
from brender.transfer.client import Exchange
from dashboard.answers import submitting as answers
from dashboard.answers.farm import declared
from dashboard.endpoint import endpoint
from dashboard.farm import farm, user_name
from dashboard.own_types import type_named
from dashboard.sources import (
    addons_of,
    as_told,
    bounds,
    in_words_of,
    inside,
    inspected,
    is_there,
    placed,
    shared,
    source_file,
    to_be_made,
    upload_folder,
)
from dashboard.templates_of_jobs import Template, compiled, parameters
from dashboard.uploads import files_folder
from dashboard.v1.submission import Prospect, Submission, check_missing, check_of_template, check_sense

blueprint = Blueprint("v1-submitting", __name__)

#: In place of the digest of the list of the files of an upload, as long as the farm has not got them.
_NOT_SENT = "not sent"
#: Folders that are tried, where each is another job's.
_TRIES = 20
#: How its submitter lets the scripts of a file run, or has it rendered without them: the words of the form, and those of the API.
_TRUST_OR_NOT = ('Trust it (by the API: "trusted": true)', 'Render without ("trusted": false)')


@endpoint(blueprint, "POST", "/jobs", body=Submission, needed="submit", answer=answers.Submitted)
def submit(body: Submission) -> Any:
    """Submit a job. Of `source`, `again` and `template` it may have one."""
    named, (body, warnings) = body.job_type, _compiled(body)
    check_sense(body, named)
    spec, path = _wanted(body, fresh=True)
    spec = msgspec.structs.replace(spec, warnings=warnings)
    if spec.facts is not None and path is not None and body.source is not None:
        check_missing(spec.facts, body.allow_missing)
        cautions = check_trust(spec.facts, body.trusted, *_TRUST_OR_NOT)
        spec = msgspec.structs.replace(spec, warnings=(*spec.warnings, *cautions))
        if body.source.upload:
            spec = _send(spec, path, upload_folder(body.source.upload), body.addons)
    if body.again:
        return submit_again(spec, body.trusted, in_new_folder=not body.output)
    return submit_prepared(spec)


def submit_prepared(spec: JobSpec) -> dict[str, Any]:
    """Submit *spec*, once its job type has prepared it. Raises `BrenderError`."""
    spec = job_type(spec.job_type).prepare(spec)
    made = to_be_made(spec.output) if spec.output else 0
    spec = msgspec.structs.replace(spec, made_output=made > 0, made_above=max(0, made - 1))
    with farm().client() as client:
        return client.submit(spec)


def submit_again(spec: JobSpec, trusted: bool | None, in_new_folder: bool) -> dict[str, Any]:
    """Submit *spec*, which has the file of an earlier job (`earlier_job`); *in_new_folder*: where its folder is another job's, to
    the next that is free. Raises `BrenderError`."""
    if spec.facts is not None:
        cautions = check_trust(spec.facts, trusted, *_TRUST_OR_NOT)
        spec = msgspec.structs.replace(spec, warnings=cautions)
    for _ in range(_TRIES if in_new_folder and spec.output else 0):
        try:
            return submit_prepared(spec)
        except Conflict:
            spec = msgspec.structs.replace(spec, output=free_folder(spec.output, is_there))
    return submit_prepared(spec)


def _in_words(time: Estimate) -> dict[str, str]:
    bounds = time.seconds, time.least, time.most
    return {"words": estimate_in_words(*bounds), "bounds": bounds_in_words(*bounds)}


@endpoint(blueprint, "POST", "/estimate", body=Prospect, needed="submit", answer=answers.Estimated)
def estimated(body: Prospect) -> Any:
    """Return what a job would come to if it were submitted: its frames, tasks and warnings, where its frames would go ("": the
    farm keeps them), how many workers there are for it, and by earlier jobs about how long they take (null: not known). `owner`:
    the unfinished job that writes to the same files, for which it would be refused."""
    named, (body, warnings) = body.job_type, _compiled(body)
    check_sense(body, named)
    spec, _ = _wanted(body, fresh=False, told=body.facts)
    spec = msgspec.structs.replace(spec, warnings=warnings)
    if body.addons and body.source is not None:
        with addons_of(upload_folder(body.source.upload), body.addons) as own:
            spec = msgspec.structs.replace(spec, addons=tuple(each.addon for each in own))
    if spec.facts is not None:  # (its missing files are told of by themselves)
        spec = msgspec.structs.replace(spec, facts=msgspec.structs.replace(spec.facts, missing=()))
    kind = job_type(body.job_type)
    spec = kind.prepare(spec)
    counted = units_of(spec.settings, 0, kind.part_count(spec))
    frames = counted.total
    frames = 1 if spec.settings.get("pieces") else frames
    with farm().reader.record() as record:
        workers = workers_for(record, requirements_of(kind, spec))
        shots = earlier_shots(record, spec.project, spec.job_type)
        owner = _owner(record, *output_of(spec.output, kind.output_key(spec))) if spec.output else None
    tasks = kind.task_count(spec)
    wanted = work_of(spec.settings, msgspec.to_builtins(spec.facts) if spec.facts else None)
    found = estimate(wanted, frames, min(workers, tasks), shots)
    return {
        "frames": frames,
        "unit": "frame" if spec.settings.get("pieces") else counted.noun,
        "tasks": tasks,
        "is_elastic": kind.is_elastic(spec),
        "output": spec.output,
        "workers": workers,
        "warnings": list(spec.warnings),
        "owner": owner,
        "time": None if found is None else asdict(found) | _in_words(found),
    }


@endpoint(blueprint, "POST", "/template", body=Template, needed="submit", answer=answers.TemplateTold)
def template(body: Template) -> Any:
    """Return the parameters of a template of Open Job Description, as a form asks for them."""
    return {"name": body.name, "settings": [declared(setting) for setting in parameters(body)]}


@endpoint(blueprint, "GET", "/blender-addon.zip", needed="submit", content="application/zip")
def blender_addon() -> Any:
    """The add-on that submits from inside Blender, set to the address by which it was asked for."""
    address = (farm().settings.public_url or request.url_root).rstrip("/")
    headers = {"Content-Disposition": f"attachment; filename={ZIP_NAME}"}
    return Response(addon_zip(address), mimetype="application/zip", headers=headers)


def _owner(record: Record, folder: str, pattern: str) -> str | None:
    """Return the name of the unfinished job that writes the files *pattern* in *folder*, or ``None``."""
    found = record.tables.OutputOwner.get_or_none(folder=folder, pattern=pattern) if pattern else None
    return None if found is None else str(found.job.name)


_Body = TypeVar("_Body", bound=Submission)


def _compiled(body: _Body) -> tuple[_Body, tuple[str, ...]]:
    """Return *body*; where it has a template, or its job type is the farm's own, as the job that this makes of its settings; and
    what the submitter should know of that. Raises `BadInput`."""
    named = [each for each in ("template", "source", "again", "facts") if getattr(body, each, None)]
    if len(named) > 1:
        raise BadInput(f"A job has one of these, and not {' and '.join(named)}: leave out the others")
    if body.template is not None:
        check_of_template(body)
        made = compiled(body.template, body.settings)  # ("" is a value of a parameter like another)
        steps = {"job_type": STEPS, "settings": made.settings, "name": body.name or made.name}
        return msgspec.structs.replace(body, tags=[*body.tags, *made.tags], **steps), made.warnings
    if body.job_type in job_types() or (own := type_named(body.job_type)) is None:
        return body, ()
    given = {name: value for name, value in body.settings.items() if value is not None and value != ""}
    kind, settings = own.compile(given)
    name = body.name if body.name or body.source is not None else own.label
    return msgspec.structs.replace(body, job_type=kind, settings=settings, name=name), ()


def _wanted(body: Submission, fresh: bool, told: FileFacts | None = None) -> tuple[JobSpec, Path | None]:
    """Return the job that *body* asks for, with what its .blend says of itself, and where that is here (``None``: it has none).

    It is not prepared yet, and nothing of an upload is sent. Raises `BadInput`. *fresh*: the .blend is looked into again.
    *told*: what it says, where it is not here."""
    settings = {name: value for name, value in body.settings.items() if value is not None and value != ""}
    id, is_placed = body.id or new_id(), False
    path, facts = source_file(body.source) if body.source is not None else None, None
    is_here = path is not None and body.source is not None and not body.source.upload
    output = output_folder(body.output, str(path.parent) if path is not None and is_here else "")
    addons: tuple[AddOn, ...] = ()
    bundle = _NOT_SENT if told is not None or (body.source is not None and body.source.upload) else ""
    if body.source is not None and path is not None:
        facts = as_told(inspected(path, bounds(body.source), fresh), path, body.source)
        if body.source.upload:
            settings["file"] = path.name
            if ocio := str(settings.get("ocio", "")):
                folder = upload_folder(body.source.upload)
                with in_words_of(folder):
                    check_configuration(_configuration(folder, ocio))
        else:
            output = output or str(_own_folder(path, facts, settings))
            settings["file"] = shared(path)
            facts = msgspec.structs.replace(facts, path=settings["file"])
    elif body.again:
        first = earlier_job(body.again)
        facts, bundle, addons = first.facts, first.bundle, first.addons
        if facts is not None:
            settings["file"] = first.settings["file"]
        is_placed = not output
        output = output or first.output
    elif told is not None:
        facts = told
        settings["file"] = PurePosixPath(told.path).name
    elif has_blend(job_type(body.job_type).settings):
        raise BadInput("A render needs its .blend: upload it, or pick one of a project's")
    if settings.get("copy_to"):
        settings["copy_to"] = "" if body.test else placed(str(settings["copy_to"]))
    if output and body.test:
        output = f"{output.rstrip('/')}/tests/{short_id(id)}"
    spec = JobSpec(
        id=id,
        name=body.name or (PurePosixPath(str(settings.get("file", ""))).stem if facts else body.job_type),
        job_type=body.job_type,
        settings=settings,
        bundle=bundle,
        addons=addons,
        site_addons=body.site_addons,
        project=body.project or "default",
        user=user_name(),
        priority=body.priority,
        tags=tuple(body.tags),
        output=placed(output) if output and not is_placed else output,
        trusted=bool(body.trusted),
        overwrite=body.overwrite,
        paused=body.paused,
        after=tuple(After(each.job, each.by_frame) for each in body.after),
        start_at=parse_start(body.start_at, datetime.now()) if body.start_at else 0.0,
        night=body.night,
        stall_minutes=body.stall_minutes,
        limit_minutes=body.limit_minutes,
        sharing=Sharing(
            body.most_workers,
            tuple(body.licences),
            body.pool,
            body.reclaim_at_once,
            body.rush,
            body.cores,
            body.gpu_memory,
        ),
        facts=facts,
    )
    return spec, path


def earlier_job(id: str, change: Edit | None = None) -> JobSpec:
    """Return the job *id* as one that is submitted again, by this user, with what *change* says otherwise; its frames go to a new
    folder beside the first's, unless the farm keeps them. Raises `NotFound`."""
    with farm().reader.record() as record:
        first = questions.job_without_counts(record, id)
    spec = clone(first, new_id(), user_name(), change or Edit())
    return msgspec.structs.replace(spec, output=free_folder(spec.output, is_there)) if spec.output else spec


def _configuration(upload: Path, ocio: str) -> str:
    """Return the OCIO configuration *ocio* as this machine finds it: one of OpenColorIO's own, or a file of the *upload*. Raises
    `BadInput`."""
    return ocio if ocio.startswith(BUILT_IN) else str(inside(files_folder(upload), ocio))


def _own_folder(path: Path, facts: FileFacts, settings: dict[str, Any]) -> Path:
    """Return the folder for frames that the scene of the .blend at *path* names itself. Raises `BadInput` where it names none."""
    try:
        return destination(own_path(facts, settings), path)
    except NoDestination as reason:
        raise BadInput(f"{reason}: name a folder for the frames") from reason


def _send(spec: JobSpec, path: Path, upload: Path, addons: Sequence[str]) -> JobSpec:
    """Let the farm have the .blend at *path* and what it needs of the same *upload* (a .blend may name any file of this machine),
    with its OCIO configuration and its *addons*; returns *spec* with what they are called there. Raises `BadInput`."""
    here = farm()
    ocio = str(spec.settings.get("ocio", ""))
    if ocio:
        ocio = _configuration(upload, ocio)
    with in_words_of(upload), packed(path, upload, ocio or None) as pack, ExitStack() as undo:
        folder = undo.enter_context(tempfile.TemporaryDirectory())
        configuration, added = configuration_to_send(ocio, Path(folder), upload)
        bundle, blobs = Packed(pack.main, pack.files | added).bundle()
        listed = Path(folder) / "bundle"
        listed.write_bytes(as_bytes(bundle))
        digest, _ = digest_of_file(listed)
        own = undo.enter_context(addons_of(upload, addons))
        blobs |= {digest: listed} | {each.addon.digest: each.blob for each in own}
        with Exchange(here.server.files, Credentials(here.pair, here.server.key)) as exchange:
            exchange.send(blobs)
        if spec.facts is not None:
            newer = pack.why_newer(spec.facts)
            warnings = (*spec.warnings, newer) if newer else spec.warnings
            spec = msgspec.structs.replace(spec, facts=pack.facts(spec.facts), warnings=warnings)
    settings = spec.settings | {"file": bundle.main} | ({"ocio": configuration} if configuration else {})
    return msgspec.structs.replace(spec, bundle=digest, settings=settings, addons=tuple(each.addon for each in own))
