"""Whether folders can be written to: what room there is on their disks, and which errors mean that a drive does not answer.

Everything here may wait for a drive for ever: a job's folders are looked at through `brender.engines.folder_looks`.
"""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

#: Bytes that must be free before anything new is begun.
LEAST = 100 * 1024 * 1024
#: A disk with less bytes free is full, whatever the worker's owner wants to be left.
FULL = 2**20
#: What the system says when there is none: no space on the device, or no more of it for this user.
NO_ROOM = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)})
#: What it says of a drive whose other end is gone. None of it is a fault of the files there.
NO_ANSWER = frozenset(
    getattr(errno, name)
    for name in ("ESTALE", "ENOTCONN", "ETIMEDOUT", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN", "ENETUNREACH", "EREMOTEIO")
    if hasattr(errno, name)
)
#: What it says of a folder that this user may not use (any more).
FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
#: What it says of a path that leads to no folder, whatever is mounted: a file or a loop of links stands there, or it is too long.
NO_FOLDER = frozenset({errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG})


def shortage(folders: Iterable[Path], least: int) -> str:
    """Return a sentence on the first of *folders* that has less than *least* bytes free or does not answer, or "".

    A folder that does not exist counts as the nearest one above it that does. One that may not be looked at is skipped: what
    writes to it learns why.
    """
    for folder in folders:
        try:
            free = _free(folder)
        except OSError as error:
            if error.errno in NO_ANSWER:
                return f"{no_answer(folder)}: {error.strerror}"
            continue
        if free < least:
            return f"No room on the disk of {folder}: {free // 2**20} MB free, {least // 2**20} MB wanted"
    return ""


def no_answer(folder: Path) -> str:
    """Return the sentence about a *folder* whose drive is silent."""
    return f"The folder {folder} does not answer"


def why_not_writable(folder: Path) -> str:
    """Return why nothing can be written to *folder* and flushed to its disk, as a sentence, or "" if it can."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return f"The folder {folder} cannot be written: {error.strerror or error}"
    return ""


def _free(folder: Path) -> int:
    """Bytes that are free on the disk of *folder*. Raises `OSError`."""
    for each in (folder, *folder.parents):
        try:
            usage = shutil.disk_usage(each)
        except (FileNotFoundError, NotADirectoryError):
            continue
        if not usage.total:  # such as /proc: nothing can be kept there, however long anybody waits
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), str(each))
        return usage.free
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder))
