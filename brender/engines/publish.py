"""A finished file gets its own name: only once, only whole, and only while its attempt holds the worker's lease."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path


class Lease:
    """Until when the worker may publish, on its own monotonic clock. The loop extends it; attempts' threads wait for it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until = float("-inf")
        self._changed = threading.Condition()

    def extend(self, until: float) -> None:
        with self._changed:
            self._until = max(self._until, until)
            self._changed.notify_all()

    @property
    def held(self) -> bool:
        return self._clock() < self._until

    def wait(self, seconds: float) -> bool:
        """Wait until the lease is held, at most *seconds*; whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: self.held, seconds)


def flush(path: Path) -> None:
    """Make the file or folder at *path* survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def rename(temporary: Path, final: Path) -> None:
    """Give the file its own name, in one step, and make that survive a power cut."""
    temporary.replace(final)
    if os.name != "nt":  # which cannot flush folders
        flush(final.parent)
