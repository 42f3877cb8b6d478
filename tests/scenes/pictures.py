"""Scenes that are one simple picture: its format, its size, its name, what is burned into it."""

import os
import time

from base import begin, file_format, makes_a_scene, write_picture


@makes_a_scene
def picture(folder, format="PNG", values=None, render=None, scene_values=None, passes=(), **how):
    """A cube in *format*, with further *values* of its settings, of the *render* settings and of the scene."""
    scene = begin(**how)
    file_format(scene.render.image_settings, format, **(values or {}))
    for key, value in (render or {}).items():
        setattr(scene.render, key, value)
    for key, value in (scene_values or {}).items():
        setattr(scene, key, value)
    for name in passes:
        setattr(scene.view_layers[0], name, True)


@makes_a_scene
def saved_at(folder, frame, **how):
    """A cube, saved while *frame* was the current one."""
    begin(**how).frame_set(frame)


@makes_a_scene
def colored(folder, view=None, format="PNG", override=None, linear=None, display=None, **how):
    """A cube with values of its *view* settings, with settings that its output *override*s, or another *linear* color space."""
    scene = begin(**how)
    image = scene.render.image_settings
    file_format(image, format)
    if display:
        scene.display_settings.display_device = display
    for key, value in (view or {}).items():
        setattr(scene.view_settings, key, value)
    if override is not None:
        image.color_management = "OVERRIDE"
        for key, value in override.items():
            setattr(image.view_settings, key, value)
    if linear:
        image.color_management = "OVERRIDE"
        image.linear_colorspace_settings.name = linear


@makes_a_scene
def there_already(folder, newer=False, **how):
    """A cube whose first frame is there already, as another picture of the right size."""
    overwrite = how.pop("overwrite", True)
    placeholders = how.pop("placeholders", False)
    begin()
    path = write_picture(os.path.join(folder, "out", "pic_0001.png"), size=32)
    if newer:
        later = time.time() + 600
        os.utime(path, (later, later))
    scene = begin(size=(32, 32), **how)
    scene.render.use_overwrite = overwrite
    scene.render.use_placeholder = placeholders


@makes_a_scene
def engine(folder, kind, **how):
    """A cube rendered by another engine than Cycles."""
    scene = begin(**how)
    names = {"EEVEE": ("BLENDER_EEVEE", "BLENDER_EEVEE_NEXT"), "WORKBENCH": ("BLENDER_WORKBENCH",)}[kind]
    for each in names:
        try:
            scene.render.engine = each
        except TypeError:
            continue
    if kind == "EEVEE":
        scene.eevee.taa_render_samples = 1


@makes_a_scene
def cycles(folder, values, **how):
    """A cube with *values* of Cycles' own settings."""
    scene = begin(**how)
    for key, value in values.items():
        setattr(scene.cycles, key, value)
