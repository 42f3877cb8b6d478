"""The worker's core: holds its grants, runs one at a time, and reports until the server has it. Pure."""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import msgspec

from brender.bus.messages import (
    FINAL,
    Acks,
    AnyMessage,
    AnyReport,
    Beat,
    Bye,
    Cancel,
    Completed,
    Failed,
    Gone,
    Grants,
    Hello,
    Message,
    PartDone,
    Ping,
    Pong,
    Progress,
    Recall,
    Recalled,
    Received,
    Refused,
    Renew,
    Renewed,
    Reports,
    Started,
    Stopped,
    Warned,
    Welcome,
    WhoAreYou,
)
from brender.model.grant import Grant
from brender.model.nodes import Stats, WorkerInfo
from brender.roles.effects import Effect, Exit, ExtendLease, Forget, Keep, Now, SendUp, StartAttempt, StopAttempt, Vouch
from brender.roles.policy import Policy, renewal_interval

#: Reports that travel in one message at most.
_BATCH = 500
_PROGRESS_SECONDS = 1.0
#: Attempts that are over and still remembered.
_REMEMBERED = 10_000


class WorkerCore:
    """Give it what arrives from above and what its attempt tells, with the time; do what it says.

    *kept* are the reports that an earlier process of this worker left undelivered.
    """

    def __init__(self, info: WorkerInfo, policy: Policy, kept: Iterable[AnyReport] = ()) -> None:
        self.info = info
        self.policy = policy
        self.waiting: list[Grant] = []
        self.running: Grant | None = None
        self.welcomed = False
        self.lease_until = float("-inf")
        self.stopping = ""
        self._unsent: list[AnyReport] = []
        self._outbox: dict[str, list[AnyReport]] = {}
        self._numbers: dict[str, int] = {}
        self._over: OrderedDict[str, None] = OrderedDict()
        """Attempts that are over: a grant of one that comes again, late, is not run again."""
        self._said_hello = self._renewed = self._answered = self._beat = self._sent = self._progressed = float("-inf")
        self._stop_by = float("inf")
        self._sequence = 0
        self._left = False
        self._effects: list[Effect] = []
        self._above: dict[type[Message], Callable[[Any, Now], None]] = {
            Welcome: self._welcome,
            Refused: self._refused,
            WhoAreYou: self._who_are_you,
            Ping: self._ping,
            Renewed: self._lease,
            Grants: self._grants,
            Recall: self._recall,
            Cancel: self._cancel,
            Acks: self._acks,
        }
        for report in kept:
            self._outbox.setdefault(report.attempt, []).append(report)
            self._numbers[report.attempt] = report.number
        for attempt, reports in self._outbox.items():
            if not isinstance(reports[-1], FINAL):
                self._report(Stopped(attempt=attempt, number=0, reason="the worker was started anew"))

    @property
    def held(self) -> tuple[str, ...]:
        """Every attempt that this worker still has something to do or say about."""
        running = [self.running.attempt] if self.running else []
        return tuple(dict.fromkeys([*self._outbox, *running, *(grant.attempt for grant in self.waiting)]))

    def from_above(self, message: AnyMessage, now: Now) -> list[Effect]:
        """What follows from the manager's *message*."""
        handler = self._above.get(type(message))
        if handler is not None:
            handler(message, now)
        return self._round(now)

    def progressed(self, attempt: str, frame: int, fraction: float, line: str, now: Now) -> list[Effect]:
        if self.running and self.running.attempt == attempt and now.mono - self._progressed >= _PROGRESS_SECONDS:
            self._progressed = now.mono
            self._effects.append(
                SendUp(Progress(worker=self.info.id, attempt=attempt, frame=frame, fraction=fraction, line=line))
            )
        return self._round(now)

    def warned(self, attempt: str, warning: str, subject: str, now: Now) -> list[Effect]:
        self._report(Warned(attempt=attempt, number=0, warning=warning, subject=subject))
        return self._round(now)

    def part_done(self, done: PartDone, now: Now) -> list[Effect]:
        """A part is published; *done* without a number yet."""
        self._report(done)
        return self._round(now)

    def ended(self, attempt: str, seconds: float, reason: str, permanent: bool, stopped: bool, now: Now) -> list[Effect]:
        """The running attempt is over."""
        if stopped:
            self._report(Stopped(attempt=attempt, number=0, reason=self.stopping or reason))
        elif reason:
            self._report(Failed(attempt=attempt, number=0, reason=reason, permanent=permanent, seconds=seconds))
        else:
            self._report(Completed(attempt=attempt, number=0, seconds=seconds))
        self.running = None
        return self._round(now)

    def stop(self, reason: str, now: Now) -> list[Effect]:
        """Leave: give back what waits, end what runs, report it, say goodbye."""
        if not self.stopping:
            self.stopping = reason
            self._stop_by = now.mono + 5.0
            for grant in self.waiting:
                self._report(Recalled(attempt=grant.attempt, number=0))
            self.waiting.clear()
            if self.running is not None:
                self._effects.append(StopAttempt(self.running.attempt, reason))
        return self._round(now)

    def tick(self, now: Now) -> list[Effect]:
        """What time alone brings: hellos until welcomed, renewals, reports sent again."""
        if self._left:
            return []
        if not self.welcomed:
            if now.mono - self._said_hello >= 1.0:
                self._say_hello(now)
        elif now.mono - self._renewed >= renewal_interval(self.lease_until - now.mono, self.policy.lease):
            self._renewed = now.mono
            self._effects.append(SendUp(Renew(sent=now.mono)))
        if self._outbox and self.welcomed and now.mono - self._sent >= self.policy.resend:
            self._send_all_again(now)
        return self._round(now)

    def beat_due(self, stats: Callable[[], Stats], now: Now) -> Beat | None:
        """The heartbeat, if it is time for it."""
        if now.mono - self._beat < self.policy.heartbeat:
            return None
        self._beat = now.mono
        self._sequence += 1
        return Beat(node=self.info.id, incarnation=self.info.incarnation, sequence=self._sequence, stats=stats())

    # --- from above ---------------------------------------------------------------------------------------------------

    def _welcome(self, welcome: Welcome, now: Now) -> None:
        self.welcomed = True
        # The parent's beat and lease count, not what this end was started with.
        self.policy = replace(self.policy, heartbeat=welcome.heartbeat_seconds, lease=welcome.lease_seconds)
        self._renewed = now.mono
        self._effects.append(SendUp(Renew(sent=now.mono)))
        self._send_all_again(now)

    def _refused(self, refused: Refused, now: Now) -> None:
        self._effects.append(Exit(error=f"The manager refused this worker: {refused.reason}"))

    def _who_are_you(self, message: WhoAreYou, now: Now) -> None:
        self.welcomed = False
        self._say_hello(now)

    def _ping(self, ping: Ping, now: Now) -> None:
        self._effects.append(SendUp(Pong()))

    def _lease(self, renewed: Renewed, now: Now) -> None:
        until = renewed.sent + renewed.seconds
        if until > self.lease_until:
            self.lease_until = until
            self._effects.append(ExtendLease(until, renewed.term))
        if renewed.attempts is not None and renewed.sent >= self._answered:
            self._answered = renewed.sent
            self._reconcile(renewed.term, renewed.attempts)

    def _grants(self, message: Grants, now: Now) -> None:
        mine = [grant for grant in message.grants if grant.worker == self.info.id]
        for grant in mine:
            if grant.attempt in self._numbers or grant.attempt in self._over:
                continue  # sent again: it is here already, or was
            self._numbers[grant.attempt] = 0
            if self.stopping:
                self._report(Recalled(attempt=grant.attempt, number=0))
            else:
                self.waiting.append(grant)
                self._effects.append(Vouch(grant.attempt, grant.term))
        if mine:
            self._effects.append(SendUp(Received(worker=self.info.id, attempts=tuple(grant.attempt for grant in mine))))

    def _recall(self, recall: Recall, now: Now) -> None:
        for attempt in recall.attempts:
            if self._drop_waiting(attempt):
                self._report(Recalled(attempt=attempt, number=0))

    def _cancel(self, cancel: Cancel, now: Now) -> None:
        gone = []
        for attempt in cancel.attempts:
            if self._drop_waiting(attempt):
                self._report(Stopped(attempt=attempt, number=0, reason=cancel.reason))
            elif self.running is not None and self.running.attempt == attempt:
                self._effects.append(StopAttempt(attempt, cancel.reason))
            elif attempt not in self._outbox:
                gone.append(attempt)
                self._remember(attempt)
        if gone:
            self._effects.append(SendUp(Gone(worker=self.info.id, attempts=tuple(gone))))

    def _reconcile(self, term: str, confirmed: tuple[str, ...]) -> None:
        """What the server has confirmed for the registration *term* may be published under it; what it neither confirmed nor
        granted since has gone to another, and is dropped."""
        for grant in [grant for grant in (self.running, *self.waiting) if grant is not None]:
            if grant.attempt in confirmed:
                self._effects.append(Vouch(grant.attempt, term))
            elif grant.term != term:
                reason = "the server gave its work to another attempt"
                if self._drop_waiting(grant.attempt):
                    self._report(Stopped(attempt=grant.attempt, number=0, reason=reason))
                else:
                    self._effects.append(StopAttempt(grant.attempt, reason))

    def _acks(self, message: Acks, now: Now) -> None:
        for attempt, number in message.acks:
            kept = self._outbox.get(attempt)
            if kept is None:
                continue
            left = [report for report in kept if report.number > number]
            final_is_acked = isinstance(kept[-1], FINAL) and not left
            if left:
                self._outbox[attempt] = left
            else:
                del self._outbox[attempt]
            if final_is_acked:
                self._numbers.pop(attempt, None)
                self._remember(attempt)
            self._effects.append(Forget(attempt, number))

    # --- inside -------------------------------------------------------------------------------------------------------

    def _round(self, now: Now) -> list[Effect]:
        """What is always looked at last: start the next attempt, send what is new, leave if all is said."""
        if self.running is None and self.waiting and not self.stopping:
            self.running = self.waiting.pop(0)
            self._report(Started(attempt=self.running.attempt, number=0))
            self._effects.append(StartAttempt(self.running))
        if self._unsent and self.welcomed:
            self._send(self._unsent, now)
            self._unsent = []
        if self.stopping and self.running is None and (not self._outbox or now.mono >= self._stop_by):
            if not self._left:
                self._effects += [SendUp(Bye(reason=self.stopping)), Exit()]
            self._left = True
        effects, self._effects[:] = list(self._effects), []
        return effects

    def _report(self, report: AnyReport) -> None:
        """Number *report*, keep it, and send it at the end of the round."""
        number = self._numbers.get(report.attempt, 0) + 1
        self._numbers[report.attempt] = number
        numbered = msgspec.structs.replace(report, number=number)
        self._outbox.setdefault(report.attempt, []).append(numbered)
        self._unsent.append(numbered)
        self._effects.append(Keep(numbered))

    def _send(self, reports: list[AnyReport], now: Now) -> None:
        self._sent = now.mono
        for start in range(0, len(reports), _BATCH):
            self._effects.append(SendUp(Reports(worker=self.info.id, reports=tuple(reports[start : start + _BATCH]))))

    def _send_all_again(self, now: Now) -> None:
        self._unsent = []
        self._send([report for reports in self._outbox.values() for report in reports], now)

    def _say_hello(self, now: Now) -> None:
        self._said_hello = now.mono
        hello = Hello(
            node=self.info.id,
            incarnation=self.info.incarnation,
            role="worker",
            name=self.info.name,
            host=self.info.host,
            software=self.info.software,
            pid=self.info.pid,
            worker=self.info,
            held=self.held,
        )
        self._effects.append(SendUp(hello))

    def _remember(self, attempt: str) -> None:
        """That *attempt* is over: a grant of it that comes late is not run."""
        self._over[attempt] = None
        if len(self._over) > _REMEMBERED:
            self._over.popitem(last=False)

    def _drop_waiting(self, attempt: str) -> bool:
        before = len(self.waiting)
        self.waiting = [grant for grant in self.waiting if grant.attempt != attempt]
        return len(self.waiting) < before
