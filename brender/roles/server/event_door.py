"""The server's socket of events: who listens, and what they hear. At the edge."""

import time
from collections.abc import Callable, Iterable
from typing import Any

import zmq

from brender.bus.address import Address
from brender.bus.loop import Loop
from brender.bus.messages import Event
from brender.bus.transport import Socket
from brender.farm.record import Row
from brender.model.errors import Conflict
from brender.roles.server.events import Listening, events

_REBIND_SECONDS = 2.0


class EventDoor:
    """An XPUB that *make* makes, read in *loop*. Events are only made while somebody listens."""

    def __init__(self, loop: Loop, make: Callable[[], Socket]) -> None:
        self._loop, self._make = loop, make
        self.socket = make()
        self.address: Address | None = None
        self._listening = Listening()
        self._published = 0

    def bind(self, wanted: Address) -> Address:
        """Listen at *wanted*; return where that is. Raises `Conflict` where it is taken."""
        self.address = self.socket.bind(wanted, "The server's events")
        self._loop.add(self.socket, self._read)
        return self.address

    def cut(self) -> None:
        """Close the door and open it again: one listener alone cannot be sent away, and the others come back by themselves."""
        assert self.address is not None
        self._loop.remove(self.socket)
        self.socket.close()
        self.socket = self._make()
        self._listening.clear()
        deadline = time.monotonic() + _REBIND_SECONDS
        while True:
            try:
                self.socket.bind(self.address, "The server's events")
                break
            except Conflict:
                # ZeroMQ closes in a thread of its own.
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
        self._loop.add(self.socket, self._read)

    def publish(self, kind: str, key: str, fields: dict[str, Any], change: int) -> None:
        """Tell those who listen, if there are any, of an event after the commit *change*."""
        if self._listening:
            self._send(kind, key, fields, change)

    def publish_rows(self, rows: Iterable[Row], change: int, now: float) -> None:
        """Tell those who listen that the commit *change* wrote *rows*. *now*: monotonic."""
        if self._listening:
            for kind, key, fields in events(self._listening.of(rows, now)):
                self._send(kind, key, fields, change)

    def __bool__(self) -> bool:
        """Return whether anybody listens."""
        return bool(self._listening)

    def _send(self, kind: str, key: str, fields: dict[str, Any], change: int) -> None:
        self._published += 1
        number = self._published + self._listening.left_out
        self.socket.send(Event(change=change, wall=time.time(), kind=kind, key=key, fields=fields, number=number), topic=kind)

    def _read(self) -> None:
        while True:
            try:
                frame = self.socket.raw.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            self._listening.heard(frame)
