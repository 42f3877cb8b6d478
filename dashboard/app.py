"""The dashboard's Flask application: pages that show, a JSON API that the pages' scripts read, actions that go over the bus.

It owns nothing: everything shown comes from the server's database and data folder, through one reader.
"""

from importlib.resources import files

from flask import Flask, Response, jsonify, render_template, request
from werkzeug.exceptions import HTTPException

from brender import __version__
from brender.bus.address import ServerAddresses
from brender.bus.keys import KeyPair
from brender.model.errors import BrenderError
from brender.store.datafolder import DataFolder
from brender.store.reader import Reader
from dashboard import api, pages

_STATUS = {"bad-input": 400, "not-found": 404, "conflict": 409, "unreachable": 503}
_POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_LOOPBACK_NAMES = {"localhost", "brender-dashboard", "::1"}


def create_app(folder: DataFolder, server: ServerAddresses, pair: KeyPair, database: str = "") -> Flask:
    """The application for the farm whose data is in *folder* and whose *server* is asked with the key *pair*."""
    here = str(files("dashboard"))
    app = Flask("dashboard", root_path=here)
    app.config["MAX_CONTENT_LENGTH"] = 1024 * 1024
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.extensions["brender"] = api.Farm(Reader(folder, database), server, pair)
    app.register_blueprint(pages.blueprint)
    app.register_blueprint(api.blueprint)
    app.jinja_env.globals["version"] = __version__

    @app.before_request
    def only_from_here() -> Response | None:
        """Refuse what another site's page sends through the reader's browser: foreign host names (DNS rebinding), and changes
        without the header that only our own scripts can set."""
        host = request.host.rpartition(":")[0].strip("[]") if ":" in request.host else request.host
        if not (host.startswith("127.") or host in _LOOPBACK_NAMES):
            return _problem(f"This dashboard is not called {host!r}; use its address, such as 127.0.0.1", 421)
        if request.method not in ("GET", "HEAD", "OPTIONS") and request.headers.get("X-Brender") != "1":
            return _problem("A change needs the header X-Brender: 1", 403)
        return None

    @app.after_request
    def guard(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = _POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "same-origin"
        return response

    @app.errorhandler(BrenderError)
    def explain(error: BrenderError) -> tuple[Response | str, int]:
        status = _STATUS.get(error.code, 500)
        if request.path.startswith("/api/"):
            return jsonify(error=str(error), code=error.code), status
        return render_template("problem.html", message=str(error)), status

    @app.errorhandler(HTTPException)
    def explain_http(error: HTTPException) -> tuple[Response | str, int]:
        status = error.code or 500
        message = {404: "There is no such page", 405: "That cannot be done here"}.get(status, error.description or error.name)
        if request.path.startswith("/api/"):
            return jsonify(error=message, code=str(status)), status
        return render_template("problem.html", message=message), status

    return app


def _problem(message: str, status: int) -> Response:
    response = jsonify(error=message, code=str(status))
    response.status_code = status
    return response
