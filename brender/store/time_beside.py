"""What attempts take beside their frames, such as starting Blender and opening the file: a factor, for the forecast."""

from typing import TYPE_CHECKING, Any

from brender.model.status import Outcome, PartStatus

if TYPE_CHECKING:
    from brender.store.named import Record

#: The last parts of a job that are looked at.
_PARTS = 100
#: The most that it is taken for: frames of a fraction of a second say little of heavier ones.
_MOST = 3.0
#: A job whose machine time is at most so many times its frames' is not looked at closer.
_LITTLE = 1.05
#: Jobs whose attempts are looked up in one look ahead.
_JOBS = 50


class TimeBeside:
    """By what factor the attempts of a job take longer than its frames. The machine time of a job that was queued again, or
    edited, has earlier renders too, so the attempts that made its last frames are looked up; that is remembered until more are
    done."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[int, float]] = {}
        self._left = _JOBS

    def begin(self, open_jobs: set[str]) -> None:
        """Begin a look ahead over these jobs; others are forgotten."""
        self._left = _JOBS
        self._found = {id: found for id, found in self._found.items() if id in open_jobs}

    def of(self, record: "Record", row: Any) -> float:
        """Return the factor of the job of *row*, from 1 to 3."""
        whole: float = row.machine_seconds / row.render_seconds if row.render_seconds else 1.0
        if whole <= _LITTLE:
            return 1.0
        done, found = self._found.get(row.id, (-1, whole))
        if done != row.completed_parts and self._left:
            self._left -= 1
            found = _by_last(record, row.id) or whole
            self._found[row.id] = row.completed_parts, found
        return min(_MOST, max(1.0, min(found, whole)))


def _by_last(record: "Record", job: str) -> float | None:
    """Return the factor by the attempts that made the last parts of *job*; ``None``: none of them has ended."""
    part, attempt = record.tables.Part, record.tables.Attempt
    made = part.select(part.attempt, part.seconds).where(
        (part.job == job) & (part.status == PartStatus.COMPLETED) & ~part.kept & (part.attempt != "")
    )
    parts = list(made.order_by(part.change.desc()).limit(_PARTS).tuples())
    if len(parts) == _PARTS and parts[0][0] != parts[-1][0]:
        parts = [each for each in parts if each[0] != parts[-1][0]]  # others of that attempt are not among them
    took: dict[str, float] = {}
    for id, seconds in parts:
        took[id] = took.get(id, 0.0) + seconds
    ended = attempt.select(attempt.id, attempt.seconds).where(attempt.id.in_(list(took)) & (attempt.outcome == Outcome.COMPLETED))
    attempts = dict(ended.tuples()) if took else {}
    rendered = sum(took[id] for id in attempts)
    return sum(attempts.values()) / rendered if rendered else None
