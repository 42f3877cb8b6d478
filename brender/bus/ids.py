"""Random ids."""

import os
import secrets
import time


def new_id() -> str:
    """Return a fresh random id, 16 hexadecimal digits."""
    return secrets.token_hex(8)


def new_attempt_id() -> str:
    """Return a new id for an attempt: later ones sort after earlier ones, so that a database's index of them grows at its end
    (which is half of what recording one costs); and nobody guesses it.

    Hot path, watched by benchmarks.dispatch: many are made of each look at the system's source of randomness.
    """
    try:
        chance = _chances.pop()
    except IndexError:
        some = os.urandom(6 * 512).hex()
        _chances.extend([some[start : start + 12] for start in range(0, len(some), 12)])
        chance = _chances.pop()
    return f"{time.time_ns() // 1_000_000:012x}{chance}"


_chances: list[str] = []
if hasattr(os, "register_at_fork"):  # where processes can fork (POSIX), no two may have the same
    os.register_at_fork(after_in_child=_chances.clear)
