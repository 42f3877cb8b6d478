"""The dashboard's Flask application: pages that show, a JSON API that the pages' scripts and others use, actions that go over
the bus.

It owns nothing: everything shown comes from the server's database and data folder, through one reader.
"""

import re
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Response, jsonify, redirect, render_template, request, url_for
from flask_login import current_user
from flask_wtf import CSRFProtect
from flask_wtf.csrf import validate_csrf
from werkzeug.exceptions import BadRequest, HTTPException
from werkzeug.wrappers import Response as AnyResponse
from wtforms import ValidationError

from brender import __version__
from brender.bus.address import ServerAddresses, is_loopback
from brender.bus.keys import KeyPair
from brender.model.errors import BrenderError
from brender.model.job import MISSING_FILE
from brender.model.symptoms import SYMPTOMS
from brender.store.datafolder import DataFolder
from brender.store.reader import Reader
from brender.system import manual
from dashboard import device_sign_in, pages, people, pictures
from dashboard.endpoint import PREFIX
from dashboard.farm import Farm, Settings
from dashboard.frame_files import FrameFiles
from dashboard.pulse import Pulse
from dashboard.stream import Stream
from dashboard.uploads import Uploads
from dashboard.v1 import edits, jobs, nodes, submitting
from dashboard.v1 import farm as farm_api
from dashboard.v1 import files as files_api
from dashboard.v1 import people as people_api

_STATUS = {"bad-input": 400, "forbidden": 403, "not-found": 404, "conflict": 409, "unreachable": 503, "paused": 503}
_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
#: The documentation's pages have styles in them, and pictures that move by such.
_DOCS_POLICY = f"{_POLICY}; style-src 'self' 'unsafe-inline'; font-src 'self' data:"
_LOOPBACK_NAMES = {"localhost", "brender-dashboard"}
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[\w.-]+)(:\d+)?")
_CHANGES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
#: Pages that may be seen before signing in.
_OPEN = frozenset({"static", "pages.docs", "people.login", "people.setup", "people.look_around"})
#: Requests of programs that are not signed in yet. A forged one does no harm: they change nothing of any user.
_OPEN_TO_PROGRAMS = device_sign_in.OPEN
_BODY_BYTES, _UPLOAD_BYTES = 2**20, 2**40
_STAY_DAYS = 30
_STATIC_SECONDS = 365 * 86_400
#: Characters that would turn around the letters after them.
_TURNING = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)])


def create_app(
    folder: DataFolder,
    server: ServerAddresses,
    pair: KeyPair,
    database: str = "",
    settings: Settings | None = None,
    secret: bytes = b"",
) -> Flask:
    """Return the application for the farm whose data is in *folder* and whose *server* is asked with the key *pair*.
    *secret* signs sessions."""
    chosen = settings or Settings()
    app = Flask("dashboard", root_path=str(files("dashboard")))
    app.config.update(
        SECRET_KEY=secret,
        MAX_CONTENT_LENGTH=_BODY_BYTES,
        UPLOAD_LENGTH=_UPLOAD_BYTES,
        SESSION_COOKIE_NAME="brender",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=chosen.secure,
        REMEMBER_COOKIE_NAME="brender-stay",
        REMEMBER_COOKIE_HTTPONLY=True,
        REMEMBER_COOKIE_SAMESITE="Lax",
        REMEMBER_COOKIE_SECURE=chosen.secure,
        REMEMBER_COOKIE_DURATION=timedelta(days=_STAY_DAYS),
        WTF_CSRF_CHECK_DEFAULT=False,
        WTF_CSRF_TIME_LIMIT=None,
        WTF_CSRF_SSL_STRICT=False,
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]
    uploads = Uploads(folder.root / "uploads", chosen.upload_quota, chosen.upload_total, chosen.keep_free)
    stream = Stream(server, pair)
    pulse = Pulse(server, pair, stream.tell_of_server)
    reader = Reader(folder, database, pulse)
    found = FrameFiles(reader, server, pair, folder.root / "fetched", pulse)
    app.extensions["brender"] = Farm(reader, server, pair, folder, stream, pulse, uploads, found, chosen)
    csrf = CSRFProtect(app)
    people.install(app)
    app.register_blueprint(pages.blueprint)
    app.register_blueprint(device_sign_in.page)
    app.register_blueprint(pictures.blueprint)
    app.register_blueprint(pictures.blueprint, url_prefix=PREFIX, name="v1-pictures")
    for each in (jobs, edits, nodes, people_api, files_api, submitting, farm_api, device_sign_in):
        app.register_blueprint(each.blueprint, url_prefix=PREFIX)
    words = {"version": __version__, "missing_file": MISSING_FILE}
    app.jinja_env.globals.update(words, symptoms=SYMPTOMS if manual.has_manual() else {})
    app.jinja_env.finalize = _readable
    _keep_static_files(app)
    _guard(app, csrf, chosen)
    _explain(app)
    return app


def _readable(value: object) -> object:
    """Return what a page shows of *value*: a text without what would turn its reading around."""
    return value.translate(_TURNING) if type(value) is str else value


def _keep_static_files(app: Flask) -> None:
    """Let browsers keep scripts and styles without asking again: another version of a file has another address."""
    folder = Path(str(app.static_folder))

    @app.url_defaults
    def name_version(endpoint: str, values: dict[str, Any]) -> None:
        if endpoint == "static":
            stat = (folder / values["filename"]).stat()
            values["v"] = f"{stat.st_mtime_ns:x}-{stat.st_size:x}"

    @app.after_request
    def keep(response: Response) -> Response:
        if request.endpoint == "static" and "v" in request.args and response.status_code == 200:
            response.headers["Cache-Control"] = f"public, max-age={_STATIC_SECONDS}, immutable"
        return response


def _guard(app: Flask, csrf: CSRFProtect, settings: Settings) -> None:
    @app.before_request
    def only_who_may() -> AnyResponse | None:
        """Refuse foreign host names (DNS rebinding), people who have not signed in, and changes that another site's page sends
        through a signed-in browser. Programs with a token have no browser to be led astray."""
        if settings.loopback_only and not _is_own_name(request.host, settings.public_url):
            return _problem(f"This dashboard is not called {request.host!r}; use its address, such as 127.0.0.1", 421)
        by_token = request.headers.get("Authorization", "").lower().startswith("bearer ")
        if request.endpoint in _OPEN_TO_PROGRAMS:
            return None
        if request.endpoint not in _OPEN and not current_user.is_authenticated:
            if request.path.startswith(PREFIX) or by_token:
                return _problem("Sign in first, or show a token (Authorization: Bearer …)", 401)
            wanted = request.full_path if request.query_string else request.path
            return redirect(url_for("people.login", next=wanted))
        if request.method in _CHANGES and not by_token:
            shown = request.headers.get("X-CSRFToken")
            if shown is None:
                csrf.protect()
            else:
                _check_token(shown)
        return None

    @app.after_request
    def keep_safe(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = _DOCS_POLICY if request.endpoint == "pages.docs" else _POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "same-origin"
        response.headers.setdefault("Cache-Control", "private, no-cache")
        return response


def _check_token(shown: str) -> None:
    """Raises `BadRequest` where *shown* is not the page's own token. Unlike `CSRFProtect.protect` without reading the body,
    which may be a large upload of somebody who may not."""
    try:
        validate_csrf(shown)
    except ValidationError as error:
        raise BadRequest(f"This page is too old, or not of this dashboard: load it again ({error})") from error


def _is_drawn() -> bool:
    """Return whether a page can be drawn: not where whom it is for cannot be found out, as with a token that is not valid."""
    try:
        return current_user.is_authenticated is not None
    except (BrenderError, HTTPException):
        return False


def _explain(app: Flask) -> None:
    @app.errorhandler(BrenderError)
    def explain(error: BrenderError) -> Any:
        return _told(str(error), error.code, _STATUS.get(error.code, 500))

    @app.errorhandler(HTTPException)
    def explain_http(error: HTTPException) -> Any:
        status = error.code or 500
        messages = {404: "There is no such page", 405: "That cannot be done here", 413: "That is too much at once"}
        # Where a sentence of our own was given, it says more.
        own = error.description if error.description != type(error).description else None
        code = getattr(error, "said_code", str(status))
        told = _told(own or messages.get(status, error.description or error.name), code, status)
        told.headers.update({name: value for name, value in error.get_headers() if name in ("Allow", "Retry-After")})
        return told

    def _told(message: str, code: str, status: int) -> Response:
        if request.path.startswith("/api/") or not _is_drawn():
            return _problem(message, status, code)
        return Response(render_template("problem.html", message=message), status=status)


def _is_own_name(host: str, public_url: str) -> bool:
    """Return whether *host* (with or without a port) is a name of this machine's loopback, or the one in *public_url*."""
    name = (urlsplit(f"//{host}").hostname or "") if _HOST.fullmatch(host) else ""
    return name in _LOOPBACK_NAMES or is_loopback(name) or (name != "" and name == urlsplit(public_url).hostname)


def _problem(message: str, status: int, code: str = "") -> Response:
    response = jsonify(error=message, code=code or str(status))
    response.status_code = status
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response
