"""Who gets what next, and why not: the one place that decides and the one that explains. Pure.

`assign` says which slots take a task of which job; `take_back` which grants, not started yet, are asked back for an idle slot
or a more urgent job. `explain` answers "why is this not running?" by the same rules.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from brender.model.job import Requirements
from brender.model.nodes import WorkerInfo
from brender.model.paths import PathVariable, places, platform_of
from brender.scheduling.eligibility import loses, obstacle, waits_for_newer

#: Seconds of work that a slot may hold beyond what it runs, and the most grants that this may be.
PREFETCH_SECONDS = 2.0
PREFETCH_MOST = 512


@dataclass(slots=True)
class Demand:
    """What a job wants: ``queued`` tasks of it wait. ``order`` is its age, ``live`` its attempts now, ``mean_seconds`` what
    a task of it takes (``None``: not known yet), ``kept_off`` the workers that it does not go to any more, ``memory`` the bytes
    that a frame of it was seen to need, ``paths`` what path variables mean, where it needs any. ``newer``: some worker
    has a Blender that loses nothing of its .blend, so that older Blenders leave it to that one."""

    job: str
    priority: int
    order: int
    live: int
    queued: int
    need: Requirements
    mean_seconds: float | None = None
    kept_off: Collection[str] = ()
    memory: int = 0
    paths: tuple[PathVariable, ...] = ()
    newer: bool = False

    def obstacle(self, worker: WorkerInfo, free: int | None = None) -> str:
        """Why *worker* cannot run its tasks, in words for a person; "" where it can. *free*: the bytes of memory that a render
        could have there, ``None`` where that is not known."""
        if worker.id in self.kept_off:
            return "failed it again and again and stays off it (`brender readmit` lets it try again)"
        if free is not None and free < self.memory:
            return f"has {free / 1e9:.1f} GB of memory free, and a frame of it needed {self.memory / 1e9:.1f} GB"
        if self.need.variables:
            lost = self.need.variables - places(self.paths, platform_of(worker.platform), worker.site).keys()
            if lost:
                return f"has no place for {', '.join(f'{{{name}}}' for name in sorted(lost))} (`brender path set` gives it one)"
        if why := obstacle(self.need, worker):
            return why
        return waits_for_newer(self.need, worker) if self.newer and loses(self.need, worker) else ""

    def loses_nothing(self, worker: WorkerInfo) -> bool:
        """Return whether *worker* can run its tasks with a Blender that reads all of its .blend."""
        return not (self.obstacle(worker) or loses(self.need, worker))


@dataclass(frozen=True, slots=True)
class Held:
    """A grant that a slot holds and has not begun."""

    attempt: str
    job: str
    priority: int
    recalling: bool = False


@dataclass(slots=True)
class Slot:
    """A worker's slot with ``count`` grants: the one that it runs or is about to, and those that wait. ``open`` is false where
    nothing new may be given to it; ``free``, the bytes of memory that a render could have (``None``: not known). ``waiting`` are
    those that could be asked back, where that is wanted to be known."""

    worker: WorkerInfo
    open: bool = True
    count: int = 0
    free: int | None = None
    waiting: Sequence[Held] = field(default=())


@dataclass(frozen=True, slots=True)
class Take:
    """The slot of *worker* takes the next task of *job*."""

    worker: str
    job: str


@dataclass(frozen=True, slots=True)
class TakeBack:
    """The grant *attempt*, not started at *worker*, is asked back."""

    worker: str
    attempt: str


def assign(demands: Iterable[Demand], slots: Iterable[Slot], width: int) -> list[Take]:
    """Which slots take what. Priority first; among equals the job with the fewest live attempts, then the oldest. An idle slot
    comes before a prefetch anywhere; *width*, the number of all slots, keeps one from prefetching what others could run.

    Hot path, watched by benchmarks.dispatch.
    """
    wanting = [demand for demand in demands if demand.queued > 0]
    if not wanting:
        return []
    available = [slot for slot in slots if slot.open]
    takes: list[Take] = []
    for slot in available:
        if not slot.count and (best := _best(slot, wanting)):
            takes.append(_take(slot, best))
    for slot in available:
        while slot.count and slot.count <= PREFETCH_MOST and (best := _best(slot, wanting)):
            if slot.count > _prefetch_depth(best, width):
                break
            takes.append(_take(slot, best))
    return takes


def take_back(demands: Iterable[Demand], slots: Iterable[Slot]) -> list[TakeBack]:
    """What idle slots that found nothing ask back from busy ones, and what urgent jobs with queued tasks ask back from less
    urgent ones. *slots* are all there are."""
    demands, available = list(demands), [slot for slot in slots if slot.open]
    idle = [slot for slot in available if not slot.count]
    return [*_relieve(idle, available, demands), *_preempt([demand for demand in demands if demand.queued > 0], available)]


def explain(demand: Demand, slots: Iterable[Slot]) -> str:
    """Why none of the queued tasks of *demand* runs now, in one sentence; "" where nothing hinders it."""
    slots = list(slots)
    if not slots:
        return "No worker is connected. Start one with brender-worker"
    obstacles = {slot.worker.id: demand.obstacle(slot.worker, slot.free) for slot in slots}
    able = [slot for slot in slots if not obstacles[slot.worker.id]]
    if not able:
        return "No worker can run it: " + "; ".join(
            f"{'one' if count == 1 else count} {reason}" for reason, count in Counter(obstacles.values()).most_common(3)
        )
    open_slots = [slot for slot in able if slot.open]
    if not open_slots:
        return (
            "The only worker that could run it takes no new tasks"
            if len(able) == 1
            else f"All {len(able)} workers that could run it take no new tasks"
        )
    if all(slot.count for slot in open_slots):
        return f"All {len(open_slots)} workers that could run it are busy"
    return ""


def _best(slot: Slot, wanting: list[Demand]) -> Demand | None:
    """The job whose task *slot* should take next."""
    best, best_key = None, (0, 0, 0)
    for demand in wanting:
        key = (-demand.priority, demand.live, demand.order)
        if demand.queued > 0 and (best is None or key < best_key) and not demand.obstacle(slot.worker, slot.free):
            best, best_key = demand, key
    return best


def _take(slot: Slot, demand: Demand) -> Take:
    demand.queued -= 1
    demand.live += 1
    slot.count += 1
    return Take(slot.worker.id, demand.job)


def _prefetch_depth(demand: Demand, width: int) -> int:
    """How many grants may wait at a slot: one, or as many tiny ones as make `PREFETCH_SECONDS` of work, unless others of the
    *width* slots could run them."""
    if demand.mean_seconds is None:
        return 1
    tiny = min(PREFETCH_MOST, int(PREFETCH_SECONDS / max(demand.mean_seconds, 0.001)))
    return max(1, min(tiny, demand.queued // max(1, width)))


def _relieve(idle: list[Slot], available: list[Slot], demands: Iterable[Demand]) -> list[TakeBack]:
    """What idle slots ask back from busy ones: up to half of what waits at one, not counting what is on its way already."""
    known = {demand.job: demand for demand in demands}
    underway = sum(held.recalling for slot in available for held in slot.waiting)
    taken: list[TakeBack] = []
    asked: set[str] = set()
    for slot in idle[underway:]:
        for busy in available:
            candidates = [
                held
                for held in busy.waiting
                if not held.recalling and held.attempt not in asked
                and held.job in known and not known[held.job].obstacle(slot.worker, slot.free)
            ]  # fmt: skip
            if candidates:
                part = candidates[len(candidates) // 2 :]
                asked |= {held.attempt for held in part}
                taken += [TakeBack(busy.worker.id, held.attempt) for held in part]
                break
    return taken


def _preempt(wanting: list[Demand], available: list[Slot]) -> list[TakeBack]:
    """What urgent jobs that still have queued tasks ask back from less urgent ones: one grant of a slot at a time."""
    taken: list[TakeBack] = []
    asked: set[str] = set()
    for demand in sorted(wanting, key=lambda demand: (-demand.priority, demand.order)):
        wished = demand.queued
        for slot in available:
            if wished <= 0:
                break
            if slot.worker.id in asked or any(held.recalling for held in slot.waiting) or demand.obstacle(slot.worker, slot.free):
                continue
            lesser = [held for held in slot.waiting if held.priority < demand.priority]
            if lesser:
                asked.add(slot.worker.id)
                taken.append(TakeBack(slot.worker.id, lesser[-1].attempt))
                wished -= 1
    return taken
