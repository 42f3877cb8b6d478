"""A worker keeps Blender warm: when it does, when it must not, and that nobody can tell from the pictures."""

import os
import signal
import time
from pathlib import Path

import numpy
import pytest

from brender.engines.warm import Warmth, signatures, unsure_of_changed
from brender.model.nodes import Blender
from brender.transfer.blob_store import BlobStore
from tests.conftest import SCENES, find_blender
from tests.rendering import studio
from tests.test_blobs import kept
from tests.tools import blender_processes, in_blender, pixels, replace_unseen, until

pytestmark = pytest.mark.blender

CUBE = SCENES / "03_animated_cube.blend"
SMALL = {"resolution": 8, "samples": 2}


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("bpy", "03_animated_cube"),
        ("bpy", "05_metallic_sphere_light"),
        ("bpy", "01_missing_textures"),
        ("executable", "03_animated_cube"),
        pytest.param("executable", "05_metallic_sphere_light", marks=pytest.mark.thorough),
        pytest.param("executable", "01_missing_textures", marks=pytest.mark.thorough),
    ],
)
def test_warm_frames_are_equal_to_cold_ones_to_the_last_bit(tmp_path: Path, kind: str, name: str) -> None:
    file, blender = SCENES / f"{name}.blend", find_blender(kind)
    with studio(tmp_path / "worker", blender) as farm:
        for process in ("warm", "cold"):
            spec = farm.job(file, tmp_path / process, frames="3,1-2", format="OPEN_EXR", process=process, **SMALL)
            outcomes = [farm.run(spec, task) for task in range(3)]
            assert [outcome.ended.reason for outcome in outcomes] == ["", "", ""]
            assert [outcome.was_warm for outcome in outcomes] == [False, process == "warm", process == "warm"]
            assert ["--process cold" in outcome.why_opened for outcome in outcomes] == [process == "cold"] * 3
    for frame in (1, 2, 3):
        warm, cold = (pixels(tmp_path / process / f"{name}_{frame:04d}.exr") for process in ("warm", "cold"))
        assert numpy.array_equal(warm, cold), f"frame {frame} differs"


@pytest.mark.thorough
@pytest.mark.parametrize(("engine", "kind"), [("workbench", "bpy"), ("workbench", "executable"), ("eevee", "executable")])
def test_eevee_and_workbench_give_nearly_the_same_warm_and_cold(tmp_path: Path, engine: str, kind: str) -> None:
    blender = find_blender(kind)  # (EEVEE in bpy 5.0 without a GPU: a minute for the same)
    with studio(tmp_path / "worker", blender) as farm:
        for process in ("warm", "cold"):
            spec = farm.job(
                CUBE, tmp_path / process, frames="1,5", chunk=2, engine=engine, resolution=6, samples=1, process=process
            )
            outcome = farm.run(spec)
            assert outcome.ended.reason == ""
            assert "for shader cache" not in outcome.log, "Mesa keeps what it has compiled"
    assert any((tmp_path / "worker" / "cache" / "shaders").iterdir()), "for the next Blender"
    for frame in (1, 5):
        warm, cold = (pixels(tmp_path / process / f"03_animated_cube_{frame:04d}.png") for process in ("warm", "cold"))
        assert numpy.abs(warm - cold).max() <= 2 / 255, f"frame {frame} differs"


def test_one_blender_serves_one_task_after_another_and_each_log_has_its_own_frames(blender: Blender, tmp_path: Path) -> None:
    with studio(tmp_path / "worker", blender) as farm:
        spec = farm.job(CUBE, tmp_path / "out", frames="1-4", **SMALL)
        first = farm.run(spec, 0)
        (process,) = blender_processes()
        others = [farm.run(spec, task) for task in (1, 2, 3)]
        assert blender_processes() == [process]
    assert [first.was_warm, *(other.was_warm for other in others)] == [False, True, True, True]
    for number, outcome in enumerate([first, *others], start=1):
        assert f"03_animated_cube_{number:04d}" in outcome.log and f"03_animated_cube_{number % 4 + 1:04d}" not in outcome.log
        assert "Saved: " in outcome.log, "what Blender printed for it is there, to the end"
    assert not blender_processes()


def test_another_job_of_the_same_scene_finds_it_open_and_one_with_other_settings_does_not(
    blender: Blender, tmp_path: Path
) -> None:
    with studio(tmp_path / "worker", blender) as farm:
        farm.run(farm.job(CUBE, tmp_path / "a", frames="1", **SMALL))
        assert farm.run(farm.job(CUBE, tmp_path / "b", frames="2", **SMALL)).was_warm
        other = farm.run(farm.job(CUBE, tmp_path / "c", frames="2", resolution=9, samples=2))
        assert not other.was_warm and "(resolution)" in other.why_opened
        assert (other.parts[0].width, other.parts[0].height) == (172, 97)
        assert len(blender_processes()) == 1


def test_a_file_that_was_changed_is_opened_again_and_the_log_names_it(blender: Blender, tmp_path: Path) -> None:
    file = tmp_path / "scene.blend"
    file.write_bytes((SCENES / "05_metallic_sphere_light.blend").read_bytes())
    with studio(tmp_path / "worker", blender) as farm:
        spec = farm.job(file, tmp_path / "out", frames="1-3", **SMALL)
        farm.run(spec, 0)
        assert farm.run(spec, 1).was_warm
        content = file.read_bytes()
        replace_unseen(file, content[:-1] + b"\0")
        again = farm.run(spec, 2)
        assert not again.was_warm and str(file) in again.why_opened


def test_a_file_laid_out_by_the_worker_stays_the_same_however_often_its_blob_is_used(tmp_path: Path) -> None:
    blobs, laid_out = BlobStore(tmp_path / "blobs"), tmp_path / "jobs"
    blob = kept(blobs, b"texture")
    files = [laid_out / job / "files" / "a.png" for job in ("one", "two")]
    blobs.lay_out(blob, files[0])
    before = signatures([str(files[0])], laid_out)
    os.utime(blobs.path(blob), (1, 1))
    blobs.lay_out(blob, files[1])
    assert signatures([str(files[0])], laid_out) == before
    files[0].unlink()
    files[0].write_bytes(b"another")
    assert signatures([str(files[0])], laid_out) != before


def test_a_library_that_was_changed_while_the_scene_was_opened_is_read_again(tmp_path: Path) -> None:
    library, began = tmp_path / "lib.blend", time.time_ns()
    library.write_bytes(b"new")
    signed = signatures([str(library)], tmp_path / "jobs")
    assert unsure_of_changed(signed, began) != signed
    assert unsure_of_changed(signed, began + 10**9) == signed


@pytest.mark.parametrize(
    ("warmth", "why"),
    [(Warmth(seconds=0), "--keep-warm 0"), (Warmth(frames=1), "--warm-frames"), (Warmth(least_free=1.1), "memory")],
    ids=["no time", "one frame", "no memory"],
)
def test_blender_is_not_kept_where_the_worker_does_not_want_it(tmp_path: Path, warmth: Warmth, why: str, bpy: Blender) -> None:
    with studio(tmp_path / "worker", bpy, warmth) as farm:
        spec = farm.job(CUBE, tmp_path / "out", frames="1-2", **SMALL)
        first = farm.run(spec, 0)
        assert (first.ended.reason, first.why_opened) == ("", "")
        until(lambda: not blender_processes())
        second = farm.run(spec, 1)
        assert not second.was_warm and why in second.why_opened


def test_a_blender_that_rests_for_too_long_is_closed(tmp_path: Path, bpy: Blender) -> None:
    with studio(tmp_path / "worker", bpy, Warmth(seconds=0.5)) as farm:
        farm.run(farm.job(CUBE, tmp_path / "out", frames="1", **SMALL))
        farm.engine.look()
        assert blender_processes()

        def gone() -> bool:
            farm.engine.look()
            return not blender_processes()

        until(gone)


def test_a_warm_blender_that_dies_at_rest_costs_no_attempt(blender: Blender, tmp_path: Path) -> None:
    with studio(tmp_path / "worker", blender) as farm:
        spec = farm.job(CUBE, tmp_path / "out", frames="1-2", **SMALL)
        farm.run(spec, 0)
        (process,) = blender_processes()
        os.kill(process.pid, signal.SIGKILL)
        until(lambda: not blender_processes())
        outcome = farm.run(spec, 1)
        assert outcome.ended.reason == "" and not outcome.was_warm


def test_a_canceled_frame_ends_its_blender_and_the_next_task_gets_a_new_one(blender: Blender, tmp_path: Path) -> None:
    with studio(tmp_path / "worker", blender) as farm:
        attempt, events = farm.begin(farm.job(CUBE, tmp_path / "long", frames="1", resolution=30, samples=4000), 0)
        until(lambda: any(getattr(event, "fraction", 0) > 0 for event in events))
        attempt.stop()
        outcome = farm.finish(attempt, events)
        assert outcome.ended.stopped
        assert not list((tmp_path / "long").iterdir())
        assert farm.run(farm.job(CUBE, tmp_path / "out", frames="1", **SMALL)).ended.reason == ""


def test_progress_counts_samples_inside_a_frame_and_says_how_long_it_still_takes(blender: Blender, tmp_path: Path) -> None:
    with studio(tmp_path / "worker", blender) as farm:
        attempt, events = farm.begin(farm.job(CUBE, tmp_path / "out", frames="1-2", chunk=2, resolution=16, samples=500), 0)
        until(lambda: any(0 < getattr(event, "fraction", 0) < 0.5 and "left" in event.line for event in events))
        attempt.stop()
        outcome = farm.finish(attempt, events)
    lines = [event.line for event in outcome.progress if 0 < event.fraction < 0.5]
    assert any("sampling " in line and "/500" in line and "left" in line and "MB" in line for line in lines), lines


_COUNTS = """
import bpy
bpy.ops.wm.read_factory_settings()
text = bpy.data.texts.new("count.py")
text.write('''
import bpy
def counts(scene, *rest):
    seen = scene.get("seen", 0) + 1 if scene.frame_current > scene.get("last", 0) else scene.get("seen", 0)
    scene["last"], scene["seen"] = scene.frame_current, seen
    scene.objects["Cube"].scale = (1, 1, 0.2 * seen)
bpy.app.handlers.frame_change_post.append(counts)
''')
text.use_module = True
scene = bpy.context.scene
scene.render.engine = "BLENDER_WORKBENCH"
scene.render.resolution_x, scene.render.resolution_y = 64, 36
scene.frame_start, scene.frame_end = 1, 10
bpy.ops.wm.save_as_mainfile(filepath={file!r})
"""


def test_a_job_in_order_lets_every_earlier_frame_happen_first(tmp_path: Path, bpy: Blender) -> None:
    """A handler that makes the cube grow with every frame it sees gives frame 6 its right height only so."""
    file = tmp_path / "counts.blend"
    in_blender(bpy, _COUNTS.format(file=str(file)), tmp_path)
    with studio(tmp_path / "worker", bpy) as farm:
        for name, process, frames in (("all", "warm", "1-6"), ("in-order", "in-order", "6"), ("alone", "cold", "6")):
            spec = farm.job(
                file, tmp_path / name, frames=frames, chunk=6, engine="workbench", samples=1, trusted=True, process=process
            )
            assert farm.run(spec).ended.reason == ""
    whole, in_order, alone = (pixels(tmp_path / name / "counts_0006.png") for name in ("all", "in-order", "alone"))
    assert numpy.array_equal(whole, in_order)
    assert not numpy.array_equal(whole, alone), "it makes a difference, so the test proves something"


def test_frames_that_are_there_are_kept_and_those_of_other_settings_are_not(blender: Blender, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with studio(tmp_path / "worker", blender) as farm:
        farm.run(farm.job(CUBE, out, frames="1-2", **SMALL))
        before = (out / "03_animated_cube_0001.png").stat().st_mtime_ns
        again = farm.run(farm.job(CUBE, out, frames="1-3", chunk=3, **SMALL))
        assert [part.kept for part in again.parts] == [True, True, False]
        assert any("--overwrite" in warning for warning in again.warnings)
        assert (out / "03_animated_cube_0001.png").stat().st_mtime_ns == before
        other = farm.run(farm.job(CUBE, out, frames="1", resolution=8, samples=3))
        assert not other.parts[0].kept
        trusted = farm.run(farm.job(CUBE, out, frames="2", trusted=True, **SMALL))
        assert not trusted.parts[0].kept
        forced = farm.run(farm.job(CUBE, out, frames="2", overwrite=True, **SMALL))
        assert not forced.parts[0].kept


def test_a_frame_that_is_damaged_or_older_than_its_file_is_rendered_again(tmp_path: Path, bpy: Blender) -> None:
    out, file = tmp_path / "out", tmp_path / "scene.blend"
    file.write_bytes((SCENES / "05_metallic_sphere_light.blend").read_bytes())
    with studio(tmp_path / "worker", bpy) as farm:
        farm.run(farm.job(file, out, frames="1-2", chunk=2, **SMALL))
        damaged = out / "scene_0001.png"
        damaged.write_bytes(damaged.read_bytes()[:-500])
        again = farm.run(farm.job(file, out, frames="1-2", chunk=2, **SMALL))
        assert [part.kept for part in again.parts] == [False, True]
        later = file.stat().st_mtime + 10
        os.utime(file, (later, later))
        assert not farm.run(farm.job(file, out, frames="2", **SMALL)).parts[0].kept
