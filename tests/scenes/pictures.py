"""Scenes that are one simple picture: its format, its size, its name, what is burned into it."""

from base import begin, file_format, makes_a_scene


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
