"""The server's loop: its sockets, files and clock around the rounds (brender.roles.server.round)."""

import contextlib
import functools
import logging
import platform
import secrets
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import zmq
from peewee import OperationalError

from brender import __version__
from brender.bus.address import ServerAddresses
from brender.bus.ids import new_attempt_id
from brender.bus.keys import Guard, Keyring, Zap, kept_pair
from brender.bus.loop import Loop
from brender.bus.messages import Act, Ask, Beats, Done, Enrolled, Manage, Message, Sorry, Submit
from brender.bus.rights import LET_IN, Door
from brender.bus.routes import Routes
from brender.bus.transport import Received, Socket
from brender.farm.farm import Farm
from brender.farm.record import Row
from brender.metrics.families import of_the_bus
from brender.metrics.frame_traces import ServerTraces
from brender.metrics.page import Snapshot
from brender.model.answers import OF_THE_SCHEDULER
from brender.model.errors import BrenderError, Unreachable
from brender.model.job import JobSpec
from brender.model.keys import KeyRole
from brender.model.log_events import log_event, set_level
from brender.model.paths import PathVariable, places, platform_of
from brender.roles.effects import (
    Admit,
    Bind,
    DeleteJob,
    Deliver,
    Dismiss,
    DropFolder,
    Effect,
    ForgetHook,
    KeepLog,
    LogEvent,
    Now,
    Peer,
    Publish,
    PublishFrame,
    Refuse,
    Reply,
    RunPower,
    SetLogLevel,
    Unbind,
)
from brender.roles.policy import Policy
from brender.roles.server.addons import addon_of
from brender.roles.server.backups import BackupPlan, ScheduledBackups, back_up_before, farm_mark
from brender.roles.server.collection import collect_a_step, collect_in_steps
from brender.roles.server.core import ServerCore
from brender.roles.server.deletion import Remover
from brender.roles.server.enrolment import Enrolment
from brender.roles.server.enrolment_door import EnrolmentDoor
from brender.roles.server.enrolment_process import Asked
from brender.roles.server.event_door import EventDoor
from brender.roles.server.farm_store import DatabaseLost, FarmStore
from brender.roles.server.figures import farm_figures
from brender.roles.server.files import FileKeeper
from brender.roles.server.folder_threads import Alive
from brender.roles.server.hook_deliveries import HookDeliveries
from brender.roles.server.housekeeping import Housekeeping
from brender.roles.server.made_files import MadeFiles
from brender.roles.server.own_stats import OwnStats, links_of
from brender.roles.server.power_commands import PowerCommands
from brender.roles.server.query_thread import QueryThread
from brender.roles.server.record_figures import RecordFigures
from brender.roles.server.restore import waiting_deliveries
from brender.roles.server.round import FAILED, Round
from brender.roles.server.submission import Submissions, Submitted
from brender.store.database import is_url, open_for_writing
from brender.store.datafolder import DataFolder, addresses_as_text
from brender.store.last_seen import check_age
from brender.store.named import Record
from brender.store.outlook import expected_of
from brender.store.path_variables import path_variables
from brender.store.questions import answer
from brender.store.writer import Writer
from brender.system.clock import steady
from brender.transfer.server import FileReceiver

log = logging.getLogger("brender.server")


_TICK_SECONDS = 0.1
_LOOK_SECONDS = 0.5


class Server:
    """A server on *addresses*, keeping its record at *database* and its files in *folder*.

    Raises `Conflict` where a port or the data folder is taken, `BadInput` or `BrenderError` where the database cannot be used.
    """

    def __init__(
        self,
        folder: DataFolder,
        addresses: ServerAddresses,
        policy: Policy,
        database: str = "",
        name: str = "server",
        site: str = "",
        backups: BackupPlan | None = None,
        traces: ServerTraces | None = None,
    ) -> None:
        self.policy = policy
        self.folder = folder.make()
        self.database = database if is_url(database) else str(Path(database or folder.database).absolute())
        self.site = site
        self.record_figures = RecordFigures(self.folder, self.database)
        plan = backups or BackupPlan()
        self.loop = Loop()
        self._own_stats = OwnStats(self.loop, folder.root, name, policy.heartbeat)
        self._traces = traces
        self._routes = Routes()
        self._at_hand: Received | None = None
        self._hindrances: dict[str, str] = {}
        self._looked = 0.0
        with contextlib.ExitStack() as undo:
            lock = folder.lock("server")
            undo.callback(lock.release)
            self._pair = kept_pair(folder.server_key)
            own = {KeyRole.ADMIN: kept_pair(folder.local_key), KeyRole.DASHBOARD: kept_pair(folder.dashboard_key)}
            self._keyring = Keyring()
            self._keeper = FileKeeper(folder, self.database, lambda frames: self.loop.post(lambda: self._placed(frames)))
            undo.callback(self._keeper.close)
            self._remover = Remover(self._keeper, MadeFiles(folder, self.database, self._keeper.folder_of))
            self._submissions = Submissions(self._keeper, self.loop.post, self._submit_looked_at)
            self._bind(addresses, undo)
            farm = farm_mark(folder, self._pair.public)
            before = partial(back_up_before, data=folder, database=self.database, plan=plan, farm=farm)
            self._writer = Writer(open_for_writing(self.database, before, partial(check_age, folder, self.database)))
            undo.callback(self._writer.database.close)
            folder.tell_trouble("")
            record = Record(self._writer.tables, folder)
            self._queries = QueryThread(folder, self.database, self._deliver)
            undo.callback(self._queries.close)
            self._housekeeping = Housekeeping(
                self._writer, self.database, self._keeper, folder, policy, self._retire, self._now(), self._note_job_type
            )
            if policy.only_job:
                plan = replace(plan, every=0.0)
            self._backups = ScheduledBackups(folder, self.database, plan, farm, policy.least_free, self._remark, self._now())
            self._learn_paths(path_variables(self._writer.tables))
            unplaced = self._keeper.sweep(self._writer.tables)
            for frame in unplaced:
                self._keeper.placement.add(frame)
            self._store = FarmStore(
                self._writer, record, self.database, self._tell_trouble, self._keeper.placement.waiting, policy.plan_slice
            )
            self._store.looked_at = self._submissions.submitter
            self._id, self._name = secrets.token_hex(8), name
            self._round = Round(self._store, self, self._make_core, self._now)
            self._desk = Enrolment(self._round, self._queries, self.addresses, self._keyring.refusals)
            self._round.start()
            for role, pair in own.items():
                self._desk.admit_own(pair.public, role)
            self._round.settle()
            self._remover.resume(self._writer.tables)
            self._hooks = HookDeliveries(self._tell_delivered, policy.hook_programs)
            undo.callback(self._hooks.close)
            self._power = PowerCommands(self._tell_powered)
            undo.callback(self._power.close)
            for delivery, tries in waiting_deliveries(self._writer.tables):
                self._hooks.put(delivery, tries)
            if folder.last_announced("server") is not None:
                text = "the server was restarted: the one before had been killed, or had failed"
                self._round.apply(lambda core, now: core.remark("server-restarted", text, now))
                self._round.settle()
            folder.announce("server", database=self.database, site=site, **addresses_as_text(self.addresses))
            undo.push(lambda failed, *_: None if failed else folder.withdraw("server"))
            self._undo = undo.pop_all()

    @property
    def core(self) -> ServerCore:
        """The core of the present rounds."""
        return self._round.core

    def _make_core(self, farm: Farm) -> ServerCore:
        core = ServerCore(
            self._id, self._name, __version__, self.policy, new_attempt_id, farm, self._pair.secret, platform.node()
        )
        core.jobs.frames_folder = str(self.folder.frames_folder)
        return core

    def run(self) -> None:
        """Serve until `stop`."""
        collect_in_steps()
        self._files.start()
        with self._undo:
            self.loop.run(self._tick, _TICK_SECONDS)

    def stop(self) -> None:
        self.loop.stop()

    # --- sockets ------------------------------------------------------------------------------------------------------

    def _bind(self, wanted: ServerAddresses, undo: contextlib.ExitStack) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        undo.callback(self._context.destroy, linger=0)
        zap = Zap(self._context, self._keyring)
        self.loop.add(zap, zap.answer)
        self._control = self._door(zmq.ROUTER, "server control", Door.SERVER)
        self._events = EventDoor(self.loop, lambda: self._door(zmq.XPUB, "server events", Door.SERVER_EVENTS))
        self._stats = self._door(zmq.SUB, "server stats", Door.SERVER_STATS)
        wanted = wanted.resolved()
        files = self._keeper.places(self.policy.largest_file, self.policy.link_files, self.policy.least_free)
        self._files = FileReceiver(wanted.files, files, self._pair, self._keyring)
        undo.callback(self._files.stop)
        enrolment = EnrolmentDoor(self.loop, wanted.enrolment, self._pair, self._keyring.refusals, self._one_enrolment)
        undo.callback(enrolment.close)
        self.addresses = ServerAddresses(
            control=self._control.bind(wanted.control, "The server"),
            events=self._events.bind(wanted.events),
            stats=self._stats.bind(wanted.stats, "The server's stats"),
            files=self._files.address,
            enrolment=enrolment.address,
            key=self._pair.public,
        )
        self._stats.subscribe()
        self.loop.add(self._control, self._read_control)
        self.loop.add(self._stats, self._read_stats)

    def _door(self, kind: int, name: str, door: Door) -> Socket:
        made = Socket(self._context, kind, name, Guard(self._pair, self._keyring, door))
        made.connections()
        return made

    def _read_control(self) -> None:
        for received in self._control.drain():
            self._guarded(self._one_message, received)

    def _read_stats(self) -> None:
        for received in self._stats.drain():
            if isinstance(received.message, Beats):
                self._guarded(self._one_beat, received)

    # --- a round ------------------------------------------------------------------------------------------------------

    def _guarded(self, handle: Any, received: Received) -> None:
        """Take one message. Whatever it does wrong, the server lives and the others are served."""
        try:
            handle(received)
        except DatabaseLost:
            raise
        except BrenderError as error:
            log.warning("%s from %s: %s", type(received.message).__name__, received.route.hex(), error)
            self._answer_failure(received, error.code, str(error))
        except Exception:
            # What a round applies it guards itself: this is about what comes before that, and has changed nothing.
            log.exception("a %s from %s was not taken", type(received.message).__name__, received.route.hex())
            self._answer_failure(received, BrenderError.code, FAILED.format(what=type(received.message).__name__.lower()))

    def _one_message(self, received: Received) -> None:
        principal = received.principal
        sender = Peer(
            principal.id,
            received.route,
            *self._routes.who(received.route),
            bound=principal.node,
            user=principal.user,
            origin=received.origin,
            key=principal.role,
        )
        self._at_hand = received
        with self._round.reading(sender, received.message):
            allowed = self._round.allowed(sender, received.message)
            if allowed is not None:
                self._take(*allowed, received)

    def _take(self, peer: Peer, message: Message, received: Received) -> None:
        if self._traces is not None:
            self._traces.received(message)
        if isinstance(message, Ask):
            self._ask(peer, message)
        elif isinstance(message, Manage):
            self._manage(peer, message)
        elif isinstance(message, Submit) and self._is_new_with_files(message.job):
            self._submit(peer, message, received)
        elif isinstance(message, Act) and _may_render_again(message) and not self._round.paused:
            self._render_again(peer, message)
        else:
            self._round.take(peer, message)

    def _is_new_with_files(self, job: JobSpec) -> bool:
        """Return whether *job* is new, and may need files that clients have sent."""
        may_need = job.bundle or job.addons or (job.site_addons and self._round.core.farm.addons)
        return bool(may_need) and not self._round.has_taken(job.id)

    def _submit(self, peer: Peer, message: Submit, received: Received) -> None:
        """Take a new job, once the files that it needs are known to be here."""
        job, core = message.job, self._round.core
        self._keeper.check_addons(core.jobs.site_addons(job))
        if job.bundle or job.addons:
            self._submissions.look(peer, message, received, core.farm.paths, self.site, self._now().mono)
        else:
            self._round.take(peer, message)

    def _render_again(self, peer: Peer, message: Act) -> None:
        """Queue a job again, or edit it, once its files, which are not kept for ever, are known to be here still."""
        bundle, addons = self._round.store.files_of(message.target)

        def decide(missing: Exception | None) -> None:
            if missing is None:
                self._round.take(peer, message)
            else:
                code = getattr(missing, "code", BrenderError.code)
                self._control.send(Sorry(id=message.id, code=code, message=str(missing)), peer.route)

        if bundle or addons:
            self._keeper.look_for_files(bundle, addons, lambda missing: self.loop.post(lambda: decide(missing)))
        else:
            decide(None)

    def _answer_failure(self, received: Received, code: str, text: str) -> None:
        """Let a client whose message failed know it, rather than wait for an answer in vain."""
        message = received.message
        if isinstance(message, Submit | Act | Manage | Ask):
            self._control.send(Sorry(id=message.id, code=code, message=text), received.route)

    def _submit_looked_at(self, submitted: Submitted, found: JobSpec | Exception) -> None:
        """Accept a job as it was *found*, or tell its submitter why it cannot be."""
        peer, submit = submitted.peer, submitted.submit
        if isinstance(found, Exception):
            code = getattr(found, "code", BrenderError.code)
            self._control.send(Sorry(id=submit.id, code=code, message=str(found)), peer.route)
        else:
            self._round.take(peer, msgspec.structs.replace(submit, job=found))

    def _look_at_folders(self, now: Now) -> None:
        """See which jobs wait for their folders, and answer the submitters of jobs whose folders do not answer. Now and then."""
        if now.mono - self._looked < _LOOK_SECONDS:
            return
        self._looked = now.mono
        self._keeper.placement.tick()
        hindrances = self._keeper.placement.hindrances()
        if hindrances != self._hindrances:
            self._hindrances = hindrances
            self._round.apply(lambda core, now: core.hindered(hindrances, now))
        for late, why in self._submissions.overdue(now.mono):
            self._control.send(Sorry(id=late.submit.id, code=Unreachable.code, message=why), late.peer.route)

    def _placed(self, frames: list[PublishFrame]) -> None:
        """These frames are in their jobs' folders now."""
        self._round.apply(lambda core, now: core.placed(_named(frames), now))

    def _manage(self, peer: Peer, message: Manage) -> None:
        if message.what == "add-addon":
            self._keeper.check_addons([addon_of(message.arguments)])
        answer = self._desk.manage(peer, message)
        if answer is not None:
            self._round.answer(peer.route, answer)
        self._learn_paths(self._round.core.farm.paths)

    def _learn_paths(self, paths: tuple[PathVariable, ...]) -> None:
        """Learn where this machine has the folders that *paths* stand for, which may have changed."""
        self._keeper.here = places(paths, platform_of(platform.system()), self.site)

    def _one_enrolment(self, asked: Asked) -> Message | None:
        """Take one attempt to join; return the answer, ``None`` where it is to ask again."""
        if self._round.paused:
            return None
        try:
            answer = self._desk.enrol(asked)
            self._round.settle()
        except DatabaseLost:
            raise
        except Exception:
            log.exception("an attempt to join from %s was not taken", asked.origin)
            return None
        admitted = not isinstance(answer, Enrolled) or answer.key in self._round.core.farm.keys
        return answer if admitted and not self._round.paused else None

    def _one_beat(self, received: Received) -> None:
        message = received.message
        assert isinstance(message, Beats)
        if not self._round.paused:
            peer = Peer(received.principal.id, received.route, message.manager)
            self._round.apply(lambda core, now: core.beats(message, now), peer, message)

    def _ask(self, peer: Peer, message: Ask) -> None:
        if not self._round.paused:  # else each question would wait for the database, which is tried again at each tick
            self._round.settle()
        if message.question in OF_THE_SCHEDULER:
            why = self._round.core.dispatch.why(message.question, str(message.arguments.get("id", "")))
            self._control.send(Done(id=message.id, data=why), peer.route)
            return
        arguments = self._round.core.dispatch.knowing(message.question, message.arguments)
        query = functools.partial(answer, question=message.question, arguments=arguments)
        self._queries.put(peer.principal, peer.route, message.id, query)

    def _deliver(self, route: bytes, reply: Message) -> None:
        """Send the answer to a question. From any thread."""

        def send() -> None:
            self._control.send(reply, route)

        self.loop.post(send)

    def _tick(self) -> None:
        now = self._now()
        if not self._round.paused:
            self._look_at_folders(now)
            self._look_ahead()
        self._round.tick()
        collect_a_step()
        self._tell_of_itself(now)
        if self._round.has_more_to_do:
            self.loop.post(lambda: None)  # the next round begins at once
        if not self._round.paused:
            self._housekeep(now)

    def _look_ahead(self) -> None:
        """Ask when the jobs are expected to be done of which that is to be kept."""
        asked = self._round.core.farm.to_foresee
        if not asked:
            return
        jobs = list(asked)
        asked.clear()

        def keep(expected: dict[str, float]) -> None:
            self._round.apply(lambda core, now: core.foreseen(expected, now))

        self._queries.look(
            "look ahead",
            lambda record: expected_of(record, jobs),
            lambda expected: self.loop.post(lambda: keep(expected)),
        )

    # --- what leads out of a round (`Links`) --------------------------------------------------------------------------

    def bind(self, effect: Bind | Unbind | Refuse) -> None:
        match effect:
            case Bind(route, node, role):
                self._routes.bind(route, node, role)
            case Unbind(node):
                self._routes.unbind(node)
            case Refuse(what):
                sender = self._at_hand.sender if self._at_hand is not None else ""
                self._keyring.refusals.count(Door.SERVER, what, sender)

    def route_to(self, node: str) -> bytes | None:
        return self._routes.to(node)

    def carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Reply(route, message):
                    self._control.send(message, route)
                    if self._traces is not None:
                        self._traces.sent(message)
                case Publish(kind, key, fields):
                    self._events.publish(kind, key, fields, self._writer.change)
                case PublishFrame():
                    self._keeper.placement.add(effect)
                case KeepLog(worker, text):
                    self._keeper.threads.do("logs", partial(self._keep_log, worker, text))
                case LogEvent(happened, fields):
                    log_event(log, happened, fields)
                case SetLogLevel(level):
                    set_level(level)
                case DeleteJob(job, what):
                    self._remover.begin(job, what)
                case DropFolder(output, above):
                    self._remover.drop_folder(output, above)
                case Deliver():
                    self._hooks.put(effect)
                case RunPower():
                    self._power.run(effect)
                case ForgetHook(id):
                    self._hooks.forget(id)
                    while self._writer.delete("hook_delivery", "hook", id, 1000) == 1000:
                        pass
                case Admit(key):
                    self._keyring.admit(key)
                case Dismiss(key):
                    self._keyring.dismiss(key)
                    if key.role in LET_IN[Door.SERVER_EVENTS]:
                        self._events.cut()

    def _tell_delivered(self, id: str, hook: str, tries: int, why_not: str, is_over: bool) -> None:
        """Take what came of a delivery of a hook. From any thread."""
        self.loop.post(lambda: self._round.apply(lambda core, now: core.delivered(id, hook, tries, why_not, is_over, now)))

    def _tell_powered(self, machine: str, verb: str, why_not: str) -> None:
        """Take what came of a command that puts a machine to sleep or wakes it. From any thread."""
        self.loop.post(lambda: self._round.apply(lambda core, now: core.powered(machine, verb, why_not, now)))

    def committed(self, rows: list[Row]) -> None:
        if self._traces is not None:
            self._traces.committed(rows)
        self._events.publish_rows(rows, self._writer.change, self._now().mono)

    def renewed(self, core: ServerCore) -> list[Effect]:
        self._keyring.replace(core.farm.keys.values())
        self._hindrances = {}
        return []

    def _tell_of_itself(self, now: Now) -> None:
        """Publish the server's own statistics as often as those of nodes come, while somebody listens."""
        if self._own_stats.is_due(now.mono):
            links = links_of(self._control, self._events.socket, self._stats) + self._files.links
            if self._events:
                fields = self._own_stats.fields(links, self._round, self._keyring.refusals.so_far())
                self._events.publish("stats", self._id, fields, self._writer.change)

    def snapshot(self) -> Snapshot:
        """Return what is exported of this server now (`MetricsPage`). In its loop."""
        links = links_of(self._control, self._events.socket, self._stats, is_report=False) + self._files.links
        not_ready = "This server cannot write its record now: its log says why" if self._round.paused else None
        seen = self.record_figures
        values = farm_figures(self._round.core.farm, time.time(), seen.offline) | of_the_bus(links, self.loop.rounds)
        values |= seen.backups | {
            "brender_bus_refusals_total": self._keyring.refusals.total,
            "brender_record_commits_total": self._round.commits,
            "brender_record_rows_total": self._round.rows,
            "brender_record_writable": float(not self._round.paused),
        }
        return Snapshot(values, not_ready)

    def _housekeep(self, now: Now) -> None:
        with contextlib.suppress(OperationalError):  # it goes on when something can be written again
            for job, fields in self._remover.step(self._writer, now.wall):
                self._round.apply(partial(_deleted, job, fields))
        self._housekeeping.step(now)
        self._backups.step(now)

    def _remark(self, action: str, text: str) -> None:
        """Put something that the server did by itself into the activity log. From any thread."""
        self.loop.post(lambda: self._round.apply(lambda core, now: core.remark(action, text, now)))

    def _tell_trouble(self, text: str) -> None:
        """Note in the data folder why nothing can be recorded, or "" if it can."""

        def tell(alive: Alive) -> None:
            try:
                self.folder.tell_trouble(text)
            except OSError as error:
                log.error("cannot note in the data folder why nothing can be recorded: %s", error)

        self._keeper.threads.do("trouble", tell)

    def _keep_log(self, worker: str, text: str, alive: Alive) -> None:
        """Write down what a worker told of its own log; in a thread of its own."""
        path = self.folder.worker_log(worker)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_suffix(".new")
            temporary.write_text(text, "utf-8", "replace")
            temporary.replace(path)
        except OSError as error:
            log.error("the log of the worker %s cannot be kept: %s", worker, error)

    def _note_job_type(self, problem: str) -> None:
        """Write into the activity log that a job type cannot be used. From any thread."""
        self.loop.post(lambda: self._round.apply(lambda core, now: core.note_job_type(problem, now)))

    def _retire(self, gone: Mapping[str, tuple[str, str]]) -> None:
        """Delete ended jobs that their projects keep no longer. From any thread."""
        self.loop.post(lambda: self._round.apply(lambda core, now: core.retire(gone, now)))

    @staticmethod
    def _now() -> Now:
        return Now(steady(), time.time())


def _named(frames: list[PublishFrame]) -> list[tuple[str, str, int]]:
    """Return *frames* as the core names them: each by its job, attempt and part."""
    return [(frame.job, frame.attempt, frame.part) for frame in frames]


def _deleted(job: str, fields: dict[str, Any] | None, core: ServerCore, now: Now) -> list[Effect]:
    return core.deleted(job, fields, now)


def _may_render_again(message: Act) -> bool:
    """Return whether what *message* asks for needs the files of a job, although that may have ended long ago."""
    is_of_settings = isinstance(message.value, dict) and bool(message.value.get("settings"))
    return message.action == "requeue" or (message.action == "edit" and is_of_settings)
