"""Which protocol for pictures a terminal knows. Pure: what it answered in, a protocol out. What each is sent is
`brender.commands.terminal_graphics`, which needs numpy and is imported only where pictures are shown."""

import enum
import re
from collections.abc import Mapping

#: Asks a terminal whether it knows kitty's protocol, and then what it is: it answers the second in any case.
QUESTION = b"\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\\x1b[c"
_ATTRIBUTES = re.compile(rb"\x1b\[\?([\d;]*)c")
_SIXEL_ATTRIBUTE = b"4"


class Protocol(enum.Enum):
    """How a terminal is sent pictures."""

    KITTY = "kitty"
    ITERM2 = "iTerm2"
    SIXEL = "sixel"


def is_answered(answer: bytes) -> bool:
    """Return whether a terminal has answered all of `QUESTION`."""
    return _ATTRIBUTES.search(answer) is not None


def protocol_of(answer: bytes, environment: Mapping[str, str]) -> Protocol | None:
    """Return the protocol of a terminal that gave this *answer* to `QUESTION`; ``None``: it shows no pictures.

    iTerm2's cannot be asked for: the *environment* tells of it, but not inside tmux or screen, which keep the variables of the
    terminal around them.
    """
    if b"\x1b_Gi=31;OK" in answer:
        return Protocol.KITTY
    inside = environment.get("TMUX") or environment.get("STY") or environment.get("TERM", "").startswith(("tmux", "screen"))
    if not inside and "iTerm" in (environment.get("TERM_PROGRAM", "") + environment.get("LC_TERMINAL", "")):
        return Protocol.ITERM2
    found = _ATTRIBUTES.search(answer)
    return Protocol.SIXEL if found and _SIXEL_ATTRIBUTE in found[1].split(b";")[1:] else None
