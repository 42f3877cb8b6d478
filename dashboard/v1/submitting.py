"""The JSON API: submitting. A .blend comes as an upload, with what lies beside it, or is picked from a project's folder on the
server's machine; what it says of itself fills in the rest.

Uploads are sent to the farm by their content, as `brender submit --send` does; files of a project's folder are used where they
are."""

import contextlib
import os
import platform
import tempfile
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, BinaryIO

import msgspec
from flask import Blueprint, Response, current_app, request
from werkzeug.exceptions import LengthRequired
from werkzeug.sansio.multipart import Data, Epilogue, Event, File, MultipartDecoder, NeedData

from brender.blendfile.facts import inspect
from brender.blendfile.header import preview
from brender.blendfile.packing import Packed, digest_of_file, packed
from brender.bus.ids import new_id
from brender.bus.keys import Credentials
from brender.engines.destination import NoDestination, destination, one_spelling
from brender.engines.ocio import BUILT_IN, check_configuration, configuration_to_send
from brender.jobs.blender_animation import engine_word, own_path
from brender.jobs.declare import job_type
from brender.model.bundle import as_bytes, check_path
from brender.model.errors import BadInput, NotFound
from brender.model.estimates import estimate, work_of
from brender.model.job import LIMIT_MINUTES, MINUTES_MOST, PRIORITY_NORMAL, STALL_MINUTES, FileFacts, JobSpec
from brender.model.naming import EXTENSIONS
from brender.model.paths import collapse, expand, places, platform_of
from brender.model.trust import check_trust
from brender.store import page_questions
from brender.store.path_variables import path_variables
from brender.transfer.client import Exchange
from dashboard.answers import submitting as answers
from dashboard.endpoint import describe, endpoint
from dashboard.farm import farm, user_name
from dashboard.people import need

blueprint = Blueprint("v1-submitting", __name__)

Name = Annotated[str, msgspec.Meta(max_length=255)]
Minutes = Annotated[float, msgspec.Meta(ge=0, le=MINUTES_MOST)]
_MISSING_SHOWN = 10
_LISTED_MOST = 2000
_FILES_MOST = 100_000
_BLOCK = 2**16
#: What .blend files said of themselves, by path, bounds and stat; as many as are kept in memory.
_SEEN: dict[tuple[Path, Path | None, int, int], FileFacts] = {}
_SEEN_MOST = 64


class FilesQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    project: Name
    folder: Annotated[str, msgspec.Meta(max_length=1000)] = ""


class UploadQuery(msgspec.Struct, frozen=True):
    """``upload``: the one that these files belong to; "": a new one."""

    upload: Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{16})?$")] = ""


class RoomQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    more: Annotated[int, msgspec.Meta(ge=0, le=2**53)] = 0


class Where(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A .blend: of an ``upload``, or of a ``project``'s folder; ``file`` is its path there."""

    file: Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
    upload: Name = ""
    project: Name = ""


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


@endpoint(blueprint, "GET", "/files", query=FilesQuery, needed="submit", answer=answers.Folder)
def files(query: FilesQuery) -> Any:
    """Return what is in a folder of a project: its folders and .blend files. It never leads out of the project's own folder."""
    root = _root(query.project)
    folder = _inside(root, query.folder)
    if not folder.is_dir():
        raise NotFound(f"There is no folder {query.folder!r} in the project {query.project}")
    found = []
    for path in sorted(folder.iterdir(), key=lambda path: (not path.is_dir(), path.name.lower()))[:_LISTED_MOST]:
        is_folder = path.is_dir()
        if path.name.startswith(".") or not (is_folder or path.suffix == ".blend") or not _is_inside(root, path):
            continue
        size = 0 if is_folder else path.stat().st_size
        found.append({"name": path.name, "path": path.relative_to(root).as_posix(), "is_folder": is_folder, "size": size})
    return {"folder": folder.relative_to(root).as_posix().removeprefix("."), "files": found}


@endpoint(blueprint, "POST", "/inspect", body=Where, needed="submit", answer=answers.FileTold)
def look_into(body: Where) -> Any:
    """Return what a .blend says of itself: its scenes and cameras, and which of its files are missing."""
    path = _source(body)
    facts = _inspected(path, _bounds(body), anew=True)
    told: dict[str, Any] = msgspec.to_builtins(facts)
    for scene in told["scenes"]:
        scene["engine_word"] = engine_word(scene["engine"])
    for missing in told["missing"]:
        missing["place"] = _place(missing["path"], body)
        missing["shown"] = _shown(missing["path"], path) if body.upload else missing["path"]
    return told | {"formats": list(EXTENSIONS), "preview": preview(path) is not None}


@endpoint(blueprint, "GET", "/preview", query=Where, needed="submit", content="image/png")
def preview_picture(query: Where) -> Any:
    """The preview picture that Blender saved in a .blend."""
    found = preview(_source(query))
    if found is None:
        raise NotFound(f"{PurePosixPath(query.file).name} has no preview picture")
    return Response(found.as_png(), mimetype="image/png", headers={"Cache-Control": "private, max-age=3600"})


describe(
    "POST",
    "/uploads",
    summary="Take in files: .blend files and what they need, each under its path beside the others, or those of an upload.",
    query=UploadQuery,
    requestBody={
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["files"],
                    "properties": {"files": {"type": "array", "items": {"type": "string", "format": "binary"}}},
                }
            }
        },
    },
    answer=answers.Uploaded,
)


@blueprint.post("/uploads")
def upload() -> Any:
    """Take in files: .blend files and what they need, each under its path beside the others, or those of an upload."""
    need("submit")
    if not request.content_length:
        raise LengthRequired("Say how long the files are (Content-Length), so that it is seen whether there is room")
    request.max_content_length = current_app.config["UPLOAD_LENGTH"]
    uploads = farm().uploads
    into = str(request.args.get("upload", ""))
    kept = uploads.more(into, user_name()) if into else uploads.new(user_name())
    reserved = uploads.reserve(user_name(), request.content_length)
    try:
        with kept as (id, folder):
            blends = [name for name in _files_into(folder) if name.endswith(".blend")]
            if not (blends or into):
                raise BadInput("There is no .blend among these files")
    except OSError as error:
        raise BadInput(f"The files cannot be kept on the dashboard's machine: {error.strerror}") from error
    finally:
        reserved.release()
    return {"upload": id, "blends": blends}


@endpoint(blueprint, "GET", "/uploads", query=RoomQuery, needed="submit", answer=answers.Room)
def room(query: RoomQuery) -> Any:
    """Return how many bytes of one's uploads lie here. Answered 413, with the reason, where ``more`` bytes would be too many."""
    uploads = farm().uploads
    if query.more:
        uploads.reserve(user_name(), query.more).release()
    return {"bytes": uploads.bytes_of(user_name())}


@endpoint(blueprint, "DELETE", "/uploads", needed="submit", answer=answers.Room)
def remove_uploads() -> Any:
    """Remove one's uploads. What was submitted of them, the farm has."""
    farm().uploads.remove_all_of(user_name())
    return {"bytes": farm().uploads.bytes_of(user_name())}


@endpoint(blueprint, "POST", "/jobs", body=Submission, needed="submit", answer=answers.Submitted)
def submit(body: Submission) -> Any:
    """Submit a job."""
    more: dict[str, Any] = {}
    settings = dict(body.settings)
    facts: FileFacts | None = None
    output = body.output
    cautions: tuple[str, ...] = ()
    if body.source is not None:
        path = _source(body.source)
        facts = inspect(path, _bounds(body.source))
        _check_missing(facts, body.allow_missing)
        cautions = check_trust(facts, body.trusted, '"trusted": true (Trust it)', '"trusted": false (Render without)')
        if body.source.upload:
            ocio = str(settings.get("ocio") or "")
            more["bundle"], settings["file"], settings["ocio"] = _send(path, _upload(body.source.upload), ocio)
        else:
            output = body.output or str(_own_folder(path, facts, settings))
            settings["file"] = _shared(path)
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
        output=_placed(output) if output else "",
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
        path = _source(body.source)
        facts = _inspected(path, _bounds(body.source), anew=False)
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
    """Return the folder for frames that the scene of the .blend at *path* names itself. Raises `BadInput` where that is none."""
    try:
        return destination(own_path(facts, settings), path)
    except NoDestination as reason:
        raise BadInput(f"{reason}: name a folder for the frames") from reason


def _place(missing: str, source: Where) -> str:
    """Where in its upload a .blend looks for the file *missing*; "" where it looks elsewhere, or is of a project."""
    if not source.upload:
        return ""
    root = _upload(source.upload)
    for base in (root, root.resolve()):
        with contextlib.suppress(ValueError):
            return Path(os.path.normpath(missing)).relative_to(base).as_posix()
    return ""


def _shown(missing: str, blend: Path) -> str:
    """The path of the file *missing* of an uploaded *blend* as Blender writes it, relative to the .blend: where uploads lie here
    says nothing to their owner."""
    for folder in (blend.parent, blend.resolve().parent):
        if Path(missing).is_relative_to(farm().uploads.root) or Path(missing).is_relative_to(folder):
            return f"//{Path(os.path.relpath(missing, folder)).as_posix()}"
    return missing


def _inspected(path: Path, within: Path | None, anew: bool) -> FileFacts:
    """What the .blend at *path* says of itself, as it was seen last unless *anew*: Blender opens the file for it. Raises
    `BadInput`."""
    stat = path.stat()
    key = (path, within, stat.st_mtime_ns, stat.st_size)
    found = None if anew else _SEEN.get(key)
    if found is None:
        found = _SEEN[key] = inspect(path, within)
        while len(_SEEN) > _SEEN_MOST:
            _SEEN.pop(next(iter(_SEEN)), None)
    return found


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
        ocio = str(_inside(upload, ocio))
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


def _bounds(where: Where) -> Path | None:
    """Return the folder beyond which a .blend learns nothing of this machine's files; ``None`` for those of projects, which share
    them."""
    return _upload(where.upload) if where.upload else None


def _source(where: Where) -> Path:
    """Return the file that *where* means. Raises `NotFound` or `BadInput`."""
    if bool(where.upload) == bool(where.project):
        raise BadInput("A .blend is of an upload, or of a project: name one of these")
    root = _root(where.project) if where.project else _upload(where.upload)
    path = _inside(root, where.file)
    if not path.is_file():
        raise NotFound(f"There is no file {where.file!r} there")
    return path


def _upload(id: str) -> Path:
    return farm().uploads.folder(id, user_name())


def _files_into(folder: Path) -> list[str]:
    """Write the files of the request's body, one after the other as they come, to their places in *folder*; returns their names.
    Raises `BadInput` or `OSError`."""
    boundary = request.mimetype_params.get("boundary", "")
    if request.mimetype != "multipart/form-data" or not boundary:
        raise BadInput("Files are uploaded as multipart/form-data")
    decoder = MultipartDecoder(boundary.encode("latin-1"), _BLOCK * 16, max_parts=_FILES_MOST)
    names: list[str] = []
    target: BinaryIO | None = None
    with contextlib.ExitStack() as opened:
        while not isinstance(event := _next_event(decoder), Epilogue):
            if isinstance(event, File) and event.name == "files":
                name = event.filename.replace("\\", "/")
                check_path(name)
                names.append(name)
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                target = opened.enter_context(path.open("wb"))
            elif isinstance(event, Data) and target is not None:
                target.write(event.data)
                if not event.more_data:
                    opened.close()
                    target = None
    return names


def _next_event(decoder: MultipartDecoder) -> Event:
    """Return what comes next in the body. Raises `BadInput` where it makes no sense or is cut off."""
    try:
        while isinstance(event := decoder.next_event(), NeedData):
            decoder.receive_data(request.stream.read(_BLOCK) or None)
    except ValueError as error:
        raise BadInput(f"The files did not arrive whole: {error}") from error
    return event


def _root(project: str) -> Path:
    """Return the folder of *project* on this machine. Raises `NotFound`."""
    with farm().reader.record() as record:
        row = record.tables.Project.get_or_none(name=project)
        variables = path_variables(record.tables)
    if row is None or not row.root:
        raise NotFound(f"The project {project!r} has no folder on the server's machine: an admin or wrangler can name one")
    here = platform_of(platform.system())
    return Path(expand(row.root, places(variables, here), here)).resolve()


def _inside(root: Path, path: str) -> Path:
    """Return *path* below *root*, wherever links lead. Raises `BadInput`."""
    found = root / path
    if "\0" in path or PurePosixPath(path).is_absolute() or not _is_inside(root, found):
        raise BadInput(f"{path!r} leads out of the folder")
    return found


def _is_inside(root: Path, path: Path) -> bool:
    try:
        return path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError):
        return False


def _placed(folder: str) -> str:
    """Return the one spelling of the output *folder*, a path of this machine or one with a path variable."""
    if not folder.startswith("{"):
        _must_be_absolute(Path(folder))
    with farm().reader.record() as record:
        return one_spelling(folder, path_variables(record.tables))


def _shared(path: Path) -> str:
    """Return *path* with a path variable for its beginning, where one fits."""
    if str(path).startswith("{"):
        return str(path)
    _must_be_absolute(path)
    with farm().reader.record() as record:
        return collapse(str(path), path_variables(record.tables), platform_of(platform.system()))


def _must_be_absolute(path: Path) -> None:
    if not path.is_absolute():
        raise BadInput(f"{str(path)!r} is no absolute path")
