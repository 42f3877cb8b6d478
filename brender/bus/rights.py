"""The doors: which keys come in at each, and which messages are heard there from which, by the table of rights. Free of zmq.

A door is a socket that others connect to. What no key of a role may send is refused before any role's code sees it. Whose things
a message is about is asked later: of what people ask by the server (brender.roles.server.permission), of what nodes say (a
worker's own attempt, a manager's own workers) by the core that it is for.
"""

from enum import StrEnum
from functools import cache
from typing import get_args

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
from brender.model.keys import KeyRole, token_command
from brender.model.people import Role
from brender.model.rights import SPEAKS_FOR_USERS, TABLE, Scope, one_with, scope


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


#: The keys of those who ask, and wait for an answer.
_CLIENTS = frozenset({KeyRole.CLIENT, KeyRole.DASHBOARD, KeyRole.ADMIN})

#: Which keys come in at each door.
LET_IN: dict[Door, frozenset[KeyRole]] = {
    Door.SERVER: frozenset({KeyRole.MANAGER, *_CLIENTS}),
    Door.SERVER_EVENTS: frozenset({KeyRole.MONITOR, *_CLIENTS}),
    Door.SERVER_STATS: frozenset({KeyRole.MANAGER}),
    Door.SERVER_FILES: frozenset({KeyRole.MANAGER, *_CLIENTS}),
    # Any key at all: who may join is told by what it says.
    Door.ENROLMENT: frozenset(KeyRole),
    Door.MANAGER: frozenset({KeyRole.WORKER}),
    Door.MANAGER_STATS: frozenset({KeyRole.WORKER}),
    Door.MANAGER_FILES: frozenset({KeyRole.WORKER}),
}

_OF_NODES = (Hello, Renew, Pong, Bye, Stands, Received, Gone, Seen, LogTold, Reports, Progress)
#: What is heard at each door.
_HEARD: dict[Door, tuple[type[Message], ...]] = {
    Door.SERVER: (*_OF_NODES, Joined, Left, Submit, Act, Ask, Look, Manage),
    Door.SERVER_EVENTS: (),
    Door.SERVER_STATS: (Beats,),
    Door.SERVER_FILES: (FilePiece, BlobWanted, Offer, BlobPiece, FrameWanted),
    Door.ENROLMENT: (Enrol,),
    Door.MANAGER: _OF_NODES,
    Door.MANAGER_STATS: (Beat,),
    Door.MANAGER_FILES: (FilePiece, BlobWanted),
}


@cache
def tag_of(kind: type[Message]) -> str:
    return str(kind.__struct_config__.tag)


def action_of(message: Message, has_users: bool = True) -> str:
    """Return the action that *message* asks for, as the table of rights names it. *has_users*: whether there are users yet."""
    if isinstance(message, Manage) and message.what == "set-user" and not has_users:
        return "manage make-first-admin"
    if isinstance(message, Act):
        return f"act {message.action}"
    if isinstance(message, Manage):
        return f"manage {_what(message)}"
    if isinstance(message, Ask) and message.question in _USED:
        return "accounts"
    if isinstance(message, Submit) and message.job.sharing.rush:
        return "rush"
    return tag_of(type(message))


def _what(message: Manage) -> str:
    if message.what == "set-user" and message.arguments.keys() <= {"name", "password", "by"}:
        return "set-password"
    if message.what == "subscribe":
        kind = message.arguments.get("kind")
        return f"subscribe-{kind if kind in ('email', 'program') else 'webhook'}"
    return message.what


def actions_of(kind: type[Message]) -> tuple[str, ...]:
    """Return all actions that a message of this *kind* may ask for."""
    if kind is Act:
        return tuple(f"act {action}" for action in get_args(Act.__annotations__["action"]))
    if kind is Manage:
        asked = set(get_args(Manage.__annotations__["what"])) - {"subscribe"}
        asked |= {"set-password", "make-first-admin", "subscribe-email", "subscribe-webhook", "subscribe-program"}
        return tuple(f"manage {what}" for what in sorted(asked))
    more = {Ask: ("accounts",), Submit: ("rush",)}
    return (tag_of(kind), *more.get(kind, ()))


def _able(door: Door, kind: type[Message]) -> frozenset[KeyRole]:
    """Return the keys that may send a message of this *kind* through *door*: for themselves, or on behalf of a user."""
    able = {str(role) for role in (*KeyRole, *Role) if any(scope(role, each) is not Scope.NOBODY for each in actions_of(kind))}
    by_others = SPEAKS_FOR_USERS if "on_behalf_of" in kind.__struct_fields__ and able & set(Role) else frozenset()
    return LET_IN[door] & frozenset(role for role in KeyRole if role in able or role in by_others)


#: What may be sent through each door, and with which keys, by the table of rights.
MAY_SEND: dict[Door, dict[type[Message], frozenset[KeyRole]]] = {
    door: {kind: _able(door, kind) for kind in kinds} for door, kinds in _HEARD.items()
}

#: The largest message that is taken at each door, in bytes of all its frames. libzmq cuts off a peer that sends a larger frame.
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

#: The most frames that a message has at each door: one, and at the doors for files a second with a piece of one.
MOST_FRAMES: dict[Door, int] = {door: 2 if door in (Door.SERVER_FILES, Door.MANAGER_FILES) else 1 for door in Door}

#: Messages a second that one key may send at a door, and how many at once. Managers speak for many and are not counted; nor are
#: pieces of files, each of which waits for the answer to an earlier one.
PACE: dict[KeyRole, tuple[float, float]] = {
    KeyRole.WORKER: (5_000.0, 50_000.0),
    KeyRole.CLIENT: (500.0, 2_000.0),
}
UNPACED = frozenset({Door.SERVER_FILES, Door.MANAGER_FILES})


#: The questions about what each has used and may use, which are asked by the right to see accounts.
_USED = frozenset({"accounts", "limits", "shares"})

#: What a client waits for an answer to.
_ANSWERED = (Submit, Act, Ask, Look, Manage, Offer)


def refusal(door: Door, role: KeyRole, message: Message) -> Sorry | None:
    """Return the answer to a *message* that a key of that role may not send through *door*; ``None`` if its sender waits for no
    answer: only clients do, which know it by their request's id."""
    if role not in _CLIENTS or not isinstance(message, _ANSWERED):
        return None
    action, heard = action_of(message), MAY_SEND[door].get(type(message), frozenset())
    able = sorted(each for each in heard if scope(each, action) is not Scope.NOBODY)
    allowed = f"{' or '.join(map(one_with, able))} may" if able else "no key may, at this port"
    advice = f". {token_command(able[0])} on the server's machine prints a token to join with" if able else ""
    one = one_with(role)
    text = f"{one[0].upper()}{one[1:]}, such as this machine's, may not {TABLE[action].deed}: {allowed}{advice}"
    return Sorry(id=message.id, code=Forbidden.code, message=text)


def may_send(door: Door, role: KeyRole, message: type[Message]) -> bool:
    """Return whether a key of that role may send that kind of *message* through *door*."""
    return role in MAY_SEND[door].get(message, frozenset())
