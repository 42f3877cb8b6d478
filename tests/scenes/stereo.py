"""Scenes that are seen by several cameras at once."""

from base import add_camera, begin, file_format, makes_a_scene


@makes_a_scene
def stereo(folder, format="PNG", views="INDIVIDUAL", mode=None, stereo_values=None, **how):
    """Left and right eye."""
    scene = begin(**how)
    file_format(scene.render.image_settings, format)
    scene.render.use_multiview = True
    scene.render.image_settings.views_format = views
    if mode:
        scene.render.image_settings.stereo_3d_format.display_mode = mode
    for key, value in (stereo_values or {}).items():
        setattr(scene.render.image_settings.stereo_3d_format, key, value)


@makes_a_scene
def three_views(folder, format="PNG", views="INDIVIDUAL", **how):
    """Three cameras, each a view of its own."""
    scene = begin(**how)
    file_format(scene.render.image_settings, format)
    scene.render.use_multiview = True
    scene.render.views_format = "MULTIVIEW"
    scene.render.image_settings.views_format = views
    for view in list(scene.render.views)[2:]:
        scene.render.views.remove(view)
    for view, suffix in zip(scene.render.views, ("_west", "_east"), strict=True):
        view.camera_suffix = view.file_suffix = suffix
    top = scene.render.views.new("top")
    top.camera_suffix = top.file_suffix = "_top"
    scene.camera.name = "Cam_west"
    add_camera(scene, "Cam_east", (0.5, -6, 0))
    add_camera(scene, "Cam_top", (0, -6, 1))
