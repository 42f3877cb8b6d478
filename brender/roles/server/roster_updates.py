"""Tells the scheduler of each worker and job that changed, once a round, in the server's core. Pure.

The scheduler knows its own decisions already (`Farm.granted`). New jobs and workers are told as far as a round has time.

Hot path, watched by benchmarks.rounds.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import islice, zip_longest
from types import MappingProxyType

from brender.farm.farm import Farm
from brender.farm.jobs import JobState
from brender.farm.nodes import WorkerState
from brender.model.status import OPEN_JOB, OPEN_WORKER
from brender.roles.effects import Now
from brender.roles.policy import Policy
from brender.roles.server.explanations import Explanations
from brender.roles.server.repeats import Repeats
from brender.scheduling.audit import audit
from brender.scheduling.gates import Gate, gates_of
from brender.scheduling.reasons import Reasons
from brender.scheduling.roster import Roster
from brender.scheduling.terms import Demand

#: The looks (as in `assign`) that a round spends on new jobs and workers at most, and those that each of them costs, beside the
#: comparison of a new class of jobs.
_NEW_BUDGET, _NEW_COST = 1_000, 16
_NOBODY: frozenset[str] = frozenset()
_NOT_PUT_OFF: Mapping[str, str] = MappingProxyType({})


class RosterUpdates:
    """Tells *roster* of *farm*; and *reasons*, *explanations* and *repeats*, which look now and then, what concerns them."""

    def __init__(
        self,
        farm: Farm,
        policy: Policy,
        roster: Roster,
        reasons: Reasons,
        explanations: Explanations,
        repeats: Repeats,
    ) -> None:
        self.farm = farm
        self.policy = policy
        self.roster = roster
        self._reasons, self._explanations, self._repeats = reasons, explanations, repeats
        self.new_jobs: dict[str, None] = {}
        self.new_workers: dict[str, None] = {}
        """New ones, of which the roster does not know yet."""
        self.delayed: dict[str, float] = {}
        """Jobs with retries that wait, or that are put off: when the first of it may be tried."""
        self.spent = 0
        """The looks that the last round spent on new jobs and workers."""
        self._paths = farm.paths
        """Those that the roster knows."""

    @property
    def is_behind(self) -> bool:
        """Whether new jobs or workers are left of which the roster does not know."""
        return bool(self.new_jobs or self.new_workers)

    def tell(self, now: Now) -> None:
        """Tell the roster of all changes, and of new jobs and workers as far as a round has time."""
        farm, roster = self.farm, self.roster
        if farm.paths is not self._paths:
            self._paths = farm.paths
            farm.changed_jobs.update(job.id for job in farm.jobs.values() if job.need.variables)
        self._tell_of_shares()
        for job_id in sorted(farm.changed_jobs):
            if job_id in farm.jobs and job_id not in roster.jobs:
                self.new_jobs[job_id] = None
            else:
                self._tell_of_job(job_id, farm.jobs.get(job_id))
        farm.changed_jobs.clear()
        for worker_id in sorted(farm.changed):
            if worker_id in farm.workers and worker_id not in roster.workers:
                self.new_workers[worker_id] = None
            else:
                self._tell_of_worker(worker_id, farm.workers.get(worker_id), now)
        farm.changed.clear()
        self.spent = 0
        if self.is_behind:
            self._tell_of_new(now)

    def note_granted(self, granted: Iterable[tuple[JobState, WorkerState]]) -> None:
        """Note that tasks of jobs were *granted* to workers, none of which had changed otherwise: where the roster has noted all
        that follows as it is (`Roster.take`), it need not be told."""
        farm, roster = self.farm, self.roster
        for job, worker in granted:
            demand, known = roster.jobs[job.id].demand, roster.workers[worker.info.id]
            if demand.memory or demand.alone or demand.reserves:
                continue  # what is reserved depends on what runs there
            if (known.count, known.tail) == (len(worker.attempts), self._tail(worker)):
                farm.changed.discard(worker.info.id)
                farm.granted.add(worker.info.id)
            if job.queued and (demand.queued, demand.live) == (job.queued, len(job.live)) and demand.need is job.need:
                farm.changed_jobs.discard(job.id)
                farm.granted_jobs.add(job.id)

    def _tell_of_new(self, now: Now) -> None:
        """Tell of jobs and workers that are new, one of each in turn, and note what that cost."""
        classes, left, most = self.roster.classes, _NEW_BUDGET, _NEW_BUDGET // _NEW_COST
        for job_id, worker_id in zip_longest(list(islice(self.new_jobs, most)), list(islice(self.new_workers, most))):
            before = classes.spent
            if job_id is not None:
                del self.new_jobs[job_id]
                self._tell_of_job(job_id, self.farm.jobs.get(job_id))
                self._explanations.soon(job_id)
            if worker_id is not None:
                del self.new_workers[worker_id]
                self._tell_of_worker(worker_id, self.farm.workers.get(worker_id), now)
            left -= _NEW_COST + classes.spent - before
            if left <= 0:
                break
        self.spent = _NEW_BUDGET - left

    def audit(self) -> list[str]:
        """Return what is wrong with what the scheduler knows of the farm, a sentence each; for tests."""
        farm, roster = self.farm, self.roster
        found = audit(roster)
        changed, changed_jobs = farm.changed | self.new_workers.keys(), farm.changed_jobs | self.new_jobs.keys()
        if roster.workers.keys() - changed != farm.workers.keys() - changed:
            found.append("the scheduler knows other workers than there are")
        live: Counter[Gate] = Counter()
        for attempt in farm.attempts.values():
            if attempt.job in farm.jobs and attempt.job not in changed_jobs:
                live.update(gates_of(self._demand(farm.jobs[attempt.job])))
        if not changed_jobs and live != roster.gates.live:
            found.append(f"the scheduler counts the tasks {roster.gates.live}, and there are {live}")
        for who, usage in farm.usages.known.items():
            if who not in farm.usages.changed and usage.used != roster.shares.used(*who):
                found.append(f"the scheduler was not told of a change of what {who} used")
        for worker in (farm.workers[each] for each in farm.workers.keys() & roster.workers.keys() - changed):
            known = roster.workers[worker.info.id]
            reserved, alone, *rest = self._holds(worker)
            share = (reserved, alone) if known.machine is not None else (0, False)
            noted = (
                known.info,
                known.count,
                known.serving,
                known.reserved,
                known.alone,
                known.tail,
                known.cores,
                known.gpu_memory,
            )
            if noted != (worker.info, len(worker.attempts), worker.status in OPEN_WORKER, *share, *rest):
                found.append(f"the scheduler was not told of a change of the worker {worker.info.id}")
        open_jobs = {job.id for job in farm.jobs.values() if self._is_open(job)}
        if roster.jobs.keys() - changed_jobs != open_jobs - changed_jobs:
            found.append("the scheduler knows other jobs than are open")
        for job in (farm.jobs[each] for each in open_jobs & roster.jobs.keys() - changed_jobs):
            told, demand = roster.jobs[job.id].demand, self._demand(job)
            demand.mean_seconds = told.mean_seconds  # depends on the number of workers too, and need not be exact
            if told != demand:
                found.append(f"the scheduler was not told of a change of the job {job.id}: {told} is {demand} by now")
        return found

    def _tell_of_shares(self) -> None:
        usages, shares = self.farm.usages, self.roster.shares
        if usages.rescaled != 1.0:
            shares.rescale(usages.rescaled)
            usages.rescaled = 1.0
        shares.scale = usages.scale
        for kind, name in usages.changed_quotas:
            shares.set_weight(kind, name, usages.quotas[kind, name].weight)
            self.roster.set_limit((kind, name), usages.quotas[kind, name].most)
        usages.changed_quotas.clear()
        for who in usages.changed:
            known = usages.known.get(who)
            shares.set_used(*who, known.used if known is not None else 0.0)
        usages.changed.clear()

    def _tell_of_worker(self, worker_id: str, worker: WorkerState | None, now: Now) -> None:
        if worker is None:
            self.roster.worker_gone(worker_id)
        else:
            serving, is_open = worker.status in OPEN_WORKER, now.mono >= worker.closed_until
            self.roster.worker_changed(
                worker.info,
                len(worker.attempts),
                serving,
                is_open,
                *self._holds(worker),
            )
            if not (serving and is_open):
                self._reasons.outdated()

    def _tail(self, worker: WorkerState) -> str:
        """Return the job of the last grant of *worker*, or ""."""
        return self.farm.attempts[next(reversed(worker.attempts))].job if worker.attempts else ""

    def _holds(self, worker: WorkerState) -> tuple[int, bool, str, int, int]:
        """Return what follows from what *worker* runs, and has next: the bytes of memory that it will need beyond what it holds;
        whether nothing else is to start on its machine; the job of its last grant; and the cores and the bytes of GPU memory that
        it reserves, of which its first grant reserves most (`brender.scheduling.reservations.follows`)."""
        if not worker.attempts:
            return 0, False, "", 0, 0
        jobs = [self.farm.jobs[self.farm.attempts[each].job] for each in islice(worker.attempts, 2)]
        first, second = jobs[0], jobs[-1]
        memory = max(0, max(first.memory, second.memory) - worker.rendering)
        alone = bool(first.alone or second.alone)
        return memory, alone, self._tail(worker), first.need.cores, first.need.gpu_memory

    def _tell_of_job(self, job_id: str, job: JobState | None) -> None:
        is_open = job is not None and self._is_open(job)
        if job is not None and is_open:
            self.roster.job_changed(self._demand(job))
        elif job is not None:
            self.roster.job_closed(job_id, job.urgency, len(job.live), gates_of(self._demand(job)) if job.live else ())
        else:
            self.roster.job_closed(job_id)
        rest = None if job is None else job.refusals.due()
        if job is not None and (job.delayed or job.put_off or rest is not None):
            dues = [due for due, _ in (*job.delayed, *job.put_off.values())]
            self.delayed[job_id] = min([*dues, rest] if rest is not None else dues)
        else:
            self.delayed.pop(job_id, None)
        for known, belongs in (
            (self._explanations.silent, job is not None and job.status in OPEN_JOB and not job.closed and not job.begun),
            (self._repeats.given_out, job is not None and is_open and job.live and not job.queued),
        ):
            if belongs:
                known[job_id] = None
            else:
                known.pop(job_id, None)

    def _is_open(self, job: JobState) -> bool:
        is_held = job.closed or job.refusals.rests_until is not None
        return job.status in OPEN_JOB and not is_held and self._explanations.renders(job)

    def _demand(self, job: JobState) -> Demand:
        return Demand(
            job.id,
            job.urgency,
            job.order,
            len(job.live),
            job.queued,
            job.need,
            job.mean_task_seconds(len(self.farm.workers)),
            frozenset(job.kept_off | job.put_off.keys()) if job.kept_off or job.put_off else _NOBODY,
            job.memory,
            self.farm.paths if job.need.variables else (),
            {worker: reason for worker, (_, reason) in job.put_off.items()} if job.put_off else _NOT_PUT_OFF,
            bool(job.alone),
            job.spec.project,
            job.spec.user,
            1 if job.refusals.rests else job.spec.sharing.most_workers,
            job.spec.sharing.rush,
            job.spec.sharing.reclaim_at_once,
            *_scene(job),
            job.refusals.said,
        )


def _scene(job: JobState) -> tuple[str, str]:
    """Return the files of the scene that *job* renders, as `Demand` has them, and the scene: where the files travel, each version
    has a bundle of its own."""
    spec = job.spec
    files = f"{spec.project}\n{file}" if (file := spec.settings.get("file")) else ""
    return files, spec.bundle or files if files else ""
