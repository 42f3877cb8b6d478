"""Which workers a job does not go to, and why."""

from typing import Any

from brender.model.status import ENDED_JOB
from brender.store.named import Record


def off_job(record: Record, job: Any, wall: float) -> dict[str, list[dict[str, Any]]]:
    """Return the workers that *job*, a row, does not go to at *wall*: those that are ``kept_off`` it until somebody readmits
    them, and those that are ``put_off`` until a time, their ``readmitted``."""
    off, worker = record.tables.KeptOff, record.tables.Worker
    query = off.select(off, worker.name.alias("worker_name")).join(worker).where(off.job == job.id).order_by(off.wall)
    rows = list(query.where(off.readmitted.is_null() | (off.readmitted > wall)).dicts())
    return {
        "kept_off": [each for each in rows if each["readmitted"] is None],
        "put_off": [each for each in rows if each["readmitted"] is not None and job.status not in ENDED_JOB],
    }
