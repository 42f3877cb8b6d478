"""A power cut: what a disk would hold after one, by what was flushed to it before."""

import os
from pathlib import Path
from stat import S_ISDIR

import pytest


class Disk:
    """What survives a power cut at any time: contents of files and names in folders, as they were at their last fsync.

    A stand-in: it watches `os.fsync` of this process, and assumes that a disk writes nothing unasked.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._contents: dict[int, bytes] = {}
        self._names: dict[int, dict[str, int]] = {}
        monkeypatch.setattr(os, "fsync", self._flushed)

    def _flushed(self, descriptor: int) -> None:
        stat = os.fstat(descriptor)
        if S_ISDIR(stat.st_mode):
            with os.scandir(descriptor) as entries:
                self._names[stat.st_ino] = {entry.name: entry.inode() for entry in entries}
        else:
            self._contents[stat.st_ino] = Path(f"/dev/fd/{descriptor}").read_bytes()

    def has(self, path: Path, root: Path) -> bool:
        """Whether the file at *path*, below *root*, would be there with its present content after a power cut now."""
        if not path.exists() or self._contents.get(path.stat().st_ino) != path.read_bytes():
            return False
        below = [path, *(each for each in path.parents if each.is_relative_to(root) and each != root)]
        return all(self._names.get(each.parent.stat().st_ino, {}).get(each.name) == each.stat().st_ino for each in below)
