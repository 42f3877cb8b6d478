"""Blobs on disk: contents of files, each named by its SHA-256, received piece by piece and verified before they have their
name."""

import contextlib
import hashlib
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import BinaryIO

import psutil
from filelock import BaseFileLock, FileLock, Timeout

from brender.engines.boot import is_this_boot, this_boot
from brender.system.removal import forbid_writing
from brender.transfer.durable import FlushAhead, flush_files, flush_names

_BLOCK = 2**20
_GIVEN_UP_SECONDS = 7 * 86400.0
#: Nobody needs what is as old as this, and of a process that is gone or has let go of it.
_LEFT_SECONDS = 3600.0
#: How long what is written may be in memory alone, amply.
_UNWRITTEN_SECONDS = 300.0
#: A blob that was read so lately is being read: pieces of it follow each other.
_READING_SECONDS = 10.0
#: Shares of the limit that may come before the store is measured again: at most, and at least.
_UNMEASURED_MOST, _UNMEASURED_LEAST = 8, 64

#: Linux's ioctl that lets a file share another one's blocks until either is written to.
_FICLONE = 0x40049409


def _copy(source: Path, target: Path) -> None:
    """Copy *source* to *target*; without a second place on the disk where that can do so. Raises `OSError`."""
    if sys.platform == "linux":
        import fcntl

        with contextlib.suppress(OSError), source.open("rb") as read, target.open("wb") as written:
            fcntl.ioctl(written.fileno(), _FICLONE, read.fileno())
            return
    shutil.copyfile(source, target)


def _is_of_the_dead(owner: str) -> bool:
    """Return whether the file with *owner* in its name, which begins with a process, is of one that is gone."""
    pid = owner.partition(".")[0]
    return pid.isdecimal() and not psutil.pid_exists(int(pid))


def _link_to(file: Path, targets: Iterable[Path]) -> None:
    for target in targets:
        with contextlib.suppress(OSError):
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(file, target)


class BlobStore:
    """The blobs in the folder *root*, which several processes may share.

    *limit*: bytes beyond which the blobs that were used least lately are given up; 0: none is. *laid_out* yields the files that
    are made of blobs of this store, as links where the disk can do that: they count in the limit, once with their blobs.
    """

    def __init__(self, root: Path, limit: int = 0, laid_out: Callable[[], Iterable[Path]] = lambda: ()) -> None:
        self.root = root
        self.limit = limit
        self._laid_out = laid_out
        self._open: tuple[str, BinaryIO] | None = None
        self._read: dict[str, float] = {}
        """When each blob was last read from, monotonic; of those that were lately."""
        self._unmeasured = -1
        """Bytes that may still come before the store is measured; below 0: none."""

    def path(self, blob: str) -> Path:
        return self.root / blob[:2] / blob

    def free_bytes(self) -> int:
        """Return how much of the disk is free. Raises `OSError`."""
        self.root.mkdir(parents=True, exist_ok=True)
        return shutil.disk_usage(self.root).free

    def has(self, blob: str) -> bool:
        return self.path(blob).exists()

    def is_wanted(self, blob: str) -> bool:
        """Return whether it is there; if so it counts as used now."""
        try:
            os.utime(self.path(blob))
        except OSError:
            return False
        return True

    def writing(self, blob: str) -> "BlobWriter":
        """Return what adds to *blob*, from where it was left, by a process that was killed perhaps. Raises `OSError`."""
        folder = self.root / "partial"
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / f"{blob}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            # Another process of this machine brings the same one.
            return BlobWriter(self, blob, folder / f"{blob}.{os.getpid()}")
        return BlobWriter(self, blob, folder / blob, lock)

    def read(self, blob: str, offset: int, length: int) -> tuple[bytes, int]:
        """Return the piece of *blob* from *offset* on, and the bytes of all of it. Raises `OSError` where it is not there.
        For one thread alone, which keeps the file open for the pieces that follow."""
        if self._open is None or self._open[0] != blob:
            self.close()
            file: BinaryIO = self.path(blob).open("rb")
            self.is_wanted(blob)
            self._open = (blob, file)
        self._read[blob] = time.monotonic()
        file = self._open[1]
        file.seek(offset)
        return file.read(length), os.fstat(file.fileno()).st_size

    def close(self) -> None:
        """Let go of the file that `read` keeps open."""
        if self._open is not None:
            self._open[1].close()
            self._open = None

    def lay_out(self, blob: str, target: Path) -> None:
        """Make the file *target* of *blob*, whole or not at all: a link where the disk can do that, else a copy.

        Raises `OSError`: `FileNotFoundError` where the blob is not there (any more).
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        self.is_wanted(blob)
        try:
            os.link(self.path(blob), target)
        except (FileExistsError, FileNotFoundError):
            raise
        except OSError:
            copying = target.with_name(f"{blob}.copying")
            try:
                shutil.copyfile(self.path(blob), copying)
                copying.rename(target)
            finally:
                copying.unlink(missing_ok=True)

    def link(self, blob: str, path: Path, targets: Iterable[Path] = ()) -> bool:
        """Have *blob* as a link to the file *path* of another store on this machine, if it can be linked and has that content;
        whether it could. Reads all of it. *targets* as in `BlobWriter.finish`."""
        beside = self.root / "partial" / f"{blob}.{os.getpid()}.link"
        try:
            os.link(path, beside, follow_symlinks=False)
            try:
                with beside.open("rb") as file:
                    good = beside.is_file() and hashlib.file_digest(file, "sha256").hexdigest() == blob
                if good:
                    _link_to(beside, targets)
                    self.path(blob).parent.mkdir(parents=True, exist_ok=True)
                    beside.replace(self.path(blob))
            finally:
                beside.unlink(missing_ok=True)
        except (OSError, NotImplementedError):
            return False
        if good:
            self.has_come(blob)
        return good

    def adopt(self, file: Path, blob: str) -> None:
        """Give *file*, whose content has been verified to be *blob*, that name. It survives a power cut, except in a cache (a
        store with a limit), which can fetch it again. Raises `OSError`."""
        for error in self.adopt_many({blob: file}).values():
            raise error

    def adopt_many(self, files: Mapping[str, Path]) -> dict[str, OSError]:
        """Give *files* their names (`adopt`), by which they are given, so that all are flushed together; returns those that
        failed."""
        problems = flush_files(files.values()) if not self.limit else {}
        failed = {blob: problems[file] for blob, file in files.items() if file in problems}
        named = []
        for blob, file in files.items():
            try:
                if blob not in failed:
                    self.path(blob).parent.mkdir(parents=True, exist_ok=True)
                    forbid_writing(file)  # it may be linked into many places, where a careless program could write to it
                    file.replace(self.path(blob))
                    named.append(blob)
            except OSError as error:
                failed[blob] = error
        try:
            if not self.limit:
                self.flush_names(named)
        except OSError as error:
            failed |= dict.fromkeys(named, error)
        return failed

    def flush_names(self, blobs: Iterable[str]) -> None:
        """Write the names of *blobs* to the disk. Raises `OSError`."""
        flush_names(map(self.path, blobs), self.root.parent)

    def keep(self, file: Path, blob: str) -> bool:
        """Have a copy of *file* as *blob*, if that is its content; whether it is. What is written to *file* later changes nothing
        here. Raises `OSError`."""
        beside = self.root / "partial" / f"{blob}.{os.getpid()}.{threading.get_ident()}.copy"
        beside.parent.mkdir(parents=True, exist_ok=True)
        try:
            _copy(file, beside)
            with beside.open("rb") as copied:
                good = hashlib.file_digest(copied, "sha256").hexdigest() == blob
            if good:
                self.adopt(beside, blob)
            return good
        finally:
            beside.unlink(missing_ok=True)

    def forget_what_was_given_up(self) -> None:
        """Remove beginnings of blobs that nobody has added to for a week, and what processes that are gone left behind. Give up
        the blobs beyond the limit that were in use before.

        In a cache, once after each start of the machine, remove what was used last before that: it may not have reached the disk
        if the power was cut.
        """
        noted = self.root / "boot"
        if self.limit and not is_this_boot(noted):
            with contextlib.suppress(OSError):
                self.root.mkdir(parents=True, exist_ok=True)
                noted.write_text(this_boot())
            self._forget_the_last_used()
        for path in (self.root / "partial").glob("*"):
            with contextlib.suppress(OSError, Timeout):
                age = time.time() - path.stat().st_mtime
                _, _, owner = path.name.partition(".")
                if owner == "lock":
                    if age > _LEFT_SECONDS:
                        with FileLock(path).acquire(timeout=0):
                            path.unlink()
                elif age > _GIVEN_UP_SECONDS or (age > _LEFT_SECONDS and _is_of_the_dead(owner)):
                    path.unlink()
        if self.limit:
            with contextlib.suppress(OSError):
                self.make_room(0)

    def _forget_the_last_used(self) -> None:
        used = {}
        for path in self.root.glob("[0-9a-f][0-9a-f]/*"):
            with contextlib.suppress(OSError):
                used[path] = path.stat().st_mtime
        for path, time_used in used.items():
            if time_used > max(used.values()) - _UNWRITTEN_SECONDS:
                with contextlib.suppress(OSError):
                    path.unlink()

    def has_come(self, blob: str) -> None:
        """Keep within the limit, now that *blob* has come. The store is measured now and then, not for each blob."""
        if not self.limit:
            return
        with contextlib.suppress(OSError):
            self._unmeasured -= self.path(blob).stat().st_size
        if self._unmeasured < 0:
            self.make_room(0, {blob})

    def expect(self, blob: str, size: int) -> None:
        """Make room on the disk, in a cache that has less, for *size* bytes of *blob* that are to come. Raises `OSError`."""
        if self.limit and self.free_bytes() < size:
            self.make_room(size, {blob})

    def make_room(self, needed: int, but: Collection[str] = (), free: int = 0) -> tuple[int, int]:
        """Give up the blobs that were used least lately until *needed* more bytes fit: into the limit, and onto the disk with
        *free* bytes left. Those of *but* stay, and so do those that are laid out, which would free nothing, or being read.

        Returns the bytes that are too many for the limit, and those that the disk is short of: 0 where all fits. Raises `OSError`
        where the disk cannot be asked.
        """
        total, old = self._measured(but)
        over = total + needed - self.limit if self.limit else 0
        short = needed + free - self.free_bytes()
        for _, size, path in sorted(old):
            if over <= 0 and short <= 0:
                break
            with contextlib.suppress(OSError):
                path.unlink()
                over, short = over - size, short - size
        self._unmeasured = min(max(-over, self.limit // _UNMEASURED_LEAST), self.limit // _UNMEASURED_MOST)
        return max(over, 0), max(short, 0)

    def _measured(self, but: Collection[str]) -> tuple[int, list[tuple[float, int, Path]]]:
        """Return the bytes of the store with what is laid out of it, and the blobs that may be given up, but those of *but*: when
        each was used, its bytes, its path."""
        self._read = {blob: at for blob, at in self._read.items() if at > time.monotonic() - _READING_SECONDS}
        sizes = {}
        for path in self._laid_out():
            with contextlib.suppress(OSError):
                stat = path.stat()
                sizes[stat.st_ino] = stat.st_size
        laid_out = set(sizes)
        old = []
        for path in self.root.glob("[0-9a-fp]*/*"):  # with the beginnings of blobs
            with contextlib.suppress(OSError):
                stat = path.stat()
                sizes[stat.st_ino] = stat.st_size
                stays = path.name in but or path.name in self._read or stat.st_ino in laid_out
                if not stays and path.parent.name != "partial":
                    old.append((stat.st_mtime, stat.st_size, path))
        return sum(sizes.values()), old


class BlobWriter:
    """Adds to the blob *blob* of *store*, whose beginning may lie in the file *partial*. ``have``: how many of its bytes are
    there."""

    def __init__(self, store: BlobStore, blob: str, partial: Path, lock: BaseFileLock | None = None) -> None:
        self._store = store
        self._blob = blob
        self.partial = partial
        self._lock = lock
        self._digest = hashlib.sha256()
        self._flush = None if store.limit else FlushAhead()
        self.have = 0
        try:
            self._file = partial.open("a+b", buffering=0)
        except OSError:
            if lock is not None:
                lock.release()
            raise
        self._file.seek(0)
        while block := self._file.read(_BLOCK):
            self._digest.update(block)
            self.have += len(block)

    def add(self, offset: int, piece: bytes) -> int:
        """Add *piece*, if it is the next one; return how many bytes there are now. Raises `OSError`, as where the
        disk is full: then what is there is as it was."""
        if offset == self.have and piece:
            try:
                written = 0
                while written < len(piece):
                    written += self._file.write(memoryview(piece)[written:])
            except OSError:
                with contextlib.suppress(OSError):
                    self._file.truncate(self.have)
                raise
            self._digest.update(piece)
            self.have += len(piece)
            self._or_none(lambda flush: flush.grown(self.partial, self.have))
        return self.have

    def read(self, offset: int, length: int) -> bytes:
        """Return a piece of what is there already."""
        self._file.seek(offset)
        return self._file.read(length) or b""

    def finish(self, targets: Iterable[Path] = ()) -> bool:
        """All has been added: return whether it is what its name says. If so it has that name now, else it is thrown away. Raises
        `OSError`.

        Before it has its name, by which another process may give it up at once, it is linked to *targets*, where it can be.
        """
        try:
            if not self.is_right():
                return False
            _link_to(self.partial, targets)
            self._store.adopt(self.partial, self._blob)
        finally:
            self.close()
        self._store.has_come(self._blob)
        return True

    def is_right(self) -> bool:
        """All has been added: return whether it is what its name says. Else it is thrown away. Raises `OSError`."""
        self._file.close()
        self._or_none(FlushAhead.wait)
        if self._digest.hexdigest() == self._blob:
            return True
        self.partial.unlink()
        return False

    def _or_none(self, flush: Callable[[FlushAhead], None]) -> None:
        """Throw away what is here where *flush* fails: a later one would say nothing of what this one lost. Raises `OSError`."""
        try:
            if self._flush is not None:
                flush(self._flush)
        except OSError:
            self.give_up()
            raise

    def give_up(self) -> None:
        """Throw away what is here."""
        self._file.close()  # Windows removes nothing that is open
        self.partial.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        self._file.close()
        if self._lock is not None:
            self._lock.release()
