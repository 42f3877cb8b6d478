"""Makes the demo's .blend: a ring of cubes that turns around a glowing ball. Runs inside Blender, 3.x or later.

python scene.py -- FILE.blend        (with the bpy package)
blender -b -P scene.py -- FILE.blend
"""

import math
import sys

import bpy

FRAMES = 24


def material(name, color, emission=0.0):
    made = bpy.data.materials.new(name)
    made.use_nodes = True
    shader = made.node_tree.nodes["Principled BSDF"]
    shader.inputs["Base Color"].default_value = (*color, 1.0)
    shader.inputs["Roughness"].default_value = 0.35
    if emission:
        glow = shader.inputs["Emission Color" if "Emission Color" in shader.inputs else "Emission"]
        glow.default_value = (*color, 1.0)
        shader.inputs["Emission Strength"].default_value = emission
    return made


def build(scene):
    bpy.ops.mesh.primitive_plane_add(size=40)
    bpy.context.object.data.materials.append(material("floor", (0.11, 0.12, 0.14)))
    bpy.ops.mesh.primitive_uv_sphere_add(radius=1.0, location=(0, 0, 1.4), segments=32, ring_count=16)
    bpy.ops.object.shade_smooth()
    bpy.context.object.data.materials.append(material("ball", (1.0, 0.42, 0.06), emission=2.5))
    pivot = bpy.data.objects.new("pivot", None)
    scene.collection.objects.link(pivot)
    for number in range(10):
        angle = number * math.tau / 10
        bpy.ops.mesh.primitive_cube_add(size=0.8, location=(3.4 * math.cos(angle), 3.4 * math.sin(angle), 0.6))
        cube = bpy.context.object
        cube.rotation_euler = (0, 0, angle)
        cube.parent = pivot
        shade = number / 10
        cube.data.materials.append(material("cube %d" % number, (0.1 + 0.7 * shade, 0.35, 0.9 - 0.7 * shade)))
    pivot.rotation_euler = (0, 0, 0)
    pivot.keyframe_insert("rotation_euler", frame=1)
    pivot.rotation_euler = (0, 0, math.tau / 10)
    pivot.keyframe_insert("rotation_euler", frame=FRAMES + 1)


def light_and_camera(scene):
    sun = bpy.data.objects.new("sun", bpy.data.lights.new("sun", "SUN"))
    sun.data.energy = 2.5
    sun.rotation_euler = (0.7, 0.2, 0.5)
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    camera.location = (0, -11.5, 5.4)
    camera.rotation_euler = (math.radians(69), 0, 0)
    for thing in (sun, camera):
        scene.collection.objects.link(thing)
    scene.camera = camera
    scene.world = bpy.data.worlds.new("world")
    scene.world.use_nodes = True
    scene.world.node_tree.nodes["Background"].inputs["Color"].default_value = (0.03, 0.05, 0.09, 1.0)


def main(path):
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    build(scene)
    light_and_camera(scene)
    scene.frame_start, scene.frame_end = 1, FRAMES
    scene.render.engine = "CYCLES"
    scene.cycles.samples = 16
    scene.cycles.use_denoising = False
    scene.cycles.max_bounces = 4
    scene.render.resolution_x, scene.render.resolution_y = 480, 270
    scene.render.resolution_percentage = 100
    scene.render.image_settings.file_format = "PNG"
    bpy.ops.wm.save_as_mainfile(filepath=path, check_existing=False)


main(sys.argv[-1])
