"""Tasks that gave way to a job that does not wait, in words. Pure."""

from collections.abc import Sequence
from datetime import datetime

from brender.model.log_events import frames_in_words

#: How the reason of an attempt begins that gave way.
GAVE_WAY_TO = "it gave way to "
#: How often a task gives way at most: after that it is let be, or one that takes longer than rush jobs are apart would never end.
MOST_TIMES = 3


def said_of_giving_way(frames: Sequence[int], reason: str, wall: float, times: int) -> str:
    """Return what became of a task of *frames* whose attempt ended at *wall* for this *reason*, the last one of so many *times*.

    >>> said_of_giving_way([12], "it gave way to rush (a1b2c3d4)", 0.0, 1).partition(" at ")[0]
    'Its frame 12 gave way to rush (a1b2c3d4)'
    """
    at = f"{datetime.fromtimestamp(wall):%H:%M}"
    are = "is" if len(frames) == 1 else "are"
    to = reason.removeprefix(GAVE_WAY_TO)
    count = f"{times} of at most {MOST_TIMES} times"
    return f"Its {frames_in_words(list(frames))} gave way to {to} at {at} and {are} queued again ({count})"
