"""How long nothing was heard from above: by a worker of its manager, by a manager of the server. Pure."""

from brender.model.log_events import SILENT_AGAIN_SECONDS

#: Seconds of silence after which what is above is asked, so that one that hangs is noticed soon.
_ASK_SECONDS = 2.0


class Silence:
    """When something was heard last, and whether it was said that nothing is heard. All times monotonic, in seconds."""

    def __init__(self) -> None:
        self._since: float | None = None
        """When something was heard last, or else when it was first asked about; ``None`` before that."""
        self._told: float | None = None

    @property
    def is_told(self) -> bool:
        """Whether it was said that nothing is heard, and nothing was heard since."""
        return self._told is not None

    def heard(self, now: float) -> float | None:
        """Note that something is heard, and return for how long nothing was, where that was said; ``None`` where it was not."""
        over = now - self._since if self._since is not None and self.is_told else None
        self._since, self._told = now, None
        return over

    def seconds(self, now: float) -> float:
        """Return for how long nothing is heard; counted from the first call where nothing ever was."""
        if self._since is None:
            self._since = now
        return now - self._since

    def lasts_from(self, moment: float) -> bool:
        """Return whether it began before *moment*: what was asked then is not answered."""
        return self._since is not None and self._since < moment

    def is_due(self, now: float) -> bool:
        """Return whether it is to be said now, for the first time or again after a minute; it then counts as said."""
        if self._told is not None and now - self._told < SILENT_AGAIN_SECONDS:
            return False
        self._told = now
        return True

    def ask_interval(self, usual: float, now: float) -> float:
        """Return how often what is above is asked for something: every *usual* seconds, or sooner where it is silent."""
        return min(usual, _ASK_SECONDS) if self.seconds(now) >= _ASK_SECONDS else usual
