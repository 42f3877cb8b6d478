"""The server's enrolment desk: how often it listens to whom, and what it tells whoever is admitted."""

from collections import OrderedDict

from brender.bus.address import ServerAddresses
from brender.bus.keys import Refusals
from brender.bus.messages import Enrolled, ManagerPlace
from brender.bus.rights import Door
from brender.model.keys import KeyRole, Principal
from brender.model.pace import Pace
from brender.roles.server.core import ServerCore

#: Attempts to join that are listened to: a second, and at once; from one address, and from all together.
_PACE_OF_ONE, _PACE_OF_ALL = (2.0, 60.0), (50.0, 500.0)
_REMEMBERED = 10_000


class Enrolment:
    """*addresses* are the server's own."""

    def __init__(self, addresses: ServerAddresses, refusals: Refusals) -> None:
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

    def refused(self, public: str, origin: str) -> None:
        self._refusals.count(Door.ENROLMENT, "what was shown lets nobody in", f"{public} at {origin}")

    def answer(self, id: str, principal: Principal, core: ServerCore) -> Enrolled:
        """What the holder of the admitted key *principal* is told."""
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
    """The managers that are there and say where they listen."""
    keys = {key.node: key for key in core.farm.keys.values() if key.role is KeyRole.MANAGER}
    found = []
    for manager in core.farm.managers.values():
        key = keys.get(manager.id)
        if key is not None and manager.address:
            found.append(ManagerPlace(name=manager.name, address=manager.address, public=key.public))
    return found
