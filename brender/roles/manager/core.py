"""The manager's core: between the server and its workers it passes on, watches and renews; it never chooses. Pure."""

from collections.abc import Callable
from typing import Any

from brender.bus.messages import (
    Acks,
    Admitted,
    AnyMessage,
    Beat,
    Beats,
    Bye,
    Cancel,
    Confirm,
    Drain,
    Gone,
    Grants,
    Hello,
    Joined,
    Left,
    LogFrom,
    LogTold,
    LogWanted,
    Look,
    Message,
    Moved,
    Ping,
    Pong,
    Progress,
    Recall,
    Received,
    Refused,
    Renew,
    Renewed,
    Reports,
    Seen,
    Stands,
    Welcome,
    WhoAreYou,
)
from brender.model.grant import Grant
from brender.model.keys import JOIN_AGAIN
from brender.model.log_events import SILENT_SECONDS, why_gone
from brender.model.nodes import Standing, Stats
from brender.roles.effects import (
    FOREIGN_KEY,
    AdmitKeys,
    Bind,
    Effect,
    Exit,
    LogEvent,
    Now,
    Peer,
    Reply,
    Send,
    SendUp,
    SetLogLevel,
    Unbind,
)
from brender.roles.manager.admitted_keys import AdmittedKeys
from brender.roles.manager.managed_worker import ManagedWorker
from brender.roles.policy import Policy, renewal_interval
from brender.roles.silence import Silence

#: Heartbeats of workers are passed on so many times as often as a manager beats itself.
_PASSED_ON = 4


class ManagerCore:
    """Give it what arrives from above and below, with the time; do what it says."""

    def __init__(self, hello: Hello, policy: Policy) -> None:
        self.hello = hello
        self.policy = policy
        self.workers: dict[str, ManagedWorker] = {}
        self.welcomed = False
        self.lease_until = float("-inf")
        self.draining = ""
        """Why it finishes what its workers run and then leaves, or "" while it does not."""
        self._left = self._again = False
        self._said_hello = self._renewed = self._beat = self._passed_on = self._ticked = float("-inf")
        self.cut_off = False
        """There is no connection to the server."""
        self._silence = Silence()
        """That of the server."""
        self._server_lease, self._server_heartbeat = policy.lease, policy.heartbeat
        self._sequence = self._terms = 0
        self._began: float | None = None
        self._beats: dict[str, Beat] = {}
        self._keys = AdmittedKeys()
        self._effects: list[Effect] = []
        anybody, worker = frozenset({"", "worker"}), frozenset({"worker"})
        # Who below is to have said hello for what. (brender.bus.rights has which keys may say it.)
        self._below: dict[type[Message], tuple[frozenset[str], Callable[[Peer, Any, Now], None]]] = {
            Hello: (anybody, self._hello),
            Renew: (worker, self._renew),
            Pong: (worker, self._pong),
            Bye: (worker, self._bye),
            Received: (worker, self._pass_up),
            Seen: (worker, self._pass_up),
            LogTold: (worker, self._pass_up),
            Gone: (worker, self._gone_below),
            Stands: (worker, self._stands),
            Reports: (worker, self._reports),
            Progress: (worker, self._pass_up),
        }
        self._above: dict[type[Message], Callable[[Any, Now], None]] = {
            Welcome: self._welcome,
            Refused: self._refused,
            WhoAreYou: self._who_are_you,
            Ping: self._ping,
            Renewed: self._lease,
            Confirm: self._confirm,
            Grants: self._grants,
            Recall: self._pass_down,
            Cancel: self._pass_down,
            Look: self._pass_down,
            LogWanted: self._pass_down,
            LogFrom: self._log_from,
            Drain: self._drain,
            Moved: self._moved,
            Acks: self._acks,
            Admitted: self._admitted,
        }

    def from_below(self, peer: Peer, message: AnyMessage, now: Now) -> list[Effect]:
        """Take a worker's *message*. What it may not send, or send for another, is answered, never obeyed."""
        allowed, handler = self._below.get(type(message), (frozenset(), None))
        speaks_for = getattr(message, "worker", None)
        foreign = isinstance(speaks_for, str) and speaks_for != peer.node
        if handler is None or peer.role not in allowed or foreign:
            self._effects.append(Reply(peer.route, WhoAreYou()))
        else:
            if peer.node in self.workers:
                self.workers[peer.node].was_heard(now.mono)
            handler(peer, message, now)
        return self._taken()

    def from_above(self, message: AnyMessage, now: Now) -> list[Effect]:
        """Take the server's *message*."""
        handler = self._above.get(type(message))
        if self._began is None:
            self._began = now.mono
        if (silent := self._silence.heard(now.mono)) is not None:
            self._effects.append(LogEvent("server-back", {"seconds": silent}))
            self._tell_workers_of_silence(0.0)
        if handler is not None:
            handler(message, now)
        return self._taken()

    def connected(self, now: Now) -> list[Effect]:
        """Take it that a connection to the server was made, perhaps to another process, which does not know this manager."""
        self._say_hello(now)
        return self._taken()

    def beat_heard(self, beat: Beat, now: Now) -> None:
        """A worker's heartbeat came."""
        worker = self.workers.get(beat.node)
        if worker is not None and worker.info.incarnation == beat.incarnation:
            worker.beat = now.mono
            self._beats[beat.node] = beat

    def tick(self, now: Now) -> list[Effect]:
        """Do what time alone brings: hellos until welcomed, renewals, questions to silent workers, farewells to lost ones."""
        if not self.welcomed:
            if now.mono - self._said_hello >= 1.0:
                self._said_hello = now.mono
                self._effects.append(SendUp(self.hello))
        else:
            usual = renewal_interval(self.lease_until - now.mono, self._server_lease)
            if now.mono - self._renewed >= self._silence.ask_interval(usual, now.mono):
                self._renew_above(now)
        self._tell_silence(now)
        if now.mono - self._ticked > self.policy.lease / 2:
            for worker in self.workers.values():
                worker.heard = now.mono  # it stood still itself, and has heard nobody
        self._ticked = now.mono
        for worker in list(self.workers.values()):
            if self.welcomed and worker.confirmed is None and now.mono - worker.joined > self.policy.resend:
                self._join(worker, now)
            silent = now.mono - max(worker.heard, worker.beat)
            if now.mono - worker.heard > self.policy.lease:
                self._gone(worker, "was not heard for a whole lease")
            elif silent > self.policy.suspicion and (worker.asked is None or now.mono - worker.asked > self.policy.resend):
                worker.asked = now.mono
                self._effects.append(Send(worker.info.id, Ping()))
        if self.draining:
            self._drain_on()
        return self._taken()

    def _tell_silence(self, now: Now) -> None:
        """Say that the server is silent, here and to the workers; here again every minute."""
        silent = self._silence.seconds(now.mono)
        if silent < SILENT_SECONDS:
            return
        if not self._silence.is_told:
            self._tell_workers_of_silence(silent)
        if self._silence.is_due(now.mono):
            self._effects.append(LogEvent("server-silent", {"seconds": silent, "connected": not self.cut_off}))

    def _tell_workers_of_silence(self, seconds: float) -> None:
        self._effects += [Send(worker, Renewed(sent=0.0, seconds=0.0, silent=seconds)) for worker in self.workers]

    def drain(self, reason: str, now: Now) -> list[Effect]:
        """Take nothing new, and leave once the workers have nothing left to do or say."""
        self._begin_draining(reason)
        return self._taken()

    def beats_due(self, stats: Callable[[], Stats], refused: int, now: Now) -> Beats | None:
        """Return the manager's own heartbeat with its workers' since the last one, if it is time for it. *refused*: how
        often it has refused anything."""
        if now.mono - self._beat < self._server_heartbeat:
            return None
        self._beat = now.mono
        return self._beats_of_now(stats(), refused, now)

    def beats_to_pass_on(self, refused: int, now: Now) -> Beats | None:
        """Return, between two heartbeats of the manager's own, what its workers beat, if it is time for it: so one that is dead
        is missed soon."""
        if not self._beats or now.mono - self._passed_on < self._server_heartbeat / _PASSED_ON:
            return None
        return self._beats_of_now(None, refused, now)

    def _beats_of_now(self, stats: Stats | None, refused: int, now: Now) -> Beats:
        self._passed_on = now.mono
        self._sequence += 1
        beats = tuple(self._beats.values())
        self._beats.clear()
        return Beats(
            manager=self.hello.node,
            incarnation=self.hello.incarnation,
            sequence=self._sequence,
            stats=stats,
            workers=beats,
            refused=refused,
        )

    def farewell(self) -> list[Effect]:
        """Leave on purpose. The workers are told, so that those that know another manager turn to it at once."""
        self._effects += [Send(worker, Bye(reason="was stopped")) for worker in self.workers]
        self._effects.append(SendUp(Bye(reason=self.draining or "was stopped")))
        return self._taken()

    # --- from below ---------------------------------------------------------------------------------------------------

    def _hello(self, peer: Peer, hello: Hello, now: Now) -> None:
        if hello.role != "worker" or hello.worker is None or hello.worker.id != hello.node:
            reason = "This is a manager; managers connect to a server (default port 9999), see --server"
            self._effects.append(Reply(peer.route, Refused(reason=reason)))
            return
        if peer.bound and peer.bound != hello.node:
            self._effects.append(Reply(peer.route, Refused(reason=FOREIGN_KEY)))
            return
        known = self.workers.get(hello.node)
        if known is not None and known.info.registration > hello.worker.registration:
            return  # a word of an earlier process of that worker, or of an earlier turn to this manager, come late
        worker = ManagedWorker(
            hello.worker, heard=now.mono, beat=now.mono, held=dict.fromkeys(hello.held, now.mono), proof=hello.proof
        )
        if known is not None and known.info.incarnation == hello.incarnation:
            worker.held = known.held | worker.held
            worker.ends = known.ends
            worker.standing, worker.reason = known.standing, known.reason
        self.workers[hello.node] = worker
        if known is None or known.info.incarnation != hello.incarnation:
            self._effects.append(LogEvent("worker-joined", {"worker": hello.node, "name": hello.name, "host": hello.host}))
        welcome = Welcome(
            node=self.hello.node,
            name=self.hello.name,
            software=self.hello.software,
            heartbeat_seconds=self.policy.heartbeat,
            lease_seconds=self.policy.lease,
        )
        self._effects += [
            Bind(peer.route, hello.node, "worker"),
            Reply(peer.route, welcome),
        ]
        self._register(worker, now)

    def _renew(self, peer: Peer, renew: Renew, now: Now) -> None:
        """Renew the lease of a worker: never for longer than what is left of the manager's own, and not before the server has
        confirmed the worker's registration, since it may have given up the worker and given its work to another."""
        worker = self.workers[peer.node]
        own = self.lease_until - now.mono if worker.confirmed is not None else 0.0
        seconds = max(0.0, min(self.policy.lease, own))
        worker.standing, worker.reason = renew.standing, renew.reason
        if renew.held is not None:
            worker.compare_held(renew.held, now.mono, self.policy.suspicion)
        silent = self._silence.seconds(now.mono) if self._silence.is_told else 0.0
        renewed = Renewed(sent=renew.sent, seconds=seconds, term=worker.term, attempts=worker.confirmed, silent=silent)
        self._effects.append(Reply(peer.route, renewed))

    def _pong(self, peer: Peer, pong: Pong, now: Now) -> None:
        """Being heard is all that it is for."""

    def _bye(self, peer: Peer, bye: Bye, now: Now) -> None:
        self._gone(self.workers[peer.node], bye.reason or "was stopped")

    def _pass_up(self, peer: Peer, message: Message, now: Now) -> None:
        self._effects.append(SendUp(message))

    def _stands(self, peer: Peer, message: Stands, now: Now) -> None:
        worker = self.workers[peer.node]
        worker.standing, worker.reason = message.standing, message.reason
        self._effects.append(SendUp(message))

    def _gone_below(self, peer: Peer, message: Gone, now: Now) -> None:
        worker = self.workers[peer.node]
        for attempt in message.attempts:
            worker.held.pop(attempt, None)
        self._effects.append(SendUp(message))

    def _reports(self, peer: Peer, message: Reports, now: Now) -> None:
        self.workers[peer.node].reported(message.reports)
        self._effects.append(SendUp(message))

    # --- from above ---------------------------------------------------------------------------------------------------

    def _welcome(self, welcome: Welcome, now: Now) -> None:
        self.welcomed = True
        self._server_lease, self._server_heartbeat = welcome.lease_seconds, welcome.heartbeat_seconds
        self._effects.append(LogEvent("joined", {"name": welcome.name}))
        # The server may have given up this manager's workers meanwhile: all are registered again.
        for worker in self.workers.values():
            self._register(worker, now)
        self._renew_above(now)

    def _refused(self, refused: Refused, now: Now) -> None:
        self._effects.append(Exit(error=f"The server refused this manager: {refused.reason}"))

    def _who_are_you(self, message: WhoAreYou, now: Now) -> None:
        self._say_hello(now)

    def _say_hello(self, now: Now) -> None:
        self.welcomed = False
        self._said_hello = now.mono
        self._effects.append(SendUp(self.hello))

    def _ping(self, ping: Ping, now: Now) -> None:
        self._effects.append(SendUp(Pong()))

    def _lease(self, renewed: Renewed, now: Now) -> None:
        if not self.welcomed:
            return  # the server may have given up its workers: no lease for them before they are registered again
        self.lease_until = max(self.lease_until, renewed.sent + renewed.seconds)

    def _grants(self, message: Grants, now: Now) -> None:
        orders = {order.job: order for order in message.orders}
        by_worker: dict[str, list[Grant]] = {}
        for grant in message.grants:
            by_worker.setdefault(grant.worker, []).append(grant)
        for worker_id, grants in by_worker.items():
            worker = self.workers.get(worker_id)
            if worker is None:
                self._not_here(worker_id, now)
                continue
            # Grants for an earlier registration came late: what the server counts now, it has confirmed or sends again.
            current = tuple(grant for grant in grants if grant.term == worker.term)
            if len(current) < len(grants) and now.mono - worker.joined > self.policy.resend:
                self._join(worker, now)  # or the server still counts that one: the later one was overtaken on its way
            if current:
                worker.held |= {grant.attempt: now.mono for grant in current}
                jobs = {grant.job for grant in current}
                needed = tuple(order for job, order in orders.items() if job in jobs)
                self._effects.append(Send(worker_id, Grants(grants=current, orders=needed)))

    def _acks(self, message: Acks, now: Now) -> None:
        worker = self.workers.get(message.worker)
        if worker is None:
            self._not_here(message.worker, now)
            return
        worker.acknowledged(message.acks)
        self._effects.append(Send(message.worker, message))

    def _confirm(self, message: Confirm, now: Now) -> None:
        worker = self.workers.get(message.worker)
        if worker is not None and worker.term == message.term:
            worker.confirmed = message.attempts

    def _pass_down(self, message: Recall | Cancel | Look | LogWanted | LogFrom, now: Now) -> None:
        if message.worker in self.workers:
            self._effects.append(Send(message.worker, message))
        else:
            self._not_here(message.worker, now)

    def _drain(self, message: Drain, now: Now) -> None:
        if message.worker:
            self._effects.append(Send(message.worker, message))
        else:
            self._again = message.again
            self._begin_draining(message.reason or "it was asked to")

    def _log_from(self, message: LogFrom, now: Now) -> None:
        if message.worker:
            self._pass_down(message, now)
        else:
            self._effects.append(SetLogLevel(message.level))

    def _admitted(self, message: Admitted, now: Now) -> None:
        """Workers whose keys are not admitted any more are gone, whatever they say."""
        gone = self._keys.take(message)
        if gone is None:
            self._say_hello(now)  # something was lost on the way: the answer brings the whole list
            return
        self._effects.append(AdmitKeys(tuple(self._keys.by_id.values())))
        for node in gone:
            if (worker := self.workers.get(node)) is not None:
                self._effects.append(Send(node, Refused(reason=JOIN_AGAIN)))
                self._gone(worker, "is not admitted any more")

    def _moved(self, message: Moved, now: Now) -> None:
        """The worker is with another manager now, and none of this one's concern, unless that is late word and it is back."""
        worker = self.workers.get(message.worker)
        if worker is not None and message.term in ("", worker.term):
            del self.workers[message.worker]
            self._effects.append(LogEvent("worker-moved", {"worker": message.worker, "name": worker.info.name}))
            self._beats.pop(message.worker, None)
            self._effects.append(Unbind(message.worker))

    def _not_here(self, worker: str, now: Now) -> None:
        """Tell the server that a worker is gone: its farewell was lost on the way. For one lease after its own start a manager
        calls nobody gone, since workers that it had before still hold theirs and come back."""
        if self._began is None or now.mono - self._began < self._server_lease:
            return
        self._effects.append(SendUp(Left(worker=worker, reason="is not with its manager any more", term=self._last_term)))

    # --- inside -------------------------------------------------------------------------------------------------------

    def _drain_on(self) -> None:
        """Leave when nothing is held any more."""
        if not self._left and not any(worker.held for worker in self.workers.values()):
            self._left = True
            self._effects.append(Exit(again=self._again))

    def _begin_draining(self, reason: str) -> None:
        if not self.draining:
            self.draining = reason
            stands = Stands(incarnation=self.hello.incarnation, standing=Standing.DRAINING, reason=reason)
            self._effects.append(SendUp(stands))

    @property
    def _last_term(self) -> str:
        """The term that was given last. Later terms of one manager sort after earlier ones."""
        return f"{self.hello.node}.{self.hello.incarnation:010d}.{self._terms:010d}"

    def _register(self, worker: ManagedWorker, now: Now) -> None:
        """Give *worker* a new term, and tell the server of it."""
        self._terms += 1
        worker.term = self._last_term
        worker.confirmed = None
        self._join(worker, now)

    def _join(self, worker: ManagedWorker, now: Now) -> None:
        worker.joined = now.mono
        self._effects.append(
            SendUp(Joined(worker=worker.info, term=worker.term, held=tuple(sorted(worker.held)), proof=worker.proof))
        )

    def _renew_above(self, now: Now) -> None:
        self._renewed = now.mono
        known = tuple(id for id, worker in self.workers.items() if worker.confirmed is not None)
        closed = tuple(
            (id, worker.standing, worker.reason)
            for id, worker in self.workers.items()
            if worker.standing is not Standing.OPEN or worker.reason
        )
        standing = Standing.DRAINING if self.draining else Standing.OPEN
        self._effects.append(SendUp(Renew(sent=now.mono, standing=standing, reason=self.draining, workers=known, closed=closed)))

    def _gone(self, worker: ManagedWorker, reason: str) -> None:
        del self.workers[worker.info.id]
        self._effects.append(
            LogEvent("worker-left", {"worker": worker.info.id, "name": worker.info.name, "reason": why_gone(reason)})
        )
        self._beats.pop(worker.info.id, None)
        self._effects += [Unbind(worker.info.id), SendUp(Left(worker=worker.info.id, reason=reason, term=self._last_term))]

    def _taken(self) -> list[Effect]:
        effects, self._effects[:] = list(self._effects), []
        return effects
