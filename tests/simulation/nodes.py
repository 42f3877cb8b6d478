"""The simulated machines: each a real core, with the shell around it that its loop is in the world."""

import contextlib
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from peewee import OperationalError

from brender.bus.messages import Act, AnyReport, Gone, Hello, Message, PartDone, Received, Reports, Submit
from brender.bus.routes import Routes
from brender.engines.publish import Lease
from brender.farm.farm import Farm
from brender.farm.record import Entity, Row
from brender.farm.tasks import TaskState
from brender.model.grant import Grant
from brender.model.keys import KeyRole
from brender.model.nodes import WorkerInfo
from brender.roles.effects import (
    Bind,
    DeleteJob,
    Effect,
    Exit,
    ExtendLease,
    Forget,
    Keep,
    NextManager,
    Now,
    Peer,
    Reply,
    RunPower,
    Send,
    SendUp,
    StartAttempt,
    StopAttempt,
    Unbind,
    Vouch,
)
from brender.roles.manager.core import ManagerCore
from brender.roles.server.core import ServerCore
from brender.roles.server.deletion import Remover
from brender.roles.server.farm_store import FarmStore
from brender.roles.server.round import Round
from brender.roles.worker.core import WorkerCore
from brender.store.datafolder import DataFolder
from brender.store.named import Record
from tests.simulation.disk import Keeper, SimulatedFiles
from tests.simulation.sharing import CORES, GPU_MEMORY
from tests.simulation.times import BEGIN
from tests.world import BPY

if TYPE_CHECKING:
    from tests.simulation.farm import Simulation


CLIENT = b"client"
NOTHING_TO_DO = "nothing to do"


class Crash(Exception):
    """The machine stops here, in the middle of what it does."""


class Node:
    """A machine that is up or down. ``epoch`` counts its starts: what was sent to an earlier one does not arrive."""

    def __init__(self, world: "Simulation", name: str) -> None:
        self.world = world
        self.name = name
        self.up = False
        self.epoch = 0

    @property
    def route(self) -> bytes:
        return f"{self.name}#{self.epoch}".encode()

    def now(self) -> Now:
        return Now(self.world.clock.now, BEGIN + self.world.clock.now + self.world.wall_jump)

    def crash(self) -> None:
        self.world.say(f"{self.name} crashes")
        self.up = False

    def leave(self) -> None:
        """End on purpose; somebody starts it again later."""
        self.world.say(f"{self.name} leaves")
        self.up = False
        self.world.restart_later(self)

    def start(self) -> None:
        self.world.say(f"{self.name} starts")
        self.up = True
        self.epoch += 1
        self._tick_every(self.world.TICK, self.epoch)

    def tick(self) -> None:
        raise NotImplementedError

    def _tick_every(self, seconds: float, epoch: int) -> None:
        if self.up and self.epoch == epoch:
            self.guarded(self.tick)
            self.world.clock.at(seconds, lambda: self._tick_every(seconds, epoch))

    def guarded(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Crash:
            self.crash()
            self.world.restart_later(self)


class _Disk:
    """The record's writer on a disk that may be full, in a machine that may die before, between or after."""

    def __init__(self, node: "ServerNode") -> None:
        self._node = node

    def commit(self, rows: list[Row]) -> None:
        if self._node.full:
            raise OperationalError("database or disk is full")
        self._node.world.may_crash(self._node, "before the commit")
        self._node.world.commit(rows)
        self._node.world.may_crash(self._node, "between the commit and its acknowledgement")

    def delete(self, kind: str, column: str, value: str, most: int) -> int:
        if self._node.full:
            raise OperationalError("database or disk is full")
        self._node.world.may_crash(self._node, f"before it deletes each {kind}")
        deleted = self._node.world.writer.delete(kind, column, value, min(most, 7))
        self._node.world.may_crash(self._node, f"after it has deleted each {kind}")
        return deleted

    def __getattr__(self, name: str) -> object:
        return getattr(self._node.world.writer, name)


class _Touched(list[Entity]):
    """The entities that were touched, in a world in which a change may end in its middle: when an entity says that it changed."""

    world: "Simulation"

    def append(self, entity: Entity) -> None:
        super().append(entity)
        self.world.may_raise()


class _Fragile(ServerCore):
    """A core that now and then raises in the middle of what it does: at what is refused when it comes again, and does no harm
    then (a node whose hello is refused would never join)."""

    world: "Simulation"

    def handle(self, peer: Peer, message: Message, now: Now) -> list[Effect]:
        with self._raising(type(message).__name__ if isinstance(message, Reports | Received | Gone | Submit) else ""):
            return super().handle(peer, message, now)

    def act(self, peer: Peer, message: Act, *looked_up: Any) -> list[Effect]:
        with self._raising(message.action):
            return super().act(peer, message, *looked_up)

    def tick(self, now: Now) -> list[Effect]:
        with self._raising("what time brings"):
            return super().tick(now)

    def feed(self, job: str, tasks: list[TaskState], after: int, now: Now) -> list[Effect]:
        with self._raising("tasks that are read"):
            return super().feed(job, tasks, after, now)

    def sweep(self, job: str, tasks: list[TaskState], is_last: bool, after: int, now: Now) -> list[Effect]:
        with self._raising("a slice of a sweep"):
            return super().sweep(job, tasks, is_last, after, now)

    @contextmanager
    def _raising(self, where: str) -> Iterator[None]:
        touched = _Touched(self.farm.ledger.touched)
        touched.world, self.farm.ledger.touched = self.world, touched
        self.world.fragile = where
        try:
            yield
            self.world.may_raise()
        finally:
            self.world.fragile = ""


class ServerNode(Node):
    """The server and its record, which outlives every crash. ``full``: nothing can be recorded now."""

    full = False
    looks = 0

    def start(self) -> None:
        self.routes = Routes()
        self.answers: dict[str, Message] = {}
        record = Record(self.world.writer.tables, DataFolder.__new__(DataFolder))
        store = FarmStore(_Disk(self), record, slice_size=self.world.policy.plan_slice, sweep_size=7)  # type: ignore[arg-type]
        self.round = Round(store, self, self._make_core, self.now)
        epoch = self.epoch + 1
        keeper = Keeper(self.world, lambda: self.up and self.epoch == epoch)
        self.remover = Remover(keeper, SimulatedFiles(self.world), self._impatient)  # type: ignore[arg-type]
        self.remover.resume(self.world.writer.tables)
        super().start()
        self.guarded(lambda: (self.round.start(), self.round.settle()))  # type: ignore[func-returns-value]

    @property
    def core(self) -> ServerCore:
        return self.round.core

    @property
    def paused(self) -> bool:
        return bool(self.round.store.trouble)

    @property
    def gathered(self) -> bool:
        """Whether anything was applied that is not written yet."""
        return self.core.farm.ledger.is_behind

    def tick(self) -> None:
        self.round.tick()
        with contextlib.suppress(OperationalError):
            for job, fields in self.remover.step(_Disk(self), self.now().wall):  # type: ignore[arg-type]
                self.round.apply(lambda core, now, job=job, fields=fields: core.deleted(job, fields, now))  # type: ignore[misc]

    def _impatient(self) -> float:
        """Return a time by which the thread of a folder has a turn for others after each few files."""
        self.looks += 1
        return self.looks / 5

    def hear(self, sender: Node, route: bytes, message: object) -> None:
        if not self.up:
            return
        peer = Peer("local", route, *self.routes.who(route), key=KeyRole.MANAGER)
        self.round.receive(peer, message)  # type: ignore[arg-type]
        if not self.world.batching:
            self.guarded(self.round.settle)

    def request(self, message: Message) -> Message | None:
        """What the server answers the *message* of a client; ``None`` where it does not answer now."""
        if not self.up:
            return None
        peer = Peer("local", CLIENT, key=KeyRole.ADMIN)
        self.guarded(lambda: (self.round.receive(peer, message), self.round.settle()))  # type: ignore[func-returns-value]
        return self.answers.pop(message.id, None)  # type: ignore[union-attr]

    def do(self, effects: list[Effect]) -> None:
        """Write what was done to the farm, with all that was gathered before, and carry out *effects*."""
        self.round.apply(lambda core, now: effects)
        self.round.settle()

    def _make_core(self, farm: Farm) -> ServerCore:
        core = _Fragile("5e" * 8, "server", "3", self.world.policy, self.world.new_id, farm)
        core.world = self.world
        return core

    def bind(self, effect: Effect) -> None:
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
                case Reply(route, message) if route == CLIENT:
                    self.answers[message.id] = message  # type: ignore[union-attr]
                case Reply(route, message):
                    self.world.to_manager(route, message)
                case RunPower():
                    self.world.power.run(effect)
                case DeleteJob(job, what):
                    self.remover.begin(job, what)

    def committed(self, rows: list[Row]) -> None:
        """Nobody listens."""

    def renewed(self, core: ServerCore) -> list[Effect]:
        return []


class ManagerNode(Node):
    def __init__(self, world: "Simulation", name: str) -> None:
        super().__init__(world, name)
        self.id = world.new_id()

    def start(self) -> None:
        hello = Hello(node=self.id, incarnation=self.epoch + 1, role="manager", name=self.name, host="h", software="3")
        self.core = ManagerCore(hello, self.world.policy)
        self.routes = Routes()
        super().start()

    def tick(self) -> None:
        self.carry_out(self.core.tick(self.now()))

    def hear_above(self, message: object) -> None:
        if self.up:
            self.carry_out(self.core.from_above(message, self.now()))  # type: ignore[arg-type]

    def hear_below(self, sender: Node, route: bytes, message: object) -> None:
        if self.up:
            peer = Peer("local", route, *self.routes.who(route))
            self.carry_out(self.core.from_below(peer, message, self.now()))  # type: ignore[arg-type]

    def carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case SendUp(message):
                    self.world.to_server(self, message)
                case Send(node, message):
                    if (route := self.routes.to(node)) is not None:
                        self.world.to_worker(self, route, message)
                case Reply(route, message):
                    self.world.to_worker(self, route, message)
                case Bind(route, node, role):
                    self.routes.bind(route, node, role)
                case Unbind(node):
                    self.routes.unbind(node)
                case Exit():
                    self.stop_at_once()

    def stop_at_once(self) -> None:
        """Leave with a goodbye, whatever the workers have to do."""
        self.carry_out(self.core.farewell())
        self.leave()


@dataclass
class Running:
    """An attempt in the simulated engine."""

    grant: Grant
    done: int = 0
    stopped: bool = False
    stuck: bool = False
    begun: float = 0.0
    """When it was."""


class WorkerNode(Node):
    """A worker, its journal (which outlives it) and an engine that takes chance's time for each part."""

    def __init__(self, world: "Simulation", name: str, managers: list[ManagerNode]) -> None:
        super().__init__(world, name)
        self.managers = managers
        self.turns = 0
        self.id = world.new_id()
        self.journal: dict[tuple[str, int], AnyReport] = {}
        self.lease = Lease(lambda: world.clock.now)
        self.running: Running | None = None

    def crash(self) -> None:
        super().crash()
        self.world.kept |= {attempt for attempt, _ in self.journal}
        if self.world.bugs.forget_the_outbox:
            self.journal.clear()

    def start(self) -> None:
        info = WorkerInfo(
            id=self.id,
            incarnation=self.epoch + 1,
            name=self.name,
            host=self.world.power.host_of(self.name),
            cores=CORES,
            gpu_memory=GPU_MEMORY,
            blenders=(BPY,),
            job_types=frozenset({"blender-animation", "blender-progressive"}),
            folders=self._allowed(),
            pool=self.world.shares.pool_of(self.name),
        )
        kept = [self.journal[key] for key in sorted(self.journal)]
        self.world.power.asleep.discard(self.name)
        self.lease = Lease(lambda: self.world.clock.now)
        self.running = None
        self.core = WorkerCore(info, self.world.policy, kept, len(self.managers))
        super().start()

    def _allowed(self) -> tuple[str, ...]:
        """Return the folders that its owner lets jobs use, as it is started now: in some histories, and never of the first
        worker, so that no job waits for ever."""
        limited = self.world.conditions.limited
        if not (self.world.seed % 4 == 3 if limited is None else limited) or self.name == "worker-0":
            return ()
        chance = random.Random(f"folders of {self.world.seed}, {self.name}, {self.epoch}")
        return chance.choice([(), (), ("/projects", "/renders"), ("/projects", "/renders/shot")])

    @property
    def is_bad(self) -> bool:
        """Whether it fails most of what it is given: the second worker, in some histories, as long as there are faults."""
        return self.world.seed % 4 == 2 and self.name == "worker-1" and self.world.faults

    @property
    def manager(self) -> ManagerNode:
        """The one that it is turned to."""
        return self.managers[self.turns % len(self.managers)]

    @property
    def route(self) -> bytes:
        return f"{self.name}#{self.epoch}.{self.turns}".encode()

    def tick(self) -> None:
        self.carry_out(self.core.tick(self.now()))

    def hear(self, message: object) -> None:
        if self.up:
            self.guarded(lambda: self.carry_out(self.core.from_above(message, self.now())))  # type: ignore[arg-type]

    def carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Keep(report):
                    self.journal[report.attempt, report.number] = report
                case Forget(attempt, number):
                    self.world.forget(self, attempt, number)
        self.world.may_crash(self, "after its journal was written")
        for effect in effects:
            match effect:
                case SendUp(message):
                    self.world.to_manager_from(self, message)
                case StartAttempt(grant):
                    self.running = Running(grant, begun=self.world.clock.now)
                    self._work(self.running, self.epoch)
                case StopAttempt(attempt, _):
                    if self.running is not None and self.running.grant.attempt == attempt:
                        self.running.stopped = True
                case ExtendLease(until, term):
                    self.lease.extend(until, term)
                case Vouch(attempt, term):
                    self.lease.vouch(attempt, term)
                case NextManager():
                    self.turns += 1
                    self.world.say(f"{self.name} turns to {self.manager.name}")
                case Exit():
                    self.leave()

    def stop_at_once(self) -> None:
        """End what runs, and leave."""
        self.carry_out(self.core.stop("was stopped", self.now()))

    # --- the engine ---------------------------------------------------------------------------------------------------

    def _work(self, running: Running, epoch: int) -> None:
        chance: random.Random = self.world.chance
        self.world.clock.at(chance.expovariate(1 / self.world.part_seconds), lambda: self._advance(running, epoch))

    def _advance(self, running: Running, epoch: int) -> None:
        """A part is rendered: publish it if the lease is held, else look again in a moment."""
        if not self.up or self.epoch != epoch or self.running is not running:
            return
        grant = running.grant
        if running.stopped:
            self._end(running, reason="stopped", stopped=True)
        elif running.stuck or (self.world.faults and self.world.chance.random() < self.world.sticking):
            running.stuck = True
            self.world.clock.at(0.5, lambda: self._advance(running, epoch))
        elif self.world.faults and self.world.seed % 8 == 7 and random.Random(f"put off {grant.attempt}").random() < 0.4:
            self._end(running, reason="chance unmounted its folder", put_off=True)
        elif self.world.chance.random() < (0.6 if self.is_bad else self.world.failing):
            elsewhere = self.world.seed % 4 == 3 and random.Random(f"{self.world.seed}, {grant.attempt}").random() < 0.3
            self._end(running, reason="chance had it fail", elsewhere=elsewhere)
        elif not self.world.holds_lease(self, grant.attempt):
            self.world.clock.at(0.5, lambda: self._advance(running, epoch))
        else:
            assert grant.parts, f"the attempt {grant.attempt} was granted with {NOTHING_TO_DO}"
            part = grant.parts[running.done]
            world = self.world
            there = world.disk.files.get(world.path_of(grant, part))
            if grant.repeats and there is not None and there.since <= running.begun:
                self._end(running, reason="stopped", stopped=True)
                return
            running.done += 1
            if not (kept := world.keeps(self, grant, part, running.begun)):
                world.publish(self, grant, part, running.begun)
            report = PartDone(attempt=grant.attempt, number=0, part=part.id, seconds=1.0, output=part.output, size=1, kept=kept)
            if grant.job in world.progressive and part.piece != 1:  # from the second pass on, what noise is left is known
                report = msgspec.structs.replace(report, noise=random.Random(f"noise of {grant.attempt}").random())
            self.guarded(lambda: self.carry_out(self.core.part_done(report, self.now())))
            if running.done == len(grant.parts):
                world.whole[grant.attempt] = grant
                self._end(running)
            else:
                self._work(running, epoch)

    def _end(
        self, running: Running, reason: str = "", stopped: bool = False, elsewhere: bool = False, put_off: bool = False
    ) -> None:
        if self.up and self.running is running:
            self.running = None
            attempt = running.grant.attempt
            how = {"elsewhere": elsewhere, "put_off": put_off}
            self.guarded(lambda: self.carry_out(self.core.ended(attempt, 1.0, reason, False, stopped, self.now(), **how)))
