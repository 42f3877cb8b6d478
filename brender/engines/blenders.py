"""Which Blenders this machine has: the bpy package of this Python, ``blender`` on the path, and those that are named."""

import importlib.metadata
import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from brender.model.errors import BadInput
from brender.model.nodes import Blender

_ASK_SECONDS = 60.0
_PYTHON_QUESTION = "import bpy; print('Blender', bpy.app.version_string)"


def find_blenders(named: Sequence[str] = ()) -> tuple[Blender, ...]:
    """The Blenders to use: those *named* (paths of ``blender`` executables, or of Pythons that have bpy), or, with none named,
    whatever is found. Raises `BadInput` where a named one is no Blender."""
    if named:
        return tuple(ask(path) for path in named)
    found = []
    if (bpy := own_bpy()) is not None:
        found.append(bpy)
    if (executable := shutil.which("blender")) is not None:
        found.append(ask(executable))
    return tuple(found)


def has_blender() -> bool:
    """Whether there is any, without asking it which."""
    return own_bpy() is not None or shutil.which("blender") is not None


def own_bpy() -> Blender | None:
    """The bpy package of this very Python, ``None`` where it has none. Found without importing it."""
    if importlib.util.find_spec("bpy") is None:
        return None
    try:
        return Blender("bpy", sys.executable, _version(importlib.metadata.version("bpy")))
    except importlib.metadata.PackageNotFoundError:
        return None


def ask(path: str) -> Blender:
    """The Blender at *path*, by its own word. Raises `BadInput`."""
    found = shutil.which(path)
    if found is None:
        raise BadInput(f"There is no program {path!r}, which --blender names")
    kind = "bpy" if Path(found).name.startswith("python") else "executable"
    command = [found, "-I", "-c", _PYTHON_QUESTION] if kind == "bpy" else [found, "--version"]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=_ASK_SECONDS, stdin=subprocess.DEVNULL, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BadInput(f"{found} does not answer: {error}") from error
    match = re.search(r"^Blender (\d+\.\d+(?:\.\d+)?)", answer.stdout, re.MULTILINE)
    if match is None:
        what = "a Python without the bpy package" if kind == "bpy" else "no Blender"
        raise BadInput(f"{found} is {what}: it answers {(answer.stdout + answer.stderr).strip()[-200:]!r}")
    return Blender(kind, found, _version(match.group(1)))


def _version(text: str) -> tuple[int, int, int]:
    numbers = [int(number) for number in re.findall(r"\d+", text)[:3]]
    major, minor, patch = [*numbers, 0, 0][:3]
    return major, minor, patch
