"""Tasks, their parts and their attempts: what is kept of them, and every change of how they stand. Pure.

A status is changed here and nowhere else: each transition asks its table (brender.model.status), changes the entity, and touches
it, so that its row follows.
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar

from brender.farm.record import Entity
from brender.model.energy import NO_ENERGY, Energy
from brender.model.job import COPY, FILM
from brender.model.status import (
    OUTCOMES,
    PART_TRANSITIONS,
    TASK_TRANSITIONS,
    Outcome,
    PartStatus,
    TaskStatus,
    change,
)


@dataclass(eq=False)
class PartState(Entity):
    """A part that its task still has to do, or has done in the present attempt. What came of it is as in the record."""

    id: int
    frame: int
    output: str
    piece: int = 0
    layer: str = ""
    job: str = ""
    task: int = 0
    scene: str = ""
    view: str = ""
    status: PartStatus = PartStatus.QUEUED
    attempt: str = ""
    worker: str = ""
    size: int = 0
    width: int = 0
    height: int = 0
    digest: str = ""
    further_files: tuple[Any, ...] = ()
    kept: bool = False
    seconds: float = 0.0
    memory: int = 0
    warnings: tuple[str, ...] = ()
    noise: float | None = None
    finished: float | None = None

    kind: ClassVar[str] = "part"
    born: ClassVar[tuple[str, ...]] = ("job", "frame", "scene", "layer", "view", "piece")
    columns: ClassVar[tuple[str, ...]] = (
        "task",
        "status",
        "attempt",
        "worker",
        "output",
        "size",
        "width",
        "height",
        "digest",
        "further_files",
        "kept",
        "seconds",
        "memory",
        "warnings",
        "noise",
        "finished",
    )

    @property
    def key(self) -> int:
        return self.id

    def values(self) -> tuple[Any, ...]:
        """Hot path, watched by benchmarks.dispatch."""
        return (
            self.task,
            self.status,
            self.attempt,
            self.worker,
            self.output,
            self.size,
            self.width,
            self.height,
            self.digest,
            self.further_files,
            self.kept,
            self.seconds,
            self.memory,
            self.warnings,
            self.noise,
            self.finished,
        )

    def birth(self) -> tuple[Any, ...]:
        return self.job, self.frame, self.scene, self.layer, self.view, self.piece

    @property
    def done(self) -> bool:
        return self.status is PartStatus.COMPLETED

    @property
    def is_given_up(self) -> bool:
        """Whether it failed or was canceled."""
        return self.status in (PartStatus.FAILED, PartStatus.CANCELED)

    def begin(self, attempt: str, worker: str) -> None:
        """Let *attempt* at *worker* be the one that renders it."""
        self._to(PartStatus.ACTIVE)
        self.attempt, self.worker = attempt, worker

    def complete(self, attempt: str, worker: str, wall: float, **came: Any) -> None:
        """Record that *attempt* at *worker* finished it at *wall*, and what *came* of it, by the names of fields."""
        self._to(PartStatus.COMPLETED)
        self.attempt, self.worker, self.finished = attempt, worker, wall
        for name, value in came.items():
            setattr(self, name, value)

    def give_up(self) -> None:
        """Queue it again, since its attempt ended without it."""
        self._to(PartStatus.QUEUED)
        self.attempt = self.worker = ""

    def requeue(self) -> None:
        """Queue it again as if it had never been rendered."""
        self.give_up()
        self.finished, self.further_files, self.kept, self.warnings = None, (), False, ()
        if self.piece != COPY:  # (a copy replaces the one that it made before, and no other file)
            self.digest = ""
        self.noise = None

    def fail(self) -> None:
        self._to(PartStatus.FAILED)

    def cancel(self) -> None:
        self._to(PartStatus.CANCELED)

    def move_to(self, task: int) -> None:
        """Let it be a part of another *task*."""
        self.task = task
        self.touch()

    def _to(self, status: PartStatus) -> None:
        self.status = change(PART_TRANSITIONS, "part", self.id, self.status, status)
        self.touch()


@dataclass(eq=False)
class TaskState(Entity):
    """A task, and the parts that it still has to do or has done in the present attempt."""

    id: int
    job: str
    number: int
    parts: list[PartState]
    status: TaskStatus = TaskStatus.QUEUED
    failures: int = 0
    losses: int = 0
    reason: str = ""
    attempts: list[str] = field(default_factory=list)
    """The live attempts that speak for it: none, one, or two where an idle worker repeats a straggler."""
    granted: bool = False
    """It was given out before, so that its parts are fixed."""
    repeated: bool = False
    """An idle worker has repeated it, or does; once is enough."""
    gave_way: int = 0
    """How often its attempt gave way to another job, as far as the server in this life knows."""

    kind: ClassVar[str] = "task"
    born: ClassVar[tuple[str, ...]] = ("job", "number")
    columns: ClassVar[tuple[str, ...]] = ("status", "failures", "losses", "reason")

    @property
    def key(self) -> int:
        return self.id

    def values(self) -> tuple[Any, ...]:
        return self.status, self.failures, self.losses, self.reason

    def birth(self) -> tuple[Any, ...]:
        return self.job, self.number

    def part(self, id: int) -> PartState | None:
        """Return the part *id*, or ``None`` if the task has no such part."""
        for part in self.parts:
            if part.id == id:
                return part
        return None

    @property
    def is_film(self) -> bool:
        return any(part.piece == FILM for part in self.parts)

    @property
    def is_done(self) -> bool:
        return all(part.done for part in self.parts)

    def start(self) -> None:
        self._to(TaskStatus.ACTIVE)

    def release(self) -> None:
        """Queue it, since nothing that it waited for is left."""
        self._to(TaskStatus.QUEUED)

    def queue_again(self) -> None:
        """Queue it again, with the parts that are not done, for nobody renders it any more."""
        self.attempts = []
        self._to(TaskStatus.QUEUED)
        for part in self.parts:
            if not part.done:
                part.give_up()

    def requeue(self) -> None:
        """Queue it again after it has ended; its parts are asked for one by one."""
        self._to(TaskStatus.QUEUED)
        self.failures = self.losses = 0
        self.reason = ""

    def complete(self, reason: str = "") -> None:
        self._to(TaskStatus.COMPLETED)
        self.reason = reason or self.reason

    def fail(self, reason: str) -> None:
        """Fail for good, and all parts with it that are not done."""
        self._to(TaskStatus.FAILED)
        self.reason = reason
        for part in self.parts:
            if not part.done:
                part.fail()

    def cancel(self, reason: str = "") -> None:
        """Cancel it, and all parts that are not done."""
        self._to(TaskStatus.CANCELED)
        self.reason = reason or self.reason
        for part in self.parts:
            if not part.done and part.status is not PartStatus.FAILED:
                part.cancel()

    def explain(self, reason: str) -> None:
        """Say of it, which has ended, how that came."""
        self.reason = reason
        self.touch()

    def count_failure(self, reason: str) -> None:
        self.failures, self.reason = self.failures + 1, reason
        self.touch()

    def count_loss(self, reason: str) -> None:
        self.losses, self.reason = self.losses + 1, reason
        self.touch()

    def _to(self, status: TaskStatus) -> None:
        self.status = change(TASK_TRANSITIONS, "task", self.id, self.status, status)
        self.touch()


@dataclass(eq=False)
class AttemptState(Entity):
    """A live attempt. Times on the server's monotonic clock, but for those that end in ``wall``."""

    id: str
    task: int
    job: str
    worker: str
    sent: float
    manager: str = ""
    granted_wall: float = 0.0
    incarnation: int = 0
    """Of the worker that it was granted to."""
    parts: set[int] | None = None
    """Those that it was given and has not reported; ``None`` where a server that restarted does not know."""
    left_out: set[int] = field(default_factory=set)
    """Those of them that were taken out of its job since and that it has not reported. In its row, written where it changes."""
    confirmed: bool = False
    started_wall: float | None = None
    began: float | None = None
    """When the server heard of its start; ``None`` before, and where a server that restarted does not know."""
    repeats: bool = False
    superseded: bool = False
    """Another attempt has finished its task."""
    recalling: float | None = None
    last_report: int = 0
    canceling: str = ""
    """Why it was asked to stop, or "" if it was not. In the row it is the ``reason`` of an attempt that is live, so that a server
    that restarts knows it."""
    used: Energy = NO_ENERGY
    """The energy that it used, by its last report; not in its row."""
    outcome: Outcome = Outcome.LIVE
    reason: str = ""
    seconds: float = 0.0
    finished_wall: float | None = None

    kind: ClassVar[str] = "attempt"
    born: ClassVar[tuple[str, ...]] = ("job", "task", "worker", "manager", "granted")
    columns: ClassVar[tuple[str, ...]] = ("outcome", "reason", "last_report", "started", "finished", "seconds")

    @property
    def key(self) -> str:
        return self.id

    def values(self) -> tuple[Any, ...]:
        reason = self.canceling if self.outcome is Outcome.LIVE else self.reason
        return self.outcome, reason, self.last_report, self.started_wall, self.finished_wall, self.seconds

    def birth(self) -> tuple[Any, ...]:
        return self.job, self.task, self.worker, self.manager, self.granted_wall

    @property
    def started(self) -> bool:
        return self.started_wall is not None

    def begin(self, mono: float, wall: float) -> None:
        self.began, self.started_wall, self.recalling = mono, wall, None
        self.touch()

    def take_report(self, number: int) -> None:
        """Count report *number*, the one after the last."""
        self.last_report, self.confirmed = number, True
        self.touch()

    def has_to_do(self, part: PartState) -> bool:
        """Return whether it was given *part*, or may have been, and has not reported it. What was queued again since its
        grant, it was not given."""
        return self.parts is None or part.id in self.parts

    def cancel(self, reason: str) -> None:
        """Let it stop, for this *reason*."""
        self.canceling = reason
        self.touch()

    def supersede(self, reason: str = "another attempt finished it first") -> None:
        """Let it stop: its task is done."""
        self.superseded = True
        self.cancel(reason)

    def end(self, outcome: Outcome, reason: str, wall: float, seconds: float) -> None:
        if self.superseded:
            outcome, reason = Outcome.SUPERSEDED, self.canceling
        self.outcome = change(OUTCOMES, "attempt", self.id, self.outcome, outcome)
        self.reason, self.finished_wall, self.seconds = reason, wall, seconds
        self.touch()
