"""The record that questions are asked of, and which job or node a name in a question means."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from brender.model.errors import BadInput, NotFound
from brender.model.prospect import Prospect
from brender.model.status import ENDED_JOB, UNLISTED
from brender.model.text import SHORT_ID, harmless
from brender.store.datafolder import DataFolder
from brender.store.tables import Tables

#: Jobs that are named where several are meant.
_NAMED_MOST = 5
#: Of a job whose record is about to go nobody is told any more.
GOING = ("record", "both")


class LooksAhead(Protocol):
    """Tells when open jobs will be done."""

    def of(self, record: "Record") -> Prospect:
        """Return what *record* lets expect."""


@dataclass(frozen=True)
class Record:
    """What questions are asked of."""

    tables: Tables
    folder: DataFolder
    outlook: LooksAhead | None = None
    """Who looks ahead; ``None``: each job's time left is told by itself."""


def job_id(record: Record, start: str) -> str:
    """Return the id of the one job whose id starts with *start*, or whose name is it, or else starts with it; as much of an id as
    people are told means that job alone. Raises `NotFound` or `BadInput`."""
    job = record.tables.Job
    there = job.deleting.not_in(GOING)
    if job.select().where((job.id == start) & there).exists():
        return start
    known = job.select(job.id, job.name, job.status, job.submitted).order_by(job.submitted.desc(), job.id).limit(_NAMED_MOST + 1)
    found = list(known.where(job.id.startswith(start) & there)) if start else []
    if not found or len(start) < SHORT_ID:
        # (A shot's number is a name, and the beginning of some other job's id too.)
        by_id = {row.id for row in found}
        found += [row for row in known.where((job.name == start) & there) if row.id not in by_id]
        found.sort(key=lambda row: -row.submitted)
    if not found and start:
        found = [row for row in known.where(job.name.startswith(start) & there) if row.name.startswith(start)]
    if not found:
        raise NotFound(f"There is no job {start!r}. `brender jobs` lists them")
    if len(found) > 1:
        raise BadInput(_candidates(start, found))
    return str(found[0].id)


def unfinished(record: Record, name: str) -> dict[str, Any]:
    """Return how many ``jobs`` are called *name*, and the ids of the ``unfinished`` ones among them, newest first, two at most.
    None where it is the beginning of a job's id too."""
    job = record.tables.Job
    there = job.deleting.not_in(GOING)
    if not name or job.select().where(job.id.startswith(name) & there).exists():
        return {"jobs": 0, "unfinished": []}
    called = job.select(job.id).where((job.name == name) & there)
    newest = called.where(job.status.not_in(ENDED_JOB)).order_by(job.submitted.desc(), job.id).limit(2)
    return {"jobs": called.count(), "unfinished": [row.id for row in newest]}


def _candidates(start: str, found: Sequence[Any]) -> str:
    """Return a sentence, and below it a line for each of the jobs *found* that *start* may mean, newest first."""
    shown = [row.id[: max(SHORT_ID, len(start) + 1 if row.id.startswith(start) else 0)] for row in found[:_NAMED_MOST]]
    names = [harmless(row.name) for row in found[:_NAMED_MOST]]
    width = max(map(len, names))
    lines = [
        f"  {id}  {name:<{width}}  {row.status:<9}  submitted {datetime.fromtimestamp(row.submitted):%Y-%m-%d %H:%M:%S}"
        for id, name, row in zip(shown, names, found, strict=False)
    ]
    more = ["  and older ones: `brender jobs` lists them"] if len(found) > _NAMED_MOST else []
    count = f"{_NAMED_MOST} jobs and more" if more else f"{len(found)} jobs"
    return "\n".join((f"{start!r} means {count}. Write the id of one, such as {shown[0]}, instead:", *lines, *more))


def node_id(record: Record, start: str) -> tuple[str, str, str]:
    """Return the kind (``worker`` or ``manager``), id and name of the one node whose name is *start*, or whose id starts
    with it. Forgotten nodes count where no other fits. Raises `NotFound` or `BadInput`."""
    found: list[tuple[str, str, str, str, str]] = []
    for kind, table in (("worker", record.tables.Worker), ("manager", record.tables.Manager)):
        named_so = (table.name == start) | table.id.startswith(start)
        rows = table.select().where(named_so).order_by(table.wanted.in_(UNLISTED), table.last_seen.desc())
        found += [(kind, row.id, row.name, row.status, row.wanted) for row in rows.limit(6)] if start else []
    named = [node for node in found if start in node[1:3]] or found
    named = [node for node in named if node[4] not in UNLISTED] or named
    present = [node for node in named if node[3] != "offline"]
    chosen = present if len(present) == 1 else named
    if not chosen:
        raise NotFound(f"There is no worker or manager {start!r}. `brender workers` and `brender managers` list them")
    if len(chosen) > 1:
        several = ", ".join(f"the {kind} {name} ({id})" for kind, id, name, *_ in chosen)
        raise BadInput(f"{start!r} means several: {several}. Write the id")
    return chosen[0][:3]
