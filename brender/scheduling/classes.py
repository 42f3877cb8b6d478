"""Classes of workers, and of jobs, that the scheduler need not tell apart. Pure.

Whether a worker can run a job is asked once per pair of classes. What differs inside a class (a job that is kept off one worker,
a worker with too little free memory) is an exception, and is asked per worker where it matters.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import msgspec

from brender.model.eligibility import general_obstacle, loses, waits_for_newer
from brender.model.job import Requirements
from brender.model.nodes import WorkerInfo
from brender.model.obstacle import Obstacle
from brender.model.paths import PathVariable, platform_of
from brender.scheduling.folder_limits import Limits
from brender.scheduling.terms import Demand

#: What tells classes of jobs apart.
JobKey = tuple[Requirements, tuple[PathVariable, ...], bool, frozenset[Limits] | None]
#: Why a class of workers cannot run jobs of a class whose folders it may not use. In words, it is `general_obstacle` of the job:
#: each has folders of its own.
OUTSIDE = Obstacle("may not use its folders", "may not use its folders")
#: The rank of a job among those of its user and project: priority first, then the fewest workers that will render it last of
#: what they hold, then the fewest live attempts, then age; and its id.
Rank = tuple[int, int, int, int, str]
#: The place of the jobs of a project and a priority among all: the priority as in a rank, the share, the project's number; and
#: they themselves, which are not compared, since no other has that number.
Place = tuple[int, float, int, "ProjectLine"]
#: The place of a line among those of its project: the share, the user's number; and the line.
LinePlace = tuple[float, int, "Line"]


@dataclass(slots=True, eq=False)
class Machine:
    """What the workers on one host share: its memory.

    ``slots`` are these workers, ``busy`` is the number of those with grants, ``reserved`` the bytes of memory that these will
    need beyond what they hold, ``alone`` the number of those that are to have no others beside them.
    """

    slots: "dict[Worker, None]" = field(default_factory=dict)
    busy: int = 0
    reserved: int = 0
    alone: int = 0
    available: int | None = None
    """Bytes of its memory that nothing uses, as a worker there said last."""
    blocked: "dict[Worker, None]" = field(default_factory=dict)
    """Its workers in the queues ``blocked`` of their classes."""
    kept: str = ""
    """The job that it is kept free for, or ""."""
    claims: int = 0
    """How many of its workers have grants that reserve cores."""


@dataclass(slots=True, eq=False)
class Worker:
    """A worker as the scheduler knows it.

    ``order`` is its age, ``count`` the number of its grants. ``serving``: it takes tasks; ``open``: it does so at this moment.
    """

    id: str
    info: WorkerInfo
    order: int
    kind: "WorkerClass"
    serving: bool = False
    open: bool = False
    count: int = 0
    tail: str = ""
    """The job of its last grant: what it renders once it has done the others, or ""."""
    place: "list[int] | None" = None
    """The queue of its class that it stands in: ``idle``, ``eager`` or ``blocked``; ``None`` if in none."""
    machine: Machine | None = None
    """``None`` where its host is not known."""
    reserved: int = 0
    """Bytes of memory that its grants will need beyond what it holds."""
    alone: bool = False
    """Nothing else is to start on its machine."""
    cores: int = 0
    """The cores that its grants reserve."""
    gpu_memory: int = 0
    """The bytes of GPU memory that its grants reserve."""
    scenes: dict[str, str] = field(default_factory=dict)
    """The last scenes that it had open (`Demand.scene`), by their files; the newest is the last."""

    def stand_in(self, place: "list[int] | None") -> None:
        """Leave the queue that it stands in for *place*; ``None``: for none."""
        before, blocked = self.place, self.kind.blocked
        if before is place:
            return
        if before is not None:
            del before[bisect_left(before, self.order)]
            if before is blocked and self.machine is not None:
                del self.machine.blocked[self]
        self.place = place
        if place is not None:
            insort(place, self.order)
            if place is blocked and self.machine is not None:
                self.machine.blocked[self] = None


@dataclass(slots=True, eq=False)
class WorkerClass:
    """Workers with the same Blenders, tags, platform, site, job types, programs, trust and folders.

    Its queues are sorted lists of their orders.
    """

    number: int
    info: WorkerInfo
    """What they have in common; the rest is blank."""
    limits: Limits | None
    """What their owners let them use; ``None``: anything."""
    workers: dict[str, Worker] = field(default_factory=dict)
    idle: list[int] = field(default_factory=list)
    """Those without a grant that may take one."""
    eager: list[int] = field(default_factory=list)
    """Those with grants that may take one more."""
    blocked: list[int] = field(default_factory=list)
    """Those that would be in one of the above, but are an exception for each ready job that the others could take."""
    serving: int = 0
    """How many of its workers take tasks."""
    open: int = 0
    """How many of these may take one at this moment."""
    resting: int = 0
    """How many of the open ones have no grant."""
    runs: "dict[JobClass, None]" = field(default_factory=dict)
    """The classes of jobs that they can run."""
    mask: int = 0
    """The bits of these."""
    own: int = 0
    """The bits of those of their own pool."""
    bit: int = 0
    """A number with one bit set, which no other class has."""
    own_bit: int = 0
    """The same, for those jobs of their own pool (`JobClass.reach`)."""


@dataclass(slots=True, eq=False)
class Job:
    """An open job as the scheduler knows it. ``rank`` is its place in the ready list of its class; ``None`` if nothing waits."""

    demand: Demand
    kind: "JobClass"
    assessed: int
    """With so many of the `Limits` that the roster knows it was compared."""
    rank: Rank | None = None
    unable: tuple[int, Requirements | None, str] = (-1, None, "")
    """Why no worker can run it, with the `Roster.membership` and the needs of which that was said."""
    tiny: bool = False
    """It counts as `Demand.is_tiny` in its class."""
    line: "Line | None" = None
    """Where it stands with this rank among the jobs of its user and project."""


@dataclass(slots=True, eq=False)
class UserShare:
    """The use of a user within a project. ``used``: seconds of machine."""

    name: str
    number: int
    used: float = 0.0
    share: float = 0.0
    """``used``, divided by the weight."""


@dataclass(slots=True, eq=False)
class ProjectShare:
    """The use of a project, with its users. ``lines`` are its ready jobs, by priority."""

    name: str
    number: int
    used: float = 0.0
    share: float = 0.0
    users: dict[str, UserShare] = field(default_factory=dict)
    lines: "dict[int, ProjectLine]" = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Line:
    """The ready jobs of one priority, project and user, by their class; each list is sorted.

    ``reach``: the workers that can run one of those that need no licence (`JobClass.reach`), and perhaps more while it is
    ``loose``. ``licensed``: the classes of the others.
    """

    lines: "ProjectLine"
    user: UserShare
    place: "LinePlace" = field(init=False)
    ready: "dict[JobClass, list[Rank]]" = field(default_factory=dict)
    licensed: "dict[JobClass, None]" = field(default_factory=dict)
    reach: int = 0
    loose: bool = False

    @property
    def project(self) -> ProjectShare:
        return self.lines.project

    @property
    def priority(self) -> int:
        return self.lines.priority

    def serves(self, bit: int) -> bool:
        """Return whether workers with *bit* can run one of the jobs, as far as no licence keeps it waiting."""
        if self.loose:
            self.loose, self.reach = False, 0
            for kind in self.ready:
                if not kind.need.licences:
                    self.reach |= kind.reach
        return bool(self.reach & bit) or any(kind.reach & bit and not kind.shut for kind in self.licensed)


@dataclass(slots=True, eq=False)
class ProjectLine:
    """The lines of one priority and project. ``order`` is their places, sorted; ``reach`` is that of all their classes, and
    perhaps more while it is ``loose``."""

    project: ProjectShare
    priority: int
    """As ranks have it: the higher, the lower."""
    place: Place = field(init=False)
    lines: dict[int, Line] = field(default_factory=dict)
    """By the number of the user."""
    order: "list[LinePlace]" = field(default_factory=list)
    pooled: "dict[str, dict[Line, None]]" = field(default_factory=dict)
    """The lines with a job of a pool, by that."""
    reach: int = 0
    loose: bool = False

    def tighten(self) -> None:
        """Find out again which workers can run one of the jobs."""
        if self.loose:
            self.loose, self.reach = False, 0
            for line in self.lines.values():
                for kind in line.ready:
                    self.reach |= kind.reach


@dataclass(slots=True, eq=False)
class Needs:
    """What jobs of several classes require alike, and why each class of workers lacks that; ``None`` where it does not."""

    need: Requirements
    """All but where their files and outputs lie."""
    paths: tuple[PathVariable, ...]
    classes: int = 0
    """The number of these classes of jobs."""
    obstacles: dict[WorkerClass, Obstacle | None] = field(default_factory=dict)

    def obstacle_of(self, kind: WorkerClass) -> Obstacle | None:
        """Return why *kind* cannot run them; ``None`` where it can. It is asked once."""
        if kind not in self.obstacles:
            self.obstacles[kind] = general_obstacle(self.need, self.paths, kind.info)
        return self.obstacles[kind]


@dataclass(slots=True, eq=False)
class JobClass:
    """Open jobs with the same requirements, in folders that the same workers may use."""

    needs: Needs
    settles: bool
    """They are kept off each worker that loses nothing of their .blend, and settle for one that may."""
    inside: frozenset[Limits] | None
    """The limits that their folders are in, as far as they were compared; ``None``: they have no folders."""
    bit: int = 0
    """A number with one bit set, which no other class has."""
    reach: int = 0
    """The bits of the classes of workers that can run them: ``bit`` of each, and ``own_bit`` where they are of its own pool."""
    tiny: int = 0
    """The number of those whose tasks are very short (`Demand.is_tiny`)."""
    shut: bool = False
    """They need a licence of which nothing is left."""
    jobs: dict[str, Job] = field(default_factory=dict)
    live: int = 0
    """The number of their live attempts."""
    ready: list[Rank] = field(default_factory=list)
    """The ranks of those with queued tasks, sorted. A sorted list: at thousands of jobs it is as quick as a heap, it can be read
    in order past the exceptions, and nothing stale stays in it."""
    obstacles: dict[WorkerClass, Obstacle | None] = field(default_factory=dict)
    """Why each class of workers cannot run them; ``None`` where it can."""
    able: dict[WorkerClass, None] = field(default_factory=dict)
    """The classes of workers that can run them."""
    outside: dict[WorkerClass, None] = field(default_factory=dict)
    """The classes that could run them, but may not use their folders."""
    lossy: dict[WorkerClass, None] = field(default_factory=dict)
    """The classes that could run them, but only with a Blender that may lose data of their .blend."""
    waits: bool = False
    """They wait for a worker that loses nothing, since there is one that takes tasks."""

    @property
    def need(self) -> Requirements:
        return self.needs.need

    @property
    def key(self) -> "JobKey":
        return self.needs.need, self.needs.paths, self.settles, self.inside

    def look_at(self, kind: WorkerClass) -> None:
        """Find out whether *kind*, which is new, can run them."""
        obstacle = self.needs.obstacle_of(kind)
        if not obstacle and kind.limits is not None and self.inside is not None and kind.limits not in self.inside:
            obstacle, self.outside[kind] = OUTSIDE, None
        if not obstacle and loses(self.need, kind.info):
            self.lossy[kind] = None
            obstacle = waits_for_newer(self.need, kind.info) if self.waits else None
        self._note(kind, obstacle)

    def forget(self, kind: WorkerClass) -> None:
        """Forget a class of workers that is no more."""
        self.needs.obstacles.pop(kind, None)
        self.obstacles.pop(kind, None)
        self.able.pop(kind, None)
        self.outside.pop(kind, None)
        self.lossy.pop(kind, None)
        self.unreach(kind)

    def reconsider(self) -> bool:
        """Find out whether they wait for a worker that loses nothing, and return whether that has changed."""
        waits = False
        if self.lossy and not self.settles:
            waits = any(kind.serving and kind not in self.lossy for kind in self.able)
        if waits is self.waits:
            return False
        self.waits = waits
        for kind in self.lossy:
            self._note(kind, waits_for_newer(self.need, kind.info) if waits else None)
        return True

    def _note(self, kind: WorkerClass, obstacle: Obstacle | None) -> None:
        self.obstacles[kind] = obstacle
        if obstacle:
            self.able.pop(kind, None)
            kind.mask &= ~self.bit
            kind.own &= ~self.bit
            kind.runs.pop(self, None)
            self.unreach(kind)
        else:
            self.able[kind] = None
            kind.mask |= self.bit
            if is_own(self.need, kind.info):
                kind.own |= self.bit
            kind.runs[self] = None
            self._extend(kind.bit | kind.own_bit if is_own(self.need, kind.info) else kind.bit)

    def unreach(self, kind: WorkerClass) -> None:
        """Note that workers of *kind* cannot run them (any more)."""
        bits = self.reach & (kind.bit | kind.own_bit)
        if bits:
            self.reach &= ~bits
            for line in self._lines():
                line.loose = line.lines.loose = True

    def _extend(self, bits: int) -> None:
        """Note that the classes of workers with these *bits* can run them."""
        if bits & ~self.reach:
            self.reach |= bits
            licensed = bool(self.need.licences)
            for line in self._lines():
                line.lines.reach |= bits
                if not licensed:
                    line.reach |= bits

    def _lines(self) -> Iterator[Line]:
        """Yield the lines of those that are ready; some more than once."""
        for rank in self.ready:
            line = self.jobs[rank[-1]].line
            assert line is not None, "it is ready"
            yield line


def is_own(need: Requirements, info: WorkerInfo) -> bool:
    """Return whether jobs with *need* belong to the pool of the worker *info*."""
    return need.pool != "" and need.pool == info.pool


def common_info(info: WorkerInfo, wanted_tags: frozenset[str], sized: bool = False) -> WorkerInfo:
    """Return of *info* what may decide whether a worker can run a job; the rest is blank.

    Of its tags only those that some job asks for, so that a tag of one machine does not make it a class of its own; its cores
    and GPU memory where a job reserves some (*sized*).
    """
    return WorkerInfo(
        id="",
        incarnation=0,
        name="",
        platform=platform_of(info.platform),
        blenders=tuple(sorted({msgspec.structs.replace(blender, path="") for blender in info.blenders}, key=repr)),
        tags=info.tags & wanted_tags,
        job_types=info.job_types,
        programs=info.programs,
        takes_trusted=info.takes_trusted,
        takes_addons=info.takes_addons,
        site=info.site,
        pool=info.pool,
        cores=info.cores if sized else 0,
        gpu_memory=info.gpu_memory if sized else 0,
        folders=info.folders,
        readable=info.readable if info.folders else (),
    )


def common_need(need: Requirements) -> Requirements:
    """Return of *need* what jobs of one class have in common: all but where their files and outputs lie."""
    return msgspec.structs.replace(need, reads=(), writes=()) if need.reads or need.writes else need


def places(demand: Demand, job: Job | None) -> tuple[Requirements, frozenset[Limits] | None, int]:
    """Return what the job with *demand* needs but for its folders, the limits that these are in, and with how many it was
    compared. *job*: as it was known; ``None`` if it is new."""
    need = demand.need
    if job is not None and job.demand.paths is demand.paths:
        before = job.demand.need
        if before is need or (before.reads, before.writes) == (need.reads, need.writes):
            return job.kind.need if before is need else common_need(need), job.kind.inside, job.assessed
    return common_need(need), frozenset() if need.reads or need.writes else None, 0


def is_of_class(demand: Demand, job: Job) -> bool:
    """Return whether *job*, which has *demand* now, is of the same class as before for sure: mostly only its numbers change."""
    before = job.demand
    if demand.need is not before.need or demand.paths is not before.paths:
        return False
    return not job.kind.settles and (not demand.kept_off or demand.need.oldest_blender is None)


def settles(demand: Demand, kinds: Iterable[WorkerClass]) -> bool:
    """Return whether a job is kept off each worker of *kinds* that takes tasks and loses nothing of its .blend."""
    if not demand.kept_off or demand.need.oldest_blender is None:
        return False
    best = [
        worker
        for kind in kinds
        for worker in kind.workers.values()
        if worker.serving and not general_obstacle(demand.need, demand.paths, worker.info) and not loses(demand.need, worker.info)
    ]
    return bool(best) and all(worker.id in demand.kept_off and worker.id not in demand.put_off for worker in best)
