"""What is fuzzed: functions of bytes that come from strangers. Whatever they are, each returns or fails as it is meant to."""

import contextlib
from collections.abc import Callable

from zmq.utils import z85

from brender.bus.codec import Malformed, decode, encode
from brender.bus.ids import new_attempt_id
from brender.bus.keys import Keyring, Zap
from brender.bus.membership import parse_token
from brender.bus.messages import Enrol, Manage
from brender.farm.farm import Farm
from brender.model.errors import BadInput, BrenderError
from brender.model.keys import KeyRole, Principal, Token, digest_of
from brender.roles.effects import Now, Peer
from brender.roles.policy import Policy
from brender.roles.server.core import ServerCore

NOW = Now(1000.0, 1000.0)
PUBLIC = "a" * 40
TOKEN = Token(id="b" * 16, role=KeyRole.WORKER, digest=digest_of("secret"), uses=1, expires=2000.0)


def codec(data: bytes) -> None:
    """What is understood is written back as the same."""
    try:
        message, _ = decode([data])
    except Malformed:
        return
    assert decode(encode(message))[0] == message, "a message that was understood is written as another"


def handshake(data: bytes) -> None:
    """The three things that a stranger can make of it: a question of libzmq's, a token's string, a message at the enrolment door.
    Nobody comes in by any, but with the one good token."""
    _zap(data)
    with contextlib.suppress(BadInput):
        parse_token("brender-" + data.decode("latin-1"))
    try:
        message, _ = decode([data])
    except Malformed:
        return
    farm = Farm(tokens={TOKEN.id: TOKEN})
    core = ServerCore("0" * 16, "server", "fuzzed", Policy(), new_attempt_id, farm, master="master")
    if isinstance(message, Enrol):
        with contextlib.suppress(BrenderError):
            core.enrol(Peer("", b"route"), PUBLIC, message, "c" * 80, NOW)
            assert message.token == TOKEN.id and message.secret == "secret", "somebody came in without a token"
    elif isinstance(message, Manage):
        core.manage(Peer("", b"route"), message, "c" * 80, NOW)


def _zap(data: bytes) -> None:
    friend = Principal(id="d" * 16, public=z85.encode(b"f" * 32).decode(), role=KeyRole.MANAGER, name="friend")
    zap = Zap.__new__(Zap)  # without a socket: only its answers are looked at
    zap._keyring = Keyring([friend])
    version, request, domain, address = b"1.0", data[:4], b"server", data[4:20]
    key, mechanism = data[20:52].ljust(32, b"\0"), (b"CURVE", b"NULL", b"PLAIN")[len(data) % 3]
    answer = zap._answer([version, request, domain, address, b"", mechanism, key])
    assert (answer[2] == b"200") == (mechanism == b"CURVE" and key == b"f" * 32), "a key came in that nobody admitted"


TARGETS: dict[str, Callable[[bytes], None]] = {"codec": codec, "handshake": handshake}
