"""Pictures and files of frames: small ones, whole ones, EXR with an exposure; zips, films, contact sheets."""

import contextlib
import io
import json
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, TypeVar

import msgspec
import OpenImageIO as oiio
from flask import Blueprint, Response, request, send_file

from brender.engines.ffmpeg import make_film
from brender.engines.layers import layer_displayed, layers_of
from brender.engines.pictures import BadPicture, displayed
from brender.model.errors import BadInput, NotFound
from brender.model.job import FILM
from brender.store import questions
from brender.store.named import job_id
from brender.store.progressive import pictures
from dashboard.endpoint import Nothing, describe, query_as
from dashboard.farm import farm, user_name
from dashboard.frame_files import FrameFiles
from dashboard.turns import Turns

#: Part of the pages, and of the API.
blueprint = Blueprint("pictures", __name__)

#: Formats that browsers show; the others are handed over as files.
_SHOWN = {".png", ".jpg", ".webp", ".bmp"}
_WIDTHS = (256, 640, 1280, 1920, 3840)
_STOPS = 20.0
_SHEET_MOST = 400
_BLOCK = 2**20
_FILM_WIDTH = 1920
_FILM_SECONDS = 1800.0

View = TypeVar("View", bound=Callable[..., Response])


class PictureQuery(msgspec.Struct, frozen=True):
    """``width``: pixels at most; ``exposure``: stops more, of linear light; ``layer``: one that the file has ("": the picture
    that it is looked at for)."""

    width: int = 1280
    layer: Annotated[str, msgspec.Meta(max_length=1000)] = ""
    exposure: Annotated[float, msgspec.Meta(ge=-_STOPS, le=_STOPS)] = 0.0


class MovieQuery(msgspec.Struct, frozen=True):
    """``fps``: frames a second; left out: as the scene has it."""

    fps: Annotated[float, msgspec.Meta(gt=0, le=1000)] | None = None


#: What anybody who may look can start, and what it holds of the machine: processes and cores, memory, threads and disk.
_FILMS = Turns("films", in_all=2, of_one=1)
_SHEETS = Turns("contact sheets", in_all=2, of_one=1)
_PICTURES = Turns("pictures", in_all=4, of_one=4, wait=30.0)
_DOWNLOADS = Turns("films and zips", in_all=24, of_one=3)


def given(path: str, content: str, query: type[msgspec.Struct] = Nothing) -> Callable[[View], View]:
    """Let the decorated function answer at *path* with something of the type *content*, and the API's description say so."""

    def declare(view: View) -> View:
        described = path.replace("<int:", "<").replace("<", "{").replace(">", "}")
        summary = " ".join((view.__doc__ or "").split())
        describe("GET", described, summary=summary, query=query, content=content)
        return blueprint.get(path)(view)

    return declare


@given("/jobs/<id>/thumbnails/<int:part>", "image/jpeg")
def thumbnail(id: str, part: int) -> Response:
    """Return a small picture of a frame."""
    return send_file(farm().files.small(id, part), mimetype="image/jpeg", max_age=86400)


@given("/jobs/<id>/frames/<int:part>", "*/*")
def frame(id: str, part: int) -> Response:
    """Return the frame's own file, as it was rendered; of a frame that has none, the first of its further files."""
    path = farm().files.frame(id, part, 0)
    return send_file(path, as_attachment=path.suffix.lower() not in _SHOWN)


@given("/jobs/<id>/frames/<int:part>/files/<int:number>", "*/*")
def further_file(id: str, part: int, number: int) -> Response:
    """Return one of the further files of a frame, such as what the scene's file outputs write: the first is 1 (0 is its own
    file, where it has one)."""
    return send_file(farm().files.frame(id, part, number), as_attachment=True)


@given("/jobs/<id>/pictures/<int:part>", "image/jpeg", PictureQuery)
def picture(id: str, part: int) -> Response:
    """Return the frame as a JPEG that any browser shows, ``width`` pixels wide at most; linear light with ``exposure`` stops
    more."""
    query = query_as(PictureQuery)
    if query.width not in _WIDTHS:
        raise BadInput(f"The width is one of: {', '.join(map(str, _WIDTHS))}")
    path = farm().files.frame(id, part)
    with _PICTURES.take(user_name()):
        content = _as_jpeg(path, query)
    return Response(content, mimetype="image/jpeg", headers={"Cache-Control": "private, max-age=3600"})


def layers(id: str, part: int) -> list[str]:
    """Return the names of the layers of a frame's file; none where it is no EXR. Raises `NotFound`."""
    path = farm().files.frame(id, part)
    try:
        return [layer.name for layer in layers_of(path)] if path.suffix.lower() == ".exr" else []
    except BadPicture as error:
        raise NotFound(f"{path.name} cannot be read: {error}") from error


@given("/jobs/<id>/frames.zip", "application/zip")
def frames_zip(id: str) -> Response:
    """Return all finished frames in one zip, as it is made."""
    files, _, name = _all(id)
    with contextlib.ExitStack() as held:
        held.enter_context(_DOWNLOADS.take(user_name()))
        response = Response(_zipped(files), mimetype="application/zip", headers=_attached(f"{_safe(name)}.zip"))
        response.call_on_close(held.pop_all().close)
        return response


@given("/jobs/<id>/film", "video/*")
def scene_film(id: str) -> Response:
    """Return the film that the job has made, as its scene is set to write it."""
    with farm().reader.record() as record:
        job, part = job_id(record, id), record.tables.Part
        row = part.get_or_none((part.job == job) & (part.piece == FILM))
        if row is None:
            raise NotFound("The job makes no film of its own: a film of its frames is under Download, A film")
        if row.status != "completed":
            raise NotFound("The film is not made yet")
    return send_file(farm().files.frame(job, row.id), as_attachment=True, download_name=PurePosixPath(row.output).name)


@given("/jobs/<id>/movie.mp4", "video/mp4", MovieQuery)
def movie(id: str) -> Response:
    """Return the finished frames as a film, where the dashboard's machine has ffmpeg: as many a second as the scene has, or
    ``fps``."""
    with farm().reader.record() as record:
        fps = query_as(MovieQuery).fps or questions.job_without_counts(record, id)["fps"]
    files, count, name = _all(id)
    with contextlib.ExitStack() as held:
        held.enter_context(_DOWNLOADS.take(user_name()))
        made = Path(held.enter_context(tempfile.TemporaryDirectory())) / "film.mp4"
        with _FILMS.take(user_name()):
            make_film(_while_wanted(files, count), fps, made, _FILM_WIDTH)
        response = Response(_pieces(made), mimetype="video/mp4", headers=_attached(f"{_safe(name)}.mp4"))
        response.content_length = made.stat().st_size
        response.call_on_close(held.pop_all().close)
        return response


@given("/jobs/<id>/contact-sheet.jpg", "image/jpeg")
def contact_sheet(id: str) -> Response:
    """Small pictures of all finished frames beside each other, at most 400 of them."""
    with _SHEETS.take(user_name()):
        return Response(_contact_sheet(id), mimetype="image/jpeg")


def _contact_sheet(id: str) -> bytes:
    files = farm().files
    with farm().reader.record() as record:
        job = job_id(record, id)
        finished = files.finished(record, job)
    step = max(1, -(-len(finished) // _SHEET_MOST))
    chosen = [oiio.ImageBuf(str(path)) for path in files.all_small(job, finished[::step])]
    if not chosen:
        raise NotFound("There are no small pictures of its frames yet")
    columns = max(1, round(len(chosen) ** 0.5 * 1.2))
    wide, high = max(each.spec().width for each in chosen), max(each.spec().height for each in chosen)
    rows_needed = -(-len(chosen) // columns)
    sheet = oiio.ImageBuf(oiio.ImageSpec(columns * (wide + 8) + 8, rows_needed * (high + 8) + 8, 3, oiio.UINT8))
    for number, each in enumerate(chosen):
        left, top = 8 + number % columns * (wide + 8), 8 + number // columns * (high + 8)
        oiio.ImageBufAlgo.paste(sheet, left, top, 0, 0, oiio.ImageBufAlgo.channels(each, (0, 1, 2)))
    return _written(sheet)


def _while_wanted(files: Iterator[tuple[Path, str]], count: int) -> Iterator[Path]:
    """Yield the paths of *files*, at most *count*, as long as somebody waits for their film and it does not take too long. Raises
    `BadInput`."""
    disconnected = request.environ.get("waitress.client_disconnected")
    end = time.monotonic() + _FILM_SECONDS
    for number, (path, _) in enumerate(files):
        if disconnected is not None and disconnected():
            raise BadInput("Nobody waits for this film any more")
        if time.monotonic() > end:
            raise BadInput(
                f"After {_FILM_SECONDS / 60:.0f} minutes {number} of {count} frames were in the film, and it was given up: "
                "take the frames as a zip, or let the scene itself write a film"
            )
        yield path


def _attached(name: str) -> dict[str, str]:
    return {"Content-Disposition": f"attachment; filename={json.dumps(name)}"}


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            yield block


def _all(id: str) -> tuple[Iterator[tuple[Path, str]], int, str]:
    """Return the files of the job's finished frames, each with its name, one after the other; at most how many they are; and the
    job's name. Raises `NotFound` if no frame is finished."""
    reader, found = farm().reader, farm().files
    with reader.record() as record:
        job, part = record.tables.Job.get_by_id(job_id(record, id)), record.tables.Part
        folder = Path(reader.folder_of(record, job.output)).resolve()
        rows = part.select(part.id, part.output).where(pictures(record.tables, job.id, job.passes) & (part.output != ""))
        finished = list(rows.order_by(part.frame, part.id).tuples())
    files = [((folder / name).resolve(), number, name) for number, name in finished]
    there = [(path, number, name) for path, number, name in files if path.is_relative_to(folder) and path.is_file()]
    if not there and found.is_elsewhere:
        named, most = _asked_for(found, job.id, finished), len(finished)
    else:
        named, most = ((path, name) for path, _, name in there), len(there)
    first = next(named, None)
    if first is None:
        raise NotFound("There are no finished frames of it (any more)")
    return chain([first], named), most, job.name


def _asked_for(found: FrameFiles, job: str, finished: list[tuple[int, str]]) -> Iterator[tuple[Path, str]]:
    """Yield the files of the *finished* parts (part, name) of *job*, asked of the server, without those that are gone."""
    for part, name in finished:
        with contextlib.suppress(NotFound):
            yield found.frame(job, part), name


def _zipped(files: Iterator[tuple[Path, str]]) -> Iterator[bytes]:
    """A zip of *files*, not compressed, piece by piece."""
    out = _Outlet()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for path, name in files:
            told = zipfile.ZipInfo.from_file(path, name, strict_timestamps=False)  # of a file from before 1980 too
            with path.open("rb") as source, archive.open(told, "w", force_zip64=True) as target:
                while block := source.read(_BLOCK):
                    target.write(block)
                    yield out.taken()
            yield out.taken()
    yield out.taken()


class _Outlet(io.RawIOBase):
    """What is written to it, to be taken away; it cannot go back."""

    def __init__(self) -> None:
        self._held = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        self._held += content
        return len(content)

    def taken(self) -> bytes:
        held, self._held = bytes(self._held), bytearray()
        return held


def _as_jpeg(path: Path, query: PictureQuery) -> bytes:
    try:
        if query.layer:
            return _written(layer_displayed(path, query.layer, query.width, query.exposure))
        return _written(displayed(path, query.width, query.exposure))
    except BadPicture as error:
        raise NotFound(f"{path.name} cannot be shown: {error}") from error


def _written(image: Any) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "picture.jpg"
        image.set_write_format(oiio.UINT8)
        if not image.write(str(target)):
            raise NotFound(f"The picture cannot be made: {image.geterror()}")
        return target.read_bytes()


def _safe(name: str) -> str:
    """Return *name* as a file may be called everywhere."""
    return "".join(letter if letter.isalnum() or letter in "._- " else "_" for letter in name).strip() or "frames"
