"""Scenes in which each frame follows from the one before."""

import os

import bpy
from base import add_cube, begin, makes_a_scene, material


def bake(scene, folder, disk=False):
    """Bake every cache of the scene, which is saved first where the cache goes to *disk*."""
    caches = [modifier.point_cache for thing in scene.objects for modifier in thing.modifiers if hasattr(modifier, "point_cache")]
    caches += [system.point_cache for thing in scene.objects for system in thing.particle_systems]
    if disk:
        bpy.ops.wm.save_as_mainfile(filepath=os.path.join(folder, "shot.blend"))
    for cache in caches:
        cache.use_disk_cache = disk
        cache.name = "own"
    bpy.ops.ptcache.bake_all(bake=True)


def limit(cache, frames):
    cache.frame_start, cache.frame_end = frames


@makes_a_scene
def falling_bodies(folder, baked=False, bake_to=None, **how):
    """Two cubes that fall onto a third."""
    how.setdefault("frames", (1, 6))
    scene = begin(**how)
    scene.gravity = (0, 0, -60)
    bpy.data.objects.remove(scene.objects["Cube"])
    bpy.ops.rigidbody.world_add()
    scene.rigidbody_world.collection = bpy.data.collections.new("RigidBodyWorld")
    limit(scene.rigidbody_world.point_cache, (1, bake_to or how["frames"][1]))
    for number, (at, kind) in enumerate((((0, 0, -1.5), "PASSIVE"), ((0.3, 0, 0.6), "ACTIVE"), ((-0.2, 0, 1.8), "ACTIVE"))):
        cube = add_cube(scene, "Body%d" % number, 0.5, at, (1, number / 3, 0.1, 1))
        scene.rigidbody_world.collection.objects.link(cube)
        cube.rigid_body.type = kind
    if baked:
        bpy.ops.ptcache.bake_all(bake=True)


def grid(name, size=4):
    mesh = bpy.data.meshes.new(name)
    corners = [(x / size * 2 - 1, y / size * 2 - 1, 1) for y in range(size + 1) for x in range(size + 1)]
    wide = size + 1
    starts = [y * wide + x for y in range(size) for x in range(size)]
    faces = [(start, start + 1, start + 1 + wide, start + wide) for start in starts]
    mesh.from_pydata(corners, [], faces)
    return mesh


@makes_a_scene
def falling_sheet(folder, baked=False, disk=False, kind="CLOTH", **how):
    """A cloth that falls onto a cube (or a soft body)."""
    how.setdefault("frames", (1, 6))
    scene = begin(**how)
    scene.gravity = (0, 0, -60)
    sheet = bpy.data.objects.new("Sheet", grid("Sheet"))
    sheet.data.materials.append(material("Sheet", (0.1, 0.9, 0.3, 1)))
    scene.collection.objects.link(sheet)
    modifier = sheet.modifiers.new("soft", kind)
    if kind == "CLOTH":
        modifier.settings.quality = 3
    else:
        modifier.settings.use_goal = False
    limit(modifier.point_cache, how["frames"])
    scene.objects["Cube"].modifiers.new("hard", "COLLISION")
    if baked:
        bake(scene, folder, disk)


@makes_a_scene
def particles(folder, physics="NEWTON", baked=False, disk=False, **how):
    """Little cubes that fall out of a big one."""
    how.setdefault("frames", (1, 6))
    scene = begin(**how)
    bit = add_cube(scene, "Bit", 0.15, (0, 50, 0), (0.1, 1, 0.2, 1))
    cube = scene.objects["Cube"]
    cube.modifiers.new("bits", "PARTICLE_SYSTEM")
    settings = cube.particle_systems[0].settings
    settings.count, settings.frame_start, settings.frame_end, settings.lifetime = 40, 0, 4, 50
    settings.physics_type = physics
    settings.normal_factor = 12
    settings.render_type = "OBJECT"
    settings.instance_object = bit
    settings.particle_size = 1.0
    limit(cube.particle_systems[0].point_cache, how["frames"])
    if baked:
        bake(scene, folder, disk)


def geometry(name):
    """A new tree of geometry nodes with a geometry in and out; returns it with its input and output node."""
    tree = bpy.data.node_groups.new(name, "GeometryNodeTree")
    if hasattr(tree, "interface"):
        tree.interface.new_socket("Geometry", in_out="INPUT", socket_type="NodeSocketGeometry")
        tree.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    else:
        tree.inputs.new("NodeSocketGeometry", "Geometry")
        tree.outputs.new("NodeSocketGeometry", "Geometry")
    return tree, tree.nodes.new("NodeGroupInput"), tree.nodes.new("NodeGroupOutput")


@makes_a_scene
def geometry_nodes(folder, **how):
    """A cube with a plain modifier of geometry nodes, which turns it with the time."""
    scene = begin(**how)
    tree, begins, ends = geometry("Turn")
    turn = tree.nodes.new("GeometryNodeTransform")
    now = tree.nodes.new("GeometryNodeInputSceneTime")
    both = tree.nodes.new("ShaderNodeCombineXYZ")
    tree.links.new(now.outputs["Frame"], both.inputs["Y"])
    tree.links.new(both.outputs[0], turn.inputs["Rotation"])
    tree.links.new(begins.outputs[0], turn.inputs["Geometry"])
    tree.links.new(turn.outputs[0], ends.inputs[0])
    scene.objects["Cube"].modifiers.new("nodes", "NODES").node_group = tree


@makes_a_scene
def moved_by_nodes(folder, baked=False, **how):
    """A cube that geometry nodes move a little further with each frame (a simulation zone)."""
    how.setdefault("frames", (1, 6))
    scene = begin(**how)
    tree, begins, ends = geometry("Simulate")
    enters, leaves = tree.nodes.new("GeometryNodeSimulationInput"), tree.nodes.new("GeometryNodeSimulationOutput")
    enters.pair_with_output(leaves)
    shift = tree.nodes.new("GeometryNodeTransform")
    shift.inputs["Translation"].default_value = (0, 0, 0.2)
    tree.links.new(begins.outputs[0], enters.inputs["Geometry"])
    tree.links.new(enters.outputs["Geometry"], shift.inputs["Geometry"])
    tree.links.new(shift.outputs[0], leaves.inputs["Geometry"])
    tree.links.new(leaves.outputs["Geometry"], ends.inputs[0])
    cube = scene.objects["Cube"]
    cube.modifiers.new("nodes", "NODES").node_group = tree
    if baked:
        bpy.ops.wm.save_as_mainfile(filepath=os.path.join(folder, "shot.blend"))
        cube.select_set(True)
        bpy.context.view_layer.objects.active = cube
        bpy.ops.object.simulation_nodes_cache_bake(selected=True)


@makes_a_scene
def ocean(folder, **how):
    """Waves that a formula of the time makes."""
    scene = begin(**how)
    cube = scene.objects["Cube"]
    modifier = cube.modifiers.new("waves", "WAVE")
    modifier.height = 0.5
    modifier.use_normal = False
