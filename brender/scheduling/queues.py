"""Which workers are to be asked whether they take something, and which need not be until something changes. Pure.

Hot path, watched by benchmarks.rounds and benchmarks.scale.
"""

from collections.abc import Callable, Iterable

from brender.scheduling.classes import JobClass, Worker, WorkerClass
from brender.scheduling.terms import PREFETCH_MOST


class Queues:
    """The queues of all classes of workers (`WorkerClass`). *by_order*: the workers, which the roster keeps."""

    def __init__(self, by_order: dict[int, Worker]) -> None:
        self.hungry: dict[WorkerClass, None] = {}
        """Classes in which a worker may take something, for all that is known."""
        self._by_order = by_order
        self._blocked: dict[WorkerClass, None] = {}
        """Classes in which a worker may be blocked."""
        self._gated: dict[WorkerClass, None] = {}
        """Classes in which a worker may be blocked because something was full."""

    def put(self, worker: Worker) -> None:
        """Put *worker* into the queue where it belongs, to be tried (again)."""
        kind = worker.kind
        if not worker.open or worker.count > PREFETCH_MOST:
            worker.stand_in(None)
        else:
            worker.stand_in(kind.eager if worker.count else kind.idle)
            self.hungry[kind] = None

    def block(self, worker: Worker, is_gated: bool) -> None:
        """Note that *worker* is an exception for each ready job; *is_gated*: perhaps because something is full."""
        worker.stand_in(worker.kind.blocked)
        self._blocked[worker.kind] = None
        if is_gated:
            self._gated[worker.kind] = None

    def sate(self, kind: WorkerClass) -> None:
        """Note that nothing is ready that *kind* could run."""
        self.hungry.pop(kind, None)

    def wake(self, kinds: Iterable[WorkerClass]) -> None:
        """Let the workers of *kinds* that may take something be asked (again)."""
        for kind in kinds:
            if kind.idle or kind.eager:
                self.hungry[kind] = None

    def unblock(self, kind: WorkerClass) -> None:
        """Let the workers of *kind* that were exceptions for all ready jobs be asked again."""
        for order in list(kind.blocked):
            self.put(self._by_order[order])

    def offer(self, kind: JobClass, fits: Callable[[Worker], bool]) -> None:
        """Let the blocked workers that can run jobs of *kind* be asked again where one more of these *fits* there."""
        for each in [each for each in self._blocked if each in kind.able]:
            for worker in [self._by_order[order] for order in each.blocked]:
                if fits(worker):
                    self.put(worker)
            if not each.blocked:
                del self._blocked[each]

    def reopen(self, kinds: Iterable[WorkerClass]) -> None:
        """Let the workers of *kinds*, which are all, be asked again: something that was full is so no more."""
        self.wake(kinds)
        for kind in list(self._gated):
            self.unblock(kind)
        self._gated.clear()

    def forget(self, kind: WorkerClass) -> None:
        """Forget a class of workers that is no more."""
        self.hungry.pop(kind, None)
        self._blocked.pop(kind, None)
        self._gated.pop(kind, None)
