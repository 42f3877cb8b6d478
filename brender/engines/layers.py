"""The layers of a picture: what an EXR of several view layers and passes holds, each to be looked at by itself."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import OpenImageIO as oiio

from brender.engines.pictures import BadPicture, read_part, screened

#: As many layers of one picture are named.
_NAMED_MOST = 1000
#: Where nothing is, depth is a huge number: farther than this is not taken for a distance.
_FAR = 1e9


@dataclass(frozen=True)
class Layer:
    """The ``channels`` of the part number ``part`` of a file that make one picture, red (or the only one) first."""

    name: str
    part: int
    channels: tuple[str, ...]

    @property
    def is_color(self) -> bool:
        return self.channels[0].rpartition(".")[2] in ("R", "r", "Y", "V")


def layers_of(path: Path) -> list[Layer]:
    """Return the layers of the picture at *path*, as the file has them. Raises `BadPicture`."""
    opened = oiio.ImageInput.open(str(path))
    if opened is None:
        raise BadPicture(f"it does not decode: {oiio.geterror()}")
    found: list[Layer] = []
    try:
        part = 0
        while opened.seek_subimage(part, 0) and len(found) < _NAMED_MOST:
            spec = opened.spec()
            grouped: dict[str, list[str]] = {}
            for channel in spec.channelnames:
                grouped.setdefault(channel.rpartition(".")[0], []).append(channel)
            whole = spec.get_string_attribute("oiio:subimagename")
            found += [Layer(name or whole or "Picture", part, _in_order(channels)) for name, channels in grouped.items()]
            part += 1
    finally:
        opened.close()
    return found


def layer_displayed(path: Path, name: str, width: int, exposure: float = 0.0) -> Any:
    """Return the layer *name* of the picture at *path* as `displayed` returns the whole: colors as a screen shows them, other
    data (normals) as numbers from 0 to 1, depth from near (white) to far (black). Raises `BadPicture` if it has no such layer."""
    layers = layers_of(path)
    chosen = next((layer for layer in layers if layer.name == name), None)
    if chosen is None:
        raise BadPicture(f"it has no layer {name!r}; it has: {', '.join(layer.name for layer in layers[:20])}")
    picture = read_part(path, chosen.part)
    image = oiio.ImageBufAlgo.channels(picture, tuple((chosen.channels * 3)[:3]))
    if chosen.channels[0].rpartition(".")[2] == "Z":
        image = _by_distance(image)
    return screened(image, width, exposure, is_linear=chosen.is_color)


def _in_order(channels: list[str]) -> tuple[str, ...]:
    """Return those of *channels* that are seen: the three of a color or direction, or the first."""
    last = {channel.rpartition(".")[2].upper(): channel for channel in channels}
    for wanted in ("RGB", "XYZ"):
        if all(letter in last for letter in wanted):
            return tuple(last[letter] for letter in wanted)
    return (channels[0],)


def _by_distance(image: Any) -> Any:
    pixels = image.get_pixels(oiio.FLOAT)
    known = pixels[numpy.isfinite(pixels) & (numpy.abs(pixels) < _FAR)]
    near, far = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    shown = 1.0 - (numpy.nan_to_num(pixels, nan=far, posinf=far, neginf=near).clip(near, far) - near) / max(far - near, 1e-9)
    made = oiio.ImageBuf(oiio.ImageSpec(pixels.shape[1], pixels.shape[0], 3, oiio.FLOAT))
    made.set_pixels(oiio.ROI(), shown.astype(numpy.float32))
    return made
