"""Pieces of a still, put together: float multi-layer OpenEXR files in, one of the same layout out.

Shares of the samples are averaged by their number of samples, in double precision; but depth, indices and Cryptomatte, which
no average may touch, are taken from the piece with the first samples, as Cycles' own merging does. Bands are laid beside each
other.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import OpenImageIO as oiio

from brender.jobs.blender_still import rows_of, samples_of

_TAKEN_FROM_THE_FIRST = ("Depth", "Object Index", "Material Index", "IndexOB", "IndexMA", "Crypto")


class CannotMerge(Exception):
    """The pieces do not fit together; the text says why."""


@dataclass(frozen=True)
class Cut:
    """How a picture is cut: ``samples`` or ``tiles``, into how many pieces, and its samples a pixel."""

    how: str
    pieces: int
    samples: int

    def weight(self, piece: int) -> float:
        """How much *piece* (from 1) counts in the average, of 1."""
        return samples_of(piece, self.pieces, self.samples)[1] / self.samples


#: Not cut at all.
WHOLE = Cut("tiles", 1, 1)


def merge(files: Sequence[Path], cut: Cut, path: Path, replaced: Path | None = None) -> None:
    """Write the picture that the pieces *files*, in their order, make to *path*; with the RGBA of the file *replaced* as its
    combined pass, where that is given. Raises `CannotMerge`."""
    specs, planes = _merged(files, cut)
    if replaced is not None:
        _replace_combined(specs, planes, replaced)
    _write(specs, planes, path)


def combined(files: dict[int, Path], cut: Cut) -> Any:
    """What those pieces that are there, *files* by their number, show together: an ``OpenImageIO.ImageBuf`` of the combined
    pass. Pieces that are missing leave bands black, or grain. Raises `CannotMerge`."""
    whole: Any = None
    weights = sum(cut.weight(piece) for piece in files)
    for piece, file in files.items():
        for spec, pixels in _subimages(file):
            channels = combined_channels(spec)
            if not channels:
                continue
            found = pixels[..., channels]
            if whole is None:
                whole = numpy.zeros_like(found, dtype=numpy.float64)
            if whole.shape != found.shape:
                raise CannotMerge(f"{file} has another size than the pieces before it")
            if cut.how == "samples":
                whole += found * (cut.weight(piece) / weights)
            else:
                band = _band(piece, cut, whole.shape[0])
                whole[band] = found[band]
    if whole is None:
        raise CannotMerge("No piece has a combined pass")
    made = oiio.ImageBuf(oiio.ImageSpec(whole.shape[1], whole.shape[0], whole.shape[2], oiio.FLOAT))
    if not made.set_pixels(oiio.ROI(), numpy.ascontiguousarray(whole, dtype=numpy.float32)):
        raise CannotMerge(f"The pieces cannot be put together: {made.geterror()}")
    return made


def write_combined(merged: Path, path: Path, color: str = "RGBA", half: bool = False) -> None:
    """Write the combined pass of the OpenEXR *merged* to *path*, an OpenEXR or Radiance file: linear light, as it is. *color* is
    ``BW``, ``RGB`` or ``RGBA``; *half* for 16 bits a channel. Raises `CannotMerge`."""
    image = combined({1: merged}, WHOLE)
    if color == "BW":
        image = oiio.ImageBufAlgo.channel_sum(image, (0.2126, 0.7152, 0.0722))
    channels = {"BW": ("Y",), "RGB": ("R", "G", "B")}.get(color, ("R", "G", "B", "A"))[: image.nchannels]
    image = oiio.ImageBufAlgo.channels(image, tuple(range(len(channels))), channels)
    if not image.write(str(path), oiio.HALF if half else oiio.FLOAT):
        raise CannotMerge(f"{path} cannot be written: {image.geterror()}")


def combined_channels(spec: Any) -> list[int]:
    """Which channels of *spec* are the red, green, blue and alpha of its combined pass, or of a plain picture, in that order."""
    names = {name.rpartition(".")[2]: place for place, name in enumerate(spec.channelnames) if _pass_of(name) in {"Combined", ""}}
    return [names[channel] for channel in "RGBA" if channel in names]


def _merged(files: Sequence[Path], cut: Cut) -> tuple[list[Any], list[Any]]:
    specs: list[Any] = []
    planes: list[Any] = []
    for piece, file in enumerate(files, start=1):
        for place, (spec, pixels) in enumerate(_subimages(file)):
            if piece == 1:
                specs.append(spec)
                planes.append(numpy.zeros(pixels.shape, dtype=numpy.float64))
            if place >= len(planes) or planes[place].shape != pixels.shape or specs[place].channelnames != spec.channelnames:
                raise CannotMerge(f"{file} has other passes or another size than the first piece, {files[0]}")
            _add(planes[place], spec, pixels, piece, cut)
    return specs, planes


def _add(plane: Any, spec: Any, pixels: Any, piece: int, cut: Cut) -> None:
    if cut.how == "tiles":
        band = _band(piece, cut, plane.shape[0])
        plane[band] = pixels[band]
        return
    for channel, name in enumerate(spec.channelnames):
        if not _pass_of(name).startswith(_TAKEN_FROM_THE_FIRST):
            plane[..., channel] += pixels[..., channel] * cut.weight(piece)
        elif piece == 1:
            plane[..., channel] = pixels[..., channel]


def _band(piece: int, cut: Cut, height: int) -> slice:
    """The rows of *piece*, counted from the top as files do."""
    first, beyond = rows_of(piece, cut.pieces, height)
    return slice(height - beyond, height - first)


def _replace_combined(specs: list[Any], planes: list[Any], replaced: Path) -> None:
    ((_, pixels),) = _subimages(replaced)
    for spec, plane in zip(specs, planes, strict=True):
        for source, target in enumerate(combined_channels(spec)):
            plane[..., target] = pixels[..., source]


def _pass_of(channel: str) -> str:
    """The pass that a channel such as ``ViewLayer.Combined.R`` belongs to; "" for a plain ``R``."""
    return channel.rpartition(".")[0].rpartition(".")[2]


def _subimages(file: Path) -> Iterator[tuple[Any, Any]]:
    """Each part of an OpenEXR: its spec, and its pixels, float, laid out over the whole picture."""
    opened = oiio.ImageInput.open(str(file))
    if opened is None:
        raise CannotMerge(f"{file} does not open: {oiio.geterror()}")
    try:
        number = 0
        while opened.seek_subimage(number, 0):
            spec = opened.spec()
            pixels = opened.read_image(number, 0, 0, spec.nchannels, oiio.FLOAT)
            if pixels is None:
                raise CannotMerge(f"{file} does not decode: {opened.geterror()}")
            full = numpy.zeros((spec.full_height, spec.full_width, spec.nchannels), dtype=numpy.float32)
            left, top = spec.x - spec.full_x, spec.y - spec.full_y
            full[top : top + spec.height, left : left + spec.width] = pixels
            yield spec, full
            number += 1
    finally:
        opened.close()


def _write(specs: list[Any], planes: list[Any], path: Path) -> None:
    for spec in specs:
        spec.x, spec.y, spec.width, spec.height = spec.full_x, spec.full_y, spec.full_width, spec.full_height
        spec.set_format(oiio.FLOAT)
    output = oiio.ImageOutput.create(str(path))
    if output is None or not output.open(str(path), tuple(specs)):
        raise CannotMerge(f"{path} cannot be written: {output.geterror() if output else oiio.geterror()}")
    for number, plane in enumerate(planes):
        if number and not output.open(str(path), specs[number], "AppendSubimage"):
            raise CannotMerge(f"{path} cannot be written: {output.geterror()}")
        if not output.write_image(numpy.ascontiguousarray(plane, dtype=numpy.float32)):
            raise CannotMerge(f"{path} cannot be written: {output.geterror()}")
    output.close()
