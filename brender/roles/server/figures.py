"""The server's metrics: how its farm stands (brender.metrics.families). Pure."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from brender.farm.farm import Farm
from brender.metrics.families import Values
from brender.model.status import ENDED_JOB, JobStatus, ManagerStatus, Outcome, WorkerStatus


def farm_figures(farm: Farm, wall: float, offline: Mapping[str, int]) -> Values:
    """Return the metrics of *farm* at *wall*. It looks at each job, worker and manager once, and at no task. *offline*: how many
    nodes are away, of kind ``worker`` and ``manager``; what is not known is left out."""
    jobs: Counter[JobStatus] = Counter()
    oldest, unfinished, unplaced = wall, 0, 0
    for job in farm.jobs.values():
        unplaced += len(job.placing)
        if job.status in ENDED_JOB:
            continue
        jobs[job.status] += 1
        unfinished += job.task_count - job.ended_tasks
        if job.status is JobStatus.QUEUED:
            oldest = min(oldest, job.submitted)
    workers = Counter(worker.status for worker in farm.workers.values())
    managers = Counter(manager.shown[0] for manager in farm.managers.values())
    active = sum(bool(worker.running) for worker in farm.workers.values())
    granted = max(0, len(farm.attempts) - active)
    totals = farm.totals
    return {
        "brender_jobs": {(status,): jobs[status] for status in JobStatus if status not in ENDED_JOB},
        "brender_jobs_submitted_total": totals.jobs_submitted,
        "brender_jobs_ended_total": {(status,): totals.jobs_ended[status] for status in JobStatus if status in ENDED_JOB},
        "brender_oldest_queued_job_age_seconds": max(0.0, wall - oldest),
        "brender_tasks": {
            ("active",): active,
            ("granted",): granted,
            ("queued",): max(0, unfinished - active - granted),
        },
        "brender_attempts_ended_total": {
            (outcome,): totals.attempts_ended[outcome] for outcome in Outcome if outcome is not Outcome.LIVE
        },
        "brender_frames_completed_total": totals.frames_completed,
        "brender_frames_failed_total": totals.frames_failed,
        "brender_frames_unplaced": unplaced,
        "brender_machine_seconds_total": totals.machine_seconds,
        "brender_workers": _by_status(WorkerStatus, workers, offline.get("worker")),
        "brender_workers_asleep": len(farm.asleep.keys() & farm.workers.keys()),
        "brender_managers": _by_status(ManagerStatus, managers, offline.get("manager")),
    }


def _by_status(
    statuses: type[WorkerStatus] | type[ManagerStatus], there: Mapping[Any, int], offline: int | None
) -> dict[tuple[str, ...], float]:
    """Return how many nodes there are of each status; those that are *offline* are not in memory."""
    found: dict[tuple[str, ...], float] = {(status,): there.get(status, 0) for status in statuses if status != "offline"}
    return found if offline is None else found | {("offline",): offline}
