"""What an artist does with the add-on, inside a Blender: run there with what `tests.test_blender_addon` gives, it writes what
came of each step to a file."""

import json
import os
import sys
import time

import bpy

GIVEN = json.loads(sys.argv[-1])
TOLD: dict = {"said": {}}


def types():
    return {name for name in dir(bpy.types) if "brender" in name.lower()}


def handlers():
    found = {name: getattr(bpy.app.handlers, name) for name in dir(bpy.app.handlers)}
    return {name: len(each) for name, each in found.items() if isinstance(each, list)}


def attempt(step, operator, **words):
    """Have the add-on do something, and keep what it said of it; "" where it was content."""
    try:
        getattr(bpy.ops.brender, operator)(**words)
        TOLD["said"][step] = ""
    except RuntimeError as error:
        TOLD["said"][step] = str(error).strip().removeprefix("Error: ")


def install():
    if hasattr(bpy.app, "online_access"):
        bpy.context.preferences.system.use_online_access = False  # (the farm is on this machine)
    if bpy.app.version >= (4, 2, 0):
        bpy.ops.extensions.package_install_files(filepath=GIVEN["zip"], repo="user_default", enable_on_install=True)
        return "bl_ext.user_default.brender_farm"
    bpy.ops.preferences.addon_install(filepath=GIVEN["zip"])
    bpy.ops.preferences.addon_enable(module="brender_farm")
    return "brender_farm"


def make_scene(folder):
    """Save a scene whose picture lies beside its folder, as a studio's textures do."""
    scene = bpy.context.scene
    scene.render.engine = "BLENDER_WORKBENCH"
    scene.frame_end = 3
    scene.render.resolution_percentage = 5
    os.makedirs(f"{folder}/shot")
    os.makedirs(f"{folder}/textures")
    picture = bpy.data.images.new("wood", 8, 8)
    picture.filepath_raw = f"{folder}/textures/wood ü.png"
    picture.file_format = "PNG"
    picture.save()
    bpy.ops.wm.save_as_mainfile(filepath=f"{folder}/shot/scene one.blend")
    picture.filepath = "//../textures/wood ü.png"
    picture.use_fake_user = True
    picture.source = "FILE"
    bpy.ops.wm.save_mainfile()
    return scene


before, before_handlers = types(), handlers()
module = install()
parts = sys.modules[module]
preferences = bpy.context.preferences.addons[module].preferences
TOLD["address"] = preferences.address

attempt("no token", "submit")
preferences.address = "no where"
attempt("no address", "connect")
preferences.address = GIVEN["nowhere"]
attempt("nobody there", "paste_token", token=GIVEN["token"])
preferences.address = TOLD["address"]
attempt("wrong token", "paste_token", token="brender_wrong")
attempt("token", "paste_token", token=GIVEN["token"])
kept = os.path.join(bpy.utils.user_resource("CONFIG"), "brender_tokens.json")
TOLD["mode"] = os.stat(kept).st_mode & 0o777
attempt("never saved", "submit")

scene = make_scene(GIVEN["folder"])
camera, scene.camera = scene.camera, None
attempt("no camera", "submit")
scene.camera = camera
scene.brender.settings["samples"].text = "many"
attempt("no number", "submit")
scene.brender.settings["samples"].text = ""
textures = os.path.join(GIVEN["folder"], "textures")
os.rename(textures, f"{textures}-away")
attempt("missing", "submit")
attempt("jobs", "refresh")
TOLD["jobs after refusals"] = len(parts.state.jobs)
os.rename(f"{textures}-away", textures)

attempt("check", "check")
TOLD["outlook"] = list(parts.state.outlook)
scene.brender.settings["frames"].text = "1-2"
attempt("submit", "submit")
attempt("test frame", "test_frame")
TOLD["test frame"] = list(bpy.data.images["Test frame 1"].size)
end = time.monotonic() + 90
while time.monotonic() < end:
    bpy.ops.brender.refresh()
    if all(each["status"] == "completed" for each in parts.state.jobs):
        break
    time.sleep(0.2)
TOLD["jobs"] = [[each["name"], each["status"], each["units_done"]] for each in parts.state.jobs]
attempt("load", "load", job=parts.state.jobs[-1]["id"])
loaded = bpy.data.images["scene one"]
TOLD["loaded"] = [loaded.source, os.path.exists(bpy.path.abspath(loaded.filepath))]
attempt("pause what is done", "act", job=parts.state.jobs[-1]["id"], action="pause")

attempt("forget", "forget_token")
attempt("forgotten", "submit")
bpy.ops.preferences.addon_disable(module=module)
TOLD["left"] = sorted(types() - before) + ["a property of scenes"] * hasattr(bpy.types.Scene, "brender")
TOLD["left"] += ["handlers"] * (handlers() != before_handlers)
TOLD["left"] += [each for each in os.listdir(bpy.app.tempdir) if each.startswith("brender")]
with open(GIVEN["told"], "w", encoding="utf-8") as file:
    json.dump(TOLD, file)
