"""Frame sets: what a person writes (``1-100x2,150``) and the numbers it means.

The grammar is fileseq's: ranges ``1-100``, every second ``1-100x2``, the others ``1-100y2``, interleaved ``1-100:4``,
all joined by commas. Order is kept, so ``10-1`` counts down, and no frame comes twice.
"""

from collections.abc import Iterable, Sequence

from fileseq import FrameSet
from fileseq.exceptions import FileSeqException

from brender.model.errors import BadInput

#: Blender's own limits for a frame number (MINAFRAME and MAXFRAME in its DNA_scene_types.h).
FIRST_FRAME, LAST_FRAME = -1_048_574, 1_048_574


def parse_frames(text: str) -> tuple[int, ...]:
    """The frames that *text* names, in its order. Raises `BadInput` where it names none or is no frame set."""
    try:
        # str() of each item refuses sub-frames, which Blender's -f does not know either.
        frames = tuple(int(str(frame)) for frame in FrameSet(text.replace(" ", "")))
    except (FileSeqException, ValueError) as error:
        raise BadInput(
            f"{text!r} is not a frame set: write frames and ranges such as 1-100, 1-100x2 (every second) or 1-10,15"
        ) from error
    if not frames:
        raise BadInput("The frame set is empty: write frames and ranges such as 1-100, 1-100x2 or 1-10,15")
    if min(frames) < FIRST_FRAME or max(frames) > LAST_FRAME:
        raise BadInput(f"{text!r} leaves Blender's frames, which go from {FIRST_FRAME} to {LAST_FRAME}")
    return frames


def format_frames(frames: Iterable[int]) -> str:
    """*frames* as a short text that `parse_frames` reads back, in ascending order: ``1-8`` or ``1-100x2,150``."""
    numbers = sorted(set(frames))
    return FrameSet.framesToFrameRange(numbers) if numbers else ""


def chunk_count(frame_count: int, size: int) -> int:
    """How many chunks of at most *size* frames *frame_count* frames make."""
    return -(-frame_count // size)


def chunk(frames: Sequence[int], size: int, index: int) -> Sequence[int]:
    """The frames of chunk *index* (from 0)."""
    return frames[index * size : (index + 1) * size]
