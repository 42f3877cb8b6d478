"""Reading rendered files for a comparison: what their headers say that matters, their pixels, their sound."""

import json
import re
import subprocess
from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy
import OpenImageIO as oiio

from tests.corpus.comparing import Content, Film, Other, Picture, Plane

_FILMS = {".mp4", ".mkv", ".mov", ".avi", ".webm", ".mpg", ".ogv", ".flv", ".dv"}
#: What two renders of one frame never share: when, how fast and how much memory.
_OF_ONE_RENDER = re.compile(
    r"(^|[:.])(date|rendertime|ram|memory|hostname|datetime|capdate|file|total_time|render_time|synchronization_time|"
    r"chunkcount|fingerprint|software|oiio:subimages|exr:.*hash)$",
    re.IGNORECASE,
)
#: How brender knows its own frames again; it stands beside what the scene notes.
_OUR_NOTE = re.compile(r" ?brender [0-9a-f]{16}\b")


def read(folder: Path, names: Iterable[str]) -> dict[str, Content]:
    """The content of each of the files *names* of *folder*."""
    return {name: read_file(folder / name) for name in names}


def read_file(path: Path) -> Content:
    if path.suffix.lower() in _FILMS:
        return _film(path)
    opened = oiio.ImageInput.open(str(path))
    if opened is None:
        oiio.geterror()
        return Other(path.read_bytes())
    planes = []
    try:
        while opened.seek_subimage(len(planes), 0):
            spec = opened.spec()
            pixels = opened.read_image(len(planes), 0, 0, spec.nchannels, oiio.FLOAT)
            if pixels is None:
                return Other(b"does not decode: " + opened.geterror().encode())
            planes.append(Plane(_header(opened.format_name(), spec), numpy.asarray(pixels)))
    finally:
        opened.close()
    return Picture(tuple(planes))


def _header(kind: str, spec: Any) -> Mapping[str, Any]:
    formats = [str(each) for each in spec.channelformats] or [str(spec.format)]
    header: dict[str, Any] = {
        "format": kind,
        "size": (spec.width, spec.height),
        "origin": (spec.x, spec.y),
        "whole size": (spec.full_width, spec.full_height),
        "channels": tuple(spec.channelnames),
        "depth": formats[0] if len(set(formats)) == 1 else tuple(formats),
        "tiles": (spec.tile_width, spec.tile_height),
    }
    for each in spec.extra_attribs:
        if not _OF_ONE_RENDER.search(each.name):
            value = _OUR_NOTE.sub("", each.value) if isinstance(each.value, str) else _plain(each.value)
            if value != "" or not each.name.lower().endswith("note"):
                header[each.name] = value
    return header


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, (list, numpy.ndarray)) else value


def _film(path: Path) -> Content:
    words = ["ffprobe", "-v", "error", "-of", "json", "-show_format", "-show_streams", "-count_frames", str(path)]
    told = subprocess.run(words, capture_output=True, check=False)
    if told.returncode:
        return Other(b"no film: " + told.stderr)
    found = json.loads(told.stdout)
    header: dict[str, Any] = {"container": found["format"]["format_name"], "duration": _tenths(found["format"].get("duration"))}
    shape = (0, 0)
    for stream in found["streams"]:
        kind = stream["codec_type"]
        keys = ("codec_name", "width", "height", "pix_fmt", "nb_read_frames", "sample_rate", "channels")
        header |= {f"{kind} {key}": stream[key] for key in keys if key in stream and (kind, key) != ("audio", "nb_read_frames")}
        if kind == "video":
            header["video rate"] = float(Fraction(stream["r_frame_rate"]))
            shape = (stream["height"], stream["width"])
    raw = _decoded(path, "-f", "rawvideo", "-pix_fmt", "rgb24")
    pictures = numpy.frombuffer(raw, numpy.uint8).astype(numpy.float32) / 255
    pictures = pictures.reshape(-1, *shape, 3) if all(shape) and pictures.size % (shape[0] * shape[1] * 3) == 0 else pictures
    sound = numpy.zeros((0, 1))
    if "audio codec_name" in header:
        channels = int(header["audio channels"])
        sound = numpy.frombuffer(_decoded(path, "-vn", "-f", "f32le"), numpy.float32).reshape(-1, channels)
    return Film(header, pictures, sound)


def _decoded(path: Path, *words: str) -> bytes:
    command = ["ffmpeg", "-v", "error", "-i", str(path), *words, "-"]
    return subprocess.run(command, capture_output=True, check=False, stdin=subprocess.DEVNULL).stdout


def _tenths(seconds: str | None) -> float | None:
    return round(float(seconds), 1) if seconds else None
