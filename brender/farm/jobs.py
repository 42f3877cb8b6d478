"""Unfinished jobs in memory, and their status. Pure."""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Set
from dataclasses import dataclass, field
from functools import cached_property
from heapq import heapify, heappop, heappush
from typing import Any, ClassVar

import msgspec

from brender.farm.dependencies import Dependencies
from brender.farm.job_plugin import JobTypeFailed
from brender.farm.record import Entity
from brender.farm.refusals import Refusals
from brender.farm.sweep import Sweep
from brender.farm.tasks import PartState, TaskState
from brender.jobs.declare import JobType
from brender.jobs.film import frames_of_film
from brender.jobs.numbering import tasks_without_frames
from brender.jobs.stages import Graph, one_stage
from brender.model.beginning import After
from brender.model.energy import Energy
from brender.model.grant import Order, with_threads
from brender.model.job import MISSING_FILE, RUSH, Inputs, JobSpec, Requirements
from brender.model.nodes import dotted
from brender.model.passes import passes_of
from brender.model.status import ENDED_JOB, JOB_TRANSITIONS, JobStatus, change
from brender.model.text import job_in_words
from brender.model.units import steps_of
from brender.model.views import view_suffixes
from brender.scheduling.chunks import chunk_size

#: Warnings of one job that are kept: so many are enough to know.
_WARNINGS_MOST = 100
#: The shares of a job's parts at which its expected end is recorded.
FORESEEN_AT = (0.1, 0.25, 0.5, 0.75)


class Estimated(msgspec.Struct, frozen=True):
    """What was expected of a job at a ``wall`` time, when such a ``share`` of its parts was done: to take so many ``seconds``
    more."""

    share: float
    wall: float
    seconds: float


@dataclass(eq=False)
class JobState(Entity):
    """An unfinished job, or one that has ended and of which something still goes on.

    ``planned``: its first so many tasks have rows. ``cursor``: tasks up to this number have been brought into memory since the
    last requeue. ``failures``: attempts that failed since a frame of it was last done. ``sweeps``: what is still to be done to
    its tasks, in this order.
    """

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
    finished_frames: int = 0
    """If a frame has several steps, one after the other: the number of frames whose last step is done; else 0."""
    kept_parts: int = 0
    """Those of them that were there already."""
    given_up_parts: int = 0
    """Those that failed or were canceled: they are not rendered unless somebody queues them again."""
    memory: int = 0
    """The most bytes that a frame of it was seen to need."""
    ended_tasks: int = 0
    failed_tasks: int = 0
    failures: int = 0
    render_seconds: float = 0.0
    """Seconds that its completed frames took."""
    slowest_seconds: float = 0.0
    """Seconds that the slowest of them took."""
    machine_seconds: float = 0.0
    """Seconds that its ended attempts took, also those that failed."""
    joules: float = 0.0
    """The energy that these used in the ``metered_seconds`` in which that was measured."""
    metered_seconds: float = 0.0
    submitted: float = 0.0
    started: float | None = None
    finished: float | None = None
    revision: int = 1
    """1 when it is submitted; each edit adds one."""
    closed: bool = False
    """No task of it may be given out, since it waits for other jobs or for a time. Not kept: a restart checks it again."""
    waiting_for: str = ""
    """What it waits for (`brender.farm.waiting`), or "" if nothing holds it up but workers."""
    deleting: str = ""
    """What of it is being deleted, or "" if nothing is."""
    frames_deleted: float | None = None
    sweeps: list[Sweep] = field(default_factory=list)
    estimates: list[Estimated] = field(default_factory=list)
    """Its expected ends, at each of `FORESEEN_AT` of its parts."""
    warnings: list[str] = field(default_factory=list)
    strikes: dict[str, int] = field(default_factory=dict)
    """Attempts that failed in a row, by worker."""
    kept_off: set[str] = field(default_factory=set)
    """The workers that are kept off it."""
    tasks: set[int] = field(default_factory=set)
    held_upto: int = -1
    """The highest number of a held task when tasks were last queued again: those before it are brought into memory first."""
    stopping: set[int] = field(default_factory=set)
    """Queued tasks whose last attempt was canceled and has not ended: two at once would write one file."""
    measured: dict[int, float] = field(default_factory=dict)
    """The measured noise of frames, from which the job type makes the ranks of their tasks."""
    live: set[str] = field(default_factory=set)
    begun: int = 0
    """The number of its live attempts that workers have begun."""
    rests_since: float = float("-inf")
    """When the last of these ended, monotonic, as far as this server knows."""
    delayed: list[tuple[float, int]] = field(default_factory=list)
    """Retries that wait: (not before, task)."""
    alone: set[int] = field(default_factory=set)
    """Tasks that ran out of memory beside others. Until they are done, the job renders where no other slot of the machine does.
    Not kept: after a restart it is tried as before."""
    put_off: dict[str, tuple[float, str]] = field(default_factory=dict)
    """By worker that cannot use its folders now: (until when it does not go there, why not). Not kept: after a restart it is
    tried again."""
    put_off_times: dict[str, int] = field(default_factory=dict)
    """How often that happened in a row, by worker."""
    rendered_by: set[str] = field(default_factory=set)
    """The workers that have done some of it, as far as the server in this life knows."""
    refusals: Refusals = field(default_factory=Refusals)
    """The workers in a row that could not begin it."""
    baked: str = ""
    """Where its files travel: the digest of its .blend with the bake, or "" if there is none yet."""
    pieces: dict[int, str] = field(default_factory=dict)
    """Where files travel, of a still: the digest of each piece that is done, by its number; of a film: of each frame; of a job
    that refines its frames: of what each has accumulated."""
    placing: set[tuple[str, int]] = field(default_factory=set)
    """Its finished frames, by attempt and part, that the server has and that are not in its folder yet."""
    hindrance: str = ""
    """Why they cannot be put there now, and how many they are."""
    recent: deque[bool] = field(default_factory=deque)
    """Of its attempts that ended last, whether each failed."""
    _heap: list[tuple[float, int, int]] = field(default_factory=list)

    kind: ClassVar[str] = "job"
    born: ClassVar[tuple[str, ...]] = (
        "project",
        "name",
        "user",
        "job_type",
        "tags",
        "output",
        "made_output",
        "made_above",
        "trusted",
        "bundle",
        "addons",
        "of_render",
        "stall_minutes",
        "limit_minutes",
        "sharing",
        "settings",
        "facts",
        "blender_version",
        "task_count",
        "part_count",
        "passes",
        "submitted",
        "revision",
    )
    columns: ClassVar[tuple[str, ...]] = (
        "status",
        "reason",
        "priority",
        "overwrite",
        "warnings",
        "planned_tasks",
        "completed_parts",
        "kept_parts",
        "finished_frames",
        "given_up_parts",
        "memory",
        "failed_tasks",
        "failures",
        "render_seconds",
        "slowest_seconds",
        "machine_seconds",
        "joules",
        "metered_seconds",
        "started",
        "finished",
        "series",
        "deleting",
        "frames_deleted",
        "sweeps",
        "after_jobs",
        "start_at",
        "night",
        "waiting_for",
        "estimates",
    )

    @cached_property
    def id(self) -> str:
        return self.spec.id

    @property
    def key(self) -> str:
        return self.id

    def values(self) -> tuple[Any, ...]:
        return (
            self.status,
            self.reason,
            self.priority,
            self.spec.overwrite,
            tuple(self.warnings),
            self.planned,
            self.completed_parts,
            self.kept_parts,
            self.finished_frames,
            self.given_up_parts,
            self.memory,
            self.failed_tasks,
            self.failures,
            self.render_seconds,
            self.slowest_seconds,
            self.machine_seconds,
            self.joules,
            self.metered_seconds,
            self.started,
            self.finished,
            dotted(self.need.series) if self.need.series else "",
            self.deleting,
            self.frames_deleted,
            tuple(self.sweeps),
            self.spec.after,
            self.spec.start_at,
            self.spec.night,
            self.waiting_for,
            tuple(self.estimates),
        )

    def birth(self) -> tuple[Any, ...]:
        spec, facts = self.spec, self.spec.facts
        return (
            spec.project,
            spec.name,
            spec.user,
            spec.job_type,
            list(spec.tags),
            spec.output,
            spec.made_output,
            spec.made_above,
            spec.trusted,
            spec.bundle,
            msgspec.to_builtins(spec.addons),
            spec.of_render,
            spec.stall_minutes,
            spec.limit_minutes,
            msgspec.to_builtins(spec.sharing),
            spec.settings,
            msgspec.to_builtins(facts) if facts else None,
            ".".join(map(str, facts.version)) if facts else "",
            self.task_count,
            self.part_count,
            passes_of(spec.settings),
            self.submitted,
            self.revision,
        )

    # --- transitions --------------------------------------------------------------------------------------------------

    def revise(self, spec: JobSpec, need: Requirements, task_count: int, part_count: int) -> None:
        """Let it be what *spec* says from now on, with the stages of before, and perhaps more of them, of tasks and of parts."""
        self.spec, self.need, self.priority = spec, need, spec.priority
        self.task_count, self.part_count = task_count, part_count
        for name in ("order_for_workers", "is_elastic", "_tasks_of_parts"):
            self.__dict__.pop(name, None)
        self.dependencies.grow(Graph(self.type.stages(spec)))
        self.revision += 1
        self.rewrite()

    def count_parts(self) -> None:
        """Let it have as many parts as its type says: those that it had more are gone."""
        self.part_count = self.type.part_count(self.spec)
        self.rewrite()

    def pin(self, series: tuple[int, int] | None) -> None:
        """Let all of it be rendered with that *series* of Blender from now on; ``None``: with the one that is chosen next."""
        self.need = msgspec.structs.replace(self.need, series=series)
        self.__dict__.pop("order_for_workers", None)  # it is another now
        self.touch()

    def unpin(self) -> bool:
        """Let the series of Blender be chosen again, unless its owner chose it; return whether it is."""
        if self.need.series is None or self.spec.settings.get("blender"):
            return False
        self.pin(None)
        return True

    def stand(self, status: JobStatus, reason: str, wall: float) -> bool:
        """Give it this *status*, for *reason*; return whether that is a change."""
        change(JOB_TRANSITIONS, "job", self.id, self.status, status)
        if (status, reason) == (self.status, self.reason):
            return False
        if status is JobStatus.ACTIVE and self.started is None:
            self.started = wall
        if status in ENDED_JOB:
            self.finished = wall
        elif self.status in ENDED_JOB:
            self.finished, self.frames_deleted = None, None
        self.status, self.reason = status, reason
        self.touch()
        return True

    def readmit(self, worker: str) -> None:
        """Let *worker* try it again."""
        self.kept_off.discard(worker)
        for known in (self.strikes, self.put_off, self.put_off_times):
            known.pop(worker, None)

    def warn(self, warning: str, subject: str = "") -> None:
        """Add *warning* to it, unless it has one about the same *subject*."""
        known = any((subject or warning) in other for other in self.warnings)
        if not known and len(self.warnings) < _WARNINGS_MOST:
            self.warnings.append(warning)
            self.touch()

    def forget_missing_files(self) -> None:
        """Remove the warnings that files are missing. All of it is rendered again, and a worker that still misses one says so."""
        self.warnings = [warning for warning in self.warnings if not warning.startswith(MISSING_FILE)]
        self.touch()

    def count_part(self, task: int, seconds: float, memory: int, kept: bool) -> None:
        """Count a part of its task number *task* that is done, after so many *seconds*."""
        self.completed_parts += 1
        self.finished_frames += self._finishes_frames(task)
        self.kept_parts += kept
        self.render_seconds += seconds
        self.slowest_seconds = max(self.slowest_seconds, seconds)
        self.memory = max(self.memory, memory)
        self.failures = 0
        self.touch()

    @property
    def is_to_be_foreseen(self) -> bool:
        """Whether its expected end is to be recorded now."""
        made = bisect_right(FORESEEN_AT, self.estimates[-1].share) if self.estimates else 0
        return self.status is JobStatus.ACTIVE and made < len(FORESEEN_AT) and self._share >= FORESEEN_AT[made]

    def foresee(self, seconds: float, wall: float) -> None:
        """Record that at *wall* it was expected to take so many *seconds* more."""
        self.estimates.append(Estimated(round(self._share, 4), wall, round(seconds, 3)))
        self.touch()

    @property
    def _share(self) -> float:
        return self.completed_parts / self.part_count if self.part_count else 0.0

    def _finishes_frames(self, task: int) -> bool:
        """Whether its task number *task* is the last of several steps of its frames."""
        return steps_of(self.spec.settings) > 1 and self.graph.place(task) in self.graph.last_of_frames

    def uncount_part(self, task: int, part: PartState) -> None:
        """Count *part* of its task number *task* no longer, which was done, for it is queued again; what was warned of it is no
        longer so."""
        self.warnings = [warning for warning in self.warnings if warning not in part.warnings]
        self.completed_parts -= 1
        self.finished_frames -= self._finishes_frames(task)
        # (One that was found there took no time.)
        self.kept_parts = max(0, self.kept_parts - (part.kept or not part.seconds))
        self.render_seconds = max(0.0, self.render_seconds - part.seconds)
        self.touch()

    def pass_over(self, tasks: int) -> None:
        """Count so many *tasks* as ended that have nothing to do, and no rows."""
        self.ended_tasks += tasks

    def count_ended_task(self, failed: bool, given_up: int = 0) -> None:
        """Count a task that has ended. *given_up*: its parts that failed or were canceled."""
        self.ended_tasks += 1
        self.given_up_parts += given_up
        self.failed_tasks += failed
        self.touch()

    def uncount_ended_task(self, failed: bool, given_up: int = 0) -> None:
        """Count a task no longer that had ended, for it is queued again, with its parts that had been *given_up*."""
        self.ended_tasks -= 1
        self.given_up_parts = max(0, self.given_up_parts - given_up)
        self.failed_tasks -= failed
        self.touch()

    def count_machine_time(self, seconds: float, used: Energy) -> None:
        """Count what an attempt took that has ended, and the energy that it *used*."""
        if seconds > 0:
            self.machine_seconds += seconds
            self.joules += used.joules
            self.metered_seconds += used.seconds
            self.touch()

    def count_attempt(self, failed: bool, window: int) -> None:
        """Count an attempt that ended, as one of the last *window*."""
        self.failures += failed
        self.recent.append(failed)
        while len(self.recent) > window:
            self.recent.popleft()
        if failed:
            self.touch()

    @property
    def urgency(self) -> int:
        """Its priority; of a rush job more than any other has."""
        return self.priority + (RUSH if self.spec.sharing.rush else 0)

    @property
    def is_over(self) -> bool:
        """Whether nothing of it goes on any more."""
        return self.status in ENDED_JOB and not self.live and not self.sweeps

    @cached_property
    def order_for_workers(self) -> Order:
        """What all its grants have in common, but for what path variables mean."""
        return Order(
            job=self.id,
            engine=self.type.engine,
            settings=with_threads(self.spec.settings, self.spec.sharing.cores),
            cores=self.spec.sharing.cores,
            output=self.spec.output,
            blender=self.need.blender,
            oldest_blender=self.need.oldest_blender,
            series=self.need.series,
            trusted=self.spec.trusted,
            addons=self.spec.addons,
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
        """Return the digests of the pieces that its task *number* merges, of the frames of its film, or of what its frame has
        accumulated or is made of, where their files travel; and last that of the .blend with the bake, where there is one."""
        return (*self._made_of(number), *((self.baked,) if self.baked else ()))

    def _made_of(self, number: int) -> tuple[str, ...]:
        stage, settings = self.graph.stages[self.graph.place(number)], self.spec.settings
        if passes_of(settings) or any(wait.by_frame for wait in stage.after):
            frames = {part.frame for part in self.type.task(self.spec, number).parts}
            return tuple(self.pieces[frame] for frame in frames if frame in self.pieces)
        if not self.pieces or not stage.after or (stage.of_frames and settings.get("baked")):
            return ()  # (the frames of a baked job are made of the bake alone)
        film = [frame for frame, _ in frames_of_film(settings)]
        waits = self.graph.before(self.graph.place(number))
        return tuple(self.pieces.get(key, "") for key in film or range(1, waits + 1))

    @property
    def waits_by_frame(self) -> bool:
        """Whether its frames wait for those of other jobs."""
        return any(after.by_frame for after in self.spec.after)

    def wait_otherwise(self, after: tuple[After, ...], start_at: float, night: bool) -> None:
        """Let it wait for these jobs, for this time and for the night, from now on."""
        self.spec = msgspec.structs.replace(self.spec, after=after, start_at=start_at, night=night)
        self.touch()

    def stand_waiting(self, kind: str) -> None:
        """Let what it waits for be *kind*."""
        if kind != self.waiting_for:
            self.waiting_for = kind
            self.touch()

    def overwrite(self) -> None:
        """Render frames again that are there already, from now on."""
        self.spec = msgspec.structs.replace(self.spec, overwrite=True)
        self.__dict__.pop("order_for_workers", None)
        self.touch()

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
    def called(self) -> str:
        """Its name in sentences for people."""
        return job_in_words(self.id, self.spec.name)

    @property
    def queued(self) -> int:
        return len(self._heap)

    @property
    def mean_part_seconds(self) -> float | None:
        rendered = self.completed_parts - self.kept_parts
        return self.render_seconds / rendered if rendered > 0 else None

    @cached_property
    def dependencies(self) -> Dependencies:
        """What of its stages is in memory. A job whose type cannot say what stages it has fails elsewhere, and has one here."""
        try:
            return Dependencies(Graph(self.type.stages(self.spec)))
        except JobTypeFailed:
            return Dependencies(Graph(one_stage(self.task_count)))

    @property
    def graph(self) -> Graph:
        return self.dependencies.graph

    @property
    def held(self) -> set[int]:
        """Tasks that wait for others."""
        return self.dependencies.held

    @cached_property
    def is_elastic(self) -> bool:
        return self.type.is_elastic(self.spec)

    def chunk(self, width: int) -> int:
        """Return how many parts its next task should have, on a farm of *width* slots."""
        if not self.is_elastic:
            return 1
        return chunk_size(self.mean_part_seconds, self.queued, width)

    def mean_task_seconds(self, width: int) -> float | None:
        mean = self.mean_part_seconds
        if mean is None or not self.task_count:
            return None
        return mean * self.chunk(width) * self.part_count / self._tasks_of_parts

    @cached_property
    def _tasks_of_parts(self) -> int:
        return max(1, self.task_count - tasks_without_frames(self.spec.settings))

    def enqueue(self, task: TaskState) -> None:
        heappush(self._heap, (self.type.rank(self.spec, task.number, self.measured), task.number, task.id))

    def hold(self, tasks: Iterable[TaskState]) -> None:
        """Let *tasks*, which are queued or wait for a retry, wait for the tasks before them (again)."""
        held = {task.id: task for task in tasks}
        self._take_out(held.keys())
        for task in held.values():
            self.dependencies.hold(task, self.waits_by_frame)
            self.held_upto = max(self.held_upto, task.number)

    def take_out(self, *tasks: int) -> None:
        """Let *tasks* wait no more: neither for their turn, nor for a retry, nor for others."""
        self._take_out(set(tasks))
        for task in tasks:
            self.dependencies.release(task)

    def _take_out(self, tasks: Set[int]) -> None:
        self._heap = [entry for entry in self._heap if entry[-1] not in tasks]
        heapify(self._heap)
        self.delayed = [entry for entry in self.delayed if entry[1] not in tasks]

    def first_queued(self) -> int:
        """Return the task that is next."""
        return self._heap[0][-1]

    def next_task(self) -> int:
        return heappop(self._heap)[-1]

    def forget_queue(self) -> None:
        self._heap.clear()
        self.delayed.clear()
        self.dependencies.forget_held()
