"""The loop that every role runs: poll the sockets, drain them, run what other threads posted, tick.

One thread, plain `zmq.Poller`. Sockets belong to the thread that runs the loop; other threads only `post`.
"""

import signal
import socket
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Any, Protocol

import zmq

from brender.system.restart import STOP_SIGNALS

_AT_ONCE_SECONDS = 0.5


class Readable(Protocol):
    """A socket of ours, of whatever kind: ``raw`` is ZeroMQ's."""

    raw: Any


class Loop:
    """``add`` sockets, then ``run``. ``after`` is called once after each round that handled anything (the place to
    commit), ``tick`` at least every ``interval`` seconds."""

    def __init__(self) -> None:
        self._poller = zmq.Poller()
        self._readers: dict[object, Callable[[], None]] = {}
        self._posted: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._poller.register(self._wake_out, zmq.POLLIN)
        self._stopping = False
        self._woken = False
        self.each_round: Callable[[], None] = lambda: None
        """Called in each round: a sign that the loop does not stand still."""
        self.rounds = (0, 0.0, 0.0)
        """How many rounds there were, the seconds that all of them took, and the longest one since it was told of."""

    def add(self, source: Readable, reader: Callable[[], None]) -> None:
        """Call *reader* whenever *source* has something to drain."""
        self._poller.register(source.raw, zmq.POLLIN)
        self._readers[source.raw] = reader

    def remove(self, source: Readable) -> None:
        """Read *source* no more."""
        self._poller.unregister(source.raw)
        del self._readers[source.raw]

    def post(self, call: Callable[[], None]) -> None:
        """Run *call* in the loop's thread, soon. May be called from any thread and from a signal handler."""
        self._posted.put(call)
        if self._woken:
            return  # and it has not looked yet
        self._woken = True
        try:
            self._wake_in.send(b"\0")
        except OSError:
            # The pipe is full, so the loop is waking up anyway; or the loop has ended, and nobody needs waking.
            return

    def stop(self) -> None:
        """End the loop after the present round. May be called from any thread."""
        self.post(self._stop)

    def on_signals(self, handler: Callable[[], None], has_parent: bool = False) -> None:
        """Run *handler* in the loop on each SIGTERM or SIGINT. Only in a program's main thread.

        Where it *has_parent*, a role that passes its own signals on, several at once are one: systemd sends one to every process
        of a service.
        """
        last = float("-inf")

        def react(number: int, frame: FrameType | None) -> None:
            nonlocal last
            now = time.monotonic()
            if not has_parent or now - last > _AT_ONCE_SECONDS:
                last = now
                self.post(handler)

        for number in STOP_SIGNALS:
            signal.signal(number, react)

    def run(self, tick: Callable[[], None], interval: float, after: Callable[[], None] = lambda: None) -> None:
        """Until `stop`. *interval* in seconds."""
        while not self._stopping:
            ready = self._poller.poll(int(interval * 1000))
            began = time.monotonic()
            for raw, _ in ready:
                if raw == self._wake_out.fileno():
                    self._take_wakes()
                elif (reader := self._readers.get(raw)) is not None:
                    reader()
            self._run_posted()
            tick()
            after()
            self.each_round()
            count, seconds, longest = self.rounds
            took = time.monotonic() - began
            self.rounds = (count + 1, seconds + took, max(longest, took))
        self._wake_in.close()
        self._wake_out.close()

    def _take_wakes(self) -> None:
        """Empty the pipe whenever there is something in it: a byte may come long after `_woken` was set for it, and what is left
        in there would keep the poller from ever waiting again."""
        try:
            while self._wake_out.recv(4096):
                pass
        except BlockingIOError:
            pass
        # Before the calls are looked at: who posts from now on wakes the loop again.
        self._woken = False

    def _run_posted(self) -> None:
        while True:
            try:
                call = self._posted.get_nowait()
            except Empty:
                return
            call()

    def _stop(self) -> None:
        self._stopping = True
