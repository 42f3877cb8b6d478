"""Files in transit: logs, thumbnails and frames from workers through managers to the server, blobs the other way, on sockets of
their own.

Each end (`receiving`, `relaying`, `sending`) runs in its own thread with its own Context, so that no file ever delays a grant. A
file travels in pieces; the receiver says how many bytes it has, and that is where the sender goes on, after whatever cut. What
the sender has not seen acknowledged it keeps.
"""

import logging
import threading
import time
from collections.abc import Callable

import zmq

from brender.bus.address import Address
from brender.bus.keys import Credentials, Guard, KeyPair, Keyring, Zap
from brender.bus.loop import Loop
from brender.bus.rights import Door
from brender.bus.transport import Socket
from brender.model.bus_figures import Link
from brender.transfer.blob_store import BlobStore

log = logging.getLogger("brender.files")

_LOOK_SECONDS = 0.25
_COUNT_SECONDS = 1.0

FileKey = tuple[str, str, int, int]
"""A file on its way up: its kind, its attempt, its part, and which of the part's files it is."""

#: Seconds between two words of what goes wrong again and again.
_TELL_SECONDS = 60.0
#: Seconds between two looks for leftovers.
_SWEEP_SECONDS = 3600.0


def name_of(key: FileKey) -> str:
    """Return what a `NoFile` calls the file *key*."""
    return "/".join(map(str, key))


class FileThread:
    """What the three ends have in common: a thread, a Context, a `Loop`, and a store of blobs that it clears of leftovers."""

    def __init__(self, name: str, store: BlobStore) -> None:
        self._store = store
        self._swept = time.monotonic()
        self._told, self._failures = float("-inf"), 0
        self._sockets: list[Socket] = []
        self._counted = float("-inf")
        self.links: tuple[Link, ...] = ()
        """What passed so far. For any thread."""
        store.forget_what_was_given_up()
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
        """Return a ROUTER that lets in whom *keyring* admits at *door*."""
        zap = Zap(self.context, keyring)
        self.loop.add(zap, zap.answer)
        made = Socket(self.context, zmq.ROUTER, name, Guard(pair, keyring, door))
        made.connections()
        self._sockets.append(made)
        return made

    def _connected(
        self, before: Socket | None, address: Address, credentials: Credentials, name: str, read: Callable[[], None]
    ) -> Socket:
        """Return a DEALER to *address*, read from now on in place of the one *before*."""
        if before is not None:
            self.loop.remove(before)
            self._sockets.remove(before)
            before.close()
        made = Socket(self.context, zmq.DEALER, name, credentials)
        made.connections()
        self._sockets.append(made)
        made.connect(address)
        self.loop.add(made, read)
        return made

    def _bound(self, socket: Socket, address: Address, what: str) -> Address:
        try:
            return socket.bind(address, what)
        except BaseException:
            self.stop()
            raise

    def _tick(self) -> None:
        self.tick()
        if time.monotonic() - self._counted > _COUNT_SECONDS:
            self._counted = time.monotonic()
            self.links = tuple(socket.link() for socket in self._sockets)
        if time.monotonic() - self._swept > _SWEEP_SECONDS:
            self._swept = time.monotonic()
            self._store.forget_what_was_given_up()

    def _run(self) -> None:
        try:
            while not self._ran_to_its_end():
                time.sleep(_LOOK_SECONDS)
        finally:
            self.context.destroy(linger=0)

    def _ran_to_its_end(self) -> bool:
        """Run the loop; whether it was stopped. What goes wrong in it is logged, and it goes on: its role, which lives on, would
        wait for files for ever. What was lost of a message is sent again."""
        try:
            self.loop.run(self._tick, _LOOK_SECONDS)
            return True
        except Exception:
            self._failures += 1
            if time.monotonic() - self._told > _TELL_SECONDS:
                self._told = time.monotonic()
                log.exception("the thread for files failed (%d times so far), and goes on", self._failures)
            return False
