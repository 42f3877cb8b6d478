"""Films of finished frames, made by ffmpeg (https://ffmpeg.org/ffmpeg.html) where it is installed."""

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

import OpenImageIO as oiio

from brender.engines.pictures import BadPicture, displayed
from brender.model.errors import BadInput, NotFound

_FPS_MOST = 240.0
_END_SECONDS = 600.0


def make_film(frames: Iterable[Path], fps: float, target: Path, width: int = 0) -> int:
    """Write the pictures *frames*, in their order and as screens show them, to *target* as an H.264 film of *fps* frames a
    second, all as large as the first, *width* pixels wide at most (0: any); returns how many.

    Raises `NotFound` where there is no ffmpeg, `BadInput` if a frame cannot be read, there are no frames, or ffmpeg fails.
    """
    if not 0 < fps <= _FPS_MOST:
        raise BadInput(f"A film has more than 0 and up to {_FPS_MOST:.0f} frames a second, not {fps:g}")
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        raise NotFound("There is no ffmpeg on this machine, and films need it (on Debian: apt-get install ffmpeg)")
    coming = iter(frames)
    first = next(coming, None)
    if first is None:
        raise BadInput("There are no frames to make a film of")
    image = _shown(first, width)
    count = 0
    size = (image.spec().width, image.spec().height)
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(
            _words(ffmpeg, size, fps, target), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=said
        ) as encoder,
    ):
        try:
            assert encoder.stdin is not None
            with contextlib.suppress(BrokenPipeError):  # what it said tells why
                for path in chain([first], coming):
                    encoder.stdin.write(_pixels(_shown(path, size[0]), size))
                    count += 1
                encoder.stdin.close()
            encoder.wait(_END_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise BadInput(f"ffmpeg did not end within {_END_SECONDS:.0f} seconds") from error
        finally:
            encoder.kill()
        said.seek(0)
        if encoder.returncode or not target.exists():
            raise BadInput(f"ffmpeg could not make the film: {said.read().decode(errors='replace').strip()[-300:]}")
    return count


def _words(ffmpeg: str, size: tuple[int, int], fps: float, target: Path) -> list[str]:
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{size[0]}x{size[1]}", "-r", f"{fps:g}", "-i", "pipe:0"]
    # What players everywhere show: 4:2:0, of even width and height, in the colors that high definition has.
    even = "scale=out_color_matrix=bt709:out_range=tv,pad=ceil(iw/2)*2:ceil(ih/2)*2"
    how = ["-c:v", "libx264", "-crf", "18", "-pix_fmt", "yuv420p", "-vf", even, "-movflags", "+faststart"]
    colors = ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"]
    return [ffmpeg, "-loglevel", "error", "-y", *raw, *how, *colors, str(target)]


def _shown(path: Path, width: int) -> Any:
    try:
        return displayed(path, width)
    except BadPicture as error:
        raise BadInput(f"{path.name} cannot be used in a film: {error}") from error


def _pixels(image: Any, size: tuple[int, int]) -> bytes:
    """Return the rows of *image*, made as large as the others."""
    if (image.spec().width, image.spec().height) != size:
        image = oiio.ImageBufAlgo.fit(image, "", 0.0, "letterbox", False, oiio.ROI(0, size[0], 0, size[1], 0, 1, 0, 3))
    return bytes(image.get_pixels(oiio.UINT8).tobytes())
