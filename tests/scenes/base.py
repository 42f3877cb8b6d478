"""What most scenes begin with. Runs inside Blender 3.4 and later."""

import math
import os
import struct
import wave

import bpy


def makes_a_scene(function):
    """Mark *function* as one that makes a scene: it is called with the folder that the .blend will lie in, and leaves the scene
    open in Blender."""
    function.makes_a_scene = True
    return function


class Lacks(Exception):
    """This Blender was built without something that the scene needs."""


def needs(*parts):
    """Raise `Lacks` unless this Blender was built with all *parts* (names of ``bpy.app.build_options``)."""
    for part in parts:
        if not getattr(bpy.app.build_options, part, False):
            raise Lacks(part)


def begin(frames=(1, 2), size=(32, 24), engine="CYCLES", samples=1, output="//out/pic_####"):
    """Open an empty file with one scene that renders *frames* (first, last) of an orange cube that moves; returns the scene."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    setup(scene, frames, size, engine, samples, output)
    scene.world = bpy.data.worlds.new("World")
    scene.world.color = (0.2, 0.3, 0.5)
    color_of(scene.world, (0.2, 0.3, 0.5, 1))
    add_camera(scene)
    cube = add_cube(scene)
    move(cube, frames)
    return scene


def setup(scene, frames=(1, 2), size=(32, 24), engine="CYCLES", samples=1, output="//out/pic_####"):
    """Let *scene* render so."""
    scene.frame_start, scene.frame_end = frames
    scene.frame_set(frames[0])
    render = scene.render
    render.resolution_x, render.resolution_y, render.resolution_percentage = *size, 100
    render.engine = engine
    render.filepath = output
    render.use_file_extension = True
    if engine == "CYCLES":
        scene.cycles.samples = samples
        scene.cycles.use_denoising = False
        scene.cycles.use_adaptive_sampling = False
        scene.cycles.max_bounces = 1
    file_format(scene.render.image_settings, "PNG")


def file_format(settings, name, **more):
    """Let *settings*, those of a scene or a node, have the file format *name* and *more* of their values."""
    if hasattr(settings, "media_type"):
        kinds = {"OPEN_EXR_MULTILAYER": "MULTI_LAYER_IMAGE", "FFMPEG": "VIDEO"}
        settings.media_type = kinds.get(name, "IMAGE")
    settings.file_format = name
    for key, value in more.items():
        setattr(settings, key, value)


def color_of(thing, color):
    """Give the world or material *thing* this color."""
    thing.use_nodes = True
    kind = "BACKGROUND" if thing.bl_rna.identifier == "World" else "EMISSION"
    tree = thing.node_tree
    tree.nodes.clear()
    names = {
        "BACKGROUND": ("ShaderNodeBackground", "ShaderNodeOutputWorld"),
        "EMISSION": ("ShaderNodeEmission", "ShaderNodeOutputMaterial"),
    }
    shader, output = (tree.nodes.new(name) for name in names[kind])
    shader.inputs["Color"].default_value = color
    tree.links.new(shader.outputs[0], output.inputs["Surface"])
    return shader


def material(name, color=(1, 0.3, 0.05, 1)):
    """A new material that shines in *color*, whatever the light."""
    made = bpy.data.materials.new(name)
    color_of(made, color)
    return made


def textured(name, image):
    """A new material that shines with *image*; returns it and the node of the image."""
    made = bpy.data.materials.new(name)
    shader = color_of(made, (1, 1, 1, 1))
    node = made.node_tree.nodes.new("ShaderNodeTexImage")
    node.image = image
    node.interpolation = "Closest"
    made.node_tree.links.new(node.outputs["Color"], shader.inputs["Color"])
    return made, node


def add_camera(scene, name="Camera", at=(0, -6, 0)):
    camera = bpy.data.objects.new(name, bpy.data.cameras.new(name))
    camera.location = at
    camera.rotation_euler = (math.pi / 2, 0, 0)
    scene.collection.objects.link(camera)
    if scene.camera is None:
        scene.camera = camera
    return camera


def cube_mesh(name="Cube", half=1.0):
    mesh = bpy.data.meshes.new(name)
    corners = [(x, y, z) for x in (-half, half) for y in (-half, half) for z in (-half, half)]
    faces = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    mesh.from_pydata(corners, [], faces)
    mesh.uv_layers.new(name="UVMap")
    for polygon in mesh.polygons:
        for corner, place in zip(polygon.loop_indices, ((0, 0), (1, 0), (1, 1), (0, 1)), strict=True):
            mesh.uv_layers[0].data[corner].uv = place
    return mesh


def add_cube(scene, name="Cube", half=1.0, at=(0, 0, 0), color=(1, 0.3, 0.05, 1), collection=None):
    cube = bpy.data.objects.new(name, cube_mesh(name, half))
    cube.location = at
    cube.data.materials.append(material(name, color))
    (collection or scene.collection).objects.link(cube)
    return cube


def move(thing, frames, by=1.0):
    """Let *thing* move to the right from the first of *frames* to the last."""
    thing.location.x -= by
    thing.keyframe_insert("location", frame=frames[0])
    thing.location.x += 2 * by
    thing.keyframe_insert("location", frame=max(frames[1], frames[0] + 1))


def write_picture(path, color=(0.1, 0.8, 0.2, 1), size=8, seed=0):
    """Write a checkered PNG (by the end of its name) of *color* to *path*."""
    image = bpy.data.images.new("written", size, size, alpha=False)
    values = []
    for y in range(size):
        for x in range(size):
            dark = 0.4 if (x + y + seed) % 2 else 1.0
            values += [color[0] * dark, color[1] * dark, color[2] * dark, 1.0]
    image.pixels[:] = values
    os.makedirs(os.path.dirname(path), exist_ok=True)
    image.filepath_raw = path
    image.file_format = "PNG"
    image.save()
    bpy.data.images.remove(image)
    return path


def strips_of(scene):
    """The strips of the scene's sequencer, which is created."""
    editor = scene.sequence_editor_create()
    return editor.strips if hasattr(editor, "strips") else editor.sequences


def write_movie(path, frames=(1, 4), size=(32, 24)):
    """Write a movie without sound to *path* (.avi), of a cube that moves; the open file is lost."""
    needs("codec_ffmpeg")
    scene = begin(frames=frames, size=size, output=path)
    scene.render.use_file_extension = False
    file_format(scene.render.image_settings, "FFMPEG")
    scene.render.ffmpeg.format = "AVI"
    scene.render.ffmpeg.codec = "FFV1"
    bpy.ops.render.render(animation=True)
    return path


def write_sound(path, seconds=1.0, pitch=440.0):
    """Write a tone to *path* (.wav)."""
    needs("audaspace")
    rate = 22050
    values = [int(12000 * math.sin(2 * math.pi * pitch * number / rate)) for number in range(int(rate * seconds))]
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with wave.open(path, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(struct.pack("<%dh" % len(values), *values))
    return path
