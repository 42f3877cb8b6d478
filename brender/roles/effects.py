"""What a role's core asks its loop to do. A core only ever returns these; it touches nothing itself."""

from dataclasses import dataclass, field
from typing import Any

from brender.bus.messages import AnyReport, Message
from brender.model.changes import Change
from brender.model.grant import Grant


@dataclass(frozen=True, slots=True)
class Now:
    """The present: ``mono`` in seconds of the role's own monotonic clock (by which everything is decided), ``wall`` in
    seconds since the epoch (which is only ever recorded)."""

    mono: float
    wall: float


@dataclass(frozen=True, slots=True)
class Peer:
    """Who sent a message: the route back, and the node and role that its `Hello` gave ("" before one)."""

    principal: str
    route: bytes
    node: str = ""
    role: str = ""


@dataclass(frozen=True, slots=True)
class Send:
    """Send *message* to the child *node*; after the commit, where there is one."""

    node: str
    message: Message


@dataclass(frozen=True, slots=True)
class Reply:
    """Send *message* back by *route*; after the commit, where there is one."""

    route: bytes
    message: Message


@dataclass(frozen=True, slots=True)
class SendUp:
    """Send *message* to the parent."""

    message: Message


@dataclass(frozen=True, slots=True)
class Bind:
    """From now on *route* is the way to *node*, which is a *role*."""

    route: bytes
    node: str
    role: str


@dataclass(frozen=True, slots=True)
class Unbind:
    """There is no way to *node* any more."""

    node: str


@dataclass(frozen=True, slots=True)
class Record:
    """Write *change* into the database, with all others of this round in one commit."""

    change: Change


@dataclass(frozen=True, slots=True)
class Publish:
    """Tell whoever listens something that is not in the database."""

    kind: str
    key: str
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LoadTasks:
    """Read the next queued tasks of *job*, those after number *after*, and feed them to the core."""

    job: str
    after: int


@dataclass(frozen=True, slots=True)
class StartAttempt:
    """Start the render process of *grant*."""

    grant: Grant


@dataclass(frozen=True, slots=True)
class StopAttempt:
    """Kill the render process of *attempt* and all that it started."""

    attempt: str
    reason: str


@dataclass(frozen=True, slots=True)
class Keep:
    """Keep *report* on disk until the server has it."""

    report: AnyReport


@dataclass(frozen=True, slots=True)
class Forget:
    """The server has every report of *attempt* up to *number*."""

    attempt: str
    number: int


@dataclass(frozen=True, slots=True)
class ExtendLease:
    """The worker holds the lease of the registration *term* until *until*, on its own monotonic clock."""

    until: float
    term: str


@dataclass(frozen=True, slots=True)
class Vouch:
    """The server counts *attempt* as this worker's in the registration *term*: with that lease it may publish."""

    attempt: str
    term: str


@dataclass(frozen=True, slots=True)
class Exit:
    """End the role: its work is done, or it was refused (then *error* says why)."""

    error: str = ""


Effect = (
    Send | Reply | SendUp | Bind | Unbind | Record | Publish | LoadTasks
    | StartAttempt | StopAttempt | Keep | Forget | ExtendLease | Vouch | Exit
)  # fmt: skip
