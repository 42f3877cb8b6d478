"""A dashboard for tests: its application without a server around it, with users who have signed in."""

import contextlib
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import msgspec
import pytest
from flask import Flask, Response, request
from playwright.sync_api import Page
from werkzeug.security import generate_password_hash
from werkzeug.test import TestResponse

from brender.bus.address import Address, ServerAddresses, free_ports
from brender.bus.client import Client
from brender.bus.ids import new_id
from brender.bus.keys import KeyPair, new_pair
from brender.bus.messages import Ask, Sorry
from brender.commands.localfarm import LocalFarm
from brender.commands.options import client
from brender.model.answers import OF_THE_SCHEDULER
from brender.model.errors import from_code
from brender.model.keys import KeyRole
from brender.store.database import open_for_writing
from brender.store.datafolder import DataFolder
from brender.store.writer import Writer
from dashboard.app import create_app
from dashboard.endpoint import declared_answer
from dashboard.farm import Settings
from dashboard.serve import Dashboard
from tests.rows import put
from tests.world import World

PASSWORD = "correct horse"
#: Made once, since that takes long; with few rounds, since it is only for tests.
HASH = generate_password_hash(PASSWORD, "pbkdf2:sha256:1000")
ROLES = {"vera": "viewer", "anna": "artist", "walt": "wrangler", "boss": "admin"}


def _keep_server_files(folder: DataFolder) -> None:
    """Let *folder* be that of a server, which keeps logs and pictures there."""
    folder.server_key.parent.mkdir(parents=True, exist_ok=True)
    folder.server_key.touch()


def application(folder: DataFolder, **settings: Any) -> Flask:
    """The application over *folder*; no server runs. What it answers is held against the API's own declarations."""
    _keep_server_files(folder)
    nowhere = ServerAddresses.of(Address("127.0.0.1", free_ports(1)), key=new_pair().public)
    made = create_app(folder, nowhere, new_pair(), "", Settings(**settings), b"s" * 32)
    made.after_request(_as_declared)
    return made


def _as_declared(response: Response) -> Response:
    """Return *response*, or one that no test takes for good where it is not just what its endpoint is declared to answer."""
    declared = declared_answer(request.method, request.url_rule.rule if request.url_rule else "")
    if declared is None or response.status_code != 200 or not response.is_json:
        return response
    told = response.get_json()
    try:
        understood = msgspec.convert(told, declared)
        wrong = "" if json.loads(msgspec.json.encode(understood)) == told else "it has something else too"
    except msgspec.ValidationError as error:
        wrong = str(error)
    return Response(f"{request.path} is not answered as it is declared: {wrong}\n{told}", status=500) if wrong else response


@contextlib.contextmanager
def served(folder: DataFolder, **settings: Any) -> Iterator[Dashboard]:
    """The dashboard over *folder* on a port of its own, by its web server; no brender server runs."""
    _keep_server_files(folder)
    nowhere = ServerAddresses.of(Address("127.0.0.1", free_ports(1)), key=new_pair().public)
    made = Dashboard(folder, Address("127.0.0.1", 0), nowhere, new_pair(), "", Settings(**settings))
    serving = threading.Thread(target=made.run)
    serving.start()
    try:
        yield made
    finally:
        made.stop()
        serving.join(30)


def make_users(folder: DataFolder, **roles: str) -> None:
    """Have users in the record, with the password `PASSWORD`: one of each role, unless others are named."""
    writer = Writer(open_for_writing(str(folder.make().database)))
    chosen = roles or ROLES
    writer.commit([put("user", name, {"role": role, "password": HASH, "created": 1.0}) for name, role in chosen.items()])
    writer.database.close()


def _answered(world: World, asked: Ask) -> Any:
    if asked.question in OF_THE_SCHEDULER:
        return world.server.dispatch.why(asked.question, asked.arguments["id"])
    return world.ask(asked.question, **asked.arguments)


def serve_in_process(folder: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a server in this process, without sockets, answer what dashboards ask: its core and rounds on the database of
    *folder*."""
    world: list[World] = []

    class InProcess(Client):
        def __init__(self, server: ServerAddresses, pair: KeyPair, timeout: float = 10.0, on_behalf_of: str = "") -> None:
            self.on_behalf_of = on_behalf_of

        def close(self) -> None:
            pass

        def _request(self, message: Any) -> Any:
            if not world:
                world.append(World(database=open_for_writing(str(folder.database))))
            if isinstance(message, Ask):
                return _answered(world[0], message)
            told = world[0].request(message, KeyRole.DASHBOARD)
            if isinstance(told, Sorry):
                raise from_code(told.code, told.message)
            return told

    monkeypatch.setattr("dashboard.farm.Client", InProcess)


class Browser:
    """A signed-in user's browser, as far as the application sees it: cookies, and the token of its pages."""

    def __init__(self, app: Flask, name: str = "boss", address: str = "127.0.0.1", forwarded: str = "") -> None:
        self.app = app.test_client()
        self.app.environ_base["REMOTE_ADDR"] = address
        if forwarded:
            self.app.environ_base["HTTP_X_FORWARDED_FOR"] = forwarded
        self._token = ""
        if name:
            assert self.sign_in(name).status_code == 302

    def sign_in(self, name: str, password: str = PASSWORD, **more: Any) -> TestResponse:
        self._token = token_of(self.app.get("/login"))
        answer = self.app.post("/login", data={"name": name, "password": password, "csrf_token": self._token, **more})
        self._token = token_of(self.app.get("/account")) if answer.status_code == 302 else ""
        return answer

    def get(self, path: str, **more: Any) -> TestResponse:
        return self.app.get(path, **more)

    def post(self, path: str, body: Any = None, **more: Any) -> TestResponse:
        return self.app.post(path, json={} if body is None else body, headers={"X-CSRFToken": self._token}, **more)

    def delete(self, path: str) -> TestResponse:
        return self.app.delete(path, headers={"X-CSRFToken": self._token})

    def upload(self, into: str = "", **files: Any) -> TestResponse:
        """Upload files, each a name in the form ``a__b`` for a/b, and what it opens; *into* an upload, or as a new one."""
        given = [(stream, name) for name, stream in files.values()]
        path = f"/api/v1/uploads?upload={into}" if into else "/api/v1/uploads"
        return self.app.post(path, data={"files": given}, headers={"X-CSRFToken": self._token})


def token_of(answer: TestResponse) -> str:
    found = re.search(r'<meta name="csrf-token" content="([^"]+)"', answer.text)
    assert found is not None, answer.text[:300]
    return found.group(1)


def add_user(farm: LocalFarm, name: str, role: str) -> None:
    """Have the running *farm* know a user with the password `PASSWORD`."""
    with client(None, farm.folder.root) as connection:
        connection.manage("set-user", name=name, role=role, password=HASH)


def with_token(connection: Client) -> dict[str, str]:
    """The header by which a program of an admin's comes in at the dashboard of the farm of *connection*."""
    secret = f"brender_{new_id()}"
    connection.manage("set-user", name="program", role="admin", password=HASH)
    digest = hashlib.sha256(secret.encode()).hexdigest()
    connection.manage("create-api-token", user="program", name="tests", digest=digest)
    return {"Authorization": f"Bearer {secret}"}


def asked(url: str, connection: Client) -> Any:
    """What the JSON API at *url* answers."""
    with urlopen(Request(url, headers=with_token(connection))) as answer:
        return json.loads(answer.read())


def sign_in(page: Page, farm: LocalFarm, name: str = "boss", role: str = "admin") -> None:
    """Let *page* belong to a user of the running *farm*."""
    add_user(farm, name, role)
    sign_in_as(page, farm.dashboard_url, name)


def sign_in_as(page: Page, url: str, name: str = "boss", then: str = "") -> None:
    """Let *page* belong to the user *name* of the dashboard at *url*, and open *then* there."""
    page.goto(f"{url}login{f'?next=/{then}' if then else ''}")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{url}{then}")


def picture(path: Path, color: tuple[float, ...] = (1.0, 0.5, 0.25), size: tuple[int, int] = (8, 4)) -> Path:
    """A picture of one color at *path*."""
    import OpenImageIO as oiio

    path.parent.mkdir(parents=True, exist_ok=True)
    image = oiio.ImageBuf(oiio.ImageSpec(*size, 3, oiio.FLOAT if path.suffix == ".exr" else oiio.UINT8))
    oiio.ImageBufAlgo.fill(image, color)
    assert image.write(str(path)), image.geterror()
    return path
