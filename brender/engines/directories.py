"""Directories that are held open, so that nobody can exchange what a path leads to between a look at it and its use.

Below a root no link is followed, and only regular files are read. The root itself is its owner's word: links on the way there
are followed. Windows has no descriptors of directories; there paths are looked at instead, which leaves a moment to exchange
them.
"""

import contextlib
import errno
import os
import secrets
import stat
import sys
from collections.abc import Iterator
from pathlib import Path, PurePath
from types import TracebackType

Signature = tuple[int, int, int]
"""What tells one file from another that takes its name: inode, time of change in nanoseconds, size in bytes."""

_BY_DESCRIPTOR = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")
#: Whether a file that is open keeps its names: it can be neither moved nor removed.
OPEN_FILES_STAY = sys.platform == "win32"
_FOLDER = getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


class Directory:
    """An open directory. All names that its methods take are single names in it. A context: `close` ends it. Every method may
    raise `OSError`."""

    def __init__(self, path: Path, descriptor: int | None) -> None:
        self.path = path
        """Where it was when it was opened, for messages."""
        self._descriptor = descriptor

    @classmethod
    def open(cls, root: Path, relative: str | PurePath = "", make: bool = False) -> "Directory":
        """Open the directory *relative* below *root*; with *make*, create what is missing, of the root too.

        Raises `OSError`: where a link stands on the way below *root*, it says so.
        """
        if make:
            with contextlib.suppress(FileExistsError):  # if it is not a directory, opening it says so
                root.mkdir(parents=True)
        here = cls(root, os.open(root, _FOLDER & ~getattr(os, "O_NOFOLLOW", 0)) if _BY_DESCRIPTOR else None)
        try:
            for name in _parts(relative):
                below = here._below(name, make)
                here.close()
                here = below
        except BaseException:
            here.close()
            raise
        return here

    def __enter__(self) -> "Directory":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let it go. Harmless where that has happened."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def stat(self, name: str) -> os.stat_result | None:
        """Return what *name* is, a link as a link; ``None`` where there is nothing."""
        with contextlib.suppress(FileNotFoundError), self._named():
            return os.stat(self._at(name), dir_fd=self._descriptor, follow_symlinks=False)
        return None

    def signature(self, name: str) -> Signature | None:
        """Return the signature of *name*; ``None`` where there is nothing."""
        found = self.stat(name)
        return None if found is None else (found.st_ino, found.st_mtime_ns, found.st_size)

    def read(self, name: str) -> int:
        """Open the regular file *name* for reading; returns its descriptor. A link, a device or a pipe is an `OSError`."""
        with self._named():
            found = os.stat(self._at(name), dir_fd=self._descriptor, follow_symlinks=False)
            if not stat.S_ISREG(found.st_mode):
                raise _not_regular(self.path / name)
            descriptor = os.open(self._at(name), _READ, dir_fd=self._descriptor)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise _not_regular(self.path / name)
        return descriptor

    def create(self, name: str) -> int:
        """Create the file *name*, which must not be there, for reading and writing; returns its descriptor."""
        with self._named():
            return os.open(self._at(name), _CREATE, 0o666, dir_fd=self._descriptor)

    def take(self, source: "Directory", name: str, own: str) -> None:
        """Move the file *name* of *source*, on the same disk, here as *own*, in place of what is called so."""
        with self._named():
            os.replace(source._at(name), self._at(own), src_dir_fd=source._descriptor, dst_dir_fd=self._descriptor)

    def link(self, name: str, other: str) -> None:
        """Give the file *name* the further name *other*, which nothing may have."""
        with self._named():
            os.link(
                self._at(name),
                self._at(other),
                src_dir_fd=self._descriptor,
                dst_dir_fd=self._descriptor,
                **({"follow_symlinks": False} if os.link in os.supports_follow_symlinks else {}),
            )

    def remove(self, name: str) -> None:
        """Remove the file or link *name*, if it is there. A directory stays."""
        with contextlib.suppress(FileNotFoundError), self._named():
            os.unlink(self._at(name), dir_fd=self._descriptor)

    def remove_empty(self, name: str) -> None:
        """Remove the file *name* if it is there and empty. What another process puts in its place meanwhile stays: the name is
        taken away before it is known what it was of, and given back where that has content."""
        found = self.stat(name)
        if found is None or not stat.S_ISREG(found.st_mode) or found.st_size:
            return
        aside = f".{secrets.token_hex(8)}.tmp"
        try:
            self.take(self, name, aside)
        except FileNotFoundError:
            return
        moved = self.stat(aside)
        if moved is not None and moved.st_size:
            with contextlib.suppress(FileExistsError):
                self.link(aside, name)
        self.remove(aside)

    def flush(self) -> None:
        """Write its names to the disk; nothing on Windows, which cannot."""
        if self._descriptor is not None:
            os.fsync(self._descriptor)

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """Let errors of the block name the whole path of a file that is named here without its directory."""
        try:
            yield
        except OSError as error:
            if isinstance(error.filename, str):
                error.filename = str(self.path / error.filename)
            raise

    def _at(self, name: str) -> str:
        """Return *name* as system calls take it together with the descriptor."""
        if not name or name in {".", ".."} or "/" in name or (os.name == "nt" and ("\\" in name or ":" in name)):
            raise OSError(errno.EINVAL, "That is not the name of a file", name)
        return name if self._descriptor is not None else str(self.path / name)

    def _below(self, name: str, make: bool) -> "Directory":
        at, path = self._at(name), self.path / name
        if make:
            with contextlib.suppress(FileExistsError):
                os.mkdir(at, dir_fd=self._descriptor)
        if self._descriptor is None:
            if path.is_symlink() or getattr(path, "is_junction", bool)():
                raise _link_in_the_way(path)
            if not path.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
            return Directory(path, None)
        try:
            return Directory(path, os.open(at, _FOLDER, dir_fd=self._descriptor))
        except OSError as error:
            found = self.stat(name)
            if found is not None and stat.S_ISLNK(found.st_mode):
                raise _link_in_the_way(path) from error
            raise OSError(error.errno, error.strerror, str(path)) from error


def signature(root: Path, relative: str | PurePath) -> Signature | None:
    """Return the signature of the file *relative* below *root*; ``None`` if it is missing or cannot be read."""
    try:
        parts = _parts(relative)
        with Directory.open(root, PurePath(*parts[:-1])) as directory:
            return directory.signature(parts[-1])
    except OSError:
        return None


def read(root: Path, relative: str | PurePath) -> int:
    """Open the regular file *relative* below *root* for reading; returns its descriptor. Raises `OSError`."""
    parts = _parts(relative)
    with Directory.open(root, PurePath(*parts[:-1])) as directory:
        return directory.read(parts[-1])


def _parts(relative: str | PurePath) -> tuple[str, ...]:
    pure = PurePath(relative)
    if pure.is_absolute() or pure.drive or ".." in pure.parts:
        raise OSError(errno.EINVAL, "That path leads out of its folder", str(relative))
    return pure.parts


def _link_in_the_way(path: Path) -> OSError:
    return OSError(errno.ELOOP, "A link stands where a folder is wanted, and none is followed below a job's folder", str(path))


def _not_regular(path: Path) -> OSError:
    return OSError(errno.EINVAL, "That is a link, a device or a pipe, and not a file", str(path))
