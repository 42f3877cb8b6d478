"""Managers and workers, in the server's core: who is there, how they stand, what people want of them. Pure."""

import shlex
from math import ceil
from typing import Any

import msgspec

from brender.bus.messages import (
    Beat,
    Beats,
    Drain,
    Hello,
    Joined,
    Moved,
    Ping,
    Refused,
    Renew,
    Renewed,
    Stands,
    Welcome,
    WhoAreYou,
)
from brender.farm.farm import Farm
from brender.farm.nodes import ManagerState, WorkerState
from brender.model.errors import Conflict, NotFound
from brender.model.hooks import EVENTS
from brender.model.keys import KeyRole, Principal
from brender.model.log_events import ON_PURPOSE, why_gone
from brender.model.nodes import GIVEN_BACK, OWNERS_USE, Standing, Stats
from brender.model.power import Phase
from brender.model.status import ManagerStatus, Wanted, WorkerStatus
from brender.model.stuck import is_stuck, stuck_in_words
from brender.model.text import harmless, plural, short_id
from brender.roles.effects import Bind, Now, Peer, Publish, Reply, Send, Unbind
from brender.roles.policy import Policy
from brender.roles.server.activity import ActivityLog
from brender.roles.server.dispatch import Dispatch
from brender.roles.server.jobs import Emit
from brender.roles.server.owner_pauses import said_of_pause
from brender.roles.server.power import Power, reason_of
from brender.roles.server.stats import StatsRecorder
from brender.roles.server.work import Work
from brender.roles.server.worker_settings import WorkerSettings

_MEMORY_NOISE = 256 * 2**20
#: The same of what a worker's own render holds, which is counted in what is reserved for it.
_RENDER_NOISE = 64 * 2**20
_ASKED = "it was asked to finish and leave"
_ASKED_AGAIN = "it was asked to finish and start again"
_LEAVING = (Wanted.DRAINED, Wanted.RESTARTED)


class Nodes:
    """Works on *farm*; *welcome* is what this server answers to a manager's hello."""

    def __init__(
        self,
        farm: Farm,
        policy: Policy,
        activity: ActivityLog,
        work: Work,
        dispatch: Dispatch,
        emit: Emit,
        welcome: Welcome,
        power: Power,
    ) -> None:
        self.farm = farm
        self.policy = policy
        self.activity = activity
        self.work = work
        self.dispatch = dispatch
        self.emit = emit
        self.welcome = welcome
        self.power = power
        self._stats = StatsRecorder(policy)
        self.settings = WorkerSettings(farm, activity, self._look_at)
        self._closed: dict[str, float] = {}

    # --- coming and going ---------------------------------------------------------------------------------------------

    def hello(self, peer: Peer, hello: Hello, now: Now) -> None:
        if hello.role != "manager":
            reason = "This is a server; workers connect to a manager (default port 7777), see --manager"
            self.emit(Reply(peer.route, Refused(reason=reason)))
            return
        known = self.farm.managers.get(hello.node)
        if known is not None and known.incarnation > hello.incarnation:
            return  # a word of an earlier process of that manager, come late
        address = _reachable(hello.address, peer.origin)
        manager = ManagerState(
            hello.node,
            hello.incarnation,
            hello.name,
            heard=now.mono,
            beat=now.mono,
            address=address,
            host=hello.host,
            software=hello.software,
            pid=hello.pid,
            last_seen=now.wall,
        )
        if known is not None:
            manager.workers, manager.stats = known.workers, known.stats
            if known.incarnation == hello.incarnation:
                manager.standing, manager.reason = known.standing, known.reason
        self.farm.managers[hello.node] = self.farm.keep(manager)
        self.farm.joining.joined(hello.node)
        self.farm.remember(manager)
        self._list_again("manager", hello.node)
        self.emit(Bind(peer.route, hello.node, "manager"))
        self.emit(Reply(peer.route, self.welcome))
        if known is None:
            self.activity.note(now, "manager-joined", f"the manager {hello.name} joined")
        self._look_at(manager.workers)

    def expect(self, principal: Principal, now: Now) -> None:
        """Expect the node of *principal*, which showed its key: it says hello once it has looked at its machine."""
        if principal.node in self.farm.workers or principal.node in self.farm.managers:
            return
        joining = {KeyRole.WORKER: self.farm.joining.workers, KeyRole.MANAGER: self.farm.joining.managers}
        if (expected := joining.get(principal.role)) is not None:
            expected[principal.node] = principal.name, now.mono

    def joined(self, peer: Peer, joined: Joined, now: Now) -> None:
        info = joined.worker
        known = self.farm.workers.get(info.id)
        if known is not None and known.info.registration > info.registration:
            if known.manager != peer.node:
                self.emit(Reply(peer.route, Moved(worker=info.id, term=joined.term)))
            return  # a word of an earlier process, or of a manager that it turned away from, come late
        if known is not None and known.manager == peer.node and known.term > joined.term:
            return  # an earlier registration, overtaken by a later one
        if known is not None and known.manager != peer.node and known.manager in self.farm.managers:
            self.farm.managers[known.manager].workers.discard(info.id)
            if known.term:  # else that manager has not told of it since this server started, and is told once it does
                self.emit(Send(known.manager, Moved(worker=info.id, term=known.term)))
        worker = WorkerState(
            self.settings.tagged(info), manager=peer.node, term=joined.term, own_tags=info.tags, last_seen=now.wall
        )
        if known is not None:
            worker.stats = known.stats
            worker.attempts, worker.running, worker.closed_until = known.attempts, known.running, known.closed_until
            if known.info.incarnation == info.incarnation:
                worker.standing, worker.reason = known.standing, known.reason
        else:
            self.activity.note(now, "worker-joined", f"the worker {info.name} joined", worker=info.id)
        self.farm.workers[info.id] = self.farm.keep(worker)
        self.farm.joining.joined(info.id)
        self._list_again("worker", info.id)
        self.farm.managers[peer.node].workers.add(info.id)
        self.power.joined(info, joined.term, now)
        self._look_at({info.id})
        self.work.reconcile(worker, joined.held, now)

    def manager_leaves(self, manager: ManagerState, reason: str, now: Now) -> None:
        """Take a manager's goodbye. Its workers that render something still hold a lease, from it or from its process before, and
        may turn to another manager meanwhile: with what they render they are lost only once that lease must have ended."""
        for worker in [self.farm.workers[each] for each in sorted(manager.workers) if each in self.farm.workers]:
            if not worker.attempts:
                self.worker_gone(worker, f"left with its manager {manager.name}, which {why_gone(reason)}", now)
        if manager.workers:
            manager.farewell = reason
            self._no_longer(_LEAVING, "manager", manager.id)  # its next process is not asked to leave too
            self._manager_stands(manager, Standing.DRAINING, reason, now)
        else:
            self.manager_gone(manager, reason, now)

    def manager_gone(self, manager: ManagerState, reason: str, now: Now) -> None:
        for worker_id in sorted(manager.workers):
            if worker := self.farm.workers.get(worker_id):
                self.worker_gone(worker, f"left with its manager {manager.name}, which {why_gone(reason)}", now)
        del self.farm.managers[manager.id]
        self._no_longer(_LEAVING, "manager", manager.id)
        manager.show(ManagerStatus.OFFLINE, reason)
        self.emit(Unbind(manager.id))
        self.activity.note(now, "manager-left", f"the manager {manager.name} {why_gone(reason)}")

    def worker_gone(self, worker: WorkerState, reason: str, now: Now) -> None:
        for attempt_id in list(worker.attempts):
            self.work.lose(self.farm.attempts[attempt_id], f"the worker {worker.info.name} {why_gone(reason)}", now)
        self.farm.workers.pop(worker.info.id)
        self.farm.changed.add(worker.info.id)
        if worker.manager in self.farm.managers:
            self.farm.managers[worker.manager].workers.discard(worker.info.id)
        self._no_longer(_LEAVING, "worker", worker.info.id)
        self.power.gone(worker, reason.startswith(ON_PURPOSE), now)
        if (sleeper := self.farm.sleepers.get(worker.info.id)) is not None:
            worker.leave(reason_of(sleeper))
            return
        worker.leave(reason)
        if not reason.startswith(ON_PURPOSE):
            text = f"The worker {worker.info.name} {EVENTS['worker-lost']}: it {why_gone(reason)}"
            self.farm.happened("worker-lost", now.wall, worker=worker.info.name, text=text, reason=reason)
        self.activity.note(now, "worker-left", f"the worker {worker.info.name} {why_gone(reason)}", worker=worker.info.id)

    # --- signs of life, and how they stand ----------------------------------------------------------------------------

    def beats(self, message: Beats, now: Now) -> None:
        """A manager's heartbeat, with those of its workers."""
        manager = self.farm.managers.get(message.manager)
        if manager is None or manager.incarnation != message.incarnation:
            return
        manager.beat = now.mono
        manager.refused = message.refused
        self._seen(manager, manager.name, message, now)
        for beat in message.workers:
            if beat.node in manager.workers:
                worker = self.farm.workers[beat.node]
                worker.beat = now.mono
                if beat.stats is not None:
                    held = beat.stats.memory_total - beat.stats.memory_used + beat.stats.render_memory
                    if worker.free is None or held > worker.free + _MEMORY_NOISE:
                        self.farm.changed.add(beat.node)  # more than the noise of a machine at work
                    worker.free = held
                    self.dispatch.note_memory(worker, held - beat.stats.render_memory)
                    self._note_stuck(worker, beat.stats)
                    if abs(beat.stats.render_memory - worker.rendering) > _RENDER_NOISE:
                        worker.rendering = beat.stats.render_memory
                        self.farm.changed.add(beat.node)
                self._seen(worker, worker.info.name, beat, now)

    def stands(self, peer: Peer, message: Stands, now: Now) -> None:
        """A manager or a worker of its says whether it begins anything new."""
        worker = self.farm.workers.get(message.worker)
        if not message.worker:
            self._manager_stands(self.farm.managers[peer.node], message.standing, message.reason, now)
        elif worker is not None and worker.manager == peer.node and worker.info.incarnation == message.incarnation:
            self._worker_stands(worker, message.standing, message.reason, now)

    def renew(self, peer: Peer, renew: Renew, now: Now) -> None:
        """A manager wants its lease renewed, and says how it and its workers stand."""
        manager = self.farm.managers[peer.node]
        self._manager_stands(manager, renew.standing, renew.reason, now)
        closed = {worker: (standing, reason) for worker, standing, reason in renew.closed}
        named = set(renew.workers)
        for worker_id in manager.workers & (named | closed.keys()):  # (of the others it does not know how they stand)
            if worker := self.farm.workers.get(worker_id):
                self._worker_stands(worker, *closed.get(worker_id, (Standing.OPEN, "")), now)
                if worker_id in named:
                    worker.missing_since = None
        is_somebody_missed = self._look_for(sorted(manager.workers - named), now)
        if not named <= manager.workers:
            # It has workers that are not known to be there, and may render what others were given since: no lease for them, until
            # it has introduced itself, and them, again.
            self.emit(Reply(peer.route, WhoAreYou()))
        elif not is_somebody_missed:
            self.emit(Reply(peer.route, Renewed(sent=renew.sent, seconds=self.policy.lease)))

    def _look_for(self, missing: list[str], now: Now) -> bool:
        """Give up the *missing* workers of a manager, which may have started again; return whether any is still missed.

        A manager may have a worker and not name it, where the server's word that it knows the worker was lost. So its lease is
        not renewed once a worker has been missing for ``suspicion`` seconds: a lease later nobody has one from it, and those
        who are still missing are lost.
        """
        is_missed = False
        for worker in [self.farm.workers[each] for each in missing if each in self.farm.workers]:
            if worker.missing_since is None:
                worker.missing_since = now.mono
            elif now.mono - worker.missing_since > self.policy.suspicion + self.policy.lease:
                self.worker_gone(worker, "is not with its manager any more", now)
            else:
                is_missed |= now.mono - worker.missing_since > self.policy.suspicion
        return is_missed

    def tick(self, now: Now) -> None:
        """Suspicions, losses, requests to leave, and every changed worker's row kept true."""
        self.farm.joining.look(now.mono)
        for manager in list(self.farm.managers.values()):
            silent = now.mono - max(manager.heard, manager.beat)
            if now.mono - manager.heard > self.policy.lease:
                self.manager_gone(manager, manager.farewell or "was not heard for a whole lease", now)
                continue
            asks = not manager.farewell and silent > self.policy.suspicion
            if asks and (manager.asked is None or now.mono - manager.asked > self.policy.resend):
                manager.asked = now.mono
                self.emit(Send(manager.id, Ping()))
            self._show_manager(manager)
        self._ask_to_leave(now)
        self._recall_all(self.settings.tick(now), now)
        for worker_id in [each for each, until in self._closed.items() if until <= now.mono]:
            del self._closed[worker_id]
            self.farm.changed.add(worker_id)
        self.show_changed(now)

    def show_changed(self, now: Now) -> None:
        """Keep the rows of changed workers true."""
        for worker_id in self.farm.changed | self.farm.granted:
            if worker := self.farm.workers.get(worker_id):
                self._show(worker, now)
        self.farm.granted.clear()

    def _note_stuck(self, worker: WorkerState, stats: Stats) -> None:
        """Note whether what *worker* renders seems stuck, by the *stats* that it told."""
        attempt = self.farm.attempts.get(worker.running)
        job = self.farm.jobs.get(attempt.job) if attempt is not None else None
        why = ""
        if job is not None and is_stuck(stats.render_silent, stats.render_idle, job.slowest_seconds):
            log, limit = f"brender log {short_id(job.id)}", job.spec.stall_minutes * 60
            why = stuck_in_words(worker.frame, harmless(job.spec.name), log, stats.render_silent, job.slowest_seconds, limit)
        if why != worker.stuck:
            worker.stuck = why
            self.farm.changed.add(worker.info.id)

    # --- what people want of them -------------------------------------------------------------------------------------

    def want(self, kind: str, node: str, name: str, wanted: Wanted | None, now: Now, user: str) -> None:
        """From now on people want *wanted* of *node*, a ``worker`` or ``manager``: ``None``, that it simply works. Raises
        `Conflict` or `NotFound` where that cannot be."""
        present = self.farm.workers.get(node) if kind == "worker" else self.farm.managers.get(node)
        if wanted in _LEAVING and present is None:
            raise NotFound(f"The {kind} {name} is not there, so it has nothing to finish")
        if wanted is Wanted.FORGOTTEN and (until := self._leaves_when(node, now)):
            raise Conflict(f"The {kind} {name} is leaving. It can be forgotten {until}")
        if wanted is Wanted.FORGOTTEN and present is not None:
            raise Conflict(f"The {kind} {name} is there: `brender drain {shlex.quote(name)}` lets it leave first")
        if wanted is None and present is not None and present.standing is Standing.DRAINING:
            raise Conflict(f"The {kind} {name} is leaving already. Start it again once it has left")
        if wanted is Wanted.FORGOTTEN:
            self.power.forget(node)
        if wanted is Wanted.FORGOTTEN and self.farm.wanted.get(node) in (Wanted.DISABLED, Wanted.FORGOTTEN_DISABLED):
            wanted = Wanted.FORGOTTEN_DISABLED
        if wanted is None:
            self.farm.wanted.pop(node, None)
        else:
            self.farm.wanted[node] = wanted
        self.farm.ledger.change(kind, node, {"wanted": wanted or ""})
        if wanted is None:
            self.farm.streaks.readmit(node)
        text = {
            None: "enabled",
            Wanted.DISABLED: "disabled",
            Wanted.DRAINED: "asked to finish and leave",
            Wanted.RESTARTED: "asked to finish and start again",
            Wanted.FORGOTTEN: "forgotten until it joins again",
            Wanted.FORGOTTEN_DISABLED: "forgotten until it joins again, and stays disabled then",
        }[wanted]
        self.activity.note(
            now, text.split()[0], f"the {kind} {name} is {text}", user=user, worker=node if kind == "worker" else ""
        )
        workers = {node} if kind == "worker" else self.farm.managers[node].workers if node in self.farm.managers else set()
        self._look_at(workers)
        if wanted is not None:
            self._recall_all(workers, now)

    # --- inside -------------------------------------------------------------------------------------------------------

    def _seen(self, node: WorkerState | ManagerState, name: str, beat: Beat | Beats, now: Now) -> None:
        """Publish what a node tells with its heartbeat, and how it stands, for monitors that may only listen."""
        status, reason, *_ = node.shown
        fields: dict[str, Any] = {"sequence": beat.sequence, "name": name, "kind": node.kind, "status": status, "reason": reason}
        if isinstance(node, WorkerState):
            fields |= {"manager": node.manager, "job": node.shown[3], "frame": node.frame, "fraction": node.fraction}
        if beat.stats is not None:
            fields["stats"] = msgspec.structs.asdict(beat.stats)
            self._keep_stats(node, beat.stats, now)
        if beat.bus:
            fields["bus"] = beat.bus
        self.emit(Publish("stats", str(node.key), fields))

    def _keep_stats(self, entity: WorkerState | ManagerState, stats: Stats, now: Now) -> None:
        newest, history = self._stats.seen(str(entity.key), stats, now)
        if newest is not None:
            entity.stats, entity.last_seen = newest, now.wall
            entity.touch()
        if history is not None:
            wall, fields = history
            self.farm.ledger.put("stat", (str(entity.key), wall), fields)

    def _worker_stands(self, worker: WorkerState, standing: Standing, reason: str, now: Now) -> None:
        if (worker.standing, worker.reason) != (standing, reason):
            if said := said_of_pause(worker.info.name, worker.reason, reason, standing is Standing.OPEN):
                self.activity.note(now, "pause-here", said, worker=worker.info.id)
            worker.standing, worker.reason = standing, reason
            self._look_at({worker.info.id})

    def _manager_stands(self, manager: ManagerState, standing: Standing, reason: str, now: Now) -> None:
        if (manager.standing, manager.reason) != (standing, reason):
            manager.standing, manager.reason = standing, reason
            self._look_at(manager.workers)
            if standing is not Standing.OPEN:
                self._recall_all(manager.workers, now)

    def _recall_all(self, workers: set[str], now: Now) -> None:
        """Ask back what waits at those of *workers* that are there."""
        for worker in sorted(workers & self.farm.workers.keys()):
            self.dispatch.recall(self.farm.workers[worker], now)

    def _look_at(self, workers: set[str]) -> None:
        self.farm.changed |= workers

    def _ask_to_leave(self, now: Now) -> None:
        for node, wanted in self.farm.wanted.items():
            worker, manager = self.farm.workers.get(node), self.farm.managers.get(node)
            asked = worker or manager
            if wanted in _LEAVING and asked is not None and now.mono - asked.asked_to_leave >= self.policy.resend:
                asked.asked_to_leave = now.mono
                again = wanted is Wanted.RESTARTED
                reason = _ASKED_AGAIN if again else _ASKED
                drain = Drain(worker=node if worker is not None else "", reason=reason, again=again)
                parent = worker.manager if worker is not None else node
                self.emit(Send(parent, drain))

    def _list_again(self, kind: str, node: str) -> None:
        """Let lists name *node* again, which has joined; one that was disabled before it was forgotten is so again."""
        if self.farm.wanted.get(node) is Wanted.FORGOTTEN_DISABLED:
            self.farm.wanted[node] = Wanted.DISABLED
            self.farm.ledger.change(kind, node, {"wanted": Wanted.DISABLED})
        self._no_longer((Wanted.FORGOTTEN,), kind, node)

    def _leaves_when(self, node: str, now: Now) -> str | None:
        """Return when *node*, which is leaving, has left, as the end of a sentence; ``None`` where it is not leaving."""
        worker = self.farm.workers.get(node)
        manager = self.farm.managers.get(node if worker is None else worker.manager)
        if manager is not None and manager.farewell:
            seconds = max(1, ceil(manager.heard + self.policy.lease - now.mono))
            return f"in {plural(seconds, 'second')}, when what it rendered has ended or is given up"
        present = worker or manager
        if present is not None and (present.standing is Standing.DRAINING or self.farm.wanted.get(node) is Wanted.DRAINED):
            return "when what it renders is done and it has left"
        return None

    def _no_longer(self, wishes: tuple[Wanted, ...], kind: str, node: str) -> None:
        if self.farm.wanted.get(node) in wishes:
            del self.farm.wanted[node]
            self.farm.ledger.change(kind, node, {"wanted": ""})

    def _status(self, worker: WorkerState) -> tuple[WorkerStatus, str]:
        manager = self.farm.managers.get(worker.manager)
        wanted = self.farm.wanted.get(worker.info.id)
        if worker.standing is Standing.DRAINING or wanted in _LEAVING:
            return WorkerStatus.DRAINING, worker.reason or _ASKED
        if manager is not None and (manager.standing is Standing.DRAINING or self.farm.wanted.get(manager.id) in _LEAVING):
            return WorkerStatus.DRAINING, f"its manager {manager.name} leaves"
        if wanted is Wanted.DISABLED:
            return WorkerStatus.DISABLED, ""
        if manager is not None and self.farm.wanted.get(manager.id) is Wanted.DISABLED:
            return WorkerStatus.DISABLED, f"its manager {manager.name} is disabled"
        if (why := self.farm.streaks.drained.get(worker.info.id)) is not None:
            return WorkerStatus.ERROR, why
        if (sleeper := self.farm.sleepers.get(worker.info.id)) is not None:
            is_waking = sleeper.phase is Phase.WAKING
            return WorkerStatus.PAUSED if is_waking else WorkerStatus.FALLING_ASLEEP, reason_of(sleeper)
        if (until := self.farm.asleep.get(worker.info.id)) is not None:
            is_given_back = worker.info.id in self.farm.paused
            return WorkerStatus.PAUSED, f"{GIVEN_BACK}{until}" if is_given_back else f"it sleeps until {until}"
        if worker.standing is Standing.PAUSED:
            is_well = worker.reason.startswith(OWNERS_USE)
            return WorkerStatus.PAUSED if is_well else WorkerStatus.ERROR, worker.reason
        if worker.sleepless and not worker.reason:
            return (WorkerStatus.BUSY if worker.attempts else WorkerStatus.IDLE), worker.stuck or worker.sleepless
        if worker.stuck:
            return WorkerStatus.BUSY, worker.stuck
        return (WorkerStatus.BUSY if worker.attempts else WorkerStatus.IDLE), worker.reason

    def _show(self, worker: WorkerState, now: Now) -> None:
        """Keep the worker's status and its row true."""
        if worker.running != worker.shown[2]:
            worker.stuck = ""
        status, reason = self._status(worker)
        if worker.closed_until > now.mono:
            self._closed[worker.info.id] = worker.closed_until
        job = self.farm.attempts[worker.running].job if worker.running else ""
        worker.show(status, reason, job)

    def _show_manager(self, manager: ManagerState) -> None:
        wanted = self.farm.wanted.get(manager.id)
        status, reason = ManagerStatus.ONLINE, ""
        if manager.standing is Standing.DRAINING or wanted in _LEAVING:
            status, reason = ManagerStatus.DRAINING, manager.reason or _ASKED
        elif wanted is Wanted.DISABLED:
            status = ManagerStatus.DISABLED
        manager.show(status, reason)


def _reachable(address: str, origin: str) -> str:
    """Return a manager's *address* as others may use it: where it listens on all of its machine's addresses, that by which it
    came here.

    >>> _reachable("0.0.0.0:7777", "10.0.0.7")
    '10.0.0.7:7777'
    """
    host, _, port = address.rpartition(":")
    return f"{origin}:{port}" if host in ("0.0.0.0", "[::]") and origin else address
