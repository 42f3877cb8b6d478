"""The job type ``video``: pictures that are there already, made into a film by Blender, with a sound file if there is one."""

from collections.abc import Collection, Mapping
from pathlib import PurePath
from typing import Any

import msgspec

from brender.jobs.blender_settings import FILM_SETTINGS, SETTINGS
from brender.jobs.copies import checked_target
from brender.jobs.declare import FILM_GROUP, WHAT, Setting, check_settings
from brender.jobs.film import extension_in, is_regular
from brender.jobs.stages import Stage, followed_by, one_stage
from brender.model.errors import BadInput
from brender.model.frames import parse_frames
from brender.model.job import COPY, FILM, FPS, JobSpec, PartPlan, Requirements, TaskPlan
from brender.model.naming import check_pattern, frame_name

#: The oldest series whose film stage was tried.
_OLDEST = (3, 4)
#: The settings that name files which travel, where the job's do.
TRAVELLING = ("pictures", "sound")
_TAKEN = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp", ".tga")
_SHARED = {each.name: each for each in SETTINGS if each.name in ("threads", "ocio", "copy_to")}
_FILM = {each.name: each for each in FILM_SETTINGS}


class Video:
    name = "video"
    label = "Film of pictures"
    engine = "blender"
    settings = (
        Setting(
            "pictures",
            str,
            "the files, as an absolute path with # for each digit of the frame number",
            required=True,
            label="Pictures",
            group=WHAT,
        ),
        Setting("frames", str, "the frames, such as 1-100", required=True, label="Frames", group=WHAT),
        Setting("sound", str, "a sound file, as an absolute path", default="", label="Sound", group=WHAT, words=(("", "none"),)),
        Setting("film", str, "the name of the film", default="film.mp4", label="Film", group=FILM_GROUP),
        _FILM["film_container"],
        _FILM["film_codec"],
        _FILM["film_quality"],
        Setting(
            "film_rate",
            int,
            "how many frames it shows in a second",
            default=int(FPS),
            lowest=1,
            highest=1000,
            label="Rate",
            unit="frames a second",
            group=FILM_GROUP,
        ),
        _SHARED["copy_to"],
        _SHARED["threads"],
        _SHARED["ocio"],
    )

    def prepare(self, spec: JobSpec) -> JobSpec:
        settings = check_settings(self.name, self.settings, spec.settings)
        if not spec.output and not spec.bundle:
            raise BadInput("The job has no output folder: give one with --output")
        _check_pictures(settings["pictures"])
        numbers = parse_frames(settings["frames"])
        check_pattern(settings["film"], "The film's name")
        warnings = list(spec.warnings)
        if settings["sound"] and not is_regular(sorted(numbers)):
            silent = f"The film {settings['film']} has no sound: its frames do not follow each other evenly"
            warnings += [silent] if silent not in warnings else []
        settings["copy_to"] = checked_target(settings["copy_to"], spec)
        return msgspec.structs.replace(spec, settings=settings, warnings=tuple(warnings))

    def task_count(self, spec: JobSpec) -> int:
        return 1 + bool(spec.settings.get("copy_to"))

    def part_count(self, spec: JobSpec) -> int:
        return self.task_count(spec)

    def task(self, spec: JobSpec, index: int) -> TaskPlan:
        last = max(parse_frames(spec.settings["frames"]))
        part = PartPlan(frame=last, output=spec.settings["film"], piece=COPY if index else FILM)
        return TaskPlan(index=index, parts=(part,))

    def may_repeat(self, spec: JobSpec) -> bool:
        return True

    def is_elastic(self, spec: JobSpec) -> bool:
        return False

    def stages(self, spec: JobSpec) -> tuple[Stage, ...]:
        return followed_by(1, "film", "copy of the film") if spec.settings.get("copy_to") else one_stage(1, "film")

    def rank(self, spec: JobSpec, index: int, measured: Mapping[int, float]) -> float:
        return 0.0

    def requirements(self, spec: JobSpec) -> Requirements:
        reads = tuple(each for each in (spec.settings["pictures"], spec.settings["sound"]) if each)
        return Requirements(job_type=self.name, tags=frozenset(spec.tags), blender=_OLDEST, reads=reads)

    def output_key(self, spec: JobSpec) -> str:
        return str(spec.settings["film"])


def to_send(given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the settings *given*, which name files of this machine, as they are once these files travel; and for each path among
    the job's files the one that is to lie there. Raises `BadInput`."""
    settings = check_settings(Video.name, Video.settings, given)
    _check_pictures(settings["pictures"])
    files = {f"pictures/{PurePath(path).name}": path for _, path in pictures_of(settings)}
    settings["pictures"] = f"pictures/{PurePath(settings['pictures']).name}"
    if sound := settings["sound"]:
        settings["sound"] = f"sound/{PurePath(sound).name}"
        files[settings["sound"]] = sound
    return settings, files


def main_of(settings: Mapping[str, Any]) -> Any:
    """Return which of the files that travel with a job with these *settings* it is about: its .blend, or the first picture of its
    film; ``None`` where it has none."""
    return pictures_of(settings)[0][1] if "pictures" in settings else settings.get("file")


def not_among(settings: Mapping[str, Any], paths: Collection[str]) -> list[str]:
    """Return the files that *settings* name of those that travel, and that are not among *paths*, the job's files.

    >>> not_among({"pictures": "p/a_#.png", "frames": "1-2", "sound": "/home/anna/a.wav"}, {"p/a_1.png", "p/a_2.png"})
    ['/home/anna/a.wav']
    """
    named = [path for _, path in pictures_of(settings)] if "pictures" in settings else []
    return [each for each in (*named, settings.get("sound")) if each and each not in paths]


def _check_pictures(pictures: str) -> None:
    """Raise `BadInput` where *pictures* names no numbered pictures that a film can be made of."""
    name = PurePath(pictures.replace("\\", "/")).name
    if "#" not in name:
        raise BadInput(f"{pictures!r} names one picture: write # for each digit of the frame number, as in shot_####.png")
    if extension_in(name) not in _TAKEN:
        raise BadInput(f"A film is made of pictures for the screen, which end with {', '.join(_TAKEN)}, not of {name!r}")


def pictures_of(settings: Mapping[str, Any]) -> list[tuple[int, str]]:
    """Return the number and the absolute path of each picture of a prepared job with these *settings*, in their order."""
    stem, extension = settings["pictures"].rsplit(".", 1)
    return [(frame, frame_name(stem, frame, f".{extension}")) for frame in sorted(parse_frames(settings["frames"]))]


JOB_TYPE = Video()
