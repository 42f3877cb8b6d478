"""What the Farm page asks of the record: its figures, what needs somebody, what renders now, and what each worker did.

Each is a function of the record and plain arguments, and answers with plain data. None reads more than a bounded number of rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from peewee import SQL, Case, fn

from brender.model.answers import PAGE
from brender.model.beginning import SOMEBODY
from brender.model.job import MISSING_AT_WORKER
from brender.model.power import NOT_WOKEN
from brender.model.prospect import NOT_KNOWN, Prospect
from brender.model.status import ENDED_JOB, ENDS_OF_WAITING, RENDERING, UNLISTED, WorkerStatus
from brender.model.stuck import STUCK
from brender.model.text import plural
from brender.model.units import STILL
from brender.store.counted import is_in_steps, listed_columns, makes_film, with_progress
from brender.store.named import GOING, Record
from brender.store.page_questions import with_eta
from brender.store.tables import ATTEMPT_LIVE

_ATTENTION_SHOWN = 20
_JOBS_SHOWN = 8
#: Jobs whose frames are counted one by one for the figures: the newest of those that began earlier.
_LOOKED_AT = 200
#: Attempts that had ended by some time, of which the least change bounds what else had been recorded by then.
_ENDED_BEFORE = 20
_DAY = 86_400.0
_UNFINISHED = ("active", "queued", "paused")
#: Attempts in one answer of `lanes`; what is older is asked for by another.
LANES_ROWS = 5_000


def counts(record: Record) -> dict[str, int]:
    """Return the numbers that the navigation shows: unfinished jobs, workers that are there, and those that render."""
    job, worker = record.tables.Job, record.tables.Worker
    unfinished = job.select(fn.COUNT(job.id)).where(job.status.in_(_UNFINISHED) & job.deleting.not_in(GOING)).scalar()
    there = worker.select(fn.COUNT(worker.id)).where(worker.status != "offline").scalar()
    return {"unfinished_jobs": int(unfinished), "workers": int(there), "busy_workers": _rendering(record)}


def _rendering(record: Record) -> int:
    """Return how many workers render: those that are busy, and those that finish a task although they are to take no other, such
    as one that drains, is disabled, or whose owner is back."""
    worker = record.tables.Worker
    at_work = (worker.status == "busy") | ((worker.status != "offline") & (worker.job != ""))
    return int(worker.select(fn.COUNT(worker.id)).where(at_work).scalar())


@dataclass(frozen=True)
class Reach:
    """What somebody may do something about: jobs of ``jobs_of``, a user ("": of nobody; ``None``: all jobs), and ``nodes``."""

    jobs_of: str | None = None
    nodes: bool = True


def overview(record: Record, wall: float, reach: Reach = Reach()) -> dict[str, Any]:
    """Return the farm at a glance: how many workers stand how, and how many of them are ``rendering``; how many jobs; frames of
    the last hour and day; the jobs that come first, each with its last picture; how long all of it takes; and what needs
    somebody of this *reach*."""
    tables = record.tables
    worker, job = tables.Worker, tables.Job
    there = job.deleting.not_in(GOING)
    counted = dict(job.select(job.status, fn.COUNT(job.id)).where(there).group_by(job.status).tuples())
    active_first = Case(job.status, (("active", 0), ("queued", 1)), 2)
    unfinished = job.select(job.id).where(job.status.in_(_UNFINISHED) & there)
    ids = [id for (id,) in unfinished.order_by(active_first, job.priority.desc(), job.submitted).limit(_JOBS_SHOWN).tuples()]
    known = worker.wanted.not_in(UNLISTED)
    workers = dict(worker.select(worker.status, fn.COUNT(worker.id)).where(known).group_by(worker.status).tuples())
    return {
        "workers": workers,
        "rendering": _rendering(record),
        "jobs": counted,
        "frames": {name: _frames_since(record, wall - seconds) for name, seconds in (("hour", 3600.0), ("day", _DAY))},
        "active": _shown_jobs(record, ids),
        "attention": attention(record, wall, reach),
        **_left(record),
    }


def _shown_jobs(record: Record, ids: Sequence[str]) -> list[dict[str, Any]]:
    """Return the jobs *ids* in this order, each with its settings, the facts of its file, its ``eta_seconds``, the number of its
    ``workers``, and its last ``picture`` (the part and frame; ``None``: none yet)."""
    job, part, worker = record.tables.Job, record.tables.Part, record.tables.Worker
    columns = [*listed_columns(job, without=("warnings",)), job.settings, job.facts]
    rows = with_eta(record, [with_progress(row) for row in job.select(*columns).where(job.id.in_(list(ids))).dicts()])
    # By its last change, each is found at the end of an index; all frames of a long job would have to be read for the latest end.
    shown = (part.status == "completed") & (part.output != "")
    last = part.select(part.id, part.frame, part.job).where(shown).order_by(part.change.desc(), part.id.desc()).limit(1)
    pictures = {row["job"]: row for id in ids for row in last.where(part.job == id).dicts()}
    query = worker.select(worker.job, fn.COUNT(worker.id)).where(worker.job.in_(list(ids)) & (worker.status != "offline"))
    busy = dict(query.group_by(worker.job).tuples())
    for row in rows:
        picture = pictures.get(row["id"])
        row["picture"] = {"part": picture["id"], "frame": picture["frame"]} if picture else None
        row["workers"] = busy.get(row["id"], 0)
    return sorted(rows, key=lambda row: ids.index(row["id"]))


def _left(record: Record) -> dict[str, Any]:
    """Return when the last of the open jobs is expected to be done (``left`` in `Expected.as_fields`), without those of which
    that is not known (``left_unknown``)."""
    prospect = record.outlook.of(record) if record.outlook is not None else Prospect()
    return (prospect.last() or NOT_KNOWN).as_fields("left") | {"left_unknown": prospect.unknown}


def lanes(record: Record, seconds: float, wall: float, until: float = 0.0, since: float = 0.0) -> dict[str, Any]:
    """Return what workers did in the last *seconds* before *wall*: ``rows`` of attempts that ended, the last ones first, and of
    those that go on, each by the place of its worker in ``ids`` and of its job in ``jobs`` (ids and names), its start and end
    (seconds before *wall*; -1: it goes on) and outcome.

    *until* and *since*: only what ended up to, and not before, this time (0: any; without *until* with what goes on). Of more
    than `LANES_ROWS` only the last; then ``older`` is the time to ask for as *until*, else ``None``.
    ``workers``, without *until*: those that were there in that time.
    """
    tables = record.tables
    attempt = tables.Attempt
    edge = max(wall - seconds, since)
    job = tables.Job
    columns = (attempt.worker, attempt.job, attempt.started, attempt.finished, attempt.outcome, job.name)
    # Rows as the database has them: of thousands, peewee's own dictionaries take longer than all else.
    database = attempt._meta.database
    shown_attempts = attempt.select(*columns).join(job)
    ended = (attempt.finished > edge) & attempt.started.is_null(False)
    if until:
        ended &= attempt.finished <= until
    query = shown_attempts.where(ended).order_by(attempt.finished.desc()).limit(LANES_ROWS)
    rows = database.execute(query).fetchall()
    older = rows[-1][3] if len(rows) == LANES_ROWS and rows[-1][3] != until else None
    if not until:
        live = shown_attempts.where(SQL(ATTEMPT_LIVE) & attempt.started.is_null(False))
        rows += database.execute(live.order_by(attempt.granted).limit(LANES_ROWS)).fetchall()
    jobs: dict[tuple[str, str], int] = {}
    workers: dict[str, int] = {}
    told = [
        (
            workers.setdefault(worker, len(workers)),
            jobs.setdefault((job, name), len(jobs)),
            round(wall - start, 1),
            -1 if end is None else round(wall - end, 1),
            outcome,
        )
        for worker, job, start, end, outcome, name in rows
    ]
    answer = {"wall": wall, "rows": told, "older": older, "ids": list(workers), "jobs": list(jobs)}
    if not until:
        worker = tables.Worker
        shown = (worker.id, worker.name, worker.status, worker.reason, worker.job, worker.frame, worker.fraction, worker.pool)
        there = (worker.status != "offline") | ((worker.last_seen > wall - seconds) & (worker.wanted.not_in(UNLISTED)))
        found = database.execute(worker.select(*shown).where(there).order_by(worker.name).limit(PAGE)).fetchall()
        answer["workers"] = [dict(zip((column.name for column in shown), row, strict=True)) for row in found]
    return answer


def _frames_since(record: Record, edge: float) -> int:
    """Return how many frames were finished after *edge*: of jobs that began after it all, of others those that are looked for."""
    job, part, attempt = record.tables.Job, record.tables.Part, record.tables.Attempt
    # (A still is one frame, whatever it was split into.)
    is_done = Case(None, [(job.completed_parts == job.part_count, 1)], 0)
    in_passes = job.completed_parts / fn.NULLIF(job.passes, 0)
    each = [(job.job_type == STILL, is_done), (job.passes > 0, in_passes), (is_in_steps(job), job.finished_frames)]
    film = Case(None, [(makes_film(job) & (job.completed_parts == job.part_count), 1)], 0)
    frames = Case(None, each, job.completed_parts - job.kept_parts - film)
    whole = job.select(fn.COALESCE(fn.SUM(frames), 0)).where(job.started >= edge).scalar()
    across = (job.started < edge) & (job.finished.is_null() | (job.finished > edge))
    ids = [id for (id,) in job.select(job.id).where(across).order_by(job.submitted.desc()).limit(_LOOKED_AT).tuples()]
    if not ids:
        return int(whole)
    # What was committed before attempts that had ended by then had ended too: those rows need not be read. Of several, since one
    # may have been touched again later.
    before = attempt.select(attempt.change).where(attempt.finished <= edge).order_by(attempt.finished.desc()).limit(_ENDED_BEFORE)
    first = min((change for (change,) in before.tuples()), default=-1)
    # (A pass that has a picture to show is no frame yet: the last one is.)
    done = part.job.in_(ids) & (part.change >= first) & (part.finished > edge) & (part.piece == 0)
    return int(whole) + int(part.select(fn.COUNT(part.id)).where(done).scalar())


def attention(record: Record, wall: float, reach: Reach = Reach()) -> list[dict[str, Any]]:
    """Return what a person of this *reach* has to do something about: each with what it is about, why, and the action that mends
    it ("": none does by itself). Neither what passes without anybody, such as that all workers are busy, is among it, nor files
    that were said to be missing when the job was submitted: who submitted it has accepted that."""
    tables = record.tables
    job, worker, manager = tables.Job, tables.Worker, tables.Manager
    found: list[dict[str, Any]] = []

    def job_needs(id: str, name: str, user: str, why: str, action: str = "") -> None:
        found.append({"kind": "job", "id": id, "name": name, "user": user, "why": why, "action": action})

    there = job.deleting.not_in(GOING)
    if reach.jobs_of is not None:
        there &= (job.user == reach.jobs_of) & (job.user != "")
    jobs = job.select(job.id, job.name, job.user, job.reason, job.failed_tasks, job.warnings)
    failed = jobs.where((job.status == "failed") & (job.finished > wall - 7 * _DAY) & there).order_by(job.finished.desc())
    for row in failed.limit(_ATTENTION_SHOWN):
        job_needs(row.id, row.name, row.user, row.reason or "it has failed", "requeue")
    part_failed = (job.status == "active") & (job.failed_tasks > 0) & there
    for row in jobs.where(part_failed).order_by(job.submitted).limit(_ATTENTION_SHOWN):
        tasks = "1 task has failed" if row.failed_tasks == 1 else f"{row.failed_tasks} tasks have failed"
        job_needs(row.id, row.name, row.user, f"{tasks}. {row.reason}".strip(), "requeue")
    stuck = (job.status == "queued") & (job.reason != "") & job.waiting_for.in_(("", SOMEBODY)) & there
    for end in ENDS_OF_WAITING:
        stuck &= ~(job.reason.endswith(end) | job.reason.contains(f"{end}{RENDERING}"))
    for row in jobs.where(stuck).order_by(job.submitted).limit(_ATTENTION_SHOWN):
        job_needs(row.id, row.name, row.user, row.reason)
    hangs = worker.select(job.id, job.name.alias("job_name"), job.user, worker.name.alias("worker_name"), worker.reason)
    hangs = hangs.join(job, on=(worker.job == job.id)).where((worker.status == WorkerStatus.BUSY) & there)
    for each in hangs.where(worker.reason.startswith(STUCK)).limit(_ATTENTION_SHOWN).dicts():
        job_needs(each["id"], each["job_name"], each["user"], f"{each['worker_name']} {each['reason']}")
    off = tables.KeptOff
    columns = (off, job.name.alias("job_name"), job.user, worker.name.alias("worker_name"))
    query = off.select(*columns).join(worker).switch(off).join(job)
    for each in query.where(off.readmitted.is_null() & job.status.not_in(ENDED_JOB) & there).limit(_ATTENTION_SHOWN).dicts():
        why = f"{each['worker_name']} is kept off it after {plural(each['failures'], 'failure')}: {each['reason']}"
        job_needs(each["job"], each["job_name"], each["user"], why, "readmit")
    missing = jobs.where(job.warnings.cast("text").contains(MISSING_AT_WORKER) & job.finished.is_null() & there)
    for row in missing.limit(_ATTENTION_SHOWN):
        (first, *more) = [text for text in row.warnings if MISSING_AT_WORKER in text] or [""]
        job_needs(row.id, row.name, row.user, first + (f", and {len(more)} more" if more else ""))
    for kind, table in (("worker", worker), ("manager", manager)) if reach.nodes else ():
        # One that pauses for its owner, sleeps, or leaves when it was asked to, needs nobody.
        well = (
            WorkerStatus.OFFLINE,
            WorkerStatus.DISABLED,
            WorkerStatus.DRAINING,
            WorkerStatus.PAUSED,
            WorkerStatus.FALLING_ASLEEP,
        )
        ill = table.select().where(table.status.not_in(well) & (table.reason != "") & (table.wanted == ""))
        ill = ill.where(~table.reason.startswith(STUCK))  # (said of its job)
        for row in ill.limit(_ATTENTION_SHOWN):
            found.append(
                {
                    "kind": kind,
                    "id": row.id,
                    "name": row.name,
                    "why": row.reason,
                    "action": "enable" if kind == "worker" and row.drained else "",
                }
            )
        if kind == "worker":
            unwoken = table.select().where((table.status == "offline") & table.reason.contains(NOT_WOKEN) & (table.wanted == ""))
            for row in unwoken.limit(_ATTENTION_SHOWN):
                found.append({"kind": kind, "id": row.id, "name": row.name, "why": row.reason, "action": ""})
    return found
