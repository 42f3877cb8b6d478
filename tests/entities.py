"""The farm's entities, made by hand, for the tests of what they do by themselves."""

from collections.abc import Callable
from typing import Any

import msgspec

from brender.farm.jobs import JobState
from brender.farm.nodes import WorkerState
from brender.farm.record import Entity, Ledger
from brender.farm.tasks import AttemptState, PartState, TaskState
from brender.jobs.declare import job_type, requirements_of
from brender.model.nodes import WorkerInfo
from brender.model.status import JobStatus, PartStatus, TaskStatus
from tests.test_film_stage import movie
from tests.world import BPY, animation

QUEUED, ACTIVE, COMPLETED, FAILED, CANCELED = (
    PartStatus.QUEUED,
    PartStatus.ACTIVE,
    PartStatus.COMPLETED,
    PartStatus.FAILED,
    PartStatus.CANCELED,
)


def a_part(id: int = 1, status: PartStatus = QUEUED, **more: Any) -> PartState:
    return PartState(id, frame=id, output=f"{id:04d}.png", task=1, status=status, **more)


def a_task(status: TaskStatus = TaskStatus.QUEUED, parts: tuple[PartState, ...] = (), number: int = 0, **more: Any) -> TaskState:
    return TaskState(number + 1, "job", number, list(parts), status, **more)


def a_job(status: JobStatus = JobStatus.QUEUED, frames: str = "1-4", **more: Any) -> JobState:
    spec = animation(frames, id="aa" * 8)
    kind = job_type(spec.job_type)
    spec = kind.prepare(spec)
    fields: dict[str, Any] = {"task_count": 4, "part_count": 4, "planned": 4, "cursor": 3} | more
    return JobState(spec, kind, requirements_of(kind, spec), order=1, status=status, **fields)


def an_attempt(**more: Any) -> AttemptState:
    return AttemptState("attempt", task=1, job="job", worker="worker", sent=1.0, **more)


def written(entity: Entity, change: Callable[[Any], object]) -> dict[str, Any]:
    """Return what is written of *entity*, whose row is true, after *change*."""
    ledger = Ledger()
    entity.keep_in(ledger, recorded=True)
    change(entity)
    rows = ledger.take()
    assert not ledger.is_behind and all((row.verb, row.kind, row.key) == ("update", entity.kind, entity.key) for row in rows)
    return {name: value for row in rows for name, value in row.fields.items()}


def a_worker(**more: Any) -> WorkerState:
    info = WorkerInfo(id="worker", incarnation=1, name="w", host="h", blenders=(BPY,), tags=frozenset("ba"))
    return WorkerState(info, "manager", **more)


def film_of(pieces: dict[int, str]) -> JobState:
    spec = msgspec.structs.replace(movie("1-3", chunk=1), bundle="b" * 64, output="/renders")
    kind = job_type(spec.job_type)
    spec = kind.prepare(spec)
    return JobState(spec, kind, requirements_of(kind, spec), order=1, task_count=4, part_count=4, pieces=pieces)
