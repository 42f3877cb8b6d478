"""The connection of a monitor to a server: one thread listens to its events, another asks what was before, and for changes.

The threads only put what they have into queues (`Feed.taken`, `Feed.outcomes`); all else happens in the caller's own.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

import zmq

from brender.bus.address import ServerAddresses
from brender.bus.client import OTHER_KEY, Client
from brender.bus.codec import Malformed, decode
from brender.bus.keys import Credentials, KeyPair
from brender.bus.messages import Event
from brender.bus.transport import Socket
from brender.model.errors import BrenderError
from brender.model.keys import KeyRole, token_command
from brender.model.rights import Scope, scope
from brender.monitor.heard import Job
from brender.monitor.items import Item, Linked, Skipped, answered, told
from brender.monitor.sampling import Sampler

_POLL_MILLISECONDS = 200
#: Messages of so many seconds are taken in together: to wake up for each would take most of a monitor's time.
_BATCH_SECONDS = 0.05
#: Items that wait to be taken at most; further ones are only counted.
_WAITING = 50_000
#: Messages that are taken off the socket at once, of the 10,000 that it queues.
_MOST_AT_ONCE = 5_000
#: Seconds between two looks at the whole record, and at least between two that were asked for.
_REFRESH_SECONDS, _REFRESH_LEAST = 300.0, 30.0
_ANSWER_SECONDS = 10.0
#: Frames of a job that are asked for at most, and jobs of all statuses that are.
_FRAMES_MOST, _JOBS_ASKED = 5_000, 50
_FAREWELL_SECONDS = 2.0


@dataclass(frozen=True)
class Outcome:
    """The result of a change that was asked for, in words."""

    text: str
    is_done: bool


class Feed:
    """Hears the server at *addresses* with the key *pair*, which is a key of that *role*. *user*: who is at the keyboard."""

    def __init__(self, addresses: ServerAddresses, pair: KeyPair, role: KeyRole, user: str = "") -> None:
        self.addresses = addresses
        self.role = role
        self.may_ask = scope(role, "ask") is not Scope.NOBODY
        self.refusal = ""
        """Why the server does not let this monitor listen, or "" while it does."""
        self.outcomes: SimpleQueue[Outcome] = SimpleQueue()
        self._pair, self._user = pair, user
        self._began = time.monotonic()
        self._items: deque[tuple[float, Item]] = deque()
        self._events: deque[Event] | None = None
        self._sampler = Sampler()
        self._asked: SimpleQueue[Callable[[Client], None] | None] = SimpleQueue()
        self._refreshed = float("-inf")
        self._framed: set[str] = set()
        """Jobs whose frames were asked for."""
        self._closing = threading.Event()
        self._threads = [threading.Thread(target=self._listen, name="monitor-listen", daemon=True)]
        if self.may_ask:
            self._threads.append(threading.Thread(target=self._ask, name="monitor-ask", daemon=True))

    def start(self, whole: bool = False) -> "Feed":
        """Begin to listen. *whole*: keep every event as it came for `events`, and leave none out."""
        self._events = deque() if whole else None
        for thread in self._threads:
            thread.start()
        return self

    def close(self) -> None:
        self._closing.set()
        self._asked.put(None)
        for thread in self._threads:
            if thread.is_alive():
                thread.join(_FAREWELL_SECONDS)

    def now(self) -> float:
        """Return the seconds since the beginning."""
        return time.monotonic() - self._began

    def taken(self) -> list[tuple[float, Item]]:
        """Return what came since the last call, each with its time."""
        return [self._items.popleft() for _ in range(len(self._items))]

    def events(self) -> list[Event]:
        """Return the events that came since the last call, where they are kept whole."""
        kept = self._events
        return [] if kept is None else [kept.popleft() for _ in range(len(kept))]

    def refresh(self) -> None:
        """Ask for the whole record again, unless that was done a moment ago."""
        if self.may_ask and self.now() - self._refreshed > _REFRESH_LEAST:
            self._refreshed = self.now()
            self._asked.put(self._ask_record)

    def act(self, action: str, target: str, value: int | str | None, what: str) -> None:
        """Ask for a change; its outcome comes later. *what* says what is asked for, as in "pause sh_020"."""

        def ask(client: Client) -> None:
            try:
                client.act(action, target, value, self._user)
            except BrenderError as error:
                self.outcomes.put(Outcome(str(error), False))
            else:
                self.outcomes.put(Outcome(f"{what}: done", True))

        if self.may_ask:
            self._asked.put(ask)
        else:
            # (As the server would say: the door is closed to such a key.)
            self.outcomes.put(Outcome(f"A {self.role}'s key may only listen", False))

    # --- in threads of their own --------------------------------------------------------------------------------------

    def _put(self, item: Item) -> None:
        self._items.append((self.now(), item))

    def _listen(self) -> None:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        socket = Socket(context, zmq.SUB, "monitor", Credentials(self._pair, self.addresses.key))
        connections = socket.connections()
        socket.connect(self.addresses.events)
        socket.subscribe()
        up, was_stranger, of = None, False, (1, 1)
        try:
            while not self._closing.is_set() and not self.refusal:
                socket.raw.poll(_POLL_MILLISECONDS)
                connections.happened()
                if connections.refused:
                    self.refusal = _NOT_ADMITTED.format(address=self.addresses.events, command=token_command(KeyRole.MONITOR))
                is_stranger = connections.strange and not connections.up
                if (connections.up, is_stranger) != (up, was_stranger):
                    if connections.up and not up:
                        self.refresh()
                    up, was_stranger = connections.up, is_stranger
                    self._put(Linked(up=up, why=_STRANGE if is_stranger else ""))
                self._drain(socket.raw)
                self._closing.wait(_BATCH_SECONDS)
                every = (self._sampler.of, self._sampler.of_telling)
                count = self._sampler.skipped()
                if count or every != of:
                    of = every
                    self._put(Skipped(count=count, of=every[0], of_telling=every[1]))
        finally:
            socket.close()
            context.destroy(linger=0)

    def _drain(self, raw: "zmq.Socket[bytes]") -> None:
        """Take in what has come. Hot path, watched by benchmarks.monitor: what is not looked at is not even decoded."""
        whole, sampler, now = self._events, self._sampler, time.monotonic()
        for _ in range(_MOST_AT_ONCE):
            try:
                topic, *frames = raw.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            kind = topic.decode("ascii", "replace")
            if len(self._items) > _WAITING or (whole is None and not sampler.takes(kind, now)):
                continue
            with suppress(Malformed):
                message, _ = decode(frames)
                if isinstance(message, Event):
                    self._put(told(message))
                    if whole is not None:
                        whole.append(message)

    def _ask(self) -> None:
        with Client(self.addresses, self._pair, _ANSWER_SECONDS) as client:
            client.asker = self._user
            while not self._closing.is_set():
                try:
                    ask = self._asked.get(timeout=_REFRESH_SECONDS)
                except Empty:
                    ask = self._ask_record
                if ask is None:
                    return
                with suppress(BrenderError):  # the server is silent: that is seen, and it is asked again when it is back
                    ask(client)

    def _ask_record(self, client: Client) -> None:
        self._put(answered("managers", client.ask("managers")))
        self._put(answered("workers", client.ask("workers")))
        rows: dict[str, dict[str, Any]] = {row["id"]: row for row in client.ask("jobs", limit=_JOBS_ASKED)}
        for status in ("paused", "queued", "active"):
            rows |= {row["id"]: row for row in client.ask("jobs", status=status)}
        self._put(answered("jobs", list(rows.values())))

    def ask_frames(self, jobs: Iterable[Job]) -> None:
        """Ask which parts of *jobs* are which frames, of each once; not of those that have very many."""
        for job in jobs:
            if self.may_ask and job.id not in self._framed and job.number("part_count") <= _FRAMES_MOST:
                self._framed.add(job.id)
                self._asked.put(partial(self._ask_frames_of, job.id))

    def _ask_frames_of(self, job: str, client: Client) -> None:
        self._put(answered("frames_by_part", client.ask("frames_by_part", job=job), job))


_STRANGE = OTHER_KEY.format(where="that listens there")
_NOT_ADMITTED = (
    "The server does not admit this machine's key at {address}. Ask the one who runs the farm for a new token ({command}), and "
    "use it with `brender join TOKEN`"
)
