"""The open jobs that have queued tasks, by their class and by their share, and questions about all classes at once. Pure.

A set of classes is a number with one bit for each (`JobClass.bit`), so that one operation compares it with what a worker can run.

Hot path, watched by benchmarks.rounds and benchmarks.scale.
"""

from bisect import bisect_left, insort

from brender.scheduling.classes import Job, JobClass, Rank
from brender.scheduling.gates import Gate, Gates
from brender.scheduling.shares import Shares


class Ready:
    """The ready jobs. Of all *gates*, licences are kept by class: all jobs of a class need the same ones."""

    def __init__(self, gates: Gates) -> None:
        self.classes: dict[JobClass, None] = {}
        """Those with jobs that have queued tasks."""
        self.mask = 0
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
        self._gates = gates
        self._with_licence: dict[str, dict[JobClass, None]] = {}
        """The classes of jobs that need it."""
        self._shut_gates: dict[Gate, None] = {}
        """The licences of which nothing is left, as far as the classes that need them know."""

    def add_class(self, kind: JobClass) -> None:
        """Take up the class *kind*, which has no ready jobs yet."""
        self.by_bit[kind.bit] = kind
        if kind.need.pool:
            self.pooled_mask |= kind.bit
        for licence in kind.need.licences:
            self._with_licence.setdefault(licence, {})[kind] = None
        self._shut_class(kind)

    def drop_class(self, kind: JobClass) -> None:
        """Forget the class *kind*, which has no jobs any more."""
        del self.by_bit[kind.bit]
        self.shut_mask &= ~kind.bit
        self.pooled_mask &= ~kind.bit
        for licence in kind.need.licences:
            with_licence = self._with_licence[licence]
            del with_licence[kind]
            if not with_licence:
                del self._with_licence[licence]

    def place(self, job: Job, rank: Rank | None) -> bool:
        """Give *job* its place by *rank* among the ready jobs; ``None`` removes it. Return whether its class had none before."""
        if rank == job.rank:
            return False
        kind = job.kind
        ready = kind.ready
        top = ready[0][0] if ready else None
        before, job.rank = job.rank, rank
        if before is not None:
            del ready[bisect_left(ready, before)]
        if rank is not None:
            insort(ready, rank)
        if (top_now := ready[0][0] if ready else None) != top:
            self._set_top(kind, top, top_now)
        if before is not None and rank is not None and before[0] == rank[0]:
            self.shares.move(job, before, rank)
            return False
        if before is not None:
            self.shares.leave(job, before)
        if rank is not None:
            self.shares.enter(job, rank)
        if not ready:
            del self.classes[kind]
            self.mask &= ~kind.bit
        elif kind not in self.classes:
            self.classes[kind] = None
            self.mask |= kind.bit
            return True
        return False

    def set_tiny(self, job: Job, tiny: bool) -> None:
        """Note whether the tasks of *job* are very short."""
        if tiny is not job.tiny:
            job.tiny = tiny
            job.kind.tiny += 1 if tiny else -1
            if job.kind.tiny:
                self.tiny_mask |= job.kind.bit
            else:
                self.tiny_mask &= ~job.kind.bit

    def shut(self, gate: Gate) -> None:
        """Keep the bits of the classes true that need a licence of which nothing is left; *gate* has changed."""
        if gate[0] != "licence" or (gate in self._gates.full) is (gate in self._shut_gates):
            return
        if gate in self._gates.full:
            self._shut_gates[gate] = None
        else:
            del self._shut_gates[gate]
        for kind in self._with_licence.get(gate[1], ()):
            self._shut_class(kind)

    def _set_top(self, kind: JobClass, before: int | None, now: int | None) -> None:
        if before is not None:
            self.tops[-before] &= ~kind.bit
            if not self.tops[-before]:
                del self.tops[-before]
        if now is not None:
            self.tops[-now] = self.tops.get(-now, 0) | kind.bit

    def _shut_class(self, kind: JobClass) -> None:
        kind.shut = any(("licence", each) in self._gates.full for each in kind.need.licences)
        if kind.shut:
            self.shut_mask |= kind.bit
        else:
            self.shut_mask &= ~kind.bit
