"""Where the frames of a scene go by its own word, if this machine may write there; and how an output folder is spelled."""

import os
import platform
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path

import msgspec

from brender.model.errors import BadInput
from brender.model.naming import ScenePath, beside_blend, check_folder
from brender.model.paths import PathVariable, adopt, collapse, expand, places, platform_of

_DRIVE = re.compile(r"[A-Za-z]:/")


class NoDestination(Exception):
    """The scene's own folder cannot hold frames; the text is the beginning of a sentence."""


def destination(path: ScenePath, blend: Path) -> Path:
    """Return the folder of this machine that *path*, of a scene of *blend*, leads to. Nothing is made. Raises `NoDestination`."""
    if path.is_temporary or (path.folder.startswith("/") and _same(Path(path.folder), Path(tempfile.gettempdir()))):
        raise NoDestination(f"The scene names a temporary place ({path.folder})" if path.folder else "The scene names no place")
    if os.name != "nt" and (path.folder.startswith("\\\\") or _DRIVE.match(path.folder)):
        raise NoDestination(f"The scene names a place of Windows' ({path.folder})")
    if path.folder.startswith("//"):
        folder = blend.absolute().parent / path.folder.lstrip("/")
    else:
        folder = Path(path.folder or ".").absolute()
    folder = Path(os.path.normpath(folder))
    if reason := _why_unwritable(folder):
        raise NoDestination(f"The scene's own folder, {folder}, cannot be written here ({reason})")
    return folder


def missing_folders(folder: Path) -> int:
    """Return how many folders would have to be made for *folder* to be there: itself, and those that it lies in. Raises
    `OSError`."""
    return sum(not each.exists() for each in (folder, *folder.parents))


def one_spelling(folder: str, variables: Iterable[PathVariable] = (), site: str = "") -> str:
    """Return the one spelling of the output *folder*, as this machine at *site* sees it: every link and ``..`` is followed, and a
    path variable stands for its beginning where one fits. So two jobs that write to one folder are known to.

    What has no place on this machine, or is not an absolute path, stays as it is. Raises `BadInput` for a path of Windows that
    means nothing here.
    """
    here = platform_of(platform.system())
    variables = tuple(variables)
    folder = adopt(folder, variables, here)
    known = [each for each in variables if each.platform == here]
    try:
        path = expand(folder, places(known, here, site), here)
    except BadInput:
        return folder
    if not Path(path).is_absolute():
        return folder
    real = os.path.realpath(path)
    resolved = [msgspec.structs.replace(each, path=os.path.realpath(each.path)) for each in known]
    # Where a link leads out of all variables, machines of other platforms could not follow it: then the path stays.
    for spelled, roots in ((real, known), (real, resolved), (os.path.normpath(path), known)):
        if (found := collapse(spelled, roots, here, site)) != spelled:
            return found
    return real


def _why_unwritable(folder: Path) -> str | None:
    """Return why nothing could be written to *folder*, or why it could not be made; ``None``: it could."""
    there = next((each for each in (folder, *folder.parents) if each.exists()), folder)
    if not there.is_dir():
        return f"{there} is not a folder"
    try:
        with tempfile.TemporaryFile(dir=there):
            return None
    except OSError as error:
        return str(error.strerror)


def _same(one: Path, other: Path) -> bool:
    return os.path.normpath(one.absolute()) == os.path.normpath(other)


def output_folder(wanted: str, beside: str = "") -> str:
    """Return the folder that a user means by *wanted*, as where frames go. *beside*: the folder of the .blend, or "" if it has
    none here. Raises `BadInput`."""
    # (On Windows a server's name begins with two slashes.)
    found = wanted if os.name == "nt" else beside_blend(wanted, beside)
    if not Path(found).is_dir():
        check_folder(found)
    return found
