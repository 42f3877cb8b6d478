"""Programs that are signed in by a code which a person confirms on a page."""

from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from brender.bus import messages as m
from brender.bus.ids import new_id
from brender.model.device_sign_in import CODE_SECONDS, code_digest, token_digest, token_of
from brender.model.keys import KeyRole
from brender.store.datafolder import DataFolder
from tests.web import Browser, application, make_users, serve_in_process
from tests.world import World


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What time it is for the dashboard: that of the server in the tests' world."""
    now = SimpleNamespace(wall=1_700_000_000.0)
    for module in ("device_sign_in", "api_tokens"):
        monkeypatch.setattr(f"dashboard.{module}.time", SimpleNamespace(time=lambda: now.wall))
    return now


@pytest.fixture
def app(folder: DataFolder, clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> Flask:
    make_users(folder)
    serve_in_process(folder, monkeypatch)
    return application(folder, public_url="https://farm.example")


@pytest.fixture
def program(app: Flask) -> Browser:
    """A program that nobody has signed in."""
    return Browser(app, "", "10.0.0.7")


def asked(program: Browser, name: str = "Blender on fred") -> dict[str, Any]:
    return dict(program.app.post("/api/v1/device/code", json={"name": name}).json)


def polled(program: Browser, codes: dict[str, Any]) -> TestResponse:
    return program.app.post("/api/v1/device/token", json={"device_code": codes["device_code"]})


def answered(browser: Browser, code: str, answer: str = "allow") -> TestResponse:
    return browser.app.post("/device", data={"code": code, answer: "y", "csrf_token": browser._token})


def test_a_program_gets_a_token_of_the_one_who_confirms_its_code(app: Flask, program: Browser) -> None:
    codes = asked(program)
    assert codes["verification_uri_complete"] == f"https://farm.example/device?code={codes['user_code']}"
    assert polled(program, codes).json["code"] == "authorization_pending"
    anna = Browser(app, "anna")
    page = anna.get(f"/device?code={codes['user_code'].lower()}").text
    assert "Blender on fred" in page and "10.0.0.7" in page and codes["user_code"] in page
    assert answered(anna, codes["user_code"]).status_code == 200
    told = polled(program, codes).json
    assert told["user"] == "anna" and polled(program, codes).json == told, "an answer that was lost is asked for again"
    headers = {"Authorization": f"Bearer {told['access_token']}"}
    assert program.app.get("/api/v1/me", headers=headers).json["name"] == "anna"
    assert [each["name"] for each in anna.get("/api/v1/tokens").json] == ["Blender on fred"]


def signed_in(app: Flask, program: Browser) -> dict[str, str]:
    """Sign *program* in as anna; return the headers by which it shows its token."""
    codes = asked(program)
    answered(Browser(app, "anna"), codes["user_code"])
    return {"Authorization": f"Bearer {polled(program, codes).json['access_token']}"}


def test_a_program_stays_signed_in_as_long_as_it_is_used(
    app: Flask, program: Browser, clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = signed_in(app, program)
    good_until = 0.0
    for _ in range(3):
        assert program.app.get("/api/v1/me", headers=shown).status_code == 200
        (token,) = Browser(app, "anna").get("/api/v1/tokens").json
        assert token["expires"] == token["used"] + 90 * 86400 > good_until
        good_until = token["expires"]
        clock.wall += 80 * 86400
        monkeypatch.setattr(World, "epoch", clock.wall)
    clock.wall += 11 * 86400
    refused = program.app.get("/api/v1/me", headers=shown)
    assert (refused.status_code, refused.json["code"]) == (401, "token-expired")


def test_a_program_signs_itself_out_and_no_other(app: Flask, program: Browser) -> None:
    first, second = signed_in(app, program), signed_in(app, program)
    assert program.app.post("/api/v1/me/sign-out", headers=first).status_code == 200
    assert [program.app.get("/api/v1/me", headers=each).status_code for each in (first, second)] == [401, 200]
    assert program.app.post("/api/v1/me/sign-out", headers=first).status_code == 401
    anna = Browser(app, "anna")
    assert anna.post("/api/v1/me/sign-out").status_code == 400, "a session is ended elsewhere"


def test_a_code_is_good_once_and_a_declined_one_never(app: Flask, program: Browser) -> None:
    anna, codes = Browser(app, "anna"), asked(program)
    answered(anna, codes["user_code"], "deny")
    assert polled(program, codes).json["code"] == "access_denied"
    assert answered(anna, codes["user_code"]).status_code == 404
    assert polled(program, codes).json["code"] == "access_denied" and anna.get("/api/v1/tokens").json == []


def test_a_code_that_nobody_confirmed_in_time_is_good_no_more(app: Flask, program: Browser, clock: SimpleNamespace) -> None:
    codes = asked(program)
    clock.wall += CODE_SECONDS * 10
    assert polled(program, codes).json["code"] == "expired_token"
    assert answered(Browser(app, "anna"), codes["user_code"]).status_code == 404


def test_who_asks_too_often_is_told_to_slow_down(program: Browser) -> None:
    codes = asked(program)
    assert [polled(program, codes).json["code"] for _ in range(3)][-1] == "slow_down"


def test_codes_are_neither_asked_for_nor_guessed_without_end(app: Flask, program: Browser) -> None:
    assert [program.app.post("/api/v1/device/code", json={}).status_code for _ in range(9)][-1] == 429
    anna = Browser(app, "anna")
    assert [anna.get("/device?code=BBBBBBBB").status_code for _ in range(9)] == [404] * 8 + [429]


def test_a_code_is_confirmed_by_a_page_of_the_farm_and_after_signing_in_alone(app: Flask, program: Browser) -> None:
    codes = asked(program)
    assert "/login?next=" in program.get(f"/device?code={codes['user_code']}").headers["Location"]
    anna = Browser(app, "anna")
    other_page = anna.app.post("/device", data={"code": codes["user_code"], "allow": "y"})
    assert other_page.status_code == 400 and polled(program, codes).json["code"] == "authorization_pending"


def _manage(what: str, user: str = "", **arguments: Any) -> m.Manage:
    return m.Manage(id=new_id(), what=what, arguments=arguments, on_behalf_of=user)


def test_the_server_lets_a_program_in_as_the_one_who_asks_and_forgets_its_code() -> None:
    world = World()
    world.request(_manage("set-user", name="anna", role="admin", password="x"), KeyRole.ADMIN)
    code, device = code_digest("B" * 8), token_digest(token_of("secret"))
    wanted = {"code": code, "device": device, "name": "x", "origin": "10.0.0.7"}
    assert world.request(_manage("ask-sign-in", "anna", **wanted), KeyRole.DASHBOARD).code == "forbidden"
    world.request(_manage("ask-sign-in", **wanted), KeyRole.DASHBOARD)
    assert world.request(_manage("ask-sign-in", **wanted), KeyRole.DASHBOARD).code == "conflict"
    world.start_server()
    world.request(_manage("answer-sign-in", "anna", code=code, allow=True), KeyRole.DASHBOARD)
    assert list(world.server.farm.api_tokens.values()) == ["anna"]
    world.now += CODE_SECONDS * 10
    world.request(_manage("ask-sign-in", **wanted | {"code": code_digest("C" * 8)}), KeyRole.DASHBOARD)
    assert list(world.server.farm.device_sign_ins) == [code_digest("C" * 8)]
