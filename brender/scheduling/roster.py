"""The scheduler's view of workers and open jobs, kept by class. Pure.

Each change is noted here (`Roster.worker_changed`, `Roster.job_changed`, …), at a cost that does not grow with the number of
workers or jobs. `brender.scheduling.audit` compares it with a roster that is made from nothing.

Hot path, watched by benchmarks.scale and benchmarks.dispatch.
"""

from collections import Counter
from collections.abc import Iterator
from itertools import islice

from brender.model.job import Requirements
from brender.model.nodes import WorkerInfo
from brender.scheduling.class_index import ClassIndex
from brender.scheduling.classes import Job, JobClass, Line, Worker, WorkerClass, is_of_class, places, settles
from brender.scheduling.fitting import Free, fits
from brender.scheduling.folder_limits import Limits, inside_of
from brender.scheduling.gates import Gate, Gates, gates_of
from brender.scheduling.machines import Machines
from brender.scheduling.queues import Queues
from brender.scheduling.ready import Ready
from brender.scheduling.terms import Demand, Take
from brender.scheduling.warmth import Warmth

#: What it costs of a budget to compare a job with `Limits`, and to have it in another class.
_COMPARE_COST, _MOVE_COST = 15, 25


class Roster:
    """The workers and the open jobs.

    *free* returns the bytes of memory that a render could have at a worker, given its id; ``None`` if not known. It is asked
    when it matters, since it changes with every heartbeat; a worker that has a good deal more than before is a changed worker.
    """

    def __init__(self, free: Free) -> None:
        self.free = free
        self.workers: dict[str, Worker] = {}
        self.jobs: dict[str, Job] = {}
        self.by_order: dict[int, Worker] = {}
        self.classes = ClassIndex()
        self.queues = Queues(self.by_order)
        self.machines = Machines(self.queues.put)
        self.gates = Gates()
        self.ready = Ready(self.gates)
        self.shares = self.ready.shares
        self.warmth = Warmth()
        self.lonely: dict[str, None] = {}
        """The ids of the open jobs that render alone on a machine."""
        self.reserving: dict[str, None] = {}
        """The ids of the open jobs whose tasks reserve cores or GPU memory."""
        self.pressing: dict[str, None] = {}
        """The ids of the open jobs that running tasks of others give way to."""
        self.stale: dict[str, None] = {}
        """The ids of the open jobs that were not compared with all `ClassIndex.limits` yet: their workers are not known."""
        self.crowded: dict[str, None] = {}
        """The ids of the open workers with more than one grant."""
        self.live: dict[int, int] = {}
        """The number of live attempts by priority, those of closed jobs too; none is 0."""
        self.version = 0
        """Grows with every change."""
        self.membership = 0
        """Grows when a worker comes, goes or is of another class."""
        self.touched: dict[str, None] = {}
        """The ids of the workers that changed since someone emptied this."""
        self.grants_moved = False
        """A change of a job may concern the grants of any worker, since someone unset this."""
        self.closed: dict[str, tuple[int, int, tuple[Gate, ...]]] = {}
        """Jobs that are not open and have live attempts: their priority, the number of these, negative, and what counts them."""
        self._tails: Counter[str] = Counter()
        """Of how many workers a job is the `Worker.tail`; none is 0."""
        self._picky: dict[str, Job] = {}
        """Jobs that are kept off a worker and may wait for one that loses nothing of their .blend (`JobClass.settles`)."""
        self._next_order = 0

    # --- changes ----------------------------------------------------------------------------------------------------------

    def worker_changed(
        self,
        info: WorkerInfo,
        count: int,
        serving: bool = True,
        is_open: bool = True,
        reserved: int = 0,
        alone: bool = False,
        tail: str = "",
        cores: int = 0,
        gpu_memory: int = 0,
    ) -> None:
        """Note the present state of a worker, new or known.

        *count*: the number of its grants; *serving*: it takes tasks; *is_open*: it takes them at this moment; *reserved*: the
        bytes of memory that its grants will need beyond what it holds; *alone*: nothing else is to start on its machine;
        *tail*: the job of its last grant, "" for none; *cores* and *gpu_memory*: what its grants reserve.
        """
        worker = self.workers.get(info.id)
        if worker is None:
            self._next_order += 1
            worker = Worker(info.id, info, self._next_order, self._class_of(info))
            self.workers[info.id] = self.by_order[worker.order] = worker
            self._enter_class(worker)
        elif worker.info is not info:
            self._reclassify(worker, info)
        self._set_load(worker, count, serving, serving and is_open)
        if tail != worker.tail:
            self._set_tail(worker, tail)
        if reserved != worker.reserved or alone is not worker.alone:
            self.machines.reserve(worker, reserved, alone)
        if cores != worker.cores or gpu_memory != worker.gpu_memory:
            self.machines.claim(worker, cores, gpu_memory)
        self.queues.put(worker)
        if worker.machine is not None and worker.machine.blocked:
            self.machines.offer_room(worker.machine)  # others there can have the memory and cores that this one gives up

    def worker_gone(self, worker_id: str) -> None:
        """Forget a worker."""
        worker = self.workers.pop(worker_id, None)
        if worker is not None:
            self._set_load(worker, 0, False, False)
            self._set_tail(worker, "")
            self.warmth.forget(worker)
            worker.stand_in(None)
            self._leave_class(worker)
            del self.by_order[worker.order]

    def job_changed(self, demand: Demand) -> None:
        """Note the present *demand* of an open job, new or known. The roster keeps the object."""
        job = self.jobs.get(demand.job)
        if job is not None and is_of_class(demand, job):
            self._note(demand, job.kind, job.assessed)
        else:
            need, inside, assessed = places(demand, job)
            self._note(demand, self._class_of_job(demand, need, inside), assessed)

    def _note(self, demand: Demand, kind: JobClass, assessed: int) -> None:
        """Note *demand*, whose job is of the class *kind*, and was compared with so many limits."""
        job, live = self.jobs.get(demand.job), demand.live
        if job is not None:
            job.assessed = assessed
        if job is not None and job.kind is not kind:
            self._drop_job(job)
            self.grants_moved |= demand.live > 0
            job = None
        if job is None:
            self._count_live(*self.closed.pop(demand.job, (0, 0, ())))
            job = self.jobs[demand.job] = kind.jobs[demand.job] = Job(demand, kind, assessed)
            newly = True
            self.grants_moved |= demand.live > 0
        else:
            before = job.demand
            newly = job.rank is None or demand.memory < before.memory or demand.alone < before.alone
            newly = newly or bool(before.kept_off and not set(before.kept_off) <= set(demand.kept_off))
            if (before.priority, before.project, before.user) == (demand.priority, demand.project, demand.user):
                # Attempts that `take` has counted are not counted again: mostly these are all.
                live -= before.live
            else:
                self._count_live(before.priority, -before.live, gates_of(before))
                kind.live -= before.live
                self.grants_moved |= before.priority != demand.priority
                self.ready.place(job, None)
            job.demand = demand
        if demand.alone:
            self.lonely[demand.job] = None
        else:
            self.lonely.pop(demand.job, None)
        if demand.reserves:
            self.reserving[demand.job] = None
        else:
            self.reserving.pop(demand.job, None)
        if demand.rush or demand.reclaims:
            self.pressing[demand.job] = None
        else:
            self.pressing.pop(demand.job, None)
        if demand.kept_off and demand.need.oldest_blender is not None:
            self._picky[demand.job] = job
        else:
            self._picky.pop(demand.job, None)
        if live:
            self._count_live(demand.priority, live, gates_of(demand))
            kind.live += live
        self.ready.set_tiny(job, demand.is_tiny)
        self.version += 1
        self._rank(job)
        if kind.inside is not None and assessed < len(self.classes.limits):
            self.stale[demand.job] = None
        if newly and demand.wants_more:
            self.queues.offer(job.kind, lambda worker: fits(demand, worker, self.free))
        self._reopen()

    def job_closed(self, job_id: str, priority: int = 0, live: int = 0, gates: tuple[Gate, ...] = ()) -> None:
        """Note that a job is not open (any more): nothing of it is given out. *live* attempts of it have not ended yet, which
        *gates* count."""
        job = self.jobs.get(job_id)
        if job is not None:
            self._drop_job(job)
            self.grants_moved |= live > 0
        self._count_live(*self.closed.pop(job_id, (0, 0, ())))
        if live:
            self.closed[job_id] = (priority, -live, gates)
            self._count_live(priority, live, gates)
        self._reopen()

    def set_limit(self, gate: Gate, most: int | None) -> None:
        """Limit the tasks that *gate* counts to *most* at a time; ``None``: any number."""
        self.gates.limit(gate, most)
        self.ready.shut(gate)
        self.version += 1
        self._reopen()

    def catch_up(self, budget: int) -> int:
        """Compare classes with each other, and jobs with the limits of workers, that came since, and return what that used of
        *budget*. While the roster `is_behind`, nothing is to be decided."""
        used = self.classes.catch_up(budget) if self.classes.is_behind else 0
        while self.stale and used < budget:
            job = self.jobs[self.stale.popitem()[0]]
            fresh = list(islice(self.classes.limits, job.assessed, None))
            used += _COMPARE_COST + len(fresh)
            job.assessed = len(self.classes.limits)
            if more := inside_of(job.demand, fresh):
                assert job.kind.inside is not None, "it has folders"
                used += _MOVE_COST + len(self.classes.of_workers)
                kind = self._class_of_job(job.demand, job.kind.need, job.kind.inside | more)
                self._note(job.demand, kind, job.assessed)
        return used

    @property
    def is_behind(self) -> bool:
        """Whether some classes were not compared yet: nobody knows which workers can run which jobs."""
        return bool(self.stale) or self.classes.is_behind

    # --- decisions --------------------------------------------------------------------------------------------------------

    def take(self, worker: Worker, job: Job) -> Take:
        """Note that *worker* takes the next task of *job*."""
        demand = job.demand
        demand.queued -= 1
        demand.live += 1
        self._count_live(demand.priority, 1, gates_of(demand))
        job.kind.live += 1
        if worker.tail == demand.job:
            self._rank(job)
        else:
            self._set_tail(worker, demand.job)  # which ranks it
        self.shares.charge(demand.project, demand.user, demand.expected_seconds)
        if not worker.count and demand.reserves:
            self.machines.claim(worker, demand.need.cores, demand.need.gpu_memory)
        self._set_load(worker, worker.count + 1, worker.serving, worker.open)
        if demand.memory or demand.alone:
            self.machines.reserve(worker, max(worker.reserved, demand.memory), worker.alone or demand.alone)
        self.queues.put(worker)
        return Take(worker.id, demand.job)

    def is_shut(self, demand: Demand) -> bool:
        """Return whether a limit keeps tasks of *demand* from being given out."""
        return not demand.wants_more or self.gates.closed(demand) is not None

    def lines(self, kind: WorkerClass, own: bool = False) -> Iterator[Line]:
        """Yield the lines with jobs that workers of *kind* can run, as far as no limit keeps these waiting; the first first.
        *own*: with jobs of the pool of these workers."""
        if not (kind.own if own else kind.mask) & self.ready.mask & ~self.ready.shut_mask:
            return
        full = self.gates.full
        for line in self.shares.lines(kind.own_bit, kind.info.pool) if own else self.shares.lines(kind.bit):
            if full and (("project", line.project.name) in full or ("user", line.user.name) in full):
                continue
            yield line

    def block(self, worker: Worker) -> None:
        """Note that *worker* is an exception for each ready job. It is tried again when it or a job changes."""
        self.queues.block(worker, bool(self.gates.full))

    # --- inside -----------------------------------------------------------------------------------------------------------

    def _set_load(self, worker: Worker, count: int, serving: bool, is_open: bool) -> None:
        kind = worker.kind
        kind.open += is_open - worker.open
        kind.resting += (is_open and not count) - (worker.open and not worker.count)
        was_busy, is_busy = worker.count > 0, count > 0
        worker.open, worker.count = is_open, count
        if was_busy is not is_busy and worker.machine is not None:
            worker.machine.busy += is_busy - was_busy
            if was_busy and self.lonely:
                self.machines.offer_room(worker.machine)
        if is_open and count > 1:
            self.crowded[worker.id] = None
        else:
            self.crowded.pop(worker.id, None)
        self.version += 1
        self.touched[worker.id] = None
        if serving is not worker.serving:
            worker.serving = serving
            kind.serving += 1 if serving else -1
            if kind.serving == serving:  # it is the first, or was the last
                self._reconsider()
            for job in list(self._picky.values()):
                self.job_changed(job.demand)

    def _set_tail(self, worker: Worker, tail: str) -> None:
        """Note that *tail* is the job of the last grant of *worker*."""
        before, worker.tail = worker.tail, tail
        for job_id, more in ((before, -1), (tail, 1)) if before != tail else ():
            if job_id:
                self._tails[job_id] += more
                if not self._tails[job_id]:
                    del self._tails[job_id]
                if (job := self.jobs.get(job_id)) is not None:
                    self._rank(job)
                    if more > 0:
                        self.warmth.note(worker, job.demand)

    def _drop_job(self, job: Job) -> None:
        demand, kind = job.demand, job.kind
        self._count_live(demand.priority, -demand.live, gates_of(demand))
        kind.live -= demand.live
        self.version += 1
        self.ready.place(job, None)
        self.ready.set_tiny(job, False)
        self._picky.pop(demand.job, None)
        self.lonely.pop(demand.job, None)
        self.reserving.pop(demand.job, None)
        self.pressing.pop(demand.job, None)
        self.stale.pop(demand.job, None)
        del self.jobs[demand.job]
        del kind.jobs[demand.job]
        if not kind.jobs:
            self.classes.drop_job_class(kind)
            self.ready.drop_class(kind)

    def _rank(self, job: Job) -> None:
        """Keep the place of *job* among the ready ones of its class true."""
        demand = job.demand
        rank = -demand.priority, self._tails[demand.job], demand.live, demand.order, demand.job
        if self.ready.place(job, rank if demand.wants_more else None):
            self.queues.wake(job.kind.able)

    def _reopen(self) -> None:
        """If something is full no more, let the workers be asked (again) that found nothing meanwhile."""
        if self.gates.opened:
            self.gates.opened = False
            self.queues.reopen(self.classes.of_workers.values())

    def _count_live(self, priority: int, more: int, gates: tuple[Gate, ...] = ()) -> None:
        count = self.live.get(priority, 0) + more
        if count:
            self.live[priority] = count
        else:
            self.live.pop(priority, None)
        for gate in gates if more else ():
            self.gates.count(gate, more)
            if gate[0] == "licence":
                self.ready.shut(gate)

    # --- classes ----------------------------------------------------------------------------------------------------------

    def _class_of(self, info: WorkerInfo) -> WorkerClass:
        limits = len(self.classes.limits)
        kind = self.classes.of_worker(info)
        if len(self.classes.limits) > limits:
            self.stale.update((job, None) for job, known in self.jobs.items() if known.kind.inside is not None)
        return kind

    def _class_of_job(self, demand: Demand, need: Requirements, inside: frozenset[Limits] | None) -> JobClass:
        key = (need, demand.paths, settles(demand, self.classes.of_workers.values()), inside)
        kind = self.classes.of_jobs.get(key)
        if kind is None:
            for worker in self.classes.told_apart_by(need):
                self._reclassify(worker, worker.info)
            kind = self.classes.add_job_class(key)
            self.ready.add_class(kind)
        return kind

    def _reconsider(self) -> None:
        """Find out again which jobs wait for workers that lose nothing of their .blend."""
        for job_class in self.classes.reconsider():
            if not job_class.waits and job_class.ready:
                for kind in job_class.lossy:
                    self.queues.unblock(kind)
                self.queues.wake(job_class.able)

    def _reclassify(self, worker: Worker, info: WorkerInfo) -> None:
        load, reserved, alone = (worker.count, worker.serving, worker.open), worker.reserved, worker.alone
        claim = worker.cores, worker.gpu_memory
        self._set_load(worker, 0, False, False)
        worker.stand_in(None)
        self._leave_class(worker)
        worker.info, worker.kind = info, self._class_of(info)
        self._enter_class(worker)
        self._set_load(worker, *load)
        self.machines.reserve(worker, reserved, alone)
        self.machines.claim(worker, *claim)
        self.queues.put(worker)

    def _enter_class(self, worker: Worker) -> None:
        self.membership += 1
        self.classes.enter(worker)
        self.machines.enter(worker)

    def _leave_class(self, worker: Worker) -> None:
        self.membership += 1
        self.machines.leave(worker)
        if self.classes.leave(worker):
            self.queues.forget(worker.kind)
