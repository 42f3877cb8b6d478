"""Random ids."""

import secrets


def new_id() -> str:
    """A fresh random id, 16 hexadecimal digits."""
    return secrets.token_hex(8)
