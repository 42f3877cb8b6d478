"""Whether one worker can take a task that workers of its class can run, or is an exception for that job. Pure.

*free* is the roster's (`brender.scheduling.roster.Roster`).

Hot path, watched by benchmarks.rounds and benchmarks.scale.
"""

from collections.abc import Callable

from brender.model.obstacle import Obstacle
from brender.scheduling.classes import Worker
from brender.scheduling.machines import lacks_solitude, may_start, reserved_beside
from brender.scheduling.reservations import has_room, lack_of_room
from brender.scheduling.terms import KEPT_FREE, NOT_ALONE, Demand

Free = Callable[[str], int | None]


def fits(demand: Demand, worker: Worker, free: Free) -> bool:
    """Return whether *worker*, whose class can run the job, is not an exception."""
    machine = worker.machine
    if machine is not None and machine.kept not in ("", demand.job):
        return False
    return may_start(demand, worker) and has_room_for(demand, worker, free)


def has_room_for(demand: Demand, worker: Worker, free: Free) -> bool:
    """Return whether the job is not kept off *worker*, and has the memory and the cores there that it needs."""
    if worker.id in demand.kept_off:
        return False
    need, machine = demand.need, worker.machine
    if (need.cores or need.gpu_memory or (machine is not None and machine.claims)) and not has_room(demand, worker):
        return False
    if not demand.memory:
        return True
    available = free(worker.id)
    return available is None or available - reserved_beside(worker) >= demand.memory


def hindrance(demand: Demand, worker: Worker, free: Free) -> Obstacle | None:
    """Return why *worker*, whose class can run the job, is an exception; ``None`` where it is not one."""
    available, reserved = free(worker.id), reserved_beside(worker)
    if exception := demand.exception(worker.id, available - reserved if available is not None else None, reserved > 0):
        return exception
    if lack := lack_of_room(demand, worker):
        return lack
    if worker.machine is not None and worker.machine.kept not in ("", demand.job):
        return KEPT_FREE
    return NOT_ALONE if lacks_solitude(demand, worker) else None
