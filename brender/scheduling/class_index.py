"""The classes of workers and of open jobs, each found by the features that its members share. Pure.

A class is made when its first member comes, and compared with all of the other side. Of jobs there may be thousands of classes:
with these a new class of workers is compared step by step (`ClassIndex.catch_up`), as they forget one that is no more.
"""

from collections.abc import Iterator

from brender.model.job import Requirements
from brender.model.nodes import WorkerInfo
from brender.model.paths import PathVariable
from brender.scheduling.classes import JobClass, JobKey, Needs, Worker, WorkerClass, common_info
from brender.scheduling.folder_limits import Limits

#: What it costs of a budget, in looks, to compare a class of jobs with one of workers, or to have it forget one.
_COMPARE_COST = 2


class Bits:
    """Gives numbers with one bit set each, no two of them alike."""

    def __init__(self) -> None:
        self._given = 0
        self._freed: list[int] = []

    def take(self) -> int:
        """Return one that nothing has."""
        if self._freed:
            return self._freed.pop()
        self._given += 1
        return 1 << self._given - 1

    def free(self, *bits: int) -> None:
        """Take back *bits*, which nothing has any more."""
        self._freed.extend(bits)


class ClassIndex:
    """The classes of workers and of jobs."""

    def __init__(self) -> None:
        self.of_workers: dict[WorkerInfo, WorkerClass] = {}
        self.of_jobs: dict[JobKey, JobClass] = {}
        self.limits: dict[Limits, None] = {}
        """All that workers ever had."""
        self.sized = False
        """Workers are told apart by their cores and GPU memory: some job reserved some."""
        self.spent = 0
        """What all comparisons have cost since this was made, in looks."""
        self._to_compare: dict[WorkerClass, list[JobClass]] = {}
        """New classes of workers, and the classes of jobs that they were not compared with yet."""
        self._to_forget: dict[WorkerClass, list[JobClass]] = {}
        """Classes without workers, and the classes of jobs that know them still."""
        self._lossy: dict[JobClass, None] = {}
        """Classes of jobs for some of which a Blender may lose data, or might once."""
        self._needs: dict[tuple[Requirements, tuple[PathVariable, ...]], Needs] = {}
        self._wanted_tags: frozenset[str] = frozenset()
        self._with_tag: dict[str, dict[Worker, None]] = {}
        self._numbers = 0
        self._bits, self._worker_bits = Bits(), Bits()
        """Those of the classes of jobs, and of workers."""

    # --- workers ----------------------------------------------------------------------------------------------------------

    def of_worker(self, info: WorkerInfo) -> WorkerClass:
        """Return the class of the worker *info*, which is made if it is the first of it."""
        common = common_info(info, self._wanted_tags, self.sized)
        kind = self.of_workers.get(common)
        if kind is None:
            self._numbers += 1
            limits = Limits.of(common)
            if limits is not None:
                self.limits[limits] = None
            kind = self.of_workers[common] = WorkerClass(self._numbers, common, limits)
            kind.bit, kind.own_bit = self._worker_bits.take(), self._worker_bits.take()
            if self.of_jobs:
                self._to_compare[kind] = list(self.of_jobs.values())
        return kind

    @property
    def is_behind(self) -> bool:
        """Whether some classes of workers and of jobs were not compared yet, or still know a class that is gone."""
        return bool(self._to_compare or self._to_forget)

    def catch_up(self, budget: int) -> int:
        """Compare classes that were not compared yet, and return the looks of *budget* that this used."""
        before, end = self.spent, self.spent + budget
        for waiting, look in ((self._to_forget, JobClass.forget), (self._to_compare, self._look_at)):
            while waiting and self.spent < end:
                kind, rest = next(iter(waiting.items()))
                some = rest[-max(1, (end - self.spent) // _COMPARE_COST) :]
                del rest[-len(some) :]
                for job_class in some:
                    if job_class.jobs:  # else it was forgotten meanwhile
                        look(job_class, kind)
                self.spent += _COMPARE_COST * len(some)
                if not rest:
                    del waiting[kind]
                    if waiting is self._to_forget:
                        self._worker_bits.free(kind.bit, kind.own_bit)
        return self.spent - before

    def reconsider(self) -> Iterator[JobClass]:
        """Yield the classes of jobs that no longer wait for workers that lose nothing of their .blend, or do so from now on."""
        for job_class in list(self._lossy):
            if job_class.reconsider():
                yield job_class

    def _look_at(self, job_class: JobClass, kind: WorkerClass) -> None:
        job_class.look_at(kind)
        if job_class.lossy:
            self._lossy[job_class] = None
            job_class.reconsider()

    def enter(self, worker: Worker) -> None:
        """Note that *worker* is of its class."""
        worker.kind.workers[worker.id] = worker
        for tag in worker.info.tags:
            self._with_tag.setdefault(tag, {})[worker] = None

    def leave(self, worker: Worker) -> bool:
        """Remove *worker* from its class. Return whether the class is gone with it."""
        kind = worker.kind
        del kind.workers[worker.id]
        for tag in worker.info.tags:
            with_tag = self._with_tag[tag]
            del with_tag[worker]
            if not with_tag:
                del self._with_tag[tag]
        if kind.workers:
            return False
        del self.of_workers[kind.info]
        self._to_compare.pop(kind, None)
        if self.of_jobs:
            self._to_forget[kind] = list(self.of_jobs.values())
        else:
            self._worker_bits.free(kind.bit, kind.own_bit)
        return True

    def told_apart_by(self, need: Requirements) -> Iterator[Worker]:
        """Tell workers apart by what jobs with *need* ask for, from now on; yield those that are to be classed again."""
        fresh = need.tags - self._wanted_tags
        self._wanted_tags |= fresh
        yield from [worker for tag in sorted(fresh) for worker in self._with_tag.get(tag, ())]
        if need.reserves and not self.sized:
            self.sized = True
            yield from [worker for kind in list(self.of_workers.values()) for worker in kind.workers.values()]

    # --- jobs -------------------------------------------------------------------------------------------------------------

    def add_job_class(self, key: JobKey) -> JobClass:
        """Return a new class of jobs by its *key*, compared with all classes of workers."""
        needs = self._needs.setdefault(key[:2], Needs(*key[:2]))
        needs.classes += 1
        kind = self.of_jobs[key] = JobClass(needs, *key[2:], bit=self._bits.take())
        for worker_class in self.of_workers.values():
            kind.look_at(worker_class)
        self.spent += _COMPARE_COST * len(self.of_workers)
        if kind.lossy:
            self._lossy[kind] = None
        kind.reconsider()
        return kind

    def drop_job_class(self, kind: JobClass) -> None:
        """Forget *kind*, which has no jobs any more."""
        del self.of_jobs[kind.key]
        self._lossy.pop(kind, None)
        for able in kind.able:
            able.mask &= ~kind.bit
            able.own &= ~kind.bit
            del able.runs[kind]
        self._bits.free(kind.bit)
        kind.needs.classes -= 1
        if not kind.needs.classes:
            del self._needs[kind.needs.need, kind.needs.paths]
