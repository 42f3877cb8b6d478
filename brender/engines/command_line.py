"""How each kind of Blender is started with a program of ours in it."""

from pathlib import Path

from brender.model.nodes import Blender


def script_in(blender: Blender, script: Path, threads: int = 0) -> list[str]:
    """Return the command that runs the file *script* in *blender*; its own arguments come after a ``--``. *threads*: as many
    as Blender may use, 0 for all (the bpy package takes no such word: driver.py sees to it)."""
    if blender.kind == "bpy":
        return [blender.path, "-I", str(script)]
    # Its factory settings, as the bpy package starts with: what the worker's account prefers, and add-ons and start-up scripts
    # that it has, would change frames from machine to machine. -Y: scripts in a .blend do not run.
    words = [blender.path, "--background", "--factory-startup", "-Y", "--python-exit-code", "1"]
    return [*words, *(["--threads", str(threads)] if threads else []), "--python", str(script)]


def python_in(blender: Blender, code: str) -> list[str]:
    """Return the command that runs *code* in *blender*. What it prints comes among Blender's own lines."""
    if blender.kind == "bpy":
        return [blender.path, "-I", "-c", "import bpy\n" + code]
    return [blender.path, "--background", "--factory-startup", "--python-expr", code]
