"""Scenes that need other files: textures, sequences, tiles, libraries, caches, fonts."""

import os
import shutil
import struct

import bpy
from base import (
    add_camera,
    add_cube,
    begin,
    color_of,
    cube_mesh,
    makes_a_scene,
    move,
    needs,
    textured,
    write_movie,
    write_picture,
)


def with_texture(scene, path, name="texture", source="FILE"):
    """Let the cube of *scene* show the image *path* (of the .blend: ``//``); returns the image and its node."""
    image = bpy.data.images.new(name, 8, 8)
    image.source = source
    image.filepath = path
    made, node = textured(name, image)
    scene.objects["Cube"].data.materials[0] = made
    return image, node


@makes_a_scene
def texture(folder, path="//textures/wood.png", packed=False, **how):
    """A cube with one texture at *path*."""
    scene = begin(**how)
    file = None
    if path.startswith("//"):
        file = write_picture(os.path.join(folder, *path[2:].replace("\\", "/").split("/")))
    image, _ = with_texture(scene, path)
    if packed:
        image.filepath = file
        image.pack()
        image.filepath = path
        os.unlink(file)


@makes_a_scene
def unused_texture(folder, **how):
    """A cube beside an image that nothing uses, and whose file is not there."""
    scene = begin(**how)
    image = bpy.data.images.new("unused", 8, 8)
    image.source = "FILE"
    image.filepath = "//nowhere/unused.png"
    image.use_fake_user = False
    assert scene is not None


@makes_a_scene
def sequence(folder, count=4, offset=0, gap=(), **how):
    """A cube with a sequence of images."""
    scene = begin(**how)
    for number in range(1, count + 1):
        if number not in gap:
            path = os.path.join(folder, "plates", "plate_%04d.png" % number)
            write_picture(path, (number / count, 0.5, 1 - number / count, 1))
    _, node = with_texture(scene, "//plates/plate_0001.png", source="SEQUENCE")
    node.image_user.frame_duration = count
    node.image_user.frame_start = 1
    node.image_user.frame_offset = offset
    node.image_user.use_auto_refresh = True


@makes_a_scene
def tiles(folder, gap=(), **how):
    """A cube with an image of two tiles (UDIM), half of it on each."""
    scene = begin(**how)
    for number in (1001, 1002):
        if number not in gap:
            write_picture(os.path.join(folder, "tiles", "skin.%d.png" % number), (0.2 if number == 1001 else 1, 0.6, 0.1, 1))
    image, _ = with_texture(scene, "//tiles/skin.<UDIM>.png", source="TILED")
    if not image.tiles.get(1002):
        image.tiles.new(1002)
    for corner in scene.objects["Cube"].data.uv_layers[0].data:
        corner.uv.x *= 2


@makes_a_scene
def movie_texture(folder, **how):
    """A cube that shows a movie."""
    write_movie(os.path.join(folder, "plates", "plate.avi"))
    scene = begin(**how)
    _, node = with_texture(scene, "//plates/plate.avi", source="MOVIE")
    node.image_user.frame_duration = 4
    node.image_user.use_auto_refresh = True


@makes_a_scene
def environment(folder, **how):
    """A world with an image around."""
    scene = begin(**how)
    write_picture(os.path.join(folder, "sky.png"), (0.2, 0.4, 1, 1))
    shader = color_of(scene.world, (1, 1, 1, 1))
    node = scene.world.node_tree.nodes.new("ShaderNodeTexEnvironment")
    node.image = bpy.data.images.new("sky", 8, 8)
    node.image.source = "FILE"
    node.image.filepath = "//sky.png"
    scene.world.node_tree.links.new(node.outputs["Color"], shader.inputs["Color"])


@makes_a_scene
def shading_script(folder, **how):
    """A cube with a shader that is written in OSL, in a file."""
    needs("cycles_osl")
    scene = begin(**how)
    os.makedirs(os.path.join(folder, "osl"))
    with open(os.path.join(folder, "osl", "stripes.osl"), "w", encoding="utf-8") as file:
        file.write("shader stripes(output color Color = 0) { Color = color(mod(P[2] * 3, 1.0), 0.5, 0.1); }\n")
    scene.cycles.shading_system = True
    made = scene.objects["Cube"].data.materials[0]
    node = made.node_tree.nodes.new("ShaderNodeScript")
    node.mode = "EXTERNAL"
    node.filepath = os.path.join(folder, "osl", "stripes.osl")
    try:
        from cycles import osl  # the add-on's own way to read a script's sockets

        osl.update_script_node(node, lambda kind, text: print(kind, text))
    except ImportError:
        pass  # the bpy package may lack what reads them; the node then has none
    node.filepath = "//osl/stripes.osl"
    if node.outputs:
        shader = next(each for each in made.node_tree.nodes if each.type == "EMISSION")
        made.node_tree.links.new(node.outputs["Color"], shader.inputs["Color"])


@makes_a_scene
def light_profile(folder, **how):
    """A cube in the light of a lamp whose profile is in a file (IES)."""
    scene = begin(**how)
    os.makedirs(os.path.join(folder, "lights"))
    with open(os.path.join(folder, "lights", "lamp.ies"), "w", encoding="utf-8") as file:
        file.write(
            "IESNA:LM-63-1995\n[TEST] none\nTILT=NONE\n1 1000 1 5 1 1 2 0 0 0\n1 1 100\n"
            "0 22.5 45 67.5 90\n0\n1000 800 400 100 0\n"
        )
    lamp = bpy.data.objects.new("Lamp", bpy.data.lights.new("Lamp", "POINT"))
    lamp.location = (0, -3, 2)
    lamp.data.energy = 500
    scene.collection.objects.link(lamp)
    lamp.data.use_nodes = True
    tree = lamp.data.node_tree
    node = tree.nodes.new("ShaderNodeTexIES")
    node.mode = "EXTERNAL"
    node.filepath = "//lights/lamp.ies"
    emission = next(each for each in tree.nodes if each.type == "EMISSION")
    tree.links.new(node.outputs[0], emission.inputs["Strength"])
    grey = bpy.data.materials.new("grey")
    grey.use_nodes = True
    scene.objects["Cube"].data.materials[0] = grey


@makes_a_scene
def font(folder, **how):
    """A word in a font that lies beside the .blend."""
    scene = begin(**how)
    found = None
    for root in (bpy.utils.system_resource("DATAFILES"), "/usr/share/fonts"):
        for where, _, names in os.walk(root):
            fonts = sorted(name for name in names if name.endswith((".ttf", ".woff2", ".otf")) and "Mono" in name)
            if fonts and found is None:
                found = os.path.join(where, fonts[0])
    os.makedirs(os.path.join(folder, "fonts"))
    name = "own" + os.path.splitext(found)[1]
    shutil.copyfile(found, os.path.join(folder, "fonts", name))
    text = bpy.data.objects.new("Text", bpy.data.curves.new("Text", "FONT"))
    text.data.body = "Wi"
    text.data.font = bpy.data.fonts.load(os.path.join(folder, "fonts", name))
    text.data.font.filepath = "//fonts/" + name
    text.rotation_euler[0] = 1.5708
    text.location = (-1, -2, -0.5)
    text.data.materials.append(scene.objects["Cube"].data.materials[0])
    scene.collection.objects.link(text)
    scene.objects["Cube"].hide_render = True


@makes_a_scene
def linked(folder, depth=1, source="FILE", as_collection=False, **how):
    """A cube with a texture, from a library that may be linked through others: *depth* of them, each in a folder of its own."""
    begin()
    library = os.path.join(folder, "lib1", "lib1.blend")
    os.makedirs(os.path.dirname(library))
    scene = bpy.context.scene
    scene.objects["Cube"].name = "Asset"
    asset = scene.objects["Asset"]
    path = "//maps/rust.png"
    write_picture(os.path.join(folder, "lib1", "maps", "rust.png"), (1, 0.2, 0.1, 1))
    if source == "SEQUENCE":
        path = "//maps/rust_0001.png"
        for number in range(1, 5):
            write_picture(os.path.join(folder, "lib1", "maps", "rust_%04d.png" % number), (1, number / 4, 0.1, 1))
    image = bpy.data.images.new("rust", 8, 8)
    image.source = source
    image.filepath = path
    made, node = textured("rust", image)
    if source == "SEQUENCE":
        node.image_user.frame_duration = 4
        node.image_user.use_auto_refresh = True
    asset.data.materials[0] = made
    group = bpy.data.collections.new("Group")
    group.objects.link(asset)
    scene.collection.children.link(group)
    scene.collection.objects.unlink(asset)
    bpy.ops.wm.save_as_mainfile(filepath=library, relative_remap=False)
    for number in range(2, depth + 1):
        outer = os.path.join(folder, "lib%d" % number, "lib%d.blend" % number)
        os.makedirs(os.path.dirname(outer))
        bpy.ops.wm.read_factory_settings(use_empty=True)
        bpy.ops.wm.save_as_mainfile(filepath=outer)
        link(library, bpy.context.scene)
        bpy.ops.wm.save_as_mainfile(filepath=outer, relative_remap=False)
        library = outer
    scene = begin(**how)
    bpy.data.objects.remove(scene.objects["Cube"])
    bpy.ops.wm.save_as_mainfile(filepath=os.path.join(folder, "shot.blend"))
    link(library, scene)


def link(library, scene):
    """Link the collection "Group" of *library* into *scene*, as an instance, in a local collection of that name."""
    with bpy.data.libraries.load(library, link=True, relative=True) as (_, here):
        here.collections = ["Group"]
    holder = bpy.data.objects.new("Holder", None)
    holder.instance_type = "COLLECTION"
    holder.instance_collection = here.collections[0]
    local = bpy.data.collections.new("Group")
    local.objects.link(holder)
    scene.collection.children.link(local)


@makes_a_scene
def overridden(folder, **how):
    """A linked object that is overridden here."""
    linked(folder, **how)
    scene = bpy.context.scene
    holder = scene.objects["Holder"]
    holder.override_hierarchy_create(scene, scene.view_layers[0])
    for each in bpy.data.objects:
        if each.override_library and each.type == "MESH":
            each.location.z = 0.7


@makes_a_scene
def mesh_cache(folder, **how):
    """A cube whose corners move as a file says (PC2)."""
    scene = begin(**how)
    cube = scene.objects["Cube"]
    corners = [tuple(each.co) for each in cube.data.vertices]
    os.makedirs(os.path.join(folder, "caches"))
    with open(os.path.join(folder, "caches", "cube.pc2"), "wb") as file:
        file.write(struct.pack("<12siiffi", b"POINTCACHE2\0", 1, len(corners), 1.0, 1.0, 4))
        for number in range(4):
            for x, y, z in corners:
                file.write(struct.pack("<fff", x, y, z * (1 - number / 5)))
    modifier = cube.modifiers.new("cache", "MESH_CACHE")
    modifier.cache_format = "PC2"
    modifier.filepath = "//caches/cube.pc2"


@makes_a_scene
def alembic(folder, **how):
    """A cube that moves as an Alembic file says."""
    needs("alembic")
    scene = begin(frames=(1, 4))
    cube = scene.objects["Cube"]
    cube.keyframe_insert("scale", frame=1)
    cube.scale.z = 0.3
    cube.keyframe_insert("scale", frame=4)
    os.makedirs(os.path.join(folder, "caches"))
    path = os.path.join(folder, "caches", "cube.abc")
    bpy.ops.wm.alembic_export(filepath=path, start=1, end=4, as_background_job=False)
    scene = begin(**how)
    bpy.data.objects.remove(scene.objects["Cube"])
    bpy.ops.wm.alembic_import(filepath=path, as_background_job=False)
    for cache in bpy.data.cache_files:
        cache.filepath = "//caches/cube.abc"
    for thing in scene.objects:
        if thing.type == "MESH":
            thing.data.materials.clear()
    scene.frame_start, scene.frame_end = how.get("frames", (1, 2))


@makes_a_scene
def changed(folder, **how):
    """A cube with a texture that is another one when it is rendered for the second time (its new files lie in ``.changed``)."""
    texture(folder, **how)
    write_picture(os.path.join(folder, ".changed", "textures", "wood.png"), (0.9, 0.1, 0.8, 1))


@makes_a_scene
def changed_library(folder, **how):
    """A linked cube whose library's texture changes."""
    linked(folder, **how)
    write_picture(os.path.join(folder, ".changed", "lib1", "maps", "rust.png"), (0.1, 0.3, 1, 1))


@makes_a_scene
def changed_sequence(folder, **how):
    """A cube with a sequence of images, the second of which changes."""
    sequence(folder, **how)
    write_picture(os.path.join(folder, ".changed", "plates", "plate_0002.png"), (0, 0, 0.5, 1))


@makes_a_scene
def two_scenes(folder, active=0, **how):
    """Two scenes; the second has its own camera and size."""
    first = begin(**how)
    second = bpy.data.scenes.new("Second")
    second.render.resolution_x, second.render.resolution_y = 24, 16
    second.render.engine = "CYCLES"
    second.cycles.samples = 1
    second.cycles.use_denoising = False
    second.frame_start, second.frame_end = 3, 4
    second.render.filepath = "//out/second_####"
    second.world = first.world
    add_camera(second, "Other camera")
    cube = bpy.data.objects.new("Other", cube_mesh("Other", 0.6))
    second.collection.objects.link(cube)
    move(cube, (3, 4))
    add_cube(second, "Third", 0.3, (1, 0, 1))
    if active:
        bpy.context.window_manager.windows[0].scene = second
