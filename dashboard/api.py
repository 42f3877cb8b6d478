"""The JSON that the pages' scripts read, the files that they show, and the actions that they send."""

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, current_app, jsonify, request, send_file

from brender.bus.address import ServerAddresses
from brender.bus.client import Client
from brender.bus.keys import KeyPair
from brender.model.errors import BadInput, NotFound
from brender.store import questions
from brender.store.reader import Reader

blueprint = Blueprint("api", __name__)

_ACTIONS = ("pause", "resume", "cancel", "requeue", "priority", "readmit")
_NODE_ACTIONS = ("drain", "disable", "enable")
#: Formats that browsers show; the others are handed over as files.
_SHOWN = {".png", ".jpg", ".webp", ".bmp"}
_ACTION_SECONDS = 5.0


@dataclass(frozen=True)
class Farm:
    """What the application knows of the farm: how to read it, and where to send actions."""

    reader: Reader
    server: ServerAddresses
    pair: KeyPair


def farm() -> Farm:
    found: Farm = current_app.extensions["brender"]
    return found


@blueprint.get("/api/jobs")
def jobs() -> Response:
    with farm().reader.record() as record:
        return jsonify(questions.jobs(record))


@blueprint.get("/api/jobs/<id>")
def job(id: str) -> Response:
    """The job, and those of its parts that changed after the commit ``since``."""
    since = request.args.get("since", -1, type=int)
    with farm().reader.record() as record:
        # Read first: what is committed meanwhile comes again with the next question, and nothing is missed.
        change = questions.change(record)
        return jsonify(job=questions.job(record, id), parts=questions.parts(record, id, since), change=change)


@blueprint.get("/api/jobs/<id>/attempts")
def attempts(id: str) -> Response:
    with farm().reader.record() as record:
        return jsonify(questions.attempts(record, id, request.args.get("frame", type=int)))


@blueprint.get("/api/jobs/<id>/log")
def log(id: str) -> Response:
    """The end of the log of ``attempt``, of the newest attempt at ``frame``, or of the job's newest."""
    with farm().reader.record() as record:
        return jsonify(questions.log(record, id, request.args.get("frame", type=int), request.args.get("attempt", "")))


@blueprint.post("/api/jobs/<id>/<action>")
def act(id: str, action: str) -> Response:
    """Ask the server to ``pause``, ``resume``, ``cancel``, ``requeue`` or change the ``priority`` of a job, or to ``readmit``
    workers to it; the body is ``{"value": …}`` where the action takes one."""
    _check_action(action, _ACTIONS)
    body: Any = request.get_json(silent=True) if request.data else {}
    if not isinstance(body, dict):
        raise BadInput('The body must be a JSON object, such as {"value": 60}')
    value = body.get("value")
    if value is not None and type(value) not in (int, str):
        raise BadInput(f"The value {value!r} is neither a number nor a text")
    with Client(farm().server, farm().pair, _ACTION_SECONDS) as client:
        return jsonify(client.act(action, id, value, user="dashboard"))


@blueprint.post("/api/nodes/<id>/<action>")
def act_on_node(id: str, action: str) -> Response:
    """Ask the server to ``drain``, ``disable`` or ``enable`` a worker or manager."""
    _check_action(action, _NODE_ACTIONS)
    with Client(farm().server, farm().pair, _ACTION_SECONDS) as client:
        return jsonify(client.act(action, id, user="dashboard"))


@blueprint.get("/api/about")
def about() -> Response:
    """The server's software, its last commit, and its trouble, if it has any."""
    with farm().reader.record() as record:
        return jsonify(questions.about(record))


@blueprint.get("/api/workers")
def workers() -> Response:
    with farm().reader.record() as record:
        return jsonify(questions.workers(record))


@blueprint.get("/api/managers")
def managers() -> Response:
    with farm().reader.record() as record:
        return jsonify(questions.managers(record))


@blueprint.get("/api/activity")
def activity() -> Response:
    with farm().reader.record() as record:
        return jsonify(questions.activity(record, job=request.args.get("job", ""), limit=500))


@blueprint.get("/jobs/<id>/thumbnails/<int:part>")
def thumbnail(id: str, part: int) -> Response:
    reader = farm().reader
    with reader.record() as record:
        row = record.tables.Part.get_or_none(id=part, job=questions.job_id(record, id))
        path = reader.folder.thumbnail(row.attempt, part) if row is not None and row.attempt else None
    if path is None or not path.is_file():
        raise NotFound("There is no small picture of that frame")
    return send_file(path, mimetype="image/jpeg", max_age=86400)


@blueprint.get("/jobs/<id>/frames/<int:part>")
def frame(id: str, part: int) -> Response:
    """The frame's own file, as it was rendered."""
    reader = farm().reader
    with reader.record() as record:
        path = reader.frame_file(record, questions.job_id(record, id), part)
    return send_file(path, as_attachment=path.suffix.lower() not in _SHOWN)


def _check_action(action: str, known: tuple[str, ...]) -> None:
    if action not in known:
        raise NotFound(f"There is no action {action!r}; there are: {', '.join(known)}")
