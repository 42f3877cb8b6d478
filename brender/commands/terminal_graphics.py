"""Pictures for terminals that can show them, by three protocols. Pure: pixels in, what the terminal is sent out.

kitty's: https://sw.kovidgoyal.net/kitty/graphics-protocol/ · iTerm2's: https://iterm2.com/documentation-images.html · sixel:
VT330/VT340 Programmer Reference Manual, chapter 14.
"""

import base64
import zlib
from dataclasses import dataclass
from typing import Any

import numpy

from brender.commands.terminal_protocols import Protocol

#: Bytes of base64 that one of kitty's commands holds at most.
_CHUNK = 4096
#: The id of our picture in kitty, so that the next one takes its place.
_KITTY_ID = 3_141_592
#: Steps of each color in a sixel picture: 216 colors, of the 256 that terminals have.
_STEPS = 6
_BAYER = (numpy.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]]) + 0.5) / 16
_SIXEL_BASE, _SIXEL_ROWS = 0x3F, 6


@dataclass(frozen=True)
class Shown:
    """What a terminal is sent for a picture, and the rows of cells that it takes."""

    sent: str
    rows: int


def encode(protocol: Protocol, file: bytes, pixels: Any, most: tuple[int, int], cell: tuple[int, int]) -> Shown:
    """Return how the picture *file*, whose *pixels* are height by width by three bytes, is shown in at most so many columns and
    rows, where a *cell* has so many pixels."""
    if protocol is Protocol.SIXEL:
        pixels = _within(pixels, most[0] * cell[0], most[1] * cell[1])
        return Shown(sixel(pixels), -(-pixels.shape[0] // cell[1]))
    columns, rows = cells(pixels.shape[1], pixels.shape[0], most, cell)
    return Shown(kitty(pixels, columns, rows) if protocol is Protocol.KITTY else iterm2(file, columns, rows), rows)


def cells(width: int, height: int, most: tuple[int, int], cell: tuple[int, int]) -> tuple[int, int]:
    """Return the columns and rows that a picture of *width* by *height* pixels takes of *most* columns and rows, where a
    *cell* has so many pixels.

    >>> cells(256, 144, (80, 12), (10, 20))
    (42, 12)
    """
    columns, rows = most
    shown = min(columns * cell[0] / width, rows * cell[1] / height)
    return max(1, int(width * shown / cell[0] + 1e-6)), max(1, round(height * shown / cell[1]))


def _within(pixels: Any, width: int, height: int) -> Any:
    """Return *pixels*, made as small as that many where they are more."""
    factor = max(1.0, pixels.shape[1] / width, pixels.shape[0] / height)
    rows, columns = (max(1, int(pixels.shape[axis] / factor)) for axis in (0, 1))
    return pixels[(numpy.arange(rows) * factor).astype(int)][:, (numpy.arange(columns) * factor).astype(int)]


def kitty(pixels: Any, columns: int, rows: int) -> str:
    """Return the commands that show *pixels* (height by width by three bytes) at the cursor, which stays, instead of the picture
    that was shown before."""
    height, width, _ = pixels.shape
    payload = base64.b64encode(zlib.compress(numpy.ascontiguousarray(pixels).tobytes())).decode()
    chunks = [payload[start : start + _CHUNK] for start in range(0, len(payload), _CHUNK)]
    keys = f"a=T,f=24,o=z,s={width},v={height},c={columns},r={rows},i={_KITTY_ID},p=1,C=1,q=2,"
    commands = [f"\x1b_Ga=d,d=I,i={_KITTY_ID},q=2\x1b\\"]
    for number, chunk in enumerate(chunks):
        commands.append(f"\x1b_G{keys if number == 0 else ''}m={int(number < len(chunks) - 1)};{chunk}\x1b\\")
    return "".join(commands)


def iterm2(file: bytes, columns: int, rows: int) -> str:
    """Return the command that shows the picture *file*, a JPEG or PNG, at the cursor."""
    keys = f"inline=1;size={len(file)};width={columns};height={rows};preserveAspectRatio=0"
    return f"\x1b]1337;File={keys}:{base64.b64encode(file).decode()}\a"


def sixel(pixels: Any) -> str:
    """Return the device control string that shows *pixels* at the cursor: 216 colors, dithered."""
    height, width, _ = pixels.shape
    indices = _dithered(pixels)
    used = numpy.unique(indices)
    percent = [round(100 * step / (_STEPS - 1)) for step in range(_STEPS)]
    colors = "".join(
        f"#{index};2;{percent[index // 36]};{percent[index // 6 % 6]};{percent[index % 6]}" for index in map(int, used)
    )
    bands = [_band(indices[top : top + _SIXEL_ROWS]) for top in range(0, height, _SIXEL_ROWS)]
    return f'\x1bP0;1;0q"1;1;{width};{height}{colors}{"-".join(bands)}\x1b\\'


def _dithered(pixels: Any) -> Any:
    """Return the color of each pixel as an index, 0 to 215."""
    height, width, _ = pixels.shape
    pattern = numpy.tile(_BAYER, (height // 4 + 1, width // 4 + 1))[:height, :width, None]
    steps = numpy.minimum((pixels / 255 * (_STEPS - 1) + pattern).astype(int), _STEPS - 1)
    return steps[..., 0] * 36 + steps[..., 1] * 6 + steps[..., 2]


def _band(indices: Any) -> str:
    """Return six rows of pixels, color upon color."""
    weights = (1 << numpy.arange(len(indices)))[:, None]
    lines = []
    for index in map(int, numpy.unique(indices)):
        signs = ((indices == index) * weights).sum(axis=0) + _SIXEL_BASE
        lines.append(f"#{index}{_runs(signs)}")
    return "$".join(lines)


def _runs(signs: Any) -> str:
    """Return a row of signs, those that repeat as a count and one of them."""
    starts = [0, *(numpy.flatnonzero(numpy.diff(signs)) + 1).tolist()]
    words = []
    for start, end in zip(starts, [*starts[1:], len(signs)], strict=True):
        sign, count = chr(int(signs[start])), end - start
        words.append(f"!{count}{sign}" if count > 3 else sign * count)
    return "".join(words)
