"""The JSON API: jobs, their frames, attempts and logs, and what can be done with them."""

import time
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from flask import Blueprint
from flask_login import current_user

from brender.jobs.brief import in_brief
from brender.model.answers import WHY_QUEUED
from brender.model.beginning import parse_start
from brender.model.errors import BrenderError, NotFound, Unreachable
from brender.model.job_standing import standing, waits_for_its_turn
from brender.model.quotas import turns_in_words
from brender.model.status import waits_for_busy
from brender.store import farm_page, page_questions, questions
from dashboard import pictures
from dashboard.answers import farm as whole
from dashboard.answers import jobs as answers
from dashboard.endpoint import endpoint
from dashboard.farm import farm, user_name

blueprint = Blueprint("v1-jobs", __name__)

Action = Literal["pause", "resume", "cancel", "requeue", "priority", "readmit", "delete"]
Short = Annotated[str, msgspec.Meta(max_length=200)]
Count = Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)]
Frame = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31)]
_MANY = 1000


class WhyQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The ``frame``, the ``stage``, or the number of the ``task``, that is asked about; the job as a whole without any."""

    frame: Frame | None = None
    stage: Short = ""
    task: Count | None = None


class JobsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    q: Short = ""
    status: Short = ""
    project: Short = ""
    user: Short = ""
    tag: Short = ""
    sort: Literal["name", "status", "priority", "user", "project", "submitted", "finished", "progress", "machine_seconds"] = (
        "submitted"
    )
    descending: bool = True
    start: Count = 0
    length: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 50


class SinceQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    since: Annotated[int, msgspec.Meta(ge=-1, le=2**53)] = -1


class PageQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    start: Count = 0
    length: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 1000


class AttemptsQuery(PageQuery, frozen=True, forbid_unknown_fields=True):
    frame: Frame | None = None


class LogQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    frame: Frame | None = None
    attempt: Short = ""


class Value(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``value``: the priority, the frames to requeue (or "all"), the worker to readmit, what to delete; or nothing."""

    value: Annotated[int, msgspec.Meta(ge=-1000, le=1000)] | Annotated[str, msgspec.Meta(max_length=100_000)] | None = None


class AfterJob(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``job``: a job's id, or its name; ``by_frame``: each frame waits for the same frame of it alone."""

    job: Short
    by_frame: bool = False


class BeginsWhen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``after``: the jobs that it waits for; ``start_at``: a time ("22:00", "2026-12-24 22:00", "+2h", the server's clock; "":
    any); ``night``: it runs at night alone. It no longer waits for anything that is left out."""

    after: Annotated[list[AfterJob], msgspec.Meta(max_length=1000)] = []
    start_at: Short = ""
    night: bool = False


class Many(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    ids: Annotated[list[Short], msgspec.Meta(min_length=1, max_length=_MANY)]
    action: Action
    value: Annotated[int, msgspec.Meta(ge=-1000, le=1000)] | Annotated[str, msgspec.Meta(max_length=100_000)] | None = None


@endpoint(blueprint, "GET", "/jobs", query=JobsQuery, cached=True, answer=answers.JobsPage)
def jobs(query: JobsQuery) -> Any:
    """Jobs that fit: a page of them, and how many there are."""
    with farm().reader.record() as record:
        return page_questions.find_jobs(record, **msgspec.structs.asdict(query))


@endpoint(blueprint, "GET", "/jobs/choices", cached=True, answer=answers.Choices)
def choices() -> Any:
    """Return the projects and users that jobs can be filtered by."""
    with farm().reader.record() as record:
        return page_questions.choices(record)


@endpoint(blueprint, "GET", "/jobs/{id}", cached=True, answer=answers.Job)
def job(id: str) -> Any:
    """One job, whole."""
    with farm().reader.record() as record:
        found = questions.job(record, id)
    return found | {"may_act": current_user.may_act_on(found)}


@endpoint(blueprint, "GET", "/jobs/{id}/cells", query=SinceQuery, cached=True, answer=answers.Cells)
def cells(id: str, query: SinceQuery) -> Any:
    """Return the job, and what a page shows of those of its frames that changed after the commit `since`."""
    with farm().reader.record() as record:
        # Read first: what is committed meanwhile comes again with the next question, and nothing is missed.
        change = questions.change(record)
        found = questions.job_without_counts(record, id)
        shown = page_questions.cells(record, id, query.since)
    return {"change": change, "job": found | {"may_act": current_user.may_act_on(found)}, **shown}


@endpoint(blueprint, "GET", "/jobs/{id}/strip", query=SinceQuery, cached=True, answer=answers.Strip)
def strip(id: str, query: SinceQuery) -> Any:
    """The job, and the states of those of its frames that changed after the commit `since`: a letter a frame in `states`, and its
    id, frame, piece and last change as runs of [first, step, count]."""
    with farm().reader.record() as record:
        # Read first: what is committed meanwhile comes again with the next question, and nothing is missed.
        change = questions.change(record)
        found = questions.job_without_counts(record, id)
        shown = page_questions.strip(record, id, query.since)
    return {"change": change, "job": found | {"may_act": current_user.may_act_on(found)}, **shown}


@endpoint(blueprint, "GET", "/jobs/{id}/parts/{part}", cached=True, answer=answers.Frame)
def part(id: str, part: str) -> Any:
    """One frame of the job, whole, with its attempts and the mean time of the job's frames."""
    queued = _why_queued(id)
    with farm().reader.record() as record:
        return page_questions.frame(record, id, _number(part), queued)


@endpoint(blueprint, "GET", "/jobs/{id}/parts/{part}/layers", answer=list[str])
def layers(id: str, part: str) -> Any:
    """Return the names of the layers that a frame's EXR has; none for other files."""
    return pictures.layers(id, _number(part))


def _number(part: str) -> int:
    if not (part.isascii() and part.isdigit() and len(part) < 19):
        raise NotFound(f"There is no frame {part!r}: its id is a number")
    return int(part)


@endpoint(blueprint, "GET", "/jobs/{id}/parts", query=SinceQuery, cached=True, answer=list[answers.Part])
def parts(id: str, query: SinceQuery) -> Any:
    """Return the job's frames, whole, that changed after the commit `since`, by the commit that changed each last."""
    with farm().reader.record() as record:
        return questions.parts(record, id, query.since, by="change")


@endpoint(blueprint, "GET", "/jobs/{id}/tasks", query=PageQuery, cached=True, answer=list[answers.Task])
def tasks(id: str, query: PageQuery) -> Any:
    """Return the job's tasks, each with its frames and its last attempt."""
    with farm().reader.record() as record:
        return questions.tasks(record, id, query.length, query.start)


@endpoint(blueprint, "GET", "/jobs/{id}/why", query=WhyQuery, answer=answers.WhyJob)
def why(id: str, query: WhyQuery) -> Any:
    """Return how the job, or a frame, stage or task of it, stands and why; and why none of its queued tasks is given out now,
    while others of it run."""
    queued = _why_queued(id)
    with farm().reader.record() as record:
        if query.frame is not None or query.stage or query.task is not None:
            return {"why": questions.why(record, id, query.frame, query.stage, query.task, queued), "queued": queued}
        found = questions.job(record, id)
        said = standing(found, queued)
        if waits_for_its_turn(found):
            whose = "" if current_user.may("accounts", "") else str(current_user.name)
            turns = turns_in_words(questions.shares(record, whose), found["project"], found["user"], found["priority"])
            said = ". ".join(filter(None, (said, turns)))
    return {"why": said, "queued": "" if waits_for_busy(queued) else queued}


def _why_queued(id: str) -> str:
    """Return what the scheduler says of the queued tasks of the job *id*, of which others run; "": nothing hinders them, or the
    server is silent."""
    with farm().reader.record() as record:
        is_active = questions.job_without_counts(record, id)["status"] == "active"
    if not is_active or farm().pulse.silent_seconds() is not None:
        return ""
    with suppress(BrenderError), farm().own_client() as client:
        return str(client.ask(WHY_QUEUED, id=id))
    return ""


@endpoint(blueprint, "GET", "/jobs/{id}/graph", cached=True, answer=answers.Graph)
def graph(id: str) -> Any:
    """Return the stages of the job with their tasks by status, the jobs that it waits for, and those that wait for it."""
    with farm().reader.record() as record:
        return questions.graph(record, id)


@endpoint(blueprint, "GET", "/jobs/{id}/attempts", query=AttemptsQuery, cached=True, answer=list[answers.AttemptOfWorker])
def attempts(id: str, query: AttemptsQuery) -> Any:
    """Return the job's attempts, or those at one frame, newest first."""
    with farm().reader.record() as record:
        return questions.attempts(record, id, query.frame, query.length, query.start)


@endpoint(blueprint, "GET", "/jobs/{id}/log", query=LogQuery, answer=answers.Log)
def log(id: str, query: LogQuery) -> Any:
    """Return the end of the log of one attempt, of the newest at one frame, or of the job's newest."""
    if farm().files.is_elsewhere:
        with farm().question_client() as client:
            return client.ask("log", job=id, attempt=query.attempt, **({} if query.frame is None else {"frame": query.frame}))
    with farm().reader.record() as record:
        return questions.log(record, id, query.frame, query.attempt)


@endpoint(blueprint, "POST", "/jobs/{id}/actions/{action}", body=Value, answer=answers.Acted)
def act(id: str, action: str, body: Value) -> Any:
    """Pause, resume, cancel, requeue, readmit or delete a job, or set its priority."""
    known = msgspec.convert(action, Action) if action in Action.__args__ else None  # type: ignore[attr-defined]
    if known is None:
        raise NotFound(f"There is no action {action!r}; there are: {', '.join(Action.__args__)}")  # type: ignore[attr-defined]
    with farm().client() as client:
        return client.act(known, id, body.value)


@endpoint(blueprint, "POST", "/jobs/{id}/beginning", body=BeginsWhen, answer=answers.Acted)
def begins(id: str, body: BeginsWhen) -> Any:
    """Say when a job begins: after which jobs, at what time, and whether at night alone."""
    start_at = parse_start(body.start_at, datetime.now()) if body.start_at else 0.0
    with farm().client() as client:
        return client.act("when", id, {"after": msgspec.to_builtins(body.after), "start_at": start_at, "night": body.night})


@endpoint(blueprint, "POST", "/jobs/actions", body=Many, answer=answers.ActedOnMany)
def act_on_many(body: Many) -> Any:
    """Return the same for many jobs at once; tells for each that could not be changed why."""
    refused, done = {}, []
    with farm().client() as client:
        for id in body.ids:
            try:
                client.act(body.action, id, body.value)
                done.append(id)
            except Unreachable:
                raise
            except BrenderError as error:
                refused[id] = str(error)
    return {"done": done, "refused": refused}


class LanesQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``seconds``: how far back; ``until`` and ``since``: only what ended up to, and after, this time (Unix; 0: any)."""

    seconds: Annotated[float, msgspec.Meta(ge=60, le=7 * 86_400)] = 3600.0
    until: Annotated[float, msgspec.Meta(ge=0, le=1e11)] = 0.0
    since: Annotated[float, msgspec.Meta(ge=0, le=1e11)] = 0.0


@endpoint(blueprint, "GET", "/lanes", query=LanesQuery, answer=whole.Lanes)
def lanes(query: LanesQuery) -> Any:
    """Return what each worker did in the last seconds: attempts that ended, the last ones first, and those that go on."""
    with farm().reader.record() as record:
        return farm_page.lanes(record, query.seconds, time.time(), query.until, query.since)


@endpoint(blueprint, "GET", "/overview", cached=True, answer=whole.Overview)
def overview() -> Any:
    """Return the farm at a glance: workers, jobs, throughput, what comes first, what needs who asks."""
    name = "" if current_user.is_guest else user_name()
    of = None if current_user.may_act_on({"user": ""}) else name if current_user.may_act_on({"user": name}) else ""
    reach = farm_page.Reach(of, nodes=current_user.may("act disable", ""))
    with farm().reader.record() as record:
        told = farm_page.overview(record, time.time(), reach)
    for row in told["active"]:
        row["brief"] = in_brief(row["job_type"], row.pop("settings"), row.pop("facts"))
    return told
