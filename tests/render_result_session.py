"""Pictures of each format that are put into the Render Result inside a Blender: run there with what
`tests.test_blender_addon_frames` gives, it writes what came of each to a file."""

import json
import sys
from pathlib import Path

import bpy

GIVEN = json.loads(sys.argv[-1])
sys.path.insert(0, GIVEN["addon"])
from brender_farm import exr_header, render_result  # noqa: E402
from brender_farm.client import FarmError  # noqa: E402

FOLDER = GIVEN["folder"]
#: Each format with its depth: what the farm's frame is written as.
FORMATS = {
    "8 bit.png": ("PNG", "8", "RGBA"),
    "16 bit.png": ("PNG", "16", "RGBA"),
    "opaque.png": ("PNG", "8", "RGB"),
    "still.jpg": ("JPEG", "8", "RGB"),
    "half.exr": ("OPEN_EXR", "16", "RGBA"),
    "float.exr": ("OPEN_EXR", "32", "RGBA"),
    "opaque.exr": ("OPEN_EXR", "32", "RGB"),
    "layers.exr": ("OPEN_EXR_MULTILAYER", "32", "RGBA"),
}
TOLD = {}
#: What is called at a render.
HANDLERS = ["render_init", "render_pre", "render_post", "render_complete", "render_cancel", "render_write", "render_stats"]
HANDLERS += ["frame_change_pre", "frame_change_post"]
called = []
scene = bpy.context.scene
render, settings = scene.render, scene.render.image_settings


def write_as(format, depth, mode):
    if hasattr(settings, "media_type"):
        settings.media_type = "MULTI_LAYER_IMAGE" if format == "OPEN_EXR_MULTILAYER" else "IMAGE"
    settings.file_format = format
    if format != "JPEG":
        settings.color_depth = depth
    settings.color_mode = mode


def pixels(path):
    image = bpy.data.images.load(path)
    image.colorspace_settings.name = "Non-Color"
    found = list(image.pixels)
    bpy.data.images.remove(image)
    return found


def shown_differs(path, written):
    """Return by how much the Render Result, as a file that is *written* so, differs from that at *path* at most."""
    write_as(*written)
    made = f"{FOLDER}/shown{Path(path).suffix}"
    render_result.image().save_render(made)
    return max(abs(one - two) for one, two in zip(pixels(made), pixels(path), strict=True))


def state():
    kept = "engine resolution_x resolution_y resolution_percentage use_border use_compositing use_sequencer use_multiview "
    kept += "use_freestyle use_motion_blur"
    found = [getattr(render, name, None) for name in kept.split()] + [scene.camera.name if scene.camera else None]
    found += [[each.name, each.use] for each in scene.view_layers]
    found += [len(each) for each in (bpy.data.scenes, bpy.data.cameras, bpy.data.objects)]
    return found + [list(getattr(bpy.app.handlers, name)) for name in HANDLERS]


def slots_now():
    """Return which slot is the active one, and how all are called."""
    slots = render_result.image().render_slots
    return [slots.active_index, [each.name for each in slots]]


def refused(name, key="x"):
    """Return what is said of a picture that cannot be put into the Render Result."""
    try:
        render_result.load(bpy.context, f"{FOLDER}/{name}", f"{key}, frame 1", key)
    except FarmError as error:
        return str(error)
    return ""


render.engine, scene.cycles.samples, scene.cycles.use_denoising, scene.cycles.device = "CYCLES", 1, False, "CPU"
render.resolution_x, render.resolution_y, render.resolution_percentage, render.film_transparent = 48, 27, 100, True
first = scene.view_layers[0]
first.use_pass_z = first.use_pass_cryptomatte_object = True
scene.view_layers.new("Second").use = False
for name, written in FORMATS.items():
    write_as(*written)
    render.filepath = f"{FOLDER}/{name}"
    bpy.ops.render.render(write_still=True)

# What is rendered here afterwards is another picture, of another size, in the artist's own slot.
scene.camera.location.x += 2
render.resolution_percentage, render.use_border = 50, True
bpy.ops.render.render()
write_as("OPEN_EXR", "32", "RGBA")
render_result.image().save_render(f"{FOLDER}/own.exr")
if hasattr(render, "use_freestyle"):
    render.use_freestyle = True
render.use_motion_blur = True
for name in HANDLERS:
    for number in (1, 2):
        getattr(bpy.app.handlers, name).append(lambda *words, call=(name, number): called.append(call))
before = state()
for name, written in FORMATS.items():
    inexact = render_result.load(bpy.context, f"{FOLDER}/{name}", f"{name}, frame 1", name)
    if name == "layers.exr":
        difference = shown_differs(f"{FOLDER}/float.exr", FORMATS["float.exr"])
        write_as(*written)
        render_result.image().save_render(f"{FOLDER}/again.exr")
        again = exr_header.read_header(f"{FOLDER}/again.exr")
        TOLD["same passes"] = again.layers == exr_header.read_header(f"{FOLDER}/{name}").layers
    else:
        difference = shown_differs(f"{FOLDER}/{name}", ("PNG", "8", "RGB") if name == "still.jpg" else written)
    TOLD[name] = [difference, inexact]
TOLD["unchanged"] = state() == before
TOLD["called"] = list(called)
slots = render_result.image().render_slots
TOLD["slots"] = [each.name for each in slots][8:]
render_result.load(bpy.context, f"{FOLDER}/float.exr", "float.exr, frame 2", "float.exr")
TOLD["again"] = [slots.active.name, len(slots)]
slots.active_index = 0
TOLD["own"] = shown_differs(f"{FOLDER}/own.exr", FORMATS["float.exr"])

Path(FOLDER, "cut.exr").write_bytes(Path(FOLDER, "half.exr").read_bytes()[:200])
Path(FOLDER, "no.png").write_bytes(b"no picture")
now = slots_now()
TOLD["refused"] = [refused(name) for name in ("cut.exr", "no.png", "gone.png")]
TOLD["slots after refusals"] = slots_now() == now
# The engine fails in the midst of a render, twice. (A mock: Blender itself shows even what it cannot read, as black.)
before, reads = state(), render_result._Engine._read_layers
render_result._Engine._read_layers = lambda engine, given: 1 / 0
TOLD["broken"] = [refused("layers.exr"), refused("layers.exr", "another job")]
render_result._Engine._read_layers = reads
index, names = slots_now()
TOLD["slots after broken"] = [index == now[0], names[: len(now[1])] == now[1], names[len(now[1]) :]]
TOLD["own after broken"] = shown_differs(f"{FOLDER}/own.exr", FORMATS["float.exr"])
TOLD["unchanged"] &= state() == before
render_result.load(bpy.context, f"{FOLDER}/float.exr", "third, frame 1", "third")
TOLD["slots at last"] = slots_now()[1][len(now[1]) :]
scene.camera = None
before = state()
TOLD["no camera"] = render_result.load(bpy.context, f"{FOLDER}/float.exr", "float.exr, frame 2", "float.exr")
TOLD["unchanged"] &= state() == before
Path(GIVEN["told"]).write_text(json.dumps(TOLD), encoding="utf-8")
