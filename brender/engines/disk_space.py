"""Whether there is room on the disks that a worker writes to."""

import errno
import shutil
from collections.abc import Iterable
from pathlib import Path

#: Bytes that must be free before anything new is begun.
LEAST = 100 * 1024 * 1024
#: What the system says when there is none: no space on the device, or no more of it for this user.
NO_ROOM = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)})


def shortage(folders: Iterable[Path], least: int) -> str:
    """Which of *folders* has less than *least* bytes free, in words for a person; "" where none has. A folder that does not
    exist counts as the nearest one above it that does; one that cannot be looked at is none of this function's."""
    for folder in folders:
        there = next((each for each in (folder, *folder.parents) if each.exists()), None)
        if there is None:
            continue
        try:
            free = shutil.disk_usage(there).free
        except OSError:
            continue
        if free < least:
            return f"No room on the disk of {folder}: {free // 2**20} MB free, {least // 2**20} MB wanted"
    return ""
