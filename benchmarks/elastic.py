"""Seconds from a queue of 100 frames to its first frame, where `brender scale` has no worker yet: from a worker that it starts as
a process of this machine, and from one that it starts as a job of Slurm.

    python -m benchmarks.elastic [--quick]

`brender scale` runs, and looks every second. Slurm is one of its own on this machine (tests.slurm), with both processors free.
The job renders a tiny scene with the bpy package; what brender and Blender take to start is part of the figure.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.localroles import until
from benchmarks.report import arguments, report
from benchmarks.scenes import make_scene
from brender.bus.client import Client
from brender.commands.localfarm import FarmPlan, LocalFarm
from brender.commands.options import client
from brender.engines.blenders import own_bpy
from brender.store.datafolder import DataFolder
from tests.slurm import Slurm

_MAIN = [sys.executable, "-P", "-m", "brender.commands.main"]


def first_frame(farm: LocalFarm, connection: Client, provider: str, scene: Path, number: int, env: dict[str, str]) -> float:
    """Submit 100 frames while `brender scale` keeps workers of *provider*, of which there are none; seconds until the first frame
    is recorded."""
    data = str(farm.folder.root)
    scale = [*_MAIN, "scale", "--provider", provider, "--data", data]
    output = farm.folder.root.parent / f"frames-{provider}-{number}"
    submit = [*_MAIN, "submit", str(scene), "--frames", "1-100", "--output", str(output), "--data", data]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    scaling = subprocess.Popen([*scale, "--most", "2", "--every", "1s", "--worker-option=--threads=1"], env=env, **quiet)
    try:
        time.sleep(3)  # it runs, as it does all day
        subprocess.run(submit, env=env, check=True, capture_output=True)
        job = connection.ask("jobs")[0]
        until(lambda: connection.ask("job", id=job["id"])["completed_parts"] > 0, look=0.05)
        first = time.time()
        connection.act("cancel", job["id"])
    finally:
        scaling.terminate()
        scaling.wait()

    def is_clear() -> bool:
        subprocess.run([*scale, "--most", "0", "--once"], env=env, check=True, capture_output=True)
        return not connection.ask("workers")

    until(is_clear)
    return float(first - job["submitted"])


def main() -> None:
    rounds = 1 if arguments(__doc__.splitlines()[0]).quick else 5
    blender = own_bpy()
    if blender is None:
        raise SystemExit("the bpy package is needed: pip install 'brender[blender]'")
    if Slurm.is_missing():
        raise SystemExit("Slurm is needed (Debian: slurm-wlm and munge)")
    slurm = Slurm()
    env = os.environ | {"SLURM_CONF": str(slurm.configuration)}
    try:
        with tempfile.TemporaryDirectory() as folder:
            scene = make_scene(blender, "tiny", Path(folder) / "tiny.blend")
            plan = FarmPlan(DataFolder(Path(folder) / "data"), workers=0, any_ports=True, with_dashboard=False)
            with LocalFarm(plan) as farm, client(None, farm.folder.root) as connection:
                taken: dict[str, list[float]] = {"local": [], "slurm": []}
                for number in range(rounds):
                    for provider, seconds in taken.items():
                        seconds.append(first_frame(farm, connection, provider, scene, number, env))
    finally:
        slurm.end()
    local, by_slurm = (statistics.median(taken[name]) for name in ("local", "slurm"))
    report("100 frames queued to the first frame, worker started as a process", local, "s")
    report("100 frames queued to the first frame, worker started by Slurm", by_slurm, "s", "as a process", by_slurm / local)


if __name__ == "__main__":
    main()
