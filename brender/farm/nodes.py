"""Workers and managers that are there: what is kept of them, and their rows. Pure."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

from brender.farm.record import Entity, Verb
from brender.model.nodes import Blender, Standing, WorkerInfo
from brender.model.status import ManagerStatus, WorkerStatus


@dataclass(eq=False)
class WorkerState(Entity):
    """A worker that is there."""

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
    missing_since: float | None = None
    """Since when its manager, which is there, does not name it among its workers, monotonic."""
    free: int | None = None
    """Bytes of its machine's memory that a render could have: what is free, and what its own render holds now."""
    rendering: int = 0
    """Bytes of memory that its own render held, about, when it was last looked at."""
    attempts: dict[str, None] = field(default_factory=dict)
    """Live attempts, in the order of their grants."""
    running: str = ""
    """The attempt that it has started."""
    worked_until: float = float("-inf")
    """When an attempt that it had started ended last, monotonic."""
    own_tags: frozenset[str] = frozenset()
    """The tags that it has by itself."""
    shown: tuple[WorkerStatus, str, str, str] = (WorkerStatus.IDLE, "", "", "")
    """What people are shown: its status, the reason, its attempt and that attempt's job."""
    frame: int | None = None
    fraction: float = 0.0
    line: str = ""
    """How far its attempt is."""
    beat: float = float("-inf")
    """When its last heartbeat came, monotonic."""
    sleepless: str = ""
    """Why it could not be put to sleep, or "" if it could, or was not to be."""
    stuck: str = ""
    """Why that seems stuck (`brender.model.stuck`), or "" if it does not."""
    stats: dict[str, Any] | None = None
    last_seen: float = 0.0

    kind: ClassVar[str] = "worker"
    first_verb: ClassVar[Verb] = "put"
    columns: ClassVar[tuple[str, ...]] = (
        "incarnation",
        "name",
        "host",
        "manager",
        "platform",
        "software",
        "pid",
        "cores",
        "memory",
        "blenders",
        "tags",
        "job_types",
        "programs",
        "site",
        "pool",
        "gpu_memory",
        "mac",
        "folders",
        "readable",
        "takes_trusted",
        "takes_addons",
        "status",
        "reason",
        "attempt",
        "job",
        "frame",
        "fraction",
        "line",
        "stats",
        "last_seen",
    )

    @property
    def key(self) -> str:
        return self.info.id

    def values(self) -> tuple[Any, ...]:
        info = self.info
        return (
            info.incarnation,
            info.name,
            info.host,
            self.manager,
            info.platform,
            info.software,
            info.pid,
            info.cores,
            info.memory,
            [_plain(blender) for blender in info.blenders],
            tuple(sorted(self.own_tags)),
            tuple(sorted(info.job_types)),
            tuple(sorted(info.programs)),
            info.site,
            info.pool,
            info.gpu_memory,
            info.mac,
            info.folders,
            info.readable,
            info.takes_trusted,
            info.takes_addons,
            *self.shown,
            self.frame,
            self.fraction,
            self.line,
            self.stats,
            self.last_seen,
        )

    def show(self, status: WorkerStatus, reason: str, job: str) -> None:
        """Let people see that it stands so, and runs an attempt of *job* ("": none)."""
        self.status = status
        shown = (status, reason, self.running, job)
        if shown != self.shown:
            if self.running != self.shown[2]:
                self.frame, self.fraction, self.line = None, 0.0, ""
            self.shown = shown
            self.touch()

    def go_on(self, frame: int) -> None:
        """Let people see that it renders the next *frame* of its task. Renders that print nothing tell it no earlier."""
        self.frame, self.line = frame, ""
        self.touch()

    def leave(self, reason: str) -> None:
        """Record that it is not there any more."""
        self.running = ""
        self.show(WorkerStatus.OFFLINE, reason, "")


@dataclass(eq=False)
class ManagerState(Entity):
    """A manager that is there."""

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
    farewell: str = ""
    """Why it has said goodbye, while what its workers render is waited for, or "" while it is there."""
    asked_to_leave: float = float("-inf")
    shown: tuple[ManagerStatus, str] = (ManagerStatus.ONLINE, "")
    """What people are shown: its status and the reason."""
    host: str = ""
    software: str = ""
    pid: int = 0
    stats: dict[str, Any] | None = None
    last_seen: float = 0.0

    kind: ClassVar[str] = "manager"
    first_verb: ClassVar[Verb] = "put"
    columns: ClassVar[tuple[str, ...]] = (
        "incarnation",
        "name",
        "host",
        "address",
        "software",
        "pid",
        "status",
        "reason",
        "stats",
        "last_seen",
    )

    @property
    def key(self) -> str:
        return self.id

    def values(self) -> tuple[Any, ...]:
        return (
            self.incarnation,
            self.name,
            self.host,
            self.address,
            self.software,
            self.pid,
            *self.shown,
            self.stats,
            self.last_seen,
        )

    def show(self, status: ManagerStatus, reason: str) -> None:
        """Let people see that it stands so."""
        if (status, reason) != self.shown:
            self.shown = (status, reason)
            self.touch()


def _plain(blender: Blender) -> dict[str, Any]:
    """Return what the row of a worker has of one of its Blenders."""
    known = {"kind": blender.kind, "path": blender.path, "version": ".".join(map(str, blender.version))}
    return known if blender.file_subversion is None else known | {"file_subversion": blender.file_subversion}
