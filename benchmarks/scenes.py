"""The benchmark scenes, made by a Blender that is to render them."""

import subprocess
from pathlib import Path

from brender.engines.command_line import script_in
from brender.engines.environment import clean_environment
from brender.model.nodes import Blender

FRAMES = 24


def make_scene(blender: Blender, kind: str, file: Path) -> Path:
    """The scene *kind* (`benchmarks.make_scene`) as the .blend *file*."""
    words = [*script_in(blender, Path(__file__).with_name("make_scene.py")), "--", kind, str(file)]
    subprocess.run(words, env=clean_environment({}), check=True, capture_output=True, stdin=subprocess.DEVNULL)
    return file
