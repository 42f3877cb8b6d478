"""Who gets what next, and why not: the one place that decides and the one that explains. Pure.

`decide` looks at what the jobs want and what the slots hold, and says which slots take a task of which job and which
grants are asked back. `explain` answers "why is this not running?" by the same rules.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from brender.model.job import Requirements
from brender.model.nodes import WorkerInfo
from brender.scheduling.eligibility import obstacle

#: Seconds of work that a slot may hold beyond what it runs, and the most grants that this may be.
PREFETCH_SECONDS = 2.0
PREFETCH_MOST = 16


@dataclass
class Demand:
    """What a job wants: ``queued`` tasks of it wait. ``order`` is its age, ``live`` its attempts now, ``mean_seconds`` what
    a task of it takes (``None``: not known yet)."""

    job: str
    priority: int
    order: int
    live: int
    queued: int
    need: Requirements
    mean_seconds: float | None = None


@dataclass(frozen=True)
class Held:
    """A grant that a slot holds."""

    attempt: str
    job: str
    priority: int
    started: bool
    recalling: bool = False


@dataclass
class Slot:
    """A worker's slot. ``open`` is false where nothing new may be given to it."""

    worker: WorkerInfo
    open: bool = True
    held: list[Held] = field(default_factory=list)


@dataclass(frozen=True)
class Take:
    """The slot of *worker* takes the next task of *job*."""

    worker: str
    job: str


@dataclass(frozen=True)
class TakeBack:
    """The grant *attempt*, not started at *worker*, is asked back."""

    worker: str
    attempt: str


def decide(demands: Iterable[Demand], slots: Iterable[Slot]) -> list[Take | TakeBack]:
    """The next moves. Priority first; among equals the job with the fewest live attempts, then the oldest.

    An idle slot comes before a prefetch anywhere. Where an idle slot finds nothing queued, it asks back what another
    has not started; where all are busy, an urgent job asks back less urgent grants that wait.
    """
    demands = list(demands)
    wanting = [demand for demand in demands if demand.queued > 0]
    available = [slot for slot in slots if slot.open]
    moves: list[Take | TakeBack] = []
    unserved = []
    for slot in available:
        if not slot.held:
            best = _best(slot, wanting)
            if best is None:
                unserved.append(slot)
            else:
                moves.append(_take(slot, best))
    for slot in available:
        while slot.held and (best := _best(slot, wanting)) and len(_waiting(slot)) < _prefetch_depth(best):
            moves.append(_take(slot, best))
    moves.extend(_relieve(unserved, available, demands))
    moves.extend(_preempt(wanting, available))
    return moves


def explain(demand: Demand, slots: Iterable[Slot]) -> str:
    """Why none of the queued tasks of *demand* runs now, in one sentence; "" where nothing hinders it."""
    slots = list(slots)
    if not slots:
        return "No worker is connected. Start one with brender-worker"
    obstacles = Counter(reason for slot in slots if (reason := obstacle(demand.need, slot.worker)))
    able = [slot for slot in slots if not obstacle(demand.need, slot.worker)]
    if not able:
        return "No worker can run it: " + "; ".join(
            f"{'one' if count == 1 else count} {reason}" for reason, count in obstacles.most_common(3)
        )
    open_slots = [slot for slot in able if slot.open]
    if not open_slots:
        return f"All {len(able)} workers that could run it take no new tasks"
    if all(slot.held for slot in open_slots):
        return f"All {len(open_slots)} workers that could run it are busy"
    return ""


def _best(slot: Slot, wanting: list[Demand]) -> Demand | None:
    """The job whose task *slot* should take next."""
    able = [demand for demand in wanting if demand.queued > 0 and not obstacle(demand.need, slot.worker)]
    return min(able, key=lambda demand: (-demand.priority, demand.live, demand.order), default=None)


def _take(slot: Slot, demand: Demand) -> Take:
    demand.queued -= 1
    demand.live += 1
    slot.held.append(Held(attempt="", job=demand.job, priority=demand.priority, started=False))
    return Take(slot.worker.id, demand.job)


def _waiting(slot: Slot) -> list[Held]:
    """The grants of a slot beyond the one that it runs, or is about to."""
    started = [held for held in slot.held if held.started]
    waiting = [held for held in slot.held if not held.started]
    return waiting if started else waiting[1:]


def _prefetch_depth(demand: Demand) -> int:
    """How many grants may wait at a slot: one, or as many tiny ones as make `PREFETCH_SECONDS` of work."""
    if demand.mean_seconds is None:
        return 1
    return max(1, min(PREFETCH_MOST, int(PREFETCH_SECONDS / max(demand.mean_seconds, 0.001))))


def _relieve(unserved: list[Slot], available: list[Slot], demands: Iterable[Demand]) -> list[TakeBack]:
    """What idle slots ask back from busy ones: at most one grant for each, not counting those already on their way."""
    needs = {demand.job: demand.need for demand in demands}
    underway = sum(held.recalling for slot in available for held in slot.held)
    taken: list[TakeBack] = []
    asked: set[str] = set()
    for idle in unserved[underway:]:
        for slot in available:
            candidates = [
                held
                for held in _waiting(slot)
                if held.attempt and not held.recalling and held.attempt not in asked
                and held.job in needs and not obstacle(needs[held.job], idle.worker)
            ]  # fmt: skip
            if candidates:
                asked.add(candidates[-1].attempt)
                taken.append(TakeBack(slot.worker.id, candidates[-1].attempt))
                break
    return taken


def _preempt(wanting: list[Demand], available: list[Slot]) -> list[TakeBack]:
    """What urgent jobs that still have queued tasks ask back from less urgent ones."""
    taken: list[TakeBack] = []
    for demand in sorted(wanting, key=lambda demand: (-demand.priority, demand.order)):
        wished = demand.queued
        for slot in available:
            if wished <= 0:
                break
            if obstacle(demand.need, slot.worker) or any(held.recalling for held in slot.held):
                continue
            lesser = [held for held in _waiting(slot) if held.attempt and held.priority < demand.priority]
            if lesser and all(move.worker != slot.worker.id for move in taken):
                taken.append(TakeBack(slot.worker.id, lesser[-1].attempt))
                wished -= 1
    return taken
