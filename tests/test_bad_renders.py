"""Scenes that misbehave: each ends as a failed attempt with one clear sentence, and the worker is ready for the next task."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from brender.engines.logfile import HEAD_BYTES, TAIL_BYTES
from brender.model.nodes import Blender
from tests.conftest import SCENES, find_blender
from tests.rendering import Studio, studio
from tests.tools import in_blender, until

pytestmark = pytest.mark.blender

CUBE = SCENES / "03_animated_cube.blend"
#: What a script inside the .blend does when a render begins, or when the file is opened.
MISDEEDS = {
    "crashes": "handler: import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
    "exits": "handler: import os; os._exit(0)",
    "calls-sys-exit": "handler: import sys; sys.exit(3)",
    "writes-elsewhere": "handler: bpy.context.scene.render.filepath = '{folder}/elsewhere.png'",
    "hangs-at-load": "load: import time; time.sleep(1000)",
    "prints-much": "handler: import os; [os.write(1, b'x' * 79 + b'\\\\n') for _ in range(80_000)]",
}

_MAKE = """
import bpy
misdeeds = {misdeeds!r}
for name, deed in misdeeds.items():
    bpy.ops.wm.read_factory_settings()
    when, _, code = deed.partition(": ")
    text = bpy.data.texts.new("misdeed.py")
    if when == "load":
        # Only where it is opened by another than its maker.
        text.write("import bpy\\nif not bpy.context.scene.get('making'):\\n    " + code)
    else:
        text.write("import bpy\\ndef deed(*rest):\\n    " + code + "\\nbpy.app.handlers.render_init.append(deed)\\n")
    text.use_module = True
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.use_denoising = 1, False
    scene.render.resolution_x = scene.render.resolution_y = 16
    bpy.ops.wm.save_as_mainfile(filepath={folder!r} + "/" + name + ".blend")

class Lux(bpy.types.RenderEngine):
    bl_idname, bl_label = "LUX", "Lux"

bpy.utils.register_class(Lux)
bpy.ops.wm.read_factory_settings()
bpy.context.scene.render.engine = "LUX"
bpy.ops.wm.save_as_mainfile(filepath={folder!r} + "/wants-an-add-on.blend")
"""


@pytest.fixture(scope="module", params=["bpy", "executable"])
def bad(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Blender, Path]:
    """A Blender, and a folder with scenes that it made, each of which misbehaves in a way of its own."""
    blender, folder = find_blender(request.param), tmp_path_factory.mktemp("bad")
    misdeeds = {name: deed.format(folder=folder) for name, deed in MISDEEDS.items()}
    in_blender(blender, _MAKE.format(misdeeds=misdeeds, folder=str(folder)), folder)
    return blender, folder


@pytest.fixture
def farm(bad: tuple[Blender, Path], tmp_path: Path) -> Iterator[Studio]:
    with studio(tmp_path / "worker", bad[0]) as made:
        yield made
        after = made.run(made.job(CUBE, tmp_path / "after", frames="1", resolution=5, samples=1))
        assert after.ended.reason == "", "the worker is ready for the next task"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("crashes", "killed by SIGSEGV|exit code"),
        ("exits", "ended in the middle of the work: it ended of its own accord, with exit code 0. The end of the log says more"),
        ("calls-sys-exit", "ended in the middle of the work|without writing its file|SystemExit"),
        ("writes-elsewhere", "While frame 1 was rendered, a script of the .blend set the scene.s output path to .*elsewhere.png"),
        ("wants-an-add-on", "wants the engine LUX, an add-on that .* does not have here: send it with the job .* --engine"),
    ],
)
def test_a_scene_that_misbehaves_is_one_failed_attempt_that_says_so(
    farm: Studio, bad: tuple[Blender, Path], tmp_path: Path, name: str, says: str
) -> None:
    outcome = farm.run(farm.job(bad[1] / f"{name}.blend", tmp_path / "out", frames="1", trusted=True))
    assert outcome.ended.reason and "\n" not in outcome.ended.reason
    assert re.search(says, outcome.ended.reason), outcome.ended.reason
    assert not list((tmp_path / "out").glob("*")), "nothing is left where frames go"


def test_a_scene_that_hangs_at_load_can_be_stopped(farm: Studio, bad: tuple[Blender, Path], tmp_path: Path) -> None:
    attempt, events = farm.begin(farm.job(bad[1] / "hangs-at-load.blend", tmp_path / "out", frames="1", trusted=True), 0)
    until(lambda: "starting " in attempt.log.last_line or attempt.log.received > 500)
    attempt.stop()
    assert farm.finish(attempt, events).ended.stopped


def test_a_scene_that_prints_without_end_fills_no_disk(farm: Studio, bad: tuple[Blender, Path], tmp_path: Path) -> None:
    attempt, events = farm.begin(farm.job(bad[1] / "prints-much.blend", tmp_path / "out", frames="1", trusted=True), 0)
    outcome = farm.finish(attempt, events)
    assert outcome.ended.reason == ""
    assert attempt.log.received > HEAD_BYTES + TAIL_BYTES
    assert attempt.log.path.stat().st_size <= HEAD_BYTES + TAIL_BYTES + 100_000


def test_a_file_of_a_newer_blender_is_refused_before_anything_starts(farm: Studio, tmp_path: Path) -> None:
    spec = farm.job(CUBE, tmp_path / "out", frames="1")
    outcome = farm.run(farm.saved_by(spec, (9, 1)))
    assert outcome.ended.reason.startswith("The file was saved by Blender 9.1; this worker has ")
