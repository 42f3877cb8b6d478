"""What people count of a job: its frames, or the pieces of a still that is split. Pure.

A job has parts. The film of all frames, and the picture that pieces are put together to, are parts too, and neither frames nor
pieces. Where a frame is finished by several steps, such as its render, denoising and copy, each of them is a part: the frame
counts once the last of them is done, and the steps are counted apart.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from brender.model.passes import passes_of
from brender.model.text import plural

#: The job type whose parts are pieces of one frame.
STILL = "blender-still"
#: That whose parts are runs of programs, and that of which the first part is a bake.
STEPS, BAKE_FIRST = "steps", "blender-bake"
#: What is counted of a job that makes a film of pictures that are there.
FILM = "film"


def steps_of(settings: Mapping[str, Any]) -> int:
    """Return how many tasks, one after the other, finish a frame of a prepared job with these *settings*: its render, and what is
    done with that.

    >>> steps_of({}), steps_of({"denoise_after": True, "copy_to": "/delivery"})
    (1, 3)
    """
    return 1 + bool(settings.get("denoise_after")) + bool(settings.get("copy_to"))


@dataclass(frozen=True)
class Units:
    """How far a job is: ``done`` of ``total`` things that are called ``noun``."""

    noun: str
    done: int
    total: int
    number: int = 0
    """Which pass over them it is in, from 1; 0 where there is one only."""
    passes: int = 0
    steps_done: int = 0
    """Where things are finished by several steps: how many of all ``steps`` of the job are done; else 0 of 0."""
    steps: int = 0

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> "Units":
        """Return how far the job of *row* is, which the server has counted."""
        passes = row.get("pass_number", 0), row.get("passes", 0)
        return cls(row["unit"], row["units_done"], row["units"], *passes, row.get("steps_done", 0), row.get("steps", 0))

    def __str__(self) -> str:
        """Return how far it is, in a few words.

        >>> str(Units("frame", 3, 24)), str(Units("frame", 1, 4, 0, 0, 5, 9)), str(Units("frame", 3, 10, 2, 8))
        ('3 of 24 frames', '1 of 4 frames, 5 of 9 steps', '3 of 10 frames, pass 2 of 8')
        >>> str(Units("film", 0, 1)), str(Units("film", 1, 1, 0, 0, 1, 2)), str(Units("film", 1, 1))
        ('film not made yet', 'film made, not copied yet', 'film made')
        """
        return f"film {self._film}" if self.noun == FILM else f"{self._count}{self._more}"

    @property
    def clause(self) -> str:
        """How far it is, as a part of a sentence.

        >>> Units("frame", 3, 10, 2, 8).clause, Units("frame", 0, 1).clause, Units("film", 0, 1).clause
        ('3 of 10 frames are done, pass 2 of 8', '0 of 1 frame is done', 'its film is not made yet')
        """
        verb = "is" if 1 in (self.done, self.total) else "are"
        return f"its film is {self._film}" if self.noun == FILM else f"{self._count} {verb} done{self._more}"

    @property
    def _count(self) -> str:
        return f"{self.done:,} of {plural(self.total, self.noun)}"

    @property
    def _film(self) -> str:
        if self.done < self.total:
            return "not made yet"
        return "made, not copied yet" if self.steps_done < self.steps else "made"

    @property
    def _more(self) -> str:
        in_pass = f", pass {self.number} of {self.passes}" if self.passes else ""
        return in_pass + (f", {self.steps_done:,} of {plural(self.steps, 'step')}" if self.steps_done < self.steps else "")


def units(is_still: bool, has_film: bool, completed: int, parts: int, passes: int = 0) -> Units:
    """Return how far a job with so many *parts* is, of which so many are *completed*. What is made of all others comes last.
    One that goes over its frames in several *passes* has a part for each frame and pass.

    >>> str(units(False, False, 3, 24)), str(units(False, True, 25, 25)), str(units(True, False, 8, 9))
    ('3 of 24 frames', '24 of 24 frames', '8 of 8 pieces')
    >>> str(units(False, False, 0, 80, 8)), str(units(False, False, 23, 80, 8)), str(units(False, False, 80, 80, 8))
    ('0 of 10 frames, pass 1 of 8', '3 of 10 frames, pass 3 of 8', '10 of 10 frames, pass 8 of 8')
    """
    if passes:
        total = max(1, parts // passes)
        number = min(passes, completed // total + 1)
        return Units("frame", completed - (number - 1) * total, total, number, passes)
    total = max(1, parts - 1) if is_still or has_film else parts
    return Units("piece" if is_still else "frame", min(completed, total), total)


@dataclass(frozen=True)
class Shape:
    """What of a job decides how its parts are counted: its type, and which steps come after a frame's render."""

    job_type: str = ""
    has_film: bool = False
    is_denoised: bool = False
    is_copied: bool = False
    passes: int = 0

    @property
    def is_in_steps(self) -> bool:
        return self.is_denoised or self.is_copied

    def frames(self, parts: int) -> int:
        """Return how many frames the job has, where it has so many *parts*, film, copies and bake among them."""
        others = self.has_film * (1 + self.is_copied) + (self.job_type == BAKE_FIRST)
        return (parts - others) // (1 + self.is_denoised + self.is_copied)


def shape_of(settings: Mapping[str, Any]) -> Shape:
    """Return the same of a prepared job with these *settings*."""
    kind = STEPS if settings.get("steps") else BAKE_FIRST if settings.get("baked") else STILL if settings.get("pieces") else ""
    steps = bool(settings.get("denoise_after")), bool(settings.get("copy_to"))
    return Shape(kind, bool(settings.get("film")), *steps, passes_of(settings))


def units_of_shape(shape: Shape, completed: int, parts: int, finished: int = 0) -> Units:
    """Return how far a job of this *shape* is. *finished*: where a frame is finished by several steps, how many frames are.

    >>> str(units_of_shape(Shape("steps"), 1, 4)), str(units_of_shape(Shape("blender-bake", has_film=True), 3, 10))
    ('1 of 4 runs', '2 of 8 frames')
    >>> denoised = Shape(has_film=True, is_denoised=True)
    >>> str(units_of_shape(denoised, 5, 9, 1)), str(units_of_shape(denoised, 9, 9, 4))
    ('1 of 4 frames, 5 of 9 steps', '4 of 4 frames')
    >>> str(units_of_shape(Shape("video", has_film=True, is_copied=True), 1, 2))
    'film made, not copied yet'
    """
    if shape.job_type == STEPS:
        return Units("run", completed, parts)
    if shape.job_type == STILL:
        pieces = max(1, parts - 1 - shape.is_copied)
        return Units("piece", min(completed, pieces), pieces)
    if shape.has_film and not shape.frames(parts):
        steps = (completed, parts) if parts > 1 else (0, 0)
        return Units(FILM, min(completed, 1), 1, 0, 0, *steps)
    if shape.is_in_steps and not shape.passes:
        return Units("frame", finished, shape.frames(parts), 0, 0, completed, parts)
    before = 1 if shape.job_type == BAKE_FIRST else 0
    return units(False, shape.has_film, max(0, completed - before), max(1, parts - before), shape.passes)


def units_of(settings: Mapping[str, Any], completed: int, parts: int, finished: int = 0) -> Units:
    """Return the same of a job with these *settings*."""
    return units_of_shape(shape_of(settings), completed, parts, finished)


def several_of(settings: Mapping[str, Any], count: int, parts: int) -> tuple[int, str]:
    """Return what *count* of all *parts* of a job with these *settings* are, as a number and its noun: steps, where a frame has
    several.

    >>> several_of({}, 3, 24), several_of({"film": "a.mp4"}, 25, 25), several_of({"denoise_after": True}, 3, 8)
    ((3, 'frame'), (24, 'frame'), (3, 'step'))
    """
    shape = shape_of(settings)
    if shape.is_in_steps and shape.job_type not in (STEPS, STILL) and not shape.passes:
        return count, "step"
    counted = units_of_shape(shape, count, parts)
    return counted.done, counted.noun


def in_words(settings: Mapping[str, Any], parts: int) -> str:
    """Return what *parts* of a job with these *settings* are, all or those that are done.

    >>> in_words({"pieces": 8}, 9), in_words({"film": "a.mp4"}, 25), in_words({}, 1), in_words({"steps": "…"}, 4)
    ('1 frame in 8 pieces', '24 frames and the film a.mp4', '1 frame', '4 runs')
    >>> in_words({"denoise_after": True, "copy_to": "/delivery", "film": "a.mp4"}, 32), in_words({"copy_to": "/delivery"}, 3)
    ('10 frames and the film a.mp4, rendered, denoised and copied', '3 steps')
    """
    if passes := passes_of(settings):
        frames, left = divmod(parts, passes)
        return plural(frames, "frame") + (f" in {passes} passes" if left == 0 else "")
    if settings.get("pieces"):
        copied = ", and a copy" if settings.get("copy_to") else ""
        return f"1 frame in {plural(max(1, parts - 1 - bool(copied)), 'piece')}{copied}"
    if settings.get("steps"):
        return plural(parts, "run")
    film = settings.get("film")
    if (steps := steps_of(settings)) > 1:
        return _in_steps(settings, parts, steps)
    if film and parts == 1:
        return f"the film {film}"
    rendered = plural(parts - bool(film) - bool(settings.get("baked")), "frame")
    return rendered + (f" and the film {film}" if film else "")


def _in_steps(settings: Mapping[str, Any], parts: int, steps: int) -> str:
    film, copied = settings.get("film"), bool(settings.get("copy_to"))
    rest = parts - bool(film) * (1 + copied) - bool(settings.get("baked"))
    frames, left = divmod(rest, steps)
    if film and (frames, left) == (0, 0):
        return f"the film {film}" + (", made and copied" if copied else "")
    if left or frames < 1:
        return plural(parts, "step")
    deeds = ["rendered", *(["denoised"] if settings.get("denoise_after") else []), *(["copied"] if copied else [])]
    said = f"{', '.join(deeds[:-1])} and {deeds[-1]}"
    return f"{plural(frames, 'frame')}{f' and the film {film}' if film else ''}, {said}"


def in_tasks(settings: Mapping[str, Any], parts: int, tasks: int) -> str:
    """Return the same, and in how many *tasks*, where the pieces do not say that.

    >>> in_tasks({"pieces": 8}, 9, 9), in_tasks({}, 24, 8)
    ('1 frame in 8 pieces', '24 frames in 8 tasks')
    """
    is_said = settings.get("pieces") or passes_of(settings)
    return in_words(settings, parts) + ("" if is_said else f" in {plural(tasks, 'task')}")
