"""A worker's end of files in transit."""

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from brender.bus.address import Address
from brender.bus.keys import Credentials
from brender.bus.messages import (
    BlobWanted,
    FileAck,
    FilePiece,
    NoFile,
)
from brender.bus.transport import Socket
from brender.model.frame_file import FrameFile
from brender.transfer.blob_store import BlobStore
from brender.transfer.blobs import Pulls
from brender.transfer.file_thread import FileKey, FileThread, name_of
from brender.transfer.pieces import PIECE

log = logging.getLogger("brender.files")

_RESEND_SECONDS = 5.0
#: Pieces of a frame that are on their way at once. All of them may lie in the memory of the manager.
_ON_THEIR_WAY = 4
#: Thumbnails that may wait before further ones are dropped.
_THUMBNAILS_WAITING = 500


@dataclass
class _Transfer:
    kind: Literal["log", "thumbnail", "frame", "piece"]
    job: str
    attempt: str
    part: int
    path: Path
    finished: bool
    offset: int = 0
    """Bytes that the server has."""
    sent: int = 0
    """Bytes that are on their way to it, or there."""
    sent_at: float | None = None
    """When something was sent or arrived last, monotonic; ``None``: it is to be sent from ``offset`` on."""
    digest: str = ""
    file: int = 0
    ended: Callable[[str], None] = lambda reason: None


class FileSender(FileThread):
    """A worker's end. Files handed to it are deleted once the server has them whole; blobs come into *store*."""

    def __init__(self, store: BlobStore) -> None:
        super().__init__("brender-files", store)
        self.moved = 0
        """Bytes of blobs that have come, and of frames that have arrived at the server."""
        self.refused = ""
        """Why the server takes no file now, in a sentence; "" once it takes one again."""
        self._transfers: dict[FileKey, _Transfer] = {}
        self._idle = threading.Event()
        self._idle.set()
        self._socket: Socket | None = None
        self._pulls = Pulls(store, self._ask, "the worker's", self.loop.post)

    def send_log(self, job: str, attempt: str, path: Path, finished: bool = False) -> None:
        """Send the log at *path* as it grows, until a second call says that it is *finished*. From any thread."""
        self._add(_Transfer("log", job, attempt, 0, path, finished))

    def send_thumbnail(self, job: str, attempt: str, part: int, path: Path) -> None:
        """Send the picture at *path*. From any thread."""
        self._add(_Transfer("thumbnail", job, attempt, part, path, True))

    def send_frame(self, file: FrameFile, ended: Callable[[str], None]) -> None:
        """Send the file of a frame; *ended* is called, in a thread of this sender's, with "" once the server has it, or with why
        it never will. From any thread."""
        self._add(
            _Transfer(
                file.kind,
                file.job,
                file.attempt,
                file.part,
                file.path,
                True,
                digest=file.digest,
                file=file.file,
                ended=ended,
            )
        )

    def fetch(self, blob: str, ended: Callable[[str], None], targets: Iterable[Path] = ()) -> None:
        """Pull *blob* into the store, and link it to *targets* where it can be; *ended* is called, in a thread of this sender's,
        with "" once it is there, or with why it cannot be had. From any thread."""

        def begin() -> None:
            if self._store.has(blob):
                ended("")
            else:
                self._pulls.begin(blob, ended, targets)

        self.loop.post(begin)

    def turn_to(self, manager: Address, credentials: Credentials) -> None:
        """Send by way of this manager from now on; what was begun goes on where the server has it. From any thread."""

        def turn() -> None:
            self._socket = self._connected(self._socket, manager, credentials, "worker files", self._read)
            for transfer in self._transfers.values():
                transfer.sent_at = None

        self.loop.post(turn)

    def wait_idle(self, seconds: float) -> bool:
        """Wait until everything handed over has arrived, at most *seconds*; whether it has."""
        return self._idle.wait(seconds)

    def tick(self) -> None:
        now = time.monotonic()
        for key, transfer in list(self._transfers.items()):
            waiting = transfer.sent_at is not None and now - transfer.sent_at < _RESEND_SECONDS
            if not waiting:
                transfer.sent, transfer.sent_at = transfer.offset, None
                try:
                    self._send(key, transfer, now)
                except Exception as error:
                    # One file that cannot be sent keeps no other from it.
                    log.exception("the %s of attempt %s cannot be sent", transfer.kind, transfer.attempt)
                    self._forget(key, f"brender itself failed: {error}")
        self._pulls.tick()
        if not self._transfers:
            self._idle.set()

    def _add(self, transfer: _Transfer) -> None:
        self._idle.clear()
        self.loop.post(lambda: self._take(transfer))

    def _take(self, transfer: _Transfer) -> None:
        key = (transfer.kind, transfer.attempt, transfer.part, transfer.file)
        known = self._transfers.get(key)
        if known is not None:
            known.finished = transfer.finished
        elif transfer.kind == "thumbnail" and len(self._transfers) >= _THUMBNAILS_WAITING:
            with contextlib.suppress(OSError):
                transfer.path.unlink()
        else:
            self._transfers[key] = transfer

    def _send(self, key: FileKey, transfer: _Transfer, now: float) -> None:
        """Send of *transfer* as much as may be on its way: many pieces of what is whole, one of a log that grows."""
        whole = transfer.kind in ("frame", "piece")
        try:
            with transfer.path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                while transfer.sent - transfer.offset < (_ON_THEIR_WAY if whole else 1) * PIECE:
                    file.seek(transfer.sent)
                    piece = file.read(PIECE)
                    last = transfer.finished and transfer.sent + len(piece) == size
                    if not (piece or (last and transfer.sent_at is None)) or not self._send_piece(transfer, piece, last):
                        return
                    transfer.sent += len(piece)
                    transfer.sent_at = now
                    if last:
                        return
        except OSError as error:
            log.error("the %s of attempt %s cannot be read and is not sent: %s", transfer.kind, transfer.attempt, error)
            self._forget(key, f"it cannot be read any more: {error.strerror or error}")

    def _send_piece(self, transfer: _Transfer, piece: bytes, last: bool) -> bool:
        message = FilePiece(
            kind=transfer.kind,
            job=transfer.job,
            attempt=transfer.attempt,
            part=transfer.part,
            file=transfer.file,
            offset=transfer.sent,
            last=last,
            digest=transfer.digest,
        )
        return self._socket is not None and self._socket.send(message, bulk=[piece])

    def _ask(self, wanted: BlobWanted) -> bool:
        return self._socket is not None and self._socket.send(wanted)

    def _read(self) -> None:
        for received in self._socket.drain() if self._socket is not None else ():
            if isinstance(received.message, FileAck):
                self._acknowledged(received.message)
            elif isinstance(received.message, NoFile) and received.message.what in map(name_of, self._transfers):
                self.refused = received.message.reason
            elif self._pulls.hear(received.message, received.bulk):
                self.moved += sum(map(len, received.bulk))

    def _acknowledged(self, ack: FileAck) -> None:
        key = (ack.kind, ack.attempt, ack.part, ack.file)
        transfer = self._transfers.get(key)
        if transfer is None:
            return
        if transfer.kind in ("frame", "piece"):
            self.moved += max(0, ack.offset - transfer.offset)
        now, moved = time.monotonic(), ack.offset != transfer.offset
        if transfer.kind == "log" or ack.offset < transfer.offset or ack.offset > transfer.sent:
            transfer.sent, transfer.sent_at = ack.offset, None
        elif moved:
            transfer.sent_at = now
        transfer.offset = ack.offset
        self.refused = ""
        if ack.complete:
            self._forget(key, ack.refused)
        else:
            self._send(key, transfer, now)

    def _forget(self, key: FileKey, reason: str) -> None:
        """The file *key* is at the server, or never will be, for this *reason*: its sender is told, and it goes."""
        transfer = self._transfers.pop(key)
        try:
            transfer.path.unlink(missing_ok=True)
        except OSError as error:
            log.error("the %s of attempt %s was sent and stays: %s", transfer.kind, transfer.attempt, error)
        transfer.ended(reason)
