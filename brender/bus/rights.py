"""The one table of who may say what: which keys come in at which door, and which messages each may send there. Free of zmq.

A door is a socket that others connect to. What somebody may not send is refused before any role's code sees it. Whose things a
message is about (a worker's own attempt, a manager's own workers) is then checked by the core that it is for.
"""

from enum import StrEnum

from brender.bus.messages import (
    Act,
    Ask,
    Beat,
    Beats,
    BlobPiece,
    BlobWanted,
    Bye,
    Enrol,
    FilePiece,
    FrameWanted,
    Gone,
    Hello,
    Joined,
    Left,
    LogTold,
    Look,
    Manage,
    Message,
    Offer,
    Pong,
    Progress,
    Received,
    Renew,
    Reports,
    Seen,
    Sorry,
    Stands,
    Submit,
)
from brender.model.errors import Forbidden
from brender.model.keys import KeyRole


class Door(StrEnum):
    """A socket that others connect to; its name is its ZAP domain (ZeroMQ RFC 27)."""

    SERVER = "server"
    SERVER_EVENTS = "server-events"
    SERVER_STATS = "server-stats"
    SERVER_FILES = "server-files"
    ENROLMENT = "enrolment"
    MANAGER = "manager"
    MANAGER_STATS = "manager-stats"
    MANAGER_FILES = "manager-files"


_MANAGER = frozenset({KeyRole.MANAGER})
_WORKER = frozenset({KeyRole.WORKER})
_CLIENTS = frozenset({KeyRole.CLIENT, KeyRole.ADMIN})
_ADMIN = frozenset({KeyRole.ADMIN})

#: What may be sent through each door, and with which keys.
MAY_SEND: dict[Door, dict[type[Message], frozenset[KeyRole]]] = {
    Door.SERVER: {
        **dict.fromkeys(
            (Hello, Renew, Pong, Bye, Stands, Joined, Left, Received, Gone, Seen, LogTold, Reports, Progress), _MANAGER
        ),
        **dict.fromkeys((Submit, Act, Ask, Look), _CLIENTS),
        Manage: _ADMIN,
    },
    Door.SERVER_STATS: {Beats: _MANAGER},
    Door.SERVER_FILES: {
        **dict.fromkeys((FilePiece, BlobWanted), _MANAGER),
        **dict.fromkeys((Offer, BlobPiece, FrameWanted), _CLIENTS),
    },
    Door.SERVER_EVENTS: {},
    Door.MANAGER: dict.fromkeys((Hello, Renew, Pong, Bye, Stands, Received, Gone, Seen, LogTold, Reports, Progress), _WORKER),
    Door.MANAGER_STATS: {Beat: _WORKER},
    Door.MANAGER_FILES: dict.fromkeys((FilePiece, BlobWanted), _WORKER),
    # Any key at all, and this one message: who may join is told by what it says.
    Door.ENROLMENT: {Enrol: frozenset(KeyRole)},
}

#: Which keys come in at each door.
LET_IN: dict[Door, frozenset[KeyRole]] = {door: frozenset().union(*messages.values()) for door, messages in MAY_SEND.items()} | {
    Door.SERVER_EVENTS: frozenset({KeyRole.MONITOR, KeyRole.CLIENT, KeyRole.ADMIN})
}

#: The largest frame that is taken at each door, in bytes: whoever sends a larger one is cut off.
LARGEST: dict[Door, int] = {
    Door.SERVER: 16 * 2**20,
    Door.SERVER_EVENTS: 1024,
    Door.SERVER_STATS: 8 * 2**20,
    Door.SERVER_FILES: 2 * 2**20,
    Door.ENROLMENT: 8 * 1024,
    Door.MANAGER: 4 * 2**20,
    Door.MANAGER_STATS: 64 * 1024,
    Door.MANAGER_FILES: 2 * 2**20,
}

#: Messages a second that one key may send at a door, and how many at once. Managers speak for many and are not counted; nor are
#: pieces of files, each of which waits for the answer to an earlier one.
PACE: dict[KeyRole, tuple[float, float]] = {
    KeyRole.WORKER: (5_000.0, 50_000.0),
    KeyRole.CLIENT: (500.0, 2_000.0),
}
UNPACED = frozenset({Door.SERVER_FILES, Door.MANAGER_FILES})


#: What clients ask for, in words for a person.
_ASKED: dict[type[Message], str] = {
    Submit: "submit a job",
    Act: "change jobs or nodes",
    Ask: "ask about the farm",
    Look: "ask what workers see",
    Manage: "manage keys, tokens, projects, paths and people",
    Offer: "send files",
}


def refusal(door: Door, role: KeyRole, message: Message) -> Sorry | None:
    """Return the answer to a *message* that a key of that role may not send through *door*; ``None`` where none is due: only
    clients wait for answers, which they know by their request's id."""
    request = getattr(message, "id", None)
    if role not in _CLIENTS or type(message) not in _ASKED or not isinstance(request, str):
        return None
    able = sorted(MAY_SEND[door].get(type(message), ()))
    allowed = f"a key of the role {' or '.join(able)} may" if able else "no key may, at this port"
    advice = f". `brender token create --role {able[0]}` on the server's machine prints a token to join with" if able else ""
    text = f"This machine's key is of the role {role} and may not {_ASKED[type(message)]}: {allowed}{advice}"
    return Sorry(id=request, code=Forbidden.code, message=text)


def may_send(door: Door, role: KeyRole, message: type[Message]) -> bool:
    """Whether a key of that role may send that kind of *message* through *door*."""
    return role in MAY_SEND[door].get(message, frozenset())
