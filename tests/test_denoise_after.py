"""Frames that are rendered without denoising, and denoised in a stage of their own."""

from pathlib import Path
from typing import Any

import msgspec
import numpy
import pytest

from brender.engines import inside
from brender.jobs.declare import job_type
from brender.model.errors import BadInput
from brender.model.job import NOISY, JobSpec
from brender.model.nodes import Blender
from tests.rendering import Outcome, Studio, cycles_scene, studio
from tests.test_stills import planes
from tests.tools import in_blender
from tests.world import World, animation, facts

_SCENE = """
scene.cycles.samples, scene.cycles.use_denoising = 8, True
scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = 96, 64, 100
scene.frame_start, scene.frame_end = 1, 2
scene.view_layers[0].use_pass_z = True
"""


def scene(blender: Blender, folder: Path, more: str = "") -> Path:
    return cycles_scene(blender, folder / "shot.blend", _SCENE + more)


def render(farm: Studio, file: Path, out: Path, **settings: object) -> list[Outcome]:
    """Every task of the job, one after the other, as workers would do them."""
    spec = farm.job(file, out, **{"pattern": "f_##"} | settings)
    outcomes = [farm.run(spec, task) for task in range(job_type(spec.job_type).task_count(spec))]
    assert [outcome.ended.reason for outcome in outcomes] == [""] * len(outcomes)
    return outcomes


def can_denoise(blender: Blender) -> bool:
    """Whether it was built with Open Image Denoise (Debian's 3.4.1 is not)."""
    return blender.kind == "bpy"


@pytest.mark.thorough
def test_a_frame_that_is_denoised_afterwards_is_the_one_that_blender_denoises_as_it_renders(
    blender: Blender, tmp_path: Path
) -> None:
    file = scene(blender, tmp_path)
    with studio(tmp_path / "worker", blender) as farm:
        if not can_denoise(blender):
            for after in (True, False):
                spec = farm.job(file, tmp_path / "after", denoise_after=after)
                assert "was built without Open Image Denoise" in farm.run(spec, 0).ended.reason
            assert not any((tmp_path / "after").iterdir())
            return
        outcomes = render(farm, file, tmp_path / "after", denoise_after=True, format="OPEN_EXR_MULTILAYER")
        render(farm, file, tmp_path / "plain", format="OPEN_EXR_MULTILAYER", chunk=1)
        assert [outcome.parts[0].output for outcome in outcomes[2:]] == ["f_01.exr", "f_02.exr"]
        again = farm.run(farm.job(file, tmp_path / "after", denoise_after=True, pattern="f_##", format="OPEN_EXR_MULTILAYER"), 2)
        assert [part.kept for part in again.parts] == [True]  # it carries the note of its settings
    names = sorted(each.name for each in (tmp_path / "after").rglob("*"))
    assert names == ["f_01.exr", "f_02.exr"]
    for name in names:
        found, wanted = planes(tmp_path / "after" / name), planes(tmp_path / "plain" / name)
        assert found.keys() == wanted.keys()
        for channel, values in wanted.items():
            numpy.testing.assert_allclose(found[channel], values, atol=1e-6)
        noisy = numpy.abs(found["ViewLayer.Noisy Image.R"] - found["ViewLayer.Combined.R"]).max()
        assert noisy > 0.01


_DENOISES = """
import sys
sys.path.insert(0, INSIDE)
import bpy, split
scene = bpy.context.scene
scene.render.engine, scene.cycles.samples, scene.cycles.use_denoising = "CYCLES", 1, False
scene.render.resolution_x = scene.render.resolution_y = 16
scene.view_layers[0].cycles.denoising_store_passes = True
settings = scene.render.image_settings
settings.media_type = "MULTI_LAYER_IMAGE"
settings.file_format = "OPEN_EXR_MULTILAYER"
scene.render.filepath = FOLDER + "/render.exr"
bpy.ops.render.render(write_still=True)
used = []
bpy.app.handlers.render_init.append(lambda stage, *rest: used.append(stage.render.compositor_denoise_device))
for device, wanted in (("CPU", True), ("GPU", False), ("GPU", True)):
    scene.cycles.device, scene.cycles.denoising_use_gpu = device, wanted
    split.denoise(scene, FOLDER + "/render.exr", FOLDER + "/denoised.exr")
open(FOLDER + "/used", "w").write(" ".join(used))
"""


def test_a_frame_that_a_gpu_rendered_is_denoised_on_a_gpu_too(bpy: Blender, tmp_path: Path) -> None:
    code = _DENOISES.replace("INSIDE", repr(str(Path(inside.__file__).parent))).replace("FOLDER", repr(str(tmp_path)))
    in_blender(bpy, code, tmp_path)
    assert (tmp_path / "used").read_text() == "CPU CPU GPU"  # (without a GPU, Blender denoises on the CPU then)


@pytest.mark.thorough
def test_a_scene_that_does_not_ask_for_it_is_denoised_afterwards_all_the_same(bpy: Blender, tmp_path: Path) -> None:
    (tmp_path / "off").mkdir()
    without, asking = scene(bpy, tmp_path / "off", "scene.cycles.use_denoising = False"), scene(bpy, tmp_path)
    with studio(tmp_path / "worker", bpy) as farm:
        render(farm, without, tmp_path / "after", denoise_after=True, format="OPEN_EXR", frames="1")
        render(farm, asking, tmp_path / "plain", format="OPEN_EXR", frames="1")
    found, wanted = planes(tmp_path / "after" / "f_01.exr"), planes(tmp_path / "plain" / "f_01.exr")
    numpy.testing.assert_allclose(found["R"], wanted["R"], atol=1e-6)


@pytest.mark.thorough
def test_a_scene_that_cannot_be_denoised_afterwards_is_refused_when_it_is_submitted(bpy: Blender, tmp_path: Path) -> None:
    file = scene(bpy, tmp_path, 'scene.view_layers.new("Second")')
    with studio(tmp_path / "worker", bpy) as farm, pytest.raises(BadInput, match="it has several view layers"):
        farm.job(file, tmp_path / "out", denoise_after=True)


@pytest.mark.parametrize(
    ("settings", "about", "why"),
    [
        ({}, {"undenoised": "it has several views"}, "it has several views. Leave out --denoise-after"),
        ({"engine": "eevee"}, {}, "its engine is eevee, and only Cycles renders the passes"),
        ({"process": "in-order"}, {}, "it is rendered in order"),
        ({"chunk": 5}, {}, "leave out --chunk"),
    ],
)
def test_what_makes_it_impossible_to_denoise_afterwards_is_said_in_a_sentence(
    settings: dict[str, object], about: dict[str, object], why: str
) -> None:
    with pytest.raises(BadInput, match=why):
        job_type("blender-animation").prepare(denoised(about=about, **settings))


def denoised(frames: str = "1-3", about: dict[str, Any] | None = None, **settings: object) -> JobSpec:
    plain = animation(frames, denoise_after=True, **settings)
    return msgspec.structs.replace(plain, facts=facts(engine="CYCLES", **(about or {})))


def work(world: World) -> tuple[int, int, tuple[str, ...]]:
    """Let the worker of *world* do its task; return the frame, which step of it, and what it was given to begin with."""
    (name,) = world.workers
    grant = world.workers[name].running
    assert grant is not None
    (part,) = grant.parts
    world.finish_part(name, digest=f"{part.piece} of {part.frame}")
    world.end(name)
    return part.frame, part.piece, grant.pieces


@pytest.mark.parametrize("restarts", [False, True])
def test_a_frame_is_denoised_of_its_render_soon_and_requeue_does_both_again(restarts: bool) -> None:
    world = World()
    world.add_worker("one")
    spec = denoised("1-4", bundle="b" * 64, file="shot.blend")
    world.submit(spec)
    done = [work(world) for _ in range(3)]
    if restarts:
        world.start_server()
        world.run(20.0)
    done += [work(world) for _ in range(5)]
    assert world.status(spec.id) == "completed"
    assert {(frame, piece) for frame, piece, _ in done} == {(frame, piece) for frame in range(1, 5) for piece in (NOISY, 0)}
    assert all(pieces == (() if piece else (f"{NOISY} of {frame}",)) for frame, piece, pieces in done if piece == 0)
    assert [piece for _, piece, _ in done].index(0) < 4  # and not after all renders
    world.act("requeue", spec.id, "2")
    assert [work(world)[:2] for _ in range(2)] == [(2, NOISY), (2, 0)]
    assert world.status(spec.id) == "completed"
