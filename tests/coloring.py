"""An OpenColorIO configuration of a studio's own, and a scene that was saved with its view, look, display and color space."""

from pathlib import Path

import pytest

from brender.model.nodes import Blender
from tests.tools import in_blender

#: Its view turns the picture around, by a LUT: what is rendered without it looks otherwise.
_CONFIGURATION = """ocio_profile_version: 2

search_path: SEARCH
strictparsing: true
luma: [0.2126, 0.7152, 0.0722]
roles: {default: sRGB, reference: Linear, scene_linear: Linear, rendering: Linear, default_byte: sRGB, default_float: Linear,
  default_sequencer: sRGB, color_picking: sRGB, texture_paint: Linear, data: Raw}
file_rules:
  - !<Rule> {name: Default, colorspace: default}
displays:
  Wall:
    - !<View> {name: Inverse, colorspace: Inverted}
    - !<View> {name: Standard, colorspace: sRGB}
looks:
  - !<Look> {name: Reddish, process_space: sRGB, transform: !<CDLTransform> {slope: [1, 0.5, 0.5]}}
colorspaces:
  - !<ColorSpace> {name: Linear, isdata: false}
  - !<ColorSpace> {name: Raw, isdata: true}
  - !<ColorSpace> {name: Steep, isdata: false, from_scene_reference: !<ExponentTransform> {value: 1.8, direction: inverse}}
  - !<ColorSpace> {name: sRGB, isdata: false, from_scene_reference: !<ExponentTransform> {value: 2.2, direction: inverse}}
  - !<ColorSpace>
    name: Inverted
    isdata: false
    from_scene_reference: !<GroupTransform>
      children:
        - !<ExponentTransform> {value: 2.2, direction: inverse}
        - !<FileTransform> {src: inverse.spi1d, interpolation: linear}
"""
_LUT = "Version 1\nFrom 0.0 1.0\nLength 2\nComponents 1\n{\n1.0\n0.0\n}\n"

_SCENE = """
import bpy
bpy.ops.wm.read_factory_settings()
scene = bpy.context.scene
scene.display_settings.display_device = "Wall"
scene.view_settings.view_transform, scene.view_settings.look = "Inverse", "Reddish"
image = bpy.data.images.new("picture", 8, 8)
image.filepath_raw, image.file_format = FOLDER + "/picture.png", "PNG"
image.save()
texture = bpy.data.images.load(FOLDER + "/picture.png")
texture.name, texture.use_fake_user = "texture", True
texture.colorspace_settings.name = "Steep"
scene.render.engine = "CYCLES"
scene.cycles.samples, scene.cycles.use_denoising = 1, False
scene.render.resolution_x, scene.render.resolution_y = 32, 24
bpy.ops.wm.save_as_mainfile(filepath=FOLDER + "/graded.blend", relative_remap=False)
"""


def configuration(folder: Path, luts: Path | None = None) -> Path:
    """Write the configuration into *folder*, its LUT beside it, or into the folder *luts*, which it then names by its whole
    path."""
    place = luts or folder / "luts"
    place.mkdir(parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    (place / "inverse.spi1d").write_text(_LUT)
    (folder / "config.ocio").write_text(_CONFIGURATION.replace("SEARCH", str(luts) if luts else "luts"))
    return folder / "config.ocio"


def graded_scene(blender: Blender, folder: Path, config: Path) -> Path:
    """Save a scene in *folder* that was made with the configuration *config*."""
    folder.mkdir(parents=True, exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OCIO", str(config))
        in_blender(blender, _SCENE.replace("FOLDER", repr(str(folder))), folder)
    return folder / "graded.blend"
