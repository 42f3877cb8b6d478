"""One part of a split still: a piece of it, or the picture that is made of all pieces."""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from brender.engines.attempt import AttemptFailed
from brender.engines.events import Cautioned
from brender.engines.exr_merge import CannotMerge, Cut, check_cut, combined, merge, replace_combined, stamps
from brender.engines.pictures import BadPicture, Picture, verify
from brender.engines.publish import flush
from brender.engines.rendering import (
    Rendering,
    finished,
    keep_standing,
    make_thumbnail,
    publish_when_leased,
    render_part,
    stands,
    temporary_for,
)
from brender.engines.resume import verified
from brender.jobs.blender_still import final_name, piece_name, rows_of, samples_of
from brender.model.grant import PartGrant

#: The settings that change what is on a piece.
_IN_THE_PIECES = ("scene", "camera", "engine", "resolution", "samples")


def do_part_of_still(rendering: Rendering, part: PartGrant, folder: Path) -> None:
    """Render the piece, or merge them all. Raises `AttemptFailed` or `AttemptStopped`."""
    settings = rendering.settings
    name = final_name(part.output) if part.piece else part.output
    final = folder / name
    if part.piece and stands(rendering, final):
        _nothing_to_do(rendering, part)
        return
    if not part.piece and keep_standing(rendering, part, final):
        shutil.rmtree((folder / piece_name(name, 1)).parent, ignore_errors=True)
        return
    way = rendering.scene().session.ask("way", do="split", wanted=settings["split"], pieces=settings["pieces"])
    if way["why"]:
        rendering.attempt.emit(Cautioned(way["why"], subject="This still is "))
    if way["how"] == "whole":
        if part.piece:
            _nothing_to_do(rendering, part)
        else:
            render_part(rendering, part, final, 0)
        return
    cut = Cut(way["how"], settings["pieces"], way["samples"])
    files = [folder / piece_name(name, piece) for piece in range(1, cut.pieces + 1)]
    pieces = dict(zip(files, _notes(rendering, cut), strict=True))
    if part.piece:
        _piece(rendering, part, cut, pieces)
    else:
        _merge(rendering, part, final, cut, pieces, denoises=way["denoises"])


def _notes(rendering: Rendering, cut: Cut) -> list[str]:
    """Return what each piece says of itself: two pieces belong to one picture only if they were cut in the same way, from the
    same scene, by the same series of Blender."""
    settings, source = rendering.settings, rendering.note
    if bundle := rendering.attempt.order.bundle:
        # Where files travel, their times differ from worker to worker, and with them the note.
        told = [bundle, *(settings[name] for name in _IN_THE_PIECES)]
        source = hashlib.sha256(json.dumps(told).encode()).hexdigest()
    series = ".".join(map(str, rendering.blender.version[:2]))
    return [cut.note(piece, series, source) for piece in range(1, cut.pieces + 1)]


def _nothing_to_do(rendering: Rendering, part: PartGrant) -> None:
    rendering.attempt.log.say(f"piece {part.piece}: nothing to do")
    rendering.attempt.emit(replace(finished(part, 0.0, 0, Picture(0, 0, ()), 0), output=""))


def _piece(rendering: Rendering, part: PartGrant, cut: Cut, pieces: dict[Path, str]) -> None:
    size = rendering.size()
    assert size is not None, "a scene with a render region is not split"
    file, note = list(pieces.items())[part.piece - 1]
    if not rendering.attempt.order.overwrite and _is_piece(file, note) and (picture := verified(file, size)):
        rendering.attempt.log.say(f"piece {part.piece} is there already: {file}")
        rendering.attempt.emit(replace(finished(part, 0.0, file.stat().st_size, picture, 0), kept=True))
    else:
        asked: dict[str, Any] = {"do": "piece", "samples": None, "rows": None, "note": note}
        if cut.how == "samples":
            asked["samples"] = samples_of(part.piece, cut.pieces, cut.samples)
        else:
            asked["rows"] = rows_of(part.piece, cut.pieces, size[1])
        render_part(rendering, part, file, 0, asked)
    _preview(rendering, part, cut, pieces)


def _is_piece(file: Path, note: str) -> bool:
    """Whether *file* is there and is the piece that says *note* of itself."""
    try:
        check_cut(file, note)
    except CannotMerge:
        return False
    return True


def _preview(rendering: Rendering, part: PartGrant, cut: Cut, pieces: dict[Path, str]) -> None:
    """Let the small picture of this piece show all that there is of the still by now."""
    there = {piece: file for piece, (file, note) in enumerate(pieces.items(), start=1) if file.exists() and _is_piece(file, note)}
    try:
        image = combined(there, cut)
    except CannotMerge as error:
        rendering.attempt.log.say(f"no preview: {error}")
        return
    make_thumbnail(rendering, part, image)


def _merge(rendering: Rendering, part: PartGrant, final: Path, cut: Cut, pieces: dict[Path, str], *, denoises: bool) -> None:
    attempt, files = rendering.attempt, list(pieces)
    if not files[0].parent.exists() and (done := _done_before(rendering, final)):
        attempt.emit(replace(finished(part, 0.0, final.stat().st_size, done, 0), kept=True))
        return
    again = f"`brender requeue {attempt.order.job} --all` renders"
    for piece, file in enumerate(files, start=1):
        if not file.exists():
            raise AttemptFailed(f"Piece {piece} of the still is gone: {file}. {again} it")
    temporary = temporary_for(rendering, final)
    merged, denoised = temporary.with_suffix(".merged.exr"), temporary.with_suffix(".denoised.exr")
    session = rendering.scene().session
    try:
        for each in (temporary, merged, denoised):
            attempt.will_leave(each)
        try:
            for file, note in pieces.items():
                check_cut(file, note)
        except CannotMerge as error:
            raise AttemptFailed(f"{error}. {again} all pieces alike") from error
        merge(files, cut, merged)
        attempt.check()
        if denoises:
            attempt.log.say("denoising the merged picture")
            session.ask("denoised", do="denoise", merged=str(merged), path=str(denoised))
            replace_combined(merged, denoised)
        session.ask("merged", do="merged", frame=part.frame, path=str(temporary), merged=str(merged), stamps=stamps(files, cut))
        picture = verify(temporary, rendering.size())
        flush(temporary)
        length = temporary.stat().st_size
        publish_when_leased(attempt, temporary, final, rendering.found[part.id])
    except (BadPicture, CannotMerge) as error:
        raise AttemptFailed(f"Frame {part.frame}: {error}") from error
    finally:
        for each in (temporary, merged, denoised):
            each.unlink(missing_ok=True)
    attempt.log.say(f"{cut.pieces} pieces make {final}")
    attempt.emit(finished(part, 0.0, length, picture, 0))
    make_thumbnail(rendering, part, picture.image)
    shutil.rmtree(files[0].parent, ignore_errors=True)


def _done_before(rendering: Rendering, final: Path) -> Picture | None:
    """What is there already, where an attempt before this one finished and never came to say so: it has cleared the pieces."""
    try:
        if final.stat().st_mtime >= rendering.file.stat().st_mtime:
            return verify(final, rendering.size())
    except (OSError, BadPicture):
        return None
    return None
