"""Jobs whose files travel: brought to the worker and laid out before the attempt, frames brought to the server as they are
finished.

A file is laid out as it arrives. So a scene may be larger than the worker's cache, which then gives its blobs up again, and jobs
on one machine do not take each other's files away.
"""

import contextlib
import errno
import os
import queue
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

import msgspec

from brender.engines.attempt import Attempt, AttemptFailed, Courier
from brender.engines.boot import is_this_boot, this_boot
from brender.engines.directories import Directory
from brender.engines.disk_space import FORBIDDEN, NO_ANSWER, NO_FOLDER, NO_ROOM
from brender.engines.events import AttemptEvent, PartFinished, Progressed
from brender.jobs.film import frames_of_film
from brender.jobs.pieces import is_piece, piece_name
from brender.jobs.video import TRAVELLING, not_among
from brender.model.bundle import Bundle, read_bundle
from brender.model.causes import Cause
from brender.model.errors import BadInput
from brender.model.failure_patterns import Follows
from brender.model.frame_file import FrameFile, named_files
from brender.model.job import BAKE, FILM
from brender.model.passes import passes_of
from brender.model.paths import BUILT_IN
from brender.model.text import plural, short_id
from brender.system.removal import remove_tree

#: Blobs that are brought at once, and jobs whose files stay laid out.
_AT_ONCE, _JOBS_KEPT = 4, 3
_LOOK_SECONDS = 0.5
#: Times that a blob is brought which is given up before it is laid out.
_TRIES = 5
_UNUSED_SECONDS = 7 * 86400.0

Places = Mapping[str, Sequence[Path]]
"""By blob the paths of the files that are to be made of it."""


def travel(attempt: Attempt) -> None:
    """Have the files of *attempt*'s job here, and its order speak of where they are; from now on a finished part is told of once
    the server has its file. Raises `AttemptFailed` or `AttemptStopped`."""
    courier = attempt.place.courier
    if courier is None:
        raise AttemptFailed("This worker has no connection to fetch a job's files")
    folder = attempt.place.job_folder(attempt.order.job)
    files = folder / "files"
    _trust(folder)
    bring(attempt, courier, {attempt.order.bundle: [folder / "bundle"]})
    try:
        bundle = read_bundle((folder / "bundle").read_bytes())
    except BadInput as error:
        raise AttemptFailed(str(error), permanent=True) from error
    if not files.exists():
        _lay_out(attempt, courier, bundle, files)
    if passes_of(attempt.order.settings):
        for part in attempt.grant.parts:  # what the frame has accumulated is the farm's to say, and not this folder's
            remove_tree((folder / "out" / piece_name(part.output, 1)).parent)
    if attempt.grant.pieces:
        _bring_pieces(attempt, courier, folder / "out", baked_file(files / bundle.main, attempt.order.job))
    if strange := not_among(attempt.order.settings, {file.path for file in bundle.files}):
        raise AttemptFailed(f"{strange[0]} is not among the files that the job brought", permanent=True)
    named = {name: str(files / attempt.order.settings[name]) for name in TRAVELLING if attempt.order.settings.get(name)}
    settings = attempt.order.settings | named | {"file": str(files / bundle.main)}
    if (ocio := str(settings.get("ocio") or "")) and not ocio.startswith(BUILT_IN):
        if ocio not in {file.path for file in bundle.files}:
            raise AttemptFailed(f"The job's OCIO configuration {ocio} is not among the files that it brought", permanent=True)
        settings["ocio"] = str(files / ocio)
    attempt.order = msgspec.structs.replace(attempt.order, settings=settings, output=str(folder / "out"))
    told, latest = attempt.emit, Progressed(attempt.grant.parts[0].frame, 0.0, "")

    def emit(event: AttemptEvent) -> None:
        nonlocal latest
        if isinstance(event, Progressed):
            latest = event
        elif isinstance(event, PartFinished) and (event.output or event.further_files):
            event = _delivered(attempt, courier, event, latest)
        told(event)

    attempt.emit = emit


def _trust(folder: Path) -> None:
    """Make the job's *folder* the one that was used last, empty if it is from before the machine was started: a power cut may
    have left files there without their content."""
    if not is_this_boot(folder / "boot"):
        remove_tree(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "boot").write_text(this_boot())
    (folder / "boot").touch()


def _lay_out(attempt: Attempt, courier: Courier, bundle: Bundle, files: Path) -> None:
    """Lay out *bundle* in the new folder *files*, whole or not at all. What an earlier attempt has laid out of it stays."""
    building = files.with_name("files.new")
    places: dict[str, list[Path]] = {}
    for file in bundle.files:
        places.setdefault(file.blob, []).append(building / file.path)
    missing = {blob: paths for blob, paths in places.items() if not _is_laid_out(courier, blob, paths)}
    sizes = {file.blob: file.size for file in bundle.files}
    _make_room(attempt, courier, sizes, sum(sizes[blob] for blob in missing), files.parent)
    bring(attempt, courier, missing, sizes)
    building.rename(files)


def bring(attempt: Attempt, courier: Courier, places: Places, sizes: Mapping[str, int] | None = None) -> None:
    """Have each blob of *places* laid out there; *sizes* in bytes, where they are known. Raises `AttemptFailed` or
    `AttemptStopped`."""
    missing = [blob for blob, paths in places.items() if not _is_laid_out(courier, blob, paths)]
    waiting, on_their_way, tries, here = list(missing), set[str](), Counter[str](), 0
    over: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
    told = float("-inf")
    while waiting or on_their_way:
        while waiting and len(on_their_way) < _AT_ONCE:
            blob = waiting.pop(0)
            on_their_way.add(blob)
            courier.fetch(blob, places[blob], partial(_over, over, blob))
        with contextlib.suppress(queue.Empty):
            blob, reason = over.get(timeout=_LOOK_SECONDS)
            on_their_way.remove(blob)
            tries[blob] += 1
            if not reason and not _is_laid_out(courier, blob, places[blob]):
                reason = "the worker's cache gave it up again and again before it was used: give it more room (--cache)"
                if tries[blob] < _TRIES:
                    waiting.insert(0, blob)
                    continue
            if reason:
                raise AttemptFailed(f"A file of the job could not be fetched: {reason}", cause=Cause.FILES)
            here += sizes[blob] if sizes else 0
        attempt.check()
        if (now := time.monotonic()) - told >= _LOOK_SECONDS:
            told, left = now, len(waiting) + len(on_their_way)
            of = f", {here / 1e9:.1f} of {sum(sizes[blob] for blob in missing) / 1e9:.1f} GB" if sizes else ""
            text = f"bringing files: {len(missing) - left} of {len(missing)}{of}"
            _tell(attempt, courier, Progressed(attempt.grant.parts[0].frame, 0.0, text))
    if missing:
        attempt.log.say(f"{plural(len(missing), 'file')} fetched from the farm")


def _over(over: "queue.SimpleQueue[tuple[str, str]]", blob: str, reason: str) -> None:
    over.put((blob, reason))


def _tell(attempt: Attempt, courier: Courier, progress: Progressed) -> None:
    """Tell *progress* while files are on their way: the bytes that have moved count, as those of the log do."""
    attempt.emit(replace(progress, output=attempt.log.received + courier.moved()))


def _is_laid_out(courier: Courier, blob: str, paths: Sequence[Path]) -> bool:
    """Return whether *blob* is laid out at all its *paths*, which is done if it is here."""
    for path in paths:
        if path.exists():
            continue
        try:
            courier.lay_out(blob, path)
        except FileNotFoundError:
            return False
    return True


def _make_room(attempt: Attempt, courier: Courier, blobs: Mapping[str, int], needed: int, folder: Path) -> None:
    """Make room for *needed* more bytes of the job of *folder*, which has *blobs*: of blobs that nothing needs now, and of jobs
    that were not worked on lately. Raises `AttemptFailed` where the disk is too small."""
    others = _other_jobs(folder)
    for each in others[_JOBS_KEPT - 1 :]:
        remove_tree(each)
    others = others[: _JOBS_KEPT - 1]
    while any(shortages := courier.make_room(needed, blobs, attempt.place.least_free)) and others:
        remove_tree(others.pop())
    if shortages[1]:
        raise AttemptFailed(
            f"The job's files have {sum(blobs.values()) / 1e9:.1f} GB, and the disk of {attempt.place.folder} is "
            f"{shortages[1] / 1e9:.1f} GB too small for them: make room there, or start the worker with --data on a larger disk"
        )


def delete_unused(jobs: Path, wall: float) -> None:
    """Delete the files of the jobs in the folder *jobs*, which no worker uses now, that were not worked on in the week before
    *wall*."""
    if jobs.is_dir():
        for each in jobs.iterdir():
            if _last_use(each) < wall - _UNUSED_SECONDS:
                remove_tree(each)


def _other_jobs(folder: Path) -> list[Path]:
    """Return the folders of other jobs that are laid out beside *folder*, the one that was used last first."""
    return sorted((each for each in folder.parent.iterdir() if each != folder), key=_last_use, reverse=True)


def _last_use(folder: Path) -> float:
    """Return when the job of *folder* was worked on last, as wall time."""
    noted = folder / "boot"
    return noted.stat().st_mtime if noted.exists() else 0.0


def baked_file(main: Path, job: str) -> Path:
    """Return where the .blend with the bake of *job* lies, whose .blend *main* has travelled: beside it, as paths in it lead on
    from there."""
    return main.with_name(f".baked-{job}.blend")


def _bring_pieces(attempt: Attempt, courier: Courier, out: Path, baked: Path) -> None:
    """Have what the attempt merges, or the frames of its film, where it looks for them; and, where the job bakes first,
    the file *baked*."""
    part = attempt.grant.parts[0]
    has_bake = bool(attempt.order.settings.get("baked"))
    if part.piece == FILM:
        names = [name for _, name in frames_of_film(attempt.order.settings)]
    elif has_bake and (part.piece or not attempt.order.settings.get("denoise_after")):
        names = []  # the bake alone
    elif passes_of(attempt.order.settings) or attempt.order.settings.get("denoise_after"):
        names = [piece_name(part.output, 1)]  # (of passes, it says itself which are in it)
    else:
        names = [piece_name(part.output, number) for number in range(1, len(attempt.grant.pieces) + 1)]
    places: dict[str, list[Path]] = {}
    targets = [*(out / name for name in names), *([baked] if has_bake else [])]
    for target, blob in zip(targets, attempt.grant.pieces, strict=True):
        target.unlink(missing_ok=True)
        if blob:
            places.setdefault(blob, []).append(target)
    bring(attempt, courier, places)


class _Delivery:
    """A file on its way to the server. ``reason``, once it has ``ended``: why it never comes there, or "" if it has."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.reason = ""

    def end(self, reason: str) -> None:
        self.reason = reason
        self.ended.set()


def _delivered(attempt: Attempt, courier: Courier, part: PartFinished, latest: Progressed) -> PartFinished:
    """Return *part*, once the server has all its files. *latest* is how far the attempt was."""
    numbers = {grant.id: grant.piece for grant in attempt.grant.parts}
    is_refined = bool(passes_of(attempt.order.settings))
    is_made_of = numbers[part.part] == BAKE or (not is_refined and numbers[part.part] > 0)  # something else is
    digests = {part.output: part.digest} | {further.output: further.digest for further in part.further_files}
    files = [(name, digests[name]) for name in named_files(part.output, (each.output for each in part.further_files))]
    waiting = list[tuple[str, _Delivery]]()
    for number, (name, digest) in enumerate(files):
        path = Path(attempt.order.output) / name
        kind: Literal["frame", "piece"] = "piece" if is_made_of or (is_refined and is_piece(name)) else "frame"
        waiting.append((name, delivery := _Delivery()))
        sent = FrameFile(kind, attempt.order.job, attempt.grant.attempt, part.part, number, path, digest)
        courier.deliver(sent, delivery.end)
    for name, delivery in waiting:
        while not delivery.ended.wait(_LOOK_SECONDS):
            attempt.check()
            _tell(attempt, courier, replace(latest, line=courier.refused() or f"sending {name}"))
        if delivery.reason:
            raise AttemptFailed(f"{name} could not be sent to the server: {delivery.reason}", cause=Cause.FILES)
    return part


def check_there(file: Path, attempt: Attempt) -> None:
    """Raise `AttemptFailed` where the .blend *file* of *attempt*'s job is not there. Only this worker is known not to see it:
    another may have its folder mounted, or have heard of a new file sooner."""
    if not file.exists():
        is_bake = bool(attempt.order.settings.get("baked"))
        said = said_of_gone_bake(file, attempt.order.job) if is_bake else said_of_gone(file, attempt.order.job)
        raise AttemptFailed(said, cause=Cause.FILES, follows=Follows.ELSEWHERE)


def make_output_folder(attempt: Attempt) -> Path:
    """Make the output folder of *attempt*'s job where it is not there, and return it. Raises `AttemptFailed`: another worker may
    have mounted what it lies on, or may write there, and so may this one later, unless a file or a link stands in its way;
    `OSError` where its drive is full or does not answer."""
    folder = Path(attempt.order.output)
    root, relative = attempt.output
    try:
        with Directory.open(root, relative, make=True):
            if os.access(folder, os.W_OK | os.X_OK):
                return folder
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))  # before anything is rendered in vain
    except OSError as error:
        if error.errno in NO_ROOM | NO_ANSWER:
            raise
        what = f"The output folder {folder} cannot be {'used' if error.errno in FORBIDDEN else 'made'}: {error.strerror}"
        if error.errno in NO_FOLDER:
            raise AttemptFailed(what, permanent=True, cause=Cause.FOLDER, follows=Follows.ELSEWHERE) from error
        raise AttemptFailed(what, cause=Cause.FOLDER, follows=Follows.LATER) from error


def said_of_gone_bake(file: Path, job: str) -> str:
    """Return that the .blend *file* with the bake of *job* is not there any more, and what to do."""
    return (
        f"The .blend with the bake, {file}, is not there any more, as the worker sees it: "
        f"`brender requeue {short_id(job)} --all` bakes again and renders all frames"
    )


def said_of_gone(file: Path, job: str) -> str:
    """Return that the .blend *file* of *job* is not where it was when that was submitted, and what to do."""
    folder = "" if file.parent.is_dir() else f", nor its folder {file.parent}"
    return (
        f"The job's file {file} is not there any more{folder}, as the worker sees it: put it back, and `brender requeue "
        f"{short_id(job)}` renders the job. Where it is there and this machine does not see it, `brender submit --send` sends it"
    )
