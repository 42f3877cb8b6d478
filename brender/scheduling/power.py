"""Decides when machines sleep and when they are woken, by the work that waits and the workers that are there. Pure.

A machine sleeps only if no work waits that its workers could do, and is woken only if some does: both are never true at once, so
that it does not sleep and wake in turn. The cost of a wake is weighed against its gain: see `wanted`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from brender.model.eligibility import general_obstacle
from brender.model.nodes import WorkerInfo
from brender.model.power import Phase, Sleeper
from brender.scheduling.classes import Job, JobClass, Worker
from brender.scheduling.folder_limits import Limits, inside_of
from brender.scheduling.roster import Roster

#: A further machine is woken if the present ones need longer than so many times the time of a wake.
_WAKES_WORTH = 2.0
#: Jobs of one kind that are looked at.
_JOBS_LOOKED_AT = 200
#: Seconds that a machine takes to fall asleep once its command has ended. A later heartbeat proves that it is awake.
GOING_SECONDS = 30.0
#: After so many leases a manager, and then the server, has missed a silent worker.
_LEASES_TO_BE_MISSED = 3


class Work(NamedTuple):
    """What waits of one kind: its ``jobs``, the first one first; how many ``tasks`` of them may be given out, and the ``seconds``
    that these take one worker (0: not known); how many workers take them that are ``there``, and which sleeping machines could
    (``sleepers``)."""

    jobs: tuple[str, ...]
    tasks: int
    seconds: float
    there: int
    sleepers: frozenset[str]


def wanted(works: Iterable[Work], slots: Mapping[str, int], coming: Iterable[str], wake_seconds: float) -> dict[str, str]:
    """Return the sleeping machines that are to be awake, each with the job that it is woken for first.

    *slots*: the workers of each machine that sleeps or is *coming*, in the order in which they are woken; *wake_seconds*: what a
    wake takes. Where nobody is there, one machine is woken in any case; a further one where each of those that are there and
    coming has more to do than a wake is worth, and there are more tasks than they have slots for.

    >>> works = [Work(("shot",), 100, 6000.0, 1, frozenset({"a", "b", "c"}))]
    >>> wanted(works, {"a": 1, "b": 1, "c": 1}, (), wake_seconds=1200)
    {'a': 'shot', 'b': 'shot'}
    """
    awake = set(coming)
    chosen: dict[str, str] = {}
    for work in works:
        able = [machine for machine in slots if machine in work.sleepers]
        on_the_way = sum(slots[machine] for machine in able if machine in awake)
        for machine in able:
            if machine in awake:
                continue
            hands = work.there + on_the_way
            is_worth_it = work.tasks > on_the_way and (work.seconds or 0.0) / max(1, hands) > _WAKES_WORTH * wake_seconds
            if not work.tasks or (hands and not is_worth_it):
                break
            chosen[machine] = work.jobs[0]
            awake.add(machine)
            on_the_way += slots[machine]
    return chosen


def may_sleep(idle: Sequence[float | None], after: float) -> bool:
    """Return whether a machine may sleep: each of its workers has been idle for *after* seconds. *idle*: for how long each has
    been; ``None``: it is not.

    >>> may_sleep([1300.0, 1200.0], 1200), may_sleep([1300.0, None], 1200), may_sleep([], 1200)
    (True, False, False)
    """
    return bool(idle) and all(seconds is not None and seconds >= after for seconds in idle)


class Heard(NamedTuple):
    """The last signs of a worker that is to sleep and that managers call connected: which start of it, the term of its
    registration, and its last heartbeat, monotonic."""

    incarnation: int
    term: str
    beat: float


def is_awake(sleeper: Sleeper, heard: Heard | None, listening: float, lease: float, now: float) -> bool:
    """Return whether what is *heard* of *sleeper* proves that its machine is awake (``None``: it is not there).

    Only what it cannot have said before it slept proves that:

    - it was started again since;
    - it was registered again, a lease or more after it fell asleep: an older word counts for nothing;
    - it beats, later than it may take to fall asleep;
    - it is still there long after its manager would have missed it.

    *listening*: since when the server hears without a break, monotonic. The first messages may have waited for that.
    """
    if sleeper.phase is Phase.GOING or heard is None:
        return False
    silent = max(sleeper.slept, listening)
    return (
        heard.incarnation > sleeper.info.incarnation
        or (heard.term != sleeper.term and sleeper.registered >= silent + lease)
        or heard.beat > max(sleeper.slept + GOING_SECONDS, listening)
        or now >= silent + GOING_SECONDS + missed_after(lease)
    )


def missed_after(lease: float) -> float:
    """Return the seconds after which the server knows that a silent worker is gone."""
    return _LEASES_TO_BE_MISSED * lease


def works(roster: Roster, sleeping: Mapping[str, Sequence[WorkerInfo]]) -> list[Work]:
    """Return the work that waits in *roster* for machines that sleep: *sleeping* are their workers, by machine."""
    found = []
    for kind in roster.ready.classes:
        ready = [roster.jobs[rank[-1]] for rank in kind.ready[:_JOBS_LOOKED_AT]]
        waiting = [(job, tasks) for job in ready if (tasks := _tasks(roster, job))]
        if not waiting:
            continue
        first = waiting[0][0]
        able = frozenset(machine for machine, workers in sleeping.items() if any(_can(kind, first, worker) for worker in workers))
        seconds = sum(tasks * job.demand.expected_seconds for job, tasks in waiting)
        found.append(
            Work(tuple(job.demand.job for job, _ in waiting), sum(tasks for _, tasks in waiting), seconds, _there(kind), able)
        )
    return found


def has_work(roster: Roster, worker: Worker) -> bool:
    """Return whether work waits in *roster* that *worker* could do."""
    return any(
        worker.kind in kind.able and any(_tasks(roster, roster.jobs[rank[-1]]) for rank in kind.ready[:_JOBS_LOOKED_AT])
        for kind in roster.ready.classes
    )


def _tasks(roster: Roster, job: Job) -> int:
    """Return how many tasks of *job* could be given out now."""
    left = roster.gates.left(job.demand)
    return job.demand.queued if left is None else min(job.demand.queued, left)


def _there(kind: JobClass) -> int:
    return sum(each.open for each in kind.able)


def _can(kind: JobClass, job: Job, worker: WorkerInfo) -> bool:
    """Return whether *worker*, which sleeps, could run *job*, the first one of *kind*."""
    if general_obstacle(kind.need, job.demand.paths, worker) is not None or job.demand.exception(worker.id, None) is not None:
        return False
    limits = Limits.of(worker)
    return limits is None or kind.inside is None or limits in inside_of(job.demand, (limits,))
