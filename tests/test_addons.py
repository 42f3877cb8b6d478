"""Add-ons: those of the worker's account, which do not reach renders."""

from pathlib import Path

import pytest

from brender.model.nodes import Blender
from tests.rendering import studio
from tests.tools import in_blender, pixels

#: Makes the world red before each frame, and so the background of Workbench.
RED = """
import bpy
bl_info = {"name": "Red world", "version": (1, 2), "blender": (3, 0, 0), "category": "Render"}

@bpy.app.handlers.persistent
def paint(scene, *rest):
    scene.world.color = (1, 0, 0)

def register():
    bpy.app.handlers.render_pre.append(paint)
    bpy.app.handlers.frame_change_pre.append(paint)

def unregister():
    bpy.app.handlers.render_pre.remove(paint)
    bpy.app.handlers.frame_change_pre.remove(paint)
"""
_SCENE = """
import bpy
bpy.ops.wm.read_factory_settings(use_empty=True)
scene = bpy.context.scene
scene.world = bpy.data.worlds.new("World")
scene.world.color = (0, 0, 1)
scene.view_settings.view_transform = "Standard"
scene.render.engine = "BLENDER_WORKBENCH"
scene.render.resolution_x = scene.render.resolution_y = 16
bpy.ops.object.camera_add(location=(0, 0, 5))
scene.camera = bpy.context.object
bpy.ops.wm.save_as_mainfile(filepath={!r})
"""


@pytest.fixture
def scene(tmp_path: Path, blender: Blender) -> Path:
    """A .blend with a blue world."""
    file = tmp_path / "scene.blend"
    in_blender(blender, _SCENE.format(str(file)), tmp_path)
    return file


def is_red(frame: Path) -> bool:
    red, _, blue = pixels(frame)[8, 8, :3]
    assert {bool(red > 0.9), bool(blue > 0.9)} == {True, False}
    return bool(red > blue)


def account(blender: Blender, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process's user have an add-on that paints worlds red, which is enabled, and such a start-up script."""
    home = folder / "home"
    for name in ("addons", "startup"):
        (home / "scripts" / name).mkdir(parents=True)
        (home / "scripts" / name / f"red_{name}.py").write_text(RED)
    (home / "config").mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("BLENDER_USER_SCRIPTS", str(home / "scripts"))
    monkeypatch.setenv("BLENDER_USER_CONFIG", str(home / "config"))
    enable = "import bpy; bpy.ops.preferences.addon_enable(module='red_addons'); bpy.ops.wm.save_userpref()"
    in_blender(blender, enable, folder)
    assert (home / "config" / "userpref.blend").exists()


@pytest.mark.blender
@pytest.mark.thorough
def test_what_the_worker_s_account_prefers_does_not_reach_its_renders(
    blender: Blender, tmp_path: Path, scene: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account(blender, tmp_path, monkeypatch)
    with studio(tmp_path / "w", blender) as worker:
        outcome = worker.run(worker.job(scene, tmp_path / "out", frames="1"))
    assert outcome.ended.reason == ""
    assert not is_red(tmp_path / "out" / "scene_0001.png")
