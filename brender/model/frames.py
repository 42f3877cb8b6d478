"""Frame sets: what a person writes (``1-100x2,150``) and the numbers it means.

Ranges ``1-100``, every second ``1-100x2``, the others ``1-100y2``, joined by commas or spaces. A range may also be written as
Blender's command line has it, ``1..100``, or with a typographic dash. Order is kept, so ``10-1`` counts down, and no frame comes
twice. A colon is refused: it is a step at some farms, and at others all frames in another order.
"""

import re
from collections.abc import Iterable, Sequence
from itertools import chain

from fileseq import FrameSet

from brender.model.errors import BadInput
from brender.model.ranges import Ranges

#: Blender's own limits for a frame number (MINAFRAME and MAXFRAME in its DNA_scene_types.h).
FIRST_FRAME, LAST_FRAME = -1_048_574, 1_048_574

_EXAMPLES = "write frames and ranges such as 1-100, 1-100x2 (every second) or 1-10,15"
_DASHES = re.compile("[\u2010-\u2015\u2212]")
_PIECE = re.compile(r"(?P<first>-?[0-9]+)(?:-(?P<last>-?[0-9]+)(?:(?P<how>[xy:])(?P<step>-?[0-9]+))?)?", re.IGNORECASE)
#: So many frames may be named in all, those that come twice included.
_NAMED_MOST = 4 * (LAST_FRAME - FIRST_FRAME)

#: So many ranges are written one by one; of more it is seen whether a step says them shorter.
_PAIRS_MOST = 64


def parse_frames(text: str) -> tuple[int, ...]:
    """Return the frames that *text* names, in its order. Raises `BadInput` where it names none or is not a frame set."""
    ranges = _read(text)
    # What is left out of a range (y) is known from what the step takes of it.
    named = [[frame for frame in frames if frame not in without] if without else frames for frames, without in ranges]
    return tuple(named[0]) if len(named) == 1 else tuple(dict.fromkeys(chain.from_iterable(named)))


def frame_sequence(text: str) -> Sequence[int]:
    """Return the frames that *text* names, in its order, as a range where it is one. Raises `BadInput` as `parse_frames`."""
    (frames, without), *more = _read(text)
    return parse_frames(text) if without or more else frames


def frame_ranges(text: str) -> Ranges:
    """Return the frames that *text* names, whatever their order. Raises `BadInput` as `parse_frames`."""
    found = Ranges()
    for frames, without in _read(text):
        if not without and abs(frames.step) == 1:
            found.add(min(frames[0], frames[-1]), max(frames[0], frames[-1]))
            continue
        for frame in sorted(frames):
            if frame not in without:
                found.add(frame)
    return found


def format_ranges(frames: Ranges) -> str:
    """Return *frames* as a text that `frame_ranges` reads back. Where they have many gaps, it is that of `format_frames`."""
    pairs = list(frames.pairs())
    if len(pairs) > _PAIRS_MOST:
        return format_frames(frame for first, last in pairs for frame in range(first, last + 1))
    return ",".join(f"{first}" if first == last else f"{first}-{last}" for first, last in pairs)


def _read(text: str) -> list[tuple[range, range]]:
    """Return the ranges of *text*, each with those of its frames that it leaves out. Raises `BadInput`."""
    pieces = _pieces(text)
    if not pieces:
        raise BadInput(f"The frame set is empty: {_EXAMPLES}")
    ranges = [_range(piece, text) for piece in pieces]
    if sum(len(frames) for frames, _ in ranges) > _NAMED_MOST:
        raise BadInput(f"The frame set names the same frames again and again: {_EXAMPLES}")
    return ranges


def _pieces(text: str) -> list[str]:
    """Return the single frames and ranges of *text*, each in one spelling."""
    plain = _DASHES.sub("-", text).replace("..", "-")
    plain = re.sub(r"(?<=[0-9])\s*-\s+(?=-?[0-9])", "-", plain)  # 1 - 10; but 1 -5 is two frames
    plain = re.sub(r"\s*([xXyY:])\s*", r"\1", plain)
    return [piece for piece in re.split(r"[,\s]+", plain) if piece]


def _range(piece: str, text: str) -> tuple[range, range]:
    """Return the frames of *piece*, and those of them that it leaves out. Raises `BadInput`, which names the whole *text*."""
    found = _PIECE.fullmatch(piece)
    if found is None:
        raise BadInput(f"{text!r} is not a frame set: {_why_not(piece)}{_EXAMPLES}")
    first, last = int(found["first"]), int(found["last"] or found["first"])
    step, how = int(found["step"] or 1), (found["how"] or "x").lower()
    if how == ":":
        raise BadInput(
            f"{text!r} is not a frame set: ':' means one thing here and another there. Write {first}-{last}x{step} for every "
            f"frame of {first}-{last} that such a step takes, or {first}-{last} for all of them"
        )
    if step < 1:
        raise BadInput(f"{text!r} is not a frame set: a step is 1 or more; {_EXAMPLES}")
    if min(first, last) < FIRST_FRAME or max(first, last) > LAST_FRAME:
        raise BadInput(f"{text!r} leaves Blender's frames, which go from {FIRST_FRAME} to {LAST_FRAME}")
    way = 1 if last >= first else -1
    taken = range(first, last + way, way * step)
    return (range(first, last + way, way), taken) if how == "y" else (taken, range(0))


def _why_not(piece: str) -> str:
    """Return what is odd about *piece*, as the beginning of a sentence, or "" if that is not clear."""
    if re.fullmatch(r"-?[0-9]+\.[0-9]+", piece):
        return f"{piece} lies between two frames; "
    if re.fullmatch(r"-?[0-9]+-", piece):
        return f"{piece} has no end; "
    if re.fullmatch(r".*[0-9][xy]", piece, re.IGNORECASE):
        return f"{piece} has no step; "
    if re.fullmatch(r"[a-z]+", piece, re.IGNORECASE):
        return f"{piece} is not a number; "
    return ""


def format_frames(frames: Iterable[int]) -> str:
    """Return *frames* as a short text that `parse_frames` reads back, in ascending order: ``1-8`` or ``1-100x2,150``."""
    numbers = sorted(set(frames))
    return FrameSet.framesToFrameRange(numbers) if numbers else ""


def arrange(frames: Sequence[int], order: str) -> Sequence[int]:
    """Return *frames* in the order in which they are to be rendered: ``forward`` (as they stand), ``backward``, ``preview``
    (every eighth, then the gaps between, halved again and again) or ``random`` (always the same way).

    >>> arrange(range(10), "preview")
    (0, 8, 4, 2, 6, 1, 3, 5, 7, 9)
    """
    if order == "backward":
        return frames[::-1]
    if order == "preview":
        strides = (frames[0::8], frames[4::8], frames[2::4], frames[1::2])
        return tuple(frame for stride in strides for frame in stride)
    if order == "random":
        # Fibonacci hashing of the place: mixed well enough for the eye, the same on every machine.
        mixed = sorted(range(len(frames)), key=lambda place: (place + 1) * 0x9E3779B97F4A7C15 % 2**64)
        return tuple(frames[place] for place in mixed)
    return frames


def chunk_count(frame_count: int, size: int) -> int:
    """Return how many chunks of at most *size* frames *frame_count* frames make."""
    return -(-frame_count // size)


def chunk(frames: Sequence[int], size: int, index: int) -> Sequence[int]:
    """Return the frames of chunk *index* (from 0)."""
    return frames[index * size : (index + 1) * size]
