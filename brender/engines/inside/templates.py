"""Inside Blender: path templates, which Blender 4.5 brought: in the paths that it writes to, braces stand for names."""

import os
import re

import bpy

HAS_TEMPLATES = bpy.app.version >= (4, 5, 0)
_TOKEN = re.compile(r"\{\{|\}\}|\{node_name\}")
#: What Blender makes an underscore of in such a name.
_UNSAFE = re.compile(r'[\x00-\x1f/\\?*:|"<>]')


def escaped(path):
    """*path* as it must be handed to Blender so that it means itself."""
    return path.replace("{", "{{").replace("}", "}}") if HAS_TEMPLATES else path


def expanded(scene, node, folder):
    """The *folder* that *node* of *scene*'s compositor names, absolute, and with what its templates stand for."""
    library = node.id_data.library
    if not has_templates(folder):
        return bpy.path.abspath(folder, library=library)
    if folder.startswith("//"):
        folder = escaped(bpy.path.abspath("//", library=library)) + folder[2:]
    return _through_blender(scene, node, folder)


def expanded_name(scene, node, name):
    """The *name* of files that *node* of *scene*'s compositor writes, with what its templates stand for, as a template again.

    Where it renders one frame by itself, Blender 5 takes the # of a number's digits for a frame's, and then writes nothing.
    """
    if not has_templates(name):
        return name
    whole = _through_blender(scene, node, "/" + name.lstrip("/\\"))
    return escaped(os.path.splitdrive(whole)[1][1:])


def has_templates(path):
    return HAS_TEMPLATES and bool(set(path) & set("{}"))


def _through_blender(scene, node, path):
    """*path* expanded by Blender, which knows the scene's templates, but not here the node's."""

    def own(found):
        name = _UNSAFE.sub("_", node.name)
        return escaped(name if name.strip(".") else "_" + name[1:]) if "node" in found.group() else found.group()

    render = scene.render
    kept = render.filepath
    # As a folder's name, in which no # stands for a frame.
    render.filepath = _TOKEN.sub(own, path).rstrip("/\\") + "/"
    try:
        return os.path.dirname(render.frame_path(frame=1))
    finally:
        render.filepath = kept
