"""What the server keeps in mind: the unfinished jobs, the tasks near their turn, the live attempts, the nodes.

Everything here can be read again from the database; nothing here is the record. Pure data.
"""

from dataclasses import dataclass, field
from functools import cached_property
from heapq import heapify, heappop, heappush

import msgspec

from brender.jobs.declare import JobType
from brender.jobs.film import frames_of_film
from brender.model.grant import Order
from brender.model.job import Inputs, JobSpec, Requirements
from brender.model.keys import Principal, Token
from brender.model.nodes import Standing, WorkerInfo
from brender.model.paths import PathVariable
from brender.model.people import Role
from brender.model.schedule import Span
from brender.model.status import JobStatus, TaskStatus, Wanted, WorkerStatus
from brender.model.views import view_suffixes
from brender.scheduling.chunks import chunk_size


@dataclass
class PartState:
    """A part that its task still has to do, or has done in the present attempt."""

    id: int
    frame: int
    output: str
    piece: int = 0
    layer: str = ""
    done: bool = False


@dataclass
class TaskState:
    id: int
    job: str
    number: int
    parts: list[PartState]
    status: TaskStatus = TaskStatus.QUEUED
    failures: int = 0
    losses: int = 0
    attempts: list[str] = field(default_factory=list)
    """The live attempts that speak for it: none, one, or two where an idle worker repeats a straggler."""
    granted: bool = False
    """It was given out before, so that its parts are fixed."""
    repeated: bool = False
    """An idle worker has repeated it, or does; once is enough."""


@dataclass
class AttemptState:
    """A live attempt. Times on the server's monotonic clock."""

    id: str
    task: int
    job: str
    worker: str
    sent: float
    incarnation: int = 0
    """Of the worker that it was granted to."""
    confirmed: bool = False
    started: bool = False
    began: float | None = None
    """When the server heard of its start; ``None`` before, and where a server that was started anew does not know."""
    repeats: bool = False
    superseded: bool = False
    """Another attempt has finished its task."""
    recalling: float | None = None
    last_report: int = 0
    canceling: str = ""
    """Why it was asked to stop; "" where it was not."""


@dataclass
class JobState:
    """An unfinished job. ``planned``: its first so many tasks have rows. ``cursor``: tasks up to this number have been
    brought into memory since the last requeue."""

    spec: JobSpec
    type: JobType
    need: Requirements
    order: int
    task_count: int
    part_count: int
    status: JobStatus = JobStatus.QUEUED
    reason: str = ""
    priority: int = 50
    planned: int = 0
    cursor: int = -1
    loading: bool = False
    completed_parts: int = 0
    kept_parts: int = 0
    """Those of them that were there already."""
    memory: int = 0
    """Bytes that a frame of it was seen to need at most."""
    ended_tasks: int = 0
    failed_tasks: int = 0
    failures: int = 0
    render_seconds: float = 0.0
    started: float | None = None
    warnings: list[str] = field(default_factory=list)
    strikes: dict[str, int] = field(default_factory=dict)
    """Attempts that failed in a row, by worker."""
    kept_off: set[str] = field(default_factory=set)
    """The workers that it does not go to any more."""
    tasks: set[int] = field(default_factory=set)
    held: set[int] = field(default_factory=set)
    """Tasks that wait for others of the job."""
    live: set[str] = field(default_factory=set)
    delayed: list[tuple[float, int]] = field(default_factory=list)
    """Retries that wait: (not before, task)."""
    pieces: dict[int, str] = field(default_factory=dict)
    """Where files travel, of a still: the digest of each piece that is done, by its number; of a film: of each frame."""
    placing: set[tuple[str, int]] = field(default_factory=set)
    """Its finished frames, by attempt and part, that the server has and that are not in its folder yet."""
    hindrance: str = ""
    """Why they cannot be put there now, and how many they are."""
    _heap: list[tuple[int, int]] = field(default_factory=list)

    @cached_property
    def id(self) -> str:
        return self.spec.id

    @cached_property
    def order_for_workers(self) -> Order:
        """What all its grants have in common, but for what path variables mean."""
        return Order(
            job=self.id,
            engine=self.type.engine,
            settings=self.spec.settings,
            output=self.spec.output,
            blender=self.need.blender,
            oldest_blender=self.need.oldest_blender,
            trusted=self.spec.trusted,
            scene_engine=self._scene_engine,
            scene_color=self._scene_color,
            inputs=self.spec.facts.inputs if self.spec.facts else Inputs(),
            views=view_suffixes(self.spec),
            overwrite=self.spec.overwrite,
            bundle=self.spec.bundle,
            stall_seconds=self.spec.stall_minutes * 60,
            limit_seconds=self.spec.limit_minutes * 60,
        )

    def merges(self, number: int) -> tuple[str, ...]:
        """The digests of the pieces that its task *number* merges, or of the frames of its film, where their files travel."""
        waits = self.type.waits_for(self.spec, number) if self.pieces else 0
        if not waits:
            return ()
        film = [frame for frame, _ in frames_of_film(self.spec.settings)]
        return tuple(self.pieces.get(key, "") for key in film or range(1, waits + 1))

    def overwrite(self) -> None:
        """Frames that are there already are rendered anew from now on."""
        self.spec = msgspec.structs.replace(self.spec, overwrite=True)
        self.__dict__.pop("order_for_workers", None)

    @property
    def _scene_engine(self) -> str:
        facts = self.spec.facts
        return facts.scene(self.spec.settings.get("scene")).engine if facts else ""

    @property
    def _scene_color(self) -> tuple[str, ...]:
        facts = self.spec.facts
        scene = facts.scene(self.spec.settings.get("scene")) if facts else None
        return (scene.display, scene.view, scene.look) if scene else ()

    @property
    def queued(self) -> int:
        return len(self._heap)

    @property
    def mean_part_seconds(self) -> float | None:
        rendered = self.completed_parts - self.kept_parts
        return self.render_seconds / rendered if rendered > 0 else None

    @cached_property
    def is_elastic(self) -> bool:
        return self.type.is_elastic(self.spec)

    def chunk(self, width: int) -> int:
        """How many parts its next task should have, on a farm of *width* slots."""
        if not self.is_elastic:
            return 1
        return chunk_size(self.mean_part_seconds, self.queued, width)

    def mean_task_seconds(self, width: int) -> float | None:
        mean = self.mean_part_seconds
        if mean is None or not self.task_count:
            return None
        return mean * self.chunk(width) * self.part_count / self.task_count

    def enqueue(self, task: TaskState) -> None:
        heappush(self._heap, (task.number, task.id))

    def hold(self, task: int) -> None:
        """Let *task*, which is queued or waits for a retry, wait for the tasks before it (again)."""
        self._heap = [entry for entry in self._heap if entry[1] != task]
        heapify(self._heap)
        self.delayed = [entry for entry in self.delayed if entry[1] != task]
        self.held.add(task)

    def first_queued(self) -> int:
        """The task that is next."""
        return self._heap[0][1]

    def next_task(self) -> int:
        return heappop(self._heap)[1]

    def forget_queue(self) -> None:
        self._heap.clear()
        self.delayed.clear()
        self.held.clear()


@dataclass
class WorkerState:
    info: WorkerInfo
    """As it introduced itself, with the tags that people gave it."""
    manager: str
    term: str = ""
    """The name of its present registration; "" until its manager has told of it."""
    status: WorkerStatus = WorkerStatus.IDLE
    standing: Standing = Standing.OPEN
    """Whether it begins anything new, as it says itself."""
    reason: str = ""
    """Why it does not."""
    closed_until: float = float("-inf")
    """It gave work back unasked: until then, monotonic, it is given none."""
    asked_to_leave: float = float("-inf")
    """When it was last asked to drain, monotonic."""
    free: int | None = None
    """Bytes of its machine's memory that a render could have: what is free, and what its own render holds now."""
    attempts: dict[str, None] = field(default_factory=dict)
    """Live attempts, in the order of their grants."""
    running: str = ""
    """The attempt that it has started."""
    own_tags: frozenset[str] = frozenset()
    """The tags that it has by itself."""
    shown: tuple[str, str, str, str] = ("", "", "", "")
    """Status, reason, attempt and job as the record has them."""


@dataclass
class ManagerState:
    id: str
    incarnation: int
    name: str
    heard: float
    """When it was last heard over ROUTER/DEALER, monotonic."""
    beat: float
    """When its last heartbeat came, monotonic."""
    asked: float | None = None
    address: str = ""
    """Where workers reach it."""
    refused: int = 0
    """How often it has refused anything."""
    workers: set[str] = field(default_factory=set)
    standing: Standing = Standing.OPEN
    reason: str = ""
    asked_to_leave: float = float("-inf")
    shown: tuple[str, str] = ("", "")
    """Status and reason as the record has them."""


@dataclass
class Farm:
    """All of it."""

    jobs: dict[str, JobState] = field(default_factory=dict)
    tasks: dict[int, TaskState] = field(default_factory=dict)
    attempts: dict[str, AttemptState] = field(default_factory=dict)
    workers: dict[str, WorkerState] = field(default_factory=dict)
    """Those that are there."""
    managers: dict[str, ManagerState] = field(default_factory=dict)
    owners: dict[tuple[str, str], str] = field(default_factory=dict)
    """(output folder, name pattern) → the unfinished job that owns it."""
    wanted: dict[str, Wanted] = field(default_factory=dict)
    """What people want of workers and managers, those that are away too."""
    keys: dict[str, Principal] = field(default_factory=dict)
    """Those that are admitted."""
    tokens: dict[str, Token] = field(default_factory=dict)
    extra_tags: dict[str, frozenset[str]] = field(default_factory=dict)
    """Tags that people gave workers."""
    schedules: dict[str, tuple[Span, ...]] = field(default_factory=dict)
    """When workers sleep."""
    asleep: dict[str, str] = field(default_factory=dict)
    """Those that do so now, and until what o'clock."""
    users: dict[str, Role] = field(default_factory=dict)
    disabled_users: set[str] = field(default_factory=set)
    paths: tuple[PathVariable, ...] = ()
    """What path variables mean."""
    changed: set[str] = field(default_factory=set)
    """Workers that came, went or changed since the scheduler was last told."""
    changed_jobs: set[str] = field(default_factory=set)
    """Jobs that came, went or changed since the scheduler was last told."""
    next_task: int = 1
    next_part: int = 1
    next_activity: int = 1
    next_order: int = 1
