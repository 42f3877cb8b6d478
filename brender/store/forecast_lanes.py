"""The workers of a record, as a forecast of its queue is told of them."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from brender.model.status import WorkerStatus
from brender.scheduling.forecast_lanes import Lane
from brender.scheduling.forecast_room import NOTHING, Claim, about
from brender.scheduling.pace import Begun, still_takes
from brender.store.forecast import parts_a_task
from brender.store.kinds_apart import KindApart

if TYPE_CHECKING:
    from brender.store.named import Record

_AT_WORK = (WorkerStatus.IDLE, WorkerStatus.BUSY)


def lanes_of(
    record: "Record",
    kinds: list[KindApart],
    rows: Mapping[str, Any],
    begun: Mapping[str, Begun],
    takes: Mapping[str, tuple[float, float, int]],
    speed_of: Callable[[str], float],
) -> tuple[list[Lane], Counter[str]]:
    """Return the workers that are there, and at how many of each job they are at work.

    *kinds*: which kinds of workers there are; *rows*: the open jobs, by id; *begun*: what workers are at, by their id; *takes*:
    by job, what its parts take; *speed_of*: how fast a worker is.
    """
    worker = record.tables.Worker
    kind_of = {id: number for number, kind in enumerate(kinds) for id in kind.kind.ids}
    has = _machines(record)
    lanes, running = [], Counter[str]()
    columns = (worker.id, worker.job, worker.fraction, worker.host, worker.memory, worker.pool)
    for id, job, fraction, host, memory, pool in worker.select(*columns).where(worker.status.in_(_AT_WORK)).tuples():
        if id not in kind_of:
            continue
        speed, left = speed_of(id), 0.0
        if job in rows:
            running[job] += 1
            row = rows[job]
            seconds = takes[job][0]  # (Where nobody knows that, the forecast puts in what it may be.)
            if id in begun:
                left = still_takes(seconds / speed, begun[id].seconds)
            else:  # of several frames, somewhere among them
                left = seconds / speed * (1 - (fraction or 0.5) + (parts_a_task(row) - 1) / 2)
        machine = _machine(host, memory)
        job = job if job in rows else ""
        lanes.append(Lane(kind_of[id], speed, job, left, machine, has.get(machine, NOTHING), pool))
    return lanes, running


def _machine(host: str, memory: int) -> str:
    """Return what a machine is called, as the scheduler tells machines apart: containers of one host differ in their memory."""
    return f"{host} {memory}" if host else ""


def _machines(record: "Record") -> dict[str, Claim]:
    """Return what each machine has while it renders nothing, by its name.

    Of its memory, that is what its workers said last that nothing used, and what their renders held. The record does not say
    which workers share a GPU: all those of a machine are taken to share what its GPUs have in all.
    """
    worker = record.tables.Worker
    free, held, found = dict[str, int](), Counter[str](), dict[str, Claim]()
    columns = (worker.host, worker.memory, worker.cores, worker.gpu_memory, worker.stats)
    for host, memory, cores, gpu_memory, stats in worker.select(*columns).where(worker.status.in_(_AT_WORK)).tuples():
        name, stats = _machine(host, memory), stats or {}
        if total := int(stats.get("memory_total", 0)):
            free[name] = min(free.get(name, total), total - int(stats.get("memory_used", 0)))
            held[name] += int(stats.get("render_memory", 0))
        known = found.get(name, NOTHING)
        of_gpus = max(gpu_memory, int(stats.get("gpu_memory_total", 0))) if gpu_memory else 0
        found[name] = Claim(max(known.cores, cores), 0, max(known.gpu_memory, about(of_gpus)))
    return {name: has._replace(memory=about(free.get(name, 0) + held[name])) for name, has in found.items()}
