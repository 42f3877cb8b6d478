"""Which Blenders this machine has: the bpy package of this Python, ``blender`` on the path, and those that are named."""

import importlib.metadata
import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from brender.engines.command_line import python_in
from brender.engines.environment import clean_environment
from brender.engines.exits import describe_exit
from brender.engines.libraries import lacks, missing_libraries
from brender.model.errors import BadInput
from brender.model.nodes import Blender

#: The bpy that `brender[blender]` installs, by version of Python (setup.cfg has the same).
_BPY_FOR = {"3.11": "5.0", "3.13": "5.3"}
_ASK_SECONDS = 60.0
#: Asked of a Blender that has started: ``--version`` would be answered by one that cannot.
_QUESTION = (
    "import bpy, sys; sys.stdout.flush(); "
    "print('\\nbrender-blender', bpy.app.version_string, 'files', getattr(bpy.app, 'version_file', ['?'])[-1], flush=True)"
)


@dataclass(frozen=True)
class Search:
    """The Blenders that were ``found``, and a sentence for each that was ``passed_over`` because it does not work."""

    found: tuple[Blender, ...]
    passed_over: tuple[str, ...] = ()


def search_blenders(named: Sequence[str] = ()) -> Search:
    """Find the Blenders to use: those *named* (paths of ``blender`` executables, or of Pythons that have bpy), or, with none
    named, the bpy package of this Python and ``blender`` on the path, if it works. Raises `BadInput` where a named one does not.
    """
    if named:
        return Search(tuple(ask(path) for path in named))
    found = [bpy] if (bpy := own_bpy()) is not None else []
    passed_over = [trouble] if (trouble := why_not_own_bpy()) else []
    if (executable := shutil.which("blender")) is not None:
        try:
            found.append(ask(executable))
        except BadInput as error:
            passed_over.append(f"The blender on the path is not used: {error}")
    return Search(tuple(found), tuple(passed_over))


def how_to_get_one() -> str:
    """Return what to do on a machine without Blender, for the Python that brender runs on here."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    if version in _BPY_FOR:
        package = f"the bpy package into this Python (pip install 'brender[blender]': bpy {_BPY_FOR[version]})"
    else:
        there = " and ".join(f"{python} (bpy {bpy})" for python, bpy in _BPY_FOR.items())
        package = f"brender into another Python, as there is no bpy package for {version}, but for {there}"
    return f"Install {package}, or a blender on the path, or name a blender or a Python that has bpy with --blender"


def why_no_blender(named: Sequence[str] = ()) -> str | None:
    """Return why no Blender of `search_blenders` works, or "" if none is there, ``None`` where there is one. Does not start the
    bpy package of this Python. Raises `BadInput` where a named one does not work."""
    if not named and own_bpy() is not None:
        return None
    search = search_blenders(named)
    return None if search.found else " ".join(search.passed_over)


def own_bpy() -> Blender | None:
    """Return the bpy package of this very Python, ``None`` where it has none that can start. Found without importing it."""
    version = _own_bpy_version()
    return Blender("bpy", sys.executable, _version(version)) if version and not _missing_to_own_bpy() else None


def why_not_own_bpy() -> str:
    """Return why the bpy package of this very Python cannot start, in a sentence; "" if it can, or is not installed."""
    version, missing = _own_bpy_version(), _missing_to_own_bpy()
    return f"bpy {version} does not start: {lacks(missing)}" if version and missing else ""


def _own_bpy_version() -> str:
    if importlib.util.find_spec("bpy") is None:
        return ""
    try:
        return importlib.metadata.version("bpy")
    except importlib.metadata.PackageNotFoundError:
        return ""


def _missing_to_own_bpy() -> tuple[str, ...]:
    spec = importlib.util.find_spec("bpy")
    return missing_libraries(Path(spec.origin)) if spec is not None and spec.origin else ()


def ask(path: str) -> Blender:
    """Return the Blender at *path*, by its own word. Raises `BadInput`."""
    found = shutil.which(path)
    if found is None:
        raise BadInput(f"There is no program {path!r}, which --blender names")
    kind = "bpy" if Path(found).name.startswith("python") else "executable"
    command = python_in(Blender(kind, found, (0, 0, 0)), _QUESTION)
    try:
        answer = subprocess.run(
            command,
            env=clean_environment({}),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_ASK_SECONDS,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BadInput(f"{found} does not answer: {error}") from error
    match = re.search(r"^brender-blender (\d+\.\d+(?:\.\d+)?)(?:.* files (\d+))?", answer.stdout, re.MULTILINE)
    if match is None:
        raise BadInput(_why_not(kind, found, answer.returncode, (answer.stdout + answer.stderr).strip()))
    return Blender(kind, found, _version(match.group(1)), int(match.group(2)) if match.group(2) else None)


def _why_not(kind: str, path: str, returncode: int, said: str) -> str:
    """Return the sentence that says why the program at *path* is no Blender that works."""
    words = said.splitlines()
    last = f" It says {words[-1].strip()[-200:]!r}" if words else ""
    if "OpenColorIO" in said:
        line = next(word for word in words if "OpenColorIO" in word)
        return f"{path} does not start, for its OpenColorIO configuration cannot be read: {line.strip()[:300]!r}"
    if returncode < 0:
        return f"{path} does not start: {describe_exit(returncode)}.{last}"
    if kind == "bpy":
        return f"{path} is a Python without the bpy package, or with one that does not start.{last}"
    return f"{path} is not a Blender, or does not start: {describe_exit(returncode) or 'it ended without an answer'}.{last}"


def _version(text: str) -> tuple[int, int, int]:
    numbers = [int(number) for number in re.findall(r"\d+", text)[:3]]
    major, minor, patch = [*numbers, 0, 0][:3]
    return major, minor, patch
