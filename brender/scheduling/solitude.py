"""Machines that are kept free, so that jobs which render alone, or reserve many cores, come to their turn. Pure.

A job that renders alone starts where nothing else of its machine runs, and on a busy farm no machine may ever be so by itself.
Likewise a machine with several slots may never have as many cores free, or as much GPU memory, as a task reserves: smaller ones
take each slot that ends something. Such a job waits for room once it is the next one in turn for a machine. Once a job has
waited for `KEEP_SECONDS`, one machine that suits it gets no other new tasks until it can start there, or until that has taken as
long as the job had waited before: then others get it back, and the job waits again, and for twice as long.
"""

from collections.abc import Callable, Iterator
from itertools import islice
from math import inf

from brender.scheduling.classes import Job, Machine, Worker, WorkerClass
from brender.scheduling.fitting import has_room_for
from brender.scheduling.roster import Roster

#: Seconds that a job waits before a machine is kept free for it, and for which that is kept while others run there. After one
#: that was kept in vain, both are twice as long.
KEEP_SECONDS = 60.0
#: How often they are doubled at most: longer than most frames take, so that a job comes to its turn among these.
_DOUBLED_MOST = 10
#: The most seconds that a job waits after it could not start on an empty machine.
EMPTY_SECONDS_MOST = 3600.0
#: Seconds in which it is to start once nothing runs on its machine.
START_SECONDS = 5.0
#: One machine of so many is kept free at most, and one at least; never more than so many.
SHARE, MACHINES_MOST = 10, 25
#: Workers, and more urgent jobs of a class, that are looked at in a look at most.
_WORKERS_A_LOOK, _URGENT_A_LOOK = 2_000, 20


class Solitude:
    """Decides which machines of *roster* are kept free for which jobs, and notes it there (`Machines.keep`).

    *remaining* returns the seconds after a moment until the worker with this id has done what it runs; ``None`` if not known.
    """

    def __init__(self, roster: Roster, remaining: Callable[[str, float], float | None]) -> None:
        self.roster = roster
        self._remaining = remaining
        self._since: dict[str, float] = {}
        """The jobs that wait, and since when; later where a machine was just kept in vain for one."""
        self._failed: dict[str, int] = {}
        """For how many machines that was so, in a row."""
        self._kept: dict[str, float] = {}
        """Since when a job's machine is kept free."""
        self._resume = 0.0
        """When a machine may be kept free again, after one was kept in vain: the job did not take it, and no other could."""
        self._empty: dict[str, float] = {}
        """Since when nothing runs on a job's machine."""
        self._after: dict[str, int] = {}
        """The order of the worker that was looked at last for a job."""

    def look(self, now: float) -> list[Machine]:
        """Keep and release machines as it is time to, and return those that are kept from now on. *now*: monotonic."""
        roster = self.roster
        waiting = [job for each in roster.lonely if _waits(job := roster.jobs[each])]
        if roster.reserving:
            waiting += [job for job in self._next_ones() if job.demand.reserves and not job.demand.alone and _waits(job)]
        ids = {job.demand.job for job in waiting}
        self._since = {job: self._since.get(job, now) for job in sorted(ids)}
        for known in (self._failed, self._kept, self._empty, self._after):
            for job_id in known.keys() - ids:
                del known[job_id]
        most = min(MACHINES_MOST, max(1, len(roster.machines.known) // SHARE))
        keeps: dict[str, Machine] = {}
        budget = _WORKERS_A_LOOK
        for job in sorted(waiting, key=lambda job: (-job.demand.priority, job.demand.order)):
            if now - self._since[job.demand.job] < KEEP_SECONDS or len(keeps) >= most:
                continue
            machine = roster.machines.kept.get(job.demand.job)
            if machine is not None and (not self._suits(job, machine) or self._fails_at(job, machine, now, most)):
                machine = None
            elif machine is None and budget > 0 and now >= self._resume:
                machine, looked = self._find(job, set(map(id, keeps.values())), budget, now)
                budget -= looked
            if machine is not None:
                keeps[job.demand.job] = machine
        return self._carry_out(keeps, now)

    def _carry_out(self, keeps: dict[str, Machine], now: float) -> list[Machine]:
        machines = self.roster.machines
        over = [job_id for job_id, machine in machines.kept.items() if keeps.get(job_id) is not machine]
        for job_id in over:
            self._empty.pop(job_id, None)
            self._kept.pop(job_id, None)
            machines.release(job_id)
        fresh = [job_id for job_id in keeps if job_id not in machines.kept]
        for job_id in fresh:
            machines.keep(keeps[job_id], job_id)
            self._kept[job_id] = now
        if over or fresh:
            self.roster.version += 1
        return [keeps[job_id] for job_id in fresh]

    def _fails_at(self, job: Job, machine: Machine, now: float, most: int) -> bool:
        """Return whether *machine*, one of *most*, was kept in vain for *job*: others run there for too long, or it does not
        start although nothing does."""
        job_id = job.demand.job
        if machine.busy:
            self._empty.pop(job_id, None)
            seconds = now - self._kept[job_id]
            if seconds < _doubled(self._failed.get(job_id, 0)):
                return False
            self._resume = max(self._resume, now + seconds / most)
            self._put_off(job_id, now)
        else:
            if now - self._empty.setdefault(job_id, now) < START_SECONDS:
                return False
            self._put_off(job_id, now, EMPTY_SECONDS_MOST)
        return True

    def _put_off(self, job_id: str, now: float, most: float = inf) -> None:
        """Let the job wait again, for twice as long as before, but not for more than *most* seconds."""
        self._failed[job_id] = self._failed.get(job_id, 0) + 1
        self._since[job_id] = now - KEEP_SECONDS + min(most, _doubled(self._failed[job_id]))

    def _find(self, job: Job, taken: set[int], budget: int, now: float) -> tuple[Machine | None, int]:
        """Return the machine for *job* that is free soonest, as far as that is known, or else where the fewest workers are busy,
        of those that are looked at; ``None`` if none of them suits it. And how many workers were looked at. *taken*: the ids
        of machines that are others'."""
        job_id, looked = job.demand.job, 0
        best: Machine | None = None
        best_rank = (inf, inf)
        seen: set[int] = set(taken)
        for worker in islice(self._workers(job, self._after.get(job_id, 0)), budget):
            looked += 1
            self._after[job_id] = worker.order
            machine = worker.machine
            if machine is None or id(machine) in seen:
                continue
            seen.add(id(machine))
            rank = self._free_after(machine, now), machine.busy
            if (best is None or rank < best_rank) and self._suits(job, machine):
                best, best_rank = machine, rank
        if looked < budget:
            self._after.pop(job_id, None)
            if best is None:
                self._since[job_id] = now  # all were looked at
        if _doubled(self._failed.get(job_id, 0)) < best_rank[0] < inf:
            self._put_off(job_id, now)  # it would be kept in vain
            best = None
        return best, looked

    def _free_after(self, machine: Machine, now: float) -> float:
        """Return the seconds until nothing runs on *machine*; infinity where that is not known of all that does."""
        after = [self._remaining(worker.id, now) for worker in machine.slots if worker.count]
        return max((inf if each is None else each for each in after), default=0.0)

    def _workers(self, job: Job, after: int) -> Iterator[Worker]:
        """Yield the workers that could run *job*, those of higher order than *after* only, in their order."""
        for order, worker in self.roster.by_order.items():
            if order > after and worker.kind in job.kind.able:
                yield worker

    def _suits(self, job: Job, machine: Machine) -> bool:
        """Return whether *job* could start on *machine* if nothing else ran there, and nothing more urgent could use it."""
        demand = job.demand
        if machine.kept not in ("", demand.job):
            return False
        free = self._free_when_empty(machine)
        if free is not None and free < demand.memory:
            return False
        able = [worker for worker in machine.slots if worker.serving and worker.kind in job.kind.able]
        if not any(worker.id not in demand.kept_off for worker in able):
            return False
        if not demand.alone and (len(machine.slots) < 2 or not any(self._next_of(worker.kind) is job for worker in able)):
            return False
        return not any(self._is_wanted(worker, demand.priority) for worker in machine.slots if worker.serving)

    def _next_ones(self) -> Iterator[Job]:
        """Yield each job that is the next one in turn for a class of workers, once."""
        seen: set[str] = set()
        for kind in self.roster.classes.of_workers.values():
            job = self._next_of(kind)
            if job is not None and job.demand.job not in seen:
                seen.add(job.demand.job)
                yield job

    def _next_of(self, kind: WorkerClass) -> Job | None:
        """Return the job that is the next one in turn for workers of *kind*, if they have room for it; ``None`` for none."""
        for own, bit in ((True, kind.own_bit), (False, kind.bit)):
            for line in self.roster.lines(kind, own):
                ranks = [ready[0] for each, ready in line.ready.items() if each.reach & bit and not each.shut]
                if ranks:
                    return self.roster.jobs[min(ranks)[-1]]
        return None

    def _free_when_empty(self, machine: Machine) -> int | None:
        """Return the bytes of memory that a render could have on *machine* if no other ran there; ``None`` if not known."""
        frees = [self.roster.free(worker.id) for worker in machine.slots]
        known = [each for each in frees if each is not None]
        if len(known) < len(frees) or not known:
            return None
        available = min(known) if machine.available is None else machine.available
        return available + sum(max(0, each - available) for each in known)

    def _is_wanted(self, worker: Worker, priority: int) -> bool:
        """Return whether a job of a higher priority, which need not be alone, could start a task at *worker*."""
        for kind in self.roster.ready.classes:
            if worker.kind not in kind.able:
                continue
            for rank in islice(kind.ready, _URGENT_A_LOOK):
                if -rank[0] <= priority:
                    break
                demand = kind.jobs[rank[-1]].demand
                if not demand.alone and has_room_for(demand, worker, self.roster.free):
                    return True
        return False


def _doubled(times: int) -> float:
    return KEEP_SECONDS * (1 << min(times, _DOUBLED_MOST))


def _waits(job: Job) -> bool:
    """Return whether nothing of *job* runs although something could."""
    return job.demand.queued > 0 and not job.demand.live
