"""A scene whose compositor writes further files, made in Blender by a script."""

from pathlib import Path

from brender.model.nodes import Blender
from tests.tools import in_blender

_CODE = """
import bpy
bpy.ops.wm.read_factory_settings(use_empty=True)
scene = bpy.context.scene
scene.render.engine = "CYCLES"
scene.cycles.samples = 1
scene.cycles.use_denoising = False
scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = 16, 8, 100
scene.world = bpy.data.worlds.new("w")
scene.world.color = (0.5, 0.4, 0.3)
scene.camera = bpy.data.objects.new("c", bpy.data.cameras.new("c"))
scene.collection.objects.link(scene.camera)
scene.render.use_compositing = True
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
tree.links.new(layers.outputs["Image"], end.inputs[0])
for folder, name in (FOLDERS):
    node = tree.nodes.new("CompositorNodeOutputFile")
    if hasattr(node, "directory"):
        node.directory, node.file_name = folder, name
        node.format.media_type = "IMAGE"
        node.format.file_format = "OPEN_EXR" if "deep" in folder else "PNG"
        node.file_output_items.new("RGBA", "Image")
    else:
        node.format.file_format = "OPEN_EXR" if "deep" in folder else "PNG"
        node.base_path = folder
        node.file_slots[0].path = name
    tree.links.new(layers.outputs["Image"], node.inputs[0])
bpy.ops.wm.save_as_mainfile(filepath=FILE)
"""


def with_file_outputs(blender: Blender, file: Path, *folders: tuple[str, str]) -> Path:
    """Save *file*, a scene of one grey picture whose compositor writes it into *folders* too, each with the beginning of the
    files' names."""
    file.parent.mkdir(parents=True, exist_ok=True)
    in_blender(blender, _CODE.replace("FOLDERS", repr(folders)).replace("FILE", repr(str(file))), file.parent)
    return file
