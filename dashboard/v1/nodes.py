"""The JSON API: workers and managers."""

import time
from typing import Annotated, Any, Literal

import msgspec
from flask import Blueprint

from brender.model.answers import WHY_WORKER
from brender.model.errors import NotFound
from brender.store import page_questions, questions
from dashboard.answers import nodes as answers
from dashboard.endpoint import endpoint
from dashboard.farm import farm

blueprint = Blueprint("v1-nodes", __name__)

Action = Literal[
    "drain", "disable", "enable", "restart", "tags", "note", "schedule", "give-back", "sleep", "wake", "log", "forget"
]


class Said(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``value``: the tags (with commas between), the note, or the hours of sleep; nothing for what takes none."""

    value: Annotated[str, msgspec.Meta(max_length=2000)] | None = None


class HistoryQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    seconds: Annotated[float, msgspec.Meta(ge=1, le=60 * 86_400)] = 86_400.0


@endpoint(blueprint, "GET", "/workers", cached=True, answer=list[answers.Worker])
def workers() -> Any:
    """Return every worker, those that are there first."""
    with farm().reader.record() as record:
        return questions.workers(record)


@endpoint(blueprint, "GET", "/workers/{id}", cached=True, answer=answers.WorkerWhole)
def worker(id: str) -> Any:
    """One worker, with the attempts that it made last."""
    with farm().reader.record() as record:
        return page_questions.worker(record, id)


@endpoint(blueprint, "GET", "/workers/{id}/why", answer=answers.Why)
def worker_why(id: str) -> Any:
    """Return why a worker renders nothing, as the scheduler says, or "" if it is not there."""
    with farm().question_client() as client:
        return {"why": client.ask(WHY_WORKER, id=id)}


@endpoint(blueprint, "GET", "/workers/{id}/log", answer=answers.WorkerLog)
def worker_log(id: str) -> Any:
    """Return what a worker told last of its own log; the action `log` asks it to tell again."""
    with farm().reader.record() as record:
        return page_questions.worker_log(record, id)


@endpoint(blueprint, "GET", "/managers", cached=True, answer=list[answers.Manager])
def managers() -> Any:
    """Return every manager, with the number of its workers."""
    with farm().reader.record() as record:
        return questions.managers(record)


@endpoint(blueprint, "GET", "/managers/{id}", cached=True, answer=answers.ManagerWhole)
def manager(id: str) -> Any:
    """One manager, with its workers."""
    with farm().reader.record() as record:
        return page_questions.manager(record, id)


@endpoint(blueprint, "GET", "/nodes/{id}/history", query=HistoryQuery, cached=True, answer=list[answers.StatsThen])
def history(id: str, query: HistoryQuery) -> Any:
    """Return what a worker or manager used lately: CPU, memory, disk, network, a row a minute."""
    with farm().reader.record() as record:
        return page_questions.history(record, id, query.seconds, time.time())


@endpoint(blueprint, "POST", "/nodes/{id}/actions/{action}", body=Said, answer=answers.ActedOnNode)
def act_on_node(id: str, action: str, body: Said) -> Any:
    """Drain, disable, enable, restart or forget a worker or manager; set a worker's tags, note or hours of sleep; or ask for its
    log."""
    known = Action.__args__  # type: ignore[attr-defined]
    if action not in known:
        raise NotFound(f"There is no action {action!r}; there are: {', '.join(known)}")
    with farm().client() as client:
        return client.act(action, id, body.value)
