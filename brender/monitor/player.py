"""Where a replay is in its recording: position, speed, pause. Pure."""

from collections.abc import Iterator

from brender.monitor.recording import Recording, Taken

#: Speeds that are gone through one after another.
SPEEDS = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0)


class Player:
    """Plays *recording* from its beginning. ``position`` in seconds."""

    def __init__(self, recording: Recording, speed: float = 1.0) -> None:
        self.recording = recording
        self.speed = speed
        self.position = 0.0
        self.is_paused = False
        self._next = 0
        self.must_begin_again = False
        """The position lies before what was taken last: all up to it is to be taken in afresh. (Until `due`.)"""

    @property
    def lasts(self) -> float:
        return self.recording.lasts

    @property
    def is_at_end(self) -> bool:
        return self.position >= self.lasts

    def advance(self, seconds: float) -> None:
        """Let *seconds* pass for the one who looks."""
        if not self.is_paused:
            self.position = min(self.lasts, self.position + seconds * self.speed)

    def seek(self, position: float) -> None:
        """Go to *position*, or the end next to it."""
        position = min(max(0.0, position), self.lasts)
        if position < self.position:
            self._next, self.must_begin_again = 0, True
        self.position = position

    def faster(self, by: int = 1) -> None:
        """Take the next speed of `SPEEDS` (*by* 1) or the one before (-1)."""
        nearest = min(range(len(SPEEDS)), key=lambda place: abs(SPEEDS[place] - self.speed))
        self.speed = SPEEDS[min(max(0, nearest + by), len(SPEEDS) - 1)]

    def due(self) -> Iterator[Taken]:
        """Yield what is to be taken in to be where the position is."""
        self.must_begin_again = False
        taken = self.recording.taken
        while self._next < len(taken) and taken[self._next].at <= self.position:
            self._next += 1
            yield taken[self._next - 1]

    def scrubber(self, room: int) -> str:
        """Return where the position is, as a line of *room* cells."""
        before = f"{'paused' if self.is_paused else f'{self.speed:g}×'} {_clock(self.position)} "
        after = f" {_clock(self.lasts)}"
        track = max(1, room - len(before) - len(after))
        at = min(track - 1, int(self.position / self.lasts * (track - 1))) if self.lasts else 0
        return f"{before}{'━' * at}●{'─' * (track - at - 1)}{after}"[:room]


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 3600}:{int(seconds) // 60 % 60:02}:{int(seconds) % 60:02}"
