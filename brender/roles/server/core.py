"""The server's core: every message that the server understands, who may send it, and what follows from it. Pure.

`handle` and `tick` return effects; the loop (brender.roles.server.loop) carries them out. No socket, no database, no
clock and no chance in here: time comes in with each call, ids from the function that the core is given.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Literal

import msgspec

from brender.bus.messages import (
    Act,
    AnyMessage,
    Beats,
    Bye,
    Done,
    Enrol,
    Gone,
    Hello,
    Joined,
    Left,
    LogFrom,
    LogTold,
    LogWanted,
    Look,
    Manage,
    Message,
    Pong,
    Progress,
    Received,
    Refused,
    Renew,
    Renewed,
    Reports,
    Seen,
    Sorry,
    Stands,
    Submit,
    Welcome,
    WhoAreYou,
)
from brender.farm.farm import Farm
from brender.farm.nodes import ManagerState
from brender.farm.tasks import TaskState
from brender.model.beginning import Beginning
from brender.model.edit import read_edit
from brender.model.errors import BadInput, BrenderError, NotFound
from brender.model.job import check_priority
from brender.model.keys import KeyRole, Principal
from brender.model.log_events import LEVELS
from brender.model.nodes import WorkerInfo
from brender.model.status import Wanted
from brender.roles.effects import FOREIGN_KEY, Accepted, Effect, KeepLog, Now, Peer, Refuse, Reply, Send, SetLogLevel
from brender.roles.policy import Policy
from brender.roles.server.activity import ActivityLog
from brender.roles.server.addons import OF_ADDONS, AddOns
from brender.roles.server.dispatch import Dispatch
from brender.roles.server.editing import Editing, Rendered
from brender.roles.server.hooks import Hooks
from brender.roles.server.jobs import Jobs, Selection
from brender.roles.server.keys import Keys
from brender.roles.server.nodes import Nodes
from brender.roles.server.people import People
from brender.roles.server.planning import Planning
from brender.roles.server.power import Power
from brender.roles.server.projects import Projects
from brender.roles.server.quotas import OF_QUOTAS, Quotas
from brender.roles.server.waits import Waits
from brender.roles.server.work import Work
from brender.roles.server.worker_settings import SAYABLE

_ANYBODY = frozenset({"", "manager"})
_MANAGER = frozenset({"manager"})
_OF_PROJECTS = frozenset({"set-project", "set-path", "unset-path"})
#: The actions that are about a worker or a manager, and what they mean.
NODE_ACTIONS: dict[str, Wanted | None] = {
    "drain": Wanted.DRAINED,
    "restart": Wanted.RESTARTED,
    "disable": Wanted.DISABLED,
    "enable": None,
    "forget": Wanted.FORGOTTEN,
    **dict.fromkeys((*SAYABLE, "log", "log-level", "sleep", "wake")),
}


class ServerCore:
    """Give it what arrives, with the time; do what it says."""

    def __init__(
        self,
        node: str,
        name: str,
        software: str,
        policy: Policy,
        new_attempt_id: Callable[[], str],
        farm: Farm,
        master: str = "",
        host: str = "",
    ) -> None:
        """*master*: the secret that workers' proofs are made of (`Keys`); *host*: what the server's machine is called."""
        self.policy = policy
        self.farm = farm
        self._ticked = float("-inf")
        self._effects: list[Effect] = []
        emit = self._effects.append
        welcome = Welcome(node=node, name=name, software=software, heartbeat_seconds=policy.heartbeat, lease_seconds=policy.lease)
        self.activity = ActivityLog(farm, emit)
        self.jobs = Jobs(farm, self.activity, emit)
        self.planning = Planning(farm, policy, self.jobs, emit)
        self.dispatch = Dispatch(farm, policy, self.jobs, emit, new_attempt_id)
        self.editing = Editing(farm, self.jobs, self.activity, emit, self.dispatch.recall_job)
        self.waits = Waits(farm, policy, self.jobs, self.dispatch)
        self.work = Work(farm, policy, self.activity, self.jobs, self.dispatch, emit)
        self.power = Power(farm, policy, self.activity, emit, self.dispatch.roster, host)
        self.dispatch.explanations.woken_for = self.power.waits_for
        self.dispatch.explanations.see_new_jobs = self.power.see_new_jobs
        self.nodes = Nodes(farm, policy, self.activity, self.work, self.dispatch, emit, welcome, self.power)
        self.projects = Projects(farm, self.activity, emit)
        self.addons = AddOns(farm, self.activity)
        self.quotas = Quotas(farm, self.activity)
        self.people = People(farm, self.activity, emit, policy.hook_programs, policy.sign_in_days)
        self.hooks = Hooks(farm, self.activity, emit)
        self.keys = Keys(farm, self.activity, self.nodes, emit, master)
        # Who is to have said hello for what; "" is a client, or anybody who has not. (Which keys may say it: brender.bus.rights.)
        self._table: dict[type[Message], tuple[frozenset[str], Callable[[Peer, Any, Now], None]]] = {
            Hello: (_ANYBODY, self._hello),
            Submit: (_ANYBODY, self._submit),
            Look: (_ANYBODY, self.projects.look),
            Seen: (_MANAGER, self._seen),
            LogTold: (_MANAGER, self._log_told),
            Renew: (_MANAGER, self.nodes.renew),
            Pong: (_MANAGER, self._pong),
            Bye: (_MANAGER, self._bye),
            Stands: (_MANAGER, self.nodes.stands),
            Joined: (_MANAGER, self._joined),
            Left: (_MANAGER, self._left),
            Received: (_MANAGER, self._received),
            Gone: (_MANAGER, self._gone),
            Reports: (_MANAGER, self._reports),
            Progress: (_MANAGER, self._progress),
        }

    def handle(self, peer: Peer, message: AnyMessage, now: Now) -> list[Effect]:
        """Take *message*. A message that its sender may not send is answered, never obeyed."""
        self.activity.by = peer
        allowed, handler = self._table.get(type(message), (frozenset(), None))
        if handler is None or peer.role not in allowed:
            self._effects.append(Reply(peer.route, WhoAreYou()))
        else:
            if peer.node in self.farm.managers:
                self._heard(self.farm.managers[peer.node], now)
            handler(peer, message, now)
        return self._taken()

    def keep_alive(self, peer: Peer, message: Renew | Pong, now: Now) -> list[Effect]:
        """While nothing can be recorded: hear a manager, and renew its lease. Nothing that has a row is changed."""
        manager = self.farm.managers.get(peer.node)
        if manager is None:
            return []
        self._heard(manager, now)
        if isinstance(message, Renew) and set(message.workers) <= manager.workers:
            return [Reply(peer.route, Renewed(sent=message.sent, seconds=self.policy.lease))]
        return []

    def act(
        self,
        peer: Peer,
        message: Act,
        selection: Selection | None,
        now: Now,
        beginning: Beginning | None,
        rendered: Rendered,
    ) -> list[Effect]:
        """Carry out what a person asks of a job that is in memory. *selection*: what the record says a requeue means;
        *beginning*: when it is to begin, with the jobs that it waits for looked up; *rendered* counts, of the frames that an edit
        takes out of the job, those that are."""
        self.activity.by = peer
        job = self.farm.jobs[message.target]
        user = self._user(peer, message)
        try:
            match message.action:
                case "pause":
                    self.jobs.pause(job, now, user)
                    self.dispatch.recall_job(job, now)
                case "resume":
                    self.jobs.resume(job, now, user)
                case "cancel":
                    self.jobs.cancel(job, now, user)
                case "priority":
                    self.jobs.priority(job, check_priority(message.value), now, user)
                case "when":
                    assert beginning is not None, "the round looks up what it waits for"
                    self.jobs.wait_otherwise(job, beginning, now, user)
                case "edit":
                    self.editing.edit(job, read_edit(message.value), now, user, rendered)
                case "readmit":
                    self.jobs.readmit(job, None if message.value is None else str(message.value), now, user)
                case "requeue":
                    assert selection is not None, "the loop looks up what a requeue selects"
                    self.jobs.requeue(job, selection, now, user)
                case "delete":
                    self.jobs.delete(job, str(message.value), now, user)
            answer: Message = Done(id=message.id, data={"id": job.id, "status": str(job.status)})
        except BrenderError as error:
            answer = Sorry(id=message.id, code=error.code, message=str(error))
        self.farm.forget_if_over(job)
        self._effects.append(Reply(peer.route, answer))
        return self._taken()

    def act_on_node(
        self, peer: Peer, message: Act, kind: str, name: str, now: Now, absent: WorkerInfo | None = None
    ) -> list[Effect]:
        """Carry out what a person asks of the worker or manager (*kind*) whose id is the message's target. *absent*: how a worker
        that is not there introduced itself."""
        self.activity.by = peer
        user = self._user(peer, message)
        try:
            if message.action == "log":
                self._want_log(message.target, name)
            elif message.action == "log-level":
                self._set_log_level(kind, message.target, name, message.value, now, user)
            elif message.action in ("sleep", "wake"):
                if kind != "worker":
                    raise BadInput(f"{name} is a manager: workers sleep, and are woken")
                if message.action == "sleep":
                    self.power.sleep(message.target, name, now, user)
                else:
                    self.power.wake(message.target, name, now, user, absent)
            elif message.action not in SAYABLE:
                self.nodes.want(kind, message.target, name, NODE_ACTIONS[message.action], now, user)
            elif kind == "worker":
                self.nodes.settings.say(message.action, message.target, name, message.value, now, user)
            else:
                raise BadInput(f"{name} is a manager: only workers have {message.action}")
            data = {"id": message.target, "kind": kind, "name": name, "wanted": self.farm.wanted.get(message.target, "")}
            answer: Message = Done(id=message.id, data=data)
        except BrenderError as error:
            answer = Sorry(id=message.id, code=error.code, message=str(error))
        self._effects.append(Reply(peer.route, answer))
        return self._taken()

    def _want_log(self, worker: str, name: str) -> None:
        known = self.farm.workers.get(worker)
        if known is None:
            raise NotFound(f"{name} is not there now, so it cannot be asked for its log")
        self._effects.append(Send(known.manager, LogWanted(worker=worker)))

    def _set_log_level(self, kind: str, node: str, name: str, value: object, now: Now, user: str) -> None:
        """Have a node log from the level *value* on. Raises `BadInput` or `NotFound`."""
        level = _level(value)
        worker = self.farm.workers.get(node)
        if worker is None and node not in self.farm.managers:
            raise NotFound(f"The {kind} {name} is not there now, so nothing can be said to it")
        to, about = (node, "") if worker is None else (worker.manager, node)
        self._effects.append(Send(to, LogFrom(worker=about, level=level)))
        self.activity.note(now, "log-level", f"the {kind} {name} logs from {level} on", user=user, worker=about)

    def _set_own_log_level(self, value: object, now: Now) -> dict[str, str]:
        """Log from the level *value* on. Raises `BadInput`."""
        level = _level(value)
        self._effects.append(SetLogLevel(level))
        self.activity.note(now, "log-level", f"the server logs from {level} on")
        return {"level": level}

    def manage(self, peer: Peer, message: Manage, fresh: str, now: Now) -> list[Effect]:
        """Carry out what an admin asks of keys, tokens, projects, paths and users; *fresh*: new randomness (`Keys.manage`)."""
        self.activity.by = peer if peer.user else replace(peer, user=message.user)
        try:
            if message.what in OF_ADDONS:
                told: Any = self.addons.manage(message, now)
            elif message.what in OF_QUOTAS:
                told = self.quotas.manage(message, now)
            elif message.what == "server-log-level":
                told = self._set_own_log_level(message.arguments.get("level"), now)
            elif message.what == "test-hook":
                told = self.hooks.test(message, now)
            elif message.what in _OF_PROJECTS:
                told = self.projects.manage(message, now)
            elif self.people.does(message.what):
                told = self.people.manage(message, fresh, now)
            else:
                told = self.keys.manage(message, fresh, now)
            answer: Message = Done(id=message.id, data=told)
        except BrenderError as error:
            answer = Sorry(id=message.id, code=error.code, message=str(error))
        self._effects.append(Reply(peer.route, answer))
        return self._taken()

    def admit_local(self, peer: Peer, message: Manage, fresh: str, now: Now) -> tuple[Principal, list[Effect]]:
        """Admit a node of the server's own machine, as an admin asks. Raises `BrenderError`."""
        self.activity.by = peer
        principal = self.keys.admit_local(message.arguments, fresh, now)
        self.nodes.expect(principal, now)
        return principal, self._taken()

    def admit_own(self, public: str, role: KeyRole, fresh: str, now: Now) -> list[Effect]:
        """Have the key *public* of the server's own data folder admitted, as one of that *role*."""
        self.keys.admit_own(public, role, fresh, now)
        return self._taken()

    def enrol(self, peer: Peer, public: str, message: Enrol, fresh: str, now: Now) -> tuple[Principal, list[Effect]]:
        """Admit the key *public*, where what it shows is good. Raises `BrenderError`, in words for the asker."""
        self.activity.by = peer
        principal = self.keys.enrol(public, message, fresh, now)
        self.nodes.expect(principal, now)
        return principal, self._taken()

    def deleted(self, job: str, fields: Mapping[str, Any] | None, now: Now) -> list[Effect]:
        """Take what came of the deletion of *job* (`Jobs.deleted`)."""
        self.activity.by = None
        self.jobs.deleted(job, fields, now)
        return self._taken()

    def retire(self, jobs: Mapping[str, tuple[str, str]], now: Now) -> list[Effect]:
        """Delete these ended jobs, by their ids, each with what of it is to go (`Jobs.delete`) and its output folder: nobody
        keeps them any longer."""
        self.activity.by = None
        for job, (what, folder) in jobs.items():
            self.jobs.retire(job, what, folder, now)
        return self._taken()

    def delivered(self, id: str, hook: str, tries: int, why_not: str, is_over: bool, now: Now) -> list[Effect]:
        """Note what came of a delivery of a hook (`Hooks.delivered`)."""
        self.activity.by = None
        self.hooks.delivered(id, hook, tries, why_not, is_over, now)
        return self._taken()

    def powered(self, machine: str, verb: str, why_not: str, now: Now) -> list[Effect]:
        """Note what came of a command that puts a machine to sleep or wakes it (`Power.powered`)."""
        self.activity.by = None
        self.power.powered(machine, verb, why_not, now)
        return self._taken()

    def note_job_type(self, problem: str, now: Now) -> list[Effect]:
        """Write into the activity log that a job type which others wrote cannot be used, with its *problem*."""
        self.activity.by = None
        self.activity.note(now, "job-type", problem)
        return self._taken()

    def placed(self, frames: Iterable[tuple[str, str, int]], now: Now) -> list[Effect]:
        """Note that these finished frames, each a job, an attempt and a part, are in their jobs' folders (`PublishFrame`)."""
        self.activity.by = None
        self.jobs.placed(frames, now)
        return self._taken()

    def hindered(self, hindrances: Mapping[str, str], now: Now) -> list[Effect]:
        """Note why the finished frames of these jobs cannot be put into their folders; none of another job waits."""
        self.activity.by = None
        self.jobs.hinder(hindrances, now)
        return self._taken()

    def remark(self, action: str, text: str, now: Now) -> list[Effect]:
        """Note something in the activity log that the server did, or could not do, by itself."""
        self.activity.by = None
        self.activity.note(now, action, text)
        return self._taken()

    def beats(self, message: Beats, now: Now) -> list[Effect]:
        """Take a manager's heartbeat, with those of its workers: signs of life, and news for those who watch."""
        self.nodes.beats(message, now)
        return self._taken()

    def foreseen(self, expected: dict[str, float], now: Now) -> list[Effect]:
        """Keep in how many seconds jobs were *expected* to be done."""
        for job_id, seconds in expected.items():
            job = self.farm.jobs.get(job_id)
            if job is not None and job.is_to_be_foreseen:
                job.foresee(seconds, now.wall)
        return self._taken()

    def tick(self, now: Now) -> list[Effect]:
        """End a round: do what time brings, then plan and grant after all that arrived in it."""
        self.activity.by = None
        if now.mono - self._ticked > self.policy.lease / 2:
            self._bear_with_all(now)  # it stood still itself, and has heard nobody
        self._ticked = now.mono
        self.power.tick(now)
        self.nodes.tick(now)
        self.waits.tick(now)
        self.planning.plan(now)
        self.dispatch.dispatch(now)
        self.nodes.show_changed(now)  # in the commit of their grants, and not in one of its own
        self.dispatch.explanations.explain(now)
        self.keys.tick()
        self.jobs.ask_for_slices()
        return self._taken()

    def adopt(self, peer: Peer, reports: Reports, tasks: Mapping[str, TaskState], now: Now) -> None:
        """Take over the attempts in *tasks*, which the record does not know, before *reports* of them are handled."""
        self.activity.by = None
        if self._speaks_for(peer, reports.worker):
            self.work.adopt(reports.worker, reports.reports, tasks, now)

    def feed(self, job: str, tasks: list[TaskState], after: int, now: Now) -> list[Effect]:
        """Take the record's answer to `LoadTasks`."""
        self.planning.feed(job, tasks, after, now)
        return self._taken()

    def sweep(self, job: str, tasks: list[TaskState], is_last: bool, after: int, now: Now) -> list[Effect]:
        """Take the record's answer to `LoadSlice`."""
        self.activity.by = None
        self.jobs.sweep(job, tasks, after, is_last, now)
        return self._taken()

    def restored(self, now: Now) -> list[Effect]:
        """Begin after a start from the record, or a time in which nothing could be recorded: nobody is declared lost
        for one whole lease."""
        self._bear_with_all(now)
        self.activity.by = None
        self.quotas.read_file(self.policy.farm_tables, now)
        for job in list(self.farm.jobs.values()):
            self.jobs.settle(job, now)  # one of which only a frame's place was missing, which it has now
        while self.farm.broken:
            self.jobs.fail(*self.farm.broken.popitem(), now)
        return self._taken()

    def _bear_with_all(self, now: Now) -> None:
        """Call nobody lost for one whole lease from now on."""
        for manager in self.farm.managers.values():
            manager.heard = manager.beat = now.mono
        for worker in self.farm.workers.values():
            worker.missing_since = None

    def fail_job(self, job: str, reason: str, now: Now) -> list[Effect]:
        """Let *job* fail, since its job type does not do what it must."""
        self.activity.by = None
        self.jobs.fail(job, reason, now)
        return self._taken()

    def give_up(self, worker: str, attempts: Iterable[str], reason: str, now: Now) -> list[Effect]:
        """Give up those of *attempts* that are live at *worker*: their tasks are tried again."""
        self.activity.by = None
        for attempt in [self.farm.attempts[each] for each in attempts if each in self.farm.attempts]:
            if attempt.worker == worker:
                self.work.lose(attempt, reason, now)
        return self._taken()

    # --- managers -----------------------------------------------------------------------------------------------------

    def _hello(self, peer: Peer, hello: Hello, now: Now) -> None:
        if peer.bound and peer.bound != hello.node:
            self._effects.append(Reply(peer.route, Refused(reason=FOREIGN_KEY)))
            return
        self.nodes.hello(peer, hello, now)
        if hello.node in self.farm.managers:
            self.keys.tell(hello.node)

    def _joined(self, peer: Peer, joined: Joined, now: Now) -> None:
        if self.keys.proves(joined.worker.id, joined.worker.registration, peer.principal, joined.proof):
            self.nodes.joined(peer, joined, now)
        else:
            self._effects.append(Refuse(f"a worker ({joined.worker.id}) that has not said that it turned to this manager"))

    def _pong(self, peer: Peer, pong: Pong, now: Now) -> None:
        """Being heard is all that it is for."""

    def _bye(self, peer: Peer, bye: Bye, now: Now) -> None:
        self.nodes.manager_leaves(self.farm.managers[peer.node], bye.reason or "was stopped", now)

    def _left(self, peer: Peer, left: Left, now: Now) -> None:
        worker = self.farm.workers.get(left.worker)
        if worker is not None and worker.manager == peer.node and not "" < left.term < worker.term:
            self.nodes.worker_gone(worker, left.reason, now)

    def _heard(self, manager: ManagerState, now: Now) -> None:
        manager.heard = now.mono
        manager.asked = None

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
        frame = progress.frame if self._makes_frames(progress.attempt) else None
        worker.frame, worker.fraction, worker.line = frame, progress.fraction, progress.line[:500]
        worker.touch()
        if progress.fraction:
            self.work.shows_progress(progress.attempt, now)

    def _makes_frames(self, attempt: str) -> bool:
        """Return whether *attempt* is at frames: a film has none that it could be said to be at, nor has a run of a program."""
        known = self.farm.attempts.get(attempt)
        task, job = (self.farm.tasks.get(known.task), self.farm.jobs.get(known.job)) if known is not None else (None, None)
        return task is None or job is None or job.graph.stage(task.number).of_frames

    def _seen(self, peer: Peer, seen: Seen, now: Now) -> None:
        if self._speaks_for(peer, seen.worker):
            self.projects.seen(peer, seen, now)

    def _log_told(self, peer: Peer, told: LogTold, now: Now) -> None:
        if self._speaks_for(peer, told.worker):
            self._effects.append(KeepLog(told.worker, told.text))

    def _speaks_for(self, peer: Peer, worker: str) -> bool:
        """Return whether the manager *peer* may speak for *worker*; where it may not it is asked to introduce it."""
        known = self.farm.workers.get(worker)
        if known is not None and known.manager == peer.node:
            return True
        self._effects.append(Reply(peer.route, WhoAreYou()))
        return False

    # --- clients ------------------------------------------------------------------------------------------------------

    def _submit(self, peer: Peer, submit: Submit, now: Now) -> None:
        job = msgspec.structs.replace(submit.job, user=peer.user) if peer.user else submit.job
        try:
            self.jobs.submit(job, now)
            answer: Effect = Accepted(peer.route, submit.id, job.id)
        except BrenderError as error:
            answer = Reply(peer.route, Sorry(id=submit.id, code=error.code, message=str(error)))
        except AssertionError as error:
            said = f"The job does not fit together: {error}"
            answer = Reply(peer.route, Sorry(id=submit.id, code=BadInput.code, message=said))
        self._effects.append(answer)

    @staticmethod
    def _user(peer: Peer, message: Act) -> str:
        """Who asks: who the key says it is, where it is one person's."""
        return peer.user or message.user

    def _taken(self) -> list[Effect]:
        self.hooks.tell()
        effects, self._effects[:] = list(self._effects), []
        return effects


def _level(value: object) -> Literal["debug", "info", "warning", "error"]:
    match value:
        case "debug" | "info" | "warning" | "error":
            return value
    raise BadInput(f"There is no level {str(value)!r}; there are {', '.join(LEVELS)}")
