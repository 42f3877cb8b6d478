"""Workers and jobs of a scheduler's roster, each in a line."""

from collections.abc import Collection

from brender.model.job import Requirements
from brender.model.nodes import WorkerInfo
from brender.scheduling.roster import Roster
from brender.scheduling.terms import Demand

NEED = Requirements(job_type="command")
PLENTY = 1_000_000


def info(worker: str, host: str = "", tags: Collection[str] = (), **more: object) -> WorkerInfo:
    given = {"id": worker, "incarnation": 1, "name": worker, "host": host, "tags": frozenset(tags)} | more
    return WorkerInfo(**{"job_types": frozenset({"command"})} | given)  # type: ignore[arg-type]


def job(name: str = "job", queued: int = 1, live: int = 0, priority: int = 50, **more: object) -> Demand:
    return Demand(name, priority, live=live, queued=queued, **{"order": 1, "need": NEED} | more)  # type: ignore[arg-type]


def set_count(roster: Roster, worker: str, count: int, serving: bool = True, is_open: bool = True) -> None:
    roster.worker_changed(roster.workers[worker].info, count, serving, is_open)
