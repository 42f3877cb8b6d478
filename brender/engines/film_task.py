"""The film that a scene is set to write, made of its finished frames by Blender itself (inside/film.py), verified and published.

(`brender.engines.ffmpeg` makes others, by ffmpeg, for anyone who wants to see a job's frames move.)
"""

import contextlib
import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

from brender.engines.attempt import Attempt, AttemptFailed
from brender.engines.events import Cautioned
from brender.engines.frame_path import Seen, explained
from brender.engines.pictures import BadPicture, Picture
from brender.engines.rendering import Rendering, finished, make_thumbnail
from brender.jobs.film import film_request, frames_of_film, is_regular
from brender.jobs.video import pictures_of
from brender.model.grant import FurtherFile, PartGrant
from brender.model.text import plural, short_id

_PROBE_SECONDS = 600.0
#: Frames whose sizes are read at once.
_AT_ONCE = 100
#: By how much of itself the rate of a film may differ from its scene's: DV has 29.97 where the scene says 30.
_RATE_SHARE = 0.01


def make_scene_film(rendering: Rendering, part: PartGrant, folder: Path) -> None:
    """Make the film *part* of the frames in *folder*. Raises `AttemptFailed` or `AttemptStopped`."""
    attempt, files, final = rendering.attempt, rendering.files, folder / part.output
    settings = rendering.settings
    pictures = pictures_of(settings) if "pictures" in settings else frames_of_film(settings)
    frames = [(number, folder / output) for number, output in pictures]
    size = _size(rendering, frames)
    session = rendering.bare_session()
    with contextlib.ExitStack() as undo:
        undo.callback(session.close, wait=True)
        scratch = undo.enter_context(rendering.scratch(session))
        made = session.film(
            part.frame,
            file="" if "pictures" in settings else str(rendering.file),
            trusted=attempt.order.trusted,
            scene=settings.get("scene", ""),
            roots=rendering.roots(),
            frames=[[number, str(file)] for number, file in frames],
            path=str(scratch / f"film{final.suffix}"),
            size=size,
            sound=is_regular([number for number, _ in frames]),
            how=film_request(settings),
            sound_file=settings.get("sound") or "",
        )
        if made["warning"]:
            attempt.emit(Cautioned(made["warning"], subject=made["warning"]))
        if tuple(made["size"]) != size:
            raise AttemptFailed(f"The film is {made['size'][0]} x {made['size'][1]}, and its frames are {size[0]} x {size[1]}")
        waiting = []
        with explained("The film"):
            for number, file in enumerate(made["files"]):
                place = folder / _piece(part.output, number)
                waiting.append(undo.enter_context(files.stage(Path(file), session.folder, place)))
        if len(waiting) == 1:
            _probe(attempt, waiting[0].waiting, len(frames), size, made["fps"], made["sound"])
        lengths, digests = [each.size for each in waiting], [files.digest(each.descriptor) for each in waiting]
        for number, staged in reversed(list(enumerate(waiting))):  # the first file is the film: it comes last
            files.publish(staged, staged.directory.signature(staged.name) if number else rendering.found[part.id])
    attempt.log.say(f"{plural(len(frames), 'frame')}: {final}")
    further_files = tuple(
        FurtherFile(output=_piece(part.output, number), size=lengths[number], digest=digests[number])
        for number in range(1, len(lengths))
    )
    done = finished(part, made["seconds"], Seen(Picture(*size, ()), lengths[0], digests[0], lambda: None))
    attempt.emit(replace(done, further_files=further_files))
    if (first := rendering.verified(frames[0][1], None, small=True)) is not None:
        make_thumbnail(rendering, part, first)


def _size(rendering: Rendering, frames: list[tuple[int, Path]]) -> tuple[int, int]:
    """Width and height of all *frames*. Raises `AttemptFailed` where one is not there, or other than the first."""
    attempt, files = rendering.attempt, rendering.files
    found: tuple[int, int] | None = None
    for first in range(0, len(frames), _AT_ONCE):
        batch = frames[first : first + _AT_ONCE]
        attempt.check()
        with contextlib.ExitStack() as undo:
            opened = []
            for number, file in batch:
                try:
                    opened.append(undo.enter_context(files.opened(file)))
                except BadPicture as error:
                    raise _gone(attempt, number, file) from error
            sizes = files.ask("sizes", opened)["sizes"]
        for (number, file), size in zip(batch, sizes, strict=True):
            if size is None:
                raise _gone(attempt, number, file)
            found = found or (size[0], size[1])
            if (size[0], size[1]) != found:
                raise AttemptFailed(
                    f"The frame {number} is {size[0]} x {size[1]}, and the first one of the film {found[0]} x {found[1]}: "
                    f"`brender requeue {short_id(attempt.order.job)} --all` renders all again"
                )
    assert found is not None, "a job has frames"
    return found


def _gone(attempt: Attempt, number: int, file: Path) -> AttemptFailed:
    again = f"`brender requeue {short_id(attempt.order.job)} --frames {number}` renders it again"
    return AttemptFailed(f"The frame {number} of the film is gone, or cannot be read: {file}. {again}")


def _piece(output: str, number: int) -> str:
    """Return the name of file *number* of a film whose first is *output*, where its scene splits it."""
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
        raise AttemptFailed(f"The film has {plural(count, 'frame')}, and is made of {frames:,}")
    if (video.get("width"), video.get("height")) != size:
        raise AttemptFailed(f"The film is {video.get('width')} x {video.get('height')}, and its frames are {size[0]} x {size[1]}")
    above, _, below = str(video.get("r_frame_rate", "0/1")).partition("/")
    rate = int(above) / int(below or 1) if int(below or 1) else 0.0
    if abs(rate - fps) > fps * _RATE_SHARE:
        raise AttemptFailed(f"The film has {rate:g} frames a second, and the scene {fps:g}")
    if sound and not any(each.get("codec_type") == "audio" for each in told):
        raise AttemptFailed("The film has no sound, although the scene is set to write it")


def _streams(attempt: Attempt, words: list[str]) -> list[dict[str, Any]]:
    """Return what ffprobe tells of a film's streams. Raises `AttemptFailed` where it cannot read it."""
    kept = attempt.confined(words, attempt.folder)
    try:
        done = subprocess.run(kept, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PROBE_SECONDS, check=False)
        return list(json.loads(done.stdout)["streams"])
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError) as error:
        raise AttemptFailed(f"ffprobe cannot read the film: {error}") from error
