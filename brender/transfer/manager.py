"""A manager's end of files in transit."""

import logging
from collections import OrderedDict
from functools import partial

import msgspec

from brender.bus.address import Address
from brender.bus.keys import Credentials, KeyPair, Keyring
from brender.bus.messages import (
    BlobAt,
    BlobPiece,
    BlobWanted,
    FileAck,
    FilePiece,
    NoFile,
)
from brender.bus.rights import Door
from brender.bus.transport import Socket
from brender.transfer.blob_store import BlobStore
from brender.transfer.blobs import Pulls, from_here, served
from brender.transfer.file_thread import FileKey, FileThread

log = logging.getLogger("brender.files")

_ROUTES_REMEMBERED = 10_000


class FileRelay(FileThread):
    """A manager's end: passes files up, with whose they are, and acknowledgements down; gives out blobs from *store*, into which
    it pulls what it does not have yet, once for all its workers. *links*: workers on this machine may take blobs by links."""

    def __init__(self, address: Address, pair: KeyPair, keyring: Keyring, store: BlobStore, links: bool = True) -> None:
        super().__init__("brender-files", store)
        self._below = self._door(Door.MANAGER_FILES, pair, keyring, "manager files")
        self.address = self._bound(self._below, address, "The manager's files")
        self._above: Socket | None = None
        self._routes: OrderedDict[FileKey, bytes] = OrderedDict()
        self._links = links
        self._pulls = Pulls(store, self._ask_above, "the manager's", self.loop.post)
        self._waiting: dict[str, list[tuple[bytes, BlobWanted]]] = {}
        self.loop.add(self._below, self._up)

    def connect(self, server: Address, credentials: Credentials) -> None:
        """Pass pieces up to *server* from now on; in place of the connection before, if there was one. From any thread."""

        def connect() -> None:
            self._above = self._connected(self._above, server, credentials, "manager files, upward", self._down)

        self.loop.post(connect)

    def tick(self) -> None:
        self._pulls.tick()

    def _up(self) -> None:
        for received in self._below.drain():
            piece = received.message
            if isinstance(piece, BlobWanted):
                self._give(received.route, from_here(received, self._links))
            elif isinstance(piece, FilePiece) and self._above is not None:
                piece = msgspec.structs.replace(piece, worker=received.principal.node)
                self._routes[piece.kind, piece.attempt, piece.part, piece.file] = received.route
                if len(self._routes) > _ROUTES_REMEMBERED:
                    self._routes.popitem(last=False)
                self._above.send(piece, bulk=received.bulk)

    def _give(self, route: bytes, wanted: BlobWanted) -> None:
        """Answer from what is here, or once it is: a blob that comes is passed on while it does."""
        pull = self._pulls.get(wanted.blob)
        if pull is None and self._store.has(wanted.blob):
            answer, content = served(self._store, wanted)
            self._below.send(answer, route, content)
            return
        if pull is not None and (ready := pull.passed_on(wanted)) is not None:
            self._below.send(ready[0], route, ready[1])
            return
        waiting = self._waiting.setdefault(wanted.blob, [])
        if (route, wanted) not in waiting:
            waiting.append((route, wanted))
        if pull is None:
            self._pulls.begin(wanted.blob, partial(self._settle, wanted.blob))

    def _ask_above(self, wanted: BlobWanted) -> bool:
        return self._above is not None and self._above.send(wanted)

    def _down(self) -> None:
        above = self._above
        for received in above.drain() if above is not None else ():
            match received.message:
                case FileAck() as ack:
                    key = (ack.kind, ack.attempt, ack.part, ack.file)
                    route = self._routes.pop(key, None) if ack.complete else self._routes.get(key)
                    if route is not None:
                        self._below.send(ack, route)
                case NoFile(what=what) if (found := self._routes_by_name(what)) is not None:
                    self._below.send(received.message, found)
                case BlobPiece() | BlobAt() | NoFile() as told:
                    blob = self._pulls.hear(told, received.bulk)
                    waiting = self._waiting.pop(blob, [])
                    for route, wanted in waiting:
                        self._give(route, wanted)

    def _routes_by_name(self, what: str) -> bytes | None:
        """Return the route of the worker whose file it is that the server calls *what*; ``None`` if it is not such a file."""
        kind, _, rest = what.partition("/")
        attempt, _, numbers = rest.partition("/")
        part, _, file = numbers.partition("/")
        if not (part.isdecimal() and file.isdecimal()):
            return None
        return self._routes.get((kind, attempt, int(part), int(file)))

    def _settle(self, blob: str, error: str) -> None:
        """A pull is over: tell those who wait for it."""
        for route, wanted in self._waiting.pop(blob, []):
            if error:
                self._below.send(NoFile(what=blob, reason=error), route)
            else:
                self._give(route, wanted)
