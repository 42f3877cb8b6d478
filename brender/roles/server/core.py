"""The server's core: every message that the server understands, who may send it, and what follows from it. Pure.

`handle` and `tick` return effects; the loop (brender.roles.server.loop) carries them out. No socket, no database, no
clock and no chance in here: time comes in with each call, ids from the function that the core is given.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from brender.bus.messages import (
    Act,
    AnyMessage,
    Beats,
    Bye,
    Done,
    Gone,
    Hello,
    Joined,
    Left,
    Message,
    Ping,
    Pong,
    Progress,
    Received,
    Refused,
    Renew,
    Renewed,
    Reports,
    Sorry,
    Submit,
    Welcome,
    WhoAreYou,
)
from brender.model.changes import Put, Update
from brender.model.errors import BadInput, BrenderError
from brender.model.nodes import Stats
from brender.model.status import ENDED_JOB, ManagerStatus, WorkerStatus
from brender.roles.effects import Bind, Effect, Now, Peer, Publish, Record, Reply, Send, Unbind
from brender.roles.policy import Policy
from brender.roles.server.dispatch import Dispatch
from brender.roles.server.jobs import Jobs, Selection, check_priority
from brender.roles.server.state import Farm, ManagerState, TaskState, WorkerState
from brender.roles.server.stats import StatsRecorder
from brender.roles.server.work import Work

_ANYBODY = frozenset({"", "manager"})
_MANAGER = frozenset({"manager"})


class ServerCore:
    """Give it what arrives, with the time; do what it says."""

    def __init__(self, node: str, name: str, software: str, policy: Policy, new_id: Callable[[], str], farm: Farm) -> None:
        self.node = node
        self.name = name
        self.software = software
        self.policy = policy
        self.farm = farm
        self._effects: list[Effect] = []
        self.stats = StatsRecorder(policy)
        self.jobs = Jobs(farm, policy, self._effects.append)
        self.work = Work(farm, policy, self.jobs, self._effects.append)
        self.dispatch = Dispatch(farm, policy, self.jobs, self._effects.append, new_id)
        # Who may send what: the one table. "" is a client, or anybody who has not said hello.
        self._table: dict[type[Message], tuple[frozenset[str], Callable[[Peer, Any, Now], None]]] = {
            Hello: (_ANYBODY, self._hello),
            Submit: (_ANYBODY, self._submit),
            Renew: (_MANAGER, self._renew),
            Pong: (_MANAGER, self._pong),
            Bye: (_MANAGER, self._bye),
            Joined: (_MANAGER, self._joined),
            Left: (_MANAGER, self._left),
            Received: (_MANAGER, self._received),
            Gone: (_MANAGER, self._gone),
            Reports: (_MANAGER, self._reports),
            Progress: (_MANAGER, self._progress),
        }

    def handle(self, peer: Peer, message: AnyMessage, now: Now) -> list[Effect]:
        """What follows from *message*. A message that its sender may not send is answered, never obeyed."""
        allowed, handler = self._table.get(type(message), (frozenset(), None))
        if handler is None or peer.role not in allowed:
            self._effects.append(Reply(peer.route, WhoAreYou()))
        else:
            if peer.node in self.farm.managers:
                self._heard(self.farm.managers[peer.node], now)
            handler(peer, message, now)
        return self._taken()

    def act(self, peer: Peer, message: Act, selection: Selection | None, now: Now) -> list[Effect]:
        """Carry out what a person asks of a job that is in mind. *selection*: what the record says a requeue means."""
        job = self.farm.jobs[message.target]
        try:
            match message.action:
                case "pause":
                    self.jobs.pause(job, now, message.user)
                case "resume":
                    self.jobs.resume(job, now, message.user)
                case "cancel":
                    self.jobs.cancel(job, now, message.user)
                case "priority":
                    self.jobs.priority(job, check_priority(message.value), now, message.user)
                case "requeue":
                    assert selection is not None, "the loop looks up what a requeue selects"
                    self.jobs.requeue(job, selection, now, message.user)
            answer: Message = Done(id=message.id, data={"id": job.id, "status": str(job.status)})
        except BrenderError as error:
            answer = Sorry(id=message.id, code=error.code, message=str(error))
        if job.status in ENDED_JOB and not job.live:
            self.farm.jobs.pop(job.id, None)
        self._effects.append(Reply(peer.route, answer))
        return self._taken()

    def beats(self, message: Beats, now: Now) -> list[Effect]:
        """A manager's heartbeat, with those of its workers: signs of life, and news for whoever watches."""
        manager = self.farm.managers.get(message.manager)
        if manager is None or manager.incarnation != message.incarnation:
            return self._taken()
        manager.beat = now.mono
        self._beat("manager", manager.id, manager.name, message.sequence, message.stats, now)
        for beat in message.workers:
            if beat.node in manager.workers:
                name = self.farm.workers[beat.node].info.name
                self._beat("worker", beat.node, name, beat.sequence, beat.stats, now)
        return self._taken()

    def tick(self, now: Now) -> list[Effect]:
        """What time alone brings: plans, grants, suspicions, losses."""
        for manager in list(self.farm.managers.values()):
            silent = now.mono - max(manager.heard, manager.beat)
            if now.mono - manager.heard > self.policy.lease:
                self._manager_gone(manager, "was not heard for a whole lease", now)
            elif silent > self.policy.suspicion and (manager.asked is None or now.mono - manager.asked > self.policy.resend):
                manager.asked = now.mono
                self._effects.append(Send(manager.id, Ping()))
        self.jobs.plan()
        self.dispatch.dispatch(now)
        self.dispatch.explain_waiting(now)
        return self._taken()

    def feed(self, job: str, tasks: list[TaskState], after: int, now: Now) -> list[Effect]:
        """The record's answer to `LoadTasks`."""
        self.jobs.feed(job, tasks, after, now)
        return self._taken()

    def restored(self, now: Now) -> list[Effect]:
        """After a start from the record: nobody is declared lost for one whole lease."""
        for manager in self.farm.managers.values():
            manager.heard = manager.beat = now.mono
        return self._taken()

    # --- managers and workers -----------------------------------------------------------------------------------------

    def _hello(self, peer: Peer, hello: Hello, now: Now) -> None:
        if hello.role != "manager":
            reason = "This is a server; workers connect to a manager (default port 7777), see --manager"
            self._effects.append(Reply(peer.route, Refused(reason=reason)))
            return
        known = self.farm.managers.get(hello.node)
        if known is not None and known.incarnation > hello.incarnation:
            return  # a word of an earlier process of that manager, come late
        manager = ManagerState(hello.node, hello.incarnation, hello.name, heard=now.mono, beat=now.mono)
        if known is not None:
            manager.workers = known.workers
        self.farm.managers[hello.node] = manager
        fields = {
            "incarnation": hello.incarnation,
            "name": hello.name,
            "host": hello.host,
            "address": hello.address,
            "software": hello.software,
            "pid": hello.pid,
            "status": ManagerStatus.ONLINE,
            "reason": "",
            "last_seen": now.wall,
        }
        self._effects += [
            Bind(peer.route, hello.node, "manager"),
            Record(Put("manager", hello.node, fields)),
            Reply(
                peer.route,
                Welcome(
                    node=self.node,
                    name=self.name,
                    software=self.software,
                    heartbeat_seconds=self.policy.heartbeat,
                    lease_seconds=self.policy.lease,
                ),
            ),
        ]
        if known is None:
            self.jobs.note(now, "manager-joined", f"the manager {hello.name} joined")

    def _renew(self, peer: Peer, renew: Renew, now: Now) -> None:
        if not set(renew.workers) <= self.farm.managers[peer.node].workers:
            # It has workers that are not known to be there: ask it to introduce itself, and them, again.
            self._effects.append(Reply(peer.route, WhoAreYou()))
        self._effects.append(Reply(peer.route, Renewed(sent=renew.sent, seconds=self.policy.lease)))

    def _pong(self, peer: Peer, pong: Pong, now: Now) -> None:
        """Being heard is all that it is for."""

    def _bye(self, peer: Peer, bye: Bye, now: Now) -> None:
        self._manager_gone(self.farm.managers[peer.node], bye.reason or "was stopped", now)

    def _joined(self, peer: Peer, joined: Joined, now: Now) -> None:
        info = joined.worker
        known = self.farm.workers.get(info.id)
        if known is not None and known.info.incarnation > info.incarnation:
            return  # a word of an earlier process of that worker, come late
        if known is not None and known.manager == peer.node and known.term > joined.term:
            return  # an earlier registration, overtaken by a later one
        if known is not None and known.manager != peer.node and known.manager in self.farm.managers:
            self.farm.managers[known.manager].workers.discard(info.id)
        worker = WorkerState(info, manager=peer.node, term=joined.term)
        if known is not None:
            worker.attempts = known.attempts
        else:
            self.jobs.note(now, "worker-joined", f"the worker {info.name} joined", worker=info.id)
        self.farm.workers[info.id] = worker
        self.farm.managers[peer.node].workers.add(info.id)
        fields = {
            "incarnation": info.incarnation,
            "name": info.name,
            "host": info.host,
            "manager": peer.node,
            "status": WorkerStatus.IDLE,
            "reason": "",
            "platform": info.platform,
            "software": info.software,
            "pid": info.pid,
            "cores": info.cores,
            "memory": info.memory,
            "blenders": [{"kind": b.kind, "path": b.path, "version": ".".join(map(str, b.version))} for b in info.blenders],
            "tags": sorted(info.tags),
            "job_types": sorted(info.job_types),
            "attempt": "",
            "job": "",
            "frame": None,
            "fraction": 0.0,
            "line": "",
            "last_seen": now.wall,
        }
        self._effects.append(Record(Put("worker", info.id, fields)))
        self.work.reconcile(worker, joined.held, now)

    def _left(self, peer: Peer, left: Left, now: Now) -> None:
        worker = self.farm.workers.get(left.worker)
        if worker is not None and worker.manager == peer.node:
            self._worker_gone(worker, left.reason, now)

    def _manager_gone(self, manager: ManagerState, reason: str, now: Now) -> None:
        for worker_id in sorted(manager.workers):
            if worker := self.farm.workers.get(worker_id):
                self._worker_gone(worker, f"its manager {manager.name} {reason}", now)
        del self.farm.managers[manager.id]
        fields = {"status": ManagerStatus.OFFLINE, "reason": reason}
        self._effects += [Record(Update("manager", manager.id, fields)), Unbind(manager.id)]
        self.jobs.note(now, "manager-left", f"the manager {manager.name} {reason}")

    def _worker_gone(self, worker: WorkerState, reason: str, now: Now) -> None:
        for attempt_id in list(worker.attempts):
            self.work.lose(self.farm.attempts[attempt_id], f"the worker {worker.info.name} {reason}", now)
        self.farm.workers.pop(worker.info.id)
        if worker.manager in self.farm.managers:
            self.farm.managers[worker.manager].workers.discard(worker.info.id)
        fields = {"status": WorkerStatus.OFFLINE, "reason": reason, "attempt": "", "job": "", "frame": None, "line": ""}
        self._effects.append(Record(Update("worker", worker.info.id, fields)))
        self.jobs.note(now, "worker-left", f"the worker {worker.info.name} {reason}", worker=worker.info.id)

    def _heard(self, manager: ManagerState, now: Now) -> None:
        manager.heard = now.mono
        manager.asked = None

    def _beat(self, kind: str, node: str, name: str, sequence: int, stats: Stats | None, now: Now) -> None:
        fields: dict[str, Any] = {"sequence": sequence, "name": name, "kind": kind}
        if stats is not None:
            fields["stats"] = msgspec.structs.asdict(stats)
            self._effects += [Record(change) for change in self.stats.seen(kind, node, stats, now)]
        self._effects.append(Publish("stats", node, fields))

    # --- work ---------------------------------------------------------------------------------------------------------

    def _received(self, peer: Peer, received: Received, now: Now) -> None:
        if self._speaks_for(peer, received.worker):
            self.work.received(peer.node, received.worker, received.attempts)

    def _gone(self, peer: Peer, gone: Gone, now: Now) -> None:
        if self._speaks_for(peer, gone.worker):
            self.work.gone(gone.worker, gone.attempts, now)

    def _reports(self, peer: Peer, reports: Reports, now: Now) -> None:
        if self._speaks_for(peer, reports.worker):
            self.work.reports(peer.node, reports.worker, reports.reports, now)

    def _progress(self, peer: Peer, progress: Progress, now: Now) -> None:
        worker = self.farm.workers.get(progress.worker)
        if worker is None or worker.manager != peer.node or progress.attempt not in worker.attempts:
            return
        fields = {"frame": progress.frame, "fraction": progress.fraction, "line": progress.line[:500]}
        self._effects.append(Record(Update("worker", progress.worker, fields)))

    def _speaks_for(self, peer: Peer, worker: str) -> bool:
        """Whether the manager *peer* may speak for *worker*; where it may not it is asked to introduce it."""
        known = self.farm.workers.get(worker)
        if known is not None and known.manager == peer.node:
            return True
        self._effects.append(Reply(peer.route, WhoAreYou()))
        return False

    # --- clients ------------------------------------------------------------------------------------------------------

    def _submit(self, peer: Peer, submit: Submit, now: Now) -> None:
        try:
            answer: Message = Done(id=submit.id, data=self.jobs.submit(submit.job, now))
        except BrenderError as error:
            answer = Sorry(id=submit.id, code=error.code, message=str(error))
        except AssertionError as error:
            answer = Sorry(id=submit.id, code=BadInput.code, message=f"The job does not fit together: {error}")
        self._effects.append(Reply(peer.route, answer))

    def _taken(self) -> list[Effect]:
        effects, self._effects[:] = list(self._effects), []
        return effects
