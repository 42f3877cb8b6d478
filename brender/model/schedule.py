"""When a worker sleeps: hours of the week in which it takes no new tasks. Pure.

``mon-fri 09:00-18:30, sat 10:00-14:00``; hours that end before they begin go on into the next day.
"""

import re
from typing import NamedTuple

from brender.model.errors import BadInput

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SPAN = re.compile(r"(?:(?P<from>[a-z]{3})(?:-(?P<to>[a-z]{3}))?\s+)?(?P<begin>\d{1,2}:\d{2})-(?P<end>\d{1,2}:\d{2})")
_DAY = 24 * 60
_SPANS_MOST = 50


class Span(NamedTuple):
    """On each of ``days`` (0 is Monday) from minute ``begin`` of the day to before minute ``end``, which may lie in the next
    day."""

    days: frozenset[int]
    begin: int
    end: int


def parse_schedule(text: str) -> tuple[Span, ...]:
    """Return the spans of *text*, or "". Raises `BadInput`.

    >>> parse_schedule("mon-tue 9:00-17:00")
    (Span(days=frozenset({0, 1}), begin=540, end=1020),)
    """
    pieces = [piece.strip().lower() for piece in text.split(",") if piece.strip()]
    if len(pieces) > _SPANS_MOST:
        raise BadInput(f"A schedule has up to {_SPANS_MOST} spans, not {len(pieces)}")
    return tuple(_span(piece) for piece in pieces)


def check_schedule(text: str) -> str:
    """Return *text*, if it is a schedule. Raises `BadInput`."""
    parse_schedule(text)
    return text


def asleep(spans: tuple[Span, ...], day: int, minute: int) -> int | None:
    """Return whether a worker with these spans sleeps at *minute* of *day* (0 is Monday): then for how many more minutes, else
    ``None``.

    >>> asleep(parse_schedule("fri 22:00-6:00"), 5, 30)
    330
    """
    left = [
        end - at
        for days, begin, end in spans
        for back in (0, 1)
        if (day - back) % 7 in days and begin <= (at := minute + back * _DAY) < end
    ]
    return max(left, default=None)


def until_next(spans: tuple[Span, ...], day: int, minute: int) -> int:
    """Return in how many minutes the next of *spans*, which are some, begins, seen from *minute* of *day* (0 is Monday).

    >>> until_next(parse_schedule("fri 22:00-6:00"), 4, 0)
    1320
    """
    return min(
        begin + later * _DAY - minute
        for days, begin, _ in spans
        for later in range(8)
        if (day + later) % 7 in days and begin + later * _DAY > minute
    )


def _span(piece: str) -> Span:
    found = _SPAN.fullmatch(piece)
    names = [found.group("from"), found.group("to")] if found else []
    if found is None or any(name is not None and name not in DAYS for name in names):
        raise BadInput(f"{piece!r} is not a span of a schedule: write mon-fri 09:00-18:00 (days are {', '.join(DAYS)})")
    begin, end = _minute(found.group("begin")), _minute(found.group("end"))
    if names[0] is None:
        days = frozenset(range(7))
    else:
        first = DAYS.index(names[0])
        last = DAYS.index(names[1] or names[0])
        days = frozenset((first + step) % 7 for step in range((last - first) % 7 + 1))
    return Span(days, begin, end if end > begin else end + _DAY)


def _minute(text: str) -> int:
    hours, _, minutes = text.partition(":")
    if not ((int(hours) < 24 and int(minutes) < 60) or (int(hours), int(minutes)) == (24, 0)):
        raise BadInput(f"{text} is not a time of a day")
    return int(hours) * 60 + int(minutes)
