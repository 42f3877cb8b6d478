"""The farm's events on their way to browsers: heard once from the server, told to every page that listens.

A page is told which things changed, and asks for what it shows of them. What it missed while it was away it is not told of: it
asks for all that changed since the commit that it knows, which no lost message can spoil."""

import contextlib
import json
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import zmq

from brender.bus.address import ServerAddresses
from brender.bus.keys import Credentials, KeyPair
from brender.bus.messages import Event
from brender.bus.transport import Socket

log = logging.getLogger("brender.dashboard")

#: What happens within so many seconds is told at once.
_TOGETHER_SECONDS = 0.25
_BEAT_SECONDS = 15.0
_WAITING_MOST = 64
#: Things of one kind that are named in one telling; of more it is only said that there are many.
_NAMED_MOST = 200


class Listening:
    """One listener's events. `close` gives up its place, also where nothing was read (a HEAD request)."""

    def __init__(self, events: Iterator[str], leave: Callable[[], None]) -> None:
        self._events = events
        self._leave = leave

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        try:
            return next(self._events)
        except StopIteration:
            self._leave()
            raise

    def close(self) -> None:
        self._leave()


class Stream:
    """Listens to the events of *server* with the key *pair*, once somebody wants to know; for up to *most* listeners, and up to
    *most_of_one* of one user."""

    def __init__(self, server: ServerAddresses, pair: KeyPair, most: int = 240, most_of_one: int = 220) -> None:
        self._server = server
        self._pair = pair
        self._most = most
        self._most_of_one = most_of_one
        self._listeners: dict[queue.Queue[str], str] = {}
        self._heard: Callable[[str, dict[str, Any]], None] | None = None
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False

    @property
    def listeners(self) -> int:
        return len(self._listeners)

    def listen(self, gone: Callable[[], bool] = lambda: False, user: str = "") -> "Listening | None":
        """Return what happens from now on, as server-sent events for *user*; ``None`` where there are too many listeners
        already. *gone* tells whether the reader is, or may not listen any more; it is asked every second."""
        mine: queue.Queue[str] = queue.Queue(_WAITING_MOST)
        with self._lock:
            theirs = sum(each == user for each in self._listeners.values())
            if len(self._listeners) >= self._most or theirs >= self._most_of_one:
                return None
            self._listeners[mine] = user
            self._begin()
        return Listening(self._told(mine, gone), lambda: self._leave(mine))

    def _leave(self, mine: "queue.Queue[str]") -> None:
        with self._lock:
            self._listeners.pop(mine, None)

    def close(self) -> None:
        """Let every listener's stream end: the dashboard does. From any thread."""
        self._closed = True
        with self._lock:
            for listener in self._listeners:
                with contextlib.suppress(queue.Full):
                    listener.put_nowait(": goodbye\n\n")

    def tell_of_jobs(self, heard: Callable[[str, dict[str, Any]], None]) -> None:
        """Let *heard* know what changes of each job: its id, and the new values."""
        with self._lock:
            self._heard = heard
            self._begin()

    def _begin(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._hear, name="brender-events", daemon=True)
            self._thread.start()

    def _told(self, mine: "queue.Queue[str]", gone: Callable[[], bool]) -> Iterator[str]:
        yield "retry: 2000\n: welcome\n\n"
        quiet = time.monotonic()
        while not self._closed and not gone():
            try:
                yield mine.get(timeout=1.0)
                quiet = time.monotonic()
            except queue.Empty:
                if time.monotonic() - quiet > _BEAT_SECONDS:
                    quiet = time.monotonic()
                    yield ": still here\n\n"

    def _hear(self) -> None:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        socket = Socket(context, zmq.SUB, "dashboard events", Credentials(self._pair, self._server.key))
        socket.connect(self._server.events)
        socket.subscribe()
        together: dict[str, set[str]] = {}
        change, tell = 0, 0.0
        while True:
            if socket.raw.poll(int(_TOGETHER_SECONDS * 1000)):
                for received in socket.drain():
                    event = received.message
                    if isinstance(event, Event):
                        change = max(change, event.change)
                        if event.kind == "job" and self._heard is not None:
                            self._heard(event.key, event.fields)
                        together.setdefault(event.kind, set()).add(str(event.fields.get("job") or event.key))
            if together and time.monotonic() >= tell:
                tell = time.monotonic() + _TOGETHER_SECONDS
                self._tell(change, together)
                together = {}

    def tell_of_server(self) -> None:
        """Let every page ask how the server is: it fell silent, or is back. From any thread."""
        self._send("event: server\ndata: {}\n\n")

    def _tell(self, change: int, together: dict[str, set[str]]) -> None:
        named = {kind: sorted(keys) if len(keys) <= _NAMED_MOST else ["*"] for kind, keys in together.items()}
        self._send(f"id: {change}\nevent: changed\ndata: {json.dumps(named)}\n\n")

    def _send(self, text: str) -> None:
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            # A reader that is too slow misses this one, and sees what it was with the next: pages ask for all since their last.
            with contextlib.suppress(queue.Full):
                listener.put_nowait(text)
