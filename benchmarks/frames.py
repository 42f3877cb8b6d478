"""The frame path's own cost: from the end of a frame in Blender to its publication, at 1920 x 1080, as PNG and as EXR.

    python -m benchmarks.frames [--quick]

Each figure is beside the decoding alone, which is most of it: every frame is read whole before it is published. Paired: the frame
path without a sandbox and the one with it, whose frames are copied and read by another process, in turn on one file.
"""

import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy
import OpenImageIO as oiio

from benchmarks.report import arguments, report
from brender.engines.attempt import Attempt, Place
from brender.engines.confine import Confinement, lacking
from brender.engines.frame_path import FramePath
from brender.engines.picture_reader import ChildReader
from brender.engines.pictures import verify
from brender.engines.publish import Lease
from brender.model.grant import Grant, Order

_SIZE = (1920, 1080)


class _Held(Lease):
    def holds(self, attempt: str) -> bool:
        return True

    def wait(self, attempt: str, seconds: float) -> bool:
        return True


def picture(path: Path) -> Path:
    """A picture like a render's: smooth, with a little noise."""
    width, height = _SIZE
    rows, columns = numpy.mgrid[0:height, 0:width]
    noise = numpy.random.default_rng(1).normal(0.0, 0.004, (height, width))
    pixels = numpy.stack(
        [columns / width, rows / height, (columns + rows) / (width + height), numpy.ones((height, width))], axis=2
    )
    pixels[..., :3] = pixels[..., :3] * 0.9 + 0.05 + noise[..., None]
    made = oiio.ImageBuf(oiio.ImageSpec(width, height, 4, oiio.UINT8 if path.suffix == ".png" else oiio.HALF))
    made.set_pixels(oiio.ROI(), pixels.astype(numpy.float32))
    assert made.write(str(path)), made.geterror()
    return path


def path_of(folder: Path, sandbox: bool) -> FramePath:
    order = Order(job="j" * 16, engine="blender", settings={}, output=str(folder / "show" / "out"), overwrite=True)
    grant = Grant(attempt="a" * 16, worker="w", task=1, job=order.job, parts=())
    kept = Confinement(sandbox=sandbox, roots=(folder / "show",) if sandbox else ())
    place = Place(folder / "worker", (), _Held(), confinement=kept, least_free=0)
    return FramePath(Attempt(grant, order, place, lambda event: None), ChildReader(sandbox))


def milliseconds(files: FramePath, rendered: Path, number: int) -> float:
    final = Path(files.attempt.order.output) / f"f_{number:04d}{rendered.suffix}"
    began = time.perf_counter()
    with files.stage(rendered, rendered.parent, final) as staged:
        files.look(staged, _SIZE, filled=True, small=True)
        files.publish(staged, None)
    return (time.perf_counter() - began) * 1000


def compare(kind: str, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        scratch = folder / "worker" / "session-x"
        scratch.mkdir(parents=True)
        (folder / "show").mkdir()
        original, rendered = picture(folder / f"original.{kind}"), scratch / f"frame.{kind}"
        sides = {"no sandbox": path_of(folder, False)} | ({} if lacking() else {"sandbox": path_of(folder, True)})
        spent: dict[str, list[float]] = {name: [] for name in ("decoding alone", *sides)}
        number = 0
        for round in range(-1, rounds):
            for name, files in [("decoding alone", None), *sides.items()]:
                shutil.copyfile(original, rendered)
                number += 1
                if files is None:
                    began = time.perf_counter()
                    verify(rendered, _SIZE, filled=True)
                    took = (time.perf_counter() - began) * 1000
                else:
                    took = milliseconds(files, rendered, number)
                    time.sleep(0.1)  # the small picture is made meanwhile, as while the next frame renders
                if round >= 0:
                    spent[name].append(took)
        medians: dict[str, Any] = {name: statistics.median(each) for name, each in spent.items()}
        alone = medians.pop("decoding alone")
        for name, median in medians.items():
            figure = f"frame path at 1920 x 1080, {kind.upper()}, {name}: beyond the decoding, median"
            report(figure, median - alone, "ms", f"aim: 10 ms; the decoding alone: {alone:.1f} ms", median / alone)
        for files in sides.values():
            files.reader.close()


def main() -> None:
    rounds = 9 if arguments(__doc__ or "").quick else 41
    for kind in ("png", "exr"):
        compare(kind, rounds)


if __name__ == "__main__":
    main()
