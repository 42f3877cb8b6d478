"""When a job may begin: after other jobs, at a time, or only at night. Pure."""

import re
from datetime import datetime, timedelta

import msgspec

from brender.model.errors import BadInput
from brender.model.text import plural

#: What a job waits for (its ``waiting_for``): other jobs, a time, or that somebody does something about one of those.
JOBS, TIME, SOMEBODY = "jobs", "time", "somebody"
#: The hours that are the night where the settings file names none.
NIGHT = "20:00-07:00"
#: A time this many seconds ago still means now.
_JUST_NOW = 60.0
_DAYS_MOST = 3660
_LATER = re.compile(r"\+(?:(?P<days>\d{1,4})d)?(?:(?P<hours>\d{1,5})h)?(?:(?P<minutes>\d{1,6})m(?:in)?)?")
_CLOCK = re.compile(r"(?P<hour>\d{1,2}):(?P<minute>\d{2})")
_EXAMPLES = "write 22:00, 2026-12-24 22:00, or +2h30m from now"


class After(msgspec.Struct, frozen=True):
    """A wait for another job: for all of it, or ``by_frame``: each frame waits for the same frame of that job alone."""

    job: str
    by_frame: bool = False


class Beginning(msgspec.Struct, frozen=True, kw_only=True):
    """When a job may begin, as in its `JobSpec`."""

    after: tuple[After, ...] = ()
    start_at: float = 0.0
    night: bool = False


def parse_start(text: str, now: datetime) -> float:
    """Return the time that *text* names, in seconds since the epoch: a time of the day (the next such one), a date with or
    without one, as ISO 8601 has it too, or a while from *now*, local time. Raises `BadInput` where it names none, or a past one.

    >>> parse_start("+90m", datetime(2026, 12, 24, 21)) - datetime(2026, 12, 24, 21).timestamp()
    5400.0
    >>> datetime.fromtimestamp(parse_start("6:30", datetime(2026, 12, 24, 21))).isoformat()
    '2026-12-25T06:30:00'
    """
    text = text.strip()
    later, clock = while_of(text), _CLOCK.fullmatch(text)
    try:
        if later is not None:
            found = now + later
        elif clock is not None:
            found = now.replace(hour=int(clock["hour"]), minute=int(clock["minute"]), second=0, microsecond=0)
            found += timedelta(days=found <= now)
        else:
            found = datetime.fromisoformat(text)
        start = found.timestamp()
    except (ValueError, OverflowError, OSError) as error:
        raise BadInput(f"{text!r} is not a time to start at: {_EXAMPLES}") from error
    check_start(start, now.timestamp())
    return start


def while_of(text: str) -> timedelta | None:
    """Return the while that *text* names, such as ``+2h30m``; ``None``: it names none.

    >>> str(while_of("+2h30m")), while_of("22:00")
    ('2:30:00', None)
    """
    later = _LATER.fullmatch(text)
    if later is None or not any(later.groups()):
        return None
    return timedelta(**{unit: int(count) for unit, count in later.groupdict(default="0").items()})


def check_start(start: float, wall: float) -> None:
    """Raise `BadInput` where a job cannot start at *start*, both in seconds since the epoch: it is past, or years away. 0: at
    once."""
    if start and start < wall - _JUST_NOW:
        raise BadInput(f"{_named(start)} is past, so no job can start then: give a time to come, or none")
    if start > wall + _DAYS_MOST * 86400:
        raise BadInput(f"A job can start within {_DAYS_MOST // 366} years, and not later: {_EXAMPLES}")


def said_start(start: float, wall: float) -> str:
    """Return when a job starts that starts at *start*, seen from *wall*."""
    return f"Starts {_at(start, wall)}, in {_while(start - wall)}"


def said_night(begin: float, wall: float, has_begun: bool) -> str:
    """Return when a job starts, or goes on, that runs at night, which begins at *begin*, seen from *wall*."""
    return f"{'Goes on' if has_begun else 'Starts'} at night, {_at(begin, wall)}, in {_while(begin - wall)}"


def _named(time: float) -> str:
    return f"{datetime.fromtimestamp(time):%Y-%m-%d %H:%M}"


def _at(time: float, wall: float) -> str:
    then, now = datetime.fromtimestamp(time), datetime.fromtimestamp(wall)
    return f"at {then:%H:%M}" if abs(time - wall) < 86400 and then.date() == now.date() else f"on {then:%Y-%m-%d} at {then:%H:%M}"


def _while(seconds: float) -> str:
    """Return *seconds* in the two largest units.

    >>> _while(12_000), _while(30), _while(90_000), _while(3600)
    ('3 hours 20 minutes', 'less than a minute', '1 day 1 hour', '1 hour')
    """
    minutes = int(seconds // 60)
    counts = (minutes // 1440, "day"), (minutes // 60 % 24, "hour"), (minutes % 60, "minute")
    said = [plural(count, unit) for count, unit in counts if count]
    return " ".join(said[:2]) or "less than a minute"
