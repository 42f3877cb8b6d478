"""The farm's accounts: sums by day, user, project and worker. Pure.

The sums are added to in the commit that ends an attempt or records a frame, so that nothing is counted twice or left out, and
they stay when a job is deleted. The record alone holds them: what is added is a row of the verb ``add`` (brender.farm.record).
Days are those of UTC; an attempt counts for the day on which it ended.
"""

from brender.farm.farm import Farm
from brender.farm.jobs import JobState
from brender.farm.tasks import AttemptState
from brender.model.accounts import day_of
from brender.model.causes import Cause
from brender.model.status import Outcome


def count_frame(farm: Farm, job: JobState, worker: str, wall: float) -> None:
    """Count a frame of *job* that the worker with the id *worker* has rendered. Hot path, watched by benchmarks.dispatch."""
    farm.ledger.add("account", _key(farm, job, worker, wall), {"frames": 1})


def count_end(farm: Farm, job: JobState, attempt: AttemptState, seconds: float, cause: Cause, wall: float) -> None:
    """Count *attempt* at *job*, which has ended after *seconds*. *cause*: why it failed, where it did. Hot path, watched by
    benchmarks.dispatch."""
    key = _key(farm, job, attempt.worker, wall)
    failed = attempt.outcome is Outcome.FAILED or (attempt.outcome is Outcome.LOST and attempt.started)
    numbers = {"machine_seconds": max(0.0, seconds), "attempts": 1, "failures": int(failed)}
    if attempt.used.seconds > 0:
        numbers |= {"joules": attempt.used.joules, "metered_seconds": attempt.used.seconds}
    farm.ledger.add("account", key, numbers)
    if failed:
        farm.ledger.add("account_failure", (*key, cause), {"failures": 1})


def _key(farm: Farm, job: JobState, worker: str, wall: float) -> tuple[str, str, str, str]:
    known = farm.workers.get(worker)
    return day_of(wall), job.spec.user, job.spec.project, known.info.name if known is not None else worker
