"""Lengths of time that are estimated, told as precisely as they are known. Pure."""

#: What people round a time to, in seconds.
_PRECISIONS = (1, 5, 10, 30, 60, 300, 600, 1800, 3600, 6 * 3600, 86_400)
#: How far an estimate is taken to be off whose bounds nobody knows, as a share of it.
_UNSURE = 0.2
#: Bounds that are nearer than such a share of an estimate to it are not told.
_TELLING = 0.1


def precision(seconds: float, least: float | None = None, most: float | None = None) -> int:
    """Return the seconds to which an estimate is worth telling that is mostly between *least* and *most* (``None``: not known):
    no more than half of what lies between these, nor than half of the estimate: rounded to that, it is still to come.

    >>> precision(9667.0, 8056.0, 11600.0), precision(9667.0), precision(41.0), precision(41.0, 39.0, 43.0), precision(3.0)
    (600, 1800, 5, 1, 1)
    >>> precision(100.0, 13.0, 740.0)
    30
    """
    unsure = seconds * _UNSURE if least is None or most is None else min(most - least, seconds) / 2
    return max((each for each in _PRECISIONS if each <= unsure), default=1)


def span_in_words(seconds: float, to: int = 1) -> str:
    """Return a length of time, rounded *to* so many seconds, of which it has one at least.

    >>> span_in_words(9667.0, 600), span_in_words(9667.0, 1800), span_in_words(95.0, 5)
    ('2 h 40 min', '2 h 30 min', '1 min 35 s')
    >>> span_in_words(0.2), span_in_words(310_000.0, 6 * 3600)
    ('1 s', '3 d 12 h')
    """
    minutes, rest = divmod(to * max(1, round(seconds / to)), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    named = ((days, "d"), (hours, "h"), (minutes, "min"), (rest, "s"))
    return " ".join(f"{count} {name}" for count, name in named if count)


def estimate_in_words(seconds: float, least: float | None = None, most: float | None = None) -> str:
    """Return an estimate that is mostly between *least* and *most*.

    >>> estimate_in_words(9667.0, 8056.0, 11600.0), estimate_in_words(43.0)
    ('about 2 h 40 min', 'about 45 s')
    """
    return f"about {span_in_words(seconds, precision(seconds, least, most))}"


def left_in_words(seconds: float) -> str:
    """Return an estimate whose bounds nobody knows, where it stands in a bar or a column: not by seconds beyond a minute.

    >>> left_in_words(41.0), left_in_words(95.0), left_in_words(730.0), left_in_words(7800.0)
    ('40 s', '2 min', '12 min', '2 h 10 min')
    """
    to = precision(seconds)
    return span_in_words(seconds, to if seconds < 55 else max(60, to))


def bounds_in_words(seconds: float, least: float | None, most: float | None) -> str:
    """Return the bounds that an estimate is mostly within, or "" if they are not known, or near to it.

    >>> bounds_in_words(9667.0, 8056.0, 11600.0), bounds_in_words(9667.0, 9500.0, 9900.0)
    ('2 h 10 min to 3 h 10 min', '')
    >>> bounds_in_words(100.0, 13.0, 740.0), bounds_in_words(1921.0, 480.0, 7684.0)
    ('13 s to 12 min', '8 min to 2 h 10 min')
    """
    if least is None or most is None or most - seconds < _TELLING * seconds:
        return ""
    to = precision((most - least) / (2 * _UNSURE))  # (half of what lies between them)
    return f"{span_in_words(least, min(to, precision(least)))} to {span_in_words(most, min(to, precision(most)))}"


def longer_in_words(least: float) -> str:
    """Return that something takes longer than *least* seconds, and nobody knows how much.

    >>> longer_in_words(9667.0)
    'more than 2 h 30 min'
    """
    to = precision(least)
    return f"more than {span_in_words(to * max(1, int(least / to)), to)}"
