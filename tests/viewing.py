"""Scenes with several views or view layers, made in Blender by a script."""

from pathlib import Path

from brender.model.nodes import Blender
from tests.tools import in_blender

_CODE = """
import bpy
bpy.ops.wm.read_factory_settings(use_empty=True)
scene = bpy.context.scene
render, image = scene.render, scene.render.image_settings
def set_up(scene):
    render = scene.render
    render.engine = "CYCLES"
    scene.cycles.samples = 1
    scene.cycles.use_denoising = False
    render.resolution_x, render.resolution_y, render.resolution_percentage = 16, 12, 100
    scene.world = bpy.data.worlds.new("w")
    scene.world.color = (0.5, 0.4, 0.3)
    scene.camera = bpy.data.objects.new("c", bpy.data.cameras.new("c"))
    scene.collection.objects.link(scene.camera)
set_up(scene)
render.filepath = "//direct/s_"
scene.frame_start, scene.frame_end = 1, 2
bpy.ops.mesh.primitive_cube_add(location=(0.5, 0.2, -6))
cube = bpy.context.object
def file_outputs(scene, folder, takes="Image"):
    if hasattr(scene, "compositing_node_group"):
        tree = scene.compositing_node_group = bpy.data.node_groups.new("c", "CompositorNodeTree")
        tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
        end = tree.nodes.new("NodeGroupOutput")
    else:
        scene.use_nodes = True
        tree = scene.node_tree
        tree.nodes.clear()
        end = tree.nodes.new("CompositorNodeComposite")
    layers = tree.nodes.new("CompositorNodeRLayers")
    layers.scene = scene
    tree.links.new(layers.outputs["Image"], end.inputs[0])
    node = tree.nodes.new("CompositorNodeOutputFile")
    if hasattr(node, "directory"):
        node.directory, node.file_name = folder, "n_"
        node.format.media_type = "IMAGE"
        node.format.file_format = "PNG"
        for name in ("plain", "at_##_"):
            node.file_output_items.new("RGBA", name)
    else:
        node.base_path, node.format.file_format = folder, "PNG"
        node.file_slots[0].path = "n_plain"
        node.file_slots.new("n_at_##_")
    for socket in list(node.inputs)[:2]:
        tree.links.new(layers.outputs["Image"], socket)
CHANGES
bpy.ops.wm.save_as_mainfile(filepath=FILE)
if DIRECT:
    bpy.ops.render.render(animation=True)
"""
STEREO = """
render.use_multiview, render.views_format = True, "STEREO_3D"
scene.camera.data.stereo.interocular_distance = 3
"""
THREE = """
render.use_multiview, render.views_format = True, "MULTIVIEW"
third = render.views.new("center")
third.file_suffix = third.camera_suffix = "_C"
for number, suffix in enumerate(("_L", "_R", "_C")):
    camera = bpy.data.objects.new("v" + suffix, bpy.data.cameras.new("v" + suffix))
    camera.location.x = number - 1
    scene.collection.objects.link(camera)
scene.camera = bpy.data.objects["v_L"]
"""
#: Beside the layer that each scene has, "Props: near", without the cube, and "Off", which is off.
LAYERS = """
box = bpy.data.collections.new("box")
scene.collection.children.link(box)
for collection in cube.users_collection:
    collection.objects.unlink(cube)
box.objects.link(cube)
scene.view_layers.new("Props: near").layer_collection.children["box"].exclude = True
scene.view_layers.new("Off").use = False
"""
STRIP = """
other = bpy.data.scenes.new("other")
set_up(other)
other.frame_start, other.frame_end = 11, 20
file_outputs(other, "//nodes")
editor = scene.sequence_editor_create()
strips = editor.strips if hasattr(editor, "strips") else editor.sequences
strips.new_scene(name="strip", scene=other, channel=1, frame_start=1)
if bpy.context.window:
    bpy.context.window.scene = scene
"""


def viewed(blender: Blender, file: Path, changes: str, direct: bool = False) -> Path:
    """Save *file*, a scene of a cube with two frames, with these *changes* (Python, which knows ``scene``, ``render`` and
    ``image``). *direct*: Blender renders it too, to the folder ``direct`` beside it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    code = _CODE.replace("CHANGES", changes).replace("FILE", repr(str(file))).replace("DIRECT", str(direct))
    in_blender(blender, code, file.parent)
    return file
