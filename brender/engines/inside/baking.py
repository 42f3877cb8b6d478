"""Inside Blender: the simulations of a scene, baked into the .blend itself, so that each frame can be rendered by itself."""

import bpy
import paths
import simulations


def bake(scene, tell):
    """Bake what simulates in *scene* and is not baked; returns what that is, in words. *tell* is called with words now and then.
    Raises `RuntimeError` where something stays without a bake."""
    simulations.show_as_rendered(scene)
    wanted = [each for each in simulations.simulations(scene) if each["baked"] is None and not each["folder"]]
    for thing in bpy.data.objects:
        for cache in paths.point_caches(thing):
            into_the_file(cache)
    if scene.rigidbody_world is not None:
        into_the_file(scene.rigidbody_world.point_cache)
    tell("Baking %s" % ", ".join(sorted({each["kind"] for each in wanted})))
    window = bpy.context.window_manager.windows[0] if bpy.context.window_manager.windows else None
    with bpy.context.temp_override(**({"window": window} if window else {}), scene=scene, view_layer=scene.view_layers[0]):
        bpy.ops.ptcache.bake_all(bake=True)
        bake_nodes(scene, tell)
    # (Of nodes Blender does not say whether their bake is packed into the file; their operator has said that it is.)
    there = simulations.simulations(scene)
    left = [each for each in there if each["baked"] is None and not each["folder"] and not each.get("bake")]
    if left:
        names = ", ".join("%s of %r" % (each["kind"], each["owner"]) for each in left)
        raise RuntimeError("Blender %s could not bake the %s" % (bpy.app.version_string, names))
    return ["%s of %s" % (each["kind"], each["owner"]) for each in wanted]


def into_the_file(cache):
    """Let *cache*, unless it is baked, be kept in the .blend."""
    # (Set again to what it is, it ends Blender 5.0.1 where the cache is of rigid bodies.)
    if cache.use_disk_cache and not cache.is_baked and not cache.use_external:
        cache.use_disk_cache = False


def bake_nodes(scene, tell):
    """Bake simulation nodes, packed into the .blend."""
    for thing in scene.objects:
        for modifier in thing.modifiers:
            bakes = getattr(modifier, "bakes", ()) if modifier.type == "NODES" else ()
            for each in bakes:
                tell("Baking the nodes of %s" % thing.name)
                if hasattr(modifier, "bake_target"):
                    modifier.bake_target = "PACKED"
                which = {"session_uid": thing.session_uid, "modifier_name": modifier.name, "bake_id": each.bake_id}
                if bpy.ops.object.geometry_node_bake_single(**which) != {"FINISHED"}:
                    raise RuntimeError("Blender %s could not bake the nodes of %r" % (bpy.app.version_string, thing.name))
