"""A scene that names every kind of file, made by Blender: for the tests of what is found, packed and missed."""

from pathlib import Path

from brender.model.nodes import Blender
from tests.tools import in_blender

_MAKE = r"""
import bpy, os
HERE = {here!r}

def empty():
    bpy.ops.wm.read_factory_settings(use_empty=True)

def picture(name):
    path = os.path.join(HERE, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    made = bpy.data.images.new("made", 4, 4)
    made.filepath_raw, made.file_format = path, "PNG"
    made.save()
    bpy.data.images.remove(made)
    return path

def textured(name, image):
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    node = material.node_tree.nodes.new("ShaderNodeTexImage")
    node.image = image
    return material, node

def triangle(name):
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [], [(0, 1, 2)])
    return bpy.data.objects.new(name, mesh)

def save(name):
    bpy.ops.wm.save_as_mainfile(filepath=os.path.join(HERE, name))

for name in ("near", "lib1", "lib2"):
    picture("tex/%s.png" % name)
for number in (1, 2, 4):
    picture("seq/s_%03d.png" % number)
for number in (1001, 1003):
    picture("tiles/t.%d.png" % number)
for name in ("light.ies", "shader.osl", "cache.mdd"):
    open(os.path.join(HERE, "tex", name), "w").write("x")
os.makedirs(os.path.join(HERE, "lib"))

# A library whose material has a texture, and one that links that material beside a texture of its own.
empty()
textured("two", bpy.data.images.load(os.path.join(HERE, "tex/lib2.png")))[0].use_fake_user = True
save("lib/lib2.blend")
empty()
thing = triangle("thing")
thing.use_fake_user = True
save("lib/lib1.blend")
with bpy.data.libraries.load("//lib2.blend", link=True) as (there, here):
    here.materials = ["two"]
thing.data.materials.append(here.materials[0])
thing.data.materials.append(textured("one", bpy.data.images.load(os.path.join(HERE, "tex/lib1.png")))[0])
save("lib/lib1.blend")

empty()
scene = bpy.context.scene
scene.frame_end = 4
scene.camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
own = triangle("own")
scene.collection.objects.link(scene.camera)
scene.collection.objects.link(own)
save("main.blend")
own.data.materials.append(textured("near", bpy.data.images.load("//tex/near.png"))[0])
sequence = bpy.data.images.load("//seq/s_001.png")
sequence.source = "SEQUENCE"
material, node = textured("sequence", sequence)
node.image_user.frame_duration = 4
node.image_user.use_auto_refresh = True
own.data.materials.append(material)
tiles = bpy.data.images.load("//tiles/t.1001.png")
tiles.source = "TILED"
tiles.filepath = "//tiles/t.<UDIM>.png"
for number in {1002, 1003} - {tile.number for tile in tiles.tiles}:
    tiles.tiles.new(number)
material, _ = textured("tiles", tiles)
script = material.node_tree.nodes.new("ShaderNodeScript")
script.mode, script.filepath = "EXTERNAL", "//tex/shader.osl"
own.data.materials.append(material)
light = bpy.data.lights.new("light", "POINT")
light.use_nodes = True
ies = light.node_tree.nodes.new("ShaderNodeTexIES")
ies.mode, ies.filepath = "EXTERNAL", "//tex/light.ies"
scene.collection.objects.link(bpy.data.objects.new("light", light))
own.modifiers.new("cache", "MESH_CACHE").filepath = "//tex/cache.mdd"
own.modifiers.new("nodes", "NODES").node_group = bpy.data.node_groups.new("nodes", "GeometryNodeTree")
editor = scene.sequence_editor_create()
strips = editor.strips if hasattr(editor, "strips") else editor.sequences
strip = strips.new_image("strip", "//seq/s_001.png", 1, 1)
for number in (2, 4):
    strip.elements.append("s_%03d.png" % number)
save("main.blend")
with bpy.data.libraries.load("//lib/lib1.blend", link=True) as (there, here):
    here.objects = ["thing"]
scene.collection.objects.link(here.objects[0])
bpy.ops.file.make_paths_relative()
windows = bpy.data.images.new("windows", 4, 4)
windows.source, windows.filepath = "FILE", "C:\\textures\\wood.png"
windows.use_fake_user = True
save("main.blend")
"""

#: What `scene_of_everything` needs, beside its own folder, and what of that is missing.
NEEDED = {
    "main.blend",
    "lib/lib1.blend",
    "lib/lib2.blend",
    "tex/near.png",
    "tex/lib1.png",
    "tex/lib2.png",
    "tex/light.ies",
    "tex/shader.osl",
    "tex/cache.mdd",
    "seq/s_001.png",
    "seq/s_002.png",
    "seq/s_004.png",
    "tiles/t.1001.png",
    "tiles/t.1003.png",
}
MISSING = {"seq/s_003.png", "tiles/t.1002.png"}
WINDOWS = r"C:\textures\wood.png"


def scene_of_everything(blender: Blender, folder: Path) -> Path:
    """Make a scene in the new *folder* that names files of every kind, one of each kind of set missing; returns its .blend."""
    folder.mkdir()
    in_blender(blender, _MAKE.replace("{here!r}", repr(str(folder))), folder)
    return folder / "main.blend"
