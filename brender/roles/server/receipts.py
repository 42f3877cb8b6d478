"""The answer to the submitter of a job that is accepted, from memory or from the record. Pure."""

from typing import Any

from brender.farm.jobs import JobState
from brender.model.hooks import NEEDS_SOMEBODY
from brender.model.units import in_words


def receipt_of(job: JobState) -> dict[str, Any]:
    """Return what the submitter of *job* is told. That no worker can run it is a warning among the others, in the words of its
    reason."""
    return {
        "id": job.id,
        "name": job.spec.name,
        "status": str(job.status),
        "tasks": job.task_count,
        "frames": job.part_count,
        "what": in_words(job.spec.settings, job.part_count),
        "output": job.spec.output,
        "warnings": [*job.warnings, *_nobody(job.reason)],
    }


def receipt_of_row(row: Any) -> dict[str, Any]:
    """Return what the submitter of the job of *row* is told, which has left memory."""
    return {
        "id": row.id,
        "name": row.name,
        "status": row.status,
        "tasks": row.task_count,
        "frames": row.part_count,
        "what": in_words(row.settings, row.part_count),
        "output": row.output,
        "warnings": [*row.warnings, *_nobody(row.reason)],
    }


def _nobody(reason: str) -> list[str]:
    return [reason] if reason.startswith(NEEDS_SOMEBODY) else []
