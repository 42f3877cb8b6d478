"""Messages that the server failed at: what each is known by when it comes again, and what is kept of it. Pure."""

import hashlib

import msgspec

from brender import __version__
from brender.bus.messages import Act, Ask, Beats, Enrol, Joined, Look, Manage, Message, Reports, Submit
from brender.roles.effects import Peer

_HIDDEN = "…"
#: What is never tried again. All else nodes say because it is so, and it has to be heard some time.
REFUSED_FOR_EVER: tuple[type[Message], ...] = (Submit, Act, Manage, Ask, Look, Reports)


def is_asked(message: Message) -> bool:
    """Return whether *message* is one of a person, who waits for an answer."""
    return isinstance(message, Submit | Act | Manage | Ask | Look)


def digest(peer: Peer, message: Message) -> str:
    """Return what a message of *peer* is known by when it comes again, with another id perhaps, to this version of brender."""
    if isinstance(message, Beats):
        plain: object = "beats"  # each has another number
    elif isinstance(message, Joined):
        # It is said again, in other words, whenever the server has read its farm again, which it does when it fails.
        plain = [message.worker.id, message.worker.incarnation]
    else:
        plain = msgspec.to_builtins(message)
        if isinstance(plain, dict):
            plain.pop("id", None)
    return hashlib.sha256(
        msgspec.msgpack.encode([__version__, peer.principal, peer.node, type(message).__name__, plain])
    ).hexdigest()


def without_secrets(message: Message) -> str:
    """Return what is kept of *message*: all of it, but for arguments that may be passwords, tokens or addresses with a secret."""
    if isinstance(message, Manage):
        message = msgspec.structs.replace(message, arguments=dict.fromkeys(message.arguments, _HIDDEN))
    elif isinstance(message, Enrol):
        message = msgspec.structs.replace(message, secret=_HIDDEN)
    elif isinstance(message, Joined):
        message = msgspec.structs.replace(message, proof=_HIDDEN)
    return msgspec.json.encode(message).decode()
