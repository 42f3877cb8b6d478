"""An attempt's log on disk: the head of it as it comes, and of what is too much only the end."""

import threading
import time
from collections import deque
from pathlib import Path

HEAD_BYTES = 4 * 1024 * 1024
TAIL_BYTES = 256 * 1024


class LogFile:
    """Writes to *path*, from any thread. ``last_line`` is the last line that came, ``received`` counts all bytes that did.

    A log that cannot be written (a full disk) ends no render: what does not fit is left out, as is what comes after `close`."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.last_line = ""
        self.received = 0
        self._file = path.open("wb", buffering=0)
        self._lock = threading.Lock()
        self._written = 0
        self._left_out = 0
        self._tail: deque[bytes] = deque()
        self._tail_bytes = 0

    def write(self, piece: bytes) -> None:
        with self._lock:
            self.received += len(piece)
            if self._file.closed:
                return
            lines = piece.rstrip().rsplit(b"\n", 1)
            if lines[-1]:
                self.last_line = lines[-1].decode("utf-8", "replace")[:500]
            room = HEAD_BYTES - self._written
            if room > 0:
                self._append(piece[:room])
                piece = piece[room:]
            if piece:
                self._keep_tail(piece)

    def say(self, text: str) -> None:
        """A line of brender's own."""
        self.write(f"[brender {time.strftime('%H:%M:%S')}] {text}\n".encode())

    def close(self) -> None:
        with self._lock:
            if self._file.closed:
                return
            if self._left_out:
                self._append(f"\n[brender] {self._left_out} bytes are left out here\n".encode())
            self._append(b"".join(self._tail))
            self._file.close()

    def _append(self, piece: bytes) -> None:
        try:
            self._written += self._file.write(piece) or 0
        except OSError:
            self._left_out += len(piece)

    def _keep_tail(self, piece: bytes) -> None:
        self._tail.append(piece)
        self._tail_bytes += len(piece)
        while self._tail_bytes > TAIL_BYTES and len(self._tail) > 1:
            gone = self._tail.popleft()
            self._tail_bytes -= len(gone)
            self._left_out += len(gone)
