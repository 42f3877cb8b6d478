"""Grants: made, put together for their managers, and sent. Pure.

Hot path, watched by benchmarks.dispatch.
"""

from collections import defaultdict
from collections.abc import Callable

import msgspec

from brender.bus.messages import Grants
from brender.farm.farm import Farm
from brender.farm.jobs import JobState
from brender.farm.nodes import WorkerState
from brender.farm.tasks import AttemptState, TaskState
from brender.model.failure_patterns import FailurePattern
from brender.model.grant import Grant, Order, PartGrant
from brender.model.job import COPY
from brender.roles.effects import Now, Send
from brender.roles.server.jobs import Emit

_GRANTS_A_MESSAGE = 500


class Granting:
    """Makes attempts in *farm*, whose ids *new_attempt_id* makes; `send` gives what is sent to *emit*. *patterns*: the farm's own
    of lines that mean failure."""

    def __init__(
        self, farm: Farm, emit: Emit, new_attempt_id: Callable[[], str], patterns: tuple[FailurePattern, ...] = ()
    ) -> None:
        self._patterns = patterns
        self.farm = farm
        self.emit = emit
        self._new_attempt_id = new_attempt_id
        self._given: defaultdict[str, list[Grant]] = defaultdict(list)

    def give(self, task: TaskState, job: JobState, worker: WorkerState, now: Now) -> None:
        """Give *task* of *job* to *worker*, as an attempt of its own."""
        task.start()
        attempt = AttemptState(
            self._new_attempt_id(),
            task.id,
            job.id,
            worker.info.id,
            sent=now.mono,
            manager=worker.manager,
            granted_wall=now.wall,
            incarnation=worker.info.incarnation,
            parts={part.id for part in task.parts if not part.done},
            repeats=bool(task.attempts),
        )
        self.farm.enter(attempt, task, job, worker)
        self.farm.unanswered[attempt.id] = None
        self.add(attempt, task, job, worker.manager)

    def add(self, attempt: AttemptState, task: TaskState, job: JobState, manager: str) -> None:
        """Have *attempt* at *task* of *job* sent to *manager*."""
        self._given[manager].append(self._message(attempt, task, job))

    def send(self) -> None:
        """Send what was added, in messages of a bounded size, each with the orders that it needs."""
        for manager, given in self._given.items():
            for start in range(0, len(given), _GRANTS_A_MESSAGE):
                some = tuple(given[start : start + _GRANTS_A_MESSAGE])
                orders = tuple(map(self._order, dict.fromkeys(grant.job for grant in some)))
                self.emit(Send(manager, Grants(grants=some, orders=orders)))
        self._given.clear()

    def _order(self, job: str) -> Order:
        order = self.farm.jobs[job].order_for_workers
        paths, patterns = self.farm.paths, self._patterns
        return msgspec.structs.replace(order, paths=paths, patterns=patterns) if paths or patterns else order

    def _message(self, attempt: AttemptState, task: TaskState, job: JobState) -> Grant:
        return Grant(
            attempt=attempt.id,
            worker=attempt.worker,
            term=self.farm.workers[attempt.worker].term,
            task=task.id,
            job=task.job,
            repeats=attempt.repeats,
            pieces=job.merges(task.number) if job.pieces or job.baked else (),
            parts=tuple(
                PartGrant(
                    id=p.id,
                    frame=p.frame,
                    output=p.output,
                    piece=p.piece,
                    layer=p.layer,
                    digest=p.digest if p.piece == COPY else "",
                )
                for p in task.parts
                if not p.done and attempt.has_to_do(p)
            ),
        )
