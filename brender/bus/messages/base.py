"""The base class of all messages, and the version of the protocol that they speak."""

import msgspec

from brender.model.field_types import Count

#: The protocol that this software speaks, and those it understands.
PROTOCOL = 6
UNDERSTOOD = frozenset({PROTOCOL})


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=str.lower):
    """Base class of all messages. ``v`` is the protocol that the sender speaks."""

    v: Count = PROTOCOL
