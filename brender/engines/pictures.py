"""Looking at rendered files: do they decode, have they the right size, is there anything on them; and small pictures.

OpenImageIO reads everything that studios render, EXR, HDR and DPX included.
"""

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import OpenImageIO as oiio

THUMBNAIL_PIXELS = 256
_THUMBNAIL_QUALITY = 85
#: Formats that Blender writes and OpenImageIO's wheels do not read.
_UNREADABLE = {".jp2"}
#: Formats that hold linear light, which a screen shows too dark.
_LINEAR = {"openexr", "hdr"}

#: What counts as empty tiles: at least this share of the picture, with alpha of at least so much elsewhere, and so few corners.
_LEAST_EMPTY, _OPAQUE, _MOST_CORNERS = 0.01, 0.999, 64
#: Most channels, and most pixels along a side, that a picture of a render has: what says more of itself is not read.
_MOST_CHANNELS, _LONGEST_SIDE = 4096, 65_536
#: The picture is looked at in so many rows and columns of cells, to find what is empty in it and not in its neighbours.
_CELLS = 16
_ROWS = 4
_LEAST_NEWLY_EMPTY = 0.2


#: Blender's dither, on by default, and JPEG leave black pixels of 8 bits at 1 or 2 of 255, which nobody sees.
_BLACK = 2.5 / 255


class BadPicture(Exception):
    """The file is not the picture that it should be; the text says why."""


@dataclass(frozen=True)
class Picture:
    """What a verified file holds. Width and height are 0 where it could not be looked into."""

    width: int
    height: int
    warnings: tuple[str, ...]
    image: Any = None
    """The decoded picture, an ``OpenImageIO.ImageBuf``."""
    empty: str = ""
    """Which of its 16 x 16 cells hold nothing but zeros, as a hexadecimal number of 256 bits, or ""."""


def verify(path: Path, size: tuple[int, int] | None, filled: bool = False) -> Picture:
    """Decode the whole picture at *path* and check it; *size* is the width and height it must have, ``None``: any.

    A picture that is all black or has values that are no numbers gets a warning, and so does one with empty tiles where the scene
    is rendered over all of it (*filled*). Raises `BadPicture`.
    """
    try:
        length = path.stat().st_size
    except FileNotFoundError as error:
        raise BadPicture("the render ended without writing its file") from error
    if length == 0:
        raise BadPicture("the file that was written is empty")
    if path.suffix in _UNREADABLE:
        return Picture(0, 0, (f"{path.suffix} files cannot be looked into, so only their existence was checked",))
    picture = oiio.ImageBuf(str(path))
    if not picture.init_spec(str(path), 0, 0):
        raise BadPicture(f"the file that was written does not decode: {picture.geterror()}")
    # By its header, before memory is taken for its pixels.
    spec = picture.spec()
    if size is not None and (spec.full_width, spec.full_height) != size and (spec.width, spec.height) != size:
        raise BadPicture(f"the picture is {spec.width} x {spec.height}, where {size[0]} x {size[1]} was asked for")
    if max(spec.width, spec.height) > _LONGEST_SIDE or spec.nchannels > _MOST_CHANNELS or spec.depth > 1:
        raise BadPicture(f"its header says {spec.width} x {spec.height} x {spec.depth}, of {spec.nchannels} channels")
    # Reading is lazy; force all of it, which is what finds a file that ends too early.
    if not picture.read(0, 0, True, oiio.FLOAT):
        raise BadPicture(f"the file that was written does not decode: {picture.geterror()}")
    _check_further_parts(path, picture.nsubimages)
    stats = oiio.ImageBufAlgo.computePixelStats(picture)
    strange = _strange(picture, stats)
    if filled and (share := _empty_tiles(picture)):
        strange.append(f"is empty in rectangles that make {share:.0%} of it, as tiles are that a device has not rendered")
    return Picture(spec.width, spec.height, tuple(strange), picture, _empty_cells(picture, stats))


def _check_further_parts(path: Path, count: int) -> None:
    """Decode all *count* parts of the file at *path* but the first. Blender 5 writes each pass of a multilayer OpenEXR as a
    part. Raises `BadPicture`."""
    for part in range(1, count):
        further = oiio.ImageBuf(str(path), part, 0)
        if not further.read(part, 0, True):
            name = further.spec().get_string_attribute("name") or f"number {part + 1}"
            raise BadPicture(f"the part {name} of the file that was written does not decode: {further.geterror()}")


def newly_empty(empty: str, neighbours: Iterable[str]) -> str | None:
    """Return the warning that a picture whose cells *empty* (`Picture`) are empty has a large part empty which none of its
    *neighbours* has; ``None`` where that is not so, or where it has no neighbours.

    >>> newly_empty("ff" * 16, ["", "f"])
    'is exactly empty in 48% of it, where the frames beside it are not, as a picture is that a device has not rendered all of'
    >>> newly_empty("ff" * 16, ["ff" * 16, ""])
    >>> newly_empty("ff" * 16, [])
    """
    known = list(neighbours)
    cells = int(empty or "0", 16)
    for each in known:
        cells &= ~int(each or "0", 16)
    share = cells.bit_count() / _CELLS**2
    if not known or share < _LEAST_NEWLY_EMPTY:
        return None
    beside = "the frame beside it is not" if len(known) == 1 else "the frames beside it are not"
    return f"is exactly empty in {share:.0%} of it, where {beside}, as a picture is that a device has not rendered all of"


def _strange(picture: Any, stats: Any) -> list[str]:
    spec = picture.spec()
    colors = _color_channels(spec)
    most = 0.0 if picture.nativespec().format.basetype in (oiio.HALF, oiio.FLOAT, oiio.DOUBLE) else _BLACK
    found = []
    if any(stats.nancount[channel] or stats.infcount[channel] for channel in range(len(stats.nancount))):
        found.append("has pixels that are not numbers (NaN or infinite)")
    if colors and all(stats.max[channel] <= most for channel in colors):
        found.append("is all black")
    return found


def _empty_cells(picture: Any, stats: Any) -> str:
    """Return which cells of the picture hold nothing but zeros in color and alpha (`Picture.empty`). All of a picture: none
    of it."""
    spec = picture.spec()
    colors = _color_channels(spec)
    name = spec.channelnames[colors[0]]
    alpha = name[:-1] + "A" if len(name) > 1 else "A"
    channels = [*colors, *([spec.channelnames.index(alpha)] if alpha in spec.channelnames else [])]
    if any(stats.min[channel] > 0 for channel in channels) or min(spec.width, spec.height) < _CELLS:
        return ""  # that holds for nearly all, and costs nothing
    first, beyond = min(channels), max(channels) + 1
    own = [channel - first for channel in channels]
    cells = numpy.zeros((_CELLS, _CELLS), dtype=bool)
    columns = numpy.arange(_CELLS) * spec.width // _CELLS
    for cell in range(_CELLS):
        # Some rows of each tell enough, in a tenth of the time that all of them take.
        beginning, end = (spec.y + place * spec.height // _CELLS for place in (cell, cell + 1))
        most = numpy.zeros(spec.width, dtype=numpy.float32)
        for row in {beginning + (end - beginning) * number // _ROWS for number in range(_ROWS)}:
            region = oiio.ROI(spec.x, spec.x + spec.width, row, row + 1, 0, 1, first, beyond)
            pixels: Any = picture.get_pixels(oiio.FLOAT, region)
            most = numpy.maximum(most, abs(pixels[0][:, own]).max(axis=1))
        cells[cell] = numpy.maximum.reduceat(most, columns) == 0
    return numpy.packbits(cells).tobytes().hex() if cells.any() and not cells.all() else ""


def _empty_tiles(picture: Any) -> float:
    """Return the share of the picture in rectangles of pixels that are exactly 0 in color and alpha, where every other pixel
    is opaque; 0 if there are no such rectangles. A scene with a transparent background has empty pixels too, but none with such
    edges."""
    spec = picture.spec()
    colors = _color_channels(spec)
    name = spec.channelnames[colors[0]]
    alpha = name[:-1] + "A"
    if len(colors) != 3 or alpha not in spec.channelnames:
        return 0.0
    pixels: Any = oiio.ImageBufAlgo.channels(picture, (*colors, spec.channelnames.index(alpha))).get_pixels(oiio.FLOAT)
    empty = (pixels == 0).all(axis=2)
    share = float(empty.mean())
    if not _LEAST_EMPTY <= share < 1.0 or (pixels[..., 3][~empty] < _OPAQUE).any():
        return 0.0
    # Where rectangles meet the rest, three of four neighbouring pixels are alike only at their corners.
    windows = empty[1:, 1:].astype(int) + empty[1:, :-1] + empty[:-1, 1:] + empty[:-1, :-1]
    corners = int((windows % 2).sum())
    return share if corners <= _MOST_CORNERS else 0.0


def _color_channels(spec: Any) -> list[int]:
    """Return the channels that make the picture: the combined pass of a multi-layer file, else the first three or the one."""
    combined = [spec.channelnames.index(name) for name in spec.channelnames if name.rpartition(".")[0].endswith("Combined")]
    colors = [channel for channel in combined if spec.channelnames[channel].endswith((".R", ".G", ".B"))]
    if len(colors) == 3:
        return sorted(colors, key=lambda channel: "RGB".index(str(spec.channelnames[channel])[-1]))
    return list(range(min(3, spec.nchannels))) if spec.nchannels >= 3 else [0]


def displayed(path: Path, width: int = 0, exposure: float = 0.0) -> Any:
    """Return the picture at *path* as a screen shows it, an ``OpenImageIO.ImageBuf`` of red, green and blue from 0 to 1:
    *width* pixels wide at most (0: any), linear light with *exposure* stops more. Raises `BadPicture`."""
    return _shown(read_part(path), width, exposure)


def read_part(path: Path, part: int = 0) -> Any:
    """Return the decoded *part* of the file at *path*. Raises `BadPicture`."""
    picture = oiio.ImageBuf(str(path), part, 0)
    if not picture.read(part, 0, True, oiio.FLOAT):
        raise BadPicture(f"it does not decode: {picture.geterror()}")
    return picture


def small_jpeg(picture: Any) -> bytes:
    """Return a small JPEG of the decoded *picture*."""
    spec = picture.spec()
    scale = min(1.0, THUMBNAIL_PIXELS / max(spec.width, spec.height))
    small = _shown(picture, max(1, round(spec.width * scale)))
    small.specmod().attribute("compression", f"jpeg:{_THUMBNAIL_QUALITY}")
    small.set_write_format(oiio.UINT8)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "small.jpg"
        small.write(str(file), oiio.UINT8, "jpeg")
        return file.read_bytes()


def _shown(picture: Any, width: int, exposure: float = 0.0) -> Any:
    kind, colors = picture.file_format_name, _color_channels(picture.spec())
    image = oiio.ImageBufAlgo.channels(picture, tuple(colors * (3 // len(colors))))
    return screened(image, width, exposure, is_linear=kind in _LINEAR or not kind)


def screened(image: Any, width: int, exposure: float, is_linear: bool) -> Any:
    """Return *image*, of three channels, as a screen shows it: *width* pixels wide at most (0: any), with *exposure* stops more,
    linear light brightened as screens need it."""
    spec = image.spec()
    if width and spec.width > width:
        height = max(1, round(spec.height * width / spec.width))
        # The box filter: the default one takes thirty times as long, six seconds for a picture of 4K.
        image = oiio.ImageBufAlgo.resize(image, "box", 0.0, oiio.ROI(0, width, 0, height, 0, 1, 0, 3))
    if exposure:
        image = oiio.ImageBufAlgo.mul(image, 2.0**exposure)
    if is_linear:
        image = oiio.ImageBufAlgo.colorconvert(image, "lin_rec709", "sRGB")
    return oiio.ImageBufAlgo.clamp(image, 0.0, 1.0)
