"""The JSON API: files to submit. What is in a project's folder, uploads, and what a .blend says of itself."""

import contextlib
import os
import shutil
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, BinaryIO

import msgspec
from flask import Blueprint, Response, current_app, request
from werkzeug.exceptions import LengthRequired
from werkzeug.sansio.multipart import Data, Epilogue, Event, File, MultipartDecoder, NeedData

from brender.blendfile.header import preview
from brender.blendfile.through_blender import outside_place
from brender.jobs.blender_animation import engine_word
from brender.model.bundle import check_path
from brender.model.errors import BadInput, NotFound
from brender.model.job import FileFacts, MissingFile
from brender.model.naming import EXTENSIONS
from brender.model.text import short_id
from brender.store import questions
from dashboard.answers import submitting as answers
from dashboard.endpoint import describe, endpoint
from dashboard.farm import farm, user_name
from dashboard.people import need
from dashboard.sources import (
    Name,
    Where,
    as_told,
    bounds,
    inside,
    inspected,
    is_inside,
    project_folder,
    source_file,
    upload_folder,
)
from dashboard.uploads import files_folder

blueprint = Blueprint("v1-files", __name__)

_LISTED_MOST = 2000
_FILES_MOST = 100_000
_BLOCK = 2**16


class FilesQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    project: Name
    folder: Annotated[str, msgspec.Meta(max_length=1000)] = ""


class UploadQuery(msgspec.Struct, frozen=True):
    """``upload``: the one that these files belong to, or "" for a new one."""

    upload: Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{16})?$")] = ""


class RoomQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    more: Annotated[int, msgspec.Meta(ge=0, le=2**53)] = 0


class OfferedFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file that is to be at ``path`` in an upload, by the SHA-256 of its content."""

    path: Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
    digest: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    size: Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class Offer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``upload``: the one that these files belong to, or "" for a new one."""

    files: Annotated[list[OfferedFile], msgspec.Meta(max_length=10_000)]
    upload: Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{16})?$")] = ""


@endpoint(blueprint, "GET", "/files", query=FilesQuery, needed="submit", answer=answers.Folder)
def files(query: FilesQuery) -> Any:
    """Return what is in a folder of a project: its folders and .blend files. It never leads out of the project's own folder."""
    root = project_folder(query.project)
    folder = inside(root, query.folder)
    if not folder.is_dir():
        raise NotFound(f"There is no folder {query.folder!r} in the project {query.project}")
    found = []
    for path in sorted(folder.iterdir(), key=lambda path: (not path.is_dir(), path.name.lower()))[:_LISTED_MOST]:
        is_folder = path.is_dir()
        if path.name.startswith(".") or not (is_folder or path.suffix == ".blend") or not is_inside(root, path):
            continue
        size = 0 if is_folder else path.stat().st_size
        found.append({"name": path.name, "path": path.relative_to(root).as_posix(), "is_folder": is_folder, "size": size})
    return {"folder": folder.relative_to(root).as_posix().removeprefix("."), "files": found}


@endpoint(blueprint, "POST", "/inspect", body=Where, needed="submit", answer=answers.FileTold)
def look_into(body: Where) -> Any:
    """Return what a .blend says of itself: its scenes and cameras, and which of its files are missing."""
    path = source_file(body)
    facts = inspected(path, bounds(body), fresh=True)
    told: dict[str, Any] = msgspec.to_builtins(as_told(facts, path, body))
    for scene in told["scenes"]:
        scene["engine_word"] = engine_word(scene["engine"])
    for here, missing in zip(facts.missing, told["missing"], strict=True):
        missing["place"] = _place(here, body)
    return told | {"formats": list(EXTENSIONS), "preview": preview(path) is not None}


@endpoint(blueprint, "GET", "/jobs/{id}/file", needed="submit", answer=answers.FileTold)
def file_of_job(id: str) -> Any:
    """Return what the .blend of a job said of itself when it was submitted, for one that is to render it again."""
    with farm().reader.record() as record:
        row = questions.job_without_counts(record, id)
    if row["facts"] is None:
        raise NotFound(f"The job {short_id(row['id'])} renders no .blend")
    told: dict[str, Any] = msgspec.to_builtins(msgspec.convert(row["facts"], FileFacts))
    for scene in told["scenes"]:
        scene["engine_word"] = engine_word(scene["engine"])
    return told | {"formats": list(EXTENSIONS), "preview": False, "missing": []}


@endpoint(blueprint, "GET", "/preview", query=Where, needed="submit", content="image/png")
def preview_picture(query: Where) -> Any:
    """The preview picture that Blender saved in a .blend."""
    found = preview(source_file(query))
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
        raise LengthRequired("Say how long the files are (Content-Length), so that the dashboard can check for room")
    request.max_content_length = current_app.config["UPLOAD_LENGTH"]
    uploads = farm().uploads
    into = str(request.args.get("upload", ""))
    kept = uploads.more(into, user_name()) if into else uploads.new(user_name())
    reserved = uploads.reserve(user_name(), request.content_length)
    try:
        with kept as (id, folder):
            blends = [name for name in _files_into(folder, may_be_above=bool(into)) if name.endswith(".blend")]
            if not (blends or into):
                raise BadInput("There is no .blend among these files")
    except OSError as error:
        raise BadInput(f"The files cannot be kept on the dashboard's machine: {error.strerror}") from error
    finally:
        reserved.release()
    return {"upload": id, "blends": blends}


@endpoint(blueprint, "POST", "/uploads/offer", body=Offer, needed="submit", answer=answers.Offered)
def offer(body: Offer) -> Any:
    """Add files by their content to an upload, or to a new one, and return which of them the farm lacks: those are uploaded."""
    if len({each.path for each in body.files}) < len(body.files):
        raise BadInput("Two of the files have the same path: give each path once")
    uploads = farm().uploads
    kept = uploads.more(body.upload, user_name()) if body.upload else uploads.new(user_name())
    known = {each.path for each in body.files if _is_known(each)}
    reserved = uploads.reserve(user_name(), sum(each.size for each in body.files if each.path in known))
    try:
        with kept as (id, folder):
            for each in body.files:
                if each.path in known and not _copied(each, folder):
                    known.remove(each.path)
    except OSError as error:
        raise BadInput(f"The files cannot be kept on the dashboard's machine: {error.strerror}") from error
    finally:
        reserved.release()
    return {"upload": id, "lacks": [each.path for each in body.files if each.path not in known]}


def _is_known(file: OfferedFile) -> bool:
    """Return whether the farm has the content of *file*, on this machine. (That of a server elsewhere is not asked.)"""
    try:
        return farm().folder.blob(file.digest).stat().st_size == file.size
    except OSError:
        return False


def _copied(file: OfferedFile, upload: Path) -> bool:
    """Have the farm's copy of *file* in the folder *upload*; return whether it was there still. Raises `OSError`."""
    place = _place_of(file.path, upload, may_be_above=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        source = farm().folder.blob(file.digest).open("rb")
    except FileNotFoundError:
        return False
    with source, place.open("wb") as target:
        shutil.copyfileobj(source, target, _BLOCK)
    return True


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


def _place(missing: MissingFile, source: Where) -> str:
    """Return where the file *missing* is taken from once it is added to its upload, as a path from the folder of the .blend
    files; "" for a .blend of a project. Beyond the upload a .blend looks in vain: what it names there has a place of its own."""
    if not source.upload:
        return ""
    root = upload_folder(source.upload)
    for base in (root, root.resolve()):
        with contextlib.suppress(ValueError):
            inside_it = Path(os.path.normpath(missing.path)).relative_to(base)
            return Path(os.path.relpath(base / inside_it, files_folder(base))).as_posix()
    return Path(os.path.relpath(root / outside_place(missing.path), files_folder(root))).as_posix()


def _place_of(name: str, upload: Path, may_be_above: bool) -> Path:
    """Return where the file *name* of a request goes in the folder *upload*. Raises `BadInput` where it leads out of it, or,
    unless *may_be_above*, out of the folder of the .blend files."""
    here, rest = files_folder(Path()), name
    while may_be_above and rest.startswith("../") and here.parts:
        here, rest = here.parent, rest.removeprefix("../")
    check_path(rest)
    return upload / here / rest


def _files_into(folder: Path, may_be_above: bool) -> list[str]:
    """Write the files of the request's body, one after the other as they come, to their places (`_place_of`) in the upload's
    *folder*, and return their names. Raises `BadInput` or `OSError`."""
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
                path = _place_of(name, folder, may_be_above)
                names.append(name)
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
