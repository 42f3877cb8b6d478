"""The people who use a farm, and their roles. Pure."""

import re
from enum import StrEnum

from brender.model.errors import BadInput

#: Characters of a password at least.
PASSWORD_LEAST = 8
_NAME = re.compile(r"[^\W_][\w.@+ -]{0,63}")


class Role(StrEnum):
    """What a user is on the web page and in the JSON API. (Keys of the bus have roles of their own: brender.model.keys. What each
    may do stands in brender.model.rights.)"""

    VIEWER = "viewer"
    """Sees everything of the work, and changes nothing."""
    ARTIST = "artist"
    """Submits jobs, and acts on their own."""
    WRANGLER = "wrangler"
    """Acts on every job, worker, manager and project."""
    ADMIN = "admin"
    """And on users, paths and settings."""


def check_user_name(name: str) -> str:
    """Return *name*, if a user can be called so. Raises `BadInput`."""
    if not _NAME.fullmatch(name) or name != name.strip():
        raise BadInput(
            f"{name[:80]!r} cannot be a user's name: it begins with a letter or digit, and has up to 64 letters, digits, blanks "
            "and any of . _ - @ +"
        )
    return name


def check_role(role: object) -> Role:
    """Return *role*, if it is one. Raises `BadInput`."""
    try:
        return Role(str(role))
    except ValueError:
        raise BadInput(f"{role!r} is not a role; there are: {', '.join(Role)}") from None
