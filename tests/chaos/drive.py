"""The drive that the frames of the chaos go to: it hangs for a while, or is full for a while."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.hanging import HangingFolder, can_hang, hanging
from tests.tools import fill

_MEGABYTES = 24


class Drive:
    """A small disk (tmpfs) behind a file system that can hang (FUSE)."""

    def __init__(self, folder: HangingFolder) -> None:
        self._folder = folder
        self._until: dict[str, float] = {}
        self._ballast: Path | None = None

    def hang(self, seconds: float) -> bool:
        """Let it hang for *seconds*; whether it did not already."""
        return self._begin("hangs", seconds) and (self._folder.hang() or True)

    def fill(self, seconds: float) -> bool:
        """Let there be no room on it for *seconds*; whether there was."""
        if not self._begin("full", seconds):
            return False
        self._ballast = fill(self._folder.behind)
        return True

    def mend(self, everything: bool = False) -> None:
        """Let go on what it is time for."""
        now = time.monotonic()
        for what in [what for what, until in self._until.items() if everything or until <= now]:
            del self._until[what]
            if what == "hangs":
                self._folder.go_on()
            elif self._ballast is not None:
                self._ballast.unlink()

    def _begin(self, what: str, seconds: float) -> bool:
        if what in self._until:
            return False
        self._until[what] = time.monotonic() + seconds
        return True


@contextlib.contextmanager
def drive(path: Path) -> Iterator[Drive | None]:
    """Mount one at *path*, which is new; ``None`` where this user may mount nothing, which is said. On CI that is an error."""
    if not can_hang():
        if os.environ.get("CI"):
            raise SystemExit("this user may mount no file system (FUSE, tmpfs), and CI must be able to")
        print("NO DRIVE HANGS OR IS FULL IN THIS RUN: this user may mount no file system (FUSE, tmpfs)", file=sys.stderr)
        path.mkdir()
        yield None
        return
    behind = path.with_name(f"{path.name}-behind")
    with hanging(path, behind) as folder:
        words = ["mount", "-t", "tmpfs", "-o", f"size={_MEGABYTES}m", "tmpfs", str(behind)]
        subprocess.run(words, check=True)
        try:
            yield Drive(folder)
        finally:
            folder.go_on()
            subprocess.run(["umount", "-l", str(behind)], check=True)
