"""What tasks reserve of a machine's cores and of its GPUs' memory, and whether there is room for one more. Pure.

A job may say what each of its tasks reserves. A task of a job that says nothing counts as its slot's even part of the machine's
cores, but only beside one that reserves some: where nothing does, nothing is counted. What a worker holds and has not begun
counts too: it reserves no more than what comes before it there (`follows`).

Hot path, watched by benchmarks.scale and benchmarks.dispatch.
"""

from brender.model.obstacle import Obstacle
from brender.model.text import plural, short_id, size_in_words
from brender.scheduling.classes import Worker
from brender.scheduling.terms import Demand

_ROUNDING = 1e-6


def has_room(demand: Demand, worker: Worker) -> bool:
    """Return whether the machine of *worker* has the cores and the GPU memory for a task of *demand*."""
    return not _lacks_cores(demand, worker) and not _lacks_gpu_memory(demand, worker)


def follows(demand: Demand, worker: Worker) -> bool:
    """Return whether a task of *demand* may wait at *worker* behind what that holds. One that reserves something waits behind
    those of its own job only, so that the first of them tells what all of them reserve."""
    return not demand.reserves or worker.tail == demand.job


def lack_of_room(demand: Demand, worker: Worker) -> Obstacle | None:
    """Return what the machine of *worker* has too little of for a task of *demand*, in words; ``None`` where there is room."""
    if _lacks_cores(demand, worker):
        return too_few_cores(demand, worker.info.cores, cores_beside(worker))
    if _lacks_gpu_memory(demand, worker):
        return too_little_gpu_memory(demand, worker.info.gpu_memory, gpu_memory_beside(worker))
    return None


def too_few_cores(demand: Demand, cores: int, taken: float) -> Obstacle:
    """Return that a machine whose others have *taken* so many of its *cores* has too few for a task of *demand*."""
    wanted, free = demand.need.cores, max(0, int(cores - taken + _ROUNDING))
    if not wanted:
        return Obstacle(
            f"is on a machine where {cores - free} of {plural(cores, 'core')} are taken, some of them reserved (`--cores`)",
            "are on machines whose cores are taken, some of them reserved (`--cores`)",
            "it waits until what is rendered there is done",
        )
    return Obstacle(
        f"has {free} of {plural(cores, 'core')} free, and each task of it reserves {wanted}",
        f"have fewer than the {plural(wanted, 'core')} free that each task of it reserves",
        f"it waits until what is rendered there is done, or `brender edit {short_id(demand.job)} --cores N` asks for fewer",
    )


def too_little_gpu_memory(demand: Demand, memory: int, taken: int) -> Obstacle:
    """Return that GPUs with so many bytes of *memory*, of which others have *taken* some, have too few for a task of *demand*."""
    needed = size_in_words(demand.need.gpu_memory)
    return Obstacle(
        f"has {size_in_words(max(0, memory - taken))} of GPU memory beside what others reserve, and each task of it "
        f"reserves {needed}",
        f"have less than {needed} of GPU memory beside what others reserve",
        f"it waits until those are done, or `brender edit {short_id(demand.job)} --gpu-memory SIZE` asks for less",
    )


def cores_beside(worker: Worker) -> float:
    """Return how many cores of its machine the others there take."""
    machine = worker.machine
    if machine is None:
        return 0.0
    even = worker.info.cores / len(machine.slots)
    return sum(each.cores or even for each in machine.slots if each is not worker and each.count)


def gpu_memory_beside(worker: Worker) -> int:
    """Return the bytes of GPU memory that others on its machine reserve of the cards of *worker*."""
    if worker.machine is None:
        return 0
    cards = {device.card for device in worker.info.devices}
    beside = (each for each in worker.machine.slots if each is not worker and each.gpu_memory)
    return sum(each.gpu_memory for each in beside if not cards or any(device.card in cards for device in each.info.devices))


def _lacks_cores(demand: Demand, worker: Worker) -> bool:
    machine, wanted, cores = worker.machine, demand.need.cores, worker.info.cores
    if machine is None or not cores or not (wanted or machine.claims):
        return False
    return cores_beside(worker) + (wanted or cores / len(machine.slots)) > cores + _ROUNDING


def _lacks_gpu_memory(demand: Demand, worker: Worker) -> bool:
    wanted = demand.need.gpu_memory
    return wanted > 0 and gpu_memory_beside(worker) + wanted > worker.info.gpu_memory
