"""How each kind of Blender is started with a program of ours in it."""

from pathlib import Path

from brender.model.nodes import Blender


def script_in(blender: Blender, script: Path) -> list[str]:
    """The command that runs the file *script* in *blender*; its own arguments come after a ``--``."""
    if blender.kind == "bpy":
        return [blender.path, "-I", str(script)]
    # -Y: scripts in the .blend that Blender opens first, its start-up file, do not run either.
    return [blender.path, "--background", "-Y", "--python-exit-code", "1", "--python", str(script)]


def python_in(blender: Blender, code: str) -> list[str]:
    """The command that runs *code* in *blender*. What it prints comes among Blender's own lines."""
    if blender.kind == "bpy":
        return [blender.path, "-I", "-c", "import bpy\n" + code]
    return [blender.path, "--background", "--factory-startup", "--python-expr", code]
