"""The server's end of files in transit: takes them in, and gives out blobs and frames."""

import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from brender.bus.address import Address
from brender.bus.keys import KeyPair, Keyring
from brender.bus.messages import (
    BlobPiece,
    BlobWanted,
    FileAck,
    FilePiece,
    FrameWanted,
    Lacks,
    Message,
    NoFile,
    Offer,
)
from brender.bus.rights import Door
from brender.bus.transport import Received
from brender.transfer.blob_store import BlobStore
from brender.transfer.blobs import Intake, from_here, served
from brender.transfer.durable import flush_files, flush_names
from brender.transfer.file_thread import FileThread, name_of
from brender.transfer.pieces import Arrivals, append_piece

log = logging.getLogger("brender.files")
#: Pieces of blobs that are held in memory at most.
_PIECES_AT_ONCE = 32
#: Seconds between two words in the log on a disk that is full.
_TELL_SECONDS = 60.0


Answer = Callable[[Message, list[bytes]], None]
"""Sends a message, with its bulk, to the asker. From any thread."""


@dataclass(frozen=True)
class ServerPlaces:
    """Where the server's files are: below the folder of ``blobs``."""

    of: Callable[[FilePiece], Path | None]
    """The path that a piece is written to; ``None`` where the file is not the sending worker's business. Raises `OSError` where
    that cannot be told now."""
    give_frame: Callable[[FrameWanted, Answer], None]
    """Answers a client that wants a frame: at once or later, from any thread, or never."""
    blobs: BlobStore
    largest: int = 0
    """Bytes of a file that a client may send at most; 0: any."""
    least_free: int = 0
    """Bytes of the disk that files which clients send leave free. Those of workers leave half of it."""
    links: bool = True
    """Nodes on this machine may take blobs by links."""
    recover: Callable[[str, Callable[[str | None], None]], None] = lambda blob, then: then(None)
    """Makes a blob that is not there (any more) again, where that can be done. Calls back, from any thread or never, with
    ``None``, or with a sentence that says why it cannot."""


class FileReceiver(FileThread):
    """The server's end: takes files in, and gives out blobs and frames."""

    def __init__(self, address: Address, places: ServerPlaces, pair: KeyPair, keyring: Keyring) -> None:
        super().__init__("brender-files", places.blobs)
        self._places = places
        self._keyring = keyring
        self._intake = Intake(places.blobs, places.largest, places.least_free)
        self._arrivals = Arrivals()
        self._told_of_room = float("-inf")
        self._arrived: list[tuple[Path | None, FileAck, bytes]] = []
        """Files that are complete and not acknowledged yet (``None``: a blob by now), with the routes of their senders."""
        self._socket = self._door(Door.SERVER_FILES, pair, keyring, "server files")
        self.address = self._bound(self._socket, address, "The server's files")
        self.loop.add(self._socket, self._read)

    def _read(self) -> None:
        pieces, routes = list[tuple[BlobPiece, bytes]](), list[bytes]()
        for received in self._socket.drain():
            message, bulk = received.message, received.bulk
            match message:
                case FilePiece() if len(bulk) == 1:
                    self._take_file(received, message, bulk[0])
                case Offer(id=id, blobs=blobs):
                    lacking = tuple(blob for blob in blobs if not self._places.blobs.is_wanted(blob))
                    self._socket.send(Lacks(id=id, blobs=lacking), received.route)
                case BlobPiece() if len(bulk) == 1:
                    pieces.append((message, bulk[0]))
                    routes.append(received.route)
                    if len(pieces) >= _PIECES_AT_ONCE:
                        self._take_blobs(pieces, routes)
                case BlobWanted():
                    self._give_blob(received, message.blob)
                case FrameWanted():
                    self._places.give_frame(message, partial(self._answer, received.route))
        self._take_blobs(pieces, routes)
        self._acknowledge_arrived()

    def _take_blobs(self, pieces: list[tuple[BlobPiece, bytes]], routes: list[bytes]) -> None:
        """Take *pieces* in, and answer each by its route; both lists are empty then."""
        for answer, route in zip(self._intake.take_many(pieces), routes, strict=True):
            self._socket.send(answer, route)
        pieces.clear()
        routes.clear()

    def _take_file(self, received: Received, piece: FilePiece, content: bytes) -> None:
        try:
            path: Path | None = self._places.of(piece)
        except OSError as error:
            log.error("whose the %s of attempt %s is cannot be told now: %s", piece.kind, piece.attempt, error)
            return  # it is sent again
        if path is None:
            sender = f"the worker {piece.worker} by the manager {received.principal.name}"
            self._keyring.refusals.count(Door.SERVER_FILES, "a file of an attempt that is not the worker's", sender)
            self._refuse(received, piece)
            return
        try:
            if reason := self._shortage(len(content)):
                # Its sender asks again until there is room.
                key = (piece.kind, piece.attempt, piece.part, piece.file)
                self._socket.send(NoFile(what=name_of(key), reason=reason), received.route)
                return
            if piece.kind == "piece" and piece.digest and self._places.blobs.has(piece.digest):
                path, have, complete = None, piece.offset + len(content), piece.last
            else:
                have, complete = self._add(path, piece, content)
            if complete and path is not None and piece.kind == "piece" and piece.digest:
                self._places.blobs.adopt(path, piece.digest)
                path = None
        except OSError as error:
            # Not acknowledged, so it is sent again: when there is room, it arrives.
            log.error("cannot write the %s of attempt %s: %s", piece.kind, piece.attempt, error)
            return
        ack = FileAck(kind=piece.kind, attempt=piece.attempt, part=piece.part, file=piece.file, offset=have, complete=complete)
        if complete:
            self._arrived.append((path, ack, received.route))
        else:
            self._socket.send(ack, received.route)

    def _add(self, path: Path, piece: FilePiece, content: bytes) -> tuple[int, bool]:
        """Add *content* to the file *path*; return its bytes, and whether it is complete and what its digest says. Raises
        `OSError`."""
        if piece.kind not in ("frame", "piece"):
            have = append_piece(path, piece.offset, content)
            return have, piece.last and have == piece.offset + len(content)
        have = self._arrivals.add(path, piece.offset, content)
        if not piece.last or have != piece.offset + len(content):
            return have, False
        if self._arrivals.digest(path) == piece.digest or not piece.digest:
            return have, True
        log.error("the %s of attempt %s arrived as something else, and is sent again", piece.kind, piece.attempt)
        path.unlink()
        return 0, False

    def _refuse(self, received: Received, piece: FilePiece) -> None:
        """Let the sender forget the file of *piece*, whose attempt was deleted, or never was. (A worker of an earlier version
        takes it for arrived.)"""
        refusal = FileAck(
            kind=piece.kind,
            attempt=piece.attempt,
            part=piece.part,
            file=piece.file,
            offset=piece.offset,
            complete=True,
            refused="the server knows no such attempt of this worker (any more)",
        )
        self._socket.send(refusal, received.route)

    def _shortage(self, size: int) -> str:
        """Return why *size* more bytes of workers' files are not taken now, or "" if they are.

        Half of the room that is kept free of clients' files is kept free of them too: the record needs it.
        """
        least, store = self._places.least_free // 2, self._places.blobs
        free = store.free_bytes() - size if least else 0
        if free >= least:
            return ""
        reason = (
            f"The disk of {store.root.parent} on the server's machine has {max(0, free) / 1e9:.1f} GB free, and "
            f"{least / 1e9:.1f} GB stay free (half of brender-server --keep-free): make room there. Frames and logs wait for it"
        )
        if time.monotonic() - self._told_of_room > _TELL_SECONDS:
            self._told_of_room = time.monotonic()
            log.error("%s", reason)
        return reason

    def _acknowledge_arrived(self) -> None:
        """Make the files that are complete survive a power cut, then acknowledge them: their senders delete them then."""
        arrived, self._arrived = self._arrived, []
        flushed = []
        problems = flush_files([path for path, _, _ in arrived if path is not None])
        for path, ack, route in arrived:
            error = problems.get(path) if path is not None else None
            if error is None:
                flushed.append((path, ack, route))
            elif path is not None:
                # What the disk did not take may not be in memory any more either: all of it is to be sent again.
                with contextlib.suppress(OSError):
                    path.unlink()
                log.error("cannot write the %s of attempt %s to the disk: %s", ack.kind, ack.attempt, error)
        try:
            flush_names([path for path, _, _ in flushed if path is not None], self._places.blobs.root.parent)
        except OSError as error:
            log.error("cannot write the names of %d files to the disk, which are sent again: %s", len(flushed), error)
            return
        for _, ack, route in flushed:
            self._socket.send(ack, route)

    def _give_blob(self, received: Received, blob: str) -> None:
        if self._places.blobs.has(blob):
            self._serve(received, None)
        else:
            self._places.recover(blob, lambda why: self.loop.post(lambda: self._serve(received, why)))

    def _serve(self, received: Received, why_not: str | None) -> None:
        """Answer the `BlobWanted` that was *received*, or say *why_not*."""
        wanted = from_here(received, self._places.links)
        answer, content = (NoFile(what=wanted.blob, reason=why_not), []) if why_not else served(self._places.blobs, wanted)
        self._socket.send(answer, received.route, content)

    def _answer(self, route: bytes, message: Message, bulk: list[bytes]) -> None:
        def send() -> None:
            self._socket.send(message, route, bulk)

        self.loop.post(send)
