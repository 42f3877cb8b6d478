"""Scenes with simulations in them, baked and not."""

import itertools

import bpy
from base import add_cube, begin, makes_a_scene


@makes_a_scene
def cloth(folder, frames=(1, 8), first=1, render_levels=0, baked=0, collider=True):
    """A sheet that falls onto a cube, from frame *first* on; *baked*: up to that frame, in the file. With *render_levels* it has
    more points in a render than in the interface."""
    scene = falling(frames)
    sheet = add_sheet(scene, 4 if render_levels else 8)
    if render_levels:
        levels = sheet.modifiers.new("Levels", "SUBSURF")
        levels.levels, levels.render_levels = 0, render_levels
    modifier = sheet.modifiers.new("Cloth", "CLOTH")
    modifier.point_cache.frame_start = first
    if collider:
        scene.objects["Cube"].modifiers.new("Collision", "COLLISION")
    if baked:
        modifier.point_cache.frame_end = baked
        bpy.ops.ptcache.bake_all(bake=True)


@makes_a_scene
def rigid_bodies(folder, frames=(1, 8)):
    """A cube that falls as a rigid body."""
    scene = falling(frames)
    thing = add_cube(scene, "Stone", 0.5, (1, 0, 1.5))
    bpy.ops.rigidbody.world_add()
    scene.rigidbody_world.collection = bpy.data.collections.new("Bodies")
    scene.rigidbody_world.collection.objects.link(thing)


@makes_a_scene
def simulation_nodes(folder, frames=(1, 8), baked=False):
    """A cube that nodes move on by a step a frame; *baked*, into the file."""
    scene = falling(frames)
    thing = add_cube(scene, "Stone", 0.5, (-1.5, 0, 0))
    tree = bpy.data.node_groups.new("Steps", "GeometryNodeTree")
    for way in ("INPUT", "OUTPUT"):
        tree.interface.new_socket("Geometry", in_out=way, socket_type="NodeSocketGeometry")
    kinds = ("NodeGroupInput", "GeometryNodeSimulationInput", "GeometryNodeSetPosition")
    kinds += ("GeometryNodeSimulationOutput", "NodeGroupOutput")
    nodes = [tree.nodes.new(kind) for kind in kinds]
    nodes[1].pair_with_output(nodes[3])
    nodes[2].inputs["Offset"].default_value = (0.3, 0, 0.1)
    for source, target in itertools.pairwise(nodes):
        tree.links.new(source.outputs["Geometry"], target.inputs["Geometry"])
    modifier = thing.modifiers.new("Steps", "NODES")
    modifier.node_group = tree
    if baked:
        # Blender bakes only what lies in a saved file.
        bpy.ops.wm.save_as_mainfile(filepath=folder + "/before.blend")
        (bake,) = modifier.bakes
        bake.bake_target, bake.bake_mode = "PACKED", "ANIMATION"
        named = {"session_uid": thing.session_uid, "modifier_name": modifier.name, "bake_id": bake.bake_id}
        bpy.context.view_layer.objects.active = thing  # which 5.3 asks for
        bpy.ops.object.geometry_node_bake_single(**named)


def falling(frames):
    """A scene in which the cube of all scenes is small and low, rendered in Workbench."""
    scene = begin(frames, size=(64, 48), engine="BLENDER_WORKBENCH")
    scene.display.render_aa = "OFF"
    cube = scene.objects["Cube"]
    cube.animation_data_clear()
    cube.location, cube.scale = (0, 0, -0.8), (0.5, 0.5, 0.5)
    return scene


def add_sheet(scene, cuts, at=(0, 0, 0.6), half=1.5):
    side = range(cuts + 1)
    points = [(half * (2 * x / cuts - 1), half * (2 * y / cuts - 1), 0) for y in side for x in side]
    corner = [y * (cuts + 1) + x for y in range(cuts) for x in range(cuts)]
    mesh = bpy.data.meshes.new("Sheet")
    mesh.from_pydata(points, [], [(each, each + 1, each + cuts + 2, each + cuts + 1) for each in corner])
    sheet = bpy.data.objects.new("Sheet", mesh)
    sheet.location = at
    scene.collection.objects.link(sheet)
    return sheet
