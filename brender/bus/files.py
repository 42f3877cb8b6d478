"""Files in transit: logs and thumbnails, from workers through managers to the server, on sockets of their own.

Each end runs in its own thread with its own Context, so that no file ever delays a grant. A file travels in pieces, one at a
time; the receiver says how many bytes it has, and that is where the sender goes on, after whatever cut. What the sender
has not seen acknowledged it keeps.
"""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import zmq

from brender.bus.address import Address
from brender.bus.keys import Credentials, Guard, KeyPair, Keyring, Zap
from brender.bus.loop import Loop
from brender.bus.messages import FileAck, FilePiece
from brender.bus.rights import Door
from brender.bus.transport import Socket

log = logging.getLogger("brender.files")

PIECE = 256 * 1024
_RESEND_SECONDS = 5.0
_LOOK_SECONDS = 0.25
#: Thumbnails that may wait before further ones are dropped.
_THUMBNAILS_WAITING = 500
_ROUTES_REMEMBERED = 10_000

FileKey = tuple[str, str, int]


class FileThread:
    """What the three ends have in common: a thread, a Context, a `Loop`."""

    def __init__(self, name: str) -> None:
        self.loop = Loop()
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it; without one, only let go of the sockets."""
        if self._thread.is_alive():
            self.loop.stop()
            self._thread.join()
        self.context.destroy(linger=0)

    def tick(self) -> None:
        """Called at least every quarter second."""

    def _door(self, door: Door, pair: KeyPair, keyring: Keyring, name: str) -> Socket:
        """A ROUTER that lets in whom *keyring* admits at *door*."""
        zap = Zap(self.context, keyring)
        self.loop.add(zap, zap.answer)
        return Socket(self.context, zmq.ROUTER, name, Guard(pair, keyring, door))

    def _bound(self, socket: Socket, address: Address, what: str) -> Address:
        try:
            return socket.bind(address, what)
        except BaseException:
            self.stop()
            raise

    def _run(self) -> None:
        try:
            self.loop.run(self.tick, _LOOK_SECONDS)
        finally:
            self.context.destroy(linger=0)


class FileReceiver(FileThread):
    """The server's end: writes what arrives to the path that *place* gives for it; where it gives none, the file is no business
    of the worker that sends it."""

    def __init__(self, address: Address, place: Callable[[FilePiece], Path | None], pair: KeyPair, keyring: Keyring) -> None:
        super().__init__("brender-files")
        self._place = place
        self._keyring = keyring
        self._socket = self._door(Door.SERVER_FILES, pair, keyring, "server files")
        self.address = self._bound(self._socket, address, "The server's files")
        self.loop.add(self._socket, self._read)

    def _read(self) -> None:
        for received in self._socket.drain():
            piece = received.message
            if isinstance(piece, FilePiece) and len(received.bulk) == 1:
                path = self._place(piece)
                if path is None:
                    sender = f"the worker {piece.worker} by the manager {received.principal.name}"
                    self._keyring.refusals.count(Door.SERVER_FILES, "a file of an attempt that is not the worker's", sender)
                    continue
                try:
                    have = append_piece(path, piece.offset, received.bulk[0])
                except OSError as error:
                    # Not acknowledged, so it is sent again: when there is room, it arrives.
                    log.error("cannot write the %s of attempt %s: %s", piece.kind, piece.attempt, error)
                    continue
                complete = piece.last and have == piece.offset + len(received.bulk[0])
                answer = FileAck(kind=piece.kind, attempt=piece.attempt, part=piece.part, offset=have, complete=complete)
                self._socket.send(answer, received.route)


class FileRelay(FileThread):
    """A manager's end: passes pieces up, with whose they are, and acknowledgements down."""

    def __init__(self, address: Address, pair: KeyPair, keyring: Keyring) -> None:
        super().__init__("brender-files")
        self._below = self._door(Door.MANAGER_FILES, pair, keyring, "manager files")
        self.address = self._bound(self._below, address, "The manager's files")
        self._above: Socket | None = None
        self._routes: OrderedDict[FileKey, bytes] = OrderedDict()
        self.loop.add(self._below, self._up)

    def connect(self, server: Address, credentials: Credentials) -> None:
        """Pass pieces up to *server* from now on; in place of the connection before, if there was one. From any thread."""

        def connect() -> None:
            if self._above is not None:
                self.loop.remove(self._above)
                self._above.close()
            self._above = Socket(self.context, zmq.DEALER, "manager files, upward", credentials)
            self._above.connect(server)
            self.loop.add(self._above, self._down)

        self.loop.post(connect)

    def _up(self) -> None:
        for received in self._below.drain():
            piece = received.message
            if isinstance(piece, FilePiece) and self._above is not None:
                piece = msgspec.structs.replace(piece, worker=received.principal.node)
                self._routes[piece.kind, piece.attempt, piece.part] = received.route
                if len(self._routes) > _ROUTES_REMEMBERED:
                    self._routes.popitem(last=False)
                self._above.send(piece, bulk=received.bulk)

    def _down(self) -> None:
        above = self._above
        for received in above.drain() if above is not None else ():
            ack = received.message
            if isinstance(ack, FileAck):
                key = (ack.kind, ack.attempt, ack.part)
                route = self._routes.pop(key, None) if ack.complete else self._routes.get(key)
                if route is not None:
                    self._below.send(ack, route)


@dataclass
class _Transfer:
    kind: str
    job: str
    attempt: str
    part: int
    path: Path
    finished: bool
    offset: int = 0
    sent_at: float | None = None


class FileSender(FileThread):
    """A worker's end. Files handed to it are deleted once the server has them whole."""

    def __init__(self) -> None:
        super().__init__("brender-files")
        self._transfers: dict[FileKey, _Transfer] = {}
        self._idle = threading.Event()
        self._idle.set()
        self._socket: Socket | None = None

    def send_log(self, job: str, attempt: str, path: Path, finished: bool = False) -> None:
        """Send the log at *path* as it grows, until a second call says that it is *finished*. From any thread."""
        self._add(_Transfer("log", job, attempt, 0, path, finished))

    def send_thumbnail(self, job: str, attempt: str, part: int, path: Path) -> None:
        """Send the picture at *path*. From any thread."""
        self._add(_Transfer("thumbnail", job, attempt, part, path, True))

    def turn_to(self, manager: Address, credentials: Credentials) -> None:
        """Send by way of this manager from now on; what was begun goes on where the server has it. From any thread."""

        def turn() -> None:
            if self._socket is not None:
                self.loop.remove(self._socket)
                self._socket.close()
            self._socket = Socket(self.context, zmq.DEALER, "worker files", credentials)
            self._socket.connect(manager)
            self.loop.add(self._socket, self._read)
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
                self._send(key, transfer, now)
        if not self._transfers:
            self._idle.set()

    def _add(self, transfer: _Transfer) -> None:
        self._idle.clear()
        self.loop.post(lambda: self._take(transfer))

    def _take(self, transfer: _Transfer) -> None:
        key = (transfer.kind, transfer.attempt, transfer.part)
        known = self._transfers.get(key)
        if known is not None:
            known.finished = transfer.finished
        elif transfer.kind == "thumbnail" and len(self._transfers) >= _THUMBNAILS_WAITING:
            transfer.path.unlink(missing_ok=True)
        else:
            self._transfers[key] = transfer

    def _send(self, key: FileKey, transfer: _Transfer, now: float) -> None:
        try:
            with transfer.path.open("rb") as file:
                file.seek(transfer.offset)
                piece = file.read(PIECE)
                last = transfer.finished and not file.read(1)
        except OSError as error:
            log.error("the %s of attempt %s cannot be read and is not sent: %s", transfer.kind, transfer.attempt, error)
            del self._transfers[key]
            return
        if not piece and not last:
            return
        message = FilePiece(
            kind="log" if transfer.kind == "log" else "thumbnail",
            job=transfer.job,
            attempt=transfer.attempt,
            part=transfer.part,
            offset=transfer.offset,
            last=last,
        )
        if self._socket is not None and self._socket.send(message, bulk=[piece]):
            transfer.sent_at = now

    def _read(self) -> None:
        for received in self._socket.drain() if self._socket is not None else ():
            ack = received.message
            if not isinstance(ack, FileAck):
                continue
            key = (ack.kind, ack.attempt, ack.part)
            transfer = self._transfers.get(key)
            if transfer is None:
                continue
            transfer.offset = ack.offset
            transfer.sent_at = None
            if ack.complete:
                transfer.path.unlink(missing_ok=True)
                del self._transfers[key]


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
