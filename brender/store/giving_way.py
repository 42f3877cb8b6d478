"""Whether a task of a job waits since its attempt gave way to another job, by the record."""

from typing import TYPE_CHECKING

from brender.model.giving_way import GAVE_WAY_TO, said_of_giving_way
from brender.model.status import ENDED_TASK, Outcome, PartStatus

if TYPE_CHECKING:
    from brender.store.named import Record

#: Attempts of a worker that are looked through for the one that gave way there.
_ATTEMPTS_A_LOOK = 20


def gave_way(record: "Record", job: str) -> str:
    """Return in a sentence which task of *job* gave way last and waits for its turn since, or ""."""
    activity, attempt, task, part = (getattr(record.tables, name) for name in ("Activity", "Attempt", "Task", "Part"))
    noted = activity.select().where((activity.job == job) & (activity.action == "gave-way")).order_by(activity.id.desc()).first()
    if noted is None:
        return ""
    there = attempt.select().where((attempt.worker == noted.worker) & (attempt.granted <= noted.wall))
    for each in there.order_by(attempt.granted.desc()).limit(_ATTEMPTS_A_LOOK):
        data = each.__data__
        if data["job"] != job or not each.reason.startswith(GAVE_WAY_TO):
            continue
        number = data["task"]
        own = (attempt.job == job) & (attempt.task == number)
        rendering = attempt.select().where(own & (attempt.outcome == Outcome.LIVE) & attempt.started.is_null(False))
        if task.get_by_id(number).status in ENDED_TASK or rendering.where(attempt.reason == "").exists():
            return ""  # it is done, or rendered again
        times = attempt.select().where(own & attempt.reason.startswith(GAVE_WAY_TO)).count()
        left = part.select(part.frame).where((part.task == number) & (part.status != PartStatus.COMPLETED)).distinct()
        frames = [frame for (frame,) in left.order_by(part.frame).tuples()]
        return said_of_giving_way(frames, each.reason, noted.wall, times) if frames else ""
    return ""
