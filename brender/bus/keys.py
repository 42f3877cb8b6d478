"""Keys on the bus: the pairs that roles keep, the ring of keys that are admitted, and libzmq's questions about them.

Every socket is CURVE (ZeroMQ RFC 25 and 26): encrypted, and both ends known by their keys. Who connects expects one server key;
who binds asks the `Keyring`, once when a connection is made (`Zap`, ZeroMQ RFC 27) and again for every message, so that a revoked
key is not heard any more.
"""

import json
import logging
import os
import secrets
import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import zmq
from zmq.utils import z85

from brender.bus.rights import LET_IN, PACE, UNPACED, Door
from brender.model.errors import BadInput
from brender.model.keys import Principal
from brender.model.pace import Pace
from brender.model.text import harmless
from brender.system import private_files

log = logging.getLogger("brender.keys")

#: Different senders and reasons that are remembered.
_REMEMBERED = 10_000
#: Milliseconds that a connection has for its handshake.
HANDSHAKE_MILLISECONDS = 5_000


@dataclass(frozen=True)
class KeyPair:
    """A CURVE key: the ``public`` half, and the ``secret`` one that nobody else sees, both in Z85."""

    public: str
    secret: str = field(repr=False)


def new_pair() -> KeyPair:
    public, secret = zmq.curve_keypair()
    return KeyPair(public.decode(), secret.decode())


def kept_pair(path: Path) -> KeyPair:
    """Return the pair of keys in the file *path*, which is made if it is missing, for its owner alone. Raises `BadInput`."""
    if not path.exists():
        write_pair(path, new_pair())
    return read_pair(path)


def write_pair(path: Path, pair: KeyPair) -> None:
    """Keep *pair* in the file *path*, over one that may be there. Raises `BadInput`."""
    write_private(path, json.dumps({"public": pair.public, "secret": pair.secret}))


def read_pair(path: Path) -> KeyPair:
    """Return the pair in the file *path*. Raises `BadInput` where it holds none, or others could have read it."""
    facts = read_private(path, "key")
    try:
        pair = KeyPair(str(facts["public"]), str(facts["secret"]))
        matches = zmq.curve_public(pair.secret.encode()).decode() == pair.public
    except (KeyError, TypeError, ValueError, zmq.ZMQError):
        matches = False
    if not matches:
        raise BadInput(f"The file {path} holds no key. Restore it, or remove it and join the farm again with a new token")
    return pair


def write_private(path: Path, text: str) -> None:
    """Write *text* to the file *path*, which is its owner's alone from its first byte. Raises `BadInput`."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        private_files.make_folder(path.parent)
        with os.fdopen(private_files.create(temporary), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise BadInput(f"The file {path} cannot be written: {error.strerror}. Give another data folder with --data") from error


def read_private(path: Path, what: str) -> dict[str, object]:
    """Return what `write_private` has written as JSON. Raises `BadInput`, also where others may read the file."""
    try:
        if (command := private_files.mend_advice(path)) is not None:
            raise BadInput(f"Others may read the {what} in {path}: run `{command}`, and consider joining again with a new one")
        facts = json.loads(path.read_text())
    except OSError as error:
        raise BadInput(f"The {what} in {path} cannot be read: {error.strerror}") from error
    except ValueError:
        facts = None
    if not isinstance(facts, dict):
        raise BadInput(f"The file {path} holds no {what}. Restore it, or remove it and join the farm again with a new token")
    return facts


class Refusals:
    """What was refused: counted by door and reason, and logged the first time for each sender. From any thread."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._logged: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    @property
    def total(self) -> int:
        with self._lock:
            return sum(self.counts.values())

    def so_far(self) -> dict[str, int]:
        """Return how often what was refused, by door and reason."""
        with self._lock:
            return dict(self.counts)

    def count(self, door: str, reason: str, sender: str, times: int = 1) -> None:
        with self._lock:
            self.counts[f"{door}: {reason}"] += times
            if len(self._logged) > _REMEMBERED:
                self._logged.clear()
            new = (sender, reason) not in self._logged
            self._logged.add((sender, reason))
        if new:
            log.warning(
                "refused at the door %s, from %s: %s (further ones are only counted)", door, harmless(sender[:200]), reason
            )


class Keyring:
    """The keys that are admitted now, for every thread that serves a door. To change it is its owner's alone."""

    def __init__(self, principals: Iterable[Principal] = (), refusals: Refusals | None = None) -> None:
        self.refusals = refusals or Refusals()
        self._by_id: dict[str, Principal] = {}
        self._by_public: dict[str, Principal] = {}
        self.replace(principals)

    def replace(self, principals: Iterable[Principal]) -> None:
        """From now on these, and no others, are admitted."""
        by_id = {principal.id: principal for principal in principals}
        self._by_public = {principal.public: principal for principal in by_id.values()}
        self._by_id = by_id

    def admit(self, principal: Principal) -> None:
        """From now on *principal* is admitted too, in place of what was by the same id."""
        self._by_id[principal.id] = principal
        self._by_public[principal.public] = principal

    def dismiss(self, principal: Principal) -> None:
        """From now on *principal* is not."""
        self._by_id.pop(principal.id, None)
        self._by_public.pop(principal.public, None)

    def principals(self) -> tuple[Principal, ...]:
        return tuple(self._by_id.values())

    def who(self, id: str) -> Principal | None:
        """Return the admitted key *id*, ``None`` where it is not (any more)."""
        found = self._by_id.get(id)
        return found if found is not None and found.is_current(time.time()) else None

    def with_public(self, public: str) -> Principal | None:
        found = self._by_public.get(public)
        return found if found is not None and found.is_current(time.time()) else None

    def lets_in(self, door: Door, public: str) -> str | None:
        """Return whether the key *public* may come in at *door*: the name by which libzmq marks all that it sends."""
        if door is Door.ENROLMENT:
            return public
        found = self.with_public(public)
        return found.id if found is not None and found.role in LET_IN[door] else None


@dataclass(frozen=True)
class Guard:
    """What a socket that binds has: its own key, the keys that it lets in, which door it is."""

    pair: KeyPair
    keyring: Keyring
    door: Door
    paces: dict[str, Pace] = field(default_factory=dict)

    def apply(self, raw: "zmq.Socket[bytes]") -> None:
        raw.setsockopt(zmq.CURVE_SERVER, 1)
        raw.setsockopt(zmq.CURVE_SECRETKEY, self.pair.secret.encode())
        raw.setsockopt(zmq.ZAP_DOMAIN, self.door.encode())
        # Without this, a socket whose context has no ZAP handler would let anybody in.
        raw.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
        raw.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MILLISECONDS)

    def keeps_pace(self, principal: Principal, now: float) -> bool:
        """Return whether *principal* does not say more than it may."""
        allowed = PACE.get(principal.role) if self.door not in UNPACED else None
        if allowed is None:
            return True
        pace = self.paces.get(principal.id)
        if pace is None:
            pace = self.paces[principal.id] = Pace(*allowed, now)
        return pace.take(now)

    def refuse(self, reason: str, sender: str) -> None:
        self.keyring.refusals.count(self.door, reason, sender)


@dataclass(frozen=True)
class Credentials:
    """What a socket that connects has: its own key, and the public key of the one that it means to reach."""

    pair: KeyPair
    parent: str

    def apply(self, raw: "zmq.Socket[bytes]") -> None:
        raw.setsockopt(zmq.CURVE_SERVERKEY, self.parent.encode())
        raw.setsockopt(zmq.CURVE_PUBLICKEY, self.pair.public.encode())
        raw.setsockopt(zmq.CURVE_SECRETKEY, self.pair.secret.encode())


class Zap:
    """Answers libzmq's question about each key that connects to a socket of *context* (ZeroMQ RFC 27). Readable, for a loop."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", keyring: Keyring) -> None:
        self._keyring = keyring
        self.raw = context.socket(zmq.REP)
        self.raw.setsockopt(zmq.LINGER, 0)
        self.raw.bind("inproc://zeromq.zap.01")

    def answer(self) -> None:
        """Answer all that was asked."""
        while self.raw.poll(0):
            self.raw.send_multipart(self._answer(self.raw.recv_multipart()))

    def _answer(self, frames: list[bytes]) -> list[bytes]:
        version, request, domain, address, _, mechanism, *rest = frames
        user = None
        if mechanism == b"CURVE" and len(rest) == 1:
            public = z85.encode(rest[0]).decode()
            door = Door(domain.decode())
            user = self._keyring.lets_in(door, public)
            if user is None:
                self._keyring.refusals.count(door, "a key that is not admitted here", address.decode("ascii", "replace"))
        verdict = [b"200", b"OK", user.encode()] if user is not None else [b"400", b"refused", b""]
        return [version, request, *verdict, b""]
