"""Every message that travels between roles, declared once. Free of zmq: what travels, never how.

A message is one frozen struct; its class name in lower case is its ``type`` on the wire. `decode` checks what arrives
against the declaration before any other code sees it. Times called ``wall`` are seconds since the epoch; times called
``sent`` are the sender's own monotonic clock and mean nothing to anybody else.
"""

from typing import Annotated, Any, Literal

import msgspec

from brender.model import nodes
from brender.model.bundle import Digest
from brender.model.grant import Extra, Grant, Order
from brender.model.job import JobSpec
from brender.model.keys import KeyRole, Principal
from brender.model.nodes import Stats, WorkerInfo
from brender.model.plain import Count, Id, Key, Name, Number, Seconds, Text, Whole

#: The protocol that this software speaks, and those it understands.
PROTOCOL = 6
UNDERSTOOD = frozenset({PROTOCOL})


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=str.lower):
    """What all messages are. ``v`` is the protocol that the sender speaks."""

    v: Count = PROTOCOL


# --- who is there -----------------------------------------------------------------------------------------------------


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

    A manager lists the workers that it believes the server to know, and of all its workers those that begin nothing new: whoever
    is not among these is open.
    """

    sent: Number
    standing: nodes.Standing = nodes.Standing.OPEN
    reason: Text = ""
    workers: tuple[Key, ...] = ()
    closed: tuple[tuple[Key, nodes.Standing, Text], ...] = ()


class Renewed(Message, frozen=True, kw_only=True):
    """The lease lasts ``seconds`` from ``sent``, both as the child itself counts. ``term`` names the registration of a worker
    that it is for (`Joined`), ``attempts`` those that the server has confirmed for it, ``None`` before it has."""

    sent: Number
    seconds: Seconds
    term: Text = ""
    attempts: tuple[Id, ...] | None = None


class Joined(Message, frozen=True, kw_only=True):
    """A manager tells the server of a worker that is there, and what it holds; said again until it is confirmed.

    ``term`` names this registration of the worker; later ones of one manager sort after earlier ones. A worker that was lost
    and comes back is registered anew, and what it held before may be published only once the server has confirmed it for the
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
    """A manager tells the server that a worker is gone, and how that came."""

    worker: Id
    reason: Text


# --- the work ---------------------------------------------------------------------------------------------------------


class Grants(Message, frozen=True, kw_only=True):
    """Grants, with the orders of all the jobs that they are of."""

    grants: tuple[Grant, ...]
    orders: tuple[Order, ...]


class Received(Message, frozen=True, kw_only=True):
    """A worker has these grants; until it says so the server sends them again."""

    worker: Key
    attempts: tuple[Key, ...]


class Recall(Message, frozen=True, kw_only=True):
    """The server asks grants back; answered by a report, `Recalled` or (it was too late) `Started`."""

    worker: Key
    attempts: tuple[Key, ...]


class Cancel(Message, frozen=True, kw_only=True):
    """The server wants these attempts stopped and forgotten: they were canceled, or another superseded them."""

    worker: Key
    attempts: tuple[Key, ...]
    reason: Text


class Drain(Message, frozen=True, kw_only=True):
    """The server asks a worker, or with "" the manager itself, to finish what runs and leave; ``again``: and to start anew."""

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
    """The server tells a manager that a worker is with another manager now."""

    worker: Key


class Look(Message, frozen=True, kw_only=True):
    """Whether every worker sees the same bytes: a client asks it of the folder of a path ``variable``, in which it has laid a
    file of the name that `brender.engines.sight` makes of ``proof``; the server asks each ``worker``, whose ``folder`` it
    names."""

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


class LogTold(Message, frozen=True, kw_only=True):
    """The end of a worker's own log."""

    worker: Key
    text: Annotated[str, msgspec.Meta(max_length=65_536)]


class Gone(Message, frozen=True, kw_only=True):
    """A worker was asked to stop attempts that it does not have, and now never will."""

    worker: Key
    attempts: tuple[Key, ...]


class Report(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag=str.lower):
    """What a worker says of an attempt. ``number`` counts from 1 within the attempt; the worker keeps the report until
    the server has acknowledged it."""

    attempt: Key
    number: Count


class Started(Report, frozen=True, kw_only=True):
    pass


class PartDone(Report, frozen=True, kw_only=True):
    """A part is finished and its file, if it has one, is published and verified. ``seconds`` is what it took, ``size``
    bytes, ``memory`` the bytes that its render process has held at most. ``kept``: the file was there already. ``digest``: the
    file's SHA-256, where it travels; ``extras``: the frame's further files."""

    part: Count
    seconds: Seconds
    output: Text = ""
    size: Count = 0
    width: Count = 0
    height: Count = 0
    warnings: tuple[Text, ...] = ()
    memory: Count = 0
    kept: bool = False
    digest: Text = ""
    extras: tuple[Extra, ...] = ()


class Completed(Report, frozen=True, kw_only=True):
    seconds: Seconds


class Failed(Report, frozen=True, kw_only=True):
    """``permanent``: the same again would fail the same way, so nobody should try."""

    reason: Text
    permanent: bool = False
    seconds: Seconds = 0.0


class Stopped(Report, frozen=True, kw_only=True):
    """The attempt was ended on purpose: canceled, or its worker was stopped."""

    reason: Text


class Recalled(Report, frozen=True, kw_only=True):
    """The grant is given back, not started."""


class Warned(Report, frozen=True, kw_only=True):
    """Something about the job that its owner should know, such as a file that is missing on the worker. ``subject`` is
    what it is about: a job that has a warning about it already gets no second one."""

    warning: Text
    subject: Text = ""


#: The reports after which an attempt has nothing more to say.
FINAL = (Completed, Failed, Stopped, Recalled)

AnyReport = Started | PartDone | Completed | Failed | Stopped | Recalled | Warned


class Reports(Message, frozen=True, kw_only=True):
    worker: Key
    reports: tuple[AnyReport, ...]


class Acks(Message, frozen=True, kw_only=True):
    """The server has committed these: for each attempt, every report up to that number."""

    worker: Key
    acks: tuple[tuple[Key, Count], ...]


class Progress(Message, frozen=True, kw_only=True):
    """How far a running attempt is. May be lost: the next one says more."""

    worker: Key
    attempt: Key
    frame: Whole
    fraction: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0
    line: Text = ""
    """The last line of its log."""


# --- signs of life, over PUB/SUB: any of them may be lost -----------------------------------------------------------


class Beat(Message, frozen=True, kw_only=True):
    """A node lives. ``sequence`` counts its beats, so that a listener sees how many it missed."""

    node: Id
    incarnation: Count
    sequence: Count
    stats: Stats | None = None


class Beats(Message, frozen=True, kw_only=True):
    """A manager's own beat and those it heard of its workers since the last one. ``refused``: how often it has refused anything
    since its start."""

    manager: Id
    incarnation: Count
    sequence: Count
    stats: Stats | None = None
    workers: tuple[Beat, ...] = ()
    refused: Count = 0


class Event(Message, frozen=True, kw_only=True):
    """Something that was committed (or, for kind ``stats`` and ``progress``, seen). ``change`` is the commit's number."""

    change: Count
    wall: Seconds
    kind: Name
    key: Text
    fields: dict[str, Any]


# --- clients ----------------------------------------------------------------------------------------------------------


class Submit(Message, frozen=True, kw_only=True):
    id: Id
    job: JobSpec


class Act(Message, frozen=True, kw_only=True):
    """A change that a person asks for. ``target`` is a job's, a worker's or a manager's id, or the start of it, or its name."""

    id: Id
    action: Literal[
        "pause",
        "resume",
        "cancel",
        "requeue",
        "priority",
        "readmit",
        "delete",
        "drain",
        "disable",
        "enable",
        "restart",
        "tags",
        "note",
        "schedule",
        "log",
    ]
    target: Text
    value: int | str | None = None
    user: Text = ""


class Ask(Message, frozen=True, kw_only=True):
    id: Id
    question: Name
    arguments: dict[str, Any] = {}


class Done(Message, frozen=True, kw_only=True):
    """The answer to a client: it is done, and committed."""

    id: Id
    data: Any = None


class Sorry(Message, frozen=True, kw_only=True):
    """The answer to a client: it is not, and why. ``code`` names the error's kind (brender.model.errors)."""

    id: Id
    code: Name
    message: Text


# --- keys -------------------------------------------------------------------------------------------------------------


class Manage(Message, frozen=True, kw_only=True):
    """What an admin asks about keys and tokens, projects and paths, users; `brender.roles.server.keys`, `projects` and `people`
    say which ``arguments`` each takes."""

    id: Id
    what: Literal[
        "admit",
        "create-token",
        "revoke-token",
        "revoke-key",
        "rename-key",
        "keys",
        "refusals",
        "set-project",
        "set-path",
        "unset-path",
        "set-user",
        "remove-user",
        "create-api-token",
        "revoke-api-token",
        "set-preset",
        "remove-preset",
        "subscribe",
        "unsubscribe",
    ]
    arguments: dict[str, Any] = {}


class Enrol(Message, frozen=True, kw_only=True):
    """Whoever connects to the enrolment door asks to be admitted with the key that it connects with. It shows a token's
    ``secret``; or that it is admitted already (``token`` is ""), and then may have a new key, ``instead``, admitted in its
    place."""

    id: Id
    role: KeyRole
    name: Name
    token: Text = ""
    secret: Annotated[str, msgspec.Meta(max_length=200)] = ""
    node: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{0,64}$")] = ""
    instead: Annotated[str, msgspec.Meta(max_length=40)] = ""


class ManagerPlace(msgspec.Struct, frozen=True, kw_only=True):
    """A manager that workers may turn to: its control socket's address as it tells it itself, and its public key."""

    name: Name
    address: Text
    public: Text


class Enrolled(Message, frozen=True, kw_only=True):
    """It is admitted, as this key. ``ports`` are those of the server's other doors, ``proof`` a worker's secret
    (brender.model.keys)."""

    id: Id
    key: Id
    role: KeyRole
    name: Name
    expires: Seconds | None = None
    ports: dict[str, Count]
    managers: tuple[ManagerPlace, ...] = ()
    proof: Text = ""


class Admitted(Message, frozen=True, kw_only=True):
    """The server tells a manager which worker keys are admitted: all of them, where ``since`` is ``None``; else those that came
    (``keys``) and went (``gone``, by id) after the list of that number. ``number`` is that of the list as it is now."""

    number: Count
    since: Count | None = None
    keys: tuple[Principal, ...] = ()
    gone: tuple[Key, ...] = ()


# --- files in transit ---------------------------------------------------------------------------------------------------


class FilePiece(Message, frozen=True, kw_only=True):
    """A piece of a log, a thumbnail, a frame or a piece of a still, its bytes in the raw frame that follows. ``offset`` counts
    bytes. ``worker``: whose it is, by the key that it came with; the manager puts it there. ``file``: 0, or which of a frame's
    further files it is, counted from 1."""

    kind: Literal["log", "thumbnail", "frame", "piece"]
    worker: Key = ""
    job: Id
    attempt: Id
    part: Count = 0
    file: Count = 0
    offset: Count
    last: bool
    digest: Annotated[str, msgspec.Meta(max_length=64)] = ""
    """Of a frame or a piece of a still: the SHA-256 of the whole."""


class FileAck(Message, frozen=True, kw_only=True):
    """The receiver has ``offset`` bytes of it; ``complete`` once it has all."""

    kind: Literal["log", "thumbnail", "frame", "piece"]
    attempt: Id
    part: Count = 0
    file: Count = 0
    offset: Count
    complete: bool


class Offer(Message, frozen=True, kw_only=True):
    """A client has these blobs; the server answers with those that it `Lacks`."""

    id: Id
    blobs: Annotated[tuple[Digest, ...], msgspec.Meta(max_length=1000)]


class Lacks(Message, frozen=True, kw_only=True):
    id: Id
    blobs: tuple[Digest, ...]


class BlobPiece(Message, frozen=True, kw_only=True):
    """A piece of a blob of ``size`` bytes, from ``offset`` on, in the raw frame that follows."""

    blob: Digest
    size: Count
    offset: Count


class BlobHave(Message, frozen=True, kw_only=True):
    """The receiver has the first ``offset`` bytes of it; ``complete`` once it has all, and they are what the name says."""

    blob: Digest
    offset: Count
    complete: bool


class BlobWanted(Message, frozen=True, kw_only=True):
    """Whoever is below asks for the piece from ``offset`` on; answered by a `BlobPiece`, or a `NoFile`. ``linkable``: it would
    take the whole by a link, were it on the same machine; then the answer may be a `BlobAt`."""

    blob: Digest
    offset: Count
    linkable: bool = False


class BlobAt(Message, frozen=True, kw_only=True):
    """The blob, of ``size`` bytes, lies at ``path`` on the asker's own machine. Where it cannot link that, it asks for pieces."""

    blob: Digest
    size: Count
    path: Text


class FrameWanted(Message, frozen=True, kw_only=True):
    """A client asks for the piece of a finished part's file from ``offset`` on; answered by a `FramePiece`, or a `NoFile`.
    ``file``: 0, or which of the frame's further files, counted from 1."""

    job: Id
    part: Count
    file: Count = 0
    offset: Count


class FramePiece(Message, frozen=True, kw_only=True):
    job: Id
    part: Count
    file: Count = 0
    size: Count
    offset: Count


class NoFile(Message, frozen=True, kw_only=True):
    """What was asked for or sent (a blob by its digest, a frame as job/part) is not to be had or taken, and why."""

    what: Text
    reason: Text


AnyMessage = (
    Hello | Welcome | Refused | WhoAreYou | Bye | Ping | Pong | Renew | Renewed | Joined | Confirm | Left
    | Grants | Received | Recall | Cancel | Drain | Stands | Moved | Look | Seen | LogWanted | LogTold | Gone
    | Reports | Acks | Progress
    | Beat | Beats | Event
    | Submit | Act | Ask | Done | Sorry
    | Manage | Enrol | Enrolled | Admitted
    | FilePiece | FileAck
    | Offer | Lacks | BlobPiece | BlobHave | BlobWanted | BlobAt | FrameWanted | FramePiece | NoFile
)  # fmt: skip
