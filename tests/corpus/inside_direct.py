"""Renders a .blend as ``blender -b FILE -a`` does, in the bpy package.

Its one argument is JSON, ``[FILE, TRUSTED, FRAMES]``. FRAMES are the only ones to render, as with ``-f``; none: the animation.
"""

import contextlib
import json
import os
import sys

import bpy

file, trusted, frames = json.loads(sys.argv[-1])
# What Blender reports as an error here (a missing library, say) is not a reason for it to stop.
with contextlib.suppress(RuntimeError):
    bpy.ops.wm.open_mainfile(filepath=file, load_ui=False, use_scripts=trusted)
scene = bpy.context.scene
takes_frames = "frame_start" in bpy.ops.render.render.get_rna_type().properties
for frame in frames or [None]:
    wanted = {}
    if frame is not None and takes_frames:
        wanted = {"frame_start": frame, "frame_end": frame}
    elif frame is not None:
        scene.frame_start = scene.frame_end = frame
    with contextlib.suppress(RuntimeError):
        bpy.ops.render.render(animation=True, **wanted)
sys.stdout.flush()
os._exit(0)
