"""One part of a split still: a piece of it, or the picture that is made of all pieces."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from brender.engines.attempt import AttemptFailed
from brender.engines.events import Cautioned
from brender.engines.merging import WHOLE, CannotMerge, Cut, combined, merge, write_combined
from brender.engines.pictures import BadPicture, Picture, verify
from brender.engines.rendering import Rendering, finished, make_thumbnail, publish_when_leased, render_part, temporary_for
from brender.jobs.blender_still import piece_name, rows_of, samples_of
from brender.model.grant import PartGrant

#: Formats that hold linear light, without any view transform.
_LINEAR = {"OPEN_EXR", "HDR"}


def do_part_of_still(rendering: Rendering, part: PartGrant, folder: Path) -> None:
    """Render the piece, or merge them all. Raises `AttemptFailed` or `AttemptStopped`."""
    settings = rendering.settings
    way = rendering.scene().session.ask("way", do="split", wanted=settings["split"], pieces=settings["pieces"])
    if way["why"]:
        rendering.attempt.emit(Cautioned(way["why"], subject="This still is "))
    if way["how"] == "whole":
        if part.piece:
            rendering.attempt.log.say(f"piece {part.piece}: nothing to do")
            rendering.attempt.emit(replace(finished(part, 0.0, 0, Picture(0, 0, ()), 0), output=""))
        else:
            render_part(rendering, part, folder / part.output, 0)
        return
    cut = Cut(way["how"], settings["pieces"], way["samples"])
    if part.piece:
        _piece(rendering, part, folder, cut)
    else:
        _merge(rendering, part, folder, cut, way)


def _piece(rendering: Rendering, part: PartGrant, folder: Path, cut: Cut) -> None:
    size = rendering.size()
    assert size is not None, "a scene with a render region is not split"
    asked: dict[str, Any] = {"do": "piece", "samples": None, "rows": None}
    if cut.how == "samples":
        asked["samples"] = samples_of(part.piece, cut.pieces, cut.samples)
    else:
        asked["rows"] = rows_of(part.piece, cut.pieces, size[1])
    render_part(rendering, part, folder / part.output, 0, asked)
    _preview(rendering, part, folder, cut)


def _preview(rendering: Rendering, part: PartGrant, folder: Path, cut: Cut) -> None:
    """Let the small picture of this piece show all that there is of the still by now."""
    changed = rendering.file.stat().st_mtime
    pieces = {piece: (folder / part.output).with_name(f"{piece}.exr") for piece in range(1, cut.pieces + 1)}
    there = {piece: file for piece, file in pieces.items() if file.exists() and file.stat().st_mtime >= changed}
    try:
        image = combined(there, cut)
    except CannotMerge as error:
        rendering.attempt.log.say(f"no preview: {error}")
        return
    make_thumbnail(rendering, part, image)


def _merge(rendering: Rendering, part: PartGrant, folder: Path, cut: Cut, way: dict[str, Any]) -> None:
    attempt, final = rendering.attempt, folder / part.output
    files = [folder / piece_name(part.output, piece) for piece in range(1, cut.pieces + 1)]
    if not files[0].parent.exists() and (done := _done_before(rendering, final)):
        attempt.emit(finished(part, 0.0, final.stat().st_size, done, 0))
        return
    for piece, file in enumerate(files, start=1):
        if not file.exists():
            raise AttemptFailed(
                f"Piece {piece} of the still is gone: {file}. `brender requeue {attempt.order.job} --all` renders it"
            )
    temporary = temporary_for(rendering, final)
    merged, linear = temporary.with_suffix(".merged.exr"), temporary.with_suffix(".linear.exr")
    session = rendering.scene().session
    try:
        for each in (temporary, merged, linear):
            attempt.will_leave(each)
        merge(files, cut, merged)
        attempt.check()
        if way["denoises"]:
            attempt.log.say("denoising the merged picture")
            session.ask("denoised", do="denoise", merged=str(merged), path=str(linear))
        if rendering.settings["format"] == "OPEN_EXR_MULTILAYER":
            merge([merged], WHOLE, temporary, linear if way["denoises"] else None)
        elif rendering.settings["format"] in _LINEAR:
            write_combined(linear if way["denoises"] else merged, temporary, way["color"], way["half"])
        else:
            if not way["denoises"]:
                write_combined(merged, linear)
            session.ask("developed", do="develop", linear=str(linear), path=str(temporary))
        picture = verify(temporary, rendering.size())
        length = temporary.stat().st_size
        publish_when_leased(attempt, temporary, final, rendering.found[part.id])
    except (BadPicture, CannotMerge) as error:
        raise AttemptFailed(f"Frame {part.frame}: {error}") from error
    finally:
        for each in (temporary, merged, linear):
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
