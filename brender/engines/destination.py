"""Where the frames of a scene go by its own word, if this machine may write there."""

import os
import re
import tempfile
from pathlib import Path

from brender.model.naming import ScenePath

_DRIVE = re.compile(r"[A-Za-z]:/")


class NoDestination(Exception):
    """The scene's own folder is none for frames; the text is the beginning of a sentence."""


def destination(path: ScenePath, blend: Path) -> Path:
    """The folder of this machine that *path*, of a scene of *blend*, leads to. Nothing is made. Raises `NoDestination`."""
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


def _why_unwritable(folder: Path) -> str | None:
    """Why nothing could be written to *folder*, or why it could not be made; ``None``: it could."""
    there = next((each for each in (folder, *folder.parents) if each.exists()), folder)
    if not there.is_dir():
        return f"{there} is no folder"
    try:
        with tempfile.TemporaryFile(dir=there):
            return None
    except OSError as error:
        return str(error.strerror)


def _same(one: Path, other: Path) -> bool:
    return os.path.normpath(one.absolute()) == os.path.normpath(other)
