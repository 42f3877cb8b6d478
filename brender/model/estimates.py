"""How long a job will probably take, by what earlier jobs like it took. Pure.

An answer is given only where the record bears it: by earlier jobs of the same file, or by several of the same project that are
comparable, and only where those do not differ too much from each other.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from statistics import median, quantiles
from typing import Any

#: How many jobs of a project, other than of the same file, are needed; and how far a job may be from another, as a factor of the
#: work, to be compared with it.
_FEWEST, _FARTHEST = 3, 4.0
#: The same for an earlier job of one frame, such as a test frame: loading the scene is much of what it took.
_FARTHEST_OF_ONE = 1.5
#: Where the slow ones take so many times as long as the fast ones nothing is said.
_TOO_WIDE = 20.0


@dataclass(frozen=True)
class Work:
    """What decides how long a frame of a job takes: its file and scene, its engine, the pixels of a frame (1 where that is not
    known), the samples a pixel (``None``: not known)."""

    file: str
    scene: str
    engine: str
    pixels: float
    samples: int | None


@dataclass(frozen=True)
class Shot:
    """An earlier job: its work, the seconds of machines that each of its frames took, and how many these were (0: several)."""

    work: Work
    seconds: float
    frames: int = 0


@dataclass(frozen=True)
class Estimate:
    """Seconds until a job is done where nothing else is rendered: probably ``seconds``, mostly between ``least`` and ``most``.

    ``shots`` are the earlier jobs that it is made from, and ``same_file`` says whether those were of the same file,
    ``one_frame`` whether each had one frame only, as test frames have.
    """

    seconds: float
    least: float
    most: float
    shots: int
    same_file: bool
    one_frame: bool


def work_of(settings: dict[str, Any], facts: dict[str, Any] | None) -> Work:
    """Return the work of a prepared job by its *settings* and the *facts* of its file, both as plain data."""
    # Of an upload the file has another folder each time.
    file = str(settings.get("file") or " ".join(map(str, (settings.get("program"), *settings.get("arguments", ())))))
    name = PurePosixPath(file.replace("\\", "/")).name if settings.get("file") else file
    scene = next((each for each in (facts or {}).get("scenes", ()) if each["name"] == settings.get("scene")), None)
    if scene is None:
        return Work(name, "", "", 1.0, None)
    share = (settings.get("resolution") or scene["percent"]) / 100
    left, right, lower, upper = scene.get("border") or (0.0, 1.0, 0.0, 1.0)
    pixels = scene["width"] * share * scene["height"] * share * (right - left) * (upper - lower)
    engine = str(settings.get("engine") or scene["engine"])
    samples = settings.get("samples") or (scene.get("samples") if not settings.get("engine") else None)
    return Work(name, scene["name"], engine, max(1.0, pixels), samples)


def estimate(work: Work, frames: int, at_once: int, shots: Iterable[Shot]) -> Estimate | None:
    """Return how long *frames* with this *work* take where *at_once* of them are rendered at a time; ``None`` where the earlier
    *shots* do not tell."""
    if frames < 1 or at_once < 1:
        return None
    comparable = [(shot, factor) for shot in shots if (factor := _factor(work, shot)) is not None]
    same = [(shot, factor) for shot, factor in comparable if _is_same(work, shot.work)]
    taken = same or comparable
    others = [shot.seconds * factor for shot, factor in comparable]
    found = [shot.seconds * factor for shot, factor in same] or (others if len(others) >= _FEWEST and work.engine else [])
    if not found:
        return None
    low, _, high = quantiles(found, n=4, method="inclusive") if len(found) > 1 else found * 3
    if low <= 0 or high > low * _TOO_WIDE:
        return None
    rounds = max(frames / at_once, 1.0)
    return Estimate(
        median(found) * rounds, low * rounds, high * rounds, len(found), bool(same), all(shot.frames == 1 for shot, _ in taken)
    )


def _is_same(work: Work, other: Work) -> bool:
    return (work.file, work.scene) == (other.file, other.scene)


def _factor(work: Work, shot: Shot) -> float | None:
    """How many times as much *work* is as that of *shot*; ``None`` where the two cannot be compared."""
    other = shot.work
    if work.engine != other.engine or (not work.engine and not _is_same(work, other)):
        return None
    factor = work.pixels / other.pixels
    if work.samples and other.samples:
        factor *= work.samples / other.samples
    elif work.samples != other.samples or (not work.samples and not _is_same(work, other)):
        return None
    farthest = _FARTHEST_OF_ONE if shot.frames == 1 else _FARTHEST
    return factor if 1 / farthest <= factor <= farthest else None
