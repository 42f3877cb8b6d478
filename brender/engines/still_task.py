"""One part of a split still: a piece of it, or the picture that is made of all pieces."""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from brender.engines.attempt import AttemptFailed
from brender.engines.directories import Directory, read
from brender.engines.events import Cautioned
from brender.engines.exr_merge import CannotMerge, Cut
from brender.engines.frame_path import Seen
from brender.engines.picture_reader import OpenFile
from brender.engines.pictures import BadPicture, Picture
from brender.engines.publish import BadSource
from brender.engines.rendering import Rendering, finished, keep_standing, make_thumbnail, render_part, stands
from brender.jobs.pieces import final_name, piece_name, rows_of, samples_of
from brender.model.grant import PartGrant
from brender.model.text import plural, short_id
from brender.system.removal import remove_tree

#: The settings that change what is on a piece.
_IN_THE_PIECES = ("scene", "camera", "engine", "resolution", "samples")


def do_part_of_still(rendering: Rendering, part: PartGrant, folder: Path) -> None:
    """Render the piece, or merge them all. Raises `AttemptFailed` or `AttemptStopped`."""
    settings = rendering.settings
    name = final_name(part.output) if part.piece else part.output
    final = folder / name
    if part.piece and stands(rendering, final):
        nothing_to_do(rendering, part)
        return
    if not part.piece and keep_standing(rendering, part, final):
        remove_tree((folder / piece_name(name, 1)).parent)
        return
    way = rendering.scene().session.ask("way", do="split", wanted=settings["split"], pieces=settings["pieces"])
    if way["why"]:
        rendering.attempt.emit(Cautioned(way["why"], subject="This still is "))
    if way["how"] == "whole":
        if part.piece:
            nothing_to_do(rendering, part)
        else:
            render_part(rendering, part, final, 0)
        return
    cut = Cut(way["how"], settings["pieces"], way["samples"])
    files = [folder / piece_name(name, piece) for piece in range(1, cut.pieces + 1)]
    pieces = dict(zip(files, _notes(rendering, cut), strict=True))
    if part.piece:
        _piece(rendering, part, cut, pieces)
    else:
        again = f"`brender requeue {short_id(rendering.attempt.order.job)} --all` renders all pieces"
        merge_pieces(rendering, part, final, cut, pieces, "Piece {} of the still", again, denoises=way["denoises"])


def _notes(rendering: Rendering, cut: Cut) -> list[str]:
    """Return what each piece says of itself: two pieces belong to one picture only if they were cut in the same way, from the
    same scene, by the same series of Blender."""
    series, source = ".".join(map(str, rendering.blender.version[:2])), _source(rendering)
    return [cut.note(piece, series, source) for piece in range(1, cut.pieces + 1)]


def source_of(rendering: Rendering) -> str:
    """Return what tells apart what a picture is rendered from, and by which series of Blender."""
    return f"Blender {'.'.join(map(str, rendering.blender.version[:2]))}, {_source(rendering)}"


def _source(rendering: Rendering) -> str:
    settings, source = rendering.settings, rendering.note
    if bundle := rendering.attempt.order.bundle:
        # Where files travel, their times differ from worker to worker, and with them the note.
        told = [bundle, *(settings[name] for name in _IN_THE_PIECES), *(each.digest for each in rendering.attempt.order.addons)]
        source = hashlib.sha256(json.dumps(told).encode()).hexdigest()
    return source


def nothing_to_do(rendering: Rendering, part: PartGrant) -> None:
    """Let *part* be done without a file."""
    rendering.attempt.log.say(f"piece {part.piece}: nothing to do")
    rendering.attempt.emit(replace(finished(part, 0.0, Seen(Picture(0, 0, ()), 0, "", lambda: None)), output=""))


def _piece(rendering: Rendering, part: PartGrant, cut: Cut, pieces: dict[Path, str]) -> None:
    size = rendering.size()
    assert size is not None, "a scene with a render region is not split"
    file, note = list(pieces.items())[part.piece - 1]
    overwrite = rendering.attempt.order.overwrite
    if not overwrite and is_this_piece(rendering, file, note) and (seen := rendering.verified(file, size)):
        rendering.attempt.log.say(f"piece {part.piece} is there already: {file}")
        rendering.attempt.emit(replace(finished(part, 0.0, seen), kept=True))
    else:
        asked: dict[str, Any] = {"do": "piece", "samples": None, "rows": None, "note": note}
        if cut.how == "samples":
            asked["samples"] = samples_of(part.piece, cut.pieces, cut.samples)
        else:
            asked["rows"] = rows_of(part.piece, cut.pieces, size[1])
        render_part(rendering, part, file, 0, asked)
    preview(rendering, part, cut, pieces)


def is_this_piece(rendering: Rendering, file: Path, note: str) -> bool:
    """Return whether *file* is there and is the piece that says *note* of itself."""
    try:
        with rendering.files.opened(file) as opened:
            rendering.files.ask("cuts", [opened], notes=[note])
    except (BadPicture, CannotMerge):
        return False
    return True


def preview(rendering: Rendering, part: PartGrant, cut: Cut, pieces: dict[Path, str]) -> None:
    """Let the small picture of this piece show all that there is of the still by now."""
    files = rendering.files
    there = {number: file for number, (file, note) in enumerate(pieces.items(), start=1) if is_this_piece(rendering, file, note)}
    try:
        with contextlib.ExitStack() as undo:
            opened = [undo.enter_context(files.opened(file)) for file in there.values()]
            made = files.reader.ask("preview", opened, rendering.attempt.check, numbers=list(there), **vars(cut))
            small = made.small()
    except (BadPicture, CannotMerge) as error:
        rendering.attempt.log.say(f"no preview: {error}")
        return
    make_thumbnail(rendering, part, Seen(Picture(0, 0, ()), 0, "", lambda: small))


def merge_pieces(
    rendering: Rendering,
    part: PartGrant,
    final: Path,
    cut: Cut,
    pieces: dict[Path, str],
    called: str,
    again: str,
    *,
    denoises: bool,
) -> None:
    """Make the picture *final* of *pieces*, each with its note, which are cut as *cut* says, and *called* so with their number.
    Raises `AttemptFailed`; *again* says what renders them again."""
    attempt, files, names = rendering.attempt, rendering.files, list(pieces)
    if not any(map(files.holds_something, names)) and (done := _done_before(rendering, final)):
        attempt.emit(replace(finished(part, 0.0, done), kept=True))
        return
    session = rendering.scene().session
    with contextlib.ExitStack() as undo:
        opened = []
        for piece, file in enumerate(names, start=1):
            try:
                opened.append(undo.enter_context(files.opened(file)))
            except BadPicture as error:
                raise AttemptFailed(f"{called.format(piece)} is gone: {file}. {again} again") from error
        scratch = undo.enter_context(rendering.scratch(session))
        whole, merged, denoised = scratch / f"whole{final.suffix}", scratch / "merged.exr", scratch / "denoised.exr"
        try:
            try:
                files.ask("cuts", opened, notes=list(pieces.values()))
            except CannotMerge as error:
                raise AttemptFailed(f"{error}. {again} alike") from error
            made = undo.enter_context(made_file(merged, session.folder))
            stamps = files.ask("merged", [*opened, made], **vars(cut))["stamps"]
            attempt.check()
            if denoises:
                attempt.log.say("denoising the picture")
                session.ask("denoised", do="denoise", merged=str(merged), path=str(denoised))
                files.ask("denoised", [made, undo.enter_context(written_file(denoised, session.folder))])
            session.ask("merged", do="merged", frame=part.frame, path=str(whole), merged=str(merged), stamps=stamps)
            staged = undo.enter_context(files.stage(whole, session.folder, final))
            seen = files.look(staged, rendering.size(), small=True)
        except (BadPicture, BadSource, CannotMerge) as error:
            raise AttemptFailed(f"Frame {part.frame}: {error}") from error
        files.publish(staged, rendering.found[part.id])
    attempt.log.say(f"made of {plural(cut.pieces, 'piece')}: {final}" if cut.pieces > 1 else f"made: {final}")
    attempt.emit(finished(part, 0.0, seen))
    make_thumbnail(rendering, part, seen)
    remove_tree(names[0].parent)


@contextlib.contextmanager
def made_file(file: Path, below: Path) -> Iterator[OpenFile]:
    """Create *file*, which lies below a folder that Blender writes to, for the length of the block."""
    with Directory.open(below, file.parent.relative_to(below)) as directory:
        descriptor = directory.create(file.name)
    try:
        yield OpenFile(descriptor, file)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def written_file(file: Path, below: Path) -> Iterator[OpenFile]:
    """Open *file*, that Blender has written there, likewise. Raises `BadSource`."""
    try:
        descriptor = read(below, file.relative_to(below))
    except OSError as error:
        raise BadSource(f"the denoised picture cannot be read: {error.strerror}") from error
    try:
        yield OpenFile(descriptor, file)
    finally:
        os.close(descriptor)


def _done_before(rendering: Rendering, final: Path) -> Seen | None:
    """Return what is there already, where an attempt before this one finished and never came to say so: it has cleared the
    pieces."""
    there = rendering.files.signature(final)
    try:
        if there is not None and there[1] >= rendering.file.stat().st_mtime_ns:
            return rendering.verified(final, rendering.size())
    except OSError:
        return None
    return None
