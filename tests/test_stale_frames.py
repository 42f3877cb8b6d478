"""A frame is made of its .blend and of every file that it uses: when one of these has changed, it is rendered again."""

from pathlib import Path

import numpy
import OpenImageIO as oiio
import pytest

from brender.blendfile.inputs import inputs_of
from brender.model.nodes import Blender
from tests.rendering import studio
from tests.tools import in_blender, pixels, replace_unseen

pytestmark = pytest.mark.blender

_MAKE = """
import bpy
bpy.ops.wm.read_factory_settings(use_empty=True)
scene = bpy.context.scene
scene.render.engine = "CYCLES"
scene.cycles.samples = 1
scene.cycles.use_denoising = False
scene.view_settings.view_transform = "Standard"
scene.render.resolution_x, scene.render.resolution_y = 16, 12
scene.camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
scene.camera.location.z = 1
scene.collection.objects.link(scene.camera)
mesh = bpy.data.meshes.new("wall")
mesh.from_pydata([(-5, -5, 0), (5, -5, 0), (5, 5, 0), (-5, 5, 0)], [], [(0, 1, 2, 3)])
mesh.uv_layers.new()
wall = bpy.data.objects.new("wall", mesh)
scene.collection.objects.link(wall)
material = bpy.data.materials.new("paint")
material.use_nodes = True
tree = material.node_tree
tree.nodes.clear()
image = tree.nodes.new("ShaderNodeTexImage")
image.image = bpy.data.images.load(FOLDER + "/paint_0001.png")
if SEQUENCE:
    image.image.source = "SEQUENCE"
    image.image_user.frame_duration = 2
    image.image_user.use_auto_refresh = True
glow = tree.nodes.new("ShaderNodeEmission")
output = tree.nodes.new("ShaderNodeOutputMaterial")
tree.links.new(image.outputs[0], glow.inputs[0])
tree.links.new(glow.outputs[0], output.inputs[0])
mesh.materials.append(material)
bpy.ops.wm.save_as_mainfile(filepath=FOLDER + "/shot.blend")
"""

RED, BLUE = (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)


def _paint(path: Path, color: tuple[float, float, float]) -> None:
    image = oiio.ImageBuf(oiio.ImageSpec(4, 4, 3, oiio.UINT8))
    oiio.ImageBufAlgo.fill(image, color)
    assert image.write(str(path))


def _scene(blender: Blender, folder: Path, sequence: bool = False) -> Path:
    for number in (1, 2):
        _paint(folder / f"paint_{number:04d}.png", RED)
    in_blender(blender, f"FOLDER, SEQUENCE = {str(folder)!r}, {sequence}\n{_MAKE}", folder)
    return folder / "shot.blend"


def _color(path: Path) -> list[float]:
    return [round(float(value), 1) for value in numpy.mean(pixels(path)[..., :3], axis=(0, 1))]


@pytest.mark.parametrize("sequence", [False, True], ids=["texture", "sequence"])
def test_a_frame_is_rendered_again_when_a_texture_of_its_scene_has_changed(
    blender: Blender, tmp_path: Path, sequence: bool
) -> None:
    file, output, frame = _scene(blender, tmp_path, sequence), tmp_path / "out", 2 if sequence else 1
    picture = tmp_path / f"paint_{frame:04d}.png"
    with studio(tmp_path / "worker", blender) as farm:

        def submit() -> bool:
            """Submit the same job once more; returns whether the frame that was there was kept."""
            outcome = farm.run(farm.job(file, output, frames=str(frame), pattern="x_####"))
            assert outcome.ended.reason == ""
            return outcome.parts[0].kept

        assert not submit() and _color(output / f"x_{frame:04d}.png") == list(RED)
        assert submit(), "nothing has changed"
        _paint(picture, BLUE)
        assert not submit() and _color(output / f"x_{frame:04d}.png") == list(BLUE)
        assert submit()


def test_a_frame_of_somebody_else_s_is_rendered_again_however_new_it_is(bpy: Blender, tmp_path: Path) -> None:
    file, output = _scene(bpy, tmp_path), tmp_path / "out"
    output.mkdir()
    foreign = oiio.ImageBuf(oiio.ImageSpec(16, 12, 4, oiio.UINT8))
    assert foreign.write(str(output / "x_0001.png"))
    with studio(tmp_path / "worker", bpy) as farm:
        assert not farm.run(farm.job(file, output, frames="1", pattern="x_####")).parts[0].kept
        assert farm.run(farm.job(file, output, frames="1", pattern="x_####")).parts[0].kept, "now it is brender's own"
    assert _color(output / "x_0001.png") == list(RED)


def test_what_frames_are_made_of_is_told_by_names_sizes_and_times(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("1")
    first = inputs_of([one, other])
    assert inputs_of([other, one]) == first
    other.write_text("2")
    assert inputs_of([one, other]).digest != first.digest


def test_a_file_in_the_place_of_another_of_its_size_and_time_is_another_input(tmp_path: Path) -> None:
    one = tmp_path / "one"
    one.write_text("1")
    first = inputs_of([one])
    replace_unseen(one, b"2")
    assert inputs_of([one]).digest != first.digest
