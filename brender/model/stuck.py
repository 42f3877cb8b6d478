"""Whether a render seems stuck: it shows no progress for longer than its job gave reason to expect, and computes nothing. Pure.

Nothing is ended by it: that is what the job's time limits are for (`brender.roles.worker.limits`).
"""

from brender.model.text import plural

#: What the reason of a worker begins with whose render seems stuck.
STUCK = "seems stuck"
#: Percent of one core, or of a GPU, below which a render computes nothing.
IDLE_PERCENT = 5.0
#: Seconds for which it has to have computed nothing.
_IDLE_SECONDS = 60.0
#: Seconds without progress: so many times what the job's slowest part took, at least; and where no part is done yet.
_TIMES_SLOWEST, _LEAST_SECONDS, _UNKNOWN_SECONDS = 3.0, 120.0, 600.0


def is_stuck(silent: float, idle: float, slowest: float) -> bool:
    """Return whether a render seems stuck that showed no progress for *silent* seconds and computed nothing for *idle* seconds.
    *slowest*: what the slowest part of its job took that is done, in seconds; 0: none is.

    >>> is_stuck(silent=150, idle=100, slowest=40), is_stuck(silent=150, idle=100, slowest=60), is_stuck(150, 0, 40)
    (True, False, False)
    """
    longest = max(_LEAST_SECONDS, _TIMES_SLOWEST * slowest) if slowest else _UNKNOWN_SECONDS
    return silent >= longest and idle >= _IDLE_SECONDS


def stuck_in_words(frame: int | None, job: str, log: str, silent: float, slowest: float, limit: float) -> str:
    """Return what is said of the worker of such a render, of *frame* of the *job*, whose log the command *log* shows. *limit*:
    the seconds without progress after which it is ended; 0: never.

    >>> stuck_in_words(7, "shot", "brender log shot", 200, 40, 3600)
    'seems stuck: frame 7 of shot shows no progress for 3 minutes and computes nothing; the slowest part of it took 40 seconds. \
`brender log shot` tells more. Its limit ends it in 56 minutes'
    """
    what = job if frame is None else f"frame {frame} of {job}"
    before = f"; the slowest part of it took {_duration(slowest)}" if slowest else ""
    end = f"Its limit ends it in {_duration(max(60.0, limit - silent))}" if limit else "Its job has no limit that would end it"
    return f"{STUCK}: {what} shows no progress for {_duration(silent)} and computes nothing{before}. `{log}` tells more. {end}"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return plural(max(1, round(seconds)), "second")
    return plural(int(seconds // 60), "minute") if seconds < 7200 else plural(int(seconds // 3600), "hour")
