"""The copy of a finished frame, or of the film, in the folder that its job copies to: whole or not at all, and verified."""

import contextlib
import hashlib
import os
import time
from collections.abc import Sequence
from pathlib import Path, PurePath

from brender.engines.attempt import Attempt, AttemptFailed
from brender.engines.directories import read, signature
from brender.engines.events import Cautioned, PartFinished
from brender.engines.frame_path import explained
from brender.engines.leftovers import TEMPORARY
from brender.engines.publish import stage
from brender.engines.rendering import Rendering
from brender.model.grant import PartGrant
from brender.model.naming import temporary_name
from brender.model.text import short_id
from brender.model.views import other_views

_BLOCK = 4 * 2**20


def said_of_replaced(path: Path, perhaps_own: bool = False) -> str:
    """Return what the job's owner is told where a copy has replaced the file *path*, which the job had not made; *perhaps_own*:
    it may be its copy of an earlier film, of other frames."""
    if perhaps_own:
        return f"{path} was there, from before the frames of this job were changed or not made by it, and is replaced by its copy"
    return f"{path} was there, not made by this job, and is replaced by its copy"


def copy_files(rendering: Rendering, part: PartGrant, folder: Path) -> None:
    """Copy the files of *part*, which lie in *folder*, to the folder that the job copies to. Raises `AttemptFailed` or
    `AttemptStopped`."""
    attempt, began = rendering.attempt, time.monotonic()
    settings, target = rendering.settings, Path(rendering.settings["copy_to"])
    is_film = part.output == settings.get("film")
    names = [part.output, *(() if is_film else other_views(part.output, attempt.order.views))]
    root, below = attempt.allowed("The folder for copies", target)
    places = [(PurePath(below) / name).as_posix() for name in names]
    there = [_digest(attempt, root, place) if _size(attempt, root, place) else None for place in places]
    wanted = [_source_digest(attempt, part, folder / name) for name in names]
    is_own = bool(part.digest) and _of_all([each or "" for each in there]) == part.digest
    for name, place, found, digest in zip(names, places, there, wanted, strict=True):
        if found == digest:
            attempt.log.say(f"{target / name} is there already")
            continue
        _copy(rendering, folder / name, root, place, digest)
        attempt.log.say(f"copied: {target / name}")
        if found is not None and not is_own:
            told = said_of_replaced(target / name, perhaps_own=is_film and bool(settings.get("numbered")))
            attempt.emit(Cautioned(told, subject=str(target / name)))
    size = sum(_size(attempt, root, place) for place in places)
    done = PartFinished(part.id, time.monotonic() - began, output=part.output, size=size, digest=_of_all(wanted))
    attempt.emit(done)


def _copy(rendering: Rendering, source: Path, root: Path, place: str, digest: str) -> None:
    """Publish a copy of *source*, which has this *digest*, as *place* below *root*. Raises `AttemptFailed`."""
    attempt, name = rendering.attempt, PurePath(place).name
    own_root, own_place = attempt.where(source)
    before = signature(root, place)
    temporary = temporary_name(name, attempt.grant.attempt)
    attempt.leftovers.note(TEMPORARY, root, (PurePath(place).parent / temporary).as_posix())
    with contextlib.ExitStack() as undo:
        with explained(f"The copy {root / place}"), attempt.step("stage"):
            staged = undo.enter_context(
                stage(root, place, own_root / own_place, temporary, below=own_root, copies=True, progress=attempt.check)
            )
        if _digest_of(attempt, staged.descriptor) != digest:
            raise AttemptFailed(f"The copy of {source} in {root / place} differs from it: a disk or a network has changed it")
        rendering.files.publish(staged, before)
    if _digest(attempt, root, place) != digest:
        raise AttemptFailed(f"Another program put a file at {root / place} while it was copied there, and that stays")


def _source_digest(attempt: Attempt, part: PartGrant, file: Path) -> str:
    """Return the digest of the finished *file*. Raises `AttemptFailed` where it is gone."""
    digest = _digest(attempt, *attempt.where(file))
    if digest is None:
        again = f"`brender requeue {short_id(attempt.order.job)} --frames {part.frame}` makes it again"
        raise AttemptFailed(f"{file}, which is to be copied, is gone. {again}")
    return digest


def _digest(attempt: Attempt, root: Path, place: str) -> str | None:
    """Return the SHA-256 of the file *place* below *root*; ``None`` if it is missing. Raises `AttemptFailed` if something that
    is not a file has its name."""
    try:
        descriptor = read(root, place)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise AttemptFailed(f"{root / place} cannot be read: {error.strerror}") from error
    try:
        return _digest_of(attempt, descriptor)
    finally:
        os.close(descriptor)


def _digest_of(attempt: Attempt, descriptor: int) -> str:
    os.lseek(descriptor, 0, os.SEEK_SET)
    found = hashlib.sha256()
    while block := os.read(descriptor, _BLOCK):
        found.update(block)
        attempt.check()
    return found.hexdigest()


def _size(attempt: Attempt, root: Path, place: str) -> int:
    found = signature(root, place)
    return found[2] if found is not None else 0


def _of_all(digests: Sequence[str]) -> str:
    """Return one digest for files with these *digests*."""
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
