"""The JSON API: what concerns the whole farm: what happens, projects and paths, activity, the API's own description."""

import time
from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec
from flask import Blueprint, Flask, Response, current_app, request
from flask_login import current_user

from brender.bus.membership import JoinToken, reached_at
from brender.engines.type_files import TypeFile, needs_file
from brender.jobs.declare import JobType, submitted_types
from brender.model.accounts import as_csv
from brender.model.errors import Forbidden
from brender.model.keys import KeyRole
from brender.model.paths import Platform
from brender.model.people import Role
from brender.model.rights import Actor, why_not
from brender.store import farm_page, questions
from brender.store.accounts import accounts as accounts_of
from dashboard.answers import farm as answers
from dashboard.answers import people
from dashboard.endpoint import describe, endpoint, openapi
from dashboard.farm import farm, user_name
from dashboard.own_types import own_types
from dashboard.people import still_signed_in
from dashboard.pulse import sentence

blueprint = Blueprint("v1-whole", __name__)

#: So often it is checked whether a listener may still listen, in seconds.
_LOOK_AGAIN_SECONDS = 10.0

Text = Annotated[str, msgspec.Meta(max_length=1000)]


class ActivityQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    job: Annotated[str, msgspec.Meta(max_length=200)] = ""
    length: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 500
    start: Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)] = 0


class AccountsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``since`` and ``until``: a day (of UTC), or so long ago (7d, 4w, 1y)."""

    by: Literal["user", "project", "worker", "day"] = "day"
    since: Annotated[str, msgspec.Meta(max_length=20)] = ""
    until: Annotated[str, msgspec.Meta(max_length=20)] = ""
    user: Annotated[str, msgspec.Meta(max_length=255)] = ""
    project: Annotated[str, msgspec.Meta(max_length=255)] = ""
    worker: Annotated[str, msgspec.Meta(max_length=255)] = ""


class SharesQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    user: Annotated[str, msgspec.Meta(max_length=255)] = ""


class ProjectChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    root: Text | None = None
    keep_days: Annotated[float, msgspec.Meta(ge=0, le=1e5)] | None = None
    keep_bytes: Annotated[int, msgspec.Meta(ge=0, le=10**18)] | None = None


class NewJoinToken(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    role: KeyRole
    uses: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 1
    expires: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,5}[smhd]$")] = "24h"
    name: Annotated[str, msgspec.Meta(max_length=255)] = ""


class PathChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=32)]
    platform: Platform
    path: Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
    site: Annotated[str, msgspec.Meta(max_length=32)] = ""


@endpoint(blueprint, "GET", "/about", answer=answers.About)
def about() -> Any:
    """Return the server's software and clock, the last commit, its trouble, if it has any (an admin is also told where the record
    could not be backed up), the seconds for which it has been
    silent (``null``: it answers), and the numbers of unfinished jobs and of workers."""
    silent = farm().pulse.silent_seconds()
    with farm().reader.record() as record:
        told = questions.about(record) | farm_page.counts(record)
    told["silent_seconds"] = silent
    backup = told.pop("backup") or {}
    if current_user.role is Role.ADMIN and "trouble" in backup:
        unbacked = f"The record could not be backed up. {backup['trouble']}"
        told["trouble"] = ". ".join(filter(None, (told["trouble"], unbacked)))
    if silent is not None:
        told["trouble"] = ". ".join(filter(None, (sentence(silent), told["trouble"])))
    return told


@endpoint(blueprint, "GET", "/activity", query=ActivityQuery, cached=True, answer=list[answers.Activity])
def activity(query: ActivityQuery) -> Any:
    """Who did what, newest first."""
    with farm().reader.record() as record:
        return questions.activity(record, query.job, query.length, query.start)


@endpoint(blueprint, "GET", "/accounts", query=AccountsQuery, needed="accounts", answer=answers.Accounts)
def accounts(query: AccountsQuery) -> Any:
    """Return the work that was done, by user, project, worker or day, and of each day. A user who may not see the work of others
    gets their own."""
    return _accounts(query)


@endpoint(blueprint, "GET", "/accounts.csv", query=AccountsQuery, needed="accounts", content="text/csv")
def accounts_csv(query: AccountsQuery) -> Any:
    """Return the same as comma-separated values, a line for each user, project, worker or day."""
    told = _accounts(query)
    headers = {
        "Content-Disposition": f'attachment; filename="accounts by {told["by"]}.csv"',
        "Cache-Control": "private, no-cache",
    }
    return Response(as_csv(told), mimetype="text/csv", headers=headers)


@endpoint(blueprint, "GET", "/shares", query=SharesQuery, needed="accounts", answer=answers.Shares)
def shares(query: SharesQuery) -> Any:
    """Return who gets the farm now, and who should by the weights: each project, and each user of each. A user who may not see
    the use of others gets their own, and the projects that they have used or have tasks in."""
    user = _whose(query.user)
    with farm().reader.record() as record:
        return questions.shares(record, user)


def _accounts(query: AccountsQuery) -> dict[str, Any]:
    """Return the accounts that the user of now may see. Raises `Forbidden`."""
    wanted = msgspec.to_builtins(query) | {"user": _whose(query.user)}
    with farm().reader.record() as record:
        return accounts_of(record, daily=True, **wanted)


def _whose(user: str) -> str:
    """Return whose use of the farm the user of now is told of, who asks for that of *user* ("": of all that they may see, which
    is returned for all). Raises `Forbidden`."""
    if not user and not current_user.may("accounts", ""):
        user = str(current_user.name)
    if (reason := why_not(Actor(current_user.role, current_user.name), "accounts", user)) is not None:
        raise Forbidden(reason)
    return user


@endpoint(blueprint, "GET", "/projects", cached=True, answer=list[answers.Project])
def projects() -> Any:
    """Return the projects, and what each keeps."""
    with farm().reader.record() as record:
        return questions.projects(record)


@endpoint(blueprint, "POST", "/projects", body=ProjectChange, answer=answers.ProjectSet)
def set_project(body: ProjectChange) -> Any:
    """Make a project, or change what it keeps."""
    return farm().manage("set-project", **{key: value for key, value in msgspec.to_builtins(body).items() if value is not None})


@endpoint(blueprint, "GET", "/paths", cached=True, answer=list[answers.PathVariable])
def paths() -> Any:
    """Return what path variables mean, on each platform and site."""
    with farm().reader.record() as record:
        return questions.paths(record)


@endpoint(blueprint, "POST", "/paths", body=PathChange, answer=answers.PathSet)
def set_path(body: PathChange) -> Any:
    """Say where a path variable leads to."""
    return farm().manage("set-path", **msgspec.to_builtins(body))


@endpoint(blueprint, "DELETE", "/paths/{name}", answer=answers.PathGone)
def unset_path(name: str) -> Any:
    """Forget a path variable."""
    return farm().manage("unset-path", name=name)


@endpoint(blueprint, "GET", "/keys", answer=people.Keys)
def keys() -> Any:
    """Return the keys that were admitted to the bus, and the tokens that let others in."""
    return farm().manage("keys")


@endpoint(blueprint, "DELETE", "/keys/{id}", answer=people.KeyRevoked)
def revoke_key(id: str) -> Any:
    """Revoke a key of the bus: who has it is cut off."""
    return farm().manage("revoke-key", key=id)


@endpoint(blueprint, "POST", "/join-tokens", body=NewJoinToken, answer=people.JoinTokenMade)
def join_token(body: NewJoinToken) -> Any:
    """Make a token that lets workers, managers, clients, monitors or admins join the bus; it is shown this once."""
    here = farm()
    made = here.manage("create-token", **msgspec.to_builtins(body))
    announced = str((here.folder.announced("server") or {}).get("enrolment", ""))
    where = reached_at(announced, here.server.enrolment)
    text = JoinToken(body.role, here.server.key, where, made["id"], made["secret"]).as_text()
    return {"token": text, "id": made["id"], "expires": made["expires"], "addresses": list(where)}


@endpoint(blueprint, "GET", "/job-types", cached=True, answer=list[answers.JobTypeDeclared])
def kinds() -> Any:
    """Return the job types and their settings, as they declare them."""
    kinds: list[JobType | TypeFile] = [*submitted_types().values(), *own_types().values()]
    return [
        {
            "name": kind.name,
            "label": kind.label,
            "engine": kind.engine,
            "needs_file": needs_file(kind),
            "settings": [answers.declared(setting) for setting in kind.settings if not setting.hidden],
        }
        for kind in kinds
    ]


@endpoint(blueprint, "GET", "/openapi.json", answer=dict[str, Any])
def description() -> Any:
    """Return this description."""
    return openapi()


describe(
    "GET",
    "/events",
    summary="What happens, as server-sent events without end: of each kind the ids of what changed. An event's id is the last "
    "commit's number.",
    content="text/event-stream",
)


@blueprint.get("/events")
def events() -> Response:
    """Return what happens, as server-sent events: of each kind the ids of what changed."""
    told = farm().stream.listen(_listener_gone(), user_name())
    if told is None:
        return Response("Too many pages listen: try again soon", status=503, headers={"Retry-After": "10"})
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return Response(told, mimetype="text/event-stream", headers=headers)


def _listener_gone() -> Callable[[], bool]:
    """Return what tells whether the reader of the answer to this request is gone, or is not let in any more."""
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    environ = request.environ
    disconnected = environ.get("waitress.client_disconnected")
    looked = time.monotonic()

    def gone() -> bool:
        nonlocal looked
        if disconnected is not None and disconnected():
            return True
        if time.monotonic() - looked < _LOOK_AGAIN_SECONDS:
            return False
        looked = time.monotonic()
        return not still_signed_in(app, environ)

    return gone
