"""Jobs whose files travel: brought to the worker and laid out before the attempt, frames brought to the server as they are
finished."""

import contextlib
import hashlib
import shutil
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

import msgspec

from brender.engines.attempt import Attempt, AttemptFailed, Courier
from brender.engines.events import AttemptEvent, PartFinished, Progressed
from brender.engines.ocio import BUILT_IN
from brender.jobs.blender_still import piece_name
from brender.jobs.film import frames_of_film
from brender.model.bundle import Bundle, read_bundle
from brender.model.errors import BadInput
from brender.model.frame_file import FrameFile
from brender.model.job import FILM

#: Blobs that are brought at once, and jobs whose files stay laid out.
_AT_ONCE, _JOBS_KEPT = 4, 3
_LOOK_SECONDS = 0.5


def travel(attempt: Attempt) -> None:
    """Have the files of *attempt*'s job here, and its order speak of where they are; from now on a finished part is told of once
    the server has its file. Raises `AttemptFailed` or `AttemptStopped`."""
    courier = attempt.place.courier
    if courier is None:
        raise AttemptFailed("This worker has nothing to bring a job's files with")
    folder = attempt.place.job_folder(attempt.order.job)
    files = folder / "files"
    _bring(attempt, courier, [attempt.order.bundle])
    try:
        bundle = read_bundle(courier.read(attempt.order.bundle))
    except BadInput as error:
        raise AttemptFailed(str(error), permanent=True) from error
    if not files.exists():
        _bring(attempt, courier, [file.blob for file in bundle.files])
        _lay_out(courier, bundle, files)
        _clear(folder)
    if attempt.grant.pieces:
        _bring_pieces(attempt, courier, folder / "out")
    settings = attempt.order.settings | {"file": str(files / bundle.main)}
    if (ocio := str(settings.get("ocio") or "")) and not ocio.startswith(BUILT_IN):
        if ocio not in {file.path for file in bundle.files}:
            raise AttemptFailed(f"The job's OCIO configuration {ocio} is not among the files that it brought", permanent=True)
        settings["ocio"] = str(files / ocio)
    attempt.order = msgspec.structs.replace(attempt.order, settings=settings, output=str(folder / "out"))
    told = attempt.emit

    def emit(event: AttemptEvent) -> None:
        told(_delivered(attempt, courier, event) if isinstance(event, PartFinished) and event.output else event)

    attempt.emit = emit


def _bring(attempt: Attempt, courier: Courier, blobs: list[str]) -> None:
    """Have all of *blobs* here."""
    missing = [blob for blob in dict.fromkeys(blobs) if not courier.has(blob)]
    waiting: dict[str, threading.Event] = {}
    reasons: dict[str, str] = {}

    def ended(blob: str, reason: str) -> None:
        reasons[blob] = reason
        waiting[blob].set()

    queue = list(missing)
    while queue or waiting:
        while queue and len(waiting) < _AT_ONCE:
            blob = queue.pop(0)
            waiting[blob] = threading.Event()
            courier.fetch(blob, partial(ended, blob))
        next(iter(waiting.values())).wait(_LOOK_SECONDS)
        attempt.check()
        for blob in [blob for blob, event in waiting.items() if event.is_set()]:
            del waiting[blob]
            if reasons[blob]:
                raise AttemptFailed(f"A file of the job cannot be had: {reasons[blob]}")
        text = f"bringing files: {len(missing) - len(queue) - len(waiting)} of {len(missing)}"
        attempt.emit(Progressed(attempt.grant.parts[0].frame, 0.0, text, attempt.log.received + len(reasons)))
    if missing:
        attempt.log.say(f"{len(missing)} files were brought here")


def _lay_out(courier: Courier, bundle: Bundle, files: Path) -> None:
    """Have *bundle* in the new folder *files*, whole or not at all."""
    building = files.with_name("files.new")
    shutil.rmtree(building, ignore_errors=True)
    try:
        for file in bundle.files:
            courier.lay_out(file.blob, building / file.path)
        building.rename(files)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _clear(newest: Path) -> None:
    """Remove what is laid out of jobs that were not worked on lately."""
    others = [each for each in newest.parent.iterdir() if each != newest]
    dated = []
    for each in others:
        with contextlib.suppress(OSError):
            dated.append((each.stat().st_mtime, each))
    for _, each in sorted(dated, reverse=True)[_JOBS_KEPT - 1 :]:
        shutil.rmtree(each, ignore_errors=True)


def _bring_pieces(attempt: Attempt, courier: Courier, out: Path) -> None:
    """Have the pieces that the attempt merges, or the frames of its film, where it looks for them."""
    _bring(attempt, courier, [blob for blob in attempt.grant.pieces if blob])
    part = attempt.grant.parts[0]
    if part.piece == FILM:
        names = [name for _, name in frames_of_film(attempt.order.settings)]
    else:
        names = [piece_name(part.output, number) for number in range(1, len(attempt.grant.pieces) + 1)]
    for name, blob in zip(names, attempt.grant.pieces, strict=True):
        place = out / name
        place.unlink(missing_ok=True)
        if blob:
            courier.lay_out(blob, place)


def _delivered(attempt: Attempt, courier: Courier, part: PartFinished) -> PartFinished:
    """*part*, once the server has all its files: with the digest of each."""
    numbers = {grant.id: grant.piece for grant in attempt.grant.parts}
    kind: Literal["frame", "piece"] = "piece" if numbers[part.part] > 0 else "frame"
    names = [part.output, *(extra.output for extra in part.extras)]
    digests, waiting = [], []
    for number, name in enumerate(names):
        path = Path(attempt.order.output) / name
        with path.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
        waiting.append(arrived := threading.Event())
        sent = FrameFile(kind, attempt.order.job, attempt.grant.attempt, part.part, number, path, digests[-1])
        courier.deliver(sent, arrived.set)
    for arrived in waiting:
        while not arrived.wait(_LOOK_SECONDS):
            attempt.check()
    extras = [msgspec.structs.replace(extra, digest=digest) for extra, digest in zip(part.extras, digests[1:], strict=True)]
    return replace(part, digest=digests[0], extras=tuple(extras))
