"""The one publisher: a finished file gets its own name, once, whole, below a root, and for an attempt only under its lease.

First it is *staged*: it comes under a temporary name into the directory that it will be in, where the process that made it cannot
reach it any more. What is verified is that file. Then it gets its name in one step. `put` does both, for files that need no look.
"""

import contextlib
import errno
import os
import stat
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path, PurePath

from brender.engines.directories import OPEN_FILES_STAY, Directory, Signature
from brender.system.clock import steady

_BLOCK = 4 * 2**20
#: Bytes of a copy that are flushed at once: a slow disk shows progress that way.
_FLUSHED_BYTES = 64 * 2**20
#: What says that one file system cannot do a thing which another can.
_OTHER_DISK = frozenset({errno.EXDEV, errno.EPERM, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP})


class Lease:
    """Until when the worker may publish, on its own clock, and which attempts.

    A lease is one registration's (its term); an attempt may publish under it only if the server counts it as this worker's in
    that registration. The loop extends and vouches; attempts' threads wait.
    """

    def __init__(self, clock: Callable[[], float] = steady) -> None:
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
        """Return whether *attempt* may publish now."""
        return self._clock() < self._until and self._term in self._vouched.get(attempt, ())

    def wait(self, attempt: str, seconds: float) -> bool:
        """Wait until *attempt* may publish, at most *seconds*; whether it may."""
        with self._changed:
            return self._changed.wait_for(lambda: self.holds(attempt), seconds)


class Published(Enum):
    """What came of publishing a file."""

    DONE = "done"
    THERE = "there"
    """Another attempt's file has come there meanwhile, and stays."""
    NOT_HELD = "not held"
    """A file is there, and the lease is not held, so that it must not be replaced."""
    NOT_OURS = "not ours"
    """A file is there that this attempt must not replace."""


class BadSource(Exception):
    """What is to be published is not there, or is not a file; the text says which, as the end of a sentence."""


@dataclass
class Staged:
    """A file under its *temporary* name in the *directory* where it is to be called *name*; ``descriptor`` is it, open for
    reading. A context that removes what has not been published."""

    directory: Directory
    temporary: str
    name: str
    descriptor: int

    @property
    def path(self) -> Path:
        """Where it will be, for messages."""
        return self.directory.path / self.name

    @property
    def waiting(self) -> Path:
        """Where it is until then."""
        return self.directory.path / self.temporary

    @property
    def size(self) -> int:
        """Bytes."""
        return os.fstat(self.descriptor).st_size

    def __enter__(self) -> "Staged":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def flush(self) -> None:
        """Write its content to the disk. Raises `OSError`."""
        if os.name != "nt":
            os.fsync(self.descriptor)
        else:  # which flushes only what is open for writing
            descriptor = os.open(self.waiting, os.O_RDWR | getattr(os, "O_BINARY", 0))
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def publish(self, holds: Callable[[], bool], before: Signature | None = None, repeats: bool = False) -> Published:
        """Give the file its own name, in one step, so that it survives a power cut. Raises `OSError`.

        A name that nobody has is taken by a link, which never replaces what another attempt put there meanwhile: this process may
        have been stopped (SIGSTOP, a suspended machine) since it last looked at its lease. Where a file is there, of an earlier
        rendering or of an attempt that was given up, it is replaced only if it is the one that was there *before* this attempt
        rendered its own (`signature`), and if the lease is held (*holds*) now that this is known. An attempt that *repeats* one
        that runs replaces nothing: what is there may be the other's, finished and not told of yet. An empty file only holds a
        name.
        """
        directory = self.directory
        if OPEN_FILES_STAY:
            self._let_go()
        try:
            directory.link(self.temporary, self.name)
            directory.remove(self.temporary)
        except OSError:
            # (Other errors than that it exists: a file system without links, as some network shares are.)
            there = directory.stat(self.name)
            if there is not None:
                if stat.S_ISDIR(there.st_mode):
                    raise IsADirectoryError(errno.EISDIR, "A folder has the name of the file", str(self.path)) from None
                is_placeholder = stat.S_ISREG(there.st_mode) and there.st_size == 0
                if directory.signature(self.name) != before and not is_placeholder:
                    directory.remove(self.temporary)
                    return Published.THERE
                if repeats and not is_placeholder:
                    return Published.NOT_OURS
                if not holds():
                    return Published.NOT_HELD
            directory.take(directory, self.temporary, self.name)
        directory.flush()
        return Published.DONE

    def replace(self) -> None:
        """Give the file its own name in place of what is called so, in one step; `Directory.flush` makes that last. Raises
        `OSError`."""
        if OPEN_FILES_STAY:
            self._let_go()
        self.directory.take(self.directory, self.temporary, self.name)

    def close(self) -> None:
        """Remove it where it was not published, and let everything go."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
            with contextlib.suppress(OSError):
                self.directory.remove(self.temporary)
            self.directory.close()

    def _let_go(self) -> None:
        """Close the file; the descriptor is then that of nothing."""
        os.close(self.descriptor)
        self.descriptor = os.open(os.devnull, os.O_RDONLY)


def stage(
    root: Path,
    relative: str | PurePath,
    file: Path,
    temporary: str,
    below: Path | None = None,
    copies: bool = False,
    most: int | None = None,
    progress: Callable[[], object] = lambda: None,
) -> Staged:
    """Bring the regular *file* under the name *temporary* into the directory of *relative* below *root*, which is made.

    No link is followed on the way to *file* from *below*, the folder that it lies in where that is ``None``. It is moved, where
    the disk is the same, unless it *copies*: then the process that wrote *file*, and may still have it open, cannot change what
    is published, and other names of *file* do not matter. *progress* is called now and then. Raises `BadSource`, or
    `OSError`: ENOSPC where it is to be copied and has more than *most* bytes.
    """
    target, below = PurePath(relative), below or file.parent
    if not file.is_relative_to(below) or ".." in file.parts:
        raise BadSource("it was written outside of the folder that renders write to")
    directory = Directory.open(root, target.parent, make=True)
    try:
        with _source(file, below) as source:
            descriptor = _opened(source, file.name)
            try:
                if not copies and OPEN_FILES_STAY:
                    os.close(descriptor)
                    descriptor = -1
                if not copies and _moved(source, file.name, directory, temporary):
                    if descriptor >= 0:
                        os.close(descriptor)
                        descriptor = -1
                    own = directory.read(temporary)  # what has been moved may be another file than was looked at
                    return Staged(directory, temporary, target.name, own)
                if descriptor < 0:
                    descriptor = _opened(source, file.name)
                found = os.fstat(descriptor)
                if most is not None and found.st_size > most:
                    raise OSError(
                        errno.ENOSPC,
                        f"It has {found.st_size // 2**20} MB, and there is room for {most // 2**20}",
                        str(directory.path),
                    )
                own = directory.create(temporary)
                try:
                    _copy(descriptor, own, found.st_size, progress)
                except BaseException:
                    os.close(own)
                    directory.remove(temporary)
                    raise
                os.close(descriptor)
                descriptor = -1
                return Staged(directory, temporary, target.name, own)
            except BaseException:
                if descriptor >= 0:
                    os.close(descriptor)
                raise
    except BaseException:
        directory.close()
        raise


def put(root: Path, relative: str | PurePath, file: Path, temporary: str, progress: Callable[[], object]) -> bool:
    """Publish the regular *file* as *relative* below *root*, in one step, in place of what is called so. Returns whether *file*
    is still there, since that is another disk. What a killed process left under the name *temporary* is replaced. The names are
    not flushed. Raises `BadSource` or `OSError`."""
    target = PurePath(relative)
    with Directory.open(root, target.parent, make=True) as directory, _source(file, file.parent) as source:
        os.close(_opened(source, file.name))
        if _moved(source, file.name, directory, target.name):
            return False
        directory.remove(temporary)
    with stage(root, relative, file, temporary, copies=True, progress=progress) as staged:
        staged.flush()
        staged.replace()
    return True


def _source(file: Path, below: Path) -> Directory:
    try:
        return Directory.open(below, file.parent.relative_to(below))
    except FileNotFoundError as error:
        raise BadSource("the render ended without writing its file") from error
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENOTDIR):
            raise
        raise BadSource("the file that was written is behind a link, which is not followed") from error


def _opened(source: Directory, name: str) -> int:
    try:
        return source.read(name)
    except FileNotFoundError as error:
        raise BadSource("the render ended without writing its file") from error
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ELOOP):
            raise
        raise BadSource("the render wrote a link, a folder, a device or a pipe instead of a file") from error


def _moved(source: Directory, name: str, directory: Directory, temporary: str) -> bool:
    try:
        directory.take(source, name, temporary)
    except OSError as error:
        if error.errno in _OTHER_DISK:
            return False
        raise
    return True


def _copy(source: int, target: int, size: int, progress: Callable[[], object]) -> None:
    """Copy *size* bytes, no more, and flush them. Raises `OSError`."""
    at = unflushed = 0
    quick = sys.platform == "linux"
    while at < size:
        if sys.platform == "linux" and quick:
            try:
                done = os.copy_file_range(source, target, min(_BLOCK, size - at))
            except OSError as error:
                if error.errno not in _OTHER_DISK:
                    raise
                quick = False
                continue
        else:
            block = os.read(source, min(_BLOCK, size - at))
            done = len(block)
            while block:
                block = block[os.write(target, block) :]
        if not done:
            raise OSError(errno.EIO, "The file became shorter while it was read")
        at += done
        unflushed += done
        if unflushed >= _FLUSHED_BYTES:
            os.fsync(target)
            unflushed = 0
        progress()
