"""A farm to attack, and attackers: with no key, a stranger's, and one key of each role that was admitted by a token."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import zmq
from zmq.utils.monitor import recv_monitor_message

from brender.api.place import as_client
from brender.bus.address import Address, ManagerAddresses, ServerAddresses, parse_address
from brender.bus.client import Client
from brender.bus.codec import decode, encode
from brender.bus.ids import new_id
from brender.bus.keys import Credentials, KeyPair, new_pair
from brender.bus.membership import Joining, JoinToken, Membership
from brender.bus.messages import Message
from brender.bus.rights import Door
from brender.commands.localfarm import FarmPlan, LocalFarm
from brender.model.keys import KeyRole
from brender.store.datafolder import DataFolder

#: What is connected to each door.
KINDS = {
    Door.SERVER_STATS: zmq.PUB,
    Door.MANAGER_STATS: zmq.PUB,
    Door.SERVER_EVENTS: zmq.SUB,
}
SILENCE_SECONDS = 0.4


@dataclass
class Attacker:
    """Whoever holds a key: its pair, and for what was admitted the node and membership."""

    pair: KeyPair
    node: str = ""
    membership: Membership | None = None


@dataclass
class Target:
    """The farm under attack."""

    farm: LocalFarm
    admin: Client
    context: "zmq.Context[zmq.Socket[bytes]]" = field(default_factory=zmq.Context)
    attackers: dict[KeyRole, Attacker] = field(default_factory=dict)

    @property
    def folder(self) -> DataFolder:
        return self.farm.folder

    @property
    def server(self) -> ServerAddresses:
        return self.admin.addresses

    @property
    def manager(self) -> ManagerAddresses:
        facts = self.folder.announced("manager-manager")
        assert facts is not None
        return ManagerAddresses(*(parse_address(facts[door], 0) for door in ("control", "stats", "files")), key=facts["key"])

    def door(self, door: Door) -> tuple[Address, str]:
        """Where *door* is, and the key that is expected there."""
        name = str(door).rpartition("-")[2]
        of = self.manager if door.startswith("manager") else self.server
        return getattr(of, "control" if name in ("server", "manager") else name), of.key

    def attacker(self, role: KeyRole) -> Attacker:
        """The one whose key was admitted as that *role*."""
        if role not in self.attackers:
            self.attackers[role] = self.admit(role)
        return self.attackers[role]

    def admit(self, role: KeyRole, name: str = "mallory", node: str | None = None) -> Attacker:
        pair, node = new_pair(), (new_id() if role in ("worker", "manager") else "") if node is None else node
        membership = Joining(pair, role, name, node).with_token(self.token(role, name=name))
        return Attacker(pair, node, membership)

    def token(self, role: KeyRole, **more: object) -> JoinToken:
        made = self.admin.manage("create-token", role=role, **{"uses": 1, "expires": "1h", "name": "mallory", **more})
        return JoinToken(role, self.server.key, (str(self.server.enrolment),), made["id"], made["secret"])

    def refusals(self) -> int:
        """How often the server has refused anything."""
        return sum(count for what, count in self.admin.manage("refusals").items() if not what.startswith("manager "))

    def enter(self, door: Door, pair: KeyPair | None, server_key: str | None = None, mechanism: str = "curve") -> str:
        """Try to come in at *door*: ``in``, ``refused`` (by its key) or ``failed``."""
        with self.socket(door, pair, server_key, mechanism) as (_, monitor):
            return outcome(monitor)

    @contextlib.contextmanager
    def socket(
        self, door: Door, pair: KeyPair | None, server_key: str | None = None, mechanism: str = "curve"
    ) -> Iterator[tuple["zmq.Socket[bytes]", "zmq.Socket[bytes]"]]:
        address, key = self.door(door)
        raw = self.context.socket(KINDS.get(door, zmq.DEALER))
        raw.setsockopt(zmq.LINGER, 0)
        if mechanism == "plain":
            raw.setsockopt(zmq.PLAIN_USERNAME, b"admin")
            raw.setsockopt(zmq.PLAIN_PASSWORD, b"admin")
        elif pair is not None:
            Credentials(pair, server_key or key).apply(raw)
        monitor = raw.get_monitor_socket(
            zmq.EVENT_HANDSHAKE_SUCCEEDED
            | zmq.EVENT_HANDSHAKE_FAILED_AUTH
            | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
            | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
        )
        raw.connect(address.endpoint)
        try:
            yield raw, monitor
        finally:
            raw.disable_monitor()
            monitor.close(linger=0)
            raw.close(linger=0)

    def say(self, door: Door, pair: KeyPair, *messages: Message, bulk: Sequence[bytes] = ()) -> list[Message]:
        """Say *messages* at *door*, one after another; what is answered within a moment."""
        with self.socket(door, pair) as (raw, monitor):
            assert outcome(monitor) == "in"
            prefix = [b""] if raw.type == zmq.PUB else []
            if raw.type == zmq.PUB:
                time.sleep(0.2)  # until the other end has subscribed
            for message in messages:
                raw.send_multipart([*prefix, *encode(message, bulk)])
            answers = []
            while raw.type != zmq.PUB and raw.poll(int(SILENCE_SECONDS * 1000)):
                answers.append(decode(raw.recv_multipart())[0])
            if raw.type == zmq.PUB:
                time.sleep(0.3)
            return answers

    def works(self) -> None:
        """Assert that the farm still does what it is for."""
        self.farm.check()
        assert self.admin.ask("about")["trouble"] == ""


def outcome(monitor: "zmq.Socket[bytes]") -> str:
    if not monitor.poll(3000):
        return "failed"
    event = recv_monitor_message(monitor)["event"]
    return {zmq.EVENT_HANDSHAKE_SUCCEEDED: "in", zmq.EVENT_HANDSHAKE_FAILED_AUTH: "refused"}.get(event, "failed")


@contextlib.contextmanager
def target(root: Path) -> Iterator[Target]:
    folder = DataFolder(root)
    with LocalFarm(FarmPlan(folder=folder, workers=1, any_ports=True, with_dashboard=False)) as farm:
        addresses, pair = as_client(None, folder)
        with Client(addresses, pair, 30) as admin:
            made = Target(farm, admin)
            try:
                yield made
            finally:
                made.context.destroy(linger=0)
