"""Files that arrive in pieces."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from brender.transfer.durable import FlushAhead

#: Bytes of one piece.
PIECE = 2**20


#: Files whose digests are kept while they arrive; that of another one is made again from its beginning on the disk.
_ARRIVING = 4096
_BLOCK = 2**20


class _Arriving:
    """The first ``have`` bytes of a file, which have arrived."""

    def __init__(self) -> None:
        self.have = 0
        self.digest = hashlib.sha256()
        self.flush = FlushAhead()


class Arrivals:
    """Takes in files that are verified and flushed as they arrive. What it knows of them it can read again."""

    def __init__(self) -> None:
        self._files: OrderedDict[Path, _Arriving] = OrderedDict()

    def add(self, path: Path, offset: int, piece: bytes) -> int:
        """Append *piece* to the file *path* (`append_piece`); return how many bytes there are.

        Raises `OSError`, with the file gone where the disk did not take what was there before.
        """
        have = append_piece(path, offset, piece)
        arriving = self._files.setdefault(path, _Arriving())
        if len(self._files) > _ARRIVING:
            self._files.popitem(last=False)
        if arriving.have == offset and have == offset + len(piece):
            arriving.digest.update(piece)
            arriving.have = have
            with self._or_none(path):
                arriving.flush.grown(path, have)
        return have

    def digest(self, path: Path) -> str:
        """Return the SHA-256 of the file *path*, of which no more comes. Raises `OSError` as `add` does."""
        arriving = self._files.pop(path, _Arriving())
        with self._or_none(path):
            arriving.flush.wait()
        if arriving.have != path.stat().st_size:
            return digest_of(path)
        return arriving.digest.hexdigest()

    @contextmanager
    def _or_none(self, path: Path) -> Iterator[None]:
        """Delete the file *path* where it cannot be flushed: a later flush would say nothing of what this one lost."""
        try:
            yield
        except OSError:
            self._files.pop(path, None)
            path.unlink(missing_ok=True)
            raise


def digest_of(path: Path, alive: Callable[[], None] = lambda: None) -> str:
    """Return the SHA-256 of the file *path*; *alive* is called again and again while it is read. Raises `OSError`."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            alive()
    return digest.hexdigest()


def append_piece(path: Path, offset: int, piece: bytes) -> int:
    """Write *piece* at *offset* of the file *path*, if that is where the file ends; returns how long the file is now.

    A piece that is there already, or one beyond the end, changes nothing: the returned length tells the sender where to
    go on.
    """
    size = path.stat().st_size if path.exists() else 0
    if offset != size:
        return size
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(piece)
    return size + len(piece)
