"""What the JSON API answers about users, their tokens and presets, and the keys of the bus."""

import msgspec

from dashboard.answers.rows import Row, row


@row("User", without=("password",))
class User(Row): ...


@row("ApiToken", without=("digest",))
class ApiToken(Row): ...


@row("Preset")
class Preset(Row): ...


@row("Preset", without=("change",))
class PresetSet(Row): ...


@row("Subscription", without=("secret",))
class Subscription(Row): ...


@row("Subscription", without=("change",))
class SubscriptionMade(Row): ...


@row("Key")
class Key(Row): ...


@row("Token", without=("digest",))
class Token(Row): ...


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


class DeviceCodes(msgspec.Struct):
    """``device_code`` is the program's own secret. ``user_code`` is confirmed by a person at ``verification_uri``;
    ``verification_uri_complete`` has it filled in. ``expires_in`` and ``interval`` are seconds: how long it is good, and how long
    to wait between two questions."""

    device_code: str
    user_code: str
    verification_uri: str
    verification_uri_complete: str
    expires_in: float
    interval: int


class DeviceToken(msgspec.Struct):
    """``access_token``: what is shown as `Authorization: Bearer`. ``user``: whose it is."""

    access_token: str
    token_type: str
    user: str


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
