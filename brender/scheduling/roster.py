"""Everything that the scheduler knows of workers and open jobs, kept by class. Pure.

It is told of each change (`Roster.worker_changed`, `Roster.job_changed`, …), and the cost of a change does not grow with the
number of workers or jobs. `brender.scheduling.audit` compares it with a roster that is made from nothing.

Hot path, watched by benchmarks.scale and benchmarks.dispatch.
"""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice

from brender.model.job import Requirements
from brender.model.nodes import WorkerInfo
from brender.model.obstacle import Obstacle
from brender.model.paths import PathVariable
from brender.scheduling.classes import (
    Bits,
    Job,
    JobClass,
    JobKey,
    Limits,
    Line,
    Needs,
    Rank,
    Worker,
    WorkerClass,
    common_info,
    inside_of,
    places,
    settles,
)
from brender.scheduling.gates import Gate, Gates, gates_of
from brender.scheduling.machines import Machines, lacks_solitude, may_start, reserved_beside
from brender.scheduling.reservations import has_room, lack_of_room
from brender.scheduling.shares import Shares
from brender.scheduling.terms import KEPT_FREE, NOT_ALONE, PREFETCH_MOST, Demand, Take

#: What it costs of a budget to compare a job with `Limits`, and to have it in another class.
_COMPARE_COST, _MOVE_COST = 15, 25


class Roster:
    """The workers and the open jobs.

    *free* returns the bytes of memory that a render could have at a worker, given its id; ``None`` if not known. It is asked
    when it matters, since it changes with every heartbeat; a worker that has a good deal more than before is a changed worker.
    """

    def __init__(self, free: Callable[[str], int | None]) -> None:
        self.free = free
        self.workers: dict[str, Worker] = {}
        self.jobs: dict[str, Job] = {}
        self.by_order: dict[int, Worker] = {}
        self.machines = Machines(self._queue)
        self.lonely: dict[str, None] = {}
        """The ids of the open jobs that render alone on a machine."""
        self.reserving: dict[str, None] = {}
        """The ids of the open jobs whose tasks reserve cores or GPU memory."""
        self.pressing: dict[str, None] = {}
        """The ids of the open jobs that running tasks of others give way to."""
        self.worker_classes: dict[WorkerInfo, WorkerClass] = {}
        self.job_classes: dict[JobKey, JobClass] = {}
        self.limits: dict[Limits, None] = {}
        """All that workers had since this roster was made."""
        self.stale: dict[str, None] = {}
        """The ids of the open jobs that were not compared with all of these yet: their workers are not known."""
        self.ready: dict[JobClass, None] = {}
        """Classes with jobs that have queued tasks."""
        self.ready_mask = 0
        """Their bits."""
        self.tops: dict[int, int] = {}
        """The same, by the highest priority in each class."""
        self.by_bit: dict[int, JobClass] = {}
        """All classes of jobs."""
        self.pooled_mask = 0
        """The bits of those that belong to a pool."""
        self.tiny_mask = 0
        """The bits of those with tasks so short that more than one may wait at a worker (`Demand.is_tiny`)."""
        self.shut_mask = 0
        """The bits of the classes of jobs that need a licence of which nothing is left."""
        self.shares = Shares()
        self.gates = Gates()
        self.hungry: dict[WorkerClass, None] = {}
        """Classes in which a worker may take something, for all that is known."""
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
        self._tails: Counter[str] = Counter()
        """Of how many workers a job is the `Worker.tail`; none is 0."""
        self._blocked: dict[WorkerClass, None] = {}
        """Classes in which a worker may be blocked."""
        self.closed: dict[str, tuple[int, int, tuple[Gate, ...]]] = {}
        """Jobs that are not open and have live attempts: their priority, the number of these, negative, and what counts them."""
        self._with_licence: dict[str, dict[JobClass, None]] = {}
        """The classes of jobs that need it."""
        self._shut_gates: dict[Gate, None] = {}
        """The licences of which nothing is left, as the classes that need them were told."""
        self._gated: dict[WorkerClass, None] = {}
        """Classes in which a worker may be blocked because something was full."""
        self._picky: dict[str, Job] = {}
        """Jobs that are kept off a worker and may wait for one that loses nothing of their .blend (`JobClass.settles`)."""
        self._needs: dict[tuple[Requirements, tuple[PathVariable, ...]], Needs] = {}
        self._wanted_tags: frozenset[str] = frozenset()
        self.sized = False
        """Workers are told apart by their cores and GPU memory: some job reserved some since this roster was made."""
        self._with_tag: dict[str, dict[str, None]] = {}
        self._next_order = self._next_class = 0
        self._bits, self._worker_bits = Bits(), Bits()
        """Those of the classes of jobs, and of workers."""

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
        """Note how a worker, new or known, now is.

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
        self._set_tail(worker, tail)
        if reserved != worker.reserved or alone is not worker.alone:
            self.machines.reserve(worker, reserved, alone)
        if cores != worker.cores or gpu_memory != worker.gpu_memory:
            self.machines.claim(worker, cores, gpu_memory)
        self._queue(worker)
        if worker.machine is not None and worker.machine.blocked:
            self.machines.offer_room(worker.machine)  # what this one lets go of, others there can have

    def worker_gone(self, worker_id: str) -> None:
        """Forget a worker."""
        worker = self.workers.pop(worker_id, None)
        if worker is not None:
            self._set_load(worker, 0, False, False)
            self._set_tail(worker, "")
            worker.stand_in(None)
            self._leave_class(worker)
            del self.by_order[worker.order]

    def job_changed(self, demand: Demand) -> None:
        """Note what an open job, new or known, now wants. *demand* is the roster's from now on."""
        self._note(demand, *places(demand, self.jobs.get(demand.job)))

    def _note(self, demand: Demand, need: Requirements, inside: frozenset[Limits] | None, assessed: int) -> None:
        """Note *demand*, whose class its job has by these (`places`)."""
        kind = self._class_of_job(demand, need, inside)
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
                # What `take` has counted already is not counted again: mostly that is all.
                live -= before.live
            else:
                self._count_live(before.priority, -before.live, gates_of(before))
                kind.live -= before.live
                self.grants_moved |= before.priority != demand.priority
                self._set_rank(job, None)
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
        self._set_tiny(job, demand.is_tiny)
        self.version += 1
        self._rank(job)
        if inside is not None and assessed < len(self.limits):
            self.stale[demand.job] = None
        if newly and demand.wants_more:
            self._offer_to_blocked(job)
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
        """Let so many tasks that *gate* counts be out at most; ``None``: any number."""
        self.gates.limit(gate, most)
        self._shut(gate)
        self.version += 1
        self._reopen()

    def catch_up(self, budget: int) -> int:
        """Compare jobs with the limits of workers that came since, and return what that used of *budget*. Until none is `stale`
        any more, nothing is to be decided."""
        used = 0
        while self.stale and used < budget:
            job = self.jobs[next(iter(self.stale))]
            del self.stale[job.demand.job]
            fresh = list(islice(self.limits, job.assessed, None))
            used += _COMPARE_COST + len(fresh)
            job.assessed = len(self.limits)
            if more := inside_of(job.demand, fresh):
                assert job.kind.inside is not None, "it has folders"
                used += _MOVE_COST + len(self.worker_classes)
                self._note(job.demand, job.kind.need, job.kind.inside | more, job.assessed)
        return used

    # --- decisions --------------------------------------------------------------------------------------------------------

    def fits(self, demand: Demand, worker: Worker) -> bool:
        """Return whether *worker*, whose class can run the job, is not an exception."""
        machine = worker.machine
        if machine is not None and machine.kept not in ("", demand.job):
            return False
        if not may_start(demand, worker):
            return False
        return self.has_room_for(demand, worker)

    def has_room_for(self, demand: Demand, worker: Worker) -> bool:
        """Return whether the job is not kept off *worker*, and has the memory and the cores there that it needs."""
        if worker.id in demand.kept_off:
            return False
        need, machine = demand.need, worker.machine
        if (need.cores or need.gpu_memory or (machine is not None and machine.claims)) and not has_room(demand, worker):
            return False
        if not demand.memory:
            return True
        free = self.free(worker.id)
        return free is None or free - reserved_beside(worker) >= demand.memory

    def hindrance(self, demand: Demand, worker: Worker) -> Obstacle | None:
        """Return why *worker*, whose class can run the job, is an exception; ``None`` where it is none."""
        free, reserved = self.free(worker.id), reserved_beside(worker)
        if exception := demand.exception(worker.id, free - reserved if free is not None else None, reserved > 0):
            return exception
        if lack := lack_of_room(demand, worker):
            return lack
        if worker.machine is not None and worker.machine.kept not in ("", demand.job):
            return KEPT_FREE
        return NOT_ALONE if lacks_solitude(demand, worker) else None

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
        self._queue(worker)
        return Take(worker.id, demand.job)

    def is_shut(self, demand: Demand) -> bool:
        """Return whether a limit keeps tasks of *demand* from being given out."""
        return not demand.wants_more or self.gates.closed(demand) is not None

    def lines(self, kind: WorkerClass, own: bool = False) -> Iterator[Line]:
        """Yield the lines with jobs that workers of *kind* can run, as far as no limit keeps these waiting; the first first.
        *own*: with jobs of the pool of these workers."""
        if not (kind.own if own else kind.mask) & self.ready_mask & ~self.shut_mask:
            return
        full = self.gates.full
        for line in self.shares.lines(kind.own_bit, kind.info.pool) if own else self.shares.lines(kind.bit):
            if full and (("project", line.project.name) in full or ("user", line.user.name) in full):
                continue
            yield line

    def block(self, worker: Worker) -> None:
        """Note that *worker* is an exception for each ready job. It is tried again when it or a job changes."""
        worker.stand_in(worker.kind.blocked)
        self._blocked[worker.kind] = None
        if self.gates.full:
            self._gated[worker.kind] = None

    def content(self, worker: Worker) -> None:
        """Note that *worker* has enough. It is tried again when it changes."""
        worker.stand_in(None)

    def sate(self, kind: WorkerClass) -> None:
        """Note that nothing is ready that *kind* could run. It is tried again when something is."""
        self.hungry.pop(kind, None)

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

    def _queue(self, worker: Worker) -> None:
        """Put *worker* into the queue where it belongs, to be tried (again)."""
        kind = worker.kind
        if not worker.open or worker.count > PREFETCH_MOST:
            worker.stand_in(None)
        else:
            worker.stand_in(kind.eager if worker.count else kind.idle)
            self.hungry[kind] = None

    def _drop_job(self, job: Job) -> None:
        demand, kind = job.demand, job.kind
        self._count_live(demand.priority, -demand.live, gates_of(demand))
        kind.live -= demand.live
        self.version += 1
        self._set_rank(job, None)
        self._set_tiny(job, False)
        self._picky.pop(demand.job, None)
        self.lonely.pop(demand.job, None)
        self.reserving.pop(demand.job, None)
        self.pressing.pop(demand.job, None)
        self.stale.pop(demand.job, None)
        del self.jobs[demand.job]
        del kind.jobs[demand.job]
        if not kind.jobs:
            del self.job_classes[kind.key]
            for able in kind.able:
                able.mask &= ~kind.bit
                able.own &= ~kind.bit
                del able.runs[kind]
            self.shut_mask &= ~kind.bit
            self.pooled_mask &= ~kind.bit
            del self.by_bit[kind.bit]
            for licence in kind.need.licences:
                del self._with_licence[licence][kind]
            self._bits.free(kind.bit)
            kind.needs.classes -= 1
            if not kind.needs.classes:
                del self._needs[kind.needs.need, kind.needs.paths]

    def _rank(self, job: Job) -> None:
        """Keep the place of *job* among the ready ones of its class true."""
        demand = job.demand
        rank = -demand.priority, self._tails[demand.job], demand.live, demand.order, demand.job
        self._set_rank(job, rank if demand.wants_more else None)

    def _set_rank(self, job: Job, rank: Rank | None) -> None:
        if rank == job.rank:
            return
        ready = job.kind.ready
        top = ready[0][0] if ready else None
        before, job.rank = job.rank, rank
        if before is not None:
            del ready[bisect_left(ready, before)]
        if rank is not None:
            insort(ready, rank)
        if (top_now := ready[0][0] if ready else None) != top:
            self._set_top(job.kind, top, top_now)
        if before is not None and rank is not None and before[0] == rank[0]:
            self.shares.move(job, before, rank)
            return
        if before is not None:
            self.shares.leave(job, before)
        if rank is not None:
            self.shares.enter(job, rank)
        if not ready:
            del self.ready[job.kind]
            self.ready_mask &= ~job.kind.bit
        elif job.kind not in self.ready:
            self.ready[job.kind] = None
            self.ready_mask |= job.kind.bit
            self._wake(job.kind)

    def _set_top(self, kind: JobClass, before: int | None, now: int | None) -> None:
        if before is not None:
            self.tops[-before] &= ~kind.bit
            if not self.tops[-before]:
                del self.tops[-before]
        if now is not None:
            self.tops[-now] = self.tops.get(-now, 0) | kind.bit

    def _set_tiny(self, job: Job, tiny: bool) -> None:
        if tiny is not job.tiny:
            job.tiny = tiny
            job.kind.tiny += 1 if tiny else -1
            if job.kind.tiny:
                self.tiny_mask |= job.kind.bit
            else:
                self.tiny_mask &= ~job.kind.bit

    def _wake(self, job_class: JobClass) -> None:
        """Let the workers that can run jobs of *job_class*, some of which are ready, be asked (again)."""
        for kind in job_class.able:
            if kind.idle or kind.eager:
                self.hungry[kind] = None

    def _offer_to_blocked(self, job: Job) -> None:
        """Let workers that were exceptions for all ready jobs try *job*, which is one more."""
        for kind in [each for each in self._blocked if each in job.kind.able]:
            for worker in [self.by_order[order] for order in kind.blocked]:
                if self.fits(job.demand, worker):
                    self._queue(worker)
            if not kind.blocked:
                del self._blocked[kind]

    def _reopen(self) -> None:
        """If something is full no more, let the workers be asked (again) that found nothing meanwhile."""
        if not self.gates.opened:
            return
        self.gates.opened = False
        for kind in self.worker_classes.values():
            if kind not in self.hungry and (kind.idle or kind.eager):
                self.hungry[kind] = None
        for kind in list(self._gated):
            for order in list(kind.blocked):
                self._queue(self.by_order[order])
        self._gated.clear()

    def _shut(self, gate: Gate) -> None:
        """Keep the bits of the classes true that need a licence of which nothing is left; *gate* has changed."""
        if gate[0] != "licence" or (gate in self.gates.full) is (gate in self._shut_gates):
            return
        if gate in self.gates.full:
            self._shut_gates[gate] = None
        else:
            del self._shut_gates[gate]
        for kind in self._with_licence.get(gate[1], ()):
            self._shut_class(kind)

    def _shut_class(self, kind: JobClass) -> None:
        kind.shut = any(("licence", each) in self.gates.full for each in kind.need.licences)
        if kind.shut:
            self.shut_mask |= kind.bit
        else:
            self.shut_mask &= ~kind.bit

    def _count_live(self, priority: int, more: int, gates: tuple[Gate, ...] = ()) -> None:
        count = self.live.get(priority, 0) + more
        if count:
            self.live[priority] = count
        else:
            self.live.pop(priority, None)
        for gate in gates if more else ():
            self.gates.count(gate, more)
            if gate[0] == "licence":
                self._shut(gate)

    # --- classes ----------------------------------------------------------------------------------------------------------

    def _class_of(self, info: WorkerInfo) -> WorkerClass:
        common = common_info(info, self._wanted_tags, self.sized)
        kind = self.worker_classes.get(common)
        if kind is None:
            self._next_class += 1
            limits = Limits.of(common)
            if limits is not None and limits not in self.limits:
                self.limits[limits] = None
                self.stale.update((job, None) for job, known in self.jobs.items() if known.kind.inside is not None)
            kind = self.worker_classes[common] = WorkerClass(self._next_class, common, limits)
            kind.bit, kind.own_bit = self._worker_bits.take(), self._worker_bits.take()
            for job_class in self.job_classes.values():
                job_class.look_at(kind)
                if kind in job_class.lossy:
                    job_class.reconsider()
        return kind

    def _class_of_job(self, demand: Demand, need: Requirements, inside: frozenset[Limits] | None) -> JobClass:
        key = (need, demand.paths, settles(demand, self.worker_classes.values()), inside)
        kind = self.job_classes.get(key)
        if kind is None:
            self._want_tags(demand.need.tags)
            if need.reserves and not self.sized:
                self._want_sizes()
            needs = self._needs.setdefault(key[:2], Needs(*key[:2]))
            needs.classes += 1
            kind = self.job_classes[key] = JobClass(needs, *key[2:], bit=self._bits.take())
            for licence in need.licences:
                self._with_licence.setdefault(licence, {})[kind] = None
            self._shut_class(kind)
            self.by_bit[kind.bit] = kind
            if need.pool:
                self.pooled_mask |= kind.bit
            for worker_class in self.worker_classes.values():
                kind.look_at(worker_class)
            kind.reconsider()
        return kind

    def _reconsider(self) -> None:
        """Find out again which jobs wait for workers that lose nothing of their .blend."""
        for job_class in self.job_classes.values():
            if job_class.reconsider() and not job_class.waits and job_class.ready:
                for kind in job_class.lossy:
                    for order in list(kind.blocked):
                        self._queue(self.by_order[order])
                self._wake(job_class)

    def _want_tags(self, tags: frozenset[str]) -> None:
        """Tell workers apart by *tags* from now on."""
        fresh = tags - self._wanted_tags
        self._wanted_tags |= fresh
        for worker_id in [worker for tag in sorted(fresh) for worker in self._with_tag.get(tag, ())]:
            worker = self.workers[worker_id]
            self._reclassify(worker, worker.info)

    def _want_sizes(self) -> None:
        """Tell workers apart by their cores and GPU memory from now on."""
        self.sized = True
        for worker in list(self.workers.values()):
            self._reclassify(worker, worker.info)

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
        self._queue(worker)

    def _enter_class(self, worker: Worker) -> None:
        self.membership += 1
        worker.kind.workers[worker.id] = worker
        self.machines.enter(worker)
        for tag in worker.info.tags:
            self._with_tag.setdefault(tag, {})[worker.id] = None

    def _leave_class(self, worker: Worker) -> None:
        self.membership += 1
        kind = worker.kind
        del kind.workers[worker.id]
        self.machines.leave(worker)
        for tag in worker.info.tags:
            with_tag = self._with_tag[tag]
            del with_tag[worker.id]
            if not with_tag:
                del self._with_tag[tag]
        if not kind.workers:
            del self.worker_classes[kind.info]
            self.hungry.pop(kind, None)
            self._blocked.pop(kind, None)
            self._gated.pop(kind, None)
            for job_class in self.job_classes.values():
                job_class.forget(kind)
            self._worker_bits.free(kind.bit, kind.own_bit)
