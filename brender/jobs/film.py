"""The film that a scene writes: what it is called, and the frames that it is made of. Pure.

A scene that is set to write a movie is rendered as pictures without loss, by all workers; the last task of its job makes the film
of them, as Blender would have written it. The pictures stay, in a folder beside it.
"""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from brender.model.errors import BadInput
from brender.model.frames import parse_frames
from brender.model.job import JobSpec, SceneFacts
from brender.model.naming import EXTENSIONS, MOVIE_EXTENSIONS, check_pattern, frame_name, movie_name

#: What the pictures are written as: their depth is what the film needs (inside/film.py).
FRAMES_FORMAT = "PNG"


def writes_film(scene: SceneFacts) -> bool:
    """Whether *scene* is set to write a movie that a job can make of its frames. (Blender has not written AVI_JPEG and AVI_RAW
    since 4.2.)"""
    return scene.image_format == "FFMPEG" and scene.container in MOVIE_EXTENSIONS


def plan_film(settings: dict[str, Any], scene: SceneFacts, pattern: str) -> list[str]:
    """Set up *settings*, with its frames, for the film of *scene* that is called by *pattern*, and the pictures that it is made
    of. Returns what the job's owner should know of that. Raises `BadInput` where its name is none."""
    if scene.film_problem:
        raise BadInput(
            f"{scene.film_problem}. Choose another codec or size in the scene, or render frames alone with --format PNG"
        )
    numbers = sorted(parse_frames(settings["frames"]))
    film = movie_name(pattern, scene.container, numbers[0], numbers[-1], scene.use_extension, scene.splits_movie)
    settings["film"] = check_pattern(film)
    settings["format"] = FRAMES_FORMAT
    settings["pattern"] = pattern_of_frames(pattern, MOVIE_EXTENSIONS[scene.container])
    folder = settings["pattern"].rpartition("/")[0]
    told = [f"The film {film} is made once all frames are done; they stay in the folder {folder} beside it"]
    if not is_regular(numbers):
        told.append(f"The film {film} has no sound: its frames do not follow each other evenly")
    return told


def pattern_of_frames(pattern: str, extensions: Sequence[str]) -> str:
    """The names of the pictures that the film called by *pattern* is made of.

    >>> [pattern_of_frames(pattern, [".mp4"]) for pattern in ("movie.mp4", "out_", "a/shot_##", "")]
    ['movie_frames/movie_####', 'out_frames/out_####', 'a/shot_frames/shot_##', 'frames/####']
    """
    folder, slash, name = pattern.rpartition("/")
    for extension in extensions:
        if name.lower().endswith(extension):
            name = name[: -len(extension)]
            break
    plain = re.sub("#+", "", name).rstrip("_-. ")
    if "#" not in name:
        name = plain + ("_####" if plain else "####")
    return f"{folder}{slash}{plain}{'_' if plain else ''}frames/{name}"


def is_regular(numbers: Sequence[int]) -> bool:
    """Whether *numbers* follow each other by equal steps, so that a scene could have them as its range."""
    return len({later - number for number, later in pairwise(numbers)}) <= 1


def makes_film(spec: JobSpec) -> bool:
    """Whether the prepared job *spec* makes a film of its frames."""
    return bool(spec.settings.get("film"))


def frames_of_film(settings: dict[str, Any]) -> list[tuple[int, str]]:
    """The number and file of each frame of the film of a prepared job with these *settings*, in their order; none where it makes
    no film."""
    if not settings.get("film"):
        return []
    extension = EXTENSIONS[settings["format"]]
    return [(frame, frame_name(settings["pattern"], frame, extension)) for frame in sorted(parse_frames(settings["frames"]))]
