"""What the JSON API answers about users, their tokens and presets, and the keys of the bus."""

import msgspec

from dashboard.answers.rows import row


@row("User", without=("password",))
class User(msgspec.Struct, kw_only=True):
    pass


@row("ApiToken", without=("digest",))
class ApiToken(msgspec.Struct, kw_only=True):
    pass


@row("Preset")
class Preset(msgspec.Struct, kw_only=True):
    pass


@row("Preset", without=("change",))
class PresetSet(msgspec.Struct, kw_only=True):
    pass


@row("Subscription")
class Subscription(msgspec.Struct, kw_only=True):
    pass


@row("Subscription", without=("change",))
class SubscriptionMade(msgspec.Struct, kw_only=True):
    pass


@row("Key")
class Key(msgspec.Struct, kw_only=True):
    pass


@row("Token", without=("digest",))
class Token(msgspec.Struct, kw_only=True):
    pass


class Me(msgspec.Struct):
    name: str
    role: str
    rights: dict[str, str]


class UserSet(msgspec.Struct):
    name: str
    role: str


class Named(msgspec.Struct):
    name: str


class Identified(msgspec.Struct):
    id: str


class ApiTokenMade(msgspec.Struct):
    """``token``: its secret, told this once."""

    id: str
    name: str
    token: str


class Keys(msgspec.Struct):
    keys: list[Key]
    tokens: list[Token]


class KeyRevoked(msgspec.Struct):
    id: str
    name: str
    role: str


class JoinTokenMade(msgspec.Struct):
    """``token``: what `brender join` takes, told this once; ``expires``: when (Unix)."""

    token: str
    id: str
    expires: float
    addresses: list[str]
