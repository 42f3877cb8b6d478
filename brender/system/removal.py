"""Removing folders, and keeping files from careless writers."""

import contextlib
import os
import shutil
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: Whether a file that may not be written to can be neither removed nor replaced.
_READ_ONLY_STAYS = sys.platform == "win32"


def remove_tree(folder: str | Path) -> None:
    """Remove *folder* and all in it, what is read-only too, as far as that can be done. Links are removed, not followed."""
    if not _READ_ONLY_STAYS:
        shutil.rmtree(folder, ignore_errors=True)
    elif sys.version_info >= (3, 12):
        shutil.rmtree(folder, onexc=_remove_read_only)
    else:
        shutil.rmtree(folder, onerror=_remove_read_only)


def forbid_writing(file: Path) -> None:
    """Let nobody write to *file* by accident. Nothing on Windows, where such a file can be neither removed nor replaced by any
    of its names. Raises `OSError`."""
    if not _READ_ONLY_STAYS:
        file.chmod(0o444)


def _remove_read_only(remove: Callable[..., Any], path: str, error: object) -> None:
    if remove in (os.unlink, os.rmdir):
        with contextlib.suppress(OSError):
            Path(path).chmod(stat.S_IWRITE)
            remove(path)
