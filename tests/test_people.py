"""Who may come in at the dashboard, and what they may do there: signing in, the first admin, roles, tokens, other sites'
pages."""

import hashlib
from collections.abc import Iterator
from urllib.request import Request, urlopen

import pytest
from flask import Flask

from brender.bus.client import Client
from brender.commands.localfarm import FarmPlan, LocalFarm
from brender.commands.options import client
from brender.model.errors import BadInput, Conflict, NotFound
from brender.model.people import Role, check_user_name
from brender.store.database import open_for_writing
from brender.store.datafolder import DataFolder
from brender.store.writer import Writer
from dashboard.farm import Settings
from dashboard.people import Paces, User, client_address
from tests.rows import new, put, update
from tests.test_store import JOB
from tests.web import HASH, PASSWORD, Browser, application, make_users, serve_in_process, served, token_of

API = "/api/v1"
MINE, FOREIGN = "a" * 16, "b" * 16


@pytest.fixture
def app(folder: DataFolder) -> Flask:
    """The application, with a user of each role, a job of anna's and one of somebody else's, and a worker."""
    make_users(folder)
    writer = Writer(open_for_writing(str(folder.database)))
    digest = hashlib.sha256(b"secret").hexdigest()
    node = {"incarnation": 1, "name": "n", "status": "offline", "last_seen": 1.0}
    writer.commit(
        [
            put("project", "default", {}),
            put("manager", "m", node),
            put("worker", "w", {**node, "manager": "m"}),
            new("job", MINE, {**JOB, "user": "anna"}),
            new("job", FOREIGN, {**JOB, "user": "somebody"}),
            put("api_token", "t1", {"user": "anna", "name": "mine", "digest": digest, "created": 1.0}),
            put("api_token", "t2", {"user": "anna", "name": "old", "digest": "x", "created": 1.0, "expires": 2.0}),
        ]
    )
    writer.database.close()
    return application(folder, setup="the-setup-secret")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No server runs here, unless a test has one: what gets as far as asking it is answered 503, soon."""
    monkeypatch.setattr("dashboard.farm.ACTION_SECONDS", 0.05)


# --- coming in ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", ["/", "/jobs/", "/submit", f"/jobs/{MINE}", "/users/", f"/jobs/{MINE}/frames/1", "/account"])
def test_whoever_has_not_signed_in_is_led_to_where_they_can(app: Flask, page: str) -> None:
    answer = app.test_client().get(page)
    assert answer.status_code == 302 and answer.location.startswith("/login?next=")


@pytest.mark.parametrize("path", ["jobs", "overview", "events", "openapi.json", "users", "about"])
def test_a_program_that_has_not_signed_in_is_told_so(app: Flask, path: str) -> None:
    answer = app.test_client().get(f"{API}/{path}")
    assert answer.status_code == 401 and "Sign in" in answer.json["error"] and answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_wrong_password_and_a_name_that_nobody_has_are_answered_alike(app: Flask) -> None:
    answers = [Browser(app, "").sign_in(name, "wrong password") for name in ("boss", "nobody")]
    assert {answer.status_code for answer in answers} == {403}
    assert all("Name and password do not fit together" in answer.text for answer in answers)


def test_after_signing_in_one_is_where_one_wanted_to_go_and_nowhere_else(app: Flask) -> None:
    elsewhere = ["//evil.example/", "https://evil.example/", "/\\evil.example", "/\t/evil.example", "/\r/evil.example", ""]
    elsewhere += ["/\n/evil.example", "\t//evil.example", "/\t\\evil.example", "/\x00/evil.example", "/jobs/\\..//evil.example"]
    places = {"/jobs/?q=gr\u00fcn": "/jobs/?q=gr%C3%BCn", **dict.fromkeys(elsewhere, "/")}
    for wanted, comes in places.items():
        browser = Browser(app, "")
        token = token_of(browser.get("/login"))
        answer = browser.app.post(
            "/login", query_string={"next": wanted}, data={"name": "boss", "password": PASSWORD, "csrf_token": token}
        )
        assert answer.location == comes


def test_guessing_is_slowed_down_and_others_are_not(app: Flask) -> None:
    codes = [Browser(app, "").sign_in("boss", f"guess {number}").status_code for number in range(12)]
    assert codes[0] == 403 and codes[-1] == 429


def test_nobody_is_kept_out_by_what_others_try_in_their_name(app: Flask) -> None:
    for number in range(12):
        Browser(app, "", "192.0.2.9").sign_in("boss", f"guess {number}")
    assert Browser(app, "", "192.0.2.9").sign_in("boss").status_code == 429
    assert Browser(app, "", "192.0.2.9").sign_in("anna").status_code == 302, "from there others come in"
    assert Browser(app, "", "192.0.2.10").sign_in("boss").status_code == 302, "and from elsewhere they themselves"


def test_all_addresses_that_one_site_has_count_as_one(app: Flask) -> None:
    codes = [Browser(app, "", f"2001:db8::{number:x}").sign_in("boss", "guess").status_code for number in range(12)]
    assert codes[-1] == 429 and Browser(app, "", "2001:db8:0:1::1").sign_in("boss").status_code == 302


def test_many_sign_in_from_one_address_and_one_address_does_not_try_for_ever() -> None:
    paces = Paces()
    listened = [paces.take("192.0.2.1", f"name {number}") for number in range(100)]
    assert all(listened[:50]) and not any(listened[65:]) and paces.take("192.0.2.2", "name 1")


def test_behind_a_proxy_each_is_known_by_their_own_address(folder: DataFolder) -> None:
    make_users(folder)
    app = application(folder, proxy=("127.0.0.1", "10.0.0.0/8"))

    def through(forwarded: str, password: str = PASSWORD) -> int:
        return Browser(app, "", forwarded=forwarded).sign_in("boss", password).status_code

    for number in range(12):
        through(f"192.0.2.{number}, 198.51.100.7, 10.1.2.3", "guess")
    assert through("198.51.100.7") == 429, "what stands before the last trusted one is the sender's own word"
    assert through("198.51.100.8") == 302 and through("[2001:db8::7]:4711") == 302


def test_a_proxy_that_is_not_trusted_is_not_believed_and_that_is_said_once(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    codes = [Browser(app, "", forwarded=f"192.0.2.{number}").sign_in("boss", "guess").status_code for number in range(12)]
    assert codes[-1] == 429 and caplog.text.count("name it with --proxy") == 1


def test_what_a_proxy_says_passes_the_web_server(folder: DataFolder) -> None:
    """It takes such headers away unless it is told not to."""
    make_users(folder)
    seen: list[str] = []
    with served(folder, proxy=("127.0.0.1",)) as dashboard:
        dashboard._app.before_request(lambda: seen.append(client_address()))
        urlopen(Request(f"{dashboard.url}login", headers={"X-Forwarded-For": "192.0.2.7"})).read()
    assert seen == ["192.0.2.7"]


@pytest.mark.parametrize("proxy", ["proxy.example", "10.0.0.1/8", "", "300.1.1.1"])
def test_a_proxy_that_is_no_address_is_refused(proxy: str) -> None:
    with pytest.raises(BadInput, match=r"--proxy .* Give an address"):
        Settings(proxy=(proxy,)).proxies  # noqa: B018


def test_signing_out_ends_the_session(app: Flask) -> None:
    browser = Browser(app)
    assert browser.app.post("/logout", headers={"X-CSRFToken": browser._token}).status_code == 302
    assert browser.get("/jobs/").status_code == 302


def test_a_new_password_ends_other_sessions(app: Flask, folder: DataFolder) -> None:
    browser = Browser(app)
    writer = Writer(open_for_writing(str(folder.database)))
    writer.commit([update("user", "boss", {"password": HASH + "x"})])
    writer.database.close()
    assert browser.get("/jobs/").status_code == 302


def test_a_user_who_was_kept_out_is_out_at_once(app: Flask, folder: DataFolder) -> None:
    browser = Browser(app)
    writer = Writer(open_for_writing(str(folder.database)))
    writer.commit([update("user", "boss", {"disabled": 5.0})])
    writer.database.close()
    assert browser.get("/jobs/").status_code == 302 and Browser(app, "").sign_in("boss").status_code == 403


def test_cookies_are_not_for_scripts_or_other_sites(app: Flask) -> None:
    cookies = Browser(app, "").sign_in("boss", stay="y").headers.getlist("Set-Cookie")
    assert len(cookies) == 2 and all("HttpOnly" in cookie and "SameSite=Lax" in cookie for cookie in cookies)


def test_with_https_cookies_go_no_other_way(folder: DataFolder) -> None:
    make_users(folder)
    web = application(folder, secure=True).test_client()
    token = token_of(web.get("/login", base_url="https://localhost"))
    data = {"name": "boss", "password": PASSWORD, "csrf_token": token}
    answer = web.post("/login", data=data, base_url="https://localhost")
    assert answer.status_code == 302 and all("Secure" in cookie for cookie in answer.headers.getlist("Set-Cookie"))


# --- other sites' pages -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("token", ["", "stolen", "IjAwMCI.aaaa.bbbb"])
def test_a_change_without_the_page_s_own_token_is_refused(app: Flask, token: str) -> None:
    browser = Browser(app)
    headers = {"X-CSRFToken": token} if token else {}
    for path in (f"{API}/jobs/{MINE}/actions/cancel", f"{API}/users", "/logout"):
        assert browser.app.post(path, json={}, headers=headers).status_code == 400
    assert browser.app.delete(f"{API}/users/anna", headers=headers).status_code == 400


def test_another_browser_s_token_is_no_better(app: Flask) -> None:
    mine, other = Browser(app), Browser(app, "anna")
    answer = mine.app.post(f"{API}/jobs/{MINE}/actions/cancel", json={}, headers={"X-CSRFToken": other._token})
    assert answer.status_code == 400


_FOREIGN = ["evil.example", "evil.example:8888", "192.0.2.1", "127.evil.com", "127.0.0.1.evil.com:80", "localhost.evil.com"]
_FOREIGN += ["evil.com@127.0.0.1", "127.0.0.1:80@evil.com", "", "127.1", "evil.com/127.0.0.1", "[::1].evil.com"]


@pytest.mark.parametrize("host", _FOREIGN)
def test_another_host_name_is_refused(app: Flask, host: str) -> None:
    assert app.test_client().get("/login", headers={"Host": host}).status_code == 421


@pytest.mark.parametrize("host", ["localhost:8888", "127.0.0.1", "brender-dashboard:8888", "[::1]:8888"])
def test_the_dashboards_own_names_are_not(app: Flask, host: str) -> None:
    assert app.test_client().get("/login", headers={"Host": host}).status_code == 200


def test_nor_is_the_name_that_others_reach_it_by_through_a_proxy(folder: DataFolder) -> None:
    web = application(folder.make(), public_url="https://farm.example/").test_client()
    codes = [web.get("/login", headers={"Host": host}).status_code for host in ("farm.example", "farm.example:443", "example")]
    assert codes == [200, 200, 421]


# --- what each may do -------------------------------------------------------------------------------------------------------

_ASKED = {
    "see a job": ("get", f"/jobs/{FOREIGN}", None),
    "cancel one's own job": ("post", f"/jobs/{MINE}/actions/cancel", {}),
    "cancel another's job": ("post", f"/jobs/{FOREIGN}/actions/cancel", {}),
    "submit": ("post", "/jobs", {"job_type": "command", "settings": {"program": "true"}}),
    "disable a worker": ("post", "/nodes/w/actions/disable", None),
    "set a project": ("post", "/projects", {"name": "film"}),
    "set a path": ("post", "/paths", {"name": "x", "platform": "linux", "path": "/x"}),
    "see users": ("get", "/users", None),
    "make a user": ("post", "/users", {"name": "x", "role": "admin", "password": "long enough"}),
    "make a token of one's own": ("post", "/tokens", {"name": "x"}),
    "keep a preset": ("post", "/presets", {"name": "x", "job_type": "command", "settings": {}}),
    "have a web address told": ("post", "/subscriptions", {"kind": "webhook", "target": "http://x", "events": ["failed"]}),
}
_MAY = {
    "vera": {"see a job", "make a token of one's own"},
    "anna": {"see a job", "cancel one's own job", "submit", "make a token of one's own", "keep a preset"},
    "walt": {
        *("see a job", "cancel one's own job", "cancel another's job", "submit", "disable a worker", "set a project"),
        *("make a token of one's own", "keep a preset"),
    },
    "boss": set(_ASKED),
}


@pytest.mark.parametrize("what", _ASKED)
@pytest.mark.parametrize("name", _MAY)
def test_each_role_may_do_what_is_its_own(
    app: Flask, folder: DataFolder, monkeypatch: pytest.MonkeyPatch, name: str, what: str
) -> None:
    serve_in_process(folder, monkeypatch)
    method, path, body = _ASKED[what]
    browser = Browser(app, name)
    answer = browser.get(API + path) if method == "get" else browser.post(API + path, body)
    assert answer.status_code == (200 if what in _MAY[name] else 403), (answer.status_code, answer.text)


def test_what_a_dashboard_forgot_to_hide_and_to_check_the_server_refuses(
    app: Flask, folder: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_in_process(folder, monkeypatch)
    monkeypatch.setattr(User, "may", lambda *anything: True)
    browser = Browser(app, "vera")
    for what in _ASKED.keys() - _MAY["vera"] - {"see users"}:
        _, path, body = _ASKED[what]
        assert browser.post(API + path, body).status_code == 403, what
    told = browser.post(f"{API}/jobs/{MINE}/actions/cancel").json["error"]
    assert told == "A viewer may not cancel jobs: an artist may (their own), a wrangler or an admin may"


def test_who_only_looks_around_changes_nothing_whatever_they_are_shown(
    folder: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_for_writing(str(folder.make().database)).close()
    serve_in_process(folder, monkeypatch)
    guest = Browser(application(folder, setup="secret"), "")
    token = token_of(guest.get("/setup?token=secret"))
    guest.app.post("/look", data={"token": "secret", "csrf_token": token})
    guest._token = token_of(guest.get("/"))
    assert "no account" in guest.post(f"{API}/tokens", {"name": "x"}).json["error"]
    assert guest.get("/submit").status_code == 403
    monkeypatch.setattr("dashboard.farm.current_user", User("guest", Role.ADMIN))
    refused = guest.post(f"{API}/tokens", {"name": "x"})
    assert refused.status_code == 403 and "There is no user 'guest'" in refused.json["error"]


def test_a_viewer_sees_no_buttons_and_no_pages_that_are_not_for_them(app: Flask) -> None:
    browser = Browser(app, "vera")
    page = browser.get(f"/jobs/{MINE}").text
    assert "data-action" not in page and "Users" not in page and 'href="/submit"' not in page
    assert browser.get("/users/").status_code == 403 and browser.get("/submit").status_code == 403


def test_of_many_jobs_only_one_s_own_are_changed_and_the_others_named(
    app: Flask, folder: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_in_process(folder, monkeypatch)
    answer = Browser(app, "anna").post(f"{API}/jobs/actions", {"ids": [FOREIGN, "nonsense", MINE], "action": "cancel"}).json
    assert answer["done"] == [MINE] and "no job" in answer["refused"]["nonsense"]
    assert answer["refused"][FOREIGN] == (
        "An artist may cancel jobs, but only their own, and this is somebody's: a wrangler or an admin may"
    )


def test_one_s_own_password_is_one_s_own_to_change_and_one_s_role_is_not(
    app: Flask, folder: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_in_process(folder, monkeypatch)
    browser = Browser(app, "vera")
    data = {"password": "long enough", "again": "long enough", "csrf_token": browser._token}
    assert browser.app.post("/account", data=data).status_code == 302
    assert Browser(app, "").sign_in("vera", "long enough").status_code == 302
    monkeypatch.setattr(User, "may", lambda *anything: True)
    for name, change in (("vera", {"role": "admin"}), ("boss", {"password": "long enough"})):
        assert browser.post(f"{API}/users/{name}", change).status_code in (401, 403)


# --- programs ---------------------------------------------------------------------------------------------------------------


def test_a_token_lets_a_program_in_as_its_user_without_cookies(
    app: Flask, folder: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_in_process(folder, monkeypatch)
    headers = {"Authorization": "Bearer secret"}
    assert app.test_client().get(f"{API}/me", headers=headers).json["name"] == "anna"
    answer = app.test_client().post(f"{API}/jobs/{FOREIGN}/actions/cancel", json={}, headers=headers)
    assert answer.status_code == 403, "it may do what its user may"


@pytest.mark.parametrize("secret", ["", "wrong", "Bearer", "secret2", "x" * 10_000])
def test_a_token_that_is_not_good_lets_nobody_in(app: Flask, secret: str) -> None:
    answer = app.test_client().get(f"{API}/me", headers={"Authorization": f"Bearer {secret}"})
    assert answer.status_code == 401


@pytest.mark.parametrize("path", ["/jobs/api/v1/me", "/nowhere", "/login"])
def test_a_token_that_is_not_good_is_refused_in_words_at_addresses_outside_of_the_api_too(app: Flask, path: str) -> None:
    answer = app.test_client().get(path, headers={"Authorization": "Bearer wrong"})
    assert answer.status_code in (401, 403) and answer.json["error"]


def test_a_proxy_s_word_counts_only_where_it_was_asked_for_and_comes_from_the_proxy(folder: DataFolder) -> None:
    make_users(folder)
    header = {"X-Remote-User": "walt"}
    assert application(folder).test_client().get(f"{API}/me", headers=header).status_code == 401
    app = application(folder, login_header="X-Remote-User")
    assert app.test_client().get(f"{API}/me", headers=header).json["name"] == "walt"
    foreign = {"REMOTE_ADDR": "192.0.2.9"}
    assert app.test_client().get(f"{API}/me", headers=header, environ_overrides=foreign).status_code == 401
    assert app.test_client().get(f"{API}/me", headers={"X-Remote-User": "nobody"}).status_code == 403


# --- the first admin, on a farm -----------------------------------------------------------------------------------------------


def test_the_setup_link_has_the_address_that_people_reach_the_page_by(folder: DataFolder) -> None:
    with served(folder.make(), setup="x", public_url="https://farm.example/", secure=True) as dashboard:
        assert dashboard.setup_url.startswith("https://farm.example/setup?token=")


def test_the_setup_link_is_not_good_once_there_are_users(app: Flask) -> None:
    assert app.test_client().get("/setup?token=the-setup-secret").status_code == 403


@pytest.mark.parametrize("token", ["", "wrong", "the-setup-secret2", "größe"])
def test_a_wrong_setup_link_is_refused(folder: DataFolder, token: str) -> None:
    folder.make()
    app = application(folder, setup="the-setup-secret")
    assert app.test_client().get(f"/setup?token={token}").status_code == 403
    assert app.test_client().get("/setup?token=the-setup-secret").status_code == 200


def test_the_link_of_a_render_shows_its_page_at_once_and_only_with_its_secret(folder: DataFolder) -> None:
    open_for_writing(str(folder.make().database)).close()
    guest = Browser(application(folder, setup="the-setup-secret"), "")
    assert guest.get("/look?token=wrong&next=/jobs/").status_code == 403
    assert guest.get("/look?token=the-setup-secret&next=/jobs/").location == "/jobs/"
    assert guest.get(f"{API}/jobs").status_code == 200


def test_who_only_looks_around_does_so_until_there_is_an_admin(folder: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard.v1.farm._LOOK_AGAIN_SECONDS", 0.0)
    folder.make()
    open_for_writing(str(folder.database)).close()
    guest = Browser(application(folder, setup="the-setup-secret"), "")
    token = token_of(guest.get("/setup?token=the-setup-secret"))
    assert guest.app.post("/look", data={"token": "the-setup-secret", "csrf_token": token}).status_code == 302
    assert guest.get(f"{API}/jobs").status_code == 200
    events = guest.get(f"{API}/events").response
    assert b"welcome" in next(iter(events))
    make_users(folder, boss="admin")
    assert guest.get(f"{API}/jobs").status_code == 401 and guest.get("/jobs/").status_code == 302
    assert not list(events), "what they listened to ends as well"


def test_the_next_link_ends_the_session_of_who_only_looks_around(folder: DataFolder) -> None:
    open_for_writing(str(folder.make().database)).close()
    guest = Browser(application(folder, setup="one"), "")
    guest.app.post("/look", data={"token": "one", "csrf_token": token_of(guest.get("/setup?token=one"))})
    cookie = guest.app.get_cookie("brender")
    assert cookie is not None
    later = application(folder, setup="two").test_client()
    later.set_cookie("brender", cookie.value)
    assert guest.get("/jobs/").status_code == 200 and later.get("/jobs/").status_code == 302


@pytest.fixture(scope="module")
def admin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A client of a real server that has no users yet."""
    folder = DataFolder(tmp_path_factory.mktemp("people") / "data")
    with (
        LocalFarm(FarmPlan(folder=folder, workers=0, any_ports=True, with_dashboard=False)),
        client(None, folder.root) as connection,
    ):
        yield connection


def test_users_are_made_changed_and_removed_and_an_admin_always_stays(admin: Client) -> None:
    admin.manage("set-user", name="boss", role="admin", password="hash", new=True)
    with pytest.raises(Conflict, match="a user boss already"):
        admin.manage("set-user", name="boss", role="viewer", password="hash", new=True)
    for change in ({"role": "viewer"}, {"disabled": True}):
        with pytest.raises(Conflict, match="the only admin"):
            admin.manage("set-user", name="boss", **change)
    with pytest.raises(Conflict, match="the only admin"):
        admin.manage("remove-user", name="boss")
    admin.manage("set-user", name="other", role="admin", password="hash")
    admin.manage("set-user", name="boss", role="viewer")
    with pytest.raises(Conflict, match="the only admin"):
        admin.manage("set-user", name="other", disabled=True)
    admin.manage("remove-user", name="boss")
    with pytest.raises(NotFound):
        admin.manage("remove-user", name="boss")
    texts = [row["text"] for row in admin.ask("activity")]
    assert any("the user boss is a viewer" in text for text in texts) and not any("hash" in text for text in texts)
    admin.manage("set-user", name="mail", role="viewer", password="hash", email="", new=True)
    admin.manage("set-user", name="mail", email="m@example.org")
    admin.manage("set-user", name="mail", email="")
    emptied, given, made = (row["text"] for row in admin.ask("activity")[:3])
    assert "e-mail" not in made and given.endswith("has the e-mail address m@example.org")
    assert emptied.endswith("has no e-mail address any more")


@pytest.mark.parametrize(
    ("what", "arguments"),
    [
        ("set-user", {"name": "x", "role": "king", "password": "h"}),
        ("set-user", {"name": "x"}),
        ("set-user", {"name": "<b>", "role": "viewer", "password": "h"}),
        ("create-api-token", {"user": "nobody", "name": "x", "digest": "d"}),
        ("set-preset", {"name": "x", "job_type": "command", "settings": {"nonsense": 1}}),
        ("set-preset", {"name": "x", "job_type": "nonsense", "settings": {}}),
        ("subscribe", {"kind": "webhook", "target": "ftp://x", "events": ["failed"]}),
        ("subscribe", {"kind": "email", "target": "no address", "events": ["failed"]}),
        ("subscribe", {"kind": "email", "target": "a@b", "events": ["everything"]}),
        ("subscribe", {"kind": "pigeon", "target": "a@b", "events": ["failed"]}),
    ],
)
def test_rubbish_about_people_is_refused(admin: Client, what: str, arguments: dict[str, object]) -> None:
    with pytest.raises((BadInput, NotFound)):
        admin.manage(what, **arguments)


@pytest.mark.parametrize("name", ["", " x", "x ", "a/b", "a\nb", "x" * 65, "-x", "<x>"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(BadInput):
        check_user_name(name)
