"""A farm over HTTP, by the JSON API of its dashboard (docs/howto/curl.rst): with its address and a token alone."""

import http.client
import json
import secrets
import ssl
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from brender.api.connection import Again, Bytes, Change, Notify, unseen
from brender.api.job_types import check_needs_no_blend, check_said_once, with_script
from brender.api.jobspec import check_facts, chosen_configuration, kind_of_render
from brender.api.options import DEFAULTS, check_named_project, job_type_of, render_options
from brender.blendfile.facts import inspect
from brender.blendfile.packing import packed
from brender.engines.addon_archive import PackedAddOn, packed_addons
from brender.engines.ocio import configuration_to_send
from brender.jobs.blender_still import PIECES
from brender.jobs.declare import job_types
from brender.model.answers import WHY_QUEUED, WHY_WORKER
from brender.model.errors import BadInput, BrenderError, Forbidden, Unreachable, from_code
from brender.model.text import read_size

_SECONDS, _SUBMIT_SECONDS = 30.0, 600.0
_PAGE = 1000
_BLOCK = 2**20
_UNAUTHORIZED = 401
#: The words of a server about a part of a request that it does not know.
_UNKNOWN = "unknown field"
#: Where add-ons lie in an upload.
_ADDONS = "_addons"
_OF_NODES = frozenset(
    ("drain", "enable", "disable", "restart", "sleep", "wake", "forget", "tags", "note", "schedule", "give-back")
)
#: The dashboard's names for the first row and the number of rows of a page.
_PAGED = {"offset": "start", "limit": "length"}
#: Where each question is answered, below the API's address; what is left of its arguments stands after the ``?``.
_PATHS = {
    "job": "/jobs/{id}",
    "parts": "/jobs/{job}/parts",
    "attempts": "/jobs/{job}/attempts",
    "tasks": "/jobs/{job}/tasks",
    "activity": "/activity",
    "log": "/jobs/{job}/log",
    "graph": "/jobs/{id}/graph",
    "workers": "/workers",
    "managers": "/managers",
    "why": "/jobs/{job}/why",
    WHY_WORKER: "/workers/{id}/why",
    WHY_QUEUED: "/jobs/{id}/why",
    "accounts": "/accounts",
    "shares": "/shares",
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

    refusal_is_final = False

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
            _PAGED.get(name, name): value
            for name, value in arguments.items()
            if name not in inside and name != "by" and value not in (None, "")
        }
        if question == "accounts" and "by" in arguments:
            rest["by"] = arguments["by"]
        told = self._json(path.format_map({name: quote(str(value), safe="") for name, value in inside.items()}), rest)
        if question == WHY_QUEUED:
            return told["queued"]
        return told["why"] if question in ("why", WHY_WORKER) else told

    def act(self, action: str, target: str, value: Any = None) -> dict[str, Any]:
        if action == "edit":
            return dict(self._json(f"/jobs/{quote(target, safe='')}/edit", body=value))
        if action == "when":
            return dict(
                self._json(f"/jobs/{quote(target, safe='')}/beginning", body=value | {"start_at": _moment(value["start_at"])})
            )
        kind = "nodes" if action in _OF_NODES else "jobs"
        return dict(self._json(f"/{kind}/{quote(target, safe='')}/actions/{action}", body={"value": value}))

    def submit(self, file: Path | None, options: Mapping[str, Any], notify: Notify, progress: Bytes) -> dict[str, Any]:
        render, given = render_options(options), DEFAULTS | dict(options)
        if isinstance(given["gpu_memory"], str):
            given["gpu_memory"] = read_size(given["gpu_memory"])
        check_named_project(self, given["project"], options)
        check_said_once(render, options.get("settings", {}))
        kind, settings = job_type_of(options), _settings(render) | dict(options.get("settings", {}))
        # (A server of an earlier version knows nothing of what is newer: what is not said is not sent.)
        body: dict[str, Any] = {name: given[name] for name, usual in DEFAULTS.items() if given[name] != usual}
        body |= {name: render[name] for name in ("name", "overwrite") if render[name]}
        body["after"] = [{"job": job} for job in given.get("after", ())]
        body["after"] += [{"job": job, "by_frame": True} for job in given.get("after_frames", ())]
        body |= {"start_at": given.get("start_at", ""), "output": str(render["output"] or "")}
        body |= {"site_addons": False} if render["no_site_addons"] else {}
        if command := options.get("command"):
            settings |= {"program": command[0], "arguments": list(command[1:])}
        if file is not None:
            if kind == "blender-still":
                settings.setdefault("pieces", PIECES)
            kind, settings = kind_of_render(kind, settings, render["progressive"])
            check_facts(inspect(file), render)
            with packed_addons([Path(each) for each in render["addons"]]) as addons:
                upload, main = self._upload(file, settings, addons, progress)
            body |= {"addons": [_place_of(each) for each in addons]} if addons else {}
            body |= {"source": {"upload": upload, "file": main}, "trusted": render["trusted"], "allow_missing": True}
            settings = with_script(settings) if kind == "script" else settings
        else:
            known = job_types().get(kind)  # (of a type that this machine does not know, the farm says it)
            check_needs_no_blend(render, kind, known.engine if known is not None else "blender")
        try:
            return dict(self._json("/jobs", body=body | {"job_type": kind, "settings": settings}, seconds=_SUBMIT_SECONDS))
        except BadInput as error:
            if _UNKNOWN not in str(error):
                raise
            raise BadInput(
                f"The farm at {self.address} is of an earlier brender, and does not know all of it: {error}"
            ) from error

    def clone(self, record: Mapping[str, Any], again: Again) -> dict[str, Any]:
        body = {name: value for name, value in msgspec.to_builtins(again.change).items() if value is not None}
        body |= msgspec.to_builtins(again.beginning) | {"start_at": _moment(again.beginning.start_at), "output": again.output}
        del body["from_now_on"]
        body |= {"overwrite": again.overwrite, "paused": again.paused}
        return dict(self._json(f"/jobs/{quote(record['id'], safe='')}/clone", body=body, seconds=_SUBMIT_SECONDS))

    def fetch(self, job: str, part: int, target: Path, progress: Bytes = unseen, file: int = 0) -> None:
        further = f"/files/{file}" if file else ""
        beginning = target.with_name(f".brender-{target.name}.part")
        with self._open(f"/jobs/{quote(job, safe='')}/frames/{part}{further}") as answer, beginning.open("wb") as written:
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

    def _upload(self, file: Path, settings: dict[str, Any], addons: Sequence[PackedAddOn], progress: Bytes) -> tuple[str, str]:
        """Upload *file* and all that it needs, with its *addons* and its OCIO configuration, which *settings* name as it is
        called there; returns the upload's id, and what the .blend is called in it. Raises `BrenderError`."""
        ocio = chosen_configuration(settings.pop("ocio", None))
        with packed(file, configuration=ocio) as pack, tempfile.TemporaryDirectory() as folder:
            configuration, added = configuration_to_send(ocio, Path(folder))
            settings |= {"ocio": configuration} if configuration else {}
            added |= {_place_of(each): each.blob for each in addons}
            body = _Multipart(pack.files | added, progress)
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


def _moment(start_at: float) -> str:
    """Return the time *start_at*, in seconds since the epoch, as any server reads it; "" for 0."""
    return datetime.fromtimestamp(start_at, UTC).isoformat() if start_at else ""


def _place_of(addon: PackedAddOn) -> str:
    """Return where *addon* lies in an upload."""
    return f"{_ADDONS}/{addon.addon.module}.zip"


def _settings(render: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of the options of a *render* are settings of its job type."""
    apart = ("name", "output", "overwrite", "addons", "allow_missing", "trusted", "no_site_addons", "progressive")
    given = {name: value for name, value in render.items() if name not in apart and value not in (None, ())}
    said = {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}
    return {name: str(value) if isinstance(value, Path) else value for name, value in said.items()}


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
                raise Unreachable(f"The farm's page at {address} sends no more changes: {error}") from error
            if not line and answer.closed:
                raise Unreachable(f"The farm's page at {address} sends no more changes")
            if line.startswith("id: "):
                number = int(line[4:])
            elif line.startswith("data: "):
                for kind, ids in json.loads(line[6:]).items():
                    yield from (Change(kind, str(id), number) for id in ids)
