"""Sockets that carry messages: ROUTER and DEALER for what must arrive, PUB and SUB for what may be lost.

Whatever arrives is decoded and checked here, its sender's key and rights first; what does not fit is counted, logged once a
sender, and dropped; a request that its sender's key does not allow is answered so. Sending never blocks: a refusal (no such
route, queue full, not connected) is ``False``, and what must arrive is the caller's to send again. ZeroMQ's own queues are
never relied on.
"""

import errno
import itertools
import logging
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import zmq
from zmq.utils.monitor import recv_monitor_message

from brender.bus.address import Address, cannot_listen
from brender.bus.codec import Malformed, WrongVersion, decode, encode
from brender.bus.keys import Credentials, Guard
from brender.bus.messages import AnyMessage, Message, Refused
from brender.bus.rights import LARGEST, MOST_FRAMES, Door, may_send, refusal
from brender.bus.traffic import Traffic, by_name
from brender.model.bus_figures import Link, LinkState
from brender.model.keys import KeyRole, Principal

log = logging.getLogger("brender.bus")

#: Who is at the other end of a socket that connects: the one that its key vouches for.
PARENT = Principal(id="00000000", public="", role=KeyRole.ADMIN, name="parent")
#: The largest frame that is taken off the wire, in bytes.
MAX_FRAME = 64 * 1024 * 1024
#: Messages that one drain takes at most before the loop looks at its other sockets.
DRAIN = 1000
_SENDERS_REMEMBERED = 10_000
_watched = itertools.count(1)
_MADE, _REFUSED, _STRANGE, _LOST, _ACCEPTED, _PROTOCOL, _NOBODY = (
    zmq.EVENT_HANDSHAKE_SUCCEEDED,
    zmq.EVENT_HANDSHAKE_FAILED_AUTH,
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL,
    zmq.EVENT_DISCONNECTED,
    zmq.EVENT_ACCEPTED,
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL,
    zmq.EVENT_CLOSED,
)
#: The system's errors of a handshake for which nothing came until its time was over. One who refuses closes the connection.
_NOTHING_CAME = (0, errno.EAGAIN, errno.ETIMEDOUT)


@dataclass(frozen=True, slots=True)
class Received:
    """One message that arrived: from whom (``principal``), by which way back (``route``; b"" on other sockets than a
    ROUTER), and its raw frames (``bulk``). ``origin``: the network address that it came from, where that is known."""

    principal: Principal
    route: bytes
    message: AnyMessage
    bulk: list[bytes]
    origin: str = ""

    @property
    def sender(self) -> str:
        """From whom, in words for a person."""
        return described(self.principal, self.origin)


def described(principal: Principal, origin: str) -> str:
    """Return *principal* at *origin*, in words for a person."""
    return f"{principal.name} ({principal.id}) at {origin}"


class Socket:
    """A socket with brender's settings. ``malformed`` counts what was dropped, by sender's route; ``traffic`` all that passed.
    *keys*: a `Guard` where it binds, `Credentials` where it connects; without them it is plain, and everybody who reaches it is
    believed."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], kind: int, name: str, keys: Guard | Credentials | None) -> None:
        self.name = name
        self.raw = context.socket(kind)
        self._guard = keys if isinstance(keys, Guard) else None
        if keys is not None:
            keys.apply(self.raw)
        self.malformed: Counter[bytes] = Counter()
        self.traffic = Traffic()
        self._address, self._listens = "", False
        self.raw.setsockopt(zmq.LINGER, 0)
        self.raw.setsockopt(zmq.MAXMSGSIZE, LARGEST[self._guard.door] if self._guard is not None else MAX_FRAME)
        self.raw.setsockopt(zmq.HEARTBEAT_IVL, 2_000)
        self.raw.setsockopt(zmq.HEARTBEAT_TIMEOUT, 10_000)
        self.raw.setsockopt(zmq.RECONNECT_IVL, 100)
        self.raw.setsockopt(zmq.RECONNECT_IVL_MAX, 2_000)
        if kind == zmq.ROUTER:
            self.raw.setsockopt(zmq.ROUTER_MANDATORY, 1)
        if kind == zmq.DEALER:
            # Queue nothing for a parent that is not there: a stale message is worse than a refused one.
            self.raw.setsockopt(zmq.IMMEDIATE, 1)
        if kind in (zmq.SUB, zmq.XPUB, zmq.PUB):
            self.raw.setsockopt(zmq.SNDHWM, 10_000)
            self.raw.setsockopt(zmq.RCVHWM, 10_000)
        self._routed = kind == zmq.ROUTER
        self._connections: Connections | None = None
        self._topics = kind == zmq.SUB
        self._before = 1 if self._routed or self._topics else 0
        """Frames before the message's own: a route or a topic."""

    def bind(self, address: Address, what: str) -> Address:
        """Listen on *address*; returns it with the port that it became. Raises `Conflict` where the port is in use."""
        self._speak_ipv6(address)
        try:
            self.raw.bind(address.endpoint)
        except zmq.ZMQError as error:
            raise cannot_listen(what, address, error.errno == zmq.EADDRINUSE, error.strerror or str(error)) from error
        endpoint = self.raw.getsockopt_string(zmq.LAST_ENDPOINT)
        bound = Address(address.host, int(endpoint.rpartition(":")[2].rstrip("\0")))
        self._address, self._listens = str(bound), True
        return bound

    def bind_to(self, listening: int, endpoint: str) -> None:
        """Accept from the socket *listening*, a descriptor, which listens at *endpoint* already; it is this one's from now on."""
        self.raw.setsockopt(zmq.USE_FD, listening)
        self.raw.bind(endpoint)

    def connect(self, address: Address) -> None:
        self._speak_ipv6(address)
        self.raw.connect(address.endpoint)
        self._address = str(address)

    def subscribe(self, topic: str = "") -> None:
        self.raw.setsockopt(zmq.SUBSCRIBE, topic.encode())

    def send(self, message: Message, route: bytes = b"", bulk: Sequence[bytes] = (), topic: str | None = None) -> bool:
        """Send without waiting. ``False``: refused (nobody there, or its queue is full)."""
        frames, traffic = encode(message, bulk), self.traffic
        size = len(frames[0]) if len(frames) == 1 else sum(map(len, frames))
        if self._routed:
            frames.insert(0, route)
        elif topic is not None:
            frames.insert(0, topic.encode())
        try:
            self.raw.send_multipart(frames, flags=zmq.NOBLOCK)
        except zmq.Again:
            traffic.unsent += 1
            return False
        except zmq.ZMQError as error:
            if error.errno == zmq.EHOSTUNREACH:
                traffic.unsent += 1
                return False
            raise
        traffic.sent[type(message)] += 1
        traffic.bytes_sent += size
        if log.isEnabledFor(logging.DEBUG):
            log.debug("%s: sent %s, %d bytes", self.name, type(message).__name__, size)
        return True

    def drain(self) -> Iterator[Received]:
        """What has arrived, until nothing more is there or `DRAIN` messages were taken."""
        most = self.traffic.waiting
        for count in range(1, DRAIN + 1):
            try:
                frames = self.raw.recv_multipart(flags=zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return
            if count > most:
                most = self.traffic.waiting = count
            principal, origin = PARENT, ""
            if self._guard is not None:
                found = self._sender(self._guard, frames[-1])
                if found is None:
                    continue
                principal, origin = found
                if (excess := self._excess(self._guard.door, frames)) is not None:
                    self._drop(frames[0].bytes if self._routed else b"", excess, described(principal, origin))
                    continue
            received = self._read([frame.bytes for frame in frames], principal, origin)
            if received is not None:
                yield received

    def connections(self) -> "Connections":
        """Return what tells of each connection that this socket makes or accepts, the first and every later one, and of those
        that fail. To be called before it binds or connects."""
        name = f"inproc://connections-{next(_watched)}"
        raw: zmq.Socket[bytes] = self.raw.context.socket(zmq.PAIR)
        # Without a limit: libzmq waits for a reader whose queue is full, and serves no socket of the context meanwhile.
        raw.setsockopt(zmq.RCVHWM, 0)
        self.raw.monitor(name, _MADE | _REFUSED | _STRANGE | _LOST | _ACCEPTED | _PROTOCOL | _NOBODY)
        raw.connect(name)
        self._connections = Connections(raw)
        return self._connections

    def link(self, is_report: bool = True) -> Link:
        """Return what passed so far, and how the connection is. Where it *is_report*, what waited is counted again from here on.

        In its own thread.
        """
        traffic, seen = self.traffic, self._connections
        if seen is not None:
            seen.happened()
        counts = seen.counts if seen is not None else Counter[int]()
        waiting = traffic.waiting
        if is_report:
            traffic.waiting = 0
        return Link(
            name=self.name,
            address=self._address,
            state=LinkState.LISTENING if self._listens else seen.state if seen is not None else LinkState.CONNECTING,
            peers=seen.peers if seen is not None else 0,
            connected=counts[_MADE],
            lost=counts[_LOST],
            refused=counts[_REFUSED],
            failed=counts[_STRANGE] + counts[_PROTOCOL],
            sent=by_name(traffic.sent),
            received=by_name(traffic.received),
            bytes_sent=traffic.bytes_sent,
            bytes_received=traffic.bytes_received,
            unsent=traffic.unsent,
            malformed=traffic.malformed,
            waiting=waiting,
            send_limit=int(self.raw.getsockopt(zmq.SNDHWM)),
            receive_limit=int(self.raw.getsockopt(zmq.RCVHWM)),
        )

    def close(self) -> None:
        if self._connections is not None:
            self.raw.disable_monitor()
            self._connections.raw.close(linger=0)
        self.raw.close(linger=0)

    def _speak_ipv6(self, address: Address) -> None:
        if ":" in address.host:
            self.raw.setsockopt(zmq.IPV6, 1)

    @staticmethod
    def _sender(guard: Guard, frame: zmq.Frame) -> tuple[Principal, str] | None:
        """Whose key the message of *frame* came with, and from where; ``None`` where it is not to be heard."""
        user, origin = str(frame.get("User-Id")), str(frame.get("Peer-Address"))
        if guard.door is Door.ENROLMENT:
            return Principal(id="00000000", public=user, role=KeyRole.WORKER, name="a stranger"), origin
        principal = guard.keyring.who(user)
        if principal is None:
            guard.refuse("a key that was revoked or has expired", f"{user} at {origin}")
            return None
        if not guard.keeps_pace(principal, time.monotonic()):
            guard.refuse("more messages than its key may send", described(principal, origin))
            return None
        return principal, origin

    def _excess(self, door: Door, frames: list[zmq.Frame]) -> Malformed | None:
        """Return what of *frames* is beyond the limits of *door*, ``None`` where nothing is.

        Hot path, watched by benchmarks.dispatch: a single frame is within them, since libzmq takes no larger one.
        """
        count = len(frames) - self._before
        if count <= 1:
            return None
        if count > MOST_FRAMES[door]:
            return Malformed(f"{count} frames, where {MOST_FRAMES[door]} are allowed")
        size = len(frames[0]) if len(frames) == 1 else sum(map(len, frames))
        return Malformed(f"{size} bytes, where {LARGEST[door]} are allowed") if size > LARGEST[door] else None

    def _read(self, frames: list[bytes], principal: Principal, origin: str) -> Received | None:
        route = frames.pop(0) if (self._routed or self._topics) and frames else b""
        traffic = self.traffic
        traffic.bytes_received += len(frames[0]) if len(frames) == 1 else sum(map(len, frames))
        try:
            message, bulk = decode(frames)
        except Malformed as error:
            self._drop(route, error, described(principal, origin))
            return None
        traffic.received[type(message)] += 1
        if log.isEnabledFor(logging.DEBUG):
            whose = f" from {described(principal, origin)}" if self._guard is not None else ""
            log.debug("%s: received %s%s, %d bytes", self.name, type(message).__name__, whose, sum(map(len, frames)))
        guard = self._guard
        if guard is not None and not may_send(guard.door, principal.role, type(message)):
            guard.refuse(f"{type(message).__name__} from a {principal.role}", described(principal, origin))
            if self._routed and (answer := refusal(guard.door, principal.role, message)) is not None:
                self.send(answer, route)
            return None
        return Received(principal, route if self._routed else b"", message, bulk, origin)

    def _drop(self, route: bytes, error: Malformed, who: str) -> None:
        sender = route if self._routed else b""
        if len(self.malformed) > _SENDERS_REMEMBERED:
            self.malformed.clear()
        self.malformed[sender] += 1
        self.traffic.malformed += 1
        if self._guard is not None:
            self._guard.refuse("something that is not a message", who)
        if self.malformed[sender] == 1:
            log.warning(
                "%s: dropped what %s sent: %s (further ones are only counted)",
                self.name,
                who if self._guard is not None else sender.hex() or "a peer",
                error,
            )
        if self._routed and isinstance(error, WrongVersion):
            self.send(Refused(reason=str(error)), route)


class Connections:
    """A socket's monitor (zmq_socket_monitor(3)): readable, for the loop, when a connection was made or failed.

    ``refused``: the other end knows this one's key and does not admit it; libzmq then tries no more, so that one who wants to
    try again makes a new socket. ``strange``: the other end is not who it was taken for, by its key, or speaks something else.
    ``mute``: it takes the connection and then says nothing, as a process does that hangs. ``nobody``: nothing listens there.
    ``up``: there is a connection now, as far as is known. ``counts``: events so far, ``peers``: connections that stand now.
    """

    def __init__(self, raw: "zmq.Socket[bytes]") -> None:
        self.raw = raw
        self.refused = self.strange = self.mute = self.nobody = self.up = False
        self.counts: Counter[int] = Counter()

    def happened(self) -> bool:
        """Return whether a connection was made since the last look."""
        found = False
        while True:
            try:
                message = recv_monitor_message(self.raw, zmq.NOBLOCK)
            except zmq.Again:
                return found
            event = message["event"]
            self.counts[event] += 1
            if event == _ACCEPTED:
                continue
            found = found or event == _MADE
            self.up = event == _MADE
            if event == _LOST:
                continue
            self.refused = event == _REFUSED
            self.nobody = event == _NOBODY
            self.mute = event == _STRANGE and message["value"] in _NOTHING_CAME
            self.strange = event in (_STRANGE, _PROTOCOL) and not self.mute

    @property
    def peers(self) -> int:
        """How many connections stand now: of a socket that listens those that it has accepted, else the one that it made."""
        accepted = self.counts[_ACCEPTED]
        return max(0, accepted - self.counts[_LOST]) if accepted else int(self.up)

    @property
    def state(self) -> LinkState:
        """How the connection is that this socket makes."""
        if self.up:
            return LinkState.CONNECTED
        if self.refused:
            return LinkState.REFUSED
        if self.strange:
            return LinkState.FAILED
        return LinkState.DISCONNECTED if self.counts[_MADE] else LinkState.CONNECTING
