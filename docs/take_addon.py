"""Takes the picture of the add-on that docs/reference/blender_addon.rst shows: a window of Blender under a virtual screen (Xvfb),
with a farm that renders what is submitted there.

python docs/take_addon.py [BLENDER]
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

TARGET = Path(__file__).parent / "screenshots" / "blender-addon.webp"
SIZE = (1600, 1000)
LONGEST_SECONDS = 240
#: Of Blender's own panels none is to be in the way.
OTHER_PANELS = (
    "RENDER_PT_format RENDER_PT_frame_range RENDER_PT_time_stretching RENDER_PT_post_processing RENDER_PT_stamp RENDER_PT_output "
    "RENDER_PT_stereoscopy RENDER_PT_output_color_management"
)


def inside(given):
    """What happens in Blender's window: submit a shot and another scene of it, and watch the frames come."""
    import bpy

    bpy.context.preferences.view.show_splash = False
    bpy.ops.preferences.addon_install(filepath=given["zip"])
    bpy.ops.preferences.addon_enable(module="brender_farm")
    bpy.ops.brender.paste_token(token=given["token"])
    from brender_farm import state

    def area(kind):
        return next(each for each in bpy.context.window.screen.areas if each.type == kind)

    def press(operator, **words):
        shown = area("PROPERTIES")
        region = next(each for each in shown.regions if each.type == "WINDOW")
        with bpy.context.temp_override(area=shown, region=region):
            getattr(bpy.ops.brender, operator)("INVOKE_DEFAULT", **words)

    def steps():
        bpy.ops.wm.save_as_mainfile(filepath=f"{given['folder']}/sh_010.blend")
        scene, other = _scenes(bpy)
        yield 1.0
        for name in OTHER_PANELS.split():
            if hasattr(bpy.types, name):
                bpy.utils.unregister_class(getattr(bpy.types, name))
        view = area("VIEW_3D")
        with bpy.context.temp_override(area=view, region=view.regions[-1]):
            bpy.ops.screen.area_split(direction="VERTICAL", factor=0.52)
        yield 0.5
        area("PROPERTIES").type = "OUTLINER"
        shown = max((each for each in bpy.context.window.screen.areas if each.type == "VIEW_3D"), key=lambda each: each.x)
        shown.type = "PROPERTIES"
        yield 0.5
        view = area("VIEW_3D")
        with bpy.context.temp_override(area=view, region=view.regions[-1]):
            bpy.ops.screen.area_split(direction="HORIZONTAL", factor=0.35)
        yield 0.5
        both = sorted((each for each in bpy.context.window.screen.areas if each.type == "VIEW_3D"), key=lambda each: each.y)
        both[0].type, both[1].type = "SEQUENCE_EDITOR", "IMAGE_EDITOR"
        yield 1.0
        shown.spaces.active.context = "OUTPUT"
        yield 1.0
        scene.brender.is_chosen = other.brender.is_chosen = scene.brender.show_scenes = True
        press("submit")
        while state.work or not state.jobs:
            yield 0.5
        shot = next(each["id"] for each in state.jobs if each["name"].endswith(scene.name))
        while not any(each["id"] == shot and each["units_done"] for each in state.jobs):
            yield 0.5
        for target in ("IMAGE", "SEQUENCER"):
            press("load", job=shot, target=target)
            while state.work:
                yield 0.2
        state.outlook = []
        scene.frame_set(3)
        for kind, operator in (("SEQUENCE_EDITOR", bpy.ops.sequencer.view_all), ("IMAGE_EDITOR", bpy.ops.image.view_all)):
            region = next(each for each in area(kind).regions if each.type == "WINDOW")
            with bpy.context.temp_override(area=area(kind), region=region):
                operator()
        press("test_frame")
        while state.work and not state.work.words.startswith("Test frame"):
            yield 0.1
        yield 1.0
        bpy.ops.screen.screenshot(filepath=given["picture"])
        yield 1.0
        bpy.ops.wm.quit_blender()

    going = steps()

    def go():
        try:
            return next(going)
        except StopIteration:
            return None
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(3)

    bpy.app.timers.register(go, first_interval=2.0, persistent=True)


def _scenes(bpy):
    """Return the scene that is open, with something to see, and a second one."""
    scene = bpy.context.scene
    scene.name, scene.frame_end = "Lighting", 24
    scene.render.engine, scene.render.resolution_percentage = "BLENDER_WORKBENCH", 40
    scene.display.shading.color_type, scene.display.shading.show_cavity = "RANDOM", True
    for turn in range(9):
        bpy.ops.mesh.primitive_monkey_add(location=(turn % 3 * 3 - 4, turn // 3 * 3 - 3, 0), rotation=(0, 0, turn * 0.4))
        one = bpy.context.object
        one.keyframe_insert("rotation_euler", frame=1)
        one.rotation_euler.z += 3
        one.keyframe_insert("rotation_euler", frame=24)
    scene.camera.location.z += 3
    bpy.ops.scene.new(type="LINK_COPY")
    other = bpy.context.scene
    other.name, other.frame_end = "Turntable", 8
    bpy.context.window.scene = scene
    bpy.ops.wm.save_mainfile()
    return scene, other


def main(blender="blender"):
    """Start a farm and a virtual screen, and Blender in it; keep the picture that it takes."""
    import hashlib
    import secrets

    import OpenImageIO as oiio

    from brender.blender_addon.build import addon_zip
    from brender.commands.localfarm import FarmPlan, LocalFarm
    from brender.commands.options import client
    from brender.store.datafolder import DataFolder

    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        farm = stack.enter_context(LocalFarm(FarmPlan(folder=DataFolder(folder / "data"), workers=2, any_ports=True)))
        token = f"brender_{secrets.token_urlsafe(32)}"
        with client(None, farm.folder.root) as connection:
            connection.manage("set-user", name="anna", role="artist", password="!")
            digest = hashlib.sha256(token.encode()).hexdigest()
            connection.manage("create-api-token", user="anna", name="Blender", digest=digest)
        (folder / "addon.zip").write_bytes(addon_zip(farm.dashboard_url.rstrip("/")))
        picture = folder / "addon.png"
        given = {"zip": str(folder / "addon.zip"), "token": token, "folder": str(folder), "picture": str(picture)}
        width, height = map(str, SIZE)
        env = os.environ | {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder / "config")}
        words = ["xvfb-run", "-a", "-s", f"-screen 0 {width}x{height}x24", blender, "--factory-startup"]
        words += ["--window-geometry", "0", "0", width, height, "--python", __file__, "--", json.dumps(given)]
        subprocess.run(words, env=env, check=True, timeout=LONGEST_SECONDS)
        image = oiio.ImageBuf(str(picture))
        image.specmod().attribute("compression", "webp:90")
        if not image.write(str(TARGET)):
            raise OSError(f"{TARGET} is not written: {image.geterror()}")


if "bpy" in sys.modules and "--" in sys.argv:
    inside(json.loads(sys.argv[-1]))
elif __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("blender", nargs="?", default="blender", metavar="BLENDER", help="the executable of a Blender")
    main(parser.parse_args().blender)
