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


def verify(path: Path, size: tuple[int, int] | None) -> Picture:
    """Decode the whole picture at *path* and check it; *size* is the width and height it must have, ``None``: any.

    A picture that is all black or has values that are no numbers gets a warning. Raises `BadPicture`.
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
    return Picture(spec.width, spec.height, tuple(_strange(picture)), picture)


def _strange(picture: Any) -> list[str]:
    stats = oiio.ImageBufAlgo.computePixelStats(picture)
    colors = _color_channels(picture.spec())
    found = []
    if any(stats.nancount[channel] or stats.infcount[channel] for channel in range(len(stats.nancount))):
        found.append("has pixels that are no numbers (NaN or infinite)")
    if colors and all(stats.max[channel] <= 0 for channel in colors):
        found.append("is all black")
    return found


def _color_channels(spec: Any) -> list[int]:
    """The channels that make the picture: the combined pass of a multi-layer file, else the first three or the one."""
    combined = [spec.channelnames.index(name) for name in spec.channelnames if name.rpartition(".")[0].endswith("Combined")]
    colors = [channel for channel in combined if spec.channelnames[channel].endswith((".R", ".G", ".B"))]
    if len(colors) == 3:
        return sorted(colors, key=lambda channel: "RGB".index(str(spec.channelnames[channel])[-1]))
    return list(range(min(3, spec.nchannels))) if spec.nchannels >= 3 else [0]


def write_thumbnail(picture: Any, path: Path) -> None:
    """Write a small JPEG of the decoded *picture* to *path*."""
    spec = picture.spec()
    scale = min(1.0, THUMBNAIL_PIXELS / max(spec.width, spec.height))
    colors = _color_channels(spec)
    small = oiio.ImageBufAlgo.channels(picture, tuple(colors * (3 // len(colors))))
    # The box filter: the default one takes thirty times as long, six seconds for a picture of 4K.
    small = oiio.ImageBufAlgo.resize(
        small,
        filtername="box",
        roi=oiio.ROI(0, max(1, round(spec.width * scale)), 0, max(1, round(spec.height * scale)), 0, 1, 0, 3),
    )
    if picture.file_format_name in _LINEAR or not picture.file_format_name:
        small = oiio.ImageBufAlgo.colorconvert(small, "lin_rec709", "sRGB")
    small = oiio.ImageBufAlgo.clamp(small, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    small.specmod().attribute("compression", f"jpeg:{_THUMBNAIL_QUALITY}")
    path.parent.mkdir(parents=True, exist_ok=True)
    small.set_write_format(oiio.UINT8)
    small.write(str(path), oiio.UINT8, "jpeg")
