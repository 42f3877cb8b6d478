"""A finished file gets its own name: only once, only whole, and only while its attempt holds the worker's lease."""

import os
import threading
import time
from collections.abc import Callable
from enum import Enum
from pathlib import Path


class Lease:
    """Until when the worker may publish, on its own monotonic clock, and which attempts.

    A lease is one registration's (its term); an attempt may publish under it only if the server counts it as this worker's in
    that registration. The loop extends and vouches; attempts' threads wait.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until = float("-inf")
        self._term = ""
        self._vouched: dict[str, set[str]] = {}
        self._changed = threading.Condition()

    def extend(self, until: float, term: str) -> None:
        with self._changed:
            if until > self._until:
                self._until, self._term = until, term
            self._changed.notify_all()

    def vouch(self, attempt: str, term: str) -> None:
        with self._changed:
            self._vouched.setdefault(attempt, set()).add(term)
            self._changed.notify_all()

    def forget(self, attempt: str) -> None:
        with self._changed:
            self._vouched.pop(attempt, None)

    def holds(self, attempt: str) -> bool:
        """Whether *attempt* may publish now."""
        return self._clock() < self._until and self._term in self._vouched.get(attempt, ())

    def wait(self, attempt: str, seconds: float) -> bool:
        """Wait until *attempt* may publish, at most *seconds*; whether it may."""
        with self._changed:
            return self._changed.wait_for(lambda: self.holds(attempt), seconds)


def flush(path: Path) -> None:
    """Make the file or folder at *path* survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Published(Enum):
    """What came of publishing a file."""

    DONE = "done"
    THERE = "there"
    """Another attempt's file has come there meanwhile, and stays."""
    NOT_HELD = "not held"
    """A file is there, and the lease is not held, so that it must not be replaced."""
    NOT_OURS = "not ours"
    """A file is there that this attempt must not replace."""


def signature(path: Path) -> tuple[int, int, int] | None:
    """What tells one file called *path* from another that takes its place; ``None`` where there is none."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def publish(
    temporary: Path,
    final: Path,
    holds: Callable[[], bool],
    before: tuple[int, int, int] | None = None,
    repeats: bool = False,
) -> Published:
    """Give the file *temporary* its own name, in one step, so that it survives a power cut.

    A name that nobody has is taken by a link, which never replaces what another attempt put there meanwhile: this process may
    have been stopped (SIGSTOP, a suspended machine) since it last looked at its lease. Where a file is there, of an earlier
    rendering or of an attempt that was given up, it is replaced only if it is the one that was there *before* this attempt
    rendered its own (`signature`), and if the lease is held (*holds*) now that this is known. An attempt that *repeats* one
    that runs replaces nothing: what is there may be the other's, finished and not told of yet. An empty file only holds a name.
    """
    try:
        os.link(temporary, final)
        temporary.unlink()
    except OSError as error:
        # (Other errors: a file system without links, as some network shares are.)
        if isinstance(error, FileExistsError) or final.exists():
            there = signature(final)
            is_placeholder = there is not None and there[2] == 0
            if there != before and not is_placeholder:
                temporary.unlink()
                return Published.THERE
            if repeats and not is_placeholder:
                return Published.NOT_OURS
            if not holds():
                return Published.NOT_HELD
        temporary.replace(final)
    if os.name != "nt":  # which cannot flush folders
        flush(final.parent)
    return Published.DONE
