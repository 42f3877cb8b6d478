"""Pieces of a still, put together: float multi-layer OpenEXR files in, one of the same layout out.

Shares of the samples are averaged by their number of samples, in double precision; but depth, position, indices and
Cryptomatte, which no average may touch, are taken from the piece with the first samples, as Cycles' own merging does. Bands are
laid beside each other.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import OpenImageIO as oiio

from brender.jobs.pieces import rows_of, samples_of

_RENDER_TIME = "RenderTime"
#: How Blender and Cycles write times: 00:03.50, 01:00:03.50.
_TIME = re.compile(r"(\d+:)?\d+:\d+\.\d+")
_TAKEN_FROM_THE_FIRST = re.compile(
    "Depth|Position|Object Index|Material Index|IndexOB|IndexMA|Crypto(Object|Material|Asset)[0-9]+"
)


class CannotMerge(Exception):
    """The pieces do not fit together; the text says why."""


#: What an accumulated file calls its noise.
_NOISE = "brender_noise"
#: How files are compressed that are kept, and those that are read once: to compress these takes longer than to write and read
#: them (a fifth of what a pass of a small frame takes beside its samples).
_KEPT, _SCRATCH = "zip", "none"


@dataclass(frozen=True)
class Accumulated:
    """What came of averaging: the metadata that Cycles itself would add to the picture (`stamps`), and its noise (``None``: not
    known yet)."""

    stamps: list[tuple[str, str]]
    noise: float | None


@dataclass(frozen=True)
class Cut:
    """How a picture is cut: ``samples`` or ``tiles``, into how many pieces, and its samples a pixel."""

    how: str
    pieces: int
    samples: int

    def note(self, piece: int, blender: str, source: str) -> str:
        """Return what *piece* says of itself in its metadata: its place in the cut, the series of the *blender* that
        rendered it, and what it was rendered from, *source*. The same words, but for the number, stand in every piece of one
        picture."""
        return f"piece {piece} of {self.pieces} by {self.how}, {self.samples} samples, Blender {blender}, {source}"

    def weight(self, piece: int) -> float:
        """Return how much *piece* (from 1) counts in the average, of 1."""
        return samples_of(piece, self.pieces, self.samples)[1] / self.samples


def merge(files: Sequence[Path], cut: Cut, path: Path) -> None:
    """Write the picture that the pieces *files*, in their order, make to *path*. Raises `CannotMerge`."""
    specs, planes = _merged(files, cut)
    _write(specs, planes, path)


def replace_combined(merged: Path, denoised: Path) -> None:
    """Make the RGBA of the file *denoised* the combined pass of the multi-layer file *merged*; what that was becomes the pass
    ``Noisy Image``, as in a render that Cycles denoises. Raises `CannotMerge`."""
    ((_, pixels),) = _subimages(denoised)
    specs: list[Any] = []
    planes: list[Any] = []
    for spec, plane in _subimages(merged):
        if channels := combined_channels(spec):
            names = [spec.channelnames[channel] for channel in channels]
            noisy = [f"{name.removesuffix('Combined' + name[-2:])}Noisy Image{name[-2:]}" for name in names]
            spec.channelnames = (*spec.channelnames, *noisy)
            spec.nchannels += len(noisy)
            plane = numpy.concatenate([plane, plane[..., channels]], axis=2)
            plane[..., channels] = pixels[..., : len(channels)]
        specs.append(spec)
        planes.append(plane)
    _write(specs, planes, merged)


def check_cut(file: Path, note: str) -> None:
    """Raise `CannotMerge` where the piece *file* does not say *note* of itself: it is of another cut, scene or Blender."""
    found = _text(_header(file), "Note")
    if found != note:
        raise CannotMerge(f"{file} is another piece than is asked for: it says {found!r} of itself, not {note!r}")


def stamps(files: Sequence[Path], cut: Cut) -> list[tuple[str, str]]:
    """Return the metadata that Cycles itself adds to a picture, name and value, for the one that the pieces *files* make: the
    manifests of Cryptomatte, the samples, and the times, which are those of all pieces together. Raises `CannotMerge`."""
    return _stamps(files, cut.samples)


def _stamps(files: Sequence[Path], samples: int) -> list[tuple[str, str]]:
    headers = [_header(file) for file in files]
    found = []
    for each in headers[0].extra_attribs:
        name, value = str(each.name), str(each.value)
        if not name.startswith(("cycles.", "cryptomatte/")) and name != _RENDER_TIME:
            continue
        if name.endswith(".samples"):
            value = str(samples)
        elif _TIME.fullmatch(value):
            value = _as_time(sum(_seconds(_text(header, name)) for header in headers))
        found.append((name, value))
    return found


def combined(files: dict[int, Path], cut: Cut) -> Any:
    """Return what those pieces that are there, *files* by their number, show together: an ``OpenImageIO.ImageBuf`` of the
    combined pass. Pieces that are missing leave bands black, or grain. Raises `CannotMerge`."""
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


def combined_channels(spec: Any) -> list[int]:
    """Return which channels of *spec* are the red, green, blue and alpha of its combined pass, or of a plain picture, in
    that order."""
    names = {name.rpartition(".")[2]: place for place, name in enumerate(spec.channelnames) if _pass_of(name) in {"Combined", ""}}
    return [names[channel] for channel in "RGBA" if channel in names]


def accumulate(files: Sequence[Path], counts: Sequence[int], note: str, paths: Sequence[Path]) -> Accumulated:
    """Write the average of *files*, which hold so many samples each (*counts*), to each of *paths*: a file that says *note* of
    itself. The first is read once and removed, so that it is not compressed; others are kept. Raises `CannotMerge`."""
    total = sum(counts)
    specs, planes, noise = _averaged(files, counts)
    told = _stamps(files, total)
    for spec in specs:
        spec.attribute("Note", note)
        for name, value in told:
            spec.attribute(name, value)
        if noise is not None:
            spec.attribute(_NOISE, noise)
    for place, path in enumerate(paths):
        _write(specs, planes, path, _KEPT if place else _SCRATCH)
    return Accumulated(told, noise)


def write_shown(source: Path, stamps: Sequence[tuple[str, str]], note: str, path: Path) -> None:
    """Write the combined pass of the first part of *source* that has one to *path*, a plain OpenEXR with this metadata that is
    not compressed. Raises `CannotMerge`."""
    for spec, pixels in _subimages(source):
        if channels := combined_channels(spec):
            plain = oiio.ImageSpec(spec.full_width, spec.full_height, len(channels), oiio.FLOAT)
            plain.channelnames = tuple("RGBA"[: len(channels)])
            for name, value in (*stamps, ("Note", note)):
                plain.attribute(name, value)
            _write([plain], [pixels[..., channels]], path)
            return
    raise CannotMerge(f"{source} has no combined pass")


def read_accumulated(file: Path) -> tuple[str, float | None]:
    """Return what an accumulated *file* says of itself: its note ("": none), and its noise. Raises `CannotMerge`."""
    header = _header(file)
    noise = header.getattribute(_NOISE)
    return _text(header, "Note"), None if noise is None else float(noise)


def _averaged(files: Sequence[Path], counts: Sequence[int]) -> tuple[list[Any], list[Any], float | None]:
    """Return the specs and planes of the average of *files*, and its noise, where there are two to tell that by."""
    total = sum(counts)
    specs: list[Any] = []
    planes: list[Any] = []
    beauty: list[Any] = []
    for place, file in enumerate(files):
        for number, (spec, pixels) in enumerate(_subimages(file)):
            if place == 0:
                specs.append(spec)
                planes.append(numpy.zeros(pixels.shape, dtype=numpy.float64))
            _check_alike(file, files[0], spec, pixels, specs[number : number + 1], planes[number : number + 1])
            _add(planes[number], spec, pixels, counts[place] / total, is_first=place == 0)
            if channels := combined_channels(spec)[:3]:
                beauty.append(pixels[..., channels])
    noise = noise_between(beauty[0], counts[0], beauty[1], counts[1]) if len(files) == len(beauty) == 2 else None
    return specs, planes, noise


def noise_between(first: Any, first_count: int, second: Any, second_count: int) -> float:
    """Return the noise of the average of two pictures of the same frame, of so many samples each: its standard error, as their
    difference tells it, by the square root of the brightness, on the average over the picture. That is what the noise threshold
    of Cycles is compared with, pixel by pixel."""
    total = first_count + second_count
    average = (first * float(first_count) + second * float(second_count)) / total
    error = numpy.abs(first - second).sum(axis=-1) * (first_count * second_count) ** 0.5 / total
    brightness = numpy.maximum(average.sum(axis=-1), 0.0)
    found = error / (1e-4 + numpy.sqrt(brightness))
    finite = found[numpy.isfinite(found)]
    return float(finite.mean()) if finite.size else 0.0


def _merged(files: Sequence[Path], cut: Cut) -> tuple[list[Any], list[Any]]:
    specs: list[Any] = []
    planes: list[Any] = []
    for piece, file in enumerate(files, start=1):
        for place, (spec, pixels) in enumerate(_subimages(file)):
            if piece == 1:
                specs.append(spec)
                planes.append(numpy.zeros(pixels.shape, dtype=numpy.float64))
            _check_alike(file, files[0], spec, pixels, specs[place : place + 1], planes[place : place + 1])
            if cut.how == "tiles":
                band = _band(piece, cut, planes[place].shape[0])
                planes[place][band] = pixels[band]
            else:
                _add(planes[place], spec, pixels, cut.weight(piece), is_first=piece == 1)
    return specs, planes


def _check_alike(file: Path, first: Path, spec: Any, pixels: Any, specs: list[Any], planes: list[Any]) -> None:
    """Raise `CannotMerge` unless a part of *file* is as that of the *first*: *specs* and *planes* have that, if there is one."""
    if not planes or planes[0].shape != pixels.shape or specs[0].channelnames != spec.channelnames:
        raise CannotMerge(f"{file} has other passes or another size than the first piece, {first}")


def _add(plane: Any, spec: Any, pixels: Any, weight: float, *, is_first: bool) -> None:
    """Add *pixels* to the average *plane* with this *weight* of 1."""
    for channel, name in enumerate(spec.channelnames):
        if not _TAKEN_FROM_THE_FIRST.fullmatch(_pass_of(name)):
            plane[..., channel] += pixels[..., channel] * weight
        elif is_first:
            plane[..., channel] = pixels[..., channel]


def _band(piece: int, cut: Cut, height: int) -> slice:
    """Return the rows of *piece*, counted from the top as files do."""
    first, beyond = rows_of(piece, cut.pieces, height)
    return slice(height - beyond, height - first)


def _pass_of(channel: str) -> str:
    """Return the pass that a channel such as ``ViewLayer.Combined.R`` belongs to; "" for a plain ``R``."""
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


def _header(file: Path) -> Any:
    opened = oiio.ImageInput.open(str(file))
    if opened is None:
        raise CannotMerge(f"{file} does not open: {oiio.geterror()}")
    try:
        return opened.spec()
    finally:
        opened.close()


def _text(header: Any, name: str) -> str:
    return str(header.getattribute(name) or "")


def _seconds(time: str) -> float:
    """
    >>> _seconds("01:02:03.50")
    3723.5
    """
    total = 0.0
    for number in time.split(":") if _TIME.fullmatch(time) else ():
        total = total * 60 + float(number)
    return total


def _as_time(seconds: float) -> str:
    """Write *seconds* as Blender does.

    >>> _as_time(63.25), _as_time(3723.5)
    ('01:03.25', '01:02:03.50')
    """
    minutes, rest = divmod(round(seconds * 100), 6000)
    hours, minutes = divmod(minutes, 60)
    text = f"{minutes:02d}:{rest / 100:05.2f}"
    return f"{hours:02d}:{text}" if hours else text


def _write(specs: list[Any], planes: list[Any], path: Path, compression: str = _SCRATCH) -> None:
    for spec in specs:
        spec.attribute("compression", compression)
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
