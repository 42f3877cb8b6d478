"""What attempts would leave in folders of jobs, should the worker be killed: noted before it is made, removed at the next start.

The notes lie where no render can write, and what they name is reached without following links.
"""

import contextlib
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path, PurePath

from brender.engines.directories import Directory

TEMPORARY = "temporary"
#: A file that holds a frame's name while it is empty, and is the frame afterwards.
PLACEHOLDER = "placeholder"
_FOLDER = "leftovers"
#: Where the notes of an earlier process are kept until all that they name is removed.
_LEFT = "leftovers.left"
_KEPT_SECONDS = 7 * 86400.0


class Leftovers:
    """The notes of one *attempt* of the worker in *folder*."""

    def __init__(self, folder: Path, attempt: str) -> None:
        self._file = folder / _FOLDER / attempt

    def note(self, kind: str, root: Path, relative: str) -> None:
        """Note that the file *relative* below *root* may be left behind. Raises `OSError`."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("ab") as file:
            file.write(b"".join(os.fsencode(word) + b"\0" for word in (kind, root, relative)))

    def forget(self) -> None:
        """The attempt is over, and has removed what it leaves."""
        with contextlib.suppress(OSError):
            self._file.unlink(missing_ok=True)


def set_aside(folder: Path) -> None:
    """Move the notes of an earlier process of the worker in *folder* out of the way of new ones. Raises `OSError`."""
    notes = folder / _FOLDER
    if notes.is_dir():
        (folder / _LEFT).mkdir(exist_ok=True)
        notes.rename(folder / _LEFT / f"{time.time_ns():x}")


def clear(folder: Path) -> None:
    """Remove what is in the notes that were `set_aside`. What cannot be removed stays. Waits for the drives of jobs.

    Notes of a drive that is not there are kept for a week, and looked at again at the next start.
    """
    for file in (folder / _LEFT).glob("*/*"):
        were_there = [_remove(*noted) for noted in _noted(file)]
        with contextlib.suppress(OSError):
            if all(were_there) or time.time() - file.stat().st_mtime > _KEPT_SECONDS:
                file.unlink()
    for notes in (*(folder / _LEFT).glob("*"), folder / _LEFT):
        with contextlib.suppress(OSError):
            notes.rmdir()  # unless some are kept


def _remove(kind: str, root: Path, relative: str) -> bool:
    """Remove what an attempt left; return whether its drive is there."""
    if not os.path.isdir(root):  # noqa: PTH112 (Path.is_dir raises where it may not look)
        return False
    with contextlib.suppress(OSError), Directory.open(root, PurePath(relative).parent) as directory:
        name = PurePath(relative).name
        found = directory.stat(name)
        if found is not None and stat.S_ISREG(found.st_mode) and (kind == TEMPORARY or not found.st_size):
            directory.remove(name)
    return True


def _noted(file: Path) -> Iterator[tuple[str, Path, str]]:
    with contextlib.suppress(OSError):
        words = [os.fsdecode(word) for word in file.read_bytes().split(b"\0")]
        for kind, root, relative in zip(words[::3], words[1::3], words[2::3], strict=False):
            yield kind, Path(root), relative
