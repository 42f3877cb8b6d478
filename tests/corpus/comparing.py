"""Whether two folders of rendered files are alike: names, headers, pixels, sound. Pure: what the files hold was read before."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy

_SHOWN = 4


@dataclass(frozen=True)
class Tolerance:
    """How far apart pixels may lie: at most ``amount`` (of 1) in all but ``share`` of the values, for a ``reason``."""

    amount: float
    reason: str
    share: float = 0.0


EXACT = Tolerance(0.0, "the same to the last bit")


@dataclass(frozen=True)
class Plane:
    """One picture of a file (an OpenEXR may have several): its header, and its pixels with a column for each channel."""

    header: Mapping[str, Any]
    pixels: numpy.ndarray


@dataclass(frozen=True)
class Picture:
    planes: tuple[Plane, ...]


@dataclass(frozen=True)
class Film:
    """A movie: what its container says, the pictures in it, its sound (samples from -1 to 1, a column for each channel)."""

    header: Mapping[str, Any]
    pictures: numpy.ndarray
    sound: numpy.ndarray = field(default_factory=lambda: numpy.zeros((0, 1)))


@dataclass(frozen=True)
class Other:
    """A file that nothing here can look into."""

    content: bytes


Content = Picture | Film | Other


def differences(wanted: Mapping[str, Content], found: Mapping[str, Content], tolerance: Tolerance = EXACT) -> list[str]:
    """What differs, in words; an empty list where nothing does. The keys are the files' names."""
    told = []
    if missing := sorted(wanted.keys() - found.keys()):
        told.append(f"not there: {_some(missing)}")
    if more := sorted(found.keys() - wanted.keys()):
        told.append(f"not Blender's: {_some(more)}")
    for name in sorted(wanted.keys() & found.keys()):
        told += [f"{name}: {text}" for text in _of_content(wanted[name], found[name], tolerance)]
    return told


def _of_content(wanted: Content, found: Content, tolerance: Tolerance) -> list[str]:
    match wanted, found:
        case Picture(), Picture():
            if len(wanted.planes) != len(found.planes):
                return [f"{len(found.planes)} pictures in it, not {len(wanted.planes)}"]
            pairs = list(zip(wanted.planes, found.planes, strict=True))
            told = [text for a, b in pairs for text in _of_header(a.header, b.header)]
            return told or [text for a, b in pairs for text in _of_pixels(a.pixels, b.pixels, tolerance)]
        case Film(), Film():
            return [
                *_of_header(wanted.header, found.header),
                *_of_pixels(wanted.pictures, found.pictures, tolerance),
                *_of_sound(wanted.sound, found.sound),
            ]
        case Other(), Other():
            return [] if wanted.content == found.content else ["other bytes"]
    return [f"is of the kind {type(found).__name__}, not {type(wanted).__name__}"]


def _of_header(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    keys = sorted(key for key in wanted.keys() | found.keys() if wanted.get(key) != found.get(key))
    return [f"{key} is {_brief(found.get(key))}, not {_brief(wanted.get(key))}" for key in keys]


def _of_pixels(wanted: numpy.ndarray, found: numpy.ndarray, tolerance: Tolerance) -> list[str]:
    if wanted.shape != found.shape:
        return [f"pixels of the shape {found.shape}, not {wanted.shape}"]
    if not wanted.size:
        return []
    both = (wanted == found) | (numpy.isnan(wanted) & numpy.isnan(found))
    with numpy.errstate(invalid="ignore", over="ignore"):
        apart = numpy.where(both, 0.0, numpy.abs(wanted.astype(float) - found.astype(float)))
    apart = numpy.where(numpy.isnan(apart), numpy.inf, apart)
    # What lies beyond 1 (depth, light) may be as far apart in proportion.
    allowed = tolerance.amount * numpy.maximum(1.0, numpy.nan_to_num(numpy.abs(wanted.astype(float)), posinf=1.0))
    wrong = apart > allowed
    if wrong.mean() <= tolerance.share:
        return []
    return [f"{wrong.mean():.1%} of the pixels differ, by {apart.max():.3g} at most"]


def _of_sound(wanted: numpy.ndarray, found: numpy.ndarray) -> list[str]:
    """Sound is compressed with a loss, by frames that begin where the encoder likes: its loudness over time is compared."""
    if bool(wanted.size) != bool(found.size):
        return ["has sound" if found.size else "has no sound"]
    if not wanted.size:
        return []
    first, second = (_loudness(sound, len(wanted)) for sound in (wanted, found))
    return [] if numpy.abs(first - second).max() < 0.1 else ["its sound differs"]


def _loudness(sound: numpy.ndarray, length: int, steps: int = 8) -> numpy.ndarray:
    padded = numpy.zeros(length)
    mono = sound.mean(axis=1)[:length]
    padded[: len(mono)] = mono
    return numpy.array([numpy.sqrt((part**2).mean()) for part in numpy.array_split(padded, steps)])


def _brief(value: Any) -> str:
    text = str(value)
    return text if len(text) < 80 else text[:77] + "…"


def _some(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
