"""The server's enrolment desk: what it tells those who are admitted."""

import secrets
from collections.abc import Callable

import msgspec

from brender.bus.address import ServerAddresses
from brender.bus.keys import Refusals
from brender.bus.messages import Done, Enrolled, Manage, ManagerPlace, Message, Sorry
from brender.bus.rights import Door
from brender.model.errors import BrenderError
from brender.model.keys import KeyRole, Principal
from brender.roles.effects import Effect, Now, Peer
from brender.roles.server.core import ServerCore
from brender.roles.server.enrolment_process import Asked
from brender.roles.server.query_thread import QueryThread
from brender.roles.server.round import FAILED, Round
from brender.store.page_questions import api_tokens, hooks, people
from brender.store.questions import keys_and_tokens

#: Why one who wanted to join was refused, as `brender key refusals` lists it.
NOT_ACCEPTED = "the token was not accepted"


class Enrolment:
    """Stands before *round*; *queries* answers what admins ask about the record, *addresses* are the server's own."""

    def __init__(self, round: Round, queries: QueryThread, addresses: ServerAddresses, refusals: Refusals) -> None:
        self._round = round
        self._queries = queries
        self._addresses = addresses
        self._refusals = refusals

    def admit_own(self, public: str, role: KeyRole) -> None:
        """Have the key *public* of the server's own data folder admitted, as one of that *role*."""
        fresh = _fresh()
        self._round.apply(lambda core, now: core.admit_own(public, role, fresh, now))

    def manage(self, peer: Peer, message: Manage) -> Message | None:
        """Carry out what an admin asks; return the answer, where that is not among the effects."""
        fresh = _fresh()
        match message.what:
            case "keys":
                self._queries.put(peer.principal, peer.route, message.id, keys_and_tokens)
                return None
            case "users":
                self._queries.put(peer.principal, peer.route, message.id, people)
                return None
            case "api-tokens":
                user = str(message.arguments.get("user") or "")
                self._queries.put(peer.principal, peer.route, message.id, lambda record: api_tokens(record, user))
                return None
            case "hooks":
                self._queries.put(peer.principal, peer.route, message.id, hooks)
                return None
            case "refusals":
                managers = self._core.farm.managers.values()
                counted = {f"manager {each.name}, in all": each.refused for each in managers if each.refused}
                return Done(id=message.id, data=dict(self._refusals.counts) | counted)
            case "admit":
                told = self._admitted(message.id, lambda core, now: core.admit_local(peer, message, fresh, now), peer, message)
                return Done(id=message.id, data=msgspec.to_builtins(told)) if isinstance(told, Enrolled) else told
        self._round.apply(lambda core, now: core.manage(peer, message, fresh, now), peer, message)
        return None

    def enrol(self, asked: Asked) -> Message:
        """Carry out an attempt to join; return the answer."""
        message, public = asked.enrol, asked.public
        peer, fresh = Peer("", b"", origin=asked.origin), _fresh()
        answer = self._admitted(message.id, lambda core, now: core.enrol(peer, public, message, fresh, now), peer, message)
        if isinstance(answer, Sorry):
            self._refusals.count(Door.ENROLMENT, NOT_ACCEPTED, f"{public} at {asked.origin}")
        return answer

    # --- inside -------------------------------------------------------------------------------------------------------

    @property
    def _core(self) -> ServerCore:
        return self._round.core

    def _admitted(
        self, id: str, admit: Callable[[ServerCore, Now], tuple[Principal, list[Effect]]], peer: Peer, message: Message
    ) -> Message:
        """Let *admit* admit a key; return what its holder is told."""
        answer: list[Message] = [Sorry(id=id, code=BrenderError.code, message=FAILED.format(what="message"))]

        def run(core: ServerCore, now: Now) -> list[Effect]:
            try:
                principal, effects = admit(core, now)
            except BrenderError as error:
                answer[:] = [Sorry(id=id, code=error.code, message=str(error))]
                return []
            answer[:] = [self._told(id, core, principal)]
            return effects

        self._round.apply(run, peer, message)
        return answer[0]

    def _told(self, id: str, core: ServerCore, principal: Principal) -> Enrolled:
        """Return what the holder of the admitted key *principal* is told."""
        places = [] if principal.role is not KeyRole.WORKER else _places(core)
        return Enrolled(
            id=id,
            key=principal.id,
            role=principal.role,
            name=principal.name,
            expires=principal.expires,
            ports=self._addresses.ports,
            managers=tuple(places),
            proof=core.keys.proof_key(principal),
        )


def _places(core: ServerCore) -> list[ManagerPlace]:
    """Return the managers that are there and say where they listen."""
    found = []
    for manager in core.farm.managers.values():
        key = core.keys.of_node(manager.id)
        if key is not None and manager.address:
            found.append(ManagerPlace(name=manager.name, address=manager.address, public=key.public))
    return found


def _fresh() -> str:
    """New randomness, enough for an id and a secret."""
    return secrets.token_hex(40)
