"""What is amiss with a scene before it is submitted, and what it says of itself for the farm's estimate."""

import os

import bpy

from .client import FarmError
from .form import check_camera
from .sending import is_there

#: What is no problem, and only said.
UNSAVED = "Your unsaved changes are rendered too"
_NAMED_MOST = 3
#: What may have drivers, of all that a file has.
_DRIVEN = ("objects", "meshes", "materials", "node_groups", "shape_keys", "armatures", "cameras", "lights", "worlds", "scenes")


def amiss(scene):
    """Return, in sentences, what Blender itself sees amiss with *scene*. Asks no disk."""
    found = []
    if not bpy.data.filepath:
        found.append("This file was never saved: save it first")
    elif bpy.data.is_dirty:
        found.append(UNSAVED)
    try:
        check_camera(scene)
    except FarmError as error:
        found.append(str(error))
    if scene.brender.trust == "unsaid" and (scripts := _scripts(scene)):
        found.append(f"{_named(scripts)} need Python: say under Scripts whether the file is trusted")
    found += [f"{each} is not baked: on the farm it may look otherwise" for each in _unbaked(scene)]
    return found


def missing(paths):
    """Return, in sentences, which of *paths* are not on this machine's disks. Not in Blender's own thread: a drive that is gone
    may take long to say so."""
    gone = [each for each in paths if not is_there(each)]
    if not gone:
        return []
    return ["1 file is missing: " + gone[0] if len(gone) == 1 else f"{len(gone)} files are missing: {_named(gone)}"]


def used_files():
    """Return the files that the open file uses, by absolute paths."""
    return [bpy.path.native_pathsep(each) for each in bpy.utils.blend_paths(absolute=True)]


def facts_of(scene):
    """Return what *scene* says of itself, as the farm would read it from the .blend."""
    render = scene.render
    camera = scene.camera.name if scene.camera else None
    told = {
        "name": scene.name,
        "first": scene.frame_start,
        "last": scene.frame_end,
        "step": scene.frame_step,
        "width": render.resolution_x,
        "height": render.resolution_y,
        "percent": render.resolution_percentage,
        "engine": render.engine,
        "image_format": render.image_settings.file_format,
        "output": render.filepath,
        "camera": camera,
        "needs_camera": camera is not None,  # (what is amiss with it is said by `amiss`)
        "current": scene.frame_current,
        "cameras": [each.name for each in scene.objects if each.type == "CAMERA"],
    }
    if render.engine == "CYCLES" and hasattr(scene, "cycles"):
        told["samples"] = scene.cycles.samples
    name = os.path.basename(bpy.data.filepath) or "untitled.blend"
    about = {"path": f"//{name}", "version": list(bpy.app.version[:2]), "active_scene": scene.name, "scenes": [told]}
    return about | {"cameras": told["cameras"]}


def _scripts(scene):
    found = [f"the script {each.name}" for each in bpy.data.texts if each.use_module]
    for kind in _DRIVEN:
        for each in getattr(bpy.data, kind):
            owners = [each] + ([each.node_tree] if getattr(each, "node_tree", None) else [])
            for owner in owners:
                if owner.animation_data and any(map(_needs_python, owner.animation_data.drivers)):
                    found.append(f"drivers of {each.name}")
    return list(dict.fromkeys(found))


def _needs_python(curve):
    return curve.driver.type == "SCRIPTED" and not curve.driver.is_simple_expression


def _unbaked(scene):
    """Return what simulates in *scene* without a cache. (Of geometry nodes Blender does not tell.)"""
    found = []
    world = scene.rigidbody_world
    if world and world.enabled and world.collection and world.collection.objects and not world.point_cache.is_baked:
        found.append("Rigid bodies")
    for owner in scene.objects:
        for each in owner.modifiers:
            if each.show_render and not _is_baked(each):
                found.append(f"{each.name} of {owner.name}")
    return found


def _is_baked(modifier):
    if modifier.type in ("CLOTH", "SOFT_BODY"):
        return modifier.point_cache.is_baked
    if modifier.type == "PARTICLE_SYSTEM":
        system = modifier.particle_system
        return system.settings.type == "HAIR" or system.point_cache.is_baked
    if modifier.type == "FLUID" and modifier.fluid_type == "DOMAIN":
        return modifier.domain_settings.has_cache_baked_any
    return True


def _named(things):
    more = len(things) - _NAMED_MOST
    return ", ".join(things[:_NAMED_MOST]) + (f" and {more} more" if more > 0 else "")
