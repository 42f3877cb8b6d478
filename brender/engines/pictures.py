"""Looking at rendered files: do they decode, have they the right size, is there anything on them; and small pictures.

OpenImageIO reads everything that studios render, EXR, HDR and DPX included.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import OpenImageIO as oiio

THUMBNAIL_PIXELS = 256
_THUMBNAIL_QUALITY = 85
#: Formats that Blender writes and OpenImageIO's wheels do not read.
_UNREADABLE = {".jp2"}
#: Formats that hold linear light, which a screen shows too dark.
_LINEAR = {"openexr", "hdr"}

#: What counts as empty tiles: at least this share of the picture, with alpha of at least so much elsewhere, and so few corners.
_LEAST_EMPTY, _OPAQUE, _MOST_CORNERS = 0.01, 0.999, 64


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
    # Reading is lazy; force all of it, which is what finds a file that ends too early.
    if not picture.read(0, 0, True, oiio.FLOAT):
        raise BadPicture(f"the file that was written does not decode: {picture.geterror()}")
    spec = picture.spec()
    if size is not None and (spec.full_width, spec.full_height) != size and (spec.width, spec.height) != size:
        raise BadPicture(f"the picture is {spec.width} x {spec.height}, where {size[0]} x {size[1]} was asked for")
    strange = _strange(picture)
    if filled and (share := _empty_tiles(picture)):
        strange.append(f"is empty in rectangles that make {share:.0%} of it, as tiles are that a device has not rendered")
    return Picture(spec.width, spec.height, tuple(strange), picture)


def _strange(picture: Any) -> list[str]:
    stats = oiio.ImageBufAlgo.computePixelStats(picture)
    colors = _color_channels(picture.spec())
    found = []
    if any(stats.nancount[channel] or stats.infcount[channel] for channel in range(len(stats.nancount))):
        found.append("has pixels that are no numbers (NaN or infinite)")
    if colors and all(stats.max[channel] <= 0 for channel in colors):
        found.append("is all black")
    return found


def _empty_tiles(picture: Any) -> float:
    """The share of the picture in rectangles of pixels that are exactly 0 in color and alpha, where every other pixel is opaque;
    0 where there are none such. A scene with a transparent background has empty pixels too, but none with such edges."""
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
    """The channels that make the picture: the combined pass of a multi-layer file, else the first three or the one."""
    combined = [spec.channelnames.index(name) for name in spec.channelnames if name.rpartition(".")[0].endswith("Combined")]
    colors = [channel for channel in combined if spec.channelnames[channel].endswith((".R", ".G", ".B"))]
    if len(colors) == 3:
        return sorted(colors, key=lambda channel: "RGB".index(str(spec.channelnames[channel])[-1]))
    return list(range(min(3, spec.nchannels))) if spec.nchannels >= 3 else [0]


def displayed(path: Path, width: int = 0, exposure: float = 0.0) -> Any:
    """The picture at *path* as a screen shows it, an ``OpenImageIO.ImageBuf`` of red, green and blue from 0 to 1: *width* pixels
    wide at most (0: any), linear light with *exposure* stops more. Raises `BadPicture`."""
    picture = oiio.ImageBuf(str(path))
    if not picture.read(0, 0, True, oiio.FLOAT):
        raise BadPicture(f"it does not decode: {picture.geterror()}")
    return _shown(picture, width, exposure)


def write_thumbnail(picture: Any, path: Path) -> None:
    """Write a small JPEG of the decoded *picture* to *path*."""
    spec = picture.spec()
    scale = min(1.0, THUMBNAIL_PIXELS / max(spec.width, spec.height))
    small = _shown(picture, max(1, round(spec.width * scale)))
    small.specmod().attribute("compression", f"jpeg:{_THUMBNAIL_QUALITY}")
    path.parent.mkdir(parents=True, exist_ok=True)
    small.set_write_format(oiio.UINT8)
    small.write(str(path), oiio.UINT8, "jpeg")


def _shown(picture: Any, width: int, exposure: float = 0.0) -> Any:
    spec, kind = picture.spec(), picture.file_format_name
    colors = _color_channels(spec)
    image = oiio.ImageBufAlgo.channels(picture, tuple(colors * (3 // len(colors))))
    if width and spec.width > width:
        height = max(1, round(spec.height * width / spec.width))
        # The box filter: the default one takes thirty times as long, six seconds for a picture of 4K.
        image = oiio.ImageBufAlgo.resize(image, "box", 0.0, oiio.ROI(0, width, 0, height, 0, 1, 0, 3))
    if exposure:
        image = oiio.ImageBufAlgo.mul(image, 2.0**exposure)
    if kind in _LINEAR or not kind:
        image = oiio.ImageBufAlgo.colorconvert(image, "lin_rec709", "sRGB")
    return oiio.ImageBufAlgo.clamp(image, 0.0, 1.0)
