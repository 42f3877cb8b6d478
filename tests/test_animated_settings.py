"""Settings that change from frame to frame, or that a view layer has of its own: frames are as Blender renders them alone."""

from pathlib import Path

import numpy
import pytest

from brender.jobs.declare import job_type
from brender.model.nodes import Blender
from tests.rendering import cycles_scene, studio
from tests.tools import in_blender, pixels

pytestmark = pytest.mark.blender

_SMALL = """
scene.cycles.samples, scene.cycles.use_denoising, scene.cycles.use_adaptive_sampling = 16, False, False
scene.render.resolution_x, scene.render.resolution_y = 32, 24
cube = scene.objects["Cube"]
scene.camera.animation_data_create().action = bpy.data.actions.new("no keys")
def set_at(owner, name, values, path):
    for frame, value in values.items():
        setattr(owner, name, value)
        scene.keyframe_insert(path, frame=frame) if owner != cube else owner.keyframe_insert(path, frame=frame)
"""
_SEQUENCE = """
folder = {folder!r}
for number in (1, 2, 3):
    picture = bpy.data.images.new("made", 4, 4)
    picture.pixels = [number / 3, 1 - number / 3, 0.3, 1] * 16
    picture.filepath_raw, picture.file_format = folder + "/s%04d.png" % number, "PNG"
    picture.save()
picture = bpy.data.images.load(folder + "/s0001.png")
picture.source = "SEQUENCE"
tree = cube.data.materials[0].node_tree
node = tree.nodes.new("ShaderNodeTexImage")
node.image, node.image_user.frame_duration, node.image_user.use_auto_refresh = picture, 3, False
tree.links.new(node.outputs[0], next(each for each in tree.nodes if each.type == "BSDF_PRINCIPLED").inputs["Base Color"])
set_at(cube, "hide_render", {{1: True, 2: False}}, "hide_render")
"""
_SIMPLIFY = """
cube.modifiers.new("s", "SUBSURF").render_levels = 3
scene.render.use_simplify = True
set_at(scene.render, "simplify_subdivision_render", {1: 0, 2: 2}, "render.simplify_subdivision_render")
"""
_LAYER = "scene.view_layers[0].samples = 5"
_SUBSET = """
scene.cycles.sample_offset = 6
if hasattr(scene.cycles, "use_sample_subset"):
    scene.cycles.use_sample_subset, scene.cycles.sample_subset_length = True, 5
"""
_ANIMATED = "set_at(scene.cycles, 'samples', {1: 16, 2: 40}, 'cycles.samples'); scene.frame_set(1)"


@pytest.mark.parametrize("what", ["a sequence", pytest.param("the levels of Simplify", marks=pytest.mark.thorough)])
def test_frames_of_a_scene_that_stays_open_have_what_cycles_would_miss(bpy: Blender, tmp_path: Path, what: str) -> None:
    code = _SEQUENCE.format(folder=str(tmp_path)) if what == "a sequence" else _SIMPLIFY
    file = cycles_scene(bpy, tmp_path / "scene.blend", _SMALL + code)
    with studio(tmp_path / "worker", bpy) as farm:
        together = farm.job(file, tmp_path / "together", frames="1-3", format="OPEN_EXR", chunk=3)
        alone = farm.job(file, tmp_path / "alone", frames="2-3", format="OPEN_EXR", chunk=2, process="cold")
        assert [farm.run(spec).ended.reason for spec in (together, alone)] == ["", ""]
    for frame in (2, 3):
        pictures = (pixels(tmp_path / name / f"scene_{frame:04d}.exr") for name in ("together", "alone"))
        assert numpy.array_equal(*pictures), f"frame {frame} has what an earlier one had"


@pytest.mark.parametrize(
    "code", [_LAYER, pytest.param(_SUBSET, marks=pytest.mark.thorough), pytest.param(_ANIMATED, marks=pytest.mark.thorough)]
)
@pytest.mark.parametrize("kind", ["blender-still", pytest.param("blender-progressive", marks=pytest.mark.thorough)])
def test_the_samples_that_a_scene_takes_in_the_end_are_those_that_are_shared(
    bpy: Blender, tmp_path: Path, kind: str, code: str
) -> None:
    file = cycles_scene(bpy, tmp_path / "scene.blend", _SMALL + code)
    own = {"frame": 2, "pieces": 3} if kind == "blender-still" else {"frames": "2"}
    with studio(tmp_path / "worker", bpy) as farm:
        farm.run(farm.job(file, tmp_path / "whole", frames="2", format="OPEN_EXR"))
        spec = farm.job(file, tmp_path / "shared", job_type=kind, format="OPEN_EXR", **own)
        for task in range(job_type(kind).task_count(spec)):
            assert farm.run(spec, task).ended.reason == ""
    whole, shared = (pixels(tmp_path / name / "scene_0002.exr") for name in ("whole", "shared"))
    assert numpy.abs(whole - shared).max() <= 2e-3  # (half floats)


@pytest.mark.thorough
def test_the_samples_of_a_job_count_though_the_scene_animates_them_and_its_layer_has_others(bpy: Blender, tmp_path: Path) -> None:
    few = cycles_scene(bpy, tmp_path / "few.blend", _SMALL + "scene.cycles.samples = 2")
    many = cycles_scene(bpy, tmp_path / "many.blend", _SMALL + _LAYER + "\n" + _ANIMATED)
    with studio(tmp_path / "worker", bpy) as farm:
        farm.run(farm.job(few, tmp_path / "out", frames="2"))
        farm.run(farm.job(many, tmp_path / "out", frames="2", samples=2))
    assert numpy.array_equal(*(pixels(tmp_path / "out" / f"{name}_0002.png") for name in ("few", "many")))


@pytest.mark.thorough
def test_each_frame_has_the_samples_that_are_animated_for_its_layer(bpy: Blender, tmp_path: Path) -> None:
    own = "scene.view_layers[0].samples = 12"
    moves = "set_at(scene.view_layers[0], 'samples', {1: 3, 2: 12}, 'view_layers[0].samples'); scene.frame_set(1)"
    still = cycles_scene(bpy, tmp_path / "still.blend", _SMALL + own)
    moving = cycles_scene(bpy, tmp_path / "moving.blend", _SMALL + moves)
    with studio(tmp_path / "worker", bpy) as farm:
        farm.run(farm.job(still, tmp_path / "out", frames="2"))
        farm.run(farm.job(moving, tmp_path / "out", frames="1-2"))
    assert numpy.array_equal(*(pixels(tmp_path / "out" / f"{name}_0002.png") for name in ("still", "moving")))


@pytest.mark.thorough
@pytest.mark.parametrize("process", ["warm", "in-order"])
def test_a_script_that_sends_a_frame_elsewhere_is_named_at_once(bpy: Blender, tmp_path: Path, process: str) -> None:
    code = f"""
text = bpy.data.texts.new("elsewhere.py")
text.write('''
import bpy
def elsewhere(scene, *_):
    scene.render.filepath = {str(tmp_path / "elsewhere")!r}
bpy.app.handlers.frame_change_pre.append(elsewhere)
bpy.app.handlers.render_pre.append(elsewhere)
''')
text.use_module = True
"""
    file = cycles_scene(bpy, tmp_path / "scene.blend", _SMALL + code)
    with studio(tmp_path / "worker", bpy) as farm:
        ended = farm.run(farm.job(file, tmp_path / "out", frames="1", trusted=True, process=process)).ended
    assert ended.permanent and repr(str(tmp_path / "elsewhere")) in ended.reason


_CLOTH = """
cube.modifiers.new("c", "CLOTH")
for frame, x in ((1, 0), (3, 1.5)):
    cube.location[0] = x
    cube.keyframe_insert("location", frame=frame)
scene.frame_start, scene.frame_end, scene.render.use_persistent_data = 1, 3, False
"""


@pytest.mark.thorough
def test_cloth_that_is_moved_goes_as_in_blender_which_keeps_no_data_for_this_scene(bpy: Blender, tmp_path: Path) -> None:
    file = cycles_scene(bpy, tmp_path / "scene.blend", _SMALL + _CLOTH)
    code = f"import bpy; bpy.ops.wm.open_mainfile(filepath={str(file)!r}); render = bpy.context.scene.render"
    path = str(tmp_path / "direct" / "scene_")
    in_blender(bpy, f"{code}; render.filepath = {path!r}; bpy.ops.render.render(animation=True)", tmp_path)
    with studio(tmp_path / "worker", bpy) as farm:
        assert farm.run(farm.job(file, tmp_path / "out", frames="1-3")).ended.reason == ""
    for frame in (1, 2, 3):
        farm_s, direct = (pixels(tmp_path / name / f"scene_{frame:04d}.png") for name in ("out", "direct"))
        assert numpy.array_equal(farm_s, direct), f"frame {frame} differs"
