"""A worker as its manager knows it. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from brender.bus.messages import FINAL, AnyReport
from brender.model.nodes import Standing, WorkerInfo


@dataclass
class ManagedWorker:
    """A worker that said hello. Times monotonic."""

    info: WorkerInfo
    heard: float
    beat: float
    held: dict[str, float] = field(default_factory=dict)
    """The attempts that it has something to do or say about, as far as the server has not acknowledged their end; each with when
    it was last said to hold it: by itself, or by a grant that was passed down to it."""
    proof: str = ""
    """Its word to the server that it is here."""
    term: str = ""
    """The name of its present registration."""
    joined: float = float("-inf")
    """When the server was last told of it."""
    confirmed: tuple[str, ...] | None = None
    """The attempts that the server has confirmed for the present registration; ``None`` until it has."""
    ends: dict[str, int] = field(default_factory=dict)
    """The number of an attempt's last report, once it was passed up."""
    asked: float | None = None
    standing: Standing = Standing.OPEN
    reason: str = ""
    """Whether it begins anything new, and why not, as it says itself."""

    def was_heard(self, now: float) -> None:
        """Note that it is heard: it need not be asked."""
        self.heard, self.asked = now, None

    def compare_held(self, held: tuple[str, ...], now: float, suspicion: float) -> None:
        """Forget attempts that it does not name as *held* any more: it has sent their ends, and the word of it was lost, or
        a grant that came late made the manager count them again. One that was passed down less than *suspicion* seconds ago may
        be on its way."""
        self.held |= {attempt: now for attempt in held if attempt in self.held}
        self.held = {each: said for each, said in self.held.items() if now - said <= suspicion}

    def reported(self, reports: Iterable[AnyReport]) -> None:
        """Note the ends among *reports*, which are passed up."""
        for report in reports:
            if isinstance(report, FINAL):
                self.ends[report.attempt] = report.number

    def acknowledged(self, acks: Iterable[tuple[str, int]]) -> None:
        """Forget the attempts whose ends the server has. *acks*: an attempt, and the number of the last report that it has."""
        for attempt, number in acks:
            if number >= self.ends.get(attempt, number + 1):
                self.held.pop(attempt, None)
                del self.ends[attempt]
