"""Renders a .blend as ``blender -b FILE -a`` does, in the bpy package.

Its one argument is JSON, ``[FILE, TRUSTED, FRAME]``. FRAME is the only one to render, as with ``-f``, or null.
"""

import contextlib
import json
import os
import sys

import bpy

file, trusted, frame = json.loads(sys.argv[-1])
# What Blender reports as an error here (a missing library, say) is no reason for it to stop.
with contextlib.suppress(RuntimeError):
    bpy.ops.wm.open_mainfile(filepath=file, load_ui=False, use_scripts=trusted)
scene = bpy.context.scene
if frame is not None:
    scene.frame_start = scene.frame_end = frame
print("rendering", bpy.data.filepath, scene.name)
with contextlib.suppress(RuntimeError):
    bpy.ops.render.render(animation=True)
sys.stdout.flush()
os._exit(0)
