"""Why a worker that is there takes no new tasks, or why none is there, and what a person can do about it. Pure."""

import shlex
from collections.abc import Mapping

from brender.farm.farm import Farm
from brender.farm.nodes import ManagerState, WorkerState
from brender.model.nodes import OWNERS_USE, Standing
from brender.model.obstacle import IT, NAMES, Obstacle, short_name
from brender.model.power import Phase
from brender.model.status import UNLISTED, Wanted
from brender.model.text import harmless, plural, short_id
from brender.scheduling.reasons import NO_WORKER

STARTING = "No worker has joined yet: that takes some seconds after the server's start (`brender-worker` starts one)"
#: Characters of a job's name that stand before its id.
_NAME_LENGTH = 28
_LEAVING = {
    Wanted.DRAINED: ("is about to leave, as it was asked to", "are about to leave, as they were asked to"),
    Wanted.RESTARTED: ("is about to restart", "are about to restart"),
}


def why_closed(farm: Farm, worker: WorkerState) -> Obstacle:
    """Return why *worker*, one of *farm*, takes no new tasks now."""
    manager = farm.managers.get(worker.manager)
    wanted = farm.wanted.get(worker.info.id)
    if wanted in _LEAVING:
        one, several = _LEAVING[wanted]
        return Obstacle(one, several, f"start {IT} again afterwards" if wanted is Wanted.DRAINED else "")
    if worker.standing is Standing.DRAINING:
        return Obstacle("is about to leave", "are about to leave", f"start {IT} again afterwards")
    if manager is not None:
        name, command = short_name(manager.name), shlex.quote(harmless(manager.name))
        of_manager = farm.wanted.get(manager.id)
        if of_manager is Wanted.RESTARTED:
            return _with_manager(name, "restarts")
        if of_manager is Wanted.DRAINED or manager.standing is Standing.DRAINING:
            return _with_manager(name, "is about to leave", "start that again")
        if of_manager is Wanted.DISABLED:
            return _with_manager(name, "is disabled", f"`brender enable {command}`")
    if wanted is Wanted.DISABLED:
        return Obstacle("is disabled", "are disabled", f"`brender enable {NAMES}`")
    if worker.info.id in farm.streaks.drained:
        one = "is drained, since others completed tasks that failed there"
        return Obstacle(one, "are drained, since others completed tasks that failed there", f"`brender enable {NAMES}`")
    if (sleeper := farm.sleepers.get(worker.info.id)) is not None:
        doing = "is being woken" if sleeper.phase is Phase.WAKING else "is put to sleep"
        return Obstacle(doing, "are put to sleep, or are being woken", f"`brender wake {NAMES}` wakes {IT}")
    if (until := farm.asleep.get(worker.info.id)) is not None and worker.info.id in farm.paused:
        remedy = f"`brender describe {NAMES} --give-back 0` ends that"
        return Obstacle(f"pauses: {OWNERS_USE} until {until}", "pause: their owners use the machines", remedy)
    if until is not None:
        return Obstacle(
            f"sleeps until {until}", "sleep by their schedules", f"`brender describe {NAMES} --sleeps ''` ends its schedule"
        )
    if worker.standing is Standing.PAUSED and worker.reason.startswith(OWNERS_USE):
        return Obstacle(f"pauses: {worker.reason}", "pause: their owners use the machines", "work goes on there by itself")
    if worker.standing is Standing.PAUSED:
        return Obstacle(f"pauses ({worker.reason})", f"pause ({worker.reason})", "work goes on there as soon as that is mended")
    return Obstacle("gave its task back a moment ago", "gave their tasks back a moment ago", "that passes in a moment")


def job_at(farm: Farm, worker_id: str) -> str:
    """Return the name of the job that the worker *worker_id* of *farm* renders, and its id, since others may be called so; "" if
    it has begun nothing."""
    worker = farm.workers.get(worker_id)
    attempt = farm.attempts.get(worker.running) if worker is not None else None
    job = farm.jobs.get(attempt.job) if attempt is not None else None
    if job is None:
        return ""
    name = job.spec.name
    return f"{name if len(name) <= _NAME_LENGTH else f'{name[: _NAME_LENGTH - 1]}…'} ({short_id(job.id)})"


def why_nobody(farm: Farm) -> str:
    """Return why no worker of *farm* is there, and the command that mends it: without a manager, a worker waits for ever. Those
    that are about to join need none."""
    has_manager = any(not manager.farewell for manager in farm.managers.values())
    if (has_manager or farm.joining.managers) and (said := _are_joining("worker", farm.joining.workers)):
        return said
    if not has_manager and (said := _are_joining("manager", farm.joining.managers)):
        return said
    if farm.joining.is_starting:
        return STARTING
    if has_manager:
        return NO_WORKER
    # Two at one address of a machine are one that was given another name.
    places = {(last.host, last.address): last for last in farm.last_managers.values() if farm.wanted.get(last.id) not in UNLISTED}
    starts = [_how_to_start(last) for last in reversed(places.values()) if last.address]
    return f"No manager runs, which workers connect to: start {', or '.join(starts) or '`brender-manager`'}"


def _are_joining(role: str, expected: Mapping[str, tuple[str, float]]) -> str:
    if len(expected) == 1:
        ((name, _),) = expected.values()
        return f"The {role} {short_name(name)} is joining, which takes some seconds"
    return f"{plural(len(expected), role)} are joining, which takes some seconds" if expected else ""


def _how_to_start(manager: ManagerState) -> str:
    """Return the command that starts *manager* again. Started plainly, it would be another one at another address, at which no
    worker looks for it."""
    command = f"brender-manager --name {shlex.quote(harmless(manager.name))} --listen {harmless(manager.address)}"
    is_here = manager.address.startswith(("127.", "[::1]", "localhost:")) or not manager.host
    return f"`{command}`" + ("" if is_here else f" on {short_name(manager.host)}")


def _with_manager(name: str, verb: str, remedy: str = "") -> Obstacle:
    return Obstacle(f"waits for its manager {name}, which {verb}", f"wait for their manager {name}, which {verb}", remedy)
