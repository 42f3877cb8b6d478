"""A frame of the farm in the Render Result, as if it had been rendered here: there artists compare it with their own by J.

Only a render writes there, so this is one: the scene is given an engine for it that reads the farm's file in place of rendering.
"""

import array
import contextlib
import os
import tempfile

import bpy

from .client import FarmError
from .exr_header import check_whole, read_header, write_as_layer

_ENGINE = "BRENDER_FRAMES"
_LAYER = "Farm"
#: Formats whose pixels are the scene's own light, and not what a view shows of it.
_LINEAR = (".exr", ".hdr")
#: The color space in which a picture is read again that was written through a view, so that the view shows the same colors.
_READ_BACK = {
    "Standard": "sRGB",
    "Filmic": "Filmic sRGB",
    "AgX": "AgX Base sRGB",
    "Khronos PBR Neutral": "Khronos PBR Neutral sRGB",
}
#: The name of a slot whose picture did not come.
_EMPTY = "brender: empty"
#: How the lists of functions begin that Blender calls at a render, and as the render sets its frame.
_AT_RENDERS = ("render_", "frame_change_")
_RAW = ("Raw", "Non-Color")
#: Since then an engine can hand over its pixels in one piece. Those before are handed a file with layers, as they take plain ones
#: with their alpha wrong.
_TAKES_PIXELS = (4, 2, 0)


class _Engine(bpy.types.RenderEngine):
    """Puts the file `given` where a render puts its pixels. It is known to Blender during one render only."""

    bl_idname = _ENGINE
    bl_label = "Frames of the farm"
    bl_use_postprocess = False
    bl_use_preview = False

    given = None
    error = None

    def render(self, depsgraph):
        given = _Engine.given
        try:
            if given.layers:
                self._read_layers(given)
            else:
                self._read_picture(given)
        except Exception as error:  # (Blender only prints what is raised here)
            _Engine.error = error

    def _read_layers(self, given):
        for layer, passes in given.layers.items():
            for name, letters in passes.items():
                if name != "Combined":
                    self.add_pass(name, len(letters), letters, layer=layer)
        result = self.begin_result(0, 0, given.width, given.height)
        result.load_from_file(given.path)
        self.end_result(result)

    def _read_picture(self, given):
        result = self.begin_result(0, 0, given.width, given.height)
        result.layers[_LAYER].passes["Combined"].rect.foreach_set(given.pixels)
        self.end_result(result)


class _Given:
    """What the engine puts into the result: the ``layers`` of a multilayer file, or the ``pixels`` of a picture."""

    def __init__(self, path, width, height, layers=None, pixels=None):
        self.path = path
        self.width, self.height = width, height
        self.layers = layers
        self.pixels = pixels


def load(context, path, name, key):
    """Show the picture at *path* in the scene's Render Result, in the slot that is named *name*: the one with an earlier picture
    of *key* (its name begins so), or a further one. Return what is not exact about its colors, in words, or "" if nothing is.
    Raises `FarmError`."""
    if bpy.app.is_job_running("RENDER"):
        raise FarmError("Blender renders now: try it again when that has ended")
    scene = context.scene
    with contextlib.ExitStack() as stack:
        given, inexact = _given(scene, path, stack)
        _set(stack, scene, camera=scene.camera or _temporary_camera(stack))
        render = scene.render
        _set(stack, render, engine=_registered(stack), resolution_x=given.width, resolution_y=given.height)
        _set(stack, render, resolution_percentage=100, use_border=False, use_compositing=False, use_sequencer=False)
        _set(stack, render, use_multiview=False, use_freestyle=False, use_motion_blur=False)
        _use_layers(stack, scene, list(given.layers or [_LAYER]))
        _Engine.given, _Engine.error = given, None
        stack.callback(setattr, _Engine, "given", None)
        _without_handlers(stack)
        with _slot(key):
            _render(path)
    image().render_slots.active.name = name
    return inexact


def image():
    """Return the image that Blender shows renders in, or ``None`` as long as nothing was rendered."""
    return next((each for each in bpy.data.images if each.type == "RENDER_RESULT"), None)


def _render(path):
    """Render what the engine is given, the picture at *path*. Raises `FarmError`."""
    try:
        bpy.ops.render.render()
    except RuntimeError as error:
        raise FarmError(f"{path} does not come into the Render Result: {error}") from error
    if _Engine.error is not None:
        raise FarmError(f"{path} does not come into the Render Result: {_Engine.error}") from _Engine.error


def _given(scene, path, stack):
    """Return what the engine is to read of *path*, and what is not exact about it, in words."""
    header = read_header(path)
    if header is not None:
        check_whole(path)
    if header is not None and header.has_views:
        raise FarmError(f"{os.path.basename(path)} holds the pictures of several views: the Render Result takes one alone")
    if header is not None and header.layers:
        return _Given(path, header.width, header.height, layers=header.layers), ""
    space = inexact = ""
    if not path.lower().endswith(_LINEAR):
        space, inexact = _read_back(scene)
    takes_pixels = bpy.app.version >= _TAKES_PIXELS
    if space or not takes_pixels:
        path = _as_exr(path, space, stack)
    if not takes_pixels:
        layered = f"{path}-layer.exr"
        write_as_layer(path, layered, _LAYER)
        header = read_header(layered)
        return _Given(layered, header.width, header.height, layers=header.layers), inexact
    with _loaded(path) as picture:
        width, height = picture.size
        pixels = array.array("f", [0.0]) * (width * height * 4)
        picture.pixels.foreach_get(pixels)
    return _Given(path, width, height, pixels=pixels), inexact


@contextlib.contextmanager
def _loaded(path):
    """Load the picture at *path*, which Blender forgets again afterwards. Raises `FarmError`."""
    try:
        picture = bpy.data.images.load(path)
    except RuntimeError as error:
        raise FarmError(f"Blender cannot read {path}: {error}") from error
    try:
        if not picture.size[0]:
            raise FarmError(f"Blender cannot read {path}")
        yield picture
    finally:
        bpy.data.images.remove(picture)


def _as_exr(path, space, stack):
    """Write the picture at *path* to a temporary OpenEXR file of its light, read in the color space *space* ("": its own), and
    return that. Raises `FarmError`."""
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="brender-", dir=bpy.app.tempdir or None))
    made = os.path.join(folder, "linear.exr")
    writing = bpy.data.scenes.new("brender")
    try:
        settings = writing.render.image_settings
        if hasattr(settings, "media_type"):
            settings.media_type = "IMAGE"
        settings.file_format, settings.color_mode, settings.color_depth = "OPEN_EXR", "RGBA", "32"
        with _loaded(path) as picture:
            if space:
                picture.colorspace_settings.name = space
            picture.save_render(made, scene=writing)
    except (RuntimeError, TypeError) as error:
        raise FarmError(f"{path} cannot be brought to linear colors: {error}") from error
    finally:
        bpy.data.scenes.remove(writing)
    return made


def _read_back(scene):
    """Return the color space in which a picture that *scene* wrote is read to look the same, and what is not exact about it."""
    settings = scene.render.image_settings
    is_own = getattr(settings, "color_management", "") == "OVERRIDE"
    view = settings.view_settings if is_own else scene.view_settings
    display = (settings if is_own else scene).display_settings.display_device
    known = {each.identifier for each in bpy.types.ColorManagedInputColorspaceSettings.bl_rna.properties["name"].enum_items}
    transform = view.view_transform
    space = _READ_BACK.get(transform, "")
    if transform in _RAW:
        return "Non-Color", ""
    extras = view.look != "None", view.exposure != 0, view.gamma != 1, view.use_curve_mapping, _is_balanced(view)
    if display != "sRGB" or space not in known:
        return "sRGB", f"{transform} on {display} cannot be taken back from its pixels, so it shows them a second time"
    if any(extras):
        return space, f"the look, exposure, gamma and curves of {transform} cannot be taken back, so they show a second time"
    return space, "" if transform == "Standard" else f"colors are taken back from {transform}, and clipped where it clips them"


def _is_balanced(view):
    return bool(getattr(view, "use_white_balance", False))


@contextlib.contextmanager
def _slot(key):
    """Make that slot of the Render Result the active one which has an earlier picture of *key*, or is empty since a picture did
    not come, or a further one: which of the artist's own are empty Blender does not tell. Where it fails, the one that was active
    before is again, and the other is removed."""
    result = image()
    if result is None:
        yield  # (the first render of all makes the slots)
        return
    slots, before = result.render_slots, result.render_slots.active_index
    names = [slot.name for slot in slots]
    found = [at for at, name in enumerate(names) if name.startswith(key)]
    found += [at for at, name in enumerate(names) if name == _EMPTY]
    if not found:
        slots.new(name=key)
        found = [len(names)]
    slots.active_index = number = found[0]
    try:
        yield
    except FarmError:
        many = len(slots)
        _remove_active(result)
        slots.active_index = before - 1 if len(slots) < many and number < before else before
        raise


def _remove_active(result):
    """Remove the active slot of *result*. Blender keeps that of the latest render: the next picture of the farm is put there."""
    result.render_slots.active.name = _EMPTY
    with bpy.context.temp_override(edit_image=result):
        bpy.ops.image.remove_render_slot()


def _without_handlers(stack):
    """Empty the lists of what the artist's scripts do at a render, until *stack* ends: nothing is rendered here."""
    for name in dir(bpy.app.handlers):
        if name.startswith(_AT_RENDERS):
            handlers = getattr(bpy.app.handlers, name)
            stack.callback(handlers.__setitem__, slice(None), handlers[:])
            handlers.clear()


def _registered(stack):
    bpy.utils.register_class(_Engine)
    stack.callback(bpy.utils.unregister_class, _Engine)
    return _ENGINE


def _set(stack, owner, **values):
    """Set *values* of *owner*, where it has them, until *stack* ends."""
    for name, value in values.items():
        if hasattr(owner, name):
            stack.callback(setattr, owner, name, getattr(owner, name))
            setattr(owner, name, value)


def _temporary_camera(stack):
    data = bpy.data.cameras.new("brender")
    stack.callback(bpy.data.cameras.remove, data)
    camera = bpy.data.objects.new("brender", data)
    stack.callback(bpy.data.objects.remove, camera)
    return camera


def _use_layers(stack, scene, names):
    """Let *scene* render the view layers *names* alone. Those that it lacks are added for that, without anything in them, so that
    nothing of a heavy scene is evaluated for a picture that is there already."""
    for each in list(scene.view_layers):
        _set(stack, each, use=each.name in names)
    for name in names:
        if name not in scene.view_layers:
            layer = scene.view_layers.new(name)
            stack.callback(scene.view_layers.remove, layer)
            for each in layer.layer_collection.children:
                each.exclude = True
