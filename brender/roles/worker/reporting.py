"""What a worker has to say of its attempts, until the server has it: numbered, kept, sent, sent again, forgotten. Pure."""

from collections import OrderedDict
from collections.abc import Iterable

import msgspec

from brender.bus.messages import FINAL, AnyReport, Reports
from brender.roles.effects import Effect, Forget, Keep, SendUp

#: Reports that travel in one message at most.
_BATCH = 500
#: Attempts that are over and still remembered.
_REMEMBERED = 10_000


class Reporting:
    """The reports of *worker*; *kept* are those that an earlier process of it left undelivered."""

    def __init__(self, worker: str, kept: Iterable[AnyReport] = ()) -> None:
        self.worker = worker
        self.undelivered: dict[str, list[AnyReport]] = {}
        """By attempt, in the order of their numbers."""
        self._unsent: list[AnyReport] = []
        self._numbers: dict[str, int] = {}
        self._over: OrderedDict[str, None] = OrderedDict()
        self._effects: list[Effect] = []
        self._sent = float("-inf")
        self.resent = 0
        """How many reports were sent once more."""
        for report in kept:
            self.undelivered.setdefault(report.attempt, []).append(report)
            self._numbers[report.attempt] = report.number

    @property
    def undelivered_count(self) -> int:
        """How many reports the server has not confirmed."""
        return sum(map(len, self.undelivered.values()))

    def add(self, report: AnyReport) -> None:
        """Number *report* and keep it; it is sent at the end of the round."""
        number = self._numbers.get(report.attempt, 0) + 1
        self._numbers[report.attempt] = number
        numbered = msgspec.structs.replace(report, number=number)
        self.undelivered.setdefault(report.attempt, []).append(numbered)
        self._unsent.append(numbered)
        self._effects.append(Keep(numbered))

    def acknowledged(self, attempt: str, number: int) -> None:
        """The server has every report of *attempt* up to *number*."""
        kept = self.undelivered.get(attempt)
        if kept is None:
            return
        left = [report for report in kept if report.number > number]
        if left:
            self.undelivered[attempt] = left
        else:
            del self.undelivered[attempt]
            if isinstance(kept[-1], FINAL):
                if number > kept[-1].number:
                    # An earlier process said more than it could keep, so that this end was taken for one of those reports.
                    self._effects.append(Forget(attempt, number))
                    self._numbers[attempt] = number
                    self.add(kept[-1])
                    return
                self._numbers.pop(attempt, None)
                self.remember(attempt)
        self._effects.append(Forget(attempt, number))

    def is_known(self, attempt: str) -> bool:
        """Return whether *attempt* is here, or was: a grant of it that comes again, late, is not run again."""
        return attempt in self._numbers or attempt in self._over

    def is_over(self, attempt: str) -> bool:
        """Return whether *attempt* was here, and the server has acknowledged all that was to be said of it."""
        return attempt in self._over and attempt not in self._numbers

    def begin(self, attempt: str) -> None:
        """*attempt* is here now."""
        self._numbers[attempt] = 0

    def remember(self, attempt: str) -> None:
        """*attempt* is over."""
        self._over[attempt] = None
        if len(self._over) > _REMEMBERED:
            self._over.popitem(last=False)

    def say_all_again(self) -> None:
        """Everything that is not acknowledged is to be sent in this round."""
        self.resent += self.undelivered_count - len(self._unsent)
        self._unsent = [report for reports in self.undelivered.values() for report in reports]

    def due_again(self, now: float, resend: float) -> bool:
        """Return whether what is not acknowledged was sent *resend* seconds ago."""
        return bool(self.undelivered) and now - self._sent >= resend

    def send(self, now: float) -> None:
        """Send what is to be sent, many reports to a message."""
        unsent, self._unsent = self._unsent, []
        for start in range(0, len(unsent), _BATCH):
            self._sent = now
            self._effects.append(SendUp(Reports(worker=self.worker, reports=tuple(unsent[start : start + _BATCH]))))

    def taken(self) -> list[Effect]:
        """Return what is to be done since the last call, and forget it."""
        effects, self._effects = self._effects, []
        return effects
