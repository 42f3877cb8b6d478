"""Keys: what an admin manages, and how a machine is admitted."""

from typing import Annotated, Any, Literal

import msgspec

from brender.bus.messages.base import Message
from brender.model.field_types import Count, Id, Key, Name, Seconds, Text
from brender.model.keys import KeyRole, Principal


class Manage(Message, frozen=True, kw_only=True):
    """What an admin asks about keys and tokens, projects and paths, add-ons, users; `brender.roles.server.keys`, `projects`,
    `addons` and `people` say which ``arguments`` each takes. ``user``: what an admin's own key is to be called in the activity
    log."""

    id: Id
    what: Literal[
        "admit",
        "create-token",
        "revoke-token",
        "revoke-key",
        "rename-key",
        "keys",
        "refusals",
        "server-log-level",
        "set-project",
        "set-pool",
        "set-path",
        "unset-path",
        "add-addon",
        "remove-addon",
        "set-weight",
        "set-half-life",
        "set-limit",
        "set-user",
        "remove-user",
        "users",
        "create-api-token",
        "revoke-api-token",
        "api-tokens",
        "use-api-token",
        "ask-sign-in",
        "answer-sign-in",
        "set-preset",
        "remove-preset",
        "subscribe",
        "unsubscribe",
        "hooks",
        "test-hook",
    ]
    arguments: dict[str, Any] = {}
    user: Text = ""
    on_behalf_of: Text = ""
    """As of what clients ask."""


class Enrol(Message, frozen=True, kw_only=True):
    """A peer at the enrolment door asks to be admitted with the key that it connects with. It shows a token's
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
