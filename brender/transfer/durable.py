"""Files that survive a power cut.

Call this before a file is acknowledged: the sender forgets what is acknowledged.
"""

import os
from collections.abc import Collection, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

_FEW = 4
#: Bytes of a growing file that are flushed at once.
_AHEAD_BYTES = 64 * 2**20
_threads = ThreadPoolExecutor(16, "brender-flush")
"""Started when they are needed."""


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
    for _ in _threads.map(flush_folder, folders) if len(folders) > _FEW else map(flush_folder, folders):
        pass  # what goes wrong in one of them is raised


def flush_files(files: Collection[Path]) -> dict[Path, OSError]:
    """Write the contents of *files* to their disk, many at once, which a disk does together; returns those that failed."""
    if len(files) < 2:
        return {file: error for file in files if (error := _problem(file)) is not None}
    return {file: error for file, error in zip(files, _threads.map(_problem, files), strict=True) if error is not None}


class FlushAhead:
    """Flushes a file while it still grows, in a thread, so that little is left to flush at its end."""

    def __init__(self) -> None:
        self._flushed = 0
        self._flushing: Future[None] | None = None

    def grown(self, path: Path, size: int) -> None:
        """The file at *path* has *size* bytes now. Raises `OSError` where its disk did not take what it had before."""
        if size - self._flushed >= _AHEAD_BYTES and (self._flushing is None or self._flushing.done()):
            self.wait()
            self._flushed = size
            self._flushing = _threads.submit(flush_file, path)

    def wait(self) -> None:
        """Wait until nothing is being flushed here. Raises `OSError` as `grown` does: no later flush would tell of it."""
        flushing, self._flushing = self._flushing, None
        if flushing is not None:
            flushing.result()


def _problem(file: Path) -> OSError | None:
    try:
        flush_file(file)
    except OSError as error:
        return error
    return None


def _flush(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
