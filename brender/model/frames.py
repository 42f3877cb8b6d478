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


def arrange(frames: Sequence[int], order: str) -> tuple[int, ...]:
    """*frames* in the order in which they are to be rendered: ``forward`` (as they stand), ``backward``, ``preview`` (every
    eighth, then the gaps between, halved again and again) or ``random`` (always the same way).

    >>> arrange(range(10), "preview")
    (0, 8, 4, 2, 6, 1, 3, 5, 7, 9)
    """
    if order == "backward":
        return tuple(reversed(frames))
    if order == "preview":
        strides = (frames[0::8], frames[4::8], frames[2::4], frames[1::2])
        return tuple(frame for stride in strides for frame in stride)
    if order == "random":
        # Fibonacci hashing of the place: mixed well enough for the eye, the same on every machine.
        mixed = sorted(range(len(frames)), key=lambda place: (place + 1) * 0x9E3779B97F4A7C15 % 2**64)
        return tuple(frames[place] for place in mixed)
    return tuple(frames)


def chunk_count(frame_count: int, size: int) -> int:
    """How many chunks of at most *size* frames *frame_count* frames make."""
    return -(-frame_count // size)


def chunk(frames: Sequence[int], size: int, index: int) -> Sequence[int]:
    """The frames of chunk *index* (from 0)."""
    return frames[index * size : (index + 1) * size]
