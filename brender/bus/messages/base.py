"""The base class of all messages, and the version of the protocol that they speak."""

import msgspec

from brender.model.field_types import Count

#: The protocol that this software speaks, and those it understands: the one before too, once there is one, so that a farm can be
#: upgraded machine by machine. A further field with a default needs no other number: who does not know it leaves it out. A
#: message that an older peer would take for something else gets a higher number as its own ``v``, and all others keep theirs;
#: such a peer refuses that one, and says what is to be installed.
PROTOCOL = 6
UNDERSTOOD = frozenset({PROTOCOL})


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=str.lower):
    """Base class of all messages. ``v`` is the protocol that the sender speaks."""

    v: Count = PROTOCOL
