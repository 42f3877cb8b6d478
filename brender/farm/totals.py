"""What happened on the farm since it was read from the record: counters for metrics, which only grow. Pure."""

from collections import Counter
from dataclasses import dataclass, field

from brender.model.status import JobStatus, Outcome


@dataclass
class Totals:
    """Counts since the farm was read from the record; a server that restarts begins again at 0, as Prometheus expects."""

    frames_completed: int = 0
    """Whole ones: no pieces, steps before the last, copies or films."""
    frames_failed: int = 0
    machine_seconds: float = 0.0
    jobs_submitted: int = 0
    jobs_ended: Counter[JobStatus] = field(default_factory=Counter)
    attempts_ended: Counter[Outcome] = field(default_factory=Counter)
