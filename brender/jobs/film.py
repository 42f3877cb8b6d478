"""The film that a scene writes: what it is called, and the frames that it is made of. Pure.

A scene that is set to write a movie is rendered as pictures without loss, by all workers; the last task of its job makes the film
of them, as Blender would have written it. The pictures stay, in a folder beside it.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import msgspec

from brender.model.errors import BadInput
from brender.model.frames import format_frames, parse_frames
from brender.model.job import JobSpec, SceneFacts
from brender.model.naming import (
    EXTENSIONS,
    MOVIE_EXTENSIONS,
    check_pattern,
    frame_name,
    is_folder_of,
    is_frame_name,
    movie_name,
    with_range,
)

#: What the pictures are written as: their depth is what the film needs (inside/film.py).
FRAMES_FORMAT = "PNG"


#: Where a film's name says what it is written into; and the codec that each container is made for, where that is not H.264.
_BY_EXTENSION = {".mp4": "MPEG4", ".mkv": "MKV", ".mov": "QUICKTIME", ".webm": "WEBM", ".ogv": "OGG", ".avi": "AVI"}
_OWN_CODEC = {"WEBM": "WEBM", "OGG": "THEORA"}


def as_film(scene: SceneFacts, settings: Mapping[str, Any]) -> SceneFacts:
    """Return *scene* as it is for a job with these *settings*: set to write a movie, where they name a film or say how it is
    written. What they say goes before what the scene is set to."""
    name, container = settings.get("film") or "", settings.get("film_container")
    chosen = container or settings.get("film_codec") or settings.get("film_quality")
    if not (name or chosen) or settings.get("film") == "" or (writes_film(scene) and not chosen):
        return scene
    known = container or (scene.container if writes_film(scene) else _BY_EXTENSION.get(extension_in(name), "MPEG4"))
    # (Whether this Blender can write it so is seen before the first frame is rendered.)
    return msgspec.structs.replace(scene, image_format="FFMPEG", container=known, film_problem="")


def extension_in(name: str) -> str:
    """Return the extension of the file *name*, in small letters.

    >>> extension_in("a/Shot.MP4"), extension_in("a.b/shot")
    ('.mp4', '')
    """
    _, dot, extension = name.rpartition("/")[2].rpartition(".")
    return f".{extension.lower()}" if dot else ""


def film_request(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return how the film of a prepared job with these *settings* is written, for the driver (inside/film.py): each ``None`` as
    its scene has it. Where that is not set to write a movie, what is under ``otherwise`` holds."""
    how = {name: settings.get(f"film_{name}") for name in ("container", "codec", "quality", "rate", "sound")}
    container = how["container"] or _BY_EXTENSION.get(extension_in(settings.get("film") or ""), "MPEG4")
    if how["container"] in _OWN_CODEC:
        how["codec"] = how["codec"] or _OWN_CODEC[container]
    return how | {"otherwise": {"container": container, "codec": _OWN_CODEC.get(container, "H264"), "quality": "HIGH"}}


def writes_film(scene: SceneFacts) -> bool:
    """Return whether *scene* is set to write a movie that a job can make of its frames. (Blender has not written AVI_JPEG
    and AVI_RAW since 4.2.)"""
    return scene.image_format == "FFMPEG" and scene.container in MOVIE_EXTENSIONS


def plan_film(settings: dict[str, Any], scene: SceneFacts, pattern: str) -> list[str]:
    """Set up *settings*, with its frames, for the film of *scene*, and the pictures that it is made of. It is called as they say,
    or else by *pattern*, which is theirs or the scene's own. Returns what the job's owner should know of that. Raises `BadInput`
    where no film can be made."""
    numbers = sorted(parse_frames(settings["frames"]))
    told: list[str] = []
    if not settings["film"]:
        chosen = settings["pattern"] is not None
        settings["film"], told = _name_film(pattern, scene, numbers, chosen)
        check_pattern(settings["film"], "The film's name", own=not chosen)
    settings["format"] = FRAMES_FORMAT
    settings["pattern"] = pattern_of_frames(pattern, MOVIE_EXTENSIONS[scene.container])
    film, folder = settings["film"], settings["pattern"].rpartition("/")[0]
    told.insert(0, f"The film {film} is made once all frames are done; they stay in the folder {folder} beside it")
    if not is_regular(numbers):
        told.append(f"The film {film} has no sound: its frames do not follow each other evenly")
    return told


def name_of_asked(scene: SceneFacts, numbers: Sequence[int], path: str) -> str:
    """Return what the film of the frames *numbers* is called that a job asks for without a name: as its file *path*."""
    stem = path.replace("\\", "/").rpartition("/")[2].removesuffix(".blend") or "film"
    return with_range(f"{stem}_", min(numbers), max(numbers)) + MOVIE_EXTENSIONS[scene.container][0]


def check_film(settings: dict[str, Any], scene: SceneFacts, path: str) -> None:
    """Check the film of *scene*, in the file *path*, that *settings* name, which are filled in otherwise. Raises `BadInput` where
    none can be made, or its name is that of a frame's file or leads out of the job's folder."""
    film, pattern = settings["film"], settings["pattern"]
    if not writes_film(scene):
        raise BadInput(
            f"{path}: the scene {scene.name!r} is set to write {scene.image_format}, so no film {film!r} can be made of its "
            "frames. Set it to write a movie in Blender (Output properties, FFmpeg Video), or leave the setting 'film' out"
        )
    if scene.film_problem:
        raise BadInput(
            f"{scene.film_problem}. Choose another codec or size in the scene, or render frames alone with --format PNG"
        )
    if settings["format"] != FRAMES_FORMAT:
        raise BadInput(f"A film is made of {FRAMES_FORMAT} files, not of {settings['format']}: leave the format or the film out")
    check_pattern(film, "The film's name")
    extension = EXTENSIONS[FRAMES_FORMAT]
    if film.strip("./\\ ") == "" or is_frame_name(film, pattern, extension) or is_folder_of(film, pattern):
        raise BadInput(
            f"The film's name {film!r} is that of a frame's file, or of a folder of frames ({pattern}): give it another, such as "
            "movie.mp4"
        )


def _name_film(pattern: str, scene: SceneFacts, numbers: list[int], chosen: bool) -> tuple[str, list[str]]:
    """Return what the film of the frames *numbers* is called by *pattern*, and what is to be said of that: the film of all
    frames is never replaced by one of others, unless its name was *chosen* for this job."""
    own = range(scene.first, scene.last + 1, max(1, scene.step))
    whole = _as_blender(pattern, scene, scene.first, scene.last)
    if len(numbers) == len(own) and numbers == list(own):
        return whole, []
    film = _as_blender(pattern, scene, numbers[0], numbers[-1])
    if film != whole:
        return film, []
    step = f"x{own.step}" if own.step > 1 else ""
    theirs = f"{format_frames(numbers)}, and not all of the scene's own ({scene.first}-{scene.last}{step})"
    if chosen:
        return film, [f"The film {film} has the frames {theirs}: it replaces a film of that name"]
    film = _as_blender(_told_apart(pattern, scene, numbers), scene, numbers[0], numbers[-1])
    return film, [f"The film is called {film}, and not {whole} as by Blender: it has the frames {theirs}"]


def _as_blender(pattern: str, scene: SceneFacts, first: int, last: int) -> str:
    return movie_name(pattern, scene.container, first, last, scene.use_extension, scene.splits_movie)


def _told_apart(pattern: str, scene: SceneFacts, numbers: list[int]) -> str:
    """Return *pattern* with the frames *numbers* in it, where it does not name them by itself, or only the first and the last."""
    extensions = MOVIE_EXTENSIONS[scene.container]
    step = numbers[1] - numbers[0] if len(numbers) > 1 else 1
    more = (f"x{step}" if step > 1 else "") if is_regular(numbers) else f"_{len(numbers)}-frames"
    stem, extension = without_extension(pattern, extensions)
    if extension or not scene.use_extension:
        mark = "" if "#" in stem.rpartition("/")[2] else "_"
        return with_range(stem + mark, numbers[0], numbers[-1], more) + extension
    folder, slash, name = pattern.rpartition("/")
    head, marks, tail = name.rpartition("#")
    return f"{folder}{slash}{head}{marks}{more}{tail}" if marks else f"{pattern}####{more}"


def pattern_of_frames(pattern: str, extensions: Sequence[str]) -> str:
    """Return the names of the pictures that the film called by *pattern* is made of: other ones for each.

    >>> [pattern_of_frames(pattern, [".mp4"]) for pattern in ("movie.mp4", "movie_.mp4", "out_", "a/shot_##", "")]
    ['movie_frames/movie_####', 'movie__frames/movie__####', 'out__frames/out_####', 'a/shot__frames/shot_##', 'frames/####']
    """
    stem, extension = without_extension(pattern, extensions)
    folder, slash, name = stem.rpartition("/")
    plain = name.replace("#", "")
    if extension:
        name += "_####"
    elif "#" not in name:
        name += "####"
    return f"{folder}{slash}{plain}{'_' if plain else ''}frames/{name}"


def without_extension(pattern: str, extensions: Sequence[str]) -> tuple[str, str]:
    """Return *pattern* up to that of *extensions* which it ends with, and from there on."""
    for extension in extensions:
        if pattern.lower().endswith(extension):
            return pattern[: -len(extension)], pattern[-len(extension) :]
    return pattern, ""


def is_regular(numbers: Sequence[int]) -> bool:
    """Return whether *numbers* follow each other by equal steps, so that a scene could have them as its range."""
    return len({later - number for number, later in pairwise(numbers)}) <= 1


def makes_film(spec: JobSpec) -> bool:
    """Return whether the prepared job *spec* makes a film of its frames."""
    return bool(spec.settings.get("film"))


def frames_of_film(settings: dict[str, Any]) -> list[tuple[int, str]]:
    """Return the number and file of each frame of the film of a prepared job with these *settings*, in their order; none
    where it makes no film."""
    if not settings.get("film"):
        return []
    extension = EXTENSIONS[settings["format"]]
    return [(frame, frame_name(settings["pattern"], frame, extension)) for frame in sorted(parse_frames(settings["frames"]))]
