"""Whether a program can be started, and what the system says where it cannot: as it would say it without a sandbox, in which
only bwrap speaks."""

import errno
import os
import stat
from collections.abc import Mapping
from pathlib import Path

_NOT_THERE = (errno.ENOENT, errno.ENOTDIR)


def why_not_started(program: str, folder: Path, env: Mapping[str, str]) -> str:
    """Return why the system would not start *program* in *folder* with the environment *env*, or "" if it would. A name is looked
    up on the ``PATH``, and what has a slash begins at *folder*, as the system does it."""
    if "/" in program:
        return _said(_error_at(folder / program))
    errors = [_error_at(folder / each / program) for each in os.get_exec_path(env)]
    if 0 in errors:
        return ""
    return _said(next((each for each in errors if each not in _NOT_THERE), errno.ENOENT))


def _error_at(path: Path) -> int:
    """Return the number of the error that the system has at the start of the file *path*, or 0 if it has none."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return error.errno or errno.ENOENT
    return 0 if stat.S_ISREG(mode) and os.access(path, os.X_OK) else errno.EACCES


def _said(number: int) -> str:
    return os.strerror(number) if number else ""
