"""Inside Blender: path templates, which Blender 4.5 brought: in the paths that it writes to, braces stand for names."""

import ctypes
import os
import re

import bpy

HAS_TEMPLATES = bpy.app.version >= (4, 5, 0)
_TOKEN = re.compile(r"\{\{|\}\}|\{node_name\}|\{camera_name\}")
#: What Blender makes an underscore of in such a name.
_UNSAFE = re.compile(r'[\x00-\x1f/\\?*:|"<>]')


def escaped(path):
    """*path* as it must be handed to Blender so that it means itself."""
    return path.replace("{", "{{").replace("}", "}}") if HAS_TEMPLATES else path


def expanded(scene, node, folder, frame):
    """The *folder* that *node* of *scene*'s compositor names, absolute, and with what its templates stand for at *frame*; None:
    as the scene is."""
    library = node.id_data.library
    if not has_templates(folder):
        return bpy.path.abspath(folder, library=library)
    if folder.startswith("//"):
        folder = escaped(bpy.path.abspath("//", library=library)) + folder[2:]
    return _through_blender(scene, node, folder, frame)


def expanded_name(scene, node, name, frame):
    """The *name* of files that *node* of *scene*'s compositor writes, with what its templates stand for, as a template again.

    Where it renders one frame by itself, Blender 5 takes the # of a number's digits for a frame's, and then writes nothing.
    """
    if not has_templates(name):
        return name
    whole = _through_blender(scene, node, "/" + name.lstrip("/\\"), frame)
    return escaped(os.path.splitdrive(whole)[1][1:])


def has_templates(path):
    return HAS_TEMPLATES and bool(set(path) & set("{}"))


def camera_at(scene, frame):
    """The camera that a marker of *scene* binds to *frame*, which Blender takes when it comes there; None: none does."""
    bound = [marker for marker in scene.timeline_markers if marker.camera and not marker.camera.hide_render]
    length = ctypes.c_float(scene.render.frame_map_old / scene.render.frame_map_new).value
    time = int(ctypes.c_float(frame * length).value)
    before = [marker for marker in bound if marker.frame <= time]
    last = max(before, key=lambda marker: marker.frame, default=None)
    return getattr(last or min(bound, key=lambda marker: marker.frame, default=None), "camera", None)


def _through_blender(scene, node, path, frame):
    """*path* expanded by Blender, which knows the scene's templates, but not here the node's, and not yet the frame's camera."""
    camera = camera_at(scene, frame) if frame is not None else scene.camera

    def own(found):
        named = {"{node_name}": node, "{camera_name}": camera}.get(found.group())
        if named is None:
            return found.group()
        name = _UNSAFE.sub("_", named.name)
        return escaped(name if name.strip(".") else "_" + name[1:])

    render = scene.render
    kept = render.filepath
    # As a folder's name, in which no # stands for a frame.
    render.filepath = _TOKEN.sub(own, path).rstrip("/\\") + "/"
    try:
        return os.path.dirname(render.frame_path(frame=1))
    finally:
        render.filepath = kept
