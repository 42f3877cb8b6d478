"""The film that a scene is set to write, made of its finished frames by Blender itself (inside/film.py), verified and published.

(`brender.engines.ffmpeg` makes others, by ffmpeg, for whoever wants to see any job's frames move.)
"""

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import OpenImageIO as oiio

from brender.engines.attempt import Attempt, AttemptFailed
from brender.engines.events import Cautioned
from brender.engines.pictures import BadPicture, Picture, verify
from brender.engines.publish import flush, signature
from brender.engines.rendering import Rendering, finished, make_thumbnail, publish_when_leased
from brender.jobs.film import frames_of_film, is_regular
from brender.model.grant import Extra, PartGrant
from brender.model.naming import temporary_name

_PROBE_SECONDS = 600.0
#: By how much of itself the rate of a film may differ from its scene's: DV has 29.97 where the scene says 30.
_RATE_SHARE = 0.01


def make_scene_film(rendering: Rendering, part: PartGrant, folder: Path) -> None:
    """Make the film *part* of the frames in *folder*. Raises `AttemptFailed` or `AttemptStopped`."""
    attempt, final = rendering.attempt, folder / part.output
    frames = [(number, folder / output) for number, output in frames_of_film(rendering.settings)]
    size = _size(attempt, frames)
    # Blender would take a # in its name for the place of a number.
    temporary = final.with_name(temporary_name(f"film{final.suffix}", attempt.grant.attempt).replace("#", ""))
    final.parent.mkdir(parents=True, exist_ok=True)
    attempt.will_leave(temporary)
    waiting: list[Path] = [temporary]
    session = rendering.bare_session()
    try:
        made = session.film(
            part.frame,
            file=str(rendering.file),
            trusted=attempt.order.trusted,
            scene=rendering.settings["scene"],
            roots=rendering.roots(),
            frames=[[number, str(file)] for number, file in frames],
            path=str(temporary),
            size=size,
            sound=is_regular([number for number, _ in frames]),
        )
        waiting = [Path(each) for each in made["files"]]
        if made["warning"]:
            attempt.emit(Cautioned(made["warning"], subject=made["warning"]))
        if tuple(made["size"]) != size:
            raise AttemptFailed(f"The film is {made['size'][0]} x {made['size'][1]}, and its frames are {size[0]} x {size[1]}")
        if len(waiting) == 1:
            _probe(attempt, temporary, len(frames), size, made["fps"], made["sound"])
        done = finished(part, made["seconds"], waiting[0].stat().st_size, Picture(*size, ()), 0)
        extras: list[Extra] = []
        for number, each in reversed(list(enumerate(waiting))):  # the first file is the film: it comes last
            flush(each)
            name = _piece(part.output, number)
            if number:
                extras.insert(0, Extra(output=name, size=each.stat().st_size))
            before = signature(folder / name) if number else rendering.found[part.id]
            publish_when_leased(attempt, each, folder / name, before)
    finally:
        session.close(wait=True)
        for each in waiting:
            each.unlink(missing_ok=True)
    attempt.log.say(f"{len(frames)} frames make {final}")
    attempt.emit(replace(done, extras=tuple(extras)))
    make_thumbnail(rendering, part, _first_picture(frames[0][1]))


def _size(attempt: Attempt, frames: list[tuple[int, Path]]) -> tuple[int, int]:
    """Width and height of all *frames*. Raises `AttemptFailed` where one is not there, or other than the first."""
    found: tuple[int, int] | None = None
    for number, file in frames:
        attempt.check()
        opened = oiio.ImageInput.open(str(file)) if file.exists() else None
        if opened is None:
            oiio.geterror()
            again = f"`brender requeue {attempt.order.job} --frames {number}` renders it again"
            raise AttemptFailed(f"The frame {number} of the film is gone, or cannot be read: {file}. {again}")
        spec = opened.spec()
        opened.close()
        found = found or (spec.width, spec.height)
        if (spec.width, spec.height) != found:
            raise AttemptFailed(
                f"The frame {number} is {spec.width} x {spec.height}, and the first one of the film {found[0]} x {found[1]}: "
                f"`brender requeue {attempt.order.job} --all` renders all again"
            )
    assert found is not None, "a job has frames"
    return found


def _piece(output: str, number: int) -> str:
    """The name of file *number* of a film whose first is *output*, where its scene splits it."""
    before, mark, after = output.rpartition("_000")
    return f"{before}_{number:03d}{after}" if mark and number else output


def _probe(attempt: Attempt, film: Path, frames: int, size: tuple[int, int], fps: float, sound: bool) -> None:
    """See by ffprobe, where it is installed, that *film* is what it should be. Raises `AttemptFailed`."""
    ffprobe = shutil.which("ffprobe")
    if ffprobe is None:
        return
    told = _streams(attempt, [ffprobe, "-v", "error", "-count_packets", "-show_streams", "-of", "json", str(film)])
    video = next((each for each in told if each.get("codec_type") == "video"), None)
    if video is None:
        raise AttemptFailed("The film has no picture")
    count = int(video.get("nb_read_packets", 0))
    if count != frames:  # some codecs have several packets a frame: then all is decoded
        counted = _streams(
            attempt,
            [ffprobe, "-v", "error", "-select_streams", "v:0", "-count_frames", "-show_streams", "-of", "json", str(film)],
        )
        count = int(counted[0].get("nb_read_frames", 0)) if counted else 0
    if count != frames:
        raise AttemptFailed(f"The film has {count} frames, where {frames} were written")
    if (video.get("width"), video.get("height")) != size:
        raise AttemptFailed(f"The film is {video.get('width')} x {video.get('height')}, and its frames are {size[0]} x {size[1]}")
    above, _, below = str(video.get("r_frame_rate", "0/1")).partition("/")
    rate = int(above) / int(below or 1) if int(below or 1) else 0.0
    if abs(rate - fps) > fps * _RATE_SHARE:
        raise AttemptFailed(f"The film has {rate:g} frames a second, where the scene has {fps:g}")
    if sound and not any(each.get("codec_type") == "audio" for each in told):
        raise AttemptFailed("The film has no sound, where the scene is set to write it")


def _streams(attempt: Attempt, words: list[str]) -> list[dict[str, Any]]:
    """What ffprobe tells of a film's streams. Raises `AttemptFailed` where it cannot read it."""
    kept = attempt.confined(words, attempt.folder)
    try:
        done = subprocess.run(kept, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PROBE_SECONDS, check=False)
        return list(json.loads(done.stdout)["streams"])
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError) as error:
        raise AttemptFailed(f"ffprobe cannot read the film: {error}") from error


def _first_picture(file: Path) -> Any:
    try:
        return verify(file, None).image
    except BadPicture:
        return None
