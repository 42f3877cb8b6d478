"""The size that a frame is expected to have is the one that Blender gives it."""

import subprocess
from pathlib import Path

import pytest

import brender.engines
from brender.engines.command_line import script_in
from brender.engines.environment import clean_environment
from brender.model.nodes import Blender

#: An engine of its own is told by Blender how large the picture is that it should render.
_MEASURES = """
import sys
sys.path.insert(0, INSIDE)
import bpy, views
bpy.ops.wm.read_factory_settings()
class Measures(bpy.types.RenderEngine):
    bl_idname, bl_label = "MEASURES", "Measures"
    def render(self, depsgraph):
        seen.append([self.resolution_x, self.resolution_y])
bpy.utils.register_class(Measures)
render, seen = bpy.context.scene.render, []
render.engine = "MEASURES"
render.use_compositing = render.use_sequencer = False
for width, height in [(1280, 720), (1920, 1080), (1998, 1080), (999, 433), (4096, 1716)]:
    render.resolution_x, render.resolution_y = width, height
    for share in range(1, 101):
        render.resolution_percentage = share
        bpy.ops.render.render()
        assert seen[-1] == views.frame_size(render), (width, height, share, seen[-1], views.frame_size(render))
print("measured", len(seen))
"""


@pytest.mark.blender
def test_every_percentage_of_a_size_is_rounded_as_blender_rounds_it(blender: Blender, tmp_path: Path) -> None:
    script = tmp_path / "measures.py"
    script.write_text(_MEASURES.replace("INSIDE", repr(str(Path(brender.engines.__file__).parent / "inside"))))
    done = subprocess.run(
        script_in(blender, script),
        env=clean_environment({}),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert "measured 500" in done.stdout, done.stdout + done.stderr
