"""A farm over HTTP, by the JSON API of its dashboard (docs/howto/curl.rst): with its address and a token alone."""

import http.client
import json
import secrets
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from brender.api.connection import Bytes, Change, Notify, unseen
from brender.api.jobspec import check_facts, chosen_configuration, kind_of_render
from brender.api.options import DEFAULTS, job_type_of, render_options
from brender.blendfile.facts import inspect
from brender.blendfile.packing import packed
from brender.jobs.blender_still import PIECES
from brender.model.answers import WHY_WORKER
from brender.model.errors import BadInput, BrenderError, Forbidden, NotFound, Unreachable, from_code
from brender.model.paths import BUILT_IN

_SECONDS, _SUBMIT_SECONDS = 30.0, 600.0
_PAGE = 1000
_BLOCK = 2**20
_UNAUTHORIZED = 401
_OF_NODES = frozenset(("drain", "enable", "disable", "restart"))
#: Where each question is answered, below the API's address; what is left of its arguments stands after the ``?``.
_PATHS = {
    "job": "/jobs/{id}",
    "parts": "/jobs/{job}/parts",
    "attempts": "/jobs/{job}/attempts",
    "log": "/jobs/{job}/log",
    "graph": "/jobs/{id}/graph",
    "workers": "/workers",
    "managers": "/managers",
    WHY_WORKER: "/workers/{id}/why",
    "accounts": "/accounts",
    "paths": "/paths",
    "projects": "/projects",
    "about": "/about",
}


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows nowhere: the token is for the named address alone."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class Http:
    """A connection to the farm whose dashboard is at *address*, such as ``http://farm:8888``, as whom the *token* says
    (`brender.api.connection.Connection`)."""

    def __init__(self, address: str, token: str) -> None:
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadInput(f"{address!r} is not the address of a farm's page: write one such as http://farm:8888")
        self.address = address.rstrip("/")
        self._token = token
        self._opener = urllib.request.build_opener(_NoRedirect)

    def ask(self, question: str, **arguments: Any) -> Any:
        if question == "jobs":
            return self._jobs(**arguments)
        if question not in _PATHS:
            raise BadInput(f"The question {question!r} is not answered over HTTP")
        path = _PATHS[question]
        inside = {name: value for name, value in arguments.items() if "{" + name + "}" in path}
        rest = {
            name: value for name, value in arguments.items() if name not in inside and name != "by" and value not in (None, "")
        }
        if question == "accounts" and "by" in arguments:
            rest["by"] = arguments["by"]
        told = self._json(path.format_map({name: quote(str(value), safe="") for name, value in inside.items()}), rest)
        return told["why"] if question == WHY_WORKER else told

    def act(self, action: str, target: str, value: Any = None) -> dict[str, Any]:
        if action == "edit":
            return dict(self._json(f"/jobs/{quote(target, safe='')}/edit", body=value))
        kind = "nodes" if action in _OF_NODES else "jobs"
        return dict(self._json(f"/{kind}/{quote(target, safe='')}/actions/{action}", body={"value": value}))

    def submit(self, file: Path | None, options: Mapping[str, Any], notify: Notify, progress: Bytes) -> dict[str, Any]:
        if options.get("addons") or options.get("no_site_addons"):
            raise BadInput("A job's own add-ons are sent over the bus alone: join the farm (`brender join`), or leave them out")
        render, given = render_options(options), DEFAULTS | dict(options)
        kind, settings = job_type_of(options), _settings(render) | dict(options.get("settings", {}))
        body: dict[str, Any] = {name: given[name] for name in DEFAULTS} | {"name": render["name"] or ""}
        body["after"] = [{"job": job} for job in given.get("after", ())]
        body["after"] += [{"job": job, "by_frame": True} for job in given.get("after_frames", ())]
        body |= {"start_at": given.get("start_at", ""), "output": str(render["output"] or ""), "overwrite": render["overwrite"]}
        if command := options.get("command"):
            settings |= {"program": command[0], "arguments": list(command[1:])}
        if file is not None:
            if kind == "blender-still":
                settings.setdefault("pieces", PIECES)
            kind, settings = kind_of_render(kind, settings, render["progressive"])
            check_facts(inspect(file), render)
            upload, main = self._upload(file, settings, progress)
            body |= {"source": {"upload": upload, "file": main}, "trusted": render["trusted"], "allow_missing": True}
        told = self._json("/jobs", body=body | {"job_type": kind, "settings": settings}, seconds=_SUBMIT_SECONDS)
        return dict(told)

    def fetch(self, job: str, part: int, target: Path, progress: Bytes = unseen, file: int = 0) -> None:
        if file:
            raise NotFound("A frame's further files are not served over HTTP: join the farm (`brender join`)")
        beginning = target.with_name(f".brender-{target.name}.part")
        with self._open(f"/jobs/{quote(job, safe='')}/frames/{part}") as answer, beginning.open("wb") as written:
            total, have = int(answer.headers.get("Content-Length") or 0), 0
            while block := _read(answer, self.address):
                have += written.write(block)
                progress(have, total)
        if have < total:
            raise Unreachable(f"{self.address} sent {have} of {total} bytes of {target.name}. Fetch it again")
        beginning.replace(target)

    def changes(self, timeout: float | None) -> Iterator[Change]:
        # (The server says something every quarter of a minute, whether anything changes or not.)
        answer = self._open("/events", seconds=60.0 if timeout is None else timeout)
        return _told(answer, self.address, timeout)

    def close(self) -> None:
        """Each request had a connection of its own."""

    def _jobs(self, limit: int, offset: int = 0, **chosen: Any) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        while len(rows) < limit:
            wanted = min(_PAGE, limit - len(rows))
            page = self._json("/jobs", {"start": offset + len(rows), "length": wanted, **chosen})["rows"]
            rows += page
            if len(page) < wanted:
                break
        return rows

    def _upload(self, file: Path, settings: dict[str, Any], progress: Bytes) -> tuple[str, str]:
        """Upload *file* and all that it needs; returns the upload's id, and what the .blend is called in it. Raises
        `BrenderError`."""
        ocio = chosen_configuration(settings.pop("ocio", None))
        if ocio and not ocio.startswith(BUILT_IN):
            raise BadInput(
                'An OpenColorIO configuration that is a file travels over the bus alone: give ocio="none", or one of '
                "OpenColorIO's own"
            )
        settings |= {"ocio": ocio} if ocio else {}
        with packed(file, configuration=ocio) as pack:
            body = _Multipart(pack.files, progress)
            headers = {"Content-Type": body.kind, "Content-Length": str(body.size)}
            with self._open("/uploads", data=body, headers=headers, seconds=_SUBMIT_SECONDS) as answer:
                return json.loads(_read(answer, self.address, whole=True))["upload"], pack.main

    def _json(self, path: str, query: Mapping[str, Any] | None = None, body: Any = None, seconds: float = _SECONDS) -> Any:
        data = None if body is None else json.dumps(body).encode()
        where = f"{path}?{urlencode(query)}" if query else path
        headers = {} if data is None else {"Content-Type": "application/json"}
        with self._open(where, data=data, headers=headers, seconds=seconds) as answer:
            content = _read(answer, self.address, whole=True)
        try:
            return json.loads(content)
        except ValueError as error:
            raise BrenderError(f"What answers at {self.address} is not a farm's page: it sent no JSON") from error

    def _open(
        self, path: str, data: Any = None, headers: Mapping[str, str] | None = None, seconds: float = _SECONDS
    ) -> http.client.HTTPResponse:
        """Return the answer to a request. Raises what the farm says is wrong, or `Unreachable`."""
        shown = {"Authorization": f"Bearer {self._token}", **(headers or {})}
        request = urllib.request.Request(f"{self.address}/api/v1{path}", data=data, headers=shown)
        try:
            answer: http.client.HTTPResponse = self._opener.open(request, timeout=seconds)
            return answer
        except urllib.error.HTTPError as error:
            raise _problem(error, self.address) from error
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, ssl.SSLCertVerificationError):
                raise Unreachable(
                    f"The certificate of {self.address} is not trusted here ({reason.verify_message}). Where it is the "
                    "studio's own, name the file of its authority in the environment: SSL_CERT_FILE=ca.pem"
                ) from error
            raise Unreachable(
                f"The farm's page at {self.address} does not answer ({reason}). Is the address right, and does it run?"
            ) from error


class _Multipart:
    """The *files*, each under its path, as the body of a request, read as it is sent. *progress* hears of the bytes."""

    def __init__(self, files: Mapping[str, Path], progress: Bytes) -> None:
        self._boundary = secrets.token_hex(16)
        self._files, self._progress = files, progress
        self.kind = f"multipart/form-data; boundary={self._boundary}"
        try:
            self._sizes = {name: path.stat().st_size for name, path in files.items()}
        except OSError as error:
            raise BadInput(f"{error.filename} cannot be read: {error.strerror}") from error
        self.size = sum(len(self._head(name)) + size + 2 for name, size in self._sizes.items()) + len(self._boundary) + 6

    def _head(self, name: str) -> bytes:
        called = name.replace("%", "%25").replace('"', "%22") if '"' in name else name
        return f'--{self._boundary}\r\nContent-Disposition: form-data; name="files"; filename="{called}"\r\n\r\n'.encode()

    def __iter__(self) -> Iterator[bytes]:
        done, total = 0, sum(self._sizes.values())
        for name, path in self._files.items():
            yield self._head(name)
            left = self._sizes[name]
            with path.open("rb") as opened:
                while left and (block := opened.read(min(_BLOCK, left))):
                    left -= len(block)
                    done += len(block)
                    yield block
                    self._progress(done, total)
            if left:
                raise BadInput(f"{path} was changed while it was sent: submit again")
            yield b"\r\n"
        yield f"--{self._boundary}--\r\n".encode()


def _settings(render: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of the options of a *render* are settings of its job type."""
    apart = ("name", "output", "overwrite", "addons", "allow_missing", "trusted", "no_site_addons", "progressive")
    given = {name: value for name, value in render.items() if name not in apart and value not in (None, ())}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}


def _read(answer: http.client.HTTPResponse, address: str, whole: bool = False) -> bytes:
    try:
        return answer.read() if whole else answer.read(_BLOCK)
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(f"The farm's page at {address} stopped in the middle of an answer. Try again") from error


def _problem(error: urllib.error.HTTPError, address: str) -> BrenderError:
    """Return what the farm at *address* says is wrong, in its words where it has some."""
    try:
        told = json.loads(error.read())
        said, code = str(told["error"]), str(told["code"])
    except (ValueError, KeyError, TypeError, OSError):
        if error.code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return BrenderError(
                f"A proxy before the farm's page at {address} refuses files of this size (413). Raise its limit: in nginx, "
                "`client_max_body_size 0;` (`brender docs proxy`)"
            )
        return BrenderError(f"{address} answers {error.code} {error.reason}: is it a farm's page?")
    return Forbidden(said) if error.code == _UNAUTHORIZED else from_code(code, said)


def _told(answer: http.client.HTTPResponse, address: str, timeout: float | None) -> Iterator[Change]:
    number = 0
    with answer:
        while True:
            try:
                line = answer.readline().decode().rstrip("\n")
            except TimeoutError:
                if timeout is not None:
                    return
                raise Unreachable(f"The farm's page at {address} has fallen silent") from None
            except (OSError, http.client.HTTPException) as error:
                raise Unreachable(f"The farm's page at {address} stopped telling what changes: {error}") from error
            if not line and answer.closed:
                raise Unreachable(f"The farm's page at {address} stopped telling what changes")
            if line.startswith("id: "):
                number = int(line[4:])
            elif line.startswith("data: "):
                for kind, ids in json.loads(line[6:]).items():
                    yield from (Change(kind, str(id), number) for id in ids)
