"""How long an attempt may run, and how long it may show no sign of progress. Pure."""

from brender.model.text import plural

#: A worker that did not tick for so long was stopped itself (SIGSTOP, a suspended machine): that time does not count.
_PAUSE_SECONDS = 5.0


class Watch:
    """Watches an attempt that began at *now* (monotonic). Limits in seconds, 0 for none. ``overrun`` says which one it has
    exceeded, in words for the job's owner, or ""."""

    def __init__(self, stall: float, limit: float, now: float) -> None:
        self.stall = stall
        self.limit = limit
        self.overrun = ""
        self.doing = ""
        """What it does that may never end, as a clause; "" for what every attempt does."""
        self._began = self._sign = self._looked = now
        self._mark: object = None

    def seen(self, mark: object, now: float) -> None:
        """Where the attempt is: anything that differs from the last is a sign of progress."""
        if mark != self._mark:
            self._mark, self._sign = mark, now

    def silent(self, now: float) -> float:
        """Return for how many seconds there has been no sign of progress."""
        return max(0.0, now - self._sign)

    def exceeded(self, now: float) -> str:
        """Return which limit has been exceeded since the last look; "" for none, or for one that was told already."""
        gap = now - self._looked
        self._looked = now
        if gap > _PAUSE_SECONDS:
            self._began += gap
            self._sign += gap
        if self.overrun:
            return ""
        if self.limit and now - self._began > self.limit:
            self.overrun = f"It ran for longer than {_minutes(self.limit)}, the job's limit for a task"
        elif self.stall and now - self._sign > self.stall:
            self.overrun = f"It showed no sign of progress for {_minutes(self.stall)}, the job's limit for that"
            self.overrun += f", while {self.doing}" if self.doing else ""
        return self.overrun


def _minutes(seconds: float) -> str:
    return plural(seconds / 60, "minute") if seconds >= 60 else plural(seconds, "second")
