"""Can a Blender render with an engine on this machine? One tiny frame tells."""

import subprocess
from pathlib import Path

from brender.engines.command_line import script_in
from brender.engines.environment import clean_environment
from brender.engines.exits import describe_exit
from brender.engines.pictures import BadPicture, verify
from brender.engines.session import shader_cache
from brender.model.nodes import Blender

_SCRIPT = """
import sys, bpy
engine, path = sys.argv[-2:]
bpy.ops.wm.read_factory_settings()
scene = bpy.context.scene
for name in {"cycles": ["CYCLES"], "eevee": ["BLENDER_EEVEE", "BLENDER_EEVEE_NEXT"], "workbench": ["BLENDER_WORKBENCH"]}[engine]:
    try:
        scene.render.engine = name
        break
    except TypeError:
        continue
if engine == "cycles":
    scene.cycles.samples = 1
    scene.cycles.use_denoising = False
if engine == "eevee":
    scene.eevee.taa_render_samples = 1
scene.render.resolution_x = scene.render.resolution_y = 16
scene.render.resolution_percentage = 100
scene.render.filepath = path
scene.render.use_file_extension = False
bpy.ops.render.render(write_still=True)
"""
_SECONDS = 180.0


def probe(blender: Blender, engine: str, folder: Path) -> str:
    """Return why *blender* cannot render with *engine* here, or "" if it can. Works in *folder*."""
    script, picture = folder / "probe.py", folder / f"{engine}.png"
    script.write_text(_SCRIPT)
    env = clean_environment(shader_cache(folder / "shaders"))
    try:
        done = subprocess.run(
            [*script_in(blender, script), "--", engine, str(picture)],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            env=env,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no frame within {_SECONDS:.0f} seconds"
    try:
        verify(picture, (16, 16))
    except BadPicture as error:
        last = (done.stdout + done.stderr).strip().splitlines()[-1:]
        return f"{error} ({describe_exit(done.returncode) or ''.join(last)})"
    return ""
