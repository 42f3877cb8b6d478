"""Inside Blender: what a job asks of its scene otherwise than the file says: camera, engine, view layers, format, device."""

import contextlib

import animation
import bpy
import film
import views

#: brender's word for each engine, and what Blender calls it: the first that this Blender knows.
ENGINES = {
    "cycles": ("CYCLES",),
    "eevee": ("BLENDER_EEVEE", "BLENDER_EEVEE_NEXT"),
    "workbench": ("BLENDER_WORKBENCH",),
}
WORKBENCH_SAMPLES = ((32, "32"), (16, "16"), (11, "11"), (8, "8"), (5, "5"), (2, "FXAA"), (0, "OFF"))


class Refused(Exception):
    """What was asked for cannot be done, now or ever; the text is for the job's owner."""


def set_camera(scene, camera, file):
    if camera is None:
        return
    found = scene.objects.get(camera)
    if found is None or found.type != "CAMERA":
        there = ", ".join(repr(o.name) for o in scene.objects if o.type == "CAMERA") or "none"
        raise Refused("The scene %r of %s has no camera %r; it has: %s" % (scene.name, file, camera, there))
    scene.camera = found
    # A camera bound to a marker would take over again at that marker's frame.
    for marker in scene.timeline_markers:
        marker.camera = None


def set_engine(scene, engine, samples):
    render = scene.render
    if engine:
        for name in ENGINES[engine]:
            try:
                render.engine = name
                break
            except TypeError:
                continue
        else:
            raise Refused("Blender %s has no engine %r" % (bpy.app.version_string, engine))
    if samples:
        animation.mute(scene, ("cycles.samples", "cycles.use_layer_samples", "eevee.taa_render_samples"))
        if render.engine == "CYCLES":
            scene.cycles.samples = samples
            scene.cycles.use_layer_samples = "IGNORE"
        elif render.engine == "BLENDER_WORKBENCH":
            scene.display.render_aa = next(name for most, name in WORKBENCH_SAMPLES if samples >= most)
        elif hasattr(scene, "eevee"):
            scene.eevee.taa_render_samples = samples


def set_layer_samples(scene):
    """If one view layer of *scene* is rendered, and has samples of its own, make them the scene's: shares are taken of those."""
    used = [layer for layer in scene.view_layers if layer.use]
    if scene.render.engine != "CYCLES" or len(used) != 1 or not used[0].samples:
        return
    if animation.animates(scene, ("cycles.use_layer_samples", *animation.samples_of_layers(scene))):
        return
    cycles = scene.cycles
    if cycles.use_layer_samples == "USE":
        animation.mute(scene, ("cycles.samples",))
    elif animation.animates(scene, ("cycles.samples",)):
        return
    cycles.samples = views.samples_of(scene)
    cycles.use_layer_samples = "IGNORE"


def set_layers(scene, layers, file):
    unknown = views.choose_layers(scene, layers) if layers else None
    if unknown is not None:
        there = ", ".join(repr(layer.name) for layer in scene.view_layers)
        raise Refused("The scene %r of %s has no view layer %r; it has: %s" % (scene.name, file, unknown, there))


def set_format(scene, format):
    settings = scene.render.image_settings
    if settings.file_format == format:
        return  # set again it would lose the color space that the scene has for linear formats (seen with 5.0.1)
    movie = film.is_movie(scene) and (settings.color_mode, film.depth_of_frames(scene))
    with views.kept(settings):
        if hasattr(settings, "media_type"):
            settings.media_type = "MULTI_LAYER_IMAGE" if format == "OPEN_EXR_MULTILAYER" else "IMAGE"
        try:
            settings.file_format = format
        except TypeError as error:
            raise Refused("Blender %s cannot write %s" % (bpy.app.version_string, format)) from error
    if movie:
        # As the film has them: what is set for a movie is not kept where its format is changed.
        for name, value in zip(("color_mode", "color_depth"), movie, strict=True):
            with contextlib.suppress(TypeError):  # a format without that choice
                setattr(settings, name, value)


def set_device(scene, wanted, gpus):
    """Render on *gpus* (kind and id of each), or on the CPU if there are none or it is *wanted*; returns what the job's
    owner should know of that."""
    cycles = scene.cycles
    asks_gpu = wanted == "gpu" or (wanted == "scene" and cycles.device == "GPU")
    warnings = []
    if asks_gpu and gpus:
        use_gpus(gpus)
        cycles.device = "GPU"
    else:
        if asks_gpu:
            warnings.append("The scene %r asks for a GPU; workers without one render it on the CPU" % scene.name)
        cycles.device = "CPU"
    on_optix = cycles.device == "GPU" and gpus[0][0] == "optix"
    if getattr(cycles, "denoiser", None) in {"OPTIX", ""} and not on_optix:
        # OptiX denoises on its own devices only; Open Image Denoise does so on any.
        with contextlib.suppress(TypeError):
            cycles.denoiser = "OPENIMAGEDENOISE"
    if hasattr(cycles, "denoising_use_gpu"):
        cycles.denoising_use_gpu = cycles.device == "GPU"
    return warnings


def set_note(scene, note):
    """Let *note* stand in the metadata of every picture, beside the scene's own."""
    render = scene.render
    if render.use_stamp:
        return  # it would be painted onto the picture
    own = render.stamp_note_text if render.use_stamp_note else ""
    render.use_stamp_note = True
    render.stamp_note_text = own + " " + note if own else note


def use_gpus(gpus):
    """Let Cycles use the devices *gpus*, all of one kind, and no other."""
    preferences = bpy.context.preferences.addons["cycles"].preferences
    kind, ids = gpus[0][0].upper(), {id for _, id in gpus}
    try:
        preferences.compute_device_type = kind
    except TypeError as error:
        raise Refused("Blender %s cannot use %s devices here: %s" % (bpy.app.version_string, kind, error)) from error
    preferences.get_devices_for_type(kind)
    for device in preferences.devices:
        device.use = device.type == kind and device.id in ids
    if ids - {device.id for device in preferences.devices if device.use}:
        raise Refused("Blender %s no longer finds all of the worker's devices: restart the worker" % bpy.app.version_string)


def same_engine(wanted, there):
    """Whether *there*, the engine of the scene as Blender opened it, is the *wanted* one that it was saved with: Blender puts
    its own default where it does not know one."""
    known = {name: word for word, names in ENGINES.items() for name in names}
    return wanted in {"", there, "BLENDER_RENDER", "BLENDER_GAME"} or (wanted in known and known[wanted] == known.get(there))
