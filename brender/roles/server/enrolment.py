"""The server's enrolment desk: how often it listens to whom, and what it tells whoever is admitted."""

import secrets
from collections import OrderedDict

import msgspec

from brender.bus.address import ServerAddresses
from brender.bus.keys import Refusals
from brender.bus.messages import Done, Enrol, Enrolled, Manage, ManagerPlace, Message, Sorry
from brender.bus.rights import Door
from brender.bus.transport import Received
from brender.model.errors import BrenderError
from brender.model.keys import KeyRole, Principal
from brender.model.pace import Pace
from brender.roles.effects import Effect, Now, Peer
from brender.roles.server.core import ServerCore
from brender.roles.server.query_thread import QueryThread
from brender.store.questions import keys_and_tokens

#: Attempts to join that are listened to: a second, and at once; from one address, and from all together.
_PACE_OF_ONE, _PACE_OF_ALL = (2.0, 60.0), (50.0, 500.0)
_REMEMBERED = 10_000


class Enrolment:
    """Stands before the *core*; *queries* answers what admins ask about the record, *addresses* are the server's own."""

    def __init__(self, core: ServerCore, queries: QueryThread, addresses: ServerAddresses, refusals: Refusals) -> None:
        self._core = core
        self._queries = queries
        self._addresses = addresses
        self._refusals = refusals
        self._paces: OrderedDict[str, Pace] = OrderedDict()
        self._of_all = Pace(*_PACE_OF_ALL, 0.0)

    def has_time_for(self, origin: str, now: float) -> bool:
        """Whether one more attempt from the address *origin* is listened to at *now*, monotonic."""
        pace = self._paces.setdefault(origin, Pace(*_PACE_OF_ONE, now))
        self._paces.move_to_end(origin)
        if len(self._paces) > _REMEMBERED:
            self._paces.popitem(last=False)
        if pace.take(now) and self._of_all.take(now):
            return True
        self._refusals.count(Door.ENROLMENT, "too many attempts to join", origin)
        return False

    def admit_own(self, public: str, now: Now) -> list[Effect]:
        """Have the key *public* of the server's own data folder admitted."""
        return self._core.admit_own(public, _fresh(), now)

    def manage(self, peer: Peer, message: Manage, now: Now) -> tuple[list[Effect], Message | None]:
        """What follows from what an admin asks, and the answer, where that is not among the effects."""
        match message.what:
            case "keys":
                self._queries.put(peer.principal, peer.route, message.id, keys_and_tokens)
                return [], None
            case "refusals":
                managers = self._core.farm.managers.values()
                told = {f"manager {each.name}, in all": each.refused for each in managers if each.refused}
                return [], Done(id=message.id, data=dict(self._refusals.counts) | told)
            case "admit":
                try:
                    principal, effects = self._core.admit_local(peer, message, _fresh(), now)
                except BrenderError as error:
                    return [], Sorry(id=message.id, code=error.code, message=str(error))
                return effects, Done(id=message.id, data=msgspec.to_builtins(self._told(message.id, principal)))
        return self._core.manage(peer, message, _fresh(), now), None

    def enrol(self, received: Received, now: Now) -> tuple[list[Effect], Message]:
        """What follows from an attempt to join, and the answer."""
        message, public = received.message, received.principal.public
        assert isinstance(message, Enrol), "no other message comes in at this door"
        peer = Peer("", received.route, origin=received.origin)
        try:
            principal, effects = self._core.enrol(peer, public, message, _fresh(), now)
        except BrenderError as error:
            self._refusals.count(Door.ENROLMENT, "what was shown lets nobody in", f"{public} at {received.origin}")
            return [], Sorry(id=message.id, code=error.code, message=str(error))
        return effects, self._told(message.id, principal)

    def _told(self, id: str, principal: Principal) -> Enrolled:
        """What the holder of the admitted key *principal* is told."""
        places = [] if principal.role is not KeyRole.WORKER else _places(self._core)
        return Enrolled(
            id=id,
            key=principal.id,
            role=principal.role,
            name=principal.name,
            expires=principal.expires,
            ports=self._addresses.ports,
            managers=tuple(places),
            proof=self._core.keys.proof_key(principal),
        )


def _places(core: ServerCore) -> list[ManagerPlace]:
    """The managers that are there and say where they listen."""
    found = []
    for manager in core.farm.managers.values():
        key = core.keys.of_node(manager.id)
        if key is not None and manager.address:
            found.append(ManagerPlace(name=manager.name, address=manager.address, public=key.public))
    return found


def _fresh() -> str:
    """New randomness, enough for an id and a secret."""
    return secrets.token_hex(40)
