"""What a role tells of its own part of the bus: its links with their traffic, its rounds, what it has not delivered. Pure.

A *link* is a socket and what is at its other end. Counts are of all since the role's start; two reports and the time between
them make a rate. Neither contents of messages nor keys are ever among them.
"""

from enum import StrEnum

import msgspec

from brender.model.field_types import Count, Name, Seconds, Text


class LinkState(StrEnum):
    """How ZeroMQ says a link is (zmq_socket_monitor(3))."""

    LISTENING = "listening"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    REFUSED = "refused by key"
    """The other end does not admit this one's key."""
    FAILED = "handshake failed"
    """The other end does not have the expected key, or speaks something else."""


class Link(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A socket's traffic since it was made. ``sent`` and ``received`` count messages by type."""

    name: Name
    address: Text = ""
    """Where it listens, or what it connects to."""
    state: LinkState = LinkState.CONNECTING
    peers: Count = 0
    """Connections that stand now, those in their handshake among them."""
    connected: Count = 0
    """Handshakes that succeeded."""
    lost: Count = 0
    """Connections that ended."""
    refused: Count = 0
    """Handshakes that ended since a key is not admitted."""
    failed: Count = 0
    """Handshakes that failed otherwise."""
    sent: dict[Name, Count] = {}
    received: dict[Name, Count] = {}
    bytes_sent: Count = 0
    bytes_received: Count = 0
    unsent: Count = 0
    """Messages that ZeroMQ did not take: nobody is there, or the queue is full."""
    malformed: Count = 0
    """What arrived and was dropped, since it is no message of the protocol."""
    waiting: Count = 0
    """The most messages that were found waiting at once since the last report."""
    send_limit: Count = 0
    """ZeroMQ's high-water marks: messages that it queues for, and from, one peer at most."""
    receive_limit: Count = 0


class Rounds(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The rounds of a role's loop. ``longest`` is the longest since the last report. Only the server commits."""

    count: Count = 0
    seconds: Seconds = 0.0
    longest: Seconds = 0.0
    commits: Count = 0
    rows: Count = 0


class BusFigures(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a role tells with each of its heartbeats."""

    up: Seconds
    """Since its start, by its own monotonic clock."""
    links: tuple[Link, ...] = ()
    rounds: Rounds | None = None
    round_trip: Seconds | None = None
    """From the last request for its lease to its parent's answer; ``None``: none was answered yet."""
    held: Count = 0
    """Attempts that it holds, begun or not: of a manager, those of its workers."""
    outbox: Count = 0
    """Reports that the server has not acknowledged."""
    resent: Count = 0
    """Reports that were sent more than once."""
    refusals: dict[Text, Count] = {}
    """What it has refused, by door and reason."""


#: Bytes of one role's figures at most.
MOST_BYTES = 32 * 1024
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(BusFigures)


def packed(figures: BusFigures) -> bytes:
    """Return *figures* as they travel in a heartbeat, or b"" if they are too many."""
    encoded = _encoder.encode(figures)
    return encoded if len(encoded) <= MOST_BYTES else b""


def unpacked(data: bytes) -> BusFigures | None:
    """Return the figures in *data*; ``None`` if it has none, or those of another version."""
    try:
        return _decoder.decode(data) if data else None
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return None
