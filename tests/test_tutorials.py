"""What a tutorial says is done as it stands there, by its own command lines."""

import contextlib
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from brender.commands.farm import make_demo
from brender.model.nodes import Blender
from tests.test_documentation import ROOT, code
from tests.tools import line_of, terminate, until

pytestmark = pytest.mark.thorough
THREE_MACHINES = ROOT / "docs" / "tutorials" / "three_machines.rst"
#: What is otherwise on this machine: other tests use the usual ports at the same time, and the demo's frames are many and large.
INSTEAD = {"--listen 0.0.0.0": "--port-base 0", "submit shot.blend": "submit shot.blend --frames 1-2 --resolution 5 --samples 1"}


def lines_of(page: Path) -> list[str]:
    """The command lines of *page* in their order, without what is said about them."""
    found = [line.strip() for line in code(page.read_text("utf-8").splitlines()) if line.strip().startswith("$ ")]
    return [line.removeprefix("$ ").partition("  #")[0].strip() for line in found]


def started(line: str, at: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    for said, done in INSTEAD.items():
        line = line.replace(said, done)
    program, *words = shlex.split(line)
    if program != "brender":
        words = ["role", program.removeprefix("brender-"), *words]
    command = [sys.executable, "-m", "brender.commands.main", *words]
    return subprocess.Popen(command, cwd=at, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def printed(line: str, at: Path, environment: dict[str, str]) -> str:
    process = started(line, at, environment)
    try:
        said = process.communicate(timeout=60)[0].decode()
    except subprocess.TimeoutExpired:
        process.kill()
        pytest.fail(f"{line} does not end; it has said: {process.communicate()[0].decode()}")
    assert process.returncode == 0, said
    return said


@contextlib.contextmanager
def role(line: str, at: Path, environment: dict[str, str], until_it_says: str) -> Iterator[None]:
    process = started(line, at, environment)
    try:
        line_of(process, until_it_says)
        yield
    finally:
        terminate(process)


def test_a_farm_of_three_machines_comes_about_as_the_tutorial_says(bpy: Blender, tmp_path: Path) -> None:
    lines = lines_of(THREE_MACHINES)
    make_demo(tmp_path / "shot.blend", (bpy.path,))
    server = os.environ | {"BRENDER_DATA": str(tmp_path / "server"), "BRENDER_BLENDER": bpy.path}
    anna = os.environ | {"BRENDER_DATA": str(tmp_path / "anna")}

    def with_start(start: str) -> Iterator[str]:
        return (line for line in lines if line.startswith(start))

    def token(line: str) -> str:
        return next(word for word in printed(line, tmp_path, server).split() if word.startswith("brender-"))

    with contextlib.ExitStack() as farm:
        for program in ("brender-server", "brender-manager"):
            farm.enter_context(role(next(with_start(program)), tmp_path, server, "listens on"))
        farm.enter_context(role(next(with_start("brender-dashboard")), tmp_path, server, "makes the first admin"))
        joining = token(next(with_start("brender token create --role worker")))
        for line in [each for each in with_start("brender-worker --join") if "--data" in each]:
            line = line.replace("TOKEN", joining).replace("/tmp/", f"{tmp_path}/")
            farm.enter_context(role(line, tmp_path, server, "joined the manager"))
        assert until(lambda: printed(next(with_start("brender workers")), tmp_path, server).count("idle") == 2)

        said = printed(next(with_start("brender submit shot.blend --send --wait")), tmp_path, server)
        assert "2 frames in" in said
        job = said.partition("Job ")[2].partition(",")[0]
        printed(next(with_start("brender fetch")).replace("JOB", job), tmp_path, server)
        assert len(list((tmp_path / "shot_frames").glob("*.png"))) == 2

        joining = token(next(with_start("brender token create --role client")))
        printed(next(with_start("brender join")).replace("TOKEN", joining), tmp_path, anna)
        printed([*with_start("brender submit")][-1], tmp_path, anna)
        assert printed("brender jobs", tmp_path, anna).count("shot") == 2
