"""Signing a program in by a code that a person confirms on the farm's page (the device flow of RFC 8628). Pure.

A program asks for two codes: a *user code*, short, which a person compares or types; and a *device code*, long, which the program
alone knows. Nothing but their digests is kept. Once somebody has confirmed the user code, the program's token is made of its
device code, so that asking for it again makes no second one.
"""

import hashlib
from dataclasses import dataclass
from enum import StrEnum

#: How long a code may be confirmed, and how long the program waits between two questions, in seconds.
CODE_SECONDS = 600.0
INTERVAL_SECONDS = 5
#: How long it is kept afterwards, so that a program that was away hears what came of it.
KEPT_SECONDS = 3600.0
#: Codes that may wait to be confirmed at the same time.
WAITING_MOST = 1000
#: Without vowels, so that no words come out, and without what is easily mistaken (RFC 8628, 6.1).
CODE_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
CODE_LENGTH = 8
#: What is said of a code that is wrong, used or too old.
NO_CODE = "No program waits with this code (any more): ask for a new one where it was shown"


class SignInAnswer(StrEnum):
    """What the person said."""

    WAITED_FOR = "waited-for"
    ALLOWED = "allowed"
    DENIED = "denied"


@dataclass
class DeviceSignIn:
    """A program that waits to be let in. ``name``: what its token is to be called; ``device``: the digest of that token;
    ``expires``: until when it may be answered."""

    name: str
    device: str
    expires: float
    answer: SignInAnswer = SignInAnswer.WAITED_FOR


def shown_code(code: str) -> str:
    """Return the user *code* as people read it: in two halves."""
    return f"{code[: CODE_LENGTH // 2]}-{code[CODE_LENGTH // 2 :]}"


def typed_code(text: str) -> str:
    """Return the user code that *text*, as somebody typed it, means."""
    return "".join(letter for letter in text.upper() if letter.isalnum())


def code_digest(code: str) -> str:
    """Return what is kept of the user *code*."""
    return hashlib.sha256(f"user code {code}".encode()).hexdigest()


def token_of(device_code: str) -> str:
    """Return the token that the program with this device code gets once it is let in."""
    return f"brender_{device_code}"


def token_digest(token: str) -> str:
    """Return what is kept of a program's *token*."""
    return hashlib.sha256(token.encode()).hexdigest()
