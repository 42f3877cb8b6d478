"""How soon a shot is watchable that is refined pass by pass, and what that costs: on two workers, against a plain job.

    python -m benchmarks.progressive [--quick] [--frames 48]

Each job is rendered by a farm of its own on this machine, to linear OpenEXR: as it is, and refined in passes; and the same with
adaptive sampling, which is drafted first, with two noise thresholds. Half of Blender's own makes frames about half as
heavy as those that are refined. Blender's own makes light frames: a seventh of their time is no sampling, and each pass takes
that time again. The report gives the seconds until every frame is there, and until all is done, each relative to the whole plain
job; and the largest difference of the final pictures.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import OpenImageIO as oiio

from benchmarks.report import report
from benchmarks.scenes import make_scene
from brender.bus.client import Client
from brender.commands.localfarm import FarmPlan, LocalFarm
from brender.commands.options import client
from brender.engines.blenders import own_bpy
from brender.engines.command_line import script_in
from brender.engines.environment import clean_environment
from brender.model.nodes import Blender
from brender.store.datafolder import DataFolder

_MAIN = [sys.executable, "-P", "-m", "brender.commands.main"]
_WORKERS = 2
_ADAPTIVE = """
import bpy, sys
bpy.ops.wm.open_mainfile(filepath=sys.argv[-2])
bpy.context.scene.cycles.use_adaptive_sampling = True
bpy.context.scene.cycles.adaptive_threshold = float(sys.argv[-3])
bpy.ops.wm.save_as_mainfile(filepath=sys.argv[-1], copy=True)
"""


@dataclass(frozen=True)
class Shot:
    """What is rendered: so many *frames* of *file*, with so many *samples* a pixel."""

    file: Path
    frames: int
    samples: int


def render(shot: Shot, output: Path, connection: Client, data: str, *options: str) -> tuple[float, float]:
    """Render *shot* to *output*; seconds from its submission until every frame was there, and until all was done."""
    frames = ["--frames", f"1-{shot.frames}", "--samples", str(shot.samples)]
    words = [str(shot.file), *frames, "--format", "OPEN_EXR", "--output", str(output), "--data", data, *options]
    subprocess.run([*_MAIN, "submit", *words], check=True, capture_output=True)
    there = 0.0
    while True:
        job: dict[str, Any] = connection.ask("job", id=connection.ask("jobs")[0]["id"])
        if not there and len(list(output.glob("*.exr"))) >= shot.frames:
            there = time.time() - job["submitted"]
        if job["status"] in ("completed", "failed", "canceled"):
            break
        time.sleep(0.1)
    if job["status"] != "completed":
        raise SystemExit(f"The job is {job['status']}: {job['reason']}")
    return there, float(job["finished"] - job["submitted"])


def compare(shot: Shot, folder: Path, name: str) -> None:
    """Render *shot* as it is, and refined, and report both; *name* is what the refined one is called."""
    taken = {}
    for kind, options in (("plain", ()), ("refined", ("--progressive",))):
        with tempfile.TemporaryDirectory() as data:
            plan = FarmPlan(DataFolder(Path(data) / "farm"), workers=_WORKERS, threads=1, any_ports=True, with_dashboard=False)
            with LocalFarm(plan) as farm, client(None, farm.folder.root) as connection:
                while len(connection.ask("workers")) < _WORKERS:
                    time.sleep(0.1)
                taken[kind] = render(shot, folder / f"{name}-{kind}", connection, str(farm.folder.root), *options)
    whole = taken["plain"][1]
    report(f"{shot.frames} frames on {_WORKERS} workers, plain", whole, "s")
    there, done = taken["refined"]
    report(f"{name}: every frame is there", there, "s", "plain", there / whole)
    report(f"{name}: all is done", done, "s", "plain", done / whole)
    worst = 0.0
    for plain in sorted((folder / f"{name}-plain").glob("*.exr")):
        pair = [oiio.ImageBuf(str(each)).get_pixels(oiio.FLOAT) for each in (plain, folder / f"{name}-refined" / plain.name)]
        worst = max(worst, float(numpy.abs(pair[0] - pair[1]).max()))
    report(f"{name}: largest difference in the end", worst, "")


def adaptive(blender: Blender, file: Path, threshold: float) -> Path:
    """Return a copy of the scene *file* that samples adaptively, to the noise *threshold*."""
    script, other = file.with_suffix(".py"), file.with_name(f"adaptive_{threshold}_{file.name}")
    script.write_text(_ADAPTIVE)
    words = [*script_in(blender, script), "--", str(threshold), str(file), str(other)]
    subprocess.run(words, env=clean_environment({}), check=True, capture_output=True, stdin=subprocess.DEVNULL)
    return other


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a short run: enough to see that it works")
    parser.add_argument("--frames", type=int, default=16, help="how many frames")
    options = parser.parse_args()
    frames, samples = (6, 64) if options.quick else (options.frames, 768)
    blender = own_bpy()
    if blender is None:
        raise SystemExit("the bpy package is needed: pip install 'brender[blender]'")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = make_scene(blender, "still", folder / "shot.blend")
        compare(Shot(file, frames, samples), folder, "refined")
        compare(Shot(adaptive(blender, file, 0.005), frames, samples), folder, "drafted")
        compare(Shot(adaptive(blender, file, 0.01), frames, samples), folder, "drafted, light frames")


if __name__ == "__main__":
    main()
