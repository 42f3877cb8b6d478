"""Files that survive a power cut.

Whoever acknowledges a file calls this first: the sender forgets what is acknowledged.
"""

import os
from collections.abc import Iterable
from pathlib import Path


def flush_file(path: Path) -> None:
    """Write the content of the file at *path* to its disk. Raises `OSError`."""
    # Windows flushes only what is open for writing.
    _flush(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)


def flush_folder(path: Path) -> None:
    """Write the names in the folder at *path* to its disk; nothing on Windows, which cannot. Raises `OSError`."""
    if os.name != "nt":
        _flush(path, os.O_RDONLY)


def flush_names(files: Iterable[Path], root: Path) -> None:
    """Write the names of *files*, which lie below *root*, to the disk: those of their folders too. Each folder is flushed once.

    Raises `OSError`.
    """
    folders: dict[Path, None] = {}
    for file in files:
        for folder in file.parents:
            folders[folder] = None
            if folder == root:
                break
    for folder in sorted(folders, key=lambda each: -len(each.parts)):
        flush_folder(folder)


def flush(files: Iterable[Path], root: Path) -> None:
    """Make *files*, which lie below *root*, survive a power cut: their contents, then their names. Raises `OSError`."""
    files = list(files)
    for file in files:
        flush_file(file)
    flush_names(files, root)


def _flush(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
