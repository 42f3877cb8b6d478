"""The JSON API: submitting. A .blend comes as an upload, with what lies beside it, or is picked from a project's folder on the
server's machine; what it says of itself fills in the rest.

Uploads are sent to the farm by their content, as `brender submit --send` does; files of a project's folder are used where they
are."""

import tempfile
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import msgspec
from flask import Blueprint

from brender.blendfile.packing import Packed, digest_of_file, packed
from brender.bus.ids import new_id
from brender.bus.keys import Credentials
from brender.engines.destination import NoDestination, destination
from brender.engines.ocio import BUILT_IN, check_configuration, configuration_to_send
from brender.jobs.blender_animation import own_path
from brender.jobs.declare import job_type
from brender.model.bundle import as_bytes
from brender.model.errors import BadInput
from brender.model.estimates import estimate, work_of
from brender.model.job import LIMIT_MINUTES, MINUTES_MOST, PRIORITY_NORMAL, STALL_MINUTES, FileFacts, JobSpec
from brender.model.trust import check_trust
from brender.store import page_questions
from brender.transfer.client import Exchange
from dashboard.answers import submitting as answers
from dashboard.endpoint import endpoint
from dashboard.farm import farm, user_name
from dashboard.sources import Name, Where, bounds, inside, inspected, placed, shared, source_file, upload_folder

blueprint = Blueprint("v1-submitting", __name__)

Minutes = Annotated[float, msgspec.Meta(ge=0, le=MINUTES_MOST)]
_MISSING_SHOWN = 10


class Submission(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``settings`` are those of the job type; what is left out is what the .blend says. ``output`` is a folder on the server's
    machine; without it the farm keeps the frames of an upload, and those of a project's file go where its scene says.
    ``trusted``: scripts inside the .blend run, or they do not; a .blend that has some is refused where neither is said.
    ``test``: its frames go to a folder of their own below that folder, so that they replace none. ``stall_minutes`` without any
    progress, or ``limit_minutes`` in all, end an attempt at a task; 0 never does."""

    job_type: Name = "blender-animation"
    settings: dict[str, Any] = {}
    source: Where | None = None
    name: Name = ""
    project: Name = "default"
    priority: Annotated[int, msgspec.Meta(ge=0, le=100)] = PRIORITY_NORMAL
    tags: Annotated[list[Name], msgspec.Meta(max_length=50)] = []
    output: Annotated[str, msgspec.Meta(max_length=1000)] = ""
    paused: bool = False
    overwrite: bool = False
    allow_missing: bool = False
    trusted: bool | None = None
    test: bool = False
    stall_minutes: Minutes = STALL_MINUTES
    limit_minutes: Minutes = LIMIT_MINUTES


@endpoint(blueprint, "POST", "/jobs", body=Submission, needed="submit", answer=answers.Submitted)
def submit(body: Submission) -> Any:
    """Submit a job."""
    more: dict[str, Any] = {}
    settings = dict(body.settings)
    facts: FileFacts | None = None
    output = body.output
    cautions: tuple[str, ...] = ()
    if body.source is not None:
        path = source_file(body.source)
        facts = inspected(path, bounds(body.source), fresh=True)
        _check_missing(facts, body.allow_missing)
        cautions = check_trust(facts, body.trusted, '"trusted": true (Trust it)', '"trusted": false (Render without)')
        if body.source.upload:
            ocio = str(settings.get("ocio") or "")
            more["bundle"], settings["file"], settings["ocio"] = _send(path, upload_folder(body.source.upload), ocio)
        else:
            output = body.output or str(_own_folder(path, facts, settings))
            settings["file"] = shared(path)
            facts = msgspec.structs.replace(facts, path=settings["file"])
    elif job_type(body.job_type).engine == "blender":
        raise BadInput("A render needs its .blend: upload it, or pick one of a project's")
    id = new_id()
    if output and body.test:
        output = f"{output.rstrip('/')}/tests/{id[:8]}"
    spec = JobSpec(
        id=id,
        name=body.name or (PurePosixPath(str(settings.get("file", ""))).stem if facts else body.job_type),
        job_type=body.job_type,
        settings={name: value for name, value in settings.items() if value is not None and value != ""},
        project=body.project or "default",
        user=user_name(),
        priority=body.priority,
        tags=tuple(body.tags),
        output=placed(output) if output else "",
        trusted=bool(body.trusted),
        overwrite=body.overwrite,
        warnings=cautions,
        paused=body.paused,
        stall_minutes=body.stall_minutes,
        limit_minutes=body.limit_minutes,
        facts=facts,
        **more,
    )
    spec = job_type(spec.job_type).prepare(spec)
    with farm().client() as client:
        return client.submit(spec)


@endpoint(blueprint, "POST", "/estimate", body=Submission, needed="submit", answer=answers.Estimated)
def estimated(body: Submission) -> Any:
    """What a job would come to, were it submitted: its frames, tasks and warnings, where its frames would go ("": the farm keeps
    them), how many workers there are for it, and by earlier jobs about how long they take (null: they do not tell)."""
    settings, output, bundle = dict(body.settings), body.output, ""
    facts: FileFacts | None = None
    if body.source is not None:
        path = source_file(body.source)
        facts = inspected(path, bounds(body.source), fresh=False)
        settings["file"] = str(path)
        bundle = "uploaded" if body.source.upload else ""
        # (Its missing files are told of by themselves.)
        facts = msgspec.structs.replace(facts, missing=(), path=path.name if bundle else facts.path)
        output = output if bundle else output or str(_own_folder(path, facts, settings))
    settings = {name: value for name, value in settings.items() if value is not None and value != ""}
    kind = job_type(body.job_type)
    spec = kind.prepare(
        JobSpec(id="", name=body.name, job_type=body.job_type, settings=settings, output=output, bundle=bundle, facts=facts)
    )
    frames = 1 if spec.settings.get("pieces") else kind.part_count(spec) - bool(spec.settings.get("film"))
    with farm().reader.record() as record:
        workers = page_questions.workers_at_work(record, body.job_type)
        shots = page_questions.earlier_shots(record, body.project or "default", body.job_type)
    tasks = kind.task_count(spec)
    wanted = work_of(spec.settings, msgspec.to_builtins(facts) if facts else None)
    found = estimate(wanted, frames, min(workers, tasks), shots)
    return {
        "frames": frames,
        "tasks": tasks,
        "is_elastic": kind.is_elastic(spec),
        "output": output,
        "workers": workers,
        "warnings": list(spec.warnings),
        "time": None if found is None else asdict(found),
    }


def _own_folder(path: Path, facts: FileFacts, settings: dict[str, Any]) -> Path:
    """Return the folder for frames that the scene of the .blend at *path* names itself. Raises `BadInput` where it names none."""
    try:
        return destination(own_path(facts, settings), path)
    except NoDestination as reason:
        raise BadInput(f"{reason}: name a folder for the frames") from reason


def _check_missing(facts: FileFacts, allowed: bool) -> None:
    if not facts.missing or allowed:
        return
    count = len(facts.missing)
    shown = "; ".join(f"{each.path}, used by {each.used_by}" for each in facts.missing[:_MISSING_SHOWN])
    more = f"; and {count - _MISSING_SHOWN} more" if count > _MISSING_SHOWN else ""
    are, them = ("1 file is", "it") if count == 1 else (f"{count} files are", "them")
    raise BadInput(f"{are} missing: {shown}{more}. Upload {them} too, or allow that it renders without {them}")


def _send(path: Path, upload: Path, ocio: str) -> tuple[str, str, str]:
    """Let the farm have *path* and what it needs of the same *upload* (a .blend may name any file of this machine), with the OCIO
    configuration *ocio* of it; returns the digest of the list of its files, and the paths of the two there. Raises `BadInput`."""
    here = farm()
    if ocio and not ocio.startswith(BUILT_IN):
        ocio = str(inside(upload, ocio))
    if ocio:
        check_configuration(ocio)
    with packed(path, upload, ocio or None) as pack, tempfile.TemporaryDirectory() as folder:
        configuration, added = configuration_to_send(ocio, Path(folder), upload)
        bundle, blobs = Packed(pack.main, pack.files | added).bundle()
        listed = Path(folder) / "bundle"
        listed.write_bytes(as_bytes(bundle))
        digest, _ = digest_of_file(listed)
        with Exchange(here.server.files, Credentials(here.pair, here.server.key)) as exchange:
            exchange.send(blobs | {digest: listed})
    return digest, bundle.main, configuration
