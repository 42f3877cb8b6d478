"""Makes the scenes that renders are measured with. Runs inside Blender: ``… make_scene.py -- KIND FILE``.

- ``sync-heavy``: sixty subdivided meshes that turn, few samples: what is costly is to hand the scene to Cycles.
- ``sample-heavy``: a few objects, many samples: what is costly is to render.
- ``tiny``: next to nothing in either.
- ``still``: one frame at 4096 samples, without adaptive sampling and denoising.
"""

import math
import sys

import bpy

FRAMES = 24
SETTINGS = {
    "sync-heavy": {"objects": 60, "levels": 3, "samples": 4, "size": (320, 180)},
    "sample-heavy": {"objects": 6, "levels": 2, "samples": 128, "size": (320, 180)},
    "tiny": {"objects": 1, "levels": 1, "samples": 4, "size": (160, 90)},
    "still": {"objects": 6, "levels": 2, "samples": 4096, "size": (320, 180)},
}


def main(kind, file):
    settings = SETTINGS[kind]
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.samples = settings["samples"]
    scene.cycles.use_denoising = scene.cycles.use_adaptive_sampling = False
    scene.render.resolution_x, scene.render.resolution_y = settings["size"]
    scene.render.resolution_percentage = 100
    scene.frame_start, scene.frame_end = 1, FRAMES
    for number in range(settings["objects"]):
        angle = number * 2.4
        away = 1.5 + 0.12 * number
        bpy.ops.mesh.primitive_monkey_add(location=(away * math.cos(angle), away * math.sin(angle), 0), size=1.2)
        thing = bpy.context.object
        modifier = thing.modifiers.new("subdivided", "SUBSURF")
        modifier.levels, modifier.render_levels = 1, settings["levels"]
        thing.keyframe_insert("rotation_euler", frame=1)
        thing.rotation_euler.z = 1 + number
        thing.keyframe_insert("rotation_euler", frame=FRAMES)
    bpy.ops.object.light_add(type="SUN", rotation=(0.6, 0.3, 0))
    bpy.ops.object.camera_add(location=(0, -14, 8), rotation=(1.05, 0, 0))
    scene.camera = bpy.context.object
    bpy.ops.wm.save_as_mainfile(filepath=file)


main(*sys.argv[-2:])
