"""Whether the sender of a message may have done what it asks for: the one place where the server asks the table of rights.

Who asks is who the sender's key says, or the user on whose behalf it speaks, whose role the server itself knows. Whose the thing
is that the message is about is looked up here, and never taken from the message.
"""

from typing import Any, Protocol, get_args

import msgspec

from brender.bus.messages import Act, AnyMessage, Ask, Manage, Message, Submit
from brender.bus.rights import action_of
from brender.farm.farm import Farm
from brender.model.errors import Forbidden, NotFound
from brender.model.keys import token_command
from brender.model.rights import SPEAKS_FOR_USERS, Actor, Scope, one_with, scope, why_not
from brender.roles.effects import Peer
from brender.roles.server.core import NODE_ACTIONS

#: What may be asked on behalf of somebody, and so about their own things.
_OF_PEOPLE: tuple[type[Message], ...] = tuple(kind for kind in get_args(AnyMessage) if "on_behalf_of" in kind.__struct_fields__)


class Things(Protocol):
    """What the record knows of things that people name."""

    def job_id(self, named: str) -> str:
        """Return the id of the job *named* so. Raises `NotFound` or `BadInput`."""

    def submitter(self, job: str) -> str | None:
        """Return the user who submitted the job with this id, also while it is still being checked; ``None`` if nobody did."""

    def job_owner(self, job: str) -> str:
        """Return the user of the job with this id."""

    def preset_owner(self, name: str) -> str | None:
        """Return the user who keeps the preset *name*, or ``None`` if nobody does."""


def permitted(farm: Farm, things: Things, peer: Peer, message: Message) -> tuple[Peer, Message]:
    """Return *peer* as the one who asks, and *message* with the id of the job that it names. Raises `Forbidden` where they may
    not, `NotFound` or `BadInput` where there is no such thing."""
    from_node = peer.key is not None and not isinstance(message, _OF_PEOPLE)
    if from_node and scope(str(peer.key), action_of(message)) is Scope.ALL:
        return peer, message  # (These come in thousands a second: `benchmarks.dispatch`.)
    actor, action = _actor(farm, peer, message), action_of(message, has_users=bool(farm.users))
    owner = ""
    if scope(actor.role, action) is not Scope.NOBODY:
        if isinstance(message, Act) and message.action not in NODE_ACTIONS:
            message = msgspec.structs.replace(message, target=things.job_id(message.target))
        owner = _owner(farm, things, actor, action, message)
        if action == "manage set-preset" and isinstance(message, Manage):
            # An admin who corrects a preset leaves it its owner.
            message = msgspec.structs.replace(message, arguments=message.arguments | {"owner": owner})
    if (reason := why_not(actor, action, owner)) is not None:
        raise Forbidden(reason)
    return (peer if peer.user == actor.name else _as(peer, actor.name)), message


def _actor(farm: Farm, peer: Peer, message: Message) -> Actor:
    """Return who asks. Raises `Forbidden` where that is nobody who may come in."""
    if peer.key is None:
        raise Forbidden("Without a key nobody may do anything")
    user = getattr(message, "on_behalf_of", "")
    if not user:
        return Actor(peer.key, peer.user)
    if peer.key not in SPEAKS_FOR_USERS:
        able, one = sorted(SPEAKS_FOR_USERS), one_with(peer.key)
        raise Forbidden(
            f"{one[0].upper()}{one[1:]} may not speak on behalf of {user}: {' or '.join(map(one_with, able))} may. "
            f"{token_command(able[0])} on the server's machine prints a token for `brender join`"
        )
    role = farm.users.get(user)
    if role is None or user in farm.disabled_users:
        raise Forbidden(f"There is no user {user!r}, or they are disabled: an admin can add or enable them on the page Users")
    return Actor(role, user)


def _owner(farm: Farm, things: Things, actor: Actor, action: str, message: Message) -> str:
    """Return whose the thing is that *message* is about; "" for what is nobody's own. Raises `NotFound`."""
    if isinstance(message, Submit):
        # A job that is known by that id is answered for: it has to be theirs. A new one is accepted in their name.
        known = farm.jobs.get(message.job.id)
        user = known.spec.user if known is not None else things.submitter(message.job.id)
        return actor.name if user is None else user
    if isinstance(message, Act):
        if message.action in NODE_ACTIONS:
            return ""
        job = farm.jobs.get(message.target)
        return job.spec.user if job is not None else things.job_owner(message.target)
    if isinstance(message, Ask):
        return str(message.arguments.get("user", ""))
    if not isinstance(message, Manage):
        return ""
    given = message.arguments
    match action.removeprefix("manage "):
        case "set-password":
            return str(given.get("name", ""))
        case "create-api-token" | "api-tokens":
            return str(given.get("user", ""))
        case "revoke-api-token":
            return _known(farm.api_tokens.get(str(given.get("id"))), "token", given.get("id"))
        case "unsubscribe":
            return _known(farm.subscriptions.get(str(given.get("id"))), "subscription", given.get("id"))
        case "set-preset":
            owner = things.preset_owner(str(given.get("name")).strip())  # (as it is kept: brender.roles.server.people)
            return actor.name if owner is None else owner
        case "remove-preset":
            return _known(things.preset_owner(str(given.get("name"))), "preset", given.get("name"))
        case "subscribe-email" | "answer-sign-in":
            return actor.name
    return ""


def _known(owner: str | None, kind: str, named: Any) -> str:
    if owner is None:
        raise NotFound(f"There is no {kind} {named!r}")
    return owner


def _as(peer: Peer, user: str) -> Peer:
    return Peer(peer.principal, peer.route, peer.node, peer.role, peer.bound, user, peer.origin, peer.key)
