"""The classes that there are of workers and of open jobs, each found by what its members have in common. Pure.

A class is made when its first member comes, compared with all of the other side then, and forgotten with its last.
"""

from collections.abc import Iterator

from brender.model.job import Requirements
from brender.model.nodes import WorkerInfo
from brender.model.paths import PathVariable
from brender.scheduling.classes import JobClass, JobKey, Needs, Worker, WorkerClass, common_info
from brender.scheduling.folder_limits import Limits


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
        self._needs: dict[tuple[Requirements, tuple[PathVariable, ...]], Needs] = {}
        self._wanted_tags: frozenset[str] = frozenset()
        self._with_tag: dict[str, dict[Worker, None]] = {}
        self._numbers = 0
        self._bits, self._worker_bits = Bits(), Bits()
        """Those of the classes of jobs, and of workers."""

    # --- workers ----------------------------------------------------------------------------------------------------------

    def of_worker(self, info: WorkerInfo) -> WorkerClass:
        """Return the class of the worker *info*, made where there was none."""
        common = common_info(info, self._wanted_tags, self.sized)
        kind = self.of_workers.get(common)
        if kind is None:
            self._numbers += 1
            limits = Limits.of(common)
            if limits is not None:
                self.limits[limits] = None
            kind = self.of_workers[common] = WorkerClass(self._numbers, common, limits)
            kind.bit, kind.own_bit = self._worker_bits.take(), self._worker_bits.take()
            for job_class in self.of_jobs.values():
                job_class.look_at(kind)
                if kind in job_class.lossy:
                    job_class.reconsider()
        return kind

    def enter(self, worker: Worker) -> None:
        """Note that *worker* is of its class."""
        worker.kind.workers[worker.id] = worker
        for tag in worker.info.tags:
            self._with_tag.setdefault(tag, {})[worker] = None

    def leave(self, worker: Worker) -> bool:
        """Note that *worker* is no more of its class. Return whether that is no more either."""
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
        for job_class in self.of_jobs.values():
            job_class.forget(kind)
        self._worker_bits.free(kind.bit, kind.own_bit)
        return True

    def told_apart_by(self, need: Requirements) -> Iterator[Worker]:
        """Tell workers apart by what jobs with *need* ask of them from now on; yield those that are to be classed again."""
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
        kind.reconsider()
        return kind

    def drop_job_class(self, kind: JobClass) -> None:
        """Forget *kind*, which has no jobs any more."""
        del self.of_jobs[kind.key]
        for able in kind.able:
            able.mask &= ~kind.bit
            able.own &= ~kind.bit
            del able.runs[kind]
        self._bits.free(kind.bit)
        kind.needs.classes -= 1
        if not kind.needs.classes:
            del self._needs[kind.needs.need, kind.needs.paths]
