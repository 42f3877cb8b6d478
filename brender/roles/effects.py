"""What a role's core asks its loop to do. A core only ever returns these; it touches nothing itself."""

from dataclasses import dataclass
from typing import Any

import msgspec

from brender.bus.messages import AnyReport, Message
from brender.model.grant import Grant, Order
from brender.model.hooks import Hook
from brender.model.keys import KeyRole, Principal

#: What a node is told whose key is another's.
FOREIGN_KEY = (
    "This key belongs to another node. Was a data folder copied to a second machine? Remove its folder in the copy, and join the "
    "farm again with a new token"
)


@dataclass(frozen=True, slots=True)
class Now:
    """The present: ``mono`` in seconds of the role's own monotonic clock (by which everything is decided), ``wall`` in
    seconds since the epoch (which is only ever recorded)."""

    mono: float
    wall: float


@dataclass(frozen=True, slots=True)
class Peer:
    """Who sent a message: the id of its key (``principal``), the route back, and the node and role that its `Hello` gave (""
    before one).

    ``bound`` is the node that the key belongs to, ``user`` who its holder is, or whom it speaks for ("": the message says it),
    ``origin`` the network address that it came from. ``key`` is the role of its key; without one it may do nothing.
    """

    principal: str
    route: bytes
    node: str = ""
    role: str = ""
    bound: str = ""
    user: str = ""
    origin: str = ""
    key: KeyRole | None = None


class Send(msgspec.Struct, frozen=True):
    """Send *message* to the child *node*; after the commit, where there is one."""

    node: str
    message: Message


class Reply(msgspec.Struct, frozen=True):
    """Send *message* back by *route*; after the commit, where there is one."""

    route: bytes
    message: Message


class Accepted(msgspec.Struct, frozen=True):
    """Answer the request *id* by *route* with what became of the submitted *job*, once it was also looked at whether a worker can
    run it: at the end of the round, and after the commit."""

    route: bytes
    id: str
    job: str


class SendUp(msgspec.Struct, frozen=True):
    """Send *message* to the parent."""

    message: Message


class Bind(msgspec.Struct, frozen=True):
    """From now on *route* is the way to *node*, which is a *role*."""

    route: bytes
    node: str
    role: str


class Unbind(msgspec.Struct, frozen=True):
    """There is no way to *node* any more."""

    node: str


class Publish(msgspec.Struct, frozen=True):
    """Tell all listeners something that is not in the database."""

    kind: str
    key: str
    fields: dict[str, Any] = {}


class PublishFrame(msgspec.Struct, frozen=True):
    """Once all of this round is recorded: give the frame of *attempt*'s *part* of *job*, which has arrived, the name *output* in
    the folder *into*; and its further files those of *further_files*. The core is told when that is done (`ServerCore.placed`).

    *blob*: the frame's digest, where a worker makes a film of it later; "" otherwise.
    """

    attempt: str
    part: int
    into: str
    output: str
    further_files: tuple[str, ...] = ()
    blob: str = ""
    job: str = ""


class DeleteJob(msgspec.Struct, frozen=True):
    """Once all of this round is recorded: begin to delete *what* of *job*: its ``frames``, its ``record``, or ``both``."""

    job: str
    what: str


class DropFolder(msgspec.Struct, frozen=True):
    """Once all of this round is recorded: remove the output *folder*, which was made for a job, if it is empty, and so many of
    those *above* it, as long as they are."""

    folder: str
    above: int = 0


class Deliver(msgspec.Struct, frozen=True):
    """Once all of this round is recorded: carry out the delivery *id* of *hook*, with this *body* (JSON), of what happened at
    *created* (seconds since the epoch)."""

    id: str
    hook: Hook
    event: str
    body: str
    created: float


class RunPower(msgspec.Struct, frozen=True):
    """Once all of this round is recorded: run the *command*, which puts to *sleep* or wakes the *machine*, with the environment
    *env* besides; the core is told what came of it (`ServerCore.powered`)."""

    machine: str
    verb: str
    command: tuple[str, ...]
    env: dict[str, str] = {}


class ForgetHook(msgspec.Struct, frozen=True):
    """The hook with this *id* is removed: what waits for it is not carried out."""

    id: str


class Admit(msgspec.Struct, frozen=True):
    """From now on *key* is admitted, by this name and for this role."""

    key: Principal


class Dismiss(msgspec.Struct, frozen=True):
    """*key* is not admitted any more: it is not heard, and is cut off from what it listens to."""

    key: Principal


class AdmitKeys(msgspec.Struct, frozen=True):
    """The worker keys that the server admits now: let in these, and no others, and keep them for when the server is away."""

    keys: tuple[Principal, ...]


class Refuse(msgspec.Struct, frozen=True):
    """The present message is refused, since it is about *what*: log and count that."""

    what: str


class LoadTasks(msgspec.Struct, frozen=True):
    """Read the next queued tasks of *job*, those after number *after*, and feed them to the core."""

    job: str
    after: int


class LoadSlice(msgspec.Struct, frozen=True):
    """Read the next tasks of *job*, those after number *after*, with all their parts, and give them to the core's sweep."""

    job: str
    after: int


class StartAttempt(msgspec.Struct, frozen=True):
    """Start the render process of *grant*, as its job's *order* says."""

    grant: Grant
    order: Order


class StopAttempt(msgspec.Struct, frozen=True):
    """Kill the render process of *attempt* and all that it started."""

    attempt: str
    reason: str


class Keep(msgspec.Struct, frozen=True):
    """Keep *report* on disk until the server has it."""

    report: AnyReport


class Forget(msgspec.Struct, frozen=True):
    """The server has every report of *attempt* up to *number*."""

    attempt: str
    number: int


class ExtendLease(msgspec.Struct, frozen=True):
    """The worker holds the lease of the registration *term* until *until*, on its own monotonic clock."""

    until: float
    term: str


class Vouch(msgspec.Struct, frozen=True):
    """The server counts *attempt* as this worker's in the registration *term*: with that lease it may publish."""

    attempt: str
    term: str


class LookAt(msgspec.Struct, frozen=True):
    """See what is in *folder*, where the path *variable* leads, of the file for *proof*, and tell the server."""

    variable: str
    folder: str
    proof: str


class TellLog(msgspec.Struct, frozen=True):
    """Send the end of the worker's own log up."""


class SetLogLevel(msgspec.Struct, frozen=True):
    """Let this process log from *level* on (`brender.model.log_events.set_level`)."""

    level: str


class KeepLog(msgspec.Struct, frozen=True):
    """Keep *text* as what is known of the own log of *worker*."""

    worker: str
    text: str


class NextManager(msgspec.Struct, frozen=True):
    """Connect to the next manager of the worker's list, and to that one only."""


class LogEvent(msgspec.Struct, frozen=True):
    """Log that *event* happened (brender.model.log_events); after the commit, where there is one."""

    event: str
    fields: dict[str, Any] = {}


class Exit(msgspec.Struct, frozen=True):
    """End the role: its work is done, or it was refused (then *error* says why). *again*: it is then to start again."""

    error: str = ""
    again: bool = False


Effect = (
    Send | Reply | Accepted | SendUp | Bind | Unbind | Publish | PublishFrame | DeleteJob | DropFolder
    | Admit | Dismiss | AdmitKeys | Refuse | Deliver | ForgetHook | LoadTasks | LoadSlice
    | StartAttempt | StopAttempt | Keep | Forget | ExtendLease | Vouch | LookAt | TellLog | KeepLog | NextManager
    | LogEvent | SetLogLevel | Exit
)  # fmt: skip
