"""What `brender doctor` finds."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing looked at. ``advice`` says what to do where it is not ``ok``."""

    what: str
    ok: bool
    found: str
    advice: str = ""
