"""Whether what the scheduler keeps is what it would make from nothing; for the simulation and the tests. Pure."""

from collections.abc import Iterator
from dataclasses import replace

from brender.scheduling.classes import OUTSIDE, WorkerClass, common_info, is_own
from brender.scheduling.fitting import fits
from brender.scheduling.folder_limits import inside_of
from brender.scheduling.roster import Roster
from brender.scheduling.terms import PREFETCH_MOST


def audit(roster: Roster) -> list[str]:
    """Return what is wrong with *roster*, a sentence each. Nothing is said of one that has to catch up."""
    if roster.is_behind:
        return []
    fresh = Roster(roster.free)
    fresh.classes.limits.update(roster.classes.limits)
    fresh.classes.sized = roster.classes.sized
    fresh.shares.take_over(roster.shares)
    for gate, most in roster.gates.most.items():
        fresh.set_limit(gate, most)
    for job_id, (priority, live, gates) in roster.closed.items():
        fresh.job_closed(job_id, priority, -live, gates)
    for job in roster.jobs.values():
        fresh.job_changed(replace(job.demand))
    for worker in sorted(roster.workers.values(), key=lambda each: each.order):
        load = worker.count, worker.serving, worker.open, worker.reserved, worker.alone, worker.tail, worker.cores
        fresh.worker_changed(worker.info, *load, worker.gpu_memory)
    fresh.catch_up(10**9)
    return [*_ready(roster, fresh), *_shares(roster, fresh), *_workers(roster), *_loads(roster, fresh)]


def _ready(roster: Roster, fresh: Roster) -> Iterator[str]:
    expected = {key: (kind.ready, kind.waits) for key, kind in fresh.classes.of_jobs.items()}
    if expected != {key: (kind.ready, kind.waits) for key, kind in roster.classes.of_jobs.items()}:
        yield "the ready jobs differ"
    if roster.ready.classes.keys() != {kind for kind in roster.classes.of_jobs.values() if kind.ready}:
        yield "the classes of ready jobs differ"
    for kind in roster.classes.of_jobs.values():
        if kind.obstacles.keys() != set(roster.classes.of_workers.values()):
            yield f"jobs that need {kind.need} were not compared with each class of workers"
        if kind.live != sum(job.demand.live for job in kind.jobs.values()):
            yield f"jobs that need {kind.need} count {kind.live} live attempts"
        if kind.able.keys() != {each for each, obstacle in kind.obstacles.items() if not obstacle}:
            yield f"the classes that can run jobs that need {kind.need} differ from those without an obstacle"
        if kind.outside.keys() != {each for each, obstacle in kind.obstacles.items() if obstacle is OUTSIDE}:
            yield f"the classes that may not use the folders of jobs that need {kind.need} differ from those that are said to be"
        placed = [job for job in kind.jobs.values() if kind.inside is not None]
        if any(kind.inside != inside_of(job.demand, roster.classes.limits) for job in placed):
            yield f"a job that needs {kind.need} is not in the limits that its class is in"


def _shares(roster: Roster, fresh: Roster) -> Iterator[str]:
    ready, kinds = roster.ready, list(roster.classes.of_jobs.values())
    if roster.shares.standing() != fresh.shares.standing():
        yield "the lines of ready jobs, in the order of the shares, differ"
    if (roster.gates.live, roster.gates.full) != (fresh.gates.live, fresh.gates.full):
        yield f"the tasks that are out count {roster.gates.live}, and are {fresh.gates.live}"
    shut = {kind.key for kind in kinds if kind.bit & ready.shut_mask}
    if shut != {kind.key for kind in fresh.classes.of_jobs.values() if kind.bit & fresh.ready.shut_mask}:
        yield "the classes of jobs that wait for a licence differ"
    mask = 0
    for kind in ready.classes:
        mask |= kind.bit
    if ready.mask != mask:
        yield "the bits of the classes of ready jobs differ"
    tops: dict[int, int] = {}
    for kind in (each for each in ready.classes if each.ready):
        tops[-kind.ready[0][0]] = tops.get(-kind.ready[0][0], 0) | kind.bit
    if ready.tops != tops:
        yield "the bits of the classes of ready jobs, by the highest priority in each, differ"
    for kind in kinds:
        marked = ready.by_bit.get(kind.bit) is kind, bool(kind.bit & ready.pooled_mask), bool(kind.bit & ready.tiny_mask)
        if marked != (True, kind.need.pool != "", any(job.demand.is_tiny for job in kind.jobs.values())):
            yield f"the bits of the jobs that need {kind.need} are {marked}"
    for worker_class in roster.classes.of_workers.values():
        bits = [kind.bit for kind in kinds if worker_class in kind.able]
        runs = [kind.bit for kind in kinds if kind in worker_class.runs]
        is_true = runs == bits and len(runs) == len(worker_class.runs) and worker_class.mask == sum(bits)
        own = [kind.bit for kind in kinds if kind.bit in bits and is_own(kind.need, worker_class.info)]
        is_true = is_true and worker_class.own == sum(own)
        if not is_true or len(set(bits)) < len(bits):
            yield "the bits of the classes of jobs that a class of workers can run differ"
    for kind in kinds:
        reach = sum(each.bit + (each.own_bit if is_own(kind.need, each.info) else 0) for each in kind.able)
        if kind.reach != reach or kind.shut is not bool(kind.bit & ready.shut_mask):
            yield f"the bits of the classes of workers that can run jobs that need {kind.need} differ"
    yield from roster.shares.audit()


def _workers(roster: Roster) -> Iterator[str]:
    for worker in roster.workers.values():
        kind, name = worker.kind, f"the worker {worker.id}"
        if kind.workers.get(worker.id) is not worker or roster.by_order.get(worker.order) is not worker:
            yield f"{name} is not where it should be"
        common = common_info(kind.info, kind.info.tags, True)
        if common != common_info(worker.info, kind.info.tags, roster.classes.sized):
            yield f"{name} is in a class that is not its own"
        queues = {"idle": kind.idle, "eager": kind.eager, "blocked": kind.blocked}
        places = [place for place, queue in queues.items() if worker.order in queue]
        if len(places) > 1 or any(queues[place] is not worker.place for place in places):
            yield f"{name} stands in the queues {places}"
        may_take = worker.open and worker.count <= PREFETCH_MOST
        if (places and not may_take) or (not places and may_take and not worker.count):
            yield f"{name} {'is' if places else 'is not'} in a queue"
        if places in (["idle"], ["eager"]):
            if (places == ["idle"]) is not (worker.count == 0):
                yield f"{name} with {worker.count} grants is among the {places[0]} ones"
            if kind not in roster.queues.hungry and _has_ready(roster, kind):
                yield f"{name} could take something and is not asked"
        if places == ["blocked"]:
            able = [each for each in roster.ready.classes if kind in each.able]
            for job in (each.jobs[rank[-1]] for each in able for rank in each.ready):
                if not job.demand.memory and not roster.is_shut(job.demand) and fits(job.demand, worker, roster.free):
                    yield f"{name} could take a task of {job.demand.job} and is kept waiting"


def _has_ready(roster: Roster, kind: WorkerClass) -> bool:
    return any(True for _ in roster.lines(kind))


def _loads(roster: Roster, fresh: Roster) -> Iterator[str]:
    if roster.crowded.keys() != fresh.crowded.keys():
        yield "the workers with more than one grant differ"
    shares = [
        {
            host: (len(each.slots), each.busy, each.reserved, each.alone, each.claims)
            for host, each in known.machines.known.items()
        }
        for known in (roster, fresh)
    ]
    if shares[0] != shares[1]:
        yield f"the machines count {shares[0]}, and have {shares[1]}"
    if roster.lonely.keys() != fresh.lonely.keys():
        yield "the jobs that render alone differ"
    if roster.reserving.keys() != fresh.reserving.keys():
        yield "the jobs whose tasks reserve something differ"
    if roster.pressing.keys() != fresh.pressing.keys():
        yield "the jobs that others give way to differ"
    kept = {machine.kept: machine for machine in roster.machines.known.values() if machine.kept}
    if kept != roster.machines.kept:
        yield "the machines that are kept free differ"
    for machine in roster.machines.known.values():
        if any(worker.place is not worker.kind.blocked for worker in machine.blocked):
            yield "a machine has workers among its blocked ones that are not"
    for kind in roster.classes.of_workers.values():
        serving = sum(worker.serving for worker in kind.workers.values())
        counted = sum(worker.open for worker in kind.workers.values())
        resting = sum(worker.open and not worker.count for worker in kind.workers.values())
        if (kind.serving, kind.open, kind.resting) != (serving, counted, resting):
            yield f"a class counts {kind.open} open and {kind.resting} resting workers, and has {counted} and {resting}"
