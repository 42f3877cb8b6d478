"""The process that strangers talk to: it holds the enrolment door, and passes on to the server what is an attempt to join.

Anybody may connect to that door, and libzmq keeps a message in memory until its last frame has arrived, so that the limits on
messages come too late for one that never ends. Hence the door has a process of its own, with little memory: what fills it ends
this process alone, and the server starts another (`brender.roles.server.enrolment_door`).

Its standard input is its lifeline, and brings a `Setup` first (the server's key among it), then one answer to each `Asked`;
standard output takes what it says to the server. Each is a frame: four bytes of length, then msgpack.
"""

import contextlib
import logging
import os
import queue
import signal
import socket
import struct
import sys
import threading
import time
from collections import Counter, OrderedDict
from itertools import islice
from typing import IO

import msgspec
import psutil
import zmq

from brender.bus.codec import decode
from brender.bus.keys import Guard, KeyPair, Keyring, Refusals, Zap
from brender.bus.loop import Loop
from brender.bus.messages import Enrol
from brender.bus.rights import Door
from brender.bus.transport import Received, Socket
from brender.model.pace import Pace

#: The exit code of a process that held more memory than it may.
FULL = 3
#: Bytes of the largest frame that is read from a pipe.
LONGEST = 8 * 2**20

#: Attempts to join that are listened to: a second, and at once; from one address, and from all together.
_PACE_OF_ONE, _PACE_OF_ALL = (2.0, 60.0), (50.0, 500.0)
#: Addresses whose pace is remembered, and kinds of refusals that are kept until the server is told of them.
_REMEMBERED, _REFUSALS = 10_000, 1000
#: Attempts that are passed on before the loop looks at its other sockets.
_AT_ONCE = 50
_TICK_SECONDS = 0.2
_LENGTH = struct.Struct(">I")


class Setup(msgspec.Struct, frozen=True):
    """What the server starts this process with: its key, the listening socket and where that listens, the bytes of memory."""

    public: str
    secret: str
    endpoint: str
    memory: int
    descriptor: int
    shared: bytes = b""
    """The listening socket as Windows shares one; b"" elsewhere, where the descriptor is inherited."""


class Asked(msgspec.Struct, frozen=True, tag="asked"):
    """Somebody with the key *public*, at the network address *origin*, asks to be admitted."""

    public: str
    origin: str
    enrol: Enrol


class Turned(msgspec.Struct, frozen=True, tag="turned"):
    """What was refused since this was said last: each reason and sender, and how often."""

    away: list[tuple[str, str, int]]


def write_frame(pipe: IO[bytes], body: bytes) -> None:
    """Write *body* as a frame. Raises `OSError` where nobody reads any more."""
    pipe.write(_LENGTH.pack(len(body)) + body)
    pipe.flush()


def read_frame(pipe: IO[bytes]) -> bytes | None:
    """Return the next frame from *pipe*; ``None`` where it has ended, or brings what is too large to be one."""
    head = pipe.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    body = pipe.read(length) if length <= LONGEST else b""
    return body if len(body) == length else None


def limit_memory(most: int) -> None:
    """Let this process hold *most* bytes: by the system, which refuses it more, where that can (Linux); and by looking at what
    it holds four times a second, which ends it."""
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with contextlib.suppress(OSError, ValueError):  # macOS knows it by name only
            resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    this = psutil.Process()

    def watch() -> None:
        while this.memory_info().rss <= most:
            time.sleep(0.25)
        os._exit(FULL)

    threading.Thread(target=watch, name="memory", daemon=True).start()


class RefusalsTold(Refusals):
    """What was refused: kept for the server, which counts and logs it."""

    def __init__(self) -> None:
        super().__init__()
        self._since: Counter[tuple[str, str]] = Counter()

    def count(self, door: str, reason: str, sender: str, times: int = 1) -> None:
        key = (reason, sender[:200])
        self._since[key if key in self._since or len(self._since) < _REFUSALS else (reason, "others")] += times

    def since(self) -> Turned | None:
        """Return what was refused since the last call, ``None`` where nothing was."""
        counted, self._since = self._since, Counter()
        return Turned([(reason, sender, times) for (reason, sender), times in counted.items()]) if counted else None


class Teller:
    """Hears strangers at *socket*, asks the server by *pipe* about each attempt to join, and gives them the *answers*."""

    def __init__(self, socket: Socket, refusals: RefusalsTold, pipe: IO[bytes], answers: "queue.SimpleQueue[bytes]") -> None:
        self._socket = socket
        self._refusals = refusals
        self._pipe = pipe
        self._answers = answers
        self._paces: OrderedDict[str, Pace] = OrderedDict()
        self._of_all = Pace(*_PACE_OF_ALL, 0.0)

    def read(self) -> None:
        """Take what has arrived."""
        for received in islice(self._socket.drain(), _AT_ONCE):
            if self._has_time_for(received.origin, time.monotonic()):
                self._ask(received)

    def tick(self) -> None:
        """Tell the server what was refused."""
        if (refused := self._refusals.since()) is not None:
            write_frame(self._pipe, msgspec.msgpack.encode(refused))

    def _ask(self, received: Received) -> None:
        assert isinstance(received.message, Enrol), "no other message is heard at this door"
        asked = Asked(received.principal.public, received.origin, received.message)
        write_frame(self._pipe, msgspec.msgpack.encode(asked))
        if answer := self._answers.get():  # b"": none, it will ask again
            self._socket.send(decode([answer])[0], received.route)

    def _has_time_for(self, origin: str, now: float) -> bool:
        """Return whether one more attempt from the address *origin* is listened to at *now*, monotonic."""
        pace = self._paces.setdefault(origin, Pace(*_PACE_OF_ONE, now))
        self._paces.move_to_end(origin)
        if len(self._paces) > _REMEMBERED:
            self._paces.popitem(last=False)
        if pace.take(now) and self._of_all.take(now):
            return True
        self._refusals.count(Door.ENROLMENT, "too many attempts to join", origin)
        return False


def main() -> None:
    """Serve until the lifeline ends."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the lifeline alone decides
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    first = read_frame(sys.stdin.buffer)
    if first is None:
        return
    setup = msgspec.msgpack.decode(first, type=Setup)
    limit_memory(setup.memory)
    answers: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def listen_to_server() -> None:
        while (answer := read_frame(sys.stdin.buffer)) is not None:
            answers.put(answer)
        os._exit(0)

    threading.Thread(target=listen_to_server, name="lifeline", daemon=True).start()
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    refusals, loop = RefusalsTold(), Loop()
    keyring = Keyring(refusals=refusals)
    zap = Zap(context, keyring)
    door = Socket(context, zmq.ROUTER, "server enrolment", Guard(KeyPair(setup.public, setup.secret), keyring, Door.ENROLMENT))
    door.bind_to(_listening(setup), setup.endpoint)
    teller = Teller(door, refusals, sys.stdout.buffer, answers)
    loop.add(zap, zap.answer)
    loop.add(door, teller.read)
    loop.run(teller.tick, _TICK_SECONDS)


def _listening(setup: Setup) -> int:
    """Return the descriptor of the socket that *setup* brings."""
    if sys.platform == "win32":
        return socket.fromshare(setup.shared).detach()
    return setup.descriptor


if __name__ == "__main__":
    main()
