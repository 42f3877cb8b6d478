"""A farm without sockets or processes: the real cores and the real store, one virtual clock, messages delivered at once.

Attempts do nothing until a test says that they have done a part, failed or finished.
"""

import itertools
from pathlib import Path
from typing import Any

from peewee import Database, SqliteDatabase

from brender.bus.messages import Act, Ask, Beat, Beats, Done, Hello, Manage, PartDone, Reports, Sorry, Submit
from brender.bus.routes import Routes
from brender.farm.farm import Farm
from brender.farm.record import Row
from brender.jobs.declare import job_types
from brender.model.causes import Cause
from brender.model.energy import NO_ENERGY, Energy
from brender.model.errors import from_code
from brender.model.grant import Grant, Order
from brender.model.job import FileFacts, JobSpec, SceneFacts
from brender.model.keys import KeyRole
from brender.model.log_events import read_event
from brender.model.nodes import Blender, Stats, WorkerInfo, tags_of
from brender.roles.effects import (
    Bind,
    Effect,
    Exit,
    ExtendLease,
    Forget,
    Keep,
    LogEvent,
    NextManager,
    Now,
    Peer,
    PublishFrame,
    Refuse,
    Reply,
    RunPower,
    Send,
    SendUp,
    SetLogLevel,
    StartAttempt,
    StopAttempt,
    Unbind,
    Vouch,
)
from brender.roles.manager.core import ManagerCore
from brender.roles.policy import Policy
from brender.roles.server.core import ServerCore
from brender.roles.server.farm_store import FarmStore
from brender.roles.server.recorded_tasks import SLICE_PARTS
from brender.roles.server.round import Round, Run
from brender.roles.worker.core import WorkerCore
from brender.store.audit import differences
from brender.store.datafolder import DataFolder
from brender.store.named import Record
from brender.store.questions import answer
from brender.store.writer import Writer
from tests.new_records import make_schema

BPY = Blender("bpy", "/usr/bin/python3", (5, 0, 1))
_ids = itertools.count(1)


def new_id() -> str:
    return f"{next(_ids):016x}"


def memory_database() -> SqliteDatabase:
    database = SqliteDatabase(":memory:", pragmas={"foreign_keys": 1})
    database.connect()
    make_schema(database)
    return database


def facts(version: tuple[int, int] = (5, 0), oldest: tuple[int, int, int] | None = None, **scene: Any) -> FileFacts:
    """What a small .blend says of itself, which Blenders from *oldest* on may open."""
    plain: dict[str, Any] = {
        "name": "Scene",
        "first": 1,
        "last": 4,
        "width": 100,
        "height": 50,
        "percent": 100,
        "engine": "CYCLES",
        "image_format": "PNG",
        "camera": "Camera",
        "cameras": ("Camera",),
    }
    return FileFacts(
        path="/projects/shot.blend",
        version=version,
        oldest_blender=oldest,
        active_scene="Scene",
        cameras=("Camera",),
        scenes=(SceneFacts(**plain | scene),),
    )


def animation(
    frames: str = "1-4", version: tuple[int, int] = (5, 0), oldest: tuple[int, int, int] | None = None, **more: Any
) -> JobSpec:
    """A blender-animation job; settings such as ``chunk`` and fields such as ``priority`` by name."""
    fields = {
        name: more.pop(name)
        for name in (
            "id",
            "name",
            "project",
            "sharing",
            "priority",
            "tags",
            "output",
            "paused",
            "of_render",
            "user",
            "bundle",
            "stall_minutes",
            "limit_minutes",
        )
        if name in more
    }
    identity = new_id()
    base: dict[str, Any] = {"id": identity, "name": "shot", "output": f"/renders/{identity}"}
    settings = {"file": "/projects/shot.blend", "frames": frames, **more}
    return JobSpec(job_type="blender-animation", settings=settings, facts=facts(version, oldest), **base | fields)


class WorkerStub:
    """A worker's core and what it was told to do."""

    def __init__(
        self,
        name: str,
        managers: tuple[str, ...],
        policy: Policy,
        blenders: tuple[Blender, ...],
        tags: frozenset[str],
        folders: tuple[str, ...] = (),
        programs: frozenset[str] = frozenset(),
        pool: str = "",
        host: str = "host",
        cores: int = 0,
        gpu_memory: int = 0,
    ) -> None:
        info = WorkerInfo(
            id=new_id(),
            incarnation=1,
            name=name,
            host=host,
            cores=cores,
            gpu_memory=gpu_memory,
            mac="00:11:22:33:44:55",
            blenders=blenders,
            tags=tags | tags_of(blenders),
            job_types=frozenset(job_types()),
            programs=programs,
            folders=folders,
            takes_addons=True,
            pool=pool,
        )
        self.core = WorkerCore(info, policy, managers=len(managers))
        self.managers = managers
        self.manager = managers[0]
        self.kept: list[Any] = []
        self.stopped: list[str] = []
        self.orders: dict[str, Order] = {}
        """What each attempt was begun with."""
        self.lease_until = float("-inf")

    @property
    def running(self) -> Grant | None:
        return self.core.running


class World:
    """One server, managers and workers by name. ``now`` is the virtual time in seconds, since the ``epoch``."""

    epoch = 1_700_000_000.0

    def __init__(self, policy: Policy | None = None, database: Database | None = None) -> None:
        self.policy = policy or Policy()
        self.now = 1000.0
        self.writer = Writer(database or memory_database())
        self.record = Record(self.writer.tables, DataFolder(Path("no-folder")))
        self.managers: dict[str, ManagerCore] = {}
        self.workers: dict[str, WorkerStub] = {}
        self.cut: set[str] = set()
        self.logs: dict[str, list[str]] = {}
        """What each role's own log says; the server's by the name "server"."""
        """Managers that do not hear the server, nor it them; workers that do not hear their manager, nor it them."""
        self.dead: set[str] = set()
        """Managers that do nothing."""
        self.hung = False
        """The folders of jobs do not answer: frames that come back wait in ``unplaced``."""
        self.unplaced: list[PublishFrame] = []
        self.power: list[RunPower] = []
        """The commands that were to put machines to sleep, or wake them."""
        self.answers: dict[str, Any] = {}
        self.routes = Routes()
        self.sweep_size = SLICE_PARTS
        self.start_server()

    # --- building -----------------------------------------------------------------------------------------------------

    def start_server(self) -> None:
        """Start the server, or start it again from its record."""
        self.routes = Routes()
        self.store = FarmStore(
            self.writer, self.record, slice_size=self.policy.plan_slice, sweep_size=self.sweep_size, waiting=self._waiting
        )
        self.round = Round(self.store, self, self._make_core, self._at)
        self.round.start()
        self.round.settle()

    @property
    def server(self) -> ServerCore:
        return self.round.core

    def _make_core(self, farm: Farm) -> ServerCore:
        return ServerCore("5e" * 8, "server", "3", self.policy, new_id, farm, host="of-server")

    def _waiting(self, job: str) -> set[tuple[str, int]]:
        return {(frame.attempt, frame.part) for frame in self.unplaced if frame.job == job}

    def add_manager(self, name: str, address: str = "") -> ManagerCore:
        hello = Hello(node=new_id(), incarnation=1, role="manager", name=name, host="host", software="3", address=address)
        self.managers[name] = ManagerCore(hello, self.policy)
        self.run(0.2)
        return self.managers[name]

    def add_worker(
        self,
        name: str,
        manager: str = "m",
        blenders: tuple[Blender, ...] = (BPY,),
        tags: frozenset[str] = frozenset(),
        folders: tuple[str, ...] = (),
        programs: frozenset[str] = frozenset(),
        pool: str = "",
        host: str = "host",
        cores: int = 0,
        gpu_memory: int = 0,
    ) -> WorkerStub:
        """*manager*: the name of one, or of several with blanks between."""
        managers = tuple(manager.split())
        for each in managers:
            if each not in self.managers:
                self.add_manager(each)
        stub = WorkerStub(name, managers, self.policy, blenders, tags, folders, programs, pool, host, cores, gpu_memory)
        self.workers[name] = stub
        self.run(0.2)
        return self.workers[name]

    # --- what clients do ----------------------------------------------------------------------------------------------

    def request(self, message: Submit | Act | Manage, key: KeyRole | None = None, user: str = "") -> Any:
        """The server's answer to what a client with a key of that role, called *user*, asks; without one it is an admin's, or the
        dashboard's for what is asked on behalf of somebody."""
        key = key or (KeyRole.DASHBOARD if message.on_behalf_of else KeyRole.ADMIN)
        peer = Peer("local", b"client", key=key, user=user)
        if isinstance(message, Manage):
            if (allowed := self.round.allowed(peer, message)) is not None:
                fresh = new_id() * 4
                self.round.apply(lambda core, now: core.manage(*allowed, fresh, now), *allowed)
        else:
            self.round.receive(peer, message)
        self.run(0.3)
        return self.answers.pop(message.id)

    def submit(self, spec: JobSpec) -> Any:
        """The server's answer: the receipt, or the `Sorry`."""
        return self.request(Submit(id=new_id(), job=spec))

    def act_on_node(self, action: str, name: str, value: Any = None) -> Any:
        """What a person asks of the worker or manager called *name*; the server's answer."""
        return self.act(action, name, value)

    def act(self, action: str, job: str, value: Any = None) -> Any:
        """What a person asks of *job*, or of another thing that has a name; the server's answer."""
        return self.request(Act(id=new_id(), action=action, target=job, value=value))  # type: ignore[arg-type]

    def ask(self, question: str, **arguments: Any) -> Any:
        return answer(self.record, question, arguments)

    def answer(self, message: Any) -> Any:
        """What the server says to a *message* of a command."""
        if isinstance(message, Ask):
            return self.ask(message.question, **message.arguments)
        if isinstance(told := self.request(message), Sorry):
            raise from_code(told.code, told.message)
        return told

    def status(self, job: str) -> str:
        return str(self.ask("job", id=job)["status"])

    # --- what attempts do ---------------------------------------------------------------------------------------------

    def finish_part(self, worker: str, seconds: float = 1.0, kept: bool = False, memory: int = 0, **more: Any) -> int:
        """The worker's running attempt finishes its next part, of which it tells *more*; returns the frame."""
        stub = self.workers[worker]
        grant = stub.running
        assert grant is not None, f"{worker} runs nothing"
        done = self._done(worker, grant)
        part = next(part for part in grant.parts if part.id not in done)
        told = {"seconds": seconds, "output": part.output, "size": 10, "width": 100, "height": 50, "kept": kept} | more
        report = PartDone(attempt=grant.attempt, number=0, part=part.id, memory=memory, **told)
        self._work(worker, stub.core.part_done(report, self._at()))
        return part.frame

    def at_frame(self, worker: str, frame: int) -> None:
        """The worker's running attempt says that it is at *frame*."""
        stub = self.workers[worker]
        assert stub.running is not None, f"{worker} runs nothing"
        self._work(worker, stub.core.progressed(stub.running.attempt, frame, 0.1, "Sample 1/8", 10, self._at()))
        self.run(0.2)

    def _done(self, worker: str, grant: Grant) -> set[int]:
        """The parts of *grant* that the worker has done."""
        kept = self.workers[worker].kept
        return {report.part for report in kept if isinstance(report, PartDone) and report.attempt == grant.attempt}

    def end(
        self,
        worker: str,
        reason: str = "",
        permanent: bool = False,
        stopped: bool = False,
        out_of_memory: bool = False,
        used: Energy = NO_ENERGY,
        elsewhere: bool = False,
        cause: Cause = Cause.OTHER,
    ) -> None:
        """The worker's running attempt ends."""
        stub = self.workers[worker]
        assert stub.running is not None, f"{worker} runs nothing"
        attempt, now = stub.running.attempt, self._at()
        told: dict[str, Any] = {"out_of_memory": out_of_memory, "used": used, "elsewhere": elsewhere, "cause": cause}
        self._work(worker, stub.core.ended(attempt, 1.0, reason, permanent, stopped, now, **told))
        self.run(0.2)

    def finish(self, worker: str, seconds: float = 1.0) -> list[int]:
        """The worker's running attempt finishes what is left of its parts, each after so many seconds, and ends well; returns the
        frames."""
        running = self.workers[worker].running
        assert running is not None, f"{worker} runs nothing"
        frames = [self.finish_part(worker, seconds) for _ in range(len(running.parts) - len(self._done(worker, running)))]
        self.end(worker)
        return frames

    def finish_everything(self, most: int = 10_000) -> list[int]:
        """All workers work until nothing is left to do; returns the frames in the order in which they were done."""
        frames: list[int] = []
        for _ in range(most):
            busy = [name for name, stub in self.workers.items() if stub.running is not None and name not in self.cut]
            if not busy:
                self.run(self.policy.lease / 2)
                if all(stub.running is None for name, stub in self.workers.items() if name not in self.cut):
                    return frames
            for name in busy:
                frames += self.finish(name)
        raise AssertionError("the farm never came to rest")

    def beat(self, worker: str, stats: Stats) -> None:
        """The worker's heartbeat with these statistics reaches the server."""
        info = self.workers[worker].core.info
        manager = self.managers[self.workers[worker].manager].hello
        beat = Beat(node=info.id, incarnation=info.incarnation, sequence=1, stats=stats)
        beats = Beats(manager=manager.node, incarnation=manager.incarnation, sequence=1, workers=(beat,))
        self._serve(lambda core, now: core.beats(beats, now))

    def report(self, worker: str, *reports: Any) -> None:
        """These reports of the worker reach the server by way of its manager, whatever became of those before them."""
        stub = self.workers[worker]
        peer = Peer("local", stub.manager.encode(), *self.routes.who(stub.manager.encode()))
        message = Reports(worker=stub.core.info.id, reports=reports)
        self._serve(lambda core, now: core.handle(peer, message, now))

    # --- what folders of jobs do ----------------------------------------------------------------------------------------

    def place(self, frames: list[PublishFrame]) -> None:
        """The folders have taken these frames."""
        self._serve(lambda core, now: core.placed([(frame.job, frame.attempt, frame.part) for frame in frames], now))

    def hinder(self, hindrances: dict[str, str]) -> None:
        """The folders of these jobs cannot take frames; why is said for each job."""
        self._serve(lambda core, now: core.hindered(hindrances, now))

    # --- time and delivery --------------------------------------------------------------------------------------------

    def run(self, seconds: float, step: float = 0.1) -> None:
        """Let time pass. Who is in ``cut`` is not heard and hears nothing."""
        for _ in range(max(1, round(seconds / step))):
            self.now += step
            for name, manager in [each for each in self.managers.items() if each[0] not in self.dead]:
                self._manage(name, manager.tick(self._at()))
            for name, stub in list(self.workers.items()):
                self._work(name, stub.core.tick(self._at()))
            self.round.tick()

    def _at(self) -> Now:
        return Now(self.now, self.epoch + self.now)

    # --- what leads out of the server's rounds (`Links`) ----------------------------------------------------------------

    def bind(self, effect: Bind | Unbind | Refuse) -> None:
        match effect:
            case Bind(route, node, role):
                self.routes.bind(route, node, role)
            case Unbind(node):
                self.routes.unbind(node)

    def route_to(self, node: str) -> bytes | None:
        return self.routes.to(node)

    def carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Reply(route, message):
                    if isinstance(message, Done):
                        self.answers[message.id] = message.data
                    elif isinstance(message, Sorry):
                        self.answers[message.id] = message
                    elif route != b"client":
                        self._to_manager(route.decode(), message)
                case LogEvent(event, fields):
                    self._log("server", event, fields)
                case SetLogLevel(level):
                    self._log("server", "log-level-set", {"level": level})
                case RunPower():
                    self.power.append(effect)
                case PublishFrame():
                    self.unplaced.append(effect)
        if self.unplaced and not self.hung:
            frames, self.unplaced = self.unplaced, []
            self.place(frames)

    def committed(self, rows: list[Row]) -> None:
        assert next(differences(self.writer, self.server.farm.entities()), "") == ""

    def renewed(self, core: ServerCore) -> list[Effect]:
        return []

    def _serve(self, run: Run) -> None:
        """Let the server do something in a round of its own."""
        self.round.apply(run)
        self.round.settle()

    def _to_manager(self, name: str, message: Any) -> None:
        if name in self.managers and name not in self.cut | self.dead:
            self._manage(name, self.managers[name].from_above(message, self._at()))

    def _log(self, role: str, event: str, fields: dict[str, Any]) -> None:
        self.logs.setdefault(role, []).append(read_event(event, fields)[1])

    def _manage(self, name: str, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case SendUp(message):
                    if name not in self.cut:
                        peer = Peer("local", name.encode(), *self.routes.who(name.encode()), key=KeyRole.MANAGER)
                        self.round.receive(peer, message)
                        self.round.settle()
                case Send(node, message):
                    for worker, stub in self.workers.items():
                        if stub.core.info.id == node and stub.manager == name:
                            self._to_worker(worker, message)
                case Reply(route, message):
                    self._to_worker(route.decode(), message)
                case LogEvent(event, fields):
                    self._log(name, event, {"parent": "server", "address": "server:9999"} | fields)
                case SetLogLevel(level):
                    self._log(name, "log-level-set", {"level": level})
                case Exit():
                    self._manage(name, self.managers[name].farewell())
                    self.dead.add(name)

    def _to_worker(self, name: str, message: Any) -> None:
        if name in self.workers and name not in self.cut:
            self._work(name, self.workers[name].core.from_above(message, self._at()))

    def _work(self, name: str, effects: list[Effect]) -> None:
        stub = self.workers[name]
        for effect in effects:
            match effect:
                case SendUp(message):
                    if name not in self.cut and stub.manager in self.managers and stub.manager not in self.dead:
                        manager = self.managers[stub.manager]
                        known = stub.core.info.id in manager.workers or isinstance(message, Hello)
                        peer = Peer("local", name.encode(), stub.core.info.id if known else "", "worker" if known else "")
                        self._manage(stub.manager, manager.from_below(peer, message, self._at()))
                case Keep(report):
                    stub.kept.append(report)
                case LogEvent(event, fields):
                    self._log(name, event, {"parent": "manager", "address": "manager:7777"} | fields)
                case SetLogLevel(level):
                    self._log(name, "log-level-set", {"level": level})
                case StopAttempt(attempt, _):
                    stub.stopped.append(attempt)
                case ExtendLease(until, _):
                    stub.lease_until = until
                case Exit():
                    self.cut.add(name)
                case NextManager():
                    stub.manager = stub.managers[(stub.managers.index(stub.manager) + 1) % len(stub.managers)]
                case StartAttempt(grant, order):
                    stub.orders[grant.attempt] = order
                case Forget() | Vouch():
                    pass


def granted(world: World, worker: str) -> list[int]:
    """The frames that *worker* holds, running first."""
    core = world.workers[worker].core
    grants = [grant for grant in (core.running, *core.waiting) if grant is not None]
    return [part.frame for grant in grants for part in grant.parts]


def farm_of_two() -> World:
    """Return a farm with two workers, ``one`` and ``two``."""
    farm = World()
    farm.add_worker("one")
    farm.add_worker("two")
    return farm
