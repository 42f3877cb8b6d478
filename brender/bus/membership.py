"""Belonging to a farm: the token that one joins with, the asking to be admitted, and what is kept of the answer."""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import zmq

from brender.bus.address import (
    Address,
    ManagerAddresses,
    ServerAddresses,
    answers,
    is_loopback,
    own_hosts,
    parse_address,
    resolve,
)
from brender.bus.asking import ask
from brender.bus.ids import new_id
from brender.bus.keys import Credentials, KeyPair, read_private, write_private
from brender.bus.messages import Enrol, Enrolled, ManagerPlace, Sorry
from brender.bus.transport import Received, Socket
from brender.model.errors import BadInput, BrenderError, Unreachable, from_code
from brender.model.keys import KeyRole, token_command
from brender.model.text import with_article

_PREFIX = "brender-"
_SECONDS_EACH = 5.0
#: More of them for one that is there and does not answer yet.
_BUSY_SECONDS = 30.0
_RESEND_SECONDS = 1.0
#: How long it takes at most to see whether something listens where no answer came from.
_PROBE_SECONDS = 1.0
_REFUSED_TEXT = "refused"
NOT_KNOWN = (
    "The server refused: it does not know this token (any more), or this machine's key was another's. Ask the one who runs the "
    "farm for a new one"
)


class JoinToken(msgspec.Struct, frozen=True, array_like=True):
    """The content of the string that people join with: the server's public ``key``, the addresses of its enrolment door, and
    the token's id and ``secret``."""

    role: KeyRole
    key: str
    addresses: tuple[str, ...]
    id: str
    secret: str

    def __repr__(self) -> str:
        return f"JoinToken({self.role}, {self.id})"

    def as_text(self) -> str:
        """Return the one string."""
        return _PREFIX + base64.urlsafe_b64encode(msgspec.msgpack.encode(self)).decode().rstrip("=")


def parse_token(text: str) -> JoinToken:
    """Return the token of which *text* is the string. Raises `BadInput`, which never repeats it."""
    bare = "".join(text.split())
    try:
        if not bare.startswith(_PREFIX):
            raise ValueError
        packed = base64.b64decode(bare.removeprefix(_PREFIX) + "===", altchars=b"-_", validate=False)
        token = msgspec.msgpack.decode(packed, type=JoinToken)
        if len(token.key) != 40 or not all(parse_address(each, 0).port for each in token.addresses):
            raise ValueError
    except (ValueError, binascii.Error, msgspec.MsgspecError, BrenderError) as error:
        raise BadInput(
            "This is not a join token, or not all of it: it begins with brender- and is one long word. `brender token create` on "
            "the server's machine prints one"
        ) from error
    return token


class Membership(msgspec.Struct, frozen=True, kw_only=True):
    """That a key of this machine is admitted to a farm, as the server told: where the server is and by which key it is known
    (``server_key``), and for workers the managers that they may turn to and the secret that their proofs are made with."""

    key: str
    role: KeyRole
    name: str
    server_key: str
    host: str
    ports: dict[str, int]
    managers: tuple[ManagerPlace, ...] = ()
    proof: str = ""

    @classmethod
    def of(cls, enrolled: Enrolled, server_key: str, host: str) -> "Membership":
        """Return what *enrolled* says, which a server known by *server_key* and reached at *host* has answered."""
        places = tuple(msgspec.structs.replace(place, address=_seen_from(place.address, host)) for place in enrolled.managers)
        return cls(
            key=enrolled.key,
            role=enrolled.role,
            name=enrolled.name,
            server_key=server_key,
            host=host,
            ports=enrolled.ports,
            managers=places,
            proof=enrolled.proof,
        )

    def __repr__(self) -> str:
        return f"Membership({self.role} {self.name}, {self.key})"

    @property
    def server(self) -> ServerAddresses:
        return ServerAddresses.at(self.host, self.ports, self.server_key)

    def manager_addresses(self) -> list[ManagerAddresses]:
        return [ManagerAddresses.of(parse_address(place.address, 0), place.public) for place in self.managers]

    def keep(self, path: Path) -> None:
        """Write it to the file *path*, for its owner alone. Raises `BadInput`."""
        write_private(path, json.dumps(msgspec.to_builtins(self)))


def read_membership(path: Path) -> Membership | None:
    """Return what `Membership.keep` has written to *path*, or ``None`` if there is no such file. Raises `BadInput`."""
    if not path.exists():
        return None
    try:
        return msgspec.convert(read_private(path, "membership"), Membership)
    except msgspec.ValidationError as error:
        raise BadInput(
            f"The file {path} holds no membership ({error}). Remove it, and join the farm again with a new token"
        ) from error


@dataclass(frozen=True)
class Joining:
    """Who asks to be admitted: the key *pair*, its *role* and *name*, for a node the id."""

    pair: KeyPair
    role: KeyRole
    name: str
    node: str = ""

    def with_token(self, token: JoinToken) -> Membership:
        """Join by *token*. Raises `BadInput`, `BrenderError` or `Unreachable`, in words that say what to do."""
        if token.role is not self.role:
            raise BadInput(
                f"This token lets {with_article(token.role)} in, not {with_article(self.role)}: ask for one from "
                f"{token_command(self.role)}"
            )
        shown: dict[str, Any] = {"token": token.id, "secret": token.secret}
        return self._ask([parse_address(each, 0) for each in token.addresses], token.key, shown)

    def again(self, server: ServerAddresses, instead: str = "") -> Membership:
        """Ask again, by the key that is admitted; *instead*: the public key that from now on is to be admitted in its
        place."""
        return self._ask([server.enrolment], server.key, {"instead": instead})

    def _ask(self, addresses: Sequence[Address], key: str, shown: dict[str, Any]) -> Membership:
        message = Enrol(id=new_id(), role=self.role, name=self.name, node=self.node, **shown)
        troubles = []
        for address in addresses:
            try:
                enrolled = _exchange(resolve(address, "The server's address"), key, self.pair, message)
            except Unreachable as error:
                troubles.append(str(error))
            else:
                return Membership.of(enrolled, key, address.host)
        raise Unreachable("; ".join(troubles))


def _exchange(address: Address, key: str, pair: KeyPair, message: Enrol) -> Enrolled:
    """Send *message* to the enrolment door at *address*, and return what the server answers. Raises what it says of it."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    socket = Socket(context, zmq.DEALER, "enrolment", Credentials(pair, key))
    connections = socket.connections()

    def answer(received: Received) -> Enrolled | None:
        told = received.message
        if isinstance(told, Sorry) and told.id == message.id:
            raise _told(told, message)
        return told if isinstance(told, Enrolled) and told.id == message.id else None

    seconds = _SECONDS_EACH
    try:
        socket.connect(address)
        enrolled = ask(socket, message, _SECONDS_EACH, _RESEND_SECONDS, answer)
        connections.happened()
        is_there = enrolled is None and not connections.strange and answers(address, _PROBE_SECONDS)
        if is_there and message.token:
            # It starts, or its machine has much to do. A node that has joined before goes on without an answer; one that joins
            # now would have to be started again by somebody.
            seconds += _BUSY_SECONDS
            enrolled = ask(socket, message, _BUSY_SECONDS, _RESEND_SECONDS, answer)
            connections.happened()
    finally:
        socket.close()
        context.term()
    if enrolled is not None:
        return enrolled
    if connections.strange:
        raise Unreachable(
            f"the program at {address} has another key than the farm's server, or is not a brender server. Was the server "
            f"reinstalled? Then ask for a new token: {token_command(message.role)}"
        )
    if is_there:
        raise Unreachable(
            f"the program at {address} did not answer within {seconds:.0f} seconds: the server hangs, was stopped, or "
            "has too much to do. Its own log says more; try again in a moment"
        )
    raise Unreachable(
        f"the server did not answer at {address} within {_SECONDS_EACH:.0f} seconds. Is it running, and does it listen on that "
        "address (brender-server --listen)? Does a firewall let its ports through?"
    )


def _told(sorry: Sorry, message: Enrol) -> BrenderError:
    if sorry.message != _REFUSED_TEXT:
        return from_code(sorry.code, sorry.message)
    if message.token:
        return BrenderError(f"{NOT_KNOWN}: {token_command(message.role)}")
    return BrenderError(
        "The server does not admit this machine's key any more: it was revoked or has expired. Join again with a new token: "
        f"{token_command(message.role)}"
    )


def _seen_from(address: str, server: str) -> str:
    """Return a manager's *address* as a machine uses it that reaches the server at the host *server*: a manager on the server's
    own machine tells only of loopback.

    >>> _seen_from("127.0.0.1:7777", "10.0.0.1")
    '10.0.0.1:7777'
    """
    told = parse_address(address, 0)
    return str(Address(server, told.port)) if is_loopback(told.host) and not is_loopback(server) else address


def reached_at(announced: str, enrolment: Address, named: Sequence[str] = ()) -> tuple[str, ...]:
    """Return where others reach the server's enrolment door, for a token: as it is *named*; else at the address that it has
    *announced* on this machine ("": it is another), on each of this machine's hosts where it listens on all; else at
    *enrolment*, where this machine reaches it."""
    listens = parse_address(announced, 0) if announced else enrolment
    hosts = own_hosts() if listens.host in ("0.0.0.0", "::") else [listens.host]
    found = tuple(str(parse_address(each, listens.port)) for each in named)
    return found or tuple(str(parse_address(f"[{host}]" if ":" in host else host, listens.port)) for host in hosts)
