"""What is wrong with the worker's own disk: no room, or reports that cannot be written. Pure."""

#: Seconds that reports may wait for a disk before work is given back, and they are sent though they are nowhere but in memory.
_GIVE_BACK_SECONDS = 10.0


class Disk:
    """The worker's own disk. While there is `trouble`, nothing new is begun. Times monotonic, in seconds."""

    def __init__(self) -> None:
        self.shortage = ""
        """What is missing for there to be room; "" for nothing."""
        self.unkept = ""
        """Why reports cannot be written, or "" while they can."""
        self._unkept_since: float | None = None
        self._gave_back = False

    @property
    def trouble(self) -> str:
        """What is wrong, as a sentence; "" for nothing."""
        return self.unkept or self.shortage

    def cannot_keep(self, reason: str, now: float) -> None:
        """Note that reports cannot be written, for this *reason*, a sentence."""
        if self._unkept_since is None:
            self._unkept_since = now
        self.unkept = reason

    def can_keep(self) -> None:
        """Note that all reports are on disk."""
        self.unkept, self._unkept_since, self._gave_back = "", None, False

    def keeps_no_reports(self, now: float) -> bool:
        """Return whether that has been so for long that reports go out from memory: what is lost with this process is
        rendered again, and a task that nobody hears of stays "active" for ever."""
        return self._unkept_since is not None and now - self._unkept_since >= _GIVE_BACK_SECONDS

    def gives_back(self, now: float) -> bool:
        """Return whether what runs is to be given back now, since no reports are kept. It is once, until they are again."""
        if self._gave_back or not self.keeps_no_reports(now):
            return False
        self._gave_back = True
        return True
