"""Scenes whose pictures go through the compositor, have several view layers, or leave further files."""

import bpy
from base import add_camera, add_cube, begin, file_format, makes_a_scene


def compositor(scene, with_picture=True):
    """The compositor's tree of *scene* with one node of its layers; returns the tree, that node, and the socket of the picture
    (``None`` without one)."""
    scene.render.use_compositing = True
    end = None
    if hasattr(scene, "compositing_node_group"):
        tree = scene.compositing_node_group = bpy.data.node_groups.new("Compositing", "CompositorNodeTree")
        tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
        if with_picture:
            end = tree.nodes.new("NodeGroupOutput").inputs[0]
    else:
        scene.use_nodes = True
        tree = scene.node_tree
        tree.nodes.clear()
        if with_picture:
            end = tree.nodes.new("CompositorNodeComposite").inputs[0]
    layers = tree.nodes.new("CompositorNodeRLayers")
    if end is not None:
        tree.links.new(layers.outputs["Image"], end)
    return tree, layers, end


def add_file_output(tree, source, folder, name, format="PNG", **values):
    """Add a node that writes *source* below *folder*, to files that begin with *name*."""
    node = tree.nodes.new("CompositorNodeOutputFile")
    if hasattr(node, "directory"):
        node.directory, node.file_name = folder, name
        file_format(node.format, format, **values)
        kind = "RGBA" if source.type == "RGBA" else "FLOAT" if source.type == "VALUE" else "VECTOR"
        node.file_output_items.new(kind, "Image")
    else:
        file_format(node.format, format, **values)
        if format == "OPEN_EXR_MULTILAYER":
            node.base_path = folder + name
            node.layer_slots[0].name = "Image"
        else:
            node.base_path = folder
            node.file_slots[0].path = name
    tree.links.new(source, node.inputs[0])
    return node


@makes_a_scene
def composited(folder, off=False, **how):
    """A cube whose colors the compositor inverts."""
    scene = begin(**how)
    tree, layers, end = compositor(scene)
    invert = tree.nodes.new("CompositorNodeInvert")
    tree.links.new(layers.outputs["Image"], invert.inputs["Color"])
    tree.links.new(invert.outputs[0], end)
    if off:
        scene.render.use_compositing = False


@makes_a_scene
def file_outputs(
    folder, to="//out/aov/", beginning="beauty_", format="PNG", with_picture=True, in_group=False, values=None, **how
):
    """A cube whose compositor writes a further file for each frame."""
    values = how.pop("values", None) or {}
    scene = begin(**how)
    tree, layers, end = compositor(scene, with_picture)
    if in_group:
        inner = bpy.data.node_groups.new("Writes", "CompositorNodeTree")
        if hasattr(inner, "interface"):
            inner.interface.new_socket("Image", in_out="INPUT", socket_type="NodeSocketColor")
        else:
            inner.inputs.new("NodeSocketColor", "Image")
        add_file_output(inner, inner.nodes.new("NodeGroupInput").outputs[0], to, beginning, format, **values)
        group = tree.nodes.new("CompositorNodeGroup")
        group.node_tree = inner
        tree.links.new(layers.outputs["Image"], group.inputs[0])
    else:
        add_file_output(tree, layers.outputs["Image"], to, beginning, format, **values)


@makes_a_scene
def two_file_outputs(folder, **how):
    """A cube whose compositor writes two further files for each frame, one of them deep and in another folder."""
    scene = begin(**how)
    tree, layers, _ = compositor(scene)
    add_file_output(tree, layers.outputs["Image"], "//out/aov/", "beauty_")
    add_file_output(tree, layers.outputs["Alpha"], "//out/mask/", "alpha_####_x", "OPEN_EXR", color_depth="16")


@makes_a_scene
def view_layers(folder, format="PNG", use=(True, True), single=False, composite=False, **how):
    """Two view layers, each with a cube of its own; *use*: which of them are rendered."""
    scene = begin(**how)
    file_format(scene.render.image_settings, format)
    front, back = (bpy.data.collections.new(name) for name in ("Front", "Back"))
    for each in (front, back):
        scene.collection.children.link(each)
    add_cube(scene, "In front", 0.4, (0.5, -2, 0.3), (0.1, 1, 0.1, 1), front)
    add_cube(scene, "Behind", 0.7, (-1, 1, -0.5), (0.1, 0.1, 1, 1), back)
    first = scene.view_layers[0]
    first.name = "fore"
    second = scene.view_layers.new("rear")
    first.layer_collection.children["Back"].exclude = True
    second.layer_collection.children["Front"].exclude = True
    second.use_pass_z = True
    first.use, second.use = use
    scene.render.use_single_layer = single
    if composite:
        tree, layers, end = compositor(scene)
        other = tree.nodes.new("CompositorNodeRLayers")
        other.layer = "rear"
        invert = tree.nodes.new("CompositorNodeInvert")
        tree.links.new(other.outputs["Image"], invert.inputs["Color"])
        tree.links.new(invert.outputs[0], end)


@makes_a_scene
def marked_cameras(folder, to="", length=1, **how):
    """Two cameras, each bound to a marker, and a third that is hidden in renders; with *to* a
    file-output node too. Each frame lasts for so much time."""
    scene = begin(**how)
    scene.render.frame_map_old *= length
    other = add_camera(scene, "Other", (1, -4, 0.5))
    for frame, camera in ((1, scene.camera), (2, other)):
        scene.timeline_markers.new("F%d" % frame, frame=frame).camera = camera
    third = add_camera(scene, "Third", (2, -4, 0.5))
    scene.timeline_markers.new("F3", frame=3).camera = third
    third.hide_render = True
    if to:
        tree, layers, _ = compositor(scene)
        add_file_output(tree, layers.outputs["Image"], to, "beauty_", "PNG")
