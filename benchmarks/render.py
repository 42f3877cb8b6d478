"""Renders on a farm of one worker against Blender's own command line, the same Blender on both sides, paired in one run.

    python -m benchmarks.render [--quick] [--scene sync-heavy|sample-heavy|tiny|still]

For each Blender of this machine (the bpy package, a ``blender`` executable) and each scene (`benchmarks.make_scene`), 24 frames:

- by brender, on a farm that runs already and whose worker has no Blender open yet, from submit to the end of the job, with
  chunks of one frame, of 24, and as brender chooses;
- by one process: ``blender -b FILE -a``;
- by one process a frame: ``blender -b FILE -f N``.

A still of many samples, split into 8 pieces on 2 workers that share the CPU's threads, against the same still on one worker with
all threads, and how far the two pictures are apart.

Then, of a job of the tiny scene: how long the farm holds a frame beyond what Blender itself took, and how long from submit to
the first frame's start, with the scene open in a warm Blender and without.

The bpy package has no command line; a script that opens the file and renders the same frames stands for it.
"""

import argparse
import itertools
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy
import OpenImageIO as oiio

from benchmarks.localroles import until
from benchmarks.report import paired, report
from benchmarks.scenes import FRAMES, make_scene
from brender.api.jobspec import blender_job
from brender.bus.client import Client
from brender.commands.localfarm import FarmPlan, LocalFarm
from brender.commands.options import client
from brender.engines.blenders import search_blenders
from brender.engines.environment import clean_environment
from brender.model.nodes import Blender
from brender.store.datafolder import DataFolder

SCENES = ("sync-heavy", "sample-heavy", "tiny")
_DIRECT = """
import sys, bpy
file, out, first, last = sys.argv[-4:]
bpy.ops.wm.open_mainfile(filepath=file, load_ui=False, use_scripts=False)
scene = bpy.context.scene
scene.render.filepath = out
scene.frame_start, scene.frame_end = int(first), int(last)
bpy.ops.render.render(animation=True)
"""


def run(*words: object) -> None:
    done = subprocess.run(
        [str(word) for word in words], env=clean_environment({}), capture_output=True, stdin=subprocess.DEVNULL, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, words))} failed:\n{(done.stdout + done.stderr).decode()[-2000:]}")


def with_blender(blender: Blender, file: Path, folder: Path, first: int, last: int) -> None:
    out = folder / "direct" / "####"
    if blender.kind == "bpy":
        script = folder / "direct.py"
        script.write_text(_DIRECT)
        run(blender.path, "-I", script, file, out, first, last)
    elif first == last:
        run(blender.path, "-b", file, "-o", out, "-f", first)
    else:
        run(blender.path, "-b", file, "-o", out, "-s", first, "-e", last, "-a")


@contextmanager
def farm_of(blender: Blender, folder: Path, workers: int = 1) -> Iterator[Client]:
    data = DataFolder(folder / "data")
    plan = FarmPlan(folder=data, workers=workers, any_ports=True, with_dashboard=False, blenders=[blender.path])
    with LocalFarm(plan), client(None, data.root) as connection:
        until(lambda: sum(row["status"] == "idle" for row in connection.ask("workers")) == workers)
        yield connection


def on_the_farm(connection: Client, file: Path, folder: Path, cold: bool = True, **settings: Any) -> str:
    """Render *file*; returns the job's id. *cold*: with a Blender that is not open yet, as far as this can be had."""
    if cold:
        file.touch()  # a changed file is opened again, in a new process
    options = {"trusted": False, "overwrite": True, "name": None, "output": folder / "out", **settings}
    spec = blender_job(file, options)
    connection.submit(spec)
    record = until(lambda: (found := connection.ask("job", id=spec.id))["finished"] and found, seconds=3600.0)
    if record["status"] != "completed":
        raise SystemExit(f"the job {record['status']}: {record['reason']}")
    return spec.id


def compare(blender: Blender, scene: str, rounds: int, frames: int) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        file = make_scene(blender, scene, folder / f"{scene}.blend")
        wanted = f"1-{frames}"

        def one_process_a_frame() -> None:
            for frame in range(1, frames + 1):
                with_blender(blender, file, folder, frame, frame)

        with farm_of(blender, folder) as connection:
            sides: dict[str, Callable[[], object]] = {
                "brender": lambda: on_the_farm(connection, file, folder, frames=wanted),
                "chunks of 1": lambda: on_the_farm(connection, file, folder, frames=wanted, chunk=1),
                "one chunk": lambda: on_the_farm(connection, file, folder, frames=wanted, chunk=frames),
                "one process": lambda: with_blender(blender, file, folder, 1, frames),
                "one process a frame": one_process_a_frame,
            }
            seconds = paired(sides, rounds)
    for ours, theirs in (
        ("brender", "one process"),
        ("brender", "one process a frame"),
        ("chunks of 1", "one process"),
        ("chunks of 1", "one chunk"),
    ):
        figure = f"{frames} frames of the {scene} scene, {blender.label}: {ours}"
        report(figure, seconds[ours], "s", f"{theirs}: {seconds[theirs]:.2f} s", seconds[ours] / seconds[theirs])


def small_times(blender: Blender) -> None:
    """What the farm adds to a frame, and how soon a job starts."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        file = make_scene(blender, "tiny", folder / "tiny.blend")
        with farm_of(blender, folder) as connection:
            job = on_the_farm(connection, file, folder, frames=f"1-{FRAMES}", chunk=1)
            parts = sorted(connection.ask("parts", job=job), key=lambda part: part["finished"])
            held = [later["finished"] - earlier["finished"] - later["seconds"] for earlier, later in itertools.pairwise(parts)]
            report(f"farm's own time a frame, {blender.label}, median", statistics.median(held) * 1000, "ms", "aim: 20 ms")
            began = time.perf_counter()
            with_blender(blender, file, folder, 1, 1)
            alone = time.perf_counter() - began
            for cold in (True, False):
                spent = []
                for _ in range(3):
                    job = on_the_farm(connection, file, folder, cold=cold, frames="1")
                    (part,) = connection.ask("parts", job=job)
                    record = connection.ask("job", id=job)
                    spent.append(part["finished"] - record["submitted"] - part["seconds"])
                name = "cold" if cold else "warm"
                figure = f"submit to the first frame's start and its end's record, {name}, {blender.label}"
                report(figure, statistics.median(spent), "s", f"one frame by Blender alone: {alone:.2f} s")


def still(blender: Blender, rounds: int) -> None:
    """A split still against a whole one: time, and the largest difference in linear light."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        file = make_scene(blender, "still", folder / "still.blend")
        seconds: dict[str, float] = {}
        for name, workers, settings in (("whole", 1, {}), ("split", 2, {"pieces": 8})):
            with farm_of(blender, folder / name, workers) as connection:
                more = {"frames": "1", "format": "OPEN_EXR_MULTILAYER", "output": folder / name / "out", **settings}
                seconds |= paired({name: lambda c=connection, m=more: on_the_farm(c, file, folder, **m)}, rounds)  # type: ignore[misc]
        pictures = [oiio.ImageBuf(str(folder / name / "out" / "still_0001.exr")).get_pixels(oiio.FLOAT) for name in seconds]
        report(
            f"a still in 8 pieces on 2 workers that share the CPU, {blender.label}",
            seconds["split"],
            "s",
            f"one worker, unsplit: {seconds['whole']:.2f} s",
            seconds["split"] / seconds["whole"],
        )
        apart = float(numpy.abs(pictures[0] - pictures[1]).max())
        report(f"largest difference between the two, {blender.label}", apart, "linear light", "aim: 1e-5")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one round instead of three")
    parser.add_argument("--scene", choices=(*SCENES, "still"), help="only this one")
    parser.add_argument("--frames", type=int, default=FRAMES, help="how many frames")
    parser.add_argument("--kind", choices=("bpy", "executable"), help="only Blenders of this kind")
    options = parser.parse_args()
    rounds = 1 if options.quick else 3
    for blender in [each for each in search_blenders().found if options.kind in (None, each.kind)]:
        if options.scene in (None, "tiny"):
            small_times(blender)
        if options.scene in (None, "still"):
            still(blender, rounds)
        for scene in [each for each in SCENES if options.scene in (None, each)]:
            compare(blender, scene, rounds, options.frames)


if __name__ == "__main__":
    main()
