"""Real Blender renders real .blend files through a whole farm: with the bpy package, and with a ``blender`` executable."""

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy
import pytest

from brender.api.jobspec import blender_job
from brender.bus.client import Client
from brender.commands.farm import make_demo
from brender.commands.localfarm import FarmPlan, LocalFarm
from brender.commands.options import client
from brender.engines.job_files import said_of_gone
from brender.model.nodes import Blender
from brender.store.datafolder import DataFolder
from tests.conftest import BLENDS, SCENES, find_blender
from tests.tools import blender_processes, command, ended, in_blender, pixels, render_directly, until

pytestmark = pytest.mark.blender

CUBE = SCENES / "03_animated_cube.blend"
NOTHING = dict.fromkeys(("frames", "chunk", "scene", "camera", "engine", "resolution", "samples", "format", "pattern", "name"))


def submit(connection: Client, file: Path, output: Path, **options: object) -> str:
    """Submit *file* as the command line does; returns the job's id."""
    more = {name: options.pop(name) for name in ("paused",) if name in options}
    spec = blender_job(file, {**NOTHING, "trusted": False, "output": output, **options}, **more)
    connection.submit(spec)
    return spec.id


def plan(folder: DataFolder, blender: Blender, workers: int = 1) -> FarmPlan:
    return FarmPlan(folder=folder, workers=workers, any_ports=True, with_dashboard=False, blenders=[blender.path])


@dataclass(frozen=True)
class Running:
    """A farm of one worker with one *blender*, and a client of it."""

    blender: Blender
    folder: DataFolder
    connection: Client


@pytest.fixture(scope="module", params=["bpy", "executable"])
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Such a farm of each kind of Blender in turn, which tests share that leave it able to work."""
    blender, folder = find_blender(request.param), DataFolder(tmp_path_factory.mktemp("farm") / "data")
    with LocalFarm(plan(folder, blender)), client(None, folder.root) as connection:
        yield Running(blender, folder, connection)


def test_render_gives_the_frames_that_blender_itself_gives_pixel_for_pixel(
    blender: Blender, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    options = ("--frames", "1-8", "--resolution", "12", "--samples", "3", "--workers", "2", "--blender", blender.path)
    said = command(capsys, "render", CUBE, "--allow-missing", *options, "--output", out)
    assert said.code == 0, said.err
    assert "8 frames in" in said.out and "(8 of 8)" in said.out
    assert "field.hdr" in said.err, "the missing environment map is named"
    assert sorted(path.name for path in out.iterdir()) == [f"03_animated_cube_{frame:04d}.png" for frame in range(1, 9)]
    render_directly(blender, CUBE, tmp_path / "direct", "1-8", 12, 3)
    for frame in range(1, 9):
        ours, direct = out / f"03_animated_cube_{frame:04d}.png", tmp_path / "direct" / f"direct_{frame:04d}.png"
        assert numpy.array_equal(pixels(ours), pixels(direct)), f"frame {frame} differs"


@pytest.mark.thorough
def test_the_old_benchmark_scene_renders_in_eevee(bpy: Blender, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    file = BLENDS / "brender-1" / "benchmark.blend"
    options = ("--frames", "1,8", "--resolution", "10", "--samples", "1", "--chunk", "2", "--blender", bpy.path)
    said = command(capsys, "render", file, "--allow-missing", *options, "--output", out, "--no-dashboard")
    assert said.code == 0, said.err
    pictures = [pixels(out / f"test{frame:04d}.png") for frame in (1, 8)]  # its own path is //render/test
    assert {picture.shape[:2] for picture in pictures} == {(108, 192)}
    assert all(picture.std() > 0.01 for picture in pictures), "there is something to see on each"
    assert not numpy.array_equal(*pictures), "and it moves"


def test_a_scene_with_missing_textures_and_libraries_renders_on_and_names_them(running: Running, tmp_path: Path) -> None:
    for name, missing in (
        ("01_missing_textures", "MissingTexture.png"),
        ("05_metallic_sphere_light", "glTF2_PBR_Lights.blend"),
    ):
        job = submit(running.connection, SCENES / f"{name}.blend", tmp_path / name, frames="1", resolution=10, samples=1)
        record = ended(running.connection, job)
        assert record["status"] == "completed", record["reason"]
        assert len([warning for warning in record["warnings"] if missing in warning]) == 1, record["warnings"]


def test_frames_thumbnails_and_logs_are_where_they_should_be(running: Running, tmp_path: Path) -> None:
    connection, out = running.connection, tmp_path / "out"
    options = {"frames": "5-6", "chunk": 2, "resolution": 10, "samples": 1, "format": "OPEN_EXR", "pattern": "beauty_##"}
    job = submit(connection, CUBE, out, **options)
    record = ended(connection, job)
    assert record["status"] == "completed", record["reason"]
    parts = connection.ask("parts", job=job)
    assert [part["output"] for part in parts] == ["beauty_05.exr", "beauty_06.exr"]
    assert [(part["width"], part["height"]) for part in parts] == [(192, 108)] * 2
    assert sorted(path.name for path in out.iterdir()) == ["beauty_05.exr", "beauty_06.exr"]
    for part in parts:
        until(running.folder.thumbnail(part["attempt"], part["id"]).exists)
    log = until(lambda: "ended: completed" in (text := connection.ask("log", job=job)["text"]) and text)
    assert "frame 5 in" in log and "frame 6 in" in log


def test_a_killed_blender_is_a_failed_attempt_with_the_signals_name_and_the_frame_is_tried_again(
    blender: Blender, folder: DataFolder, tmp_path: Path
) -> None:
    others = {each.pid for each in blender_processes()}  # of another farm, kept warm
    with LocalFarm(plan(folder, blender)), client(None, folder.root) as connection:
        job = submit(connection, CUBE, tmp_path / "out", frames="1", resolution=100, samples=200)
        (render,) = until(lambda: [each for each in blender_processes() if each.pid not in others])
        os.kill(render.pid, signal.SIGKILL)
        until(lambda: [attempt for attempt in connection.ask("attempts", job=job) if attempt["outcome"] == "failed"])
        again = submit(connection, CUBE, tmp_path / "again", frames="1", resolution=10, samples=1)
        connection.act("priority", again, 90)
        (failed,) = [attempt for attempt in connection.ask("attempts", job=job) if attempt["outcome"] == "failed"]
        assert "it was killed by SIGKILL" in failed["reason"]
        until(lambda: len(connection.ask("attempts", job=job)) > 1)
        connection.act("cancel", job)
        assert ended(connection, again)["status"] == "completed"
    until(lambda: {each.pid for each in blender_processes()} <= others)
    assert not list(tmp_path.glob("out/*")), "no half frame is left"


@pytest.mark.thorough
def test_a_frame_whose_blender_stands_still_is_finished_by_an_idle_worker(
    bpy: Blender, folder: DataFolder, tmp_path: Path
) -> None:
    others = {each.pid for each in blender_processes()}  # of another farm, kept warm
    with LocalFarm(plan(folder, bpy, workers=2)), client(None, folder.root) as connection:
        job = submit(connection, CUBE, tmp_path / "out", frames="1-6", chunk=1, resolution=20, samples=20)
        until(lambda: connection.ask("job", id=job)["completed_parts"] >= 2 and len(blender_processes()) == len(others) + 2)
        os.kill(next(each.pid for each in blender_processes() if each.pid not in others), signal.SIGSTOP)
        record = ended(connection, job)
        assert record["status"] == "completed" and record["completed_parts"] == 6
        until(lambda: [each for each in connection.ask("attempts", job=job) if each["outcome"] == "superseded"])
        again = submit(connection, CUBE, tmp_path / "again", frames="1-4", chunk=1, resolution=20, samples=20)
        assert ended(connection, again)["status"] == "completed", "both workers are ready for more"


def test_a_file_that_is_gone_when_its_turn_comes_fails_the_job_which_says_so(running: Running, tmp_path: Path) -> None:
    file = tmp_path / "gone.blend"
    file.write_bytes((BLENDS / "brender-1" / "benchmark.blend").read_bytes())
    job = submit(running.connection, file, tmp_path / "out", frames="1", paused=True)
    file.unlink()
    running.connection.act("resume", job)
    record = ended(running.connection, job)
    assert record["status"] == "failed"
    assert record["reason"].endswith(said_of_gone(file, job)), "and not for the first try: this worker may only see it late"
    assert record["failures"] > 1


_SCRIPTED = """
import bpy
bpy.ops.wm.read_factory_settings()
text = bpy.data.texts.new("run_me.py")
text.write("open({marker!r}, 'w').write('ran')")
text.use_module = True
scene = bpy.context.scene
scene.render.engine = "CYCLES"
scene.cycles.samples = 1
scene.cycles.use_denoising = False
scene.render.resolution_x = scene.render.resolution_y = 16
bpy.ops.wm.save_as_mainfile(filepath={file!r})
"""


def test_scripts_in_a_blend_run_only_where_the_job_is_trusted(running: Running, tmp_path: Path) -> None:
    connection, marker, file = running.connection, tmp_path / "marker", tmp_path / "scripted.blend"
    in_blender(running.blender, _SCRIPTED.format(marker=str(marker), file=str(file)), tmp_path)
    marker.unlink(missing_ok=True)
    job = submit(connection, file, tmp_path / "a", frames="1")
    record = ended(connection, job)
    assert record["status"] == "completed", (record["reason"], connection.ask("log", job=job)["text"])
    assert not marker.exists(), "a script ran that must not"
    job = submit(connection, file, tmp_path / "b", frames="1", trusted=True)
    record = ended(connection, job)
    assert record["status"] == "completed", (record["reason"], connection.ask("log", job=job)["text"])
    assert marker.exists(), "a trusted script did not run, so the test above proves nothing"


@pytest.mark.thorough
def test_the_demo_scene_is_made_by_our_script_and_moves(bpy: Blender, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = command(capsys, "demo", "--frames", "1,20", "--blender", bpy.path, "--output", tmp_path / "out")
    assert said.code == 0, said.err
    assert "Watch it at\nhttp://127.0.0.1:" in said.out
    first, last = (pixels(tmp_path / "out" / f"brender-demo_{frame:04d}.png") for frame in (1, 20))
    assert first.shape[:2] == (270, 480) and not numpy.array_equal(first, last)
    assert make_demo(tmp_path / "demo.blend", (bpy.path,)).exists()


def test_render_uses_the_farm_that_runs_already(running: Running, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--allow-missing", "--frames", "1", "--resolution", "10", "--samples", "1", "--output", tmp_path / "out")
    said = command(capsys, "render", CUBE, *options, "--data", running.folder.root)
    assert said.code == 0, said.err
    assert "A farm runs in" in said.out
