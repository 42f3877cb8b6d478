"""Who may join a farm, and as what: keys, the tokens that bring them in, and what each kind of key is let in for. Pure."""

import hashlib
import hmac
import re
from enum import StrEnum

import msgspec

from brender.model.errors import BadInput
from brender.model.field_types import Id, Name, Seconds

#: Why a node is sent away whose key is not the farm's any more.
JOIN_AGAIN = "its key is not admitted any more. Join again with a new token (--join TOKEN)"


class KeyRole(StrEnum):
    """What a key is for. What it may do stands in brender.model.rights."""

    WORKER = "worker"
    MANAGER = "manager"
    CLIENT = "client"
    """Submits jobs and acts on them: an artist, a script."""
    MONITOR = "monitor"
    """Only listens to what happens."""
    DASHBOARD = "dashboard"
    """Speaks on behalf of the users who have signed in there."""
    ADMIN = "admin"
    """A client that also gives out tokens and revokes keys."""


def token_command(role: KeyRole) -> str:
    """Return the command that prints a token for *role*, quoted. A client's token needs a name.

    >>> token_command(KeyRole.WORKER), token_command(KeyRole.CLIENT)
    ('`brender token create --role worker`', '`brender token create --role client --name NAME`')
    """
    return f"`brender token create --role {role}{' --name NAME' * (role is KeyRole.CLIENT)}`"


#: The roles that are nodes of the farm, with an identity of their own that their key is bound to.
NODE_ROLES = frozenset({KeyRole.WORKER, KeyRole.MANAGER})


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """A key that was admitted, and whose it is. ``public`` is the key in Z85 (ZeroMQ RFC 32), ``node`` the worker or manager that
    it speaks for, ``expires`` the time (seconds since the epoch) after which it is refused; ``None``: never."""

    id: Id
    public: str
    role: KeyRole
    name: Name
    node: str = ""
    expires: Seconds | None = None

    @property
    def user(self) -> str:
        """The name in which its holder submits and acts, whatever a message says, or "" if the message says it."""
        return (self.name or self.id) if self.role is KeyRole.CLIENT else ""

    def is_current(self, wall: float) -> bool:
        return self.expires is None or wall < self.expires


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """What lets further keys in. Of its secret only the ``digest`` is known. ``key_seconds``: how long the keys that it lets in
    are good for; ``None``: for good. ``name``: what they are called, "" for what they call themselves."""

    id: Id
    role: KeyRole
    digest: str
    uses: int
    expires: Seconds
    name: str = ""
    key_seconds: Seconds | None = None


def digest_of(secret: str) -> str:
    """Return what is kept of a token's *secret*, which is long and random, so that no salt or slow hash is needed."""
    return hashlib.sha256(secret.encode()).hexdigest()


def is_secret_of(token: Token, secret: str) -> bool:
    return hmac.compare_digest(digest_of(secret), token.digest)


def proof_key(master: str, public: str) -> str:
    """Return the secret that the server shares with the worker whose key is *public*: made from the server's own *master*
    secret, so that nobody has to keep it."""
    return hmac.new(master.encode(), b"brender proof " + public.encode(), hashlib.sha256).hexdigest()


def proof_of(key: str, node: str, registration: tuple[int, int], manager: str) -> str:
    """Return a worker's word, by its proof *key*, that it turned to the manager whose public key is *manager*. By it the
    server knows that the manager does not speak for a worker that never came to it."""
    said = f"{node} {registration[0]} {registration[1]} {manager}"
    return hmac.new(key.encode(), said.encode(), hashlib.sha256).hexdigest()


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def parse_lifetime(text: str) -> float:
    """Seconds in a *text* such as ``90s``, ``30m``, ``24h``, ``7d`` or ``2w``. Raises `BadInput`.

    >>> parse_lifetime("24h")
    86400.0
    """
    match = re.fullmatch(r"(\d{1,6})([smhdw])", text.strip().lower())
    if match is None or int(match[1]) == 0:
        raise BadInput(f"{text!r} is not a length of time: write 90s, 30m, 24h, 7d or 2w")
    return float(int(match[1]) * _UNITS[match[2]])
