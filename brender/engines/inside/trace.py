"""Inside Blender: what a .blend says of itself and which files it names; and, asked so, a copy of it that names them elsewhere.

``… trace.py -- REQUEST``: the file REQUEST has, as JSON, the ``file`` to open, where to write the ``answer``, and, for a copy,
its path (``copy``, else "") and what it names differently (``names``, from the path as it is written in the file to the new
one)."""

import json
import os
import sys

import bpy

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import nodes

#: Where paths are in Blender before 5.0, which cannot visit them all by itself.
KINDS = (
    ("images", "image"),
    ("libraries", "library"),
    ("fonts", "font"),
    ("sounds", "sound"),
    ("movieclips", "movie"),
    ("cache_files", "cache"),
    ("volumes", "volume"),
)


def main():
    with open(sys.argv[-1], encoding="utf-8") as file:
        request = json.load(file)
    bpy.ops.wm.open_mainfile(filepath=request["file"], load_ui=False, use_scripts=False)
    names = request["names"]
    if request["copy"]:
        visit(lambda owner, path: names.get(path))
        bpy.ops.wm.save_as_mainfile(filepath=request["copy"], copy=True, relative_remap=False)
    paths = []
    visit(lambda owner, path: paths.append(told(owner, path)))
    answer = {
        "version": list(bpy.data.version[:2]),
        "active": bpy.context.scene.name,
        "scenes": [scene_facts(scene) for scene in bpy.data.scenes if scene.library is None],
        "cameras": sorted(thing.name for thing in bpy.data.objects if thing.type == "CAMERA"),
        "paths": paths,
    }
    with open(request["answer"], "w", encoding="utf-8") as file:
        json.dump(answer, file)


def visit(see):
    """Call *see* with each data-block of the file's own and a path that it names; what it returns, if anything, is named
    instead."""
    if hasattr(bpy.data, "file_path_foreach"):
        flags = {"SKIP_PACKED", "SKIP_LINKED", "SKIP_WEAK_REFERENCES"}
        bpy.data.file_path_foreach(lambda owner, path, _: see(owner, path) if path else None, flags=flags)
        return
    for kind, _ in KINDS:
        for thing in getattr(bpy.data, kind, ()):
            foreign = thing.parent if kind == "libraries" else thing.library
            if foreign or getattr(thing, "packed_file", None) or thing.filepath in {"", "<builtin>"}:
                continue
            other = see(thing, thing.filepath)
            if other is not None:
                thing.filepath = other


def told(owner, path):
    many = getattr(owner, "source", "") in {"SEQUENCE", "TILED"} or bool(getattr(owner, "is_sequence", False))
    kind = dict(KINDS).get(owner.bl_rna.identifier.lower() + "s", owner.bl_rna.identifier.lower())
    return {"path": path, "absolute": bpy.path.abspath(path), "user": kind + " " + owner.name, "many": many}


def scene_facts(scene):
    render = scene.render
    editor = getattr(scene, "sequence_editor", None)
    strips = getattr(editor, "strips", None) or getattr(editor, "sequences", None) if editor else None
    return {
        "name": scene.name,
        "first": scene.frame_start,
        "last": scene.frame_end,
        "step": scene.frame_step,
        "width": render.resolution_x,
        "height": render.resolution_y,
        "percent": render.resolution_percentage,
        "engine": render.engine,
        "image_format": render.image_settings.file_format,
        "output": output_path(render),
        "camera": scene.camera.name if scene.camera else None,
        "fps": round(render.fps / render.fps_base, 3),
        "rate": [render.fps, render.fps_base],
        "current": scene.frame_current,
        "cameras": sorted(thing.name for thing in scene.objects if thing.type == "CAMERA"),
        "use_extension": render.use_file_extension,
        "use_overwrite": render.use_overwrite,
        "use_placeholder": render.use_placeholder,
        "node_paths": nodes.paths(scene) if bpy.app.version >= (4, 5) <= tuple(bpy.data.version[:2]) else [],
        "is_codestream": render.image_settings.jpeg2k_codec == "J2K",
        "needs_camera": not (len(scene.timeline_markers) or (render.use_sequencer and strips)),
    }


def output_path(render):
    """The output path as it stands in the file: of a file from before path templates Blender has doubled the braces."""
    if bpy.app.version >= (4, 5) > tuple(bpy.data.version[:2]):
        return render.filepath.replace("{{", "{").replace("}}", "}")
    return render.filepath


main()
