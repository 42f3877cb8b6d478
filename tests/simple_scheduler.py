"""The scheduler's decisions, made the simple way: every job is compared with every worker. What brender.scheduling does by class
must be the same."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from brender.model.eligibility import general_obstacle, loses, waits_for_newer
from brender.model.nodes import WorkerInfo
from brender.model.obstacle import Obstacle
from brender.scheduling.classes import is_own
from brender.scheduling.reasons import Causes, at_its_limit, busy, takes_nothing
from brender.scheduling.reservations import too_few_cores, too_little_gpu_memory
from brender.scheduling.shares import NEAR
from brender.scheduling.terms import NOT_ALONE, PREFETCH_MOST, Demand, Held, Take, TakeBack


@dataclass(slots=True)
class Slot:
    """A worker with ``count`` grants: the one that it runs or is about to run, and those that are ``waiting``. ``serving``: it
    takes tasks; ``open``: at this moment. ``free``: the bytes of memory that a render could have (``None``: not known)."""

    worker: WorkerInfo
    open: bool = True
    count: int = 0
    free: int | None = None
    serving: bool = True
    waiting: Sequence[Held] = field(default=())
    reserved: int = 0
    """Bytes of memory that its grants will need beyond what it holds, where others share its machine."""
    alone: bool = False
    tail: str = ""
    """The job of its last grant."""
    cores: int = 0
    """The cores that its grants reserve, and the bytes of GPU memory."""
    gpu_memory: int = 0


def obstacle(demand: Demand, slot: Slot, slots: Iterable[Slot]) -> Obstacle | None:
    """Return why the worker of *slot*, one of *slots*, cannot run tasks of *demand*."""
    if why := general_obstacle(demand.need, demand.paths, slot.worker):
        return why
    if loses(demand.need, slot.worker) and any(
        other.serving
        and other.worker.id not in demand.kept_off
        and not general_obstacle(demand.need, demand.paths, other.worker)
        and not loses(demand.need, other.worker)
        for other in slots
    ):
        return waits_for_newer(demand.need, slot.worker)
    beside = [each for each in slots if each.worker.id != slot.worker.id and machine(each) == machine(slot) is not None]
    reserved = sum(each.reserved for each in beside)
    if why := demand.exception(slot.worker.id, None if slot.free is None else slot.free - reserved, reserved > 0):
        return why
    if why := lack_of_room(demand, slot, beside):
        return why
    if any(each.alone for each in beside) or (demand.alone and any(each.count for each in beside)):
        return NOT_ALONE
    return None


def lack_of_room(demand: Demand, slot: Slot, beside: Sequence[Slot]) -> Obstacle | None:
    """Return why those *beside* leave too few cores, or too little GPU memory, of the machine of *slot*."""
    need, cores, memory = demand.need, slot.worker.cores, slot.worker.gpu_memory
    if machine(slot) is not None and (need.cores or any(each.cores for each in (*beside, slot))):
        even = cores / (len(beside) + 1)
        taken = sum((each.cores or even) for each in beside if each.count)
        if taken + (need.cores or even) > cores + 1e-6:
            return too_few_cores(demand, cores, taken)
    of_card = sum(each.gpu_memory for each in beside if each.worker.devices == slot.worker.devices)
    if need.gpu_memory and of_card + need.gpu_memory > memory:
        return too_little_gpu_memory(demand, memory, of_card)
    return None


def is_unfit(demand: Demand, slot: Slot, slots: Iterable[Slot]) -> bool:
    """Return whether *slot* is not to be given a task of *demand*: it cannot run it, or it would be prefetched where one of the
    two renders alone."""
    if machine(slot) is not None and (slot.alone or (demand.alone and slot.count > 0)):
        return True
    return obstacle(demand, slot, slots) is not None


def machine(slot: Slot) -> tuple[str, int] | None:
    """Return what tells the machine of *slot* from others; ``None`` where it is not known."""
    return (slot.worker.host, slot.worker.memory) if slot.worker.host else None


def take(slot: Slot, demand: Demand) -> None:
    """Let *slot* hold one more grant, of a task of *demand*."""
    slot.count += 1
    if slot.worker.host:
        slot.reserved = max(slot.reserved, demand.memory)
        slot.alone = slot.alone or demand.alone
    if slot.count == 1:
        slot.cores, slot.gpu_memory = demand.need.cores, demand.need.gpu_memory


def counted(demand: Demand) -> list[tuple[str, str]]:
    """Return what has a limit that counts the tasks of *demand*."""
    licences = [("licence", each) for each in demand.need.licences]
    return [("project", demand.project), ("user", demand.user), *licences]


@dataclass(slots=True)
class Used:
    """The seconds of machine that each user has used within each project, and the weights of projects and users."""

    seconds: dict[tuple[str, str], float] = field(default_factory=dict)
    weights: dict[tuple[str, str], float] = field(default_factory=dict)
    most: dict[tuple[str, str], int] = field(default_factory=dict)
    """How many tasks of a project, a user or a licence may be out."""

    def is_shut(self, demand: Demand, demands: Iterable[Demand]) -> bool:
        """Return whether a limit keeps *demand*, one of *demands*, from getting more."""
        live = Counter[tuple[str, str]]()
        for each in demands:
            live.update(dict.fromkeys(counted(each), each.live))
        at_its_own = 0 < demand.most <= demand.live
        return at_its_own or any(live[gate] >= self.most[gate] for gate in counted(demand) if gate in self.most)

    def charge(self, demand: Demand) -> None:
        """Count a task of *demand*."""
        who = demand.project, demand.user
        self.seconds[who] = self.seconds.get(who, 0.0) + demand.expected_seconds

    def shares(self, demand: Demand) -> tuple[float, float]:
        """Return the share of the project of *demand*, and of its user within that."""
        of_project = sum(used for (project, _), used in self.seconds.items() if project == demand.project)
        of_user = self.seconds.get((demand.project, demand.user), 0.0)
        return (
            of_project / self.weights.get(("project", demand.project), 1.0),
            of_user / self.weights.get(("user", demand.user), 1.0),
        )


def assign(demands: list[Demand], slots: list[Slot], used: Used | None = None) -> list[Take]:
    """Return which slots take what."""
    used = used or Used()
    width = len(slots)
    available = [slot for slot in slots if slot.open]
    takes: list[Take] = []
    for slot in available:
        if not slot.count and (best := _best(slot, demands, slots, used)):
            takes.append(_take(slot, best, used))
    for slot in available:
        while slot.count and slot.count <= PREFETCH_MOST and (best := _best(slot, demands, slots, used)):
            if slot.count > best.prefetch_depth(width) or ((best.rush or best.reserves) and slot.tail != best.job):
                break
            takes.append(_take(slot, best, used))
    return takes


def closed(worker: str) -> Obstacle:
    """Return why the worker with this id takes nothing: of each second one the same."""
    return Obstacle("is disabled", "are disabled", "enable") if worker[-1] in "02468" else Obstacle("sleeps", "sleep")


def explain(demand: Demand, slots: list[Slot]) -> str:
    """Return why none of the queued tasks of *demand* runs now, or ""."""
    if not slots:
        return "No worker is connected. Start one with `brender-worker`"
    if demand.queued and not demand.wants_more and any(_can_ever(demand, slot, slots) for slot in slots):
        return at_its_limit(demand.most, demand.live)
    obstacles = [obstacle(demand, slot, slots) for slot in slots]
    able = [(order, slot) for order, slot in enumerate(slots) if obstacles[order] is None]
    hindered, shut = Causes(), Causes()
    for order, (slot, why) in enumerate(zip(slots, obstacles, strict=True)):
        if why:
            hindered.add(why, 1, [(order, slot.worker.name)])
        else:
            shut.add(closed(slot.worker.id), 1, [(order, slot.worker.name)])
    if not able:
        return f"No worker can run it. {hindered.said()}"
    open_slots = [(order, slot) for order, slot in able if slot.open]
    if not open_slots:
        return takes_nothing(len(able), shut, hindered)
    if all(slot.count for _, slot in open_slots):
        return busy(len(open_slots), [(order, slot.worker.name) for order, slot in open_slots])
    return ""


def _can_ever(demand: Demand, slot: Slot, slots: Iterable[Slot]) -> bool:
    """Return whether *slot* could run *demand* if it had the memory and the room for it."""
    empty = [Slot(each.worker, each.open, serving=each.serving) for each in slots]
    alone = replace(demand, memory=0, alone=False)
    return obstacle(alone, Slot(slot.worker, slot.open, serving=slot.serving), empty) is None


def relieve(demands: Iterable[Demand], slots: list[Slot]) -> list[TakeBack]:
    """Return what idle slots ask back from busy ones: up to half of what waits at one. Nothing is on its way back yet."""
    known = {demand.job: demand for demand in demands}
    taken: list[TakeBack] = []
    asked: set[str] = set()
    for slot in (each for each in slots if each.open and not each.count):
        for giver in (each for each in slots if each.open):
            candidates = [
                held
                for held in giver.waiting
                if held.attempt not in asked and held.job in known and not is_unfit(known[held.job], slot, slots)
            ]
            if candidates:
                part = candidates[len(candidates) // 2 :]
                asked |= {held.attempt for held in part}
                taken += [TakeBack(giver.worker.id, held.attempt) for held in part]
                break
    return taken


def preempt(demands: list[Demand], slots: list[Slot]) -> list[TakeBack]:
    """Return what urgent jobs with queued tasks ask back from less urgent ones: one grant of a slot at a time."""
    taken: list[TakeBack] = []
    asked: set[str] = set()
    known = {demand.job: demand for demand in demands}
    wanting = [demand for demand in demands if demand.wants_more]
    for demand in sorted(wanting, key=lambda demand: (-demand.priority, demand.order)):
        wished = min(demand.queued, demand.most - demand.live) if demand.most else demand.queued
        for slot in (each for each in slots if each.open):
            if wished <= 0:
                break
            mine = urgency(demand.priority, demand, slot)
            if slot.worker.id in asked or any(held.recalling for held in slot.waiting) or is_unfit(demand, slot, slots):
                continue
            lesser = [held for held in slot.waiting if urgency(held.priority, known.get(held.job), slot) < mine]
            if lesser:
                asked.add(slot.worker.id)
                taken.append(TakeBack(slot.worker.id, lesser[-1].attempt))
                wished -= 1
    return taken


def urgency(priority: int, demand: Demand | None, slot: Slot) -> int:
    """Return how urgent a task is at *slot*: the jobs of its own pool come first."""
    return priority + 1000 * (demand is not None and is_own(demand.need, slot.worker))


def _best(slot: Slot, demands: list[Demand], slots: list[Slot], used: Used) -> Demand | None:
    able = [
        demand
        for demand in demands
        if demand.queued > 0 and not used.is_shut(demand, demands) and not is_unfit(demand, slot, slots)
    ]
    able = [demand for demand in able if is_own(demand.need, slot.worker)] or able

    def rank(demand: Demand) -> tuple[object, ...]:
        elsewhere = sum(other.tail == demand.job for other in slots if other is not slot)
        return -demand.priority, *used.shares(demand), elsewhere, demand.live, demand.order

    best = min(able, key=rank, default=None)
    own = next((demand for demand in able if demand.job == slot.tail), None)
    if best is not None and own is not None and _is_near(own, best, demands, used):
        return own
    return best


def _is_near(own: Demand, best: Demand, demands: list[Demand], used: Used) -> bool:
    """Return whether *own* is another user's than *best*, and its share nearly as small."""
    if own.priority != best.priority or (own.project, own.user) == (best.project, best.user):
        return False
    (project, user), (best_project, best_user) = used.shares(own), used.shares(best)
    if own.project == best.project:
        return user <= best_user * NEAR
    ready = [each for each in demands if each.wants_more and (each.priority, each.project) == (own.priority, own.project)]
    return project <= best_project * NEAR and user <= min(used.shares(each)[1] for each in ready) * NEAR


def _take(slot: Slot, demand: Demand, used: Used) -> Take:
    used.charge(demand)
    demand.queued -= 1
    demand.live += 1
    take(slot, demand)
    slot.tail = demand.job
    return Take(slot.worker.id, demand.job)
