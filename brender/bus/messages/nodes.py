"""Managers and workers: who is there, how it stands, whether it lives."""

from typing import Annotated, Literal

import msgspec

from brender.bus.messages.base import Message
from brender.model import nodes
from brender.model.bus_figures import MOST_BYTES
from brender.model.field_types import Count, Id, Key, Name, Number, Seconds, Text
from brender.model.nodes import Stats, WorkerInfo

Figures = Annotated[bytes, msgspec.Meta(max_length=MOST_BYTES)]


class Hello(Message, frozen=True, kw_only=True):
    """The first thing a worker says to a manager and a manager to a server; said again whenever asked `WhoAreYou`.

    ``incarnation`` counts the starts of the node, so that what an earlier process said can be told from what this one says.
    """

    node: Id
    incarnation: Count
    role: Literal["manager", "worker"]
    name: Name
    host: Name
    software: Text
    pid: Count = 0
    address: Text = ""
    """Where a manager's own control socket listens."""
    worker: WorkerInfo | None = None
    held: tuple[Id, ...] = ()
    """The attempts that a worker holds, started or not."""
    proof: Text = ""
    """A worker's word, which only the server can check, that it turned to this manager (brender.model.keys)."""


class Welcome(Message, frozen=True, kw_only=True):
    """The answer to a `Hello` that is accepted: the beat and the lease that this parent expects."""

    node: Id
    name: Name
    software: Text
    heartbeat_seconds: Seconds
    lease_seconds: Seconds


class Refused(Message, frozen=True, kw_only=True):
    """The answer to a `Hello` that is not accepted; the reason is for a person."""

    reason: Text


class WhoAreYou(Message, frozen=True, kw_only=True):
    """A parent heard from somebody whose `Hello` it does not have (it was restarted, or the link was)."""


class Bye(Message, frozen=True, kw_only=True):
    """A child, or a worker's manager, leaves on purpose."""

    reason: Text = ""


class Ping(Message, frozen=True, kw_only=True):
    """A parent, missing heartbeats, asks whether the child lives."""


class Pong(Message, frozen=True, kw_only=True):
    """It does."""


class Renew(Message, frozen=True, kw_only=True):
    """A child asks for its lease to be renewed, counted from when it asked, and says how it stands.

    A manager lists the workers that it believes the server to know, and of all its workers those that begin nothing new: the
    others are open. A worker lists the attempts that it has something to do or say about (``held``; ``None``: one of
    before does not say).
    """

    sent: Number
    standing: nodes.Standing = nodes.Standing.OPEN
    reason: Text = ""
    workers: tuple[Key, ...] = ()
    closed: tuple[tuple[Key, nodes.Standing, Text], ...] = ()
    held: tuple[Id, ...] | None = None


class Renewed(Message, frozen=True, kw_only=True):
    """The lease lasts ``seconds`` from ``sent``, both as the child itself counts. ``term`` names the registration of a worker
    that it is for (`Joined`), ``attempts`` those that the server has confirmed for it, ``None`` before it has. ``silent``:
    seconds for which the manager has not heard its server, 0 while it does; a manager says so unasked, with a ``sent`` of 0."""

    sent: Number
    seconds: Seconds
    term: Text = ""
    attempts: tuple[Id, ...] | None = None
    silent: Seconds = 0.0


class Joined(Message, frozen=True, kw_only=True):
    """A manager tells the server of a worker that is there, and what it holds; said again until it is confirmed.

    ``term`` names this registration of the worker; later ones of one manager sort after earlier ones. A worker that was lost
    and comes back is registered again, and what it held before may be published only once the server has confirmed it for the
    new term: meanwhile it may have gone to another.
    """

    worker: WorkerInfo
    term: Text
    held: tuple[Id, ...] = ()
    proof: Text = ""
    """Of the worker's `Hello`."""


class Confirm(Message, frozen=True, kw_only=True):
    """The server knows the worker by this ``term``, and counts these attempts as its own."""

    worker: Key
    term: Text
    attempts: tuple[Key, ...]


class Left(Message, frozen=True, kw_only=True):
    """A manager tells the server that a worker is gone, and how that came. ``term``: the last that it had given to any worker by
    then ("": it does not say). A worker that was registered later is there."""

    worker: Id
    reason: Text
    term: Text = ""


class Drain(Message, frozen=True, kw_only=True):
    """The server asks a worker, or with "" the manager itself, to finish what runs and leave; ``again``: and to start again."""

    worker: Key = ""
    reason: Text = ""
    again: bool = False


class Stands(Message, frozen=True, kw_only=True):
    """Whether a worker, or with "" the manager itself, begins anything new: said at once on each change. (Each `Renew` says it
    again.)"""

    worker: Key = ""
    incarnation: Count
    standing: nodes.Standing
    reason: Text = ""


class Moved(Message, frozen=True, kw_only=True):
    """The server tells a manager that a worker is with another manager now. ``term``: the registration that is over ("": it does
    not say). A worker that has come back since has a later one."""

    worker: Key
    term: Text = ""


class Look(Message, frozen=True, kw_only=True):
    """Whether every worker sees the same bytes: a client asks it of the folder of a path ``variable``, in which it has laid a
    file of the name that `brender.engines.shared_folders` makes of ``proof``; the server asks each ``worker``, whose
    ``folder`` it names."""

    id: Id
    worker: Key = ""
    variable: Name
    folder: Text = ""
    proof: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}$")]


class Seen(Message, frozen=True, kw_only=True):
    """What ``worker`` sees there: the file's SHA-256, or what the problem is; and whether it may write there."""

    worker: Key
    variable: Name
    proof: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}$")]
    digest: Annotated[str, msgspec.Meta(max_length=64)] = ""
    writable: bool = False
    problem: Text = ""


class LogWanted(Message, frozen=True, kw_only=True):
    """The server asks a worker for the end of its own log."""

    worker: Key


class LogFrom(Message, frozen=True, kw_only=True):
    """The server has a worker, or with "" the manager itself, log from a level on, until it ends."""

    worker: Key = ""
    level: Literal["debug", "info", "warning", "error"]


class LogTold(Message, frozen=True, kw_only=True):
    """The end of a worker's own log."""

    worker: Key
    text: Annotated[str, msgspec.Meta(max_length=65_536)]


class Beat(Message, frozen=True, kw_only=True):
    """A node lives. ``sequence`` counts its beats, so that a listener sees how many it missed. ``bus``: what it tells of its part
    of the bus (brender.model.bus_figures), packed, since only monitors read it; b"": nothing."""

    node: Id
    incarnation: Count
    sequence: Count
    stats: Stats | None = None
    bus: Figures = b""


class Beats(Message, frozen=True, kw_only=True):
    """A manager's own beat and those it heard of its workers since the last one; without ``stats`` it only passes those on.
    ``refused``: how often it has refused anything since its start. ``bus``: as of a `Beat`."""

    manager: Id
    incarnation: Count
    sequence: Count
    stats: Stats | None = None
    workers: tuple[Beat, ...] = ()
    refused: Count = 0
    bus: Figures = b""
