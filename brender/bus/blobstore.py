"""Blobs on disk: contents of files, each named by its SHA-256, received piece by piece and verified before they have their
name."""

import contextlib
import hashlib
import os
import shutil
from pathlib import Path

from brender.bus.pieces import append_piece

_BLOCK = 2**20
#: What a manager or a worker keeps of blobs.
CACHE_BYTES = 20 * 2**30


class BlobStore:
    """The blobs in the folder *root*, which several processes may share. *limit*: bytes beyond which those that were used least
    lately are given up (0: none is)."""

    def __init__(self, root: Path, limit: int = 0) -> None:
        self.root = root
        self.limit = limit

    def path(self, blob: str) -> Path:
        return self.root / blob[:2] / blob

    def has(self, blob: str) -> bool:
        return self.path(blob).exists()

    def have(self, blob: str) -> int:
        """How many of its bytes, from the first on, are there."""
        try:
            return (self.path(blob) if self.has(blob) else self._partial(blob)).stat().st_size
        except OSError:
            return 0

    def append(self, blob: str, offset: int, piece: bytes) -> int:
        """Add *piece*, if it is the next one; returns how many bytes there are now. Raises `OSError`, as where the disk is
        full."""
        return append_piece(self._partial(blob), offset, piece)

    def finish(self, blob: str) -> bool:
        """All has been added: whether it is what its name says. If so it has that name now, else it is thrown away."""
        partial, digest = self._partial(blob), hashlib.sha256()
        if not partial.exists():
            self.append(blob, 0, b"")
        with partial.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
            os.fsync(file.fileno())
        if digest.hexdigest() != blob:
            partial.unlink()
            return False
        partial.chmod(0o444)  # it may be linked into many places, where a careless program could write to it
        self.path(blob).parent.mkdir(parents=True, exist_ok=True)
        partial.replace(self.path(blob))
        self._give_up_the_oldest(blob)
        return True

    def add(self, content: bytes) -> str:
        """Keep *content*; returns its name."""
        blob = hashlib.sha256(content).hexdigest()
        if not self.has(blob):
            self._partial(blob).unlink(missing_ok=True)
            self.append(blob, 0, content)
            self.finish(blob)
        return blob

    def read(self, blob: str, offset: int, length: int) -> tuple[bytes, int]:
        """The piece of *blob* from *offset* on, and the bytes of all of it. Raises `OSError` where it is not there."""
        path = self.path(blob)
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(offset)
            piece = file.read(length)
        if offset == 0:
            with contextlib.suppress(OSError):
                os.utime(path)
        return piece, size

    def lay_out(self, blob: str, target: Path) -> None:
        """Have the file *target* with the content of *blob*: a link where the disk can do that, a copy elsewhere. Raises
        `OSError`."""
        target.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(OSError):
            os.utime(self.path(blob))
        try:
            os.link(self.path(blob), target)
        except FileExistsError:
            raise
        except OSError:
            shutil.copyfile(self.path(blob), target)

    def _partial(self, blob: str) -> Path:
        # Another process of this machine may fetch the same one.
        return self.root / "partial" / f"{blob}.{os.getpid() if self.limit else 'server'}"

    def _give_up_the_oldest(self, but: str) -> None:
        if not self.limit:
            return
        found = []
        for path in self.root.glob("[0-9a-f][0-9a-f]/*"):
            with contextlib.suppress(OSError):
                stat = path.stat()
                found.append((stat.st_mtime, stat.st_size, path))
        total = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if total <= self.limit:
                return
            if path.name != but:
                path.unlink(missing_ok=True)
                total -= size
