"""What a monitor is of: a server that it hears, or a recording. Both bring what was heard up to the present moment."""

from queue import Empty
from typing import Protocol

from brender.model.errors import BadInput, Unreachable
from brender.model.rights import Actor, why_not
from brender.monitor.feed import Feed, Outcome
from brender.monitor.heard import Heard
from brender.monitor.player import Player
from brender.monitor.recording import Recorder, Recording


class Session(Protocol):
    """``heard``: what was heard up to the last `step`. ``player``: that of a recording, ``None`` of a server."""

    heard: Heard

    @property
    def player(self) -> Player | None: ...

    def now(self) -> float:
        """Return the time by which things are shown, in seconds since the beginning."""

    def step(self, elapsed: float) -> None:
        """Take in what has come; *elapsed* seconds have passed since the last step. Raises `BrenderError` where no more can."""

    def why_not(self, action: str) -> str | None:
        """Return why the user may not have *action* done, for a person; ``None`` where they may."""

    def act(self, action: str, target: str, value: int | str | None, what: str) -> None:
        """Ask for a change of *target*; *what* says which."""

    def outcome(self) -> Outcome | None:
        """Return what became of a change that was asked for; ``None`` where nothing is known yet."""

    def close(self) -> None: ...


class LiveSession:
    """A server that *feed* hears; what is heard goes to *recorder* too, if there is one."""

    player: Player | None = None

    def __init__(self, feed: Feed, recorder: Recorder | None = None) -> None:
        self.feed = feed
        self.heard = Heard(str(feed.addresses.events))
        self._recorder = recorder
        self._gaps = 0

    def now(self) -> float:
        return self.feed.now()

    def step(self, elapsed: float) -> None:
        del elapsed
        for at, item in self.feed.taken():
            if self._recorder is not None:
                self._recorder.take(item, at)
            self.heard.take(item, at)
        if self.feed.refusal:
            raise Unreachable(self.feed.refusal)
        self.feed.ask_frames(self.heard.unknown_jobs())
        gaps = self.heard.lost + self.heard.skipped
        if gaps > self._gaps:
            self._gaps = gaps
            self.feed.refresh()

    def why_not(self, action: str) -> str | None:
        return why_not(Actor(self.feed.role), f"act {action}", "")

    def act(self, action: str, target: str, value: int | str | None, what: str) -> None:
        self.feed.act(action, target, value, what)

    def outcome(self) -> Outcome | None:
        try:
            return self.feed.outcomes.get_nowait()
        except Empty:
            return None

    def close(self) -> None:
        self.feed.close()
        if self._recorder is not None:
            self._recorder.close(self.now())


class ReplaySession:
    """The *recording*, at *speed* times its own."""

    def __init__(self, recording: Recording, speed: float = 1.0) -> None:
        self.player: Player = Player(recording, speed)
        self.heard = Heard(recording.head.source)

    def now(self) -> float:
        return self.player.position

    def step(self, elapsed: float) -> None:
        self.player.advance(elapsed)
        if self.player.must_begin_again:
            self.heard = Heard(self.heard.source)
        for taken in self.player.due():
            self.heard.take(taken.item, taken.at)

    def why_not(self, action: str) -> str | None:
        del action
        return "This is a recording: what is in it cannot be changed any more"

    def act(self, action: str, target: str, value: int | str | None, what: str) -> None:
        raise BadInput(str(self.why_not(action)))

    def outcome(self) -> Outcome | None:
        return None

    def close(self) -> None:
        """Nothing is open."""
