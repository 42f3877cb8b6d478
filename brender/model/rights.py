"""Who may do what: the one table of rights. Pure.

An *action* is a type of message, or one of the things that such a message asks for ("act cancel"). A *role* is a key's, or that
of a user on whose behalf the dashboard speaks. What does not stand here nobody may. The server asks the table about each message
(brender.roles.server.permission); the doors (brender.bus.rights), the pages and the commands ask it for what they let in or show.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from brender.model.keys import KeyRole
from brender.model.people import Role
from brender.model.text import with_article


class Scope(StrEnum):
    """Whose things a role may do an action to."""

    NOBODY = "nobody"
    OWN = "own"
    """Those that are the actor's own."""
    ALL = "all"


@dataclass(frozen=True)
class Actor:
    """Who asks. ``role``: a user's, where it is somebody on whose behalf the dashboard speaks; else the key's. ``name`` is "" for
    a key that is not a person's."""

    role: Role | KeyRole
    name: str = ""


@dataclass(frozen=True)
class Entry:
    """A row of the table. ``deed`` is the action in words, after "may"."""

    deed: str
    own: frozenset[str] = field(default_factory=frozenset)
    all: frozenset[str] = field(default_factory=frozenset)


def _entry(deed: str, all: Iterable[str] = (), own: Iterable[str] = ()) -> Entry:
    return Entry(deed, frozenset(own), frozenset(all))


_VIEWER, _ARTIST, _WRANGLER = Role.VIEWER, Role.ARTIST, Role.WRANGLER
_CLIENT, _DASHBOARD, _MANAGER, _WORKER = KeyRole.CLIENT, KeyRole.DASHBOARD, KeyRole.MANAGER, KeyRole.WORKER
#: An admin's key, and a user who is an admin: they may do the same.
_ADMIN = KeyRole.ADMIN


def _about_jobs(**deeds: str) -> dict[str, Entry]:
    return {f"act {action}": _entry(deed, all=(_WRANGLER, _CLIENT, _ADMIN), own=(_ARTIST,)) for action, deed in deeds.items()}


def _about_nodes(**deeds: str) -> dict[str, Entry]:
    return {f"act {action}": _entry(deed, all=(_WRANGLER, _CLIENT, _ADMIN)) for action, deed in deeds.items()}


def _of_nodes(*types: str, deed: str) -> dict[str, Entry]:
    return {type: _entry(deed, all=(_WORKER, _MANAGER)) for type in types}


#: Each action, by the tag of its message and what that asks for.
TABLE: dict[str, Entry] = {
    # Work
    "submit": _entry("submit jobs", all=(_ADMIN,), own=(_ARTIST, _WRANGLER, _CLIENT)),
    "rush": _entry("submit jobs that others give way to (`--rush`)", all=(_WRANGLER, _CLIENT, _ADMIN)),
    **_about_jobs(
        pause="pause jobs",
        resume="resume jobs",
        cancel="cancel jobs",
        requeue="queue jobs again",
        priority="set the priority of jobs",
        when="say when jobs begin",
        edit="edit jobs",
        readmit="let workers try jobs again",
        delete="delete jobs",
    ),
    **_about_nodes(
        drain="drain workers and managers",
        disable="disable workers and managers",
        enable="enable workers and managers",
        restart="restart workers and managers",
        tags="set the tags of workers",
        note="write notes on workers",
        schedule="set the hours of workers",
        **{"give-back": "give workers back to the owners of their machines"},
        sleep="put workers' machines to sleep",
        wake="wake workers' machines",
        log="ask workers for their logs",
        forget="forget workers and managers",
    ),
    "act log-level": _entry("set how much workers and managers log", all=(_WRANGLER, _CLIENT, _ADMIN)),
    # (The dashboard reads the record itself; it asks to hear whether the server lives.)
    "ask": _entry("ask about the farm", all=(_VIEWER, _ARTIST, _WRANGLER, _CLIENT, _DASHBOARD, _ADMIN)),
    # Jobs are everybody's to see; how much each has used is their own matter, and that of who divides the machines.
    "accounts": _entry("see accounts and shares", all=(_WRANGLER, _CLIENT, _ADMIN), own=(_VIEWER, _ARTIST)),
    "look": _entry("ask what workers see", all=(_WRANGLER, _CLIENT, _ADMIN)),
    # The farm
    "manage set-project": _entry("make and change projects", all=(_WRANGLER, _ADMIN)),
    "manage set-path": _entry("set path variables", all=(_ADMIN,)),
    "manage unset-path": _entry("remove path variables", all=(_ADMIN,)),
    "manage add-addon": _entry("give the farm add-ons for all jobs", all=(_ADMIN,)),
    "manage remove-addon": _entry("take such add-ons away", all=(_ADMIN,)),
    "manage set-weight": _entry("set weights in the fair share", all=(_WRANGLER, _ADMIN)),
    "manage set-pool": _entry("say which pool the jobs of projects belong to", all=(_WRANGLER, _ADMIN)),
    "manage set-limit": _entry("set limits of users, projects and licences", all=(_WRANGLER, _ADMIN)),
    "manage set-half-life": _entry("set how long use of the farm counts", all=(_WRANGLER, _ADMIN)),
    # Keys
    "manage admit": _entry("admit nodes", all=(_ADMIN,)),
    "manage create-token": _entry("make tokens that let machines join", all=(_ADMIN,)),
    "manage revoke-token": _entry("revoke tokens that let machines join", all=(_ADMIN,)),
    "manage revoke-key": _entry("revoke keys", all=(_ADMIN,)),
    "manage rename-key": _entry("rename keys", all=(_ADMIN,)),
    "manage keys": _entry("see keys and tokens", all=(_ADMIN,)),
    "manage refusals": _entry("see what was refused", all=(_ADMIN,)),
    "manage server-log-level": _entry("set how much the server logs", all=(_ADMIN,)),
    # People
    "manage make-first-admin": _entry("make the first user", all=(_DASHBOARD, _ADMIN)),
    "manage set-user": _entry("see, make and change users", all=(_ADMIN,)),
    "manage set-password": _entry("change passwords", all=(_ADMIN,), own=(_VIEWER, _ARTIST, _WRANGLER)),
    "manage remove-user": _entry("remove users", all=(_ADMIN,)),
    "manage users": _entry("see users", all=(_ADMIN,)),
    "manage create-api-token": _entry("make tokens for programs", all=(_ADMIN,), own=(_VIEWER, _ARTIST, _WRANGLER)),
    "manage revoke-api-token": _entry("revoke tokens of programs", all=(_ADMIN,), own=(_VIEWER, _ARTIST, _WRANGLER)),
    "manage api-tokens": _entry("see tokens of programs", all=(_ADMIN,), own=(_VIEWER, _ARTIST, _WRANGLER)),
    "manage use-api-token": _entry("say that tokens of programs are in use", all=(_DASHBOARD,)),
    "manage ask-sign-in": _entry("have programs wait to be signed in", all=(_DASHBOARD,)),
    "manage answer-sign-in": _entry("let programs sign in as oneself", own=(_VIEWER, _ARTIST, _WRANGLER, Role.ADMIN)),
    "manage set-preset": _entry("keep presets", all=(_ADMIN,), own=(_ARTIST, _WRANGLER)),
    "manage remove-preset": _entry("remove presets", all=(_ADMIN,), own=(_ARTIST, _WRANGLER)),
    "manage subscribe-email": _entry("have e-mails sent", all=(_ADMIN,), own=(_ARTIST, _WRANGLER)),
    # The server itself asks that address, and so could be made to ask others inside its network.
    "manage subscribe-webhook": _entry("have web addresses told", all=(_ADMIN,)),
    # (Only those that the server's owner named.)
    "manage subscribe-program": _entry("have programs run by hooks", all=(_ADMIN,)),
    "manage hooks": _entry("see hooks", all=(_ADMIN,)),
    "manage test-hook": _entry("test hooks", all=(_ADMIN,)),
    "manage unsubscribe": _entry("end notifications", all=(_ADMIN,), own=(_ARTIST, _WRANGLER)),
    # Files
    "offer": _entry("send files", all=(_CLIENT, _DASHBOARD, _ADMIN)),
    "blobpiece": _entry("send files", all=(_CLIENT, _DASHBOARD, _ADMIN)),
    "framewanted": _entry("fetch frames", all=(_CLIENT, _DASHBOARD, _ADMIN)),
    # Nodes. Whether it is its own that a worker speaks of, or a manager its workers', the core asks by their registrations.
    **_of_nodes("hello", "bye", "pong", "renew", "stands", deed="take part as a node"),
    "joined": _entry("bring workers in", all=(_MANAGER,)),
    "left": _entry("say that workers have left", all=(_MANAGER,)),
    **_of_nodes("received", "gone", "reports", "progress", deed="report of attempts"),
    **_of_nodes("seen", "logtold", deed="answer for workers"),
    "beat": _entry("send heartbeats", all=(_WORKER,)),
    "beats": _entry("send heartbeats of workers", all=(_MANAGER,)),
    **_of_nodes("filepiece", "blobwanted", deed="send and fetch files of tasks"),
    "enrol": _entry("ask to join", all=KeyRole),
    # What only comes from above.
    **{
        type: _entry("say what the server says")
        for type in (
            *("welcome", "refused", "whoareyou", "ping", "renewed", "confirm", "grants", "recall", "cancel", "drain", "moved"),
            *(
                "logwanted",
                "logfrom",
                "acks",
                "event",
                "done",
                "sorry",
                "enrolled",
                "admitted",
                "fileack",
                "lacks",
                "blobhave",
                "blobat",
            ),
            *("framepiece", "nofile"),
        )
    },
}

#: The keys that may speak on behalf of a user. Everybody else is who their key says.
SPEAKS_FOR_USERS = frozenset({KeyRole.DASHBOARD})

_NO_ENTRY = Entry("do that")


def scope(role: str, action: str) -> Scope:
    """Return whose things that *role* may do *action* to; nobody's, where the table does not have it."""
    entry = TABLE.get(action, _NO_ENTRY)
    return Scope.ALL if role in entry.all else Scope.OWN if role in entry.own else Scope.NOBODY


def may(actor: Actor, action: str, owner: str) -> bool:
    """Return whether *actor* may do *action* to a thing of *owner*, a user's name ("": nobody's)."""
    found = scope(actor.role, action)
    return found is Scope.ALL or (found is Scope.OWN and actor.name != "" and owner == actor.name)


def why_not(actor: Actor, action: str, owner: str) -> str | None:
    """Return why *actor* may not do *action* to a thing of *owner*, and who may, for a person. ``None`` where they may."""
    if may(actor, action, owner):
        return None
    one, entry = one_with(actor.role), TABLE.get(action, _NO_ENTRY)
    one = one[0].upper() + one[1:]
    if scope(actor.role, action) is Scope.OWN:
        able = _able(actor.role, (entry.all, ""))
        return f"{one} may {entry.deed}, but only their own, and this is {owner or 'nobody'}'s: {able}"
    return f"{one} may not {entry.deed}: {_able(actor.role, (entry.own, ' (their own)'), (entry.all, ''))}"


def _able(role: Role | KeyRole, *given: tuple[frozenset[str], str]) -> str:
    """Return, for a person, which other roles may, and what is said of these: users' where *role* is one, else keys'."""
    kind: type[Role] | type[KeyRole] = Role if isinstance(role, Role) else KeyRole
    able = []
    for roles, whose in given:
        if named := [one_with(each) for each in kind if each in roles and each is not role]:
            able.append(f"{' or '.join(named)} may{whose}")
    return ", ".join(able) or ("no user may" if kind is Role else "no key may")


def rights_of(role: str) -> dict[str, Scope]:
    """Return what *role* may do, and whose things to."""
    return {action: found for action in TABLE if (found := scope(role, action)) is not Scope.NOBODY}


def one_with(role: Role | KeyRole) -> str:
    """Return one that has *role*, for a person: "an artist", "a client's key"."""
    named = with_article(role)
    return named if isinstance(role, Role) else f"{named}'s key"
