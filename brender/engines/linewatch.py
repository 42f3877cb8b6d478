"""Lines that a process prints, picked out as its output passes by."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

#: A line that is longer is looked at in pieces.
_LONGEST = 65536
_MOST = 100


class LineWatch(Generic[T]):
    """Keeps what *pick* returns of each line that passes, unless that is ``None``: the first hundred. From any thread."""

    def __init__(self, pick: Callable[[str], T | None]) -> None:
        self._pick = pick
        self._lock = threading.Lock()
        self._rest = b""
        self._found: list[T] = []

    def feed(self, piece: bytes) -> None:
        """Look at the next *piece* of the output."""
        with self._lock:
            whole, newline, rest = (self._rest + piece).rpartition(b"\n")
            if len(rest) > _LONGEST:
                whole, newline, rest = whole + newline + rest, b"", b""
            self._rest = rest
            for line in whole.splitlines():
                if len(self._found) < _MOST and (found := self._pick(line.decode("utf-8", "replace"))) is not None:
                    self._found.append(found)

    def take(self) -> list[T]:
        """Return what was found since the last call."""
        with self._lock:
            found, self._found = self._found, []
            return found
