"""Inside Blender: what simulates in a scene, and for which frames it is baked.

A simulation that is not baked gives the right picture only after every frame since its first has happened, in one process.
"""

import os
import re

import bpy

#: Modifiers that simulate, and whose cache is a point cache.
POINT_CACHED = {"CLOTH": "cloth", "SOFT_BODY": "soft body"}
#: What Blender steps in its interface's view of a scene alone, and not while it renders.
ONLY_IN_INTERFACE = {"rigid bodies", "soft body", "simulation nodes"}
PARTICLES_THAT_SIMULATE = {"NEWTON", "BOIDS", "FLUID"}


def simulations(scene):
    """Every simulation that a render of *scene* shows: its ``kind``, its ``owner``'s name, the ``first`` and ``last`` frame that
    it goes through, the first and last that are ``baked`` (``None`` if none are), and, for a bake that lies in files, their
    ``folder``."""
    found = []
    shown = reached(scene)
    for each in shown:
        if isinstance(each, bpy.types.Scene):
            found += of_rigid_bodies(each)
        elif isinstance(each, bpy.types.Object):
            found += of_object(each, scene)
    return sorted(found, key=lambda each: (each["kind"], each["owner"], each["first"]))


def first_frames(scene):
    """The first frame of each simulation of *scene* that is not baked."""
    return [each["first"] for each in simulations(scene) if each["baked"] is None and not each["folder"]]


def moved_by_interface(scene):
    """Whether something in *scene* is simulated by Blender's interface only, and not baked: an animation leaves it still."""
    return any(each["kind"] in ONLY_IN_INTERFACE and each["baked"] is None for each in simulations(scene))


def show_as_rendered(scene):
    """Let what is stepped outside of renders be what a render of *scene* takes: the same objects, with the same modifiers at the
    same levels. A simulation whose mesh has other points there than in the render would start again at each frame."""
    # What only the interface simulates, it simulates with all that is shown there, such as a collider that is not rendered.
    keeps_shown = any(each["kind"] in ONLY_IN_INTERFACE for each in simulations(scene))

    def hidden(each):
        return each.hide_render and not (keeps_shown and not each.hide_viewport)

    for each in bpy.data.scenes:
        each.render.simplify_subdivision = each.render.simplify_subdivision_render
        each.render.simplify_child_particles = each.render.simplify_child_particles_render
        for layer in each.view_layers:
            unhide(layer.layer_collection)
            for thing in layer.objects:
                thing.hide_set(False, view_layer=layer)
    for collection in bpy.data.collections:
        collection.hide_viewport = hidden(collection)
    for thing in bpy.data.objects:
        thing.hide_viewport = hidden(thing)
        for modifier in thing.modifiers:
            modifier.show_viewport = modifier.show_render
            if hasattr(modifier, "render_levels"):
                modifier.levels = modifier.render_levels
    for settings in bpy.data.particles:
        settings.display_percentage = 100


def unhide(layer_collection):
    layer_collection.hide_viewport = False
    for child in layer_collection.children:
        unhide(child)


def reached(scene):
    """*scene* and every data-block that it uses, directly or through others (instanced collections, strips, node trees), without
    objects that are hidden from renders and that no other object uses."""
    users_of = bpy.data.user_map()
    uses = {}
    for used, users in users_of.items():
        for user in users:
            uses.setdefault(user, []).append(used)
    seen, waiting = {scene}, [scene]
    while waiting:
        for used in uses.get(waiting.pop(), ()):
            if used not in seen:
                seen.add(used)
                waiting.append(used)
    return [each for each in seen if is_shown(each, users_of.get(each, ()))]


def is_shown(each, users):
    hidden = isinstance(each, bpy.types.Object) and each.hide_render
    return not hidden or any(isinstance(user, bpy.types.Object) and user != each for user in users)


def of_rigid_bodies(scene):
    world = scene.rigidbody_world
    if world is None or not world.enabled or world.collection is None:
        return []
    moving = [
        thing.rigid_body
        for thing in world.collection.all_objects
        if thing.rigid_body is not None and thing.rigid_body.type == "ACTIVE" and not thing.rigid_body.kinematic
    ]
    return [cached("rigid bodies", scene, world.point_cache)] if any(body.enabled for body in moving) else []


def of_object(thing, scene):
    found = []
    for modifier in thing.modifiers:
        if not modifier.show_render:
            continue
        if modifier.type in POINT_CACHED:
            found.append(cached(POINT_CACHED[modifier.type], thing, modifier.point_cache))
        elif modifier.type == "FLUID" and modifier.fluid_type == "DOMAIN":
            found.append(of_fluid(thing, modifier.domain_settings))
        elif modifier.type == "DYNAMIC_PAINT" and modifier.canvas_settings is not None:
            # Surfaces of image sequences paint only while they are baked.
            surfaces = modifier.canvas_settings.canvas_surfaces
            found += [
                cached("dynamic paint", thing, surface.point_cache)
                for surface in surfaces
                if surface.is_active and surface.surface_format == "VERTEX"
            ]
        elif modifier.type == "NODES":
            found += of_nodes(thing, modifier, scene)
    for system in thing.particle_systems:
        found += of_particles(thing, system)
    if bone_solver_simulates(thing):
        found.append(facts("inverse kinematics", thing, scene.frame_start, scene.frame_end, None))
    return found


def of_particles(thing, system):
    settings = system.settings
    shown = [m for m in thing.modifiers if m.type == "PARTICLE_SYSTEM" and m.particle_system == system and m.show_render]
    if not shown:
        return []
    if settings.type == "HAIR":
        return [cached("hair dynamics", thing, system.point_cache)] if system.use_hair_dynamics else []
    return [cached("particles", thing, system.point_cache)] if settings.physics_type in PARTICLES_THAT_SIMULATE else []


def bone_solver_simulates(thing):
    """Whether the pose of *thing* is solved by iTaSC in its mode that goes from frame to frame."""
    pose = thing.pose
    parameters = getattr(pose, "ik_param", None) if pose is not None and pose.ik_solver == "ITASC" else None
    return parameters is not None and parameters.mode == "SIMULATION"


def cached(kind, owner, cache):
    """A simulation with a point cache, which lies in the .blend, or beside it in a folder that has the .blend's name."""
    first, last = cache.frame_start, cache.frame_end
    if cache.use_external or not (cache.is_baked and cache.use_disk_cache):
        return facts(kind, owner, first, last, (first, last) if cache.is_baked or cache.use_external else None)
    blend = bpy.path.abspath(owner.library.filepath) if owner.library and cache.use_library_path else bpy.data.filepath
    where, name = os.path.split(blend)
    folder = os.path.join(where, "blendcache_" + os.path.splitext(name)[0])
    prefix = cache.name or "".join("%02X" % byte for byte in owner.name.encode())
    return facts(kind, owner, first, last, frames_of(folder, prefix + "_"), folder)


def of_fluid(thing, domain):
    first, last = domain.cache_frame_start, domain.cache_frame_end
    if domain.cache_type == "REPLAY":
        return facts("fluid", thing, first, last, None)
    folder = os.path.join(absolute(domain.cache_directory, thing), "data")
    baked = domain.has_cache_baked_data
    return facts("baked fluid", thing, first, last, frames_of(folder) if baked else None, folder if baked else "")


def of_nodes(thing, modifier, scene):
    """The simulation zones of the node tree of *modifier*, which may lie in groups: their bakes are found by number."""
    found = []
    bakes = [bake for bake in getattr(modifier, "bakes", ()) if is_simulation(bake.node)]
    if not bakes and has_simulation(modifier.node_group):  # Blender 3.6 and 4.0 keep one bake for a modifier
        first, last = simulated_frames(scene)
        folder = os.path.join(absolute(getattr(modifier, "simulation_bake_directory", ""), thing), "meta")
        baked = frames_of(folder)
        found.append(facts("simulation nodes", thing, first, last, baked, folder if baked else ""))
    for bake in bakes:
        own = getattr(bake, "use_custom_simulation_frame_range", False)
        first, last = (bake.frame_start, bake.frame_end) if own else simulated_frames(scene)
        folder = absolute(bake.directory if bake.use_custom_path else modifier.bake_directory, thing)
        numbered = folder if bake.use_custom_path else os.path.join(folder, str(bake.bake_id))
        baked = frames_of(os.path.join(numbered, "meta")) if folder else None
        told = facts("simulation nodes", thing, first, last, baked, numbered if baked else "")
        # Blender does not say whether a bake is packed into the file: brender looks for it by its number.
        found.append(dict(told, bake=bake.bake_id))
    return found


def is_simulation(node):
    return node is not None and node.bl_idname == "GeometryNodeSimulationOutput"


def has_simulation(tree, seen=()):
    if tree is None or tree in seen:
        return False
    seen = (*seen, tree)
    return any(is_simulation(node) or has_simulation(getattr(node, "node_tree", None), seen) for node in tree.nodes)


def simulated_frames(scene):
    if getattr(scene, "use_custom_simulation_range", False):
        return scene.simulation_frame_start, scene.simulation_frame_end
    return scene.frame_start, scene.frame_end


def frames_of(folder, prefix=""):
    """The first and last of the frames whose files lie in *folder*, with names that begin with *prefix*; ``None`` where there are
    none."""
    names = os.listdir(folder) if os.path.isdir(folder) else ()
    # 50_000012_00.bphys of a point cache, 00012_00000.json of nodes, fluid_data_0012.vdb of a fluid
    found = [re.search("[0-9]+", name[len(prefix) :]) for name in names if name.startswith(prefix)]
    frames = [int(number.group()) for number in found if number]
    return (min(frames), max(frames)) if frames else None


def absolute(path, owner):
    return os.path.normpath(bpy.path.abspath(path, library=owner.library)) if path else ""


def facts(kind, owner, first, last, baked, folder=""):
    baked = list(baked) if baked else None
    return {"kind": kind, "owner": owner.name, "first": first, "last": last, "baked": baked, "folder": folder}
