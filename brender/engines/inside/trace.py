"""Inside Blender: what .blend files say of themselves and which files they name; and, asked so, copies that name them elsewhere.

Reads from standard input one request a line, as JSON: the ``file`` to open ("": none, only to see that it runs), the folder
``within`` which nobody looks beyond ("": anywhere), where to write the ``answer``, and, for a copy, its path (``copy``, else "")
and what it names differently (``names``, from the path as it is written in the file to the new one). Before and after each it
writes the line ``mark`` to standard output, where Blender writes too, and names from files with it: so the mark is one that no
file can know. It ends with its input, and takes its working folder with it.
"""

import contextlib
import ctypes
import json
import os
import shutil
import sys
import traceback

import bpy

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import film
import nodes
import paths
import simulations
import split
import trust
import views


def main():
    for line in sys.stdin:
        request = json.loads(line)
        put(request["mark"])
        try:
            answer = answered(request) if request["file"] else {}
        except Exception as error:
            traceback.print_exc()
            answer = {"fault": "%s: %s" % (type(error).__name__, error)}
        with open(request["answer"], "w", encoding="utf-8") as file:
            json.dump(answer, file)
        put(request["mark"])
        # What was opened may be large, and the next request may come late.
        bpy.ops.wm.read_factory_settings(use_empty=True)
    # The process that started this one may have been killed before it could.
    shutil.rmtree(os.getcwd(), ignore_errors=True)


def put(mark):
    """Write the line *mark* to standard output, after all that Python and Blender have to write there."""
    sys.stdout.flush()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("ucrtbase" if os.name == "nt" else None).fflush(None)
    os.write(1, b"\n" + mark.encode() + b"\n")


def answered(request):
    try:
        bpy.ops.wm.open_mainfile(filepath=request["file"], load_ui=False, use_scripts=False)
    except RuntimeError as error:
        # Operators raise it, with Blender's own words for the user.
        return {"error": str(error).replace("Error: ", "").strip()}
    if request["copy"]:
        paths.rename(request["names"])
        bpy.ops.wm.save_as_mainfile(filepath=request["copy"], copy=True, relative_remap=False)
    return {
        "file": bpy.data.filepath,
        "version": list(bpy.data.version[:2]),
        "active": bpy.context.scene.name,
        "scenes": [scene_facts(scene) for scene in bpy.data.scenes if scene.library is None],
        "cameras": sorted(thing.name for thing in bpy.data.objects if thing.type == "CAMERA"),
        "paths": paths.all_references(request["within"]),
        "needs_trust": trust.wanting_trust(),
    }


def scene_facts(scene):
    render = scene.render
    cycles = render.engine == "CYCLES" and hasattr(scene, "cycles")
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
        "border": border(render),
        "output": output_path(render),
        "camera": scene.camera.name if scene.camera else None,
        "camera_markers": camera_markers(scene),
        "frame_length": ctypes.c_float(render.frame_map_old / render.frame_map_new).value,
        "fps": round(render.fps / render.fps_base, 3),
        "rate": [render.fps, render.fps_base],
        "samples": samples(scene),
        "unshared": split.why_not_refined(scene) if cycles else None,
        "undenoised": split.why_not_denoised_after(scene) if cycles else None,
        "current": scene.frame_current,
        "cameras": sorted(thing.name for thing in scene.objects if thing.type == "CAMERA"),
        "use_extension": render.use_file_extension,
        "use_overwrite": render.use_overwrite,
        "use_placeholder": render.use_placeholder,
        "node_paths": nodes.paths(scene) if bpy.app.version >= (4, 5) <= tuple(bpy.data.version[:2]) else [],
        "is_codestream": render.image_settings.jpeg2k_codec == "J2K",
        **color_names(scene),
        **film_facts(scene),
        "needs_camera": not (len(scene.timeline_markers) or (render.use_sequencer and strips)),
        "simulations": simulations.simulations(scene),
        **views.facts(scene),
    }


def samples(scene):
    """The samples a pixel of the engine that *scene* renders with; None where that has no such number."""
    if scene.render.engine == "CYCLES":
        return views.samples_of(scene) if hasattr(scene, "cycles") else None
    if scene.render.engine.startswith("BLENDER_EEVEE"):
        return scene.eevee.taa_render_samples
    return None


def camera_markers(scene):
    """The markers that bind a camera: frame and camera. Blender passes over a camera that is hidden in renders."""
    bound = (marker for marker in scene.timeline_markers if marker.camera and not marker.camera.hide_render)
    return [{"frame": marker.frame, "camera": marker.camera.name} for marker in bound]


def film_facts(scene):
    """How *scene* writes its movie, where it writes one; and why this Blender could not."""
    if scene.render.image_settings.file_format != "FFMPEG":
        return {}
    settings = scene.render.ffmpeg
    return {"container": settings.format, "splits_movie": settings.use_autosplit, "film_problem": film.problem(scene)}


def border(render):
    """The edges of the render region: left, right, lower, upper; None if the scene has no render region."""
    if not render.use_border:
        return None
    return [render.border_min_x, render.border_max_x, render.border_min_y, render.border_max_y]


def output_path(render):
    """The output path as it stands in the file: of a file from before path templates Blender has doubled the braces."""
    if bpy.app.version >= (4, 5) > tuple(bpy.data.version[:2]):
        return render.filepath.replace("{{", "{").replace("}}", "}")
    return render.filepath


def color_names(scene):
    """The names that the *scene*'s color management was saved with, or "" if Blender may have put others in their place, which
    only 5.0 and later tell."""
    known = hasattr(bpy.data, "colorspace") and not bpy.data.colorspace.is_missing_opencolorio_config
    display, view = scene.display_settings.display_device, scene.view_settings
    return {"display": display, "view": view.view_transform, "look": view.look} if known else {}


main()
