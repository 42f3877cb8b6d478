"""One simulated history: a farm, its faults, its jobs, all decided by one seed."""

import logging
import random
import sqlite3
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import msgspec
from peewee import SqliteDatabase

from brender.bus.messages import Act, Done, Message, Sorry, Submit
from brender.engines.destination import one_spelling
from brender.farm.record import Key, Row
from brender.jobs import declare
from brender.model.beginning import After
from brender.model.grant import Grant, PartGrant
from brender.model.job import COPY, JobSpec
from brender.roles.policy import Policy
from brender.store.writer import Writer
from tests.simulation.clock import Clock
from tests.simulation.disk import Disk, File, copies_of
from tests.simulation.invariants import (
    Violation,
    check_accounts,
    check_allowed,
    check_begun,
    check_commit,
    check_files,
    check_ledger,
    check_publish,
    check_rest,
    check_rows,
    check_schedule,
    check_streaks,
)
from tests.simulation.network import Network, Weather
from tests.simulation.nodes import Crash, ManagerNode, Node, ServerNode, WorkerNode
from tests.simulation.people import Habits, People
from tests.simulation.power import Power
from tests.simulation.sharing import Shares
from tests.simulation.times import Times
from tests.staged import Staged
from tests.world import animation, facts, memory_database

#: What the server logs of full disks is not for the terminal.
logging.getLogger("brender.server").addHandler(logging.NullHandler())
POLICY = Policy(
    lease=10.0, suspicion=4.0, resend=2.0, heartbeat=1.0, tries=50, losses=1000, failure_limit=1000, plan_slice=5, plan_ahead=10
)
FAULTS_SECONDS = 80.0
#: More than a single slow worker needs for all the jobs there may be (one took 3,300 s). A farm that is done rests no longer.
REST_SECONDS = 4000.0
_migrated: bytes | None = None


def fresh_writer() -> Writer:
    """A record of its own: one migrated database, cloned for each history."""
    global _migrated
    if _migrated is None:
        first = memory_database()
        _migrated = first.connection().serialize()
        first.close()
    database = SqliteDatabase(":memory:", pragmas={"foreign_keys": 1})
    database.connect()
    connection: sqlite3.Connection = database.connection()
    connection.deserialize(_migrated)
    connection.execute("PRAGMA foreign_keys = 1")
    return Writer(database)


class _Sent(NamedTuple):
    """A message that one machine sent to another."""

    sender: str
    receiver: str
    message: Message

    def __str__(self) -> str:
        return f"{self.sender} → {self.receiver}: {self.message}"[:300]


@dataclass(frozen=True)
class Bugs:
    """Bugs in the machines themselves that tests plant, to see that the simulation finds them."""

    acknowledge_before_commit: bool = False
    ignore_the_lease: bool = False
    forget_the_outbox: bool = False


@dataclass(frozen=True)
class Conditions:
    """What does not happen by chance in a history, for bugs that are rarely seen else. ``None``: by chance as ever.

    ``crashing``: how likely a machine dies at each step where it may. ``part_seconds``: what a part takes. ``outages``: the
    seconds for which a link is cut, at most, again and again; nothing else fails then. ``weather``: how badly
    messages travel. ``habits``: what people do. ``limited``: owners of workers allow some folders only. ``films``: how likely a
    job makes a film of its frames.
    """

    crashing: float | None = None
    part_seconds: float | None = None
    outages: float | None = None
    weather: Weather | None = None
    habits: Habits | None = None
    limited: bool | None = None
    films: float = 0.0


@dataclass
class Simulation:
    """The history of *seed*. `run` raises `Violation` where something was not as it must be; ``trace`` tells what happened."""

    seed: int
    bugs: Bugs = field(default_factory=Bugs)
    conditions: Conditions = field(default_factory=Conditions)
    TICK = 0.5

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        chance = self.chance
        self.clock = Clock()
        self.policy = replace(POLICY, drain_after=1) if self.seed % 4 == 2 else POLICY
        if self.seed % 8 == 7:  # workers are put off, and soon more than one of them in a row
            self.policy = replace(POLICY, refusals=2, put_off=20.0, put_off_most=60.0)
        self.writer = fresh_writer()
        self._trace: list[tuple[float, str | _Sent]] = []
        self.steps = 0
        self.faults = True
        self.crashing = chance.choice([0.0, 0.0005, 0.003])
        self.failing = chance.choice([0.0, 0.0, 0.05])
        self.sticking = chance.choice([0.0, 0.0, 0.01])
        self.batching = chance.random() < 0.5
        """Many messages in one commit, as in a busy server; else each in one of its own."""
        self._mishaps = random.Random(f"mishaps of {self.seed}")
        self.mishaps = 0
        self.fragile = ""
        """What the server is at, of that at which it may fail."""
        self.raising = self._mishaps.choice([0.0, 0.0, 0.0005, 0.003])
        self.wall_jump = 0.0
        self.part_seconds = chance.choice([0.3, 1.0, 3.0, 12.0])
        if self.conditions.crashing is not None:
            self.crashing = self.conditions.crashing
        if self.conditions.part_seconds is not None:
            self.part_seconds = self.conditions.part_seconds
        weather = Weather(
            loss=chance.choice([0.0, 0.02, 0.15]), doubled=chance.choice([0.0, 0.1]), delay=chance.choice([0.005, 0.05, 0.3])
        )
        self.network = Network(self.clock, chance, self.conditions.weather or weather)
        self.accepted: set[str] = set()
        self.canceled: set[str] = set()
        self.completed: dict[int, str] = {}
        self.job_of_part: dict[int, str] = {}
        self.frame_of_part: dict[int, int] = {}
        self.film_parts: set[int] = set()
        self.published: dict[int, set[str]] = {}
        self.disk = Disk()
        self.disk_chance = random.Random(f"disk of {self.seed}")
        self.outputs: dict[str, str] = {}
        """By job, the one spelling of its output folder."""
        self.kept: set[str] = set()
        """Attempts of which a worker had reports on disk when it crashed."""
        self.whole: dict[str, Grant] = {}
        """What attempts were given that did all of it."""
        self.graphs = random.Random(f"graphs of {self.seed}")
        self.has_graphs = self.graphs.random() < 0.5
        """Some jobs have several stages, and some wait for others."""
        self.progressive: set[str] = set()
        """Those jobs that go over their frames again and again."""
        self.compared: dict[tuple[str, Key], tuple[Any, ...]] = {}
        """By kind and key, what each entity said when its row was compared with it last."""
        self.comparisons = 0
        self.looked_at: set[str] = set()
        """Attempts whose tasks were seen to wait for nothing when they were granted."""
        self.times = Times(self)
        if self.times.has_some:
            self.policy = replace(self.policy, night=self.times.night)
        self.power = Power(self)
        self.policy = replace(self.policy, power=self.power.plan)
        self.people = People(self, self.conditions.habits)
        self.shares = Shares(self)
        self.drained = 0
        """How often a worker was enabled again that had been drained."""
        self._ids = 0
        self._is_unchecked = False
        self.server = ServerNode(self, "server")
        self.managers = [ManagerNode(self, f"manager-{number}") for number in range(chance.choice([1, 2]))]
        self.workers = [
            WorkerNode(self, f"worker-{number}", chance.sample(self.managers, chance.randint(1, len(self.managers))))
            for number in range(chance.choice([1, 2, 4]))
        ]

    def run(self) -> None:
        """Faults for a while, then rest, then the last questions."""
        kinds = {kind.name: kind for kind in (Staged(), Staged("staged-elastic", elastic=True))}
        declare._loaded().update(kinds)
        try:
            self._run()
        finally:
            for name in kinds:
                del declare._loaded()[name]

    def _run(self) -> None:
        for node in (self.server, *self.managers, *self.workers):
            node.start()
        self.clock.at(20.0, self._readmit)
        self.shares.begin()
        for number in range(self.chance.choice([1, 2, 3])):
            self.clock.at(self.chance.uniform(0, FAULTS_SECONDS / 2), lambda number=number: self._submit(number))  # type: ignore[misc]
        self._next_fault()
        while self.clock.now < FAULTS_SECONDS:
            self._step()
        self._heal()
        self._rest()
        self.people.tidy_up()
        self._rest()
        self.server.do([])
        check_ledger(self)
        check_schedule(self)
        check_rest(self)
        check_files(self)

    def new_id(self) -> str:
        self._ids += 1
        return f"{self._ids:016x}"

    def say(self, text: str) -> None:
        self._trace.append((self.clock.now, text))

    @property
    def trace(self) -> list[str]:
        """What happened, a line each. It is put into words here, as nearly nobody reads it."""
        return [f"{when:9.3f} {what}" for when, what in self._trace]

    # --- what nodes ask of the world ------------------------------------------------------------------------------------

    def commit(self, rows: list[Row]) -> None:
        if self.bugs.acknowledge_before_commit and self.faults and self.chance.random() < 0.02:
            return
        if rows:
            self.writer.commit(rows)
            check_rows(self, rows)
            check_commit(self)
            check_accounts(self)
            check_streaks(self)
            check_begun(self)
            self._is_unchecked = True

    def to_manager(self, route: bytes, message: Message) -> None:
        for manager in self.managers:
            if manager.route == route:
                self._log("server", manager.name, message)
                self.network.carry("server", manager.name, message, self._if_same(manager, manager.hear_above))

    def to_server(self, manager: ManagerNode, message: Message) -> None:
        route = manager.route
        self._log(manager.name, "server", message)
        deliver = self._if_same(self.server, lambda arrived: self.server.hear(manager, route, arrived))
        self.network.carry(manager.name, "server", message, deliver)

    def to_worker(self, manager: ManagerNode, route: bytes, message: Message) -> None:
        for worker in self.workers:
            if worker.route == route:
                self._log(manager.name, worker.name, message)
                self.network.carry(manager.name, worker.name, message, self._if_same(worker, worker.hear))

    def to_manager_from(self, worker: WorkerNode, message: Message) -> None:
        manager, route = worker.manager, worker.route
        self._log(worker.name, manager.name, message)
        deliver = self._if_same(manager, lambda arrived: manager.hear_below(worker, route, arrived))
        self.network.carry(worker.name, manager.name, message, deliver)

    def forget(self, worker: WorkerNode, attempt: str, number: int) -> None:
        for key in [key for key in worker.journal if key[0] == attempt and key[1] <= number]:
            del worker.journal[key]

    def holds_lease(self, worker: WorkerNode, attempt: str) -> bool:
        return self.bugs.ignore_the_lease or worker.lease.holds(attempt)

    def path_of(self, grant: Grant, part: PartGrant) -> tuple[str, str]:
        """Return the folder and the name of the file that *part* is to make."""
        return (copies_of(grant.job) if part.piece == COPY else self.outputs[grant.job]), part.output

    def keeps(self, worker: WorkerNode, grant: Grant, part: PartGrant, begun: float) -> bool:
        """Return whether *worker* takes a frame for that of *part* which was there when its attempt began."""
        path = self.path_of(grant, part)
        there = self.disk.files.get(path)
        if part.piece == COPY or there is None or there.since > begun or grant.job in self.people.overwriting:
            return False
        self.say(f"{grant.attempt} keeps what {there.attempt} made as part {part.id}")
        self.disk.keep(path, grant.job, self.clock.now)
        self.published.setdefault(part.id, set()).add(grant.attempt)
        return True

    def publish(self, worker: WorkerNode, grant: Grant, part: PartGrant, begun: float) -> None:
        """What `brender.engines.publish.publish` does for an attempt that began at *begun*: what came there since stays."""
        attempt, path = grant.attempt, self.path_of(grant, part)
        there = self.disk.files.get(path)
        if there is not None and there.attempt != attempt and there.since > begun:
            self.say(f"{attempt} finds part {part.id}, which has come there meanwhile")
            self.disk.keep(path, grant.job, self.clock.now)
        else:
            self.say(f"{attempt} publishes part {part.id}")
            check_publish(self, attempt, part.id)
            check_allowed(worker.core.info, path[0])
            self.disk.put(path, File(attempt, grant.job, self.clock.now, worker.now().wall))
        self.published.setdefault(part.id, set()).add(attempt)

    def may_crash(self, node: Node, where: str) -> None:
        if self.faults and self.chance.random() < self.crashing:
            self.say(f"{node.name} dies {where}")
            raise Crash

    def may_raise(self) -> None:
        if self.fragile and self.faults and self._mishaps.random() < self.raising:
            self.say(f"the server fails at {self.fragile}")
            self.mishaps += 1
            raise RuntimeError(f"planted at {self.fragile}")

    def restart_later(self, node: Node) -> None:
        self.clock.at(self.chance.uniform(0.1, 2.5 * self.policy.lease), node.start)

    # --- inside ---------------------------------------------------------------------------------------------------------

    def _step(self) -> None:
        self.steps += 1
        self.clock.step()
        if self._is_unchecked and self.server.up and not self.server.paused and not self.server.gathered:
            self._is_unchecked = False
            check_ledger(self)
            check_schedule(self)

    def _rest(self) -> None:
        """Go on until nothing is left to do, or far too long."""
        end = self.clock.now + REST_SECONDS
        while self.clock.now < end and not (self.steps % 50 == 0 and self._at_rest()):
            self._step()

    def _if_same(self, node: Node, deliver):  # type: ignore[no-untyped-def]
        """A message reaches only the process that it was sent to, not one that was started since."""
        route = node.route
        return lambda message: deliver(message) if node.up and node.route == route else None

    def _submit(self, number: int) -> None:
        """A client submits a job, and asks again until it is answered."""
        id = f"{number + 1:016x}"
        frames, chunk = f"1-{self.chance.randint(1, 25)}", self.chance.choice([1, 0, 4])
        self.outputs[id] = one_spelling(output := self.people.output_of(id))
        more = {"id": id, "stall_minutes": 0.5, "output": output} | self.shares.of_job()
        job = msgspec.structs.replace(animation(frames, chunk=chunk, **more), **self.times.of_job())
        self._ask(Submit(id=self.new_id(), job=self._in_a_graph(job, frames, chunk) if self.has_graphs else job))
        self.people.follow(id)

    def _in_a_graph(self, job: JobSpec, frames: str, chunk: int) -> JobSpec:
        """Return *job*, perhaps with several stages, and perhaps after jobs that were accepted before."""
        chance = self.graphs
        earlier = sorted(self.accepted - self.people.deleted.keys())
        after = tuple(After(each, chance.random() < 0.6) for each in earlier if chance.random() < 0.7)
        if chance.random() < 0.2:
            settings = {each: value for each, value in job.settings.items() if each != "chunk"} | {"passes": chance.randint(2, 4)}
            about = facts(unshared="", samples=64)
            job = msgspec.structs.replace(job, job_type="blender-progressive", settings=settings, facts=about)
            self.progressive.add(job.id)
        elif chance.random() < 0.6:
            self.outputs[job.id] = output = f"/renders/{job.id}"
            settings = {"program": "true", "frames": frames, "chunk": chunk or 1}
            kind = "staged" if chunk else "staged-elastic"
            job = msgspec.structs.replace(job, job_type=kind, settings=settings, output=output, facts=None)
        else:
            job = self._in_steps(job)
        return msgspec.structs.replace(job, after=after)

    def _in_steps(self, job: JobSpec) -> JobSpec:
        """Return *job*, whose frames are perhaps denoised in a stage of their own, or copied to another folder."""
        chance = random.Random(f"steps of {self.seed}, {job.id}")
        steps = {"denoise_after": True, "chunk": 1} if chance.random() < 0.4 else {}
        steps |= {"copy_to": copies_of(job.id)} if chance.random() < 0.4 else {}
        steps |= {"film": "shot.mp4"} if chance.random() < self.conditions.films else {}
        return msgspec.structs.replace(job, settings=job.settings | steps, facts=facts(engine="CYCLES")) if steps else job

    def _ask(self, message: Submit) -> None:
        job = message.job.id
        if job in self.accepted:
            return
        spelled = msgspec.structs.replace(message.job, output=one_spelling(message.job.output))
        answer = self.server.request(msgspec.structs.replace(message, job=spelled))
        if isinstance(answer, Done):
            self._accepted(job)
        elif not isinstance(answer, Sorry) or self.faults:
            if isinstance(answer, Sorry):
                self.say(f"job {job} is not accepted: {answer.message}")
            self.clock.at(3.0, lambda: self._ask(message))

    def _accepted(self, job: str) -> None:
        self.accepted.add(job)
        self.say(f"job {job} accepted")

    def _next_fault(self) -> None:
        """Now and then a link is cut, a machine dies, is asked to leave, has a full disk or a clock that jumps; for a while."""
        if not self.faults:
            return
        if self.conditions.outages is not None:
            self._cut()
        elif self.crashing or self.network.weather.loss:
            fault = self.chance.choice([self._cut, self._cut, self._kill, self._kill, self._odd, self._odd])
            fault()
        self.clock.at(self.chance.expovariate(1 / 8.0 if self.conditions.outages is None else 1 / 3.0), self._next_fault)

    def _cut(self) -> None:
        worker = self.chance.choice(self.workers)
        pair = self.chance.choice([frozenset((worker.name, worker.manager.name)), frozenset((worker.manager.name, "server"))])
        self.network.cut.add(pair)
        self.say(f"cut: {' | '.join(sorted(pair))}")
        self.clock.at(self._a_while(), lambda: self.network.cut.discard(pair))

    def _kill(self) -> None:
        node = self.chance.choice([self.server, *self.managers, *self.workers])
        if node.up:
            node.crash()
            self.restart_later(node)

    def _odd(self) -> None:
        chance = self.chance
        self.wall_jump = 0.0 if self.times.has_some else chance.choice([-1e6, 0.0, 3600.0])
        self.disk.times_tell = self.disk.times_tell and not self.wall_jump
        node = chance.choice([self.server, *self.managers, *self.workers])
        if isinstance(node, ServerNode):
            self.say("the server's disk is full")
            node.full = True
            self.clock.at(self._a_while(), lambda: setattr(node, "full", False))
        elif node.up and chance.random() < 0.25:
            self.say(f"{node.name} is stopped at once")
            node.guarded(node.stop_at_once)
        elif node.up and (isinstance(node, ManagerNode) or chance.random() < 0.5):
            self.say(f"{node.name} is asked to finish and leave")
            node.guarded(lambda: node.carry_out(node.core.drain("asked", node.now())))
        elif node.up:
            assert isinstance(node, WorkerNode)
            self.say(f"the disk of {node.name} is full")
            node.guarded(lambda: node.carry_out(node.core.room("no room", node.now())))
            self.clock.at(self._a_while(), lambda: self._room_again(node))

    def _room_again(self, worker: WorkerNode) -> None:
        if worker.up:
            worker.guarded(lambda: worker.carry_out(worker.core.room("", worker.now())))

    def _a_while(self) -> float:
        if self.conditions.outages is not None:
            return self.chance.uniform(0.5, self.conditions.outages)
        return self.chance.uniform(0.5, self.chance.choice([1, 3, 8]) * self.policy.lease)

    def _heal(self) -> None:
        self.say("all faults end")
        self.faults = False
        self.network.cut.clear()
        self.server.full = False
        for worker in self.workers:
            self._room_again(worker)
        self.network.weather = Weather()

    def _readmit(self) -> None:
        """Let somebody enable workers that are drained, now and then, and readmit those that a job is kept off when all faults
        have ended: the others may not be allowed to render it."""
        if self.server.up and not self.faults:
            for job in [job.id for job in self.server.core.farm.jobs.values() if job.kept_off]:
                self.server.request(Act(id=self.new_id(), action="readmit", target=job))
        for worker in list(self.server.core.farm.streaks.drained) if self.server.up else ():
            self.drained += 1
            self.server.request(Act(id=self.new_id(), action="enable", target=worker))
        self.clock.at(20.0, self._readmit)

    def _at_rest(self) -> bool:
        is_open = "status NOT IN ('completed', 'failed', 'canceled') OR sweeps <> '[]' OR deleting <> ''"
        ((open_jobs,),) = self.writer.database.execute_sql(f"SELECT COUNT(*) FROM job WHERE {is_open}").fetchall()
        awake = [worker for worker in self.workers if worker.name not in self.power.asleep]
        everybody = all(node.up for node in (self.server, *self.managers, *awake))
        recorded = not self.server.paused  # else what it has in mind is not in the record yet
        deleting = not (self.server.up and self.server.remover.is_idle)
        return everybody and recorded and not open_jobs and not deleting and not any(worker.journal for worker in awake)

    def _log(self, sender: str, receiver: str, message: Message) -> None:
        self._trace.append((self.clock.now, _Sent(sender, receiver, message)))


def history(seed: int, conditions: Conditions | None = None) -> tuple[int, int, str]:
    """The seed, its steps, and what was violated ("" for nothing)."""
    simulation = Simulation(seed, conditions=conditions or Conditions())
    try:
        simulation.run()
    except Exception as error:
        return seed, simulation.steps, f"{type(error).__name__}: {error}"
    return seed, simulation.steps, ""


__all__ = ["Bugs", "Simulation", "Violation", "history"]
