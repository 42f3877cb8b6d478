"""Random ids."""

import os
import secrets
import time


def new_id() -> str:
    """A fresh random id, 16 hexadecimal digits."""
    return secrets.token_hex(8)


def new_attempt_id() -> str:
    """A new id for an attempt: later ones sort after earlier ones, so that a database's index of them grows at its end (which
    is half of what recording one costs); and nobody guesses it."""
    return f"{time.time_ns() // 1_000_000:012x}{os.urandom(6).hex()}"
