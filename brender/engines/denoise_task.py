"""One step of a frame that is denoised after it was rendered: its render, or the picture that is made of that.

The render is a float OpenEXR in a hidden folder beside the picture, with all passes and those that denoising needs. It goes once
the picture is there.
"""

from pathlib import Path

from brender.engines.exr_merge import Cut
from brender.engines.rendering import Rendering, finished, keep_standing, render_part, stands
from brender.engines.still_task import is_this_piece, merge_pieces, nothing_to_do, preview, source_of
from brender.jobs.pieces import final_name, piece_name
from brender.model.grant import PartGrant
from brender.model.job import NOISY
from brender.model.text import short_id
from brender.system.removal import remove_tree

#: The render is all of the picture, as it is.
_WHOLE = Cut("tiles", 1, 1)


def do_step(rendering: Rendering, part: PartGrant, folder: Path, index: int) -> None:
    """Render the frame of *part*, or denoise what was rendered of it; *index*: how many parts of the attempt came before. Raises
    `AttemptFailed` or `AttemptStopped`."""
    name = final_name(part.output) if part.piece else part.output
    final, render = folder / name, folder / piece_name(name, NOISY)
    note = f"to be denoised, {source_of(rendering)}"
    if part.piece:
        _render(rendering, part, final, render, note, index)
    elif keep_standing(rendering, part, final):
        remove_tree(render.parent)
    else:
        again = f"`brender requeue {short_id(rendering.attempt.order.job)} --frames {part.frame}` renders it"
        called = f"The render of frame {part.frame}, which is to be denoised,"
        merge_pieces(rendering, part, final, _WHOLE, {render: note}, called, again, denoises=True)


def _render(rendering: Rendering, part: PartGrant, final: Path, render: Path, note: str, index: int) -> None:
    order = rendering.attempt.order
    if not order.bundle and stands(rendering, final):
        nothing_to_do(rendering, part)
        return
    if not order.overwrite and is_this_piece(rendering, render, note) and (seen := rendering.verified(render, rendering.size())):
        rendering.attempt.log.say(f"frame {part.frame} is rendered already, and to be denoised: {render}")
        rendering.attempt.emit(finished(part, 0.0, seen))
    else:
        render_part(rendering, part, render, index, {"do": "piece", "samples": None, "rows": None, "note": note})
    preview(rendering, part, _WHOLE, {render: note})
