"""The worker's core: holds its grants, runs one at a time within its limits, and reports until the server has it. Pure."""

from collections import deque
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
    Drain,
    Failed,
    Gone,
    Grants,
    Hello,
    LogFrom,
    LogWanted,
    Look,
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
    Stands,
    Started,
    Stopped,
    Warned,
    Welcome,
    WhoAreYou,
)
from brender.model.addon import ENABLING
from brender.model.causes import Cause
from brender.model.energy import NO_ENERGY, Energy
from brender.model.grant import Grant, Order
from brender.model.log_events import SILENT_SECONDS
from brender.model.nodes import Standing, Stats, WorkerInfo
from brender.roles.effects import (
    Effect,
    Exit,
    ExtendLease,
    LogEvent,
    LookAt,
    NextManager,
    Now,
    SendUp,
    SetLogLevel,
    StartAttempt,
    StopAttempt,
    TellLog,
    Vouch,
)
from brender.roles.policy import Policy, renewal_interval
from brender.roles.silence import Silence
from brender.roles.worker.disk import Disk
from brender.roles.worker.limits import Watch
from brender.roles.worker.reporting import Reporting

_PROGRESS_SECONDS = 1.0
#: Seconds that a worker which stops waits for its last reports to be delivered.
_GOODBYE_SECONDS = 5.0
_SUPERSEDED = "the server gave its work to another attempt"


class WorkerCore:
    """Give it what arrives from above and what its attempt tells, with the time; do what it says.

    *kept* are the reports that an earlier process of this worker left undelivered. *managers*: how many it may turn to. *vouch*
    makes its word to the server that it turned to the manager of now (brender.model.keys). *remark*: what its page says of it
    while it takes work.
    """

    def __init__(
        self,
        info: WorkerInfo,
        policy: Policy,
        kept: Iterable[AnyReport] = (),
        managers: int = 1,
        vouch: Callable[[WorkerInfo], str] = lambda info: "",
        remark: str = "",
    ) -> None:
        self._vouch, self._remark = vouch, remark
        self.info = info
        self.policy = policy
        self.managers = managers
        self.waiting: deque[Grant] = deque()
        self.running: Grant | None = None
        self.welcomed = False
        self.cut_off = False
        """There is no connection to a manager."""
        self.lease_until = float("-inf")
        self.standing = Standing.OPEN
        self.standing_reason = remark
        self.owners_use = ""
        """Why it steps back for its machine's owner, or "" if it does not."""
        self.stopping = ""
        self.reporting = Reporting(info.id, kept)
        self._orders: dict[str, Order] = {}
        self._watch: Watch | None = None
        self._said_hello = self._renewed = self._answered = self._beat = self._progressed = float("-inf")
        self._heard: float | None = None
        self._silence = Silence()
        """That of any manager."""
        self._cut_off_since: float | None = None
        self._server_silent = 0.0
        """Seconds for which the manager said that it has not heard the server."""
        self._stop_by = float("inf")
        self._idle_since: float | None = None
        """When it had nothing left to do but to deliver its reports, and leave."""
        self._sequence = 0
        self._left = self._again = False
        self.disk = Disk()
        self._effects: list[Effect] = []
        self._above: dict[type[Message], Callable[[Any, Now], None]] = {
            Welcome: self._welcome,
            Refused: self._refused,
            WhoAreYou: self._who_are_you,
            Ping: self._ping,
            Bye: self._bye,
            Renewed: self._lease,
            Grants: self._grants,
            Recall: self._recall,
            Cancel: self._cancel,
            Drain: self._drain,
            Acks: self._acks,
            Look: self._look,
            LogWanted: self._log_wanted,
            LogFrom: self._log_from,
        }
        for attempt, reports in list(self.reporting.undelivered.items()):
            if not isinstance(reports[-1], FINAL):
                self.reporting.add(Stopped(attempt=attempt, number=0, reason="the worker restarted"))

    @property
    def held(self) -> tuple[str, ...]:
        """Every attempt that this worker still has something to do or say about."""
        running = [self.running.attempt] if self.running else []
        return tuple(dict.fromkeys([*self.reporting.undelivered, *running, *(grant.attempt for grant in self.waiting)]))

    def from_above(self, message: AnyMessage, now: Now) -> list[Effect]:
        """Take the manager's *message*."""
        self._heard = now.mono
        if (silent := self._silence.heard(now.mono)) is not None:
            self._effects.append(LogEvent("parent-back", {"seconds": silent}))
        handler = self._above.get(type(message))
        if handler is not None:
            handler(message, now)
        return self._next(now)

    def connected(self, now: Now) -> list[Effect]:
        """Take it that a connection to the manager was made, perhaps to another process, which does not know this worker."""
        self.cut_off = False
        if not self._left:
            self.welcomed = False
            self._say_hello(now)
        return self._next(now)

    # --- what the attempt tells ---------------------------------------------------------------------------------------

    def progressed(self, attempt: str, frame: int, fraction: float, line: str, output: int, now: Now) -> list[Effect]:
        """Note that the running attempt is at *frame*, *fraction* of it done; its log has *output* bytes and ends with *line*."""
        if self.running is None or self.running.attempt != attempt:
            return []
        if self._watch is not None:
            self._watch.seen((frame, fraction, output), now.mono)
            self._watch.doing = line if line.startswith(f"{ENABLING} ") else ""
        if now.mono - self._progressed >= _PROGRESS_SECONDS:
            self._progressed = now.mono
            progress = Progress(worker=self.info.id, attempt=attempt, frame=frame, fraction=fraction, line=line)
            self._effects.append(SendUp(progress))
        return self._next(now)

    def warned(self, attempt: str, warning: str, subject: str, now: Now) -> list[Effect]:
        self.reporting.add(Warned(attempt=attempt, number=0, warning=warning, subject=subject))
        return self._next(now)

    def part_done(self, done: PartDone, now: Now) -> list[Effect]:
        """Report a part that is published; *done* has no number yet."""
        if self._watch is not None:
            self._watch.seen(("part", done.part), now.mono)
        self.reporting.add(done)
        return self._next(now)

    def ended(
        self,
        attempt: str,
        seconds: float,
        reason: str,
        permanent: bool,
        stopped: bool,
        now: Now,
        put_off: bool = False,
        out_of_memory: bool = False,
        forbidden: bool = False,
        cause: Cause = Cause.OTHER,
        used: Energy = NO_ENERGY,
        elsewhere: bool = False,
    ) -> list[Effect]:
        """Report that the running attempt is over. *put_off*: this worker cannot use the job's folders for now; *out_of_memory*:
        its machine had none left; *forbidden*: it has no right to use these folders; *cause*: as the accounts
        count it; *used*: the energy that it used; *elsewhere*: another worker is to try again."""
        overrun = self._watch.overrun if self._watch is not None else ""
        end: Completed | Failed | Stopped
        if stopped and overrun:
            end = Failed(attempt=attempt, number=0, reason=overrun, seconds=seconds, cause=Cause.TIME)
        elif stopped:
            end = Stopped(attempt=attempt, number=0, reason=self.stopping or self.disk.unkept or self.owners_use or reason)
        elif put_off:
            end = Stopped(attempt=attempt, number=0, reason=reason, put_off=True)
        elif reason:
            end = Failed(
                attempt=attempt,
                number=0,
                reason=reason,
                permanent=permanent,
                seconds=seconds,
                out_of_memory=out_of_memory,
                forbidden=forbidden,
                cause=cause,
                elsewhere=elsewhere,
            )
        else:
            end = Completed(attempt=attempt, number=0, seconds=seconds)
        self.reporting.add(msgspec.structs.replace(end, joules=used.joules, metered_seconds=used.seconds))
        if (put_off or elsewhere) and not stopped:
            self._give_back_waiting(self.running.job if self.running is not None else "")
        elif isinstance(end, Failed) and out_of_memory:  # what it has next would start in the same crowd
            self._give_back_waiting("")
        self.running = self._watch = None
        return self._next(now)

    # --- how it stands ------------------------------------------------------------------------------------------------

    def room(self, shortage: str, now: Now) -> list[Effect]:
        """Note how the worker's own disk is: *shortage* says what is missing, "" nothing. Without room nothing new is begun."""
        self.disk.shortage = shortage
        return self._stand_by_disk(now)

    def reports_cannot_be_kept(self, reason: str, now: Now) -> list[Effect]:
        """Reports cannot be written to disk, for this *reason*, a sentence: nothing new is begun. What runs is given back once it
        has been so for some seconds."""
        self.disk.cannot_keep(reason, now.mono)
        if self.running is not None and self.disk.gives_back(now.mono):
            self._effects.append(StopAttempt(self.running.attempt, reason))
        return self._stand_by_disk(now)

    def reports_are_kept(self, now: Now) -> list[Effect]:
        """Note that all reports are on disk."""
        self.disk.can_keep()
        return self._stand_by_disk(now)

    def owner_uses(self, reason: str, at_once: bool, now: Now) -> list[Effect]:
        """Step back while the machine's owner uses it, for this *reason*, a sentence, or "" if they do not. *at_once*: what runs
        is given back too."""
        self.owners_use = reason
        if reason and at_once and self.running is not None:
            self._effects.append(StopAttempt(self.running.attempt, reason))
        return self._stand_by_disk(now)

    def _stand_by_disk(self, now: Now) -> list[Effect]:
        trouble = self.disk.trouble or self.owners_use
        if trouble and (self.standing is Standing.OPEN or (self.standing is Standing.PAUSED and trouble != self.standing_reason)):
            self._stand(Standing.PAUSED, trouble)
        elif not trouble and self.standing is Standing.PAUSED:
            self._stand(Standing.OPEN, self._remark)
        return self._next(now)

    def drain(self, reason: str, now: Now) -> list[Effect]:
        """Finish what runs, give back what waits, then leave. Without a manager to hear of it, leave at once (`stop`)."""
        if self.cut_off:
            return self.stop(reason, now)
        self._begin_draining(reason)
        return self._next(now)

    def stop(self, reason: str, now: Now) -> list[Effect]:
        """Leave: give back what waits, end what runs, report it, say goodbye. Reports that nobody takes stay on disk."""
        if not self.stopping:
            self.stopping = reason
            self._stop_by = now.mono + (0.0 if self.cut_off else _GOODBYE_SECONDS)
            self._stand(Standing.DRAINING, reason)
            if self.running is not None:
                self._effects.append(StopAttempt(self.running.attempt, reason))
        return self._next(now)

    # --- time ---------------------------------------------------------------------------------------------------------

    def tick(self, now: Now) -> list[Effect]:
        """End a round: do what time brings, and send all reports of the round together."""
        if self._left:
            return []
        if not self.welcomed:
            if now.mono - self._said_hello >= 1.0:
                self._say_hello(now)
            self._tell_silence(now)
        else:
            self._tell_silence(now)
            usual = renewal_interval(self.lease_until - now.mono, self.policy.lease)
            if now.mono - self._renewed >= self._silence.ask_interval(usual, now.mono):
                self._renew(now)
        self._look_for_another_manager(now)
        if self.running is not None and self._watch is not None and (why := self._watch.exceeded(now.mono)):
            self._effects.append(StopAttempt(self.running.attempt, why))
        if self.welcomed:
            if self.reporting.due_again(now.mono, self.policy.resend):
                self.reporting.say_all_again()
            self.reporting.send(now.mono)
        if self._has_finished and (not self.reporting.undelivered or now.mono >= self._leave_by(now)):
            self._effects += [SendUp(Bye(reason=self.stopping or self.standing_reason)), Exit(again=self._again)]
            self._left = True
        return self._next(now)

    @property
    def is_waiting_to_leave(self) -> bool:
        """Whether it has finished what it ran, and would leave if its reports were delivered."""
        return self._has_finished and bool(self.reporting.undelivered) and not self.stopping

    @property
    def _has_finished(self) -> bool:
        return self.running is None and self.standing is Standing.DRAINING

    def _leave_by(self, now: Now) -> float:
        """Return when it leaves although reports are not delivered: a lease later at most, since they stay on disk and
        the manager or the server may be gone for good."""
        if self._idle_since is None:
            self._idle_since = now.mono
        return min(self._stop_by, self._idle_since + self.policy.lease)

    def beat_due(self, stats: Callable[[], Stats], now: Now) -> Beat | None:
        """Return the heartbeat, if it is time for it."""
        if now.mono - self._beat < self.policy.heartbeat:
            return None
        self._beat = now.mono
        self._sequence += 1
        told = stats()
        if self.running is not None and self._watch is not None:
            told = msgspec.structs.replace(told, render_silent=self._watch.silent(now.mono))
        return Beat(node=self.info.id, incarnation=self.info.incarnation, sequence=self._sequence, stats=told)

    def _tell_silence(self, now: Now) -> None:
        """Say that nothing is heard: soon where there is no connection, or where a manager that was heard does not answer when it
        is asked; else after a lease; and again every minute."""
        self._cut_off_since = (self._cut_off_since or now.mono) if self.cut_off else None
        is_cut_off = self._cut_off_since is not None and now.mono - self._cut_off_since >= SILENT_SECONDS
        silent = self._silence.seconds(now.mono)
        # (What was stopped itself has to ask first.)
        was_asked = self.welcomed and self._renewed <= now.mono - 1.0 and self._silence.lasts_from(self._renewed)
        is_silent = silent >= SILENT_SECONDS if is_cut_off or was_asked else silent > self.policy.lease
        if is_silent and self._silence.is_due(now.mono):
            self._effects.append(LogEvent("parent-silent", {"seconds": silent, "connected": not self.cut_off}))

    def _look_for_another_manager(self, now: Now) -> None:
        """Silence for a third of a lease: the next manager of the list is tried, with all that is held."""
        if self._heard is None:
            self._heard = now.mono
        if self.managers > 1 and now.mono - self._heard > self.policy.lease / 3:
            self._turn_away(now)

    def _turn_away(self, now: Now) -> None:
        # Counted, so that the server can tell which of two managers speaks of the later registration.
        self.info = msgspec.structs.replace(self.info, connection=self.info.connection + 1)
        self.welcomed = False
        self._heard = now.mono
        self._effects.append(NextManager())
        self._say_hello(now)

    # --- from above ---------------------------------------------------------------------------------------------------

    def _welcome(self, welcome: Welcome, now: Now) -> None:
        self.welcomed = True
        # The parent's beat and lease count, not what this end was started with.
        self.policy = replace(self.policy, heartbeat=welcome.heartbeat_seconds, lease=welcome.lease_seconds)
        self._renew(now)
        self.reporting.say_all_again()
        self._effects.append(LogEvent("joined", {"name": welcome.name}))

    def _refused(self, refused: Refused, now: Now) -> None:
        self._effects.append(Exit(error=f"The manager refused this worker: {refused.reason}"))

    def _who_are_you(self, message: WhoAreYou, now: Now) -> None:
        self.welcomed = False
        self._say_hello(now)

    def _ping(self, ping: Ping, now: Now) -> None:
        self._effects.append(SendUp(Pong()))

    def _bye(self, bye: Bye, now: Now) -> None:
        """The manager leaves: ask the next one at once; if it was the only one, wait for it, since it may come back."""
        self.welcomed = False
        if self.managers > 1:
            self._turn_away(now)

    def _lease(self, renewed: Renewed, now: Now) -> None:
        if bool(renewed.silent) != bool(self._server_silent):
            event = "server-silent" if renewed.silent else "server-back"
            self._effects.append(LogEvent(event, {"seconds": renewed.silent or self._server_silent}))
        self._server_silent = renewed.silent
        until = renewed.sent + renewed.seconds
        if until > self.lease_until:
            self.lease_until = until
            self._effects.append(ExtendLease(until, renewed.term))
        if renewed.attempts is not None and renewed.sent >= self._answered:
            self._answered = renewed.sent
            self._reconcile(renewed.term, renewed.attempts)

    def _grants(self, message: Grants, now: Now) -> None:
        self._orders |= {order.job: order for order in message.orders}
        mine = [grant for grant in message.grants if grant.worker == self.info.id and grant.job in self._orders]
        over = [grant.attempt for grant in mine if self.reporting.is_over(grant.attempt)]
        mine = [grant for grant in mine if grant.attempt not in over]
        for grant in mine:
            if self.reporting.is_known(grant.attempt):
                continue  # sent again: it is here already
            self.reporting.begin(grant.attempt)
            if self.standing is not Standing.OPEN:
                self.reporting.add(Recalled(attempt=grant.attempt, number=0))
            else:
                self.waiting.append(grant)
                self._effects.append(Vouch(grant.attempt, grant.term))
        if mine:
            self._effects.append(SendUp(Received(worker=self.info.id, attempts=tuple(grant.attempt for grant in mine))))
        if over:  # it comes late, or from a server whose record was restored from before it ended
            self._effects.append(SendUp(Gone(worker=self.info.id, attempts=tuple(over))))

    def _recall(self, recall: Recall, now: Now) -> None:
        for attempt in recall.attempts:
            if self._drop_waiting(attempt):
                self.reporting.add(Recalled(attempt=attempt, number=0))

    def _cancel(self, cancel: Cancel, now: Now) -> None:
        gone = []
        for attempt in cancel.attempts:
            if self._drop_waiting(attempt):
                self.reporting.add(Stopped(attempt=attempt, number=0, reason=cancel.reason))
            elif self.running is not None and self.running.attempt == attempt:
                self._effects.append(StopAttempt(attempt, cancel.reason))
            elif attempt not in self.reporting.undelivered:
                gone.append(attempt)
                self.reporting.remember(attempt)
        if gone:
            self._effects.append(SendUp(Gone(worker=self.info.id, attempts=tuple(gone))))

    def _drain(self, message: Drain, now: Now) -> None:
        if message.worker == self.info.id:
            self._again = message.again
            self._begin_draining(message.reason)

    def _look(self, look: Look, now: Now) -> None:
        if look.worker == self.info.id:
            self._effects.append(LookAt(look.variable, look.folder, look.proof))

    def _log_wanted(self, wanted: LogWanted, now: Now) -> None:
        if wanted.worker == self.info.id:
            self._effects.append(TellLog())

    def _log_from(self, message: LogFrom, now: Now) -> None:
        if message.worker == self.info.id:
            self._effects.append(SetLogLevel(message.level))

    def _reconcile(self, term: str, confirmed: tuple[str, ...]) -> None:
        """What the server has confirmed for the registration *term* may be published under it; what it neither confirmed nor
        granted since has gone to another, and is dropped."""
        for grant in [grant for grant in (self.running, *self.waiting) if grant is not None]:
            if grant.attempt in confirmed:
                self._effects.append(Vouch(grant.attempt, term))
            elif grant.term != term:
                if self._drop_waiting(grant.attempt):
                    self.reporting.add(Stopped(attempt=grant.attempt, number=0, reason=_SUPERSEDED))
                else:
                    self._effects.append(StopAttempt(grant.attempt, _SUPERSEDED))

    def _acks(self, message: Acks, now: Now) -> None:
        for attempt, number in message.acks:
            self.reporting.acknowledged(attempt, number)

    # --- inside -------------------------------------------------------------------------------------------------------

    def _next(self, now: Now) -> list[Effect]:
        """Look last, and always, whether the next attempt can start."""
        if self.running is None and self.waiting and self.standing is Standing.OPEN:
            self.running = self.waiting.popleft()
            order = self._orders[self.running.job]
            self._watch = Watch(order.stall_seconds, order.limit_seconds, now.mono)
            self.reporting.add(Started(attempt=self.running.attempt, number=0))
            self._effects.append(StartAttempt(self.running, order))
            if not self.waiting:
                self._orders = {order.job: order}
        effects, self._effects = [*self.reporting.taken(), *self._effects], []
        return effects

    def _begin_draining(self, reason: str) -> None:
        if self.standing is not Standing.DRAINING:
            self._stand(Standing.DRAINING, reason)

    def _stand(self, standing: Standing, reason: str) -> None:
        """Stand so from now on; where nothing new is begun, what waits is given back."""
        if standing is Standing.OPEN:
            self._effects.append(LogEvent("takes-work"))
        elif standing is Standing.PAUSED:
            self._effects.append(LogEvent("takes-no-work", {"reason": reason}))
        self.standing, self.standing_reason = standing, reason
        self._effects.append(
            SendUp(Stands(worker=self.info.id, incarnation=self.info.incarnation, standing=standing, reason=reason))
        )
        if standing is not Standing.OPEN:
            self._give_back_waiting()

    def _give_back_waiting(self, job: str = "") -> None:
        """Give back what waits, or only what is of *job*."""
        for grant in [grant for grant in self.waiting if job in ("", grant.job)]:
            self.waiting.remove(grant)
            self.reporting.add(Recalled(attempt=grant.attempt, number=0))

    def _renew(self, now: Now) -> None:
        self._renewed = now.mono
        self._effects.append(SendUp(Renew(sent=now.mono, standing=self.standing, reason=self.standing_reason, held=self.held)))

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
            proof=self._vouch(self.info),
        )
        self._effects.append(SendUp(hello))

    def _drop_waiting(self, attempt: str) -> bool:
        before = len(self.waiting)
        self.waiting = deque(grant for grant in self.waiting if grant.attempt != attempt)
        return len(self.waiting) < before
