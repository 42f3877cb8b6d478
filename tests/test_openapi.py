"""The JSON API's own description is true: whatever is asked by it, or against it, is answered as it says."""

import hashlib
import json
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from jsonschema import Draft202012Validator
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from brender.jobs.declare import Setting, submitted_types
from brender.jobs.schema import schema_name
from brender.model.accounts import day_of
from brender.model.addon import AddOn
from brender.model.errors import BadInput
from brender.store.database import open_for_writing
from brender.store.datafolder import DataFolder
from brender.store.writer import Writer
from dashboard.endpoint import openapi
from tests.rows import new, put
from tests.test_store import JOB
from tests.web import Browser, application, make_users, serve_in_process

#: Tried by name: an endless answer, and a form with files (test_events, test_submitting).
ELSEWHERE = {"/events", "/uploads"}
ASKED = [(path, method) for path, each in openapi()["paths"].items() if path not in ELSEWHERE for method in each]
#: All that answer with JSON.
JSON = [
    (method, path)
    for path, each in openapi()["paths"].items()
    for method, operation in each.items()
    if "application/json" in operation["responses"]["200"]["content"]
]
#: Those of them that need a running server, a picture or a .blend (test_dashboard, test_people, test_device_sign_in,
#: test_submitting).
TRIED_ELSEWHERE = {
    *(("get", "/keys"), ("delete", "/keys/{id}"), ("post", "/join-tokens")),
    *(
        ("get", "/jobs/{id}/parts/{part}/layers"),
        ("get", "/jobs/{id}/file"),
        ("get", "/files"),
        ("post", "/inspect"),
        ("post", "/uploads"),
    ),
    *(("post", "/uploads/offer"), ("post", "/device/code"), ("post", "/device/token"), ("post", "/me/sign-out")),
}
#: What may be empty in the answers of a farm that works.
MAY_BE_EMPTY = {"sweeps", "further_files", "warnings", "programs", "folders", "readable", "extra_tags", "failed_in_row", "stuck"}
MAY_BE_EMPTY |= {"pass_weights"}  # (of a job whose parts are all alike)
FULL = "a" * 16
ADDON = msgspec.to_builtins(AddOn(name="Red", module="red", version="1.0", digest="d" * 64, size=9, oldest=(4, 2, 0)))
SECRET = {"Authorization": "Bearer secret"}
CHECKS = [content_type_conformance, response_schema_conformance, status_code_conformance]


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    """The application over a small record; no server runs, so that whatever would change something is answered 503."""
    patch = pytest.MonkeyPatch()
    patch.setattr("dashboard.farm.ACTION_SECONDS", 0.01)
    folder = DataFolder(tmp_path_factory.mktemp("described"))
    make_users(folder)
    writer = Writer(open_for_writing(str(folder.database)))
    digest = hashlib.sha256(b"secret").hexdigest()
    writer.commit(
        [
            put("project", "default", {}),
            new("job", "a" * 16, dict(JOB)),
            put("api_token", "t", {"user": "boss", "name": "x", "digest": digest, "created": 1.0}),
        ]
    )
    writer.database.close()
    return application(folder)


@pytest.mark.parametrize(
    "mode",
    [GenerationMode.POSITIVE, pytest.param(GenerationMode.NEGATIVE, marks=pytest.mark.thorough)],
    ids=lambda mode: mode.value,
)
@pytest.mark.parametrize(("path", "method"), ASKED)
def test_every_answer_is_as_the_description_says(described: Flask, path: str, method: str, mode: GenerationMode) -> None:
    """Asked what fits the description (positive) and what does not (negative)."""
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", described, headers=SECRET)
    operation = schema[path][method]

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck), database=None, derandomize=True)
    def ask(case: schemathesis.Case) -> None:
        answer = case.call(headers=SECRET)
        assert answer.status_code < 500 or answer.status_code == 503, answer.text
        case.validate_response(answer, headers=SECRET, checks=CHECKS)

    try:
        ask()
    except Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE, "what takes nothing cannot be asked wrongly"


def test_every_endpoint_is_described_with_what_it_takes(described: Flask) -> None:
    told = openapi()
    assert len(told["paths"]) > 30 and told["openapi"].startswith("3.1")
    parameters = {each["name"] for each in told["paths"]["/jobs"]["get"]["parameters"]}
    assert parameters == {"q", "status", "project", "user", "tag", "sort", "descending", "start", "length"}
    assert "Submission" in told["components"]["schemas"]
    rules = {rule.rule.removeprefix("/api/v1") for rule in described.url_map.iter_rules() if rule.rule.startswith("/api/v1")}
    named = {rule.replace("<int:", "<").replace("<", "{").replace(">", "}") for rule in rules}
    assert named == set(told["paths"])
    downloads = {
        path: next(iter(each["get"]["responses"]["200"]["content"])) for path, each in told["paths"].items() if "get" in each
    }
    assert (downloads["/jobs/{id}/frames.zip"], downloads["/jobs/{id}/movie.mp4"]) == ("application/zip", "video/mp4")


def test_the_settings_of_a_submission_are_described_for_each_job_type_as_it_declares_them() -> None:
    schemas = openapi()["components"]["schemas"]
    submitted = schemas["Submission"]["properties"]["settings"]
    for kind in submitted_types().values():
        name = schema_name(kind.name)
        assert {"$ref": f"#/components/schemas/{name}"} in submitted["anyOf"]
        schema = schemas[name]
        Draft202012Validator.check_schema(schema)
        fields = schema["properties"]
        assert fields.keys() == {each.name for each in kind.settings} - {"file"}
        assert set(schema.get("required", ())) == {each.name for each in kind.settings if each.required} - {"file"}
        for setting in (each for each in kind.settings if each.name in fields):
            field = fields[setting.name]
            assert (field["title"], field.get("x-unit", ""), field.get("default")) == (
                setting.title,
                setting.unit,
                setting.default,
            )
            for value in ("x", 0, -1, 7, 10**9, 0.5, True, [], ["a"], [1], *setting.choices):
                assert Draft202012Validator(field).is_valid(value) is _takes(setting, value), (kind.name, setting.name, value)
        assert not Draft202012Validator(schema).is_valid({"nonsense": 1})


def _takes(setting: Setting, value: Any) -> bool:
    try:
        setting.check(value)
    except BadInput:
        return False
    return True


def test_every_answer_that_is_json_is_described_by_a_type_of_its_own() -> None:
    told = openapi()["paths"]
    nothing = [each for each in JSON if not told[each[1]][each[0]]["responses"]["200"]["content"]["application/json"]["schema"]]
    assert not nothing


def test_a_page_that_is_signed_in_reads_the_same(described: Flask) -> None:
    assert Browser(described).get("/api/v1/openapi.json").json == json.loads(msgspec.json.encode(openapi()))


def test_each_endpoint_answers_what_it_is_declared_to_with_something_in_every_list(
    folder: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """(`application` refuses any other answer.)"""
    serve_in_process(folder, monkeypatch)
    make_users(folder)
    fill(folder)
    writer = Writer(open_for_writing(str(folder.database)))
    used, weight = (
        {"project": "film", "user": "anna", "seconds": 60.0, "wall": 1.0},
        {"weight": 2.0, "by_command": {"weight": 2.0}},
    )
    writer.commit([put("usage", "film\nanna", used), put("quota", ("user", "anna"), weight)])
    writer.database.close()
    web, asked = Browser(application(folder)), set[tuple[str, str]]()

    def ask(method: str, path: str, body: Any = None, **named: str) -> None:
        answer = getattr(web, method)(f"/api/v1{path.format(**named)}", *([body] if method == "post" else []))
        assert answer.status_code == 200, answer.text
        lists = {"all": answer.json} if isinstance(answer.json, list) else answer.json
        empty = [name for name, value in lists.items() if value in ([], {}) and name not in MAY_BE_EMPTY]
        assert method != "get" or not empty, f"{path} tells nothing in {empty}"
        asked.add((method, path.partition("?")[0]))

    job = {"id": FULL}
    for path in ("", "/cells", "/strip", "/parts/{part}", "/parts", "/tasks", "/graph", "/attempts", "/log", "/why?frame=1"):
        ask("get", f"/jobs/{{id}}{path}", **job, part="1")
    assert web.get(f"/api/v1/jobs/{FULL}/why?frame={10**30}").status_code == 400, "no frame has such a number"
    for path in (
        "/jobs",
        "/jobs/choices",
        "/lanes",
        "/overview",
        "/accounts",
        "/shares",
        "/about",
        "/workers",
        "/managers",
        "/job-types",
        "/openapi.json",
    ):
        ask("get", path)
    for path, id in (("/workers/{id}", "w"), ("/workers/{id}/log", "w"), ("/nodes/{id}/history", "w"), ("/managers/{id}", "m")):
        ask("get", path, id=id)
    ask("post", "/jobs/{id}/actions/{action}", {"value": 60}, **job, action="priority")
    ask("post", "/jobs/actions", {"ids": [FULL], "action": "priority", "value": 70})
    ask("get", "/workers/{id}/why", id="w")
    ask("post", "/nodes/{id}/actions/{action}", {}, id="w", action="disable")
    ask("post", "/jobs", {"job_type": "command", "settings": {"program": "true", "frames": "1-3"}, "name": "c"})
    (mine,) = (each["id"] for each in web.get("/api/v1/jobs?q=c").json["rows"] if each["name"] == "c")
    ask("post", "/jobs/{id}/beginning", {"after": [{"job": "f" * 16}], "start_at": "+2h", "night": True}, id=mine)
    ask("post", "/jobs/{id}/edit", {"tags": ["x"], "settings": {"frames": "1-4"}}, id=mine)
    ask("post", "/jobs/{id}/clone", {"name": "again", "settings": {"frames": "5-6"}, "paused": True}, id=mine)
    ask("post", "/estimate", {"job_type": "command", "settings": {"program": "true", "frames": "1-3"}})
    ask("post", "/template", {"name": "layers.yaml", "text": (Path(__file__).parent / "templates/layers.yaml").read_text()})
    ask("post", "/projects", {"name": "film", "keep_days": 3.0})
    ask("post", "/paths", {"name": "projects", "platform": "linux", "path": "/mnt"})
    ask("post", "/users", {"name": "new", "role": "artist", "password": "long enough!"})
    ask("post", "/users/{name}", {"email": "new@example.org"}, name="new")
    ask("post", "/tokens", {"name": "script", "days": 3})
    ask("post", "/presets", {"name": "half", "job_type": "blender-animation", "settings": {"resolution": 50}})
    ask("post", "/subscriptions", {"kind": "webhook", "target": "https://x.example", "events": ["failed"]})
    for path in ("/users", "/me", "/tokens", "/presets", "/subscriptions", "/activity", "/projects", "/paths", "/uploads"):
        ask("get", path)
    for path in ("/tokens", "/subscriptions"):
        ask("delete", f"{path}/{{id}}", id=web.get(f"/api/v1{path}").json[-1]["id"])
    ask("delete", "/users/{name}", name="new")
    ask("delete", "/paths/{name}", name="projects")
    ask("delete", "/presets/{name}", name="half")
    ask("delete", "/uploads")
    assert {each for each in JSON if each not in asked} == TRIED_ELSEWHERE


@pytest.mark.parametrize("action", ["pause", "cancel", "resume", "readmit"])
def test_what_an_ended_job_cannot_do_is_a_conflict(folder: DataFolder, monkeypatch: pytest.MonkeyPatch, action: str) -> None:
    serve_in_process(folder, monkeypatch)
    make_users(folder)
    fill(folder)
    answer = Browser(application(folder)).post(f"/api/v1/jobs/{'f' * 16}/actions/{action}")
    assert (answer.status_code, answer.json["code"]) == (409, "conflict"), answer.text


def fill(folder: DataFolder) -> None:
    """Record a job with one frame, and something of each kind that is told of with it."""
    writer, now = Writer(open_for_writing(str(folder.database))), time.time()
    node = {"incarnation": 1, "name": "n", "status": "online", "last_seen": now, "stats": {"cpu_percent": 1.5}}
    blenders = [{"kind": "bpy", "path": "/x", "version": "5.0.1", "file_subversion": 9}]
    of = {"settings": {"program": "true", "frames": "1"}, "task_count": 1, "planned_tasks": 1, "part_count": 1}
    part = {"job": FULL, "task": 1, "status": "completed", "frame": 1, "finished": now, "output": "x.png", "worker": "w"}
    account = (day_of(now), "anna", "default")
    tried = {"job": FULL, "task": 1, "worker": "w", "manager": "m", "outcome": "completed"}
    at_work = {"status": "busy", "job": FULL, "frame": 1, "line": "sampling"}
    writer.commit(
        [
            put("project", "default", {}),
            put("manager", "m", node),
            put(
                "worker", "w", {**node, **at_work, "manager": "m", "blenders": blenders, "tags": ["x"], "job_types": ["command"]}
            ),
            new(
                "job",
                FULL,
                {
                    **JOB,
                    **of,
                    "user": "anna",
                    "status": "paused",
                    "tags": ["x"],
                    "warnings": ["w"],
                    "estimates": [{"share": 0.1, "wall": 1.0, "seconds": 2.0}],
                    "addons": [ADDON],
                    "sharing": {"most_workers": 3},
                    "revision": 2,
                }
                | {"after_jobs": [{"job": "f" * 16, "by_frame": True}]},
            ),
            new("job", "f" * 16, {**JOB, **of, "status": "failed", "finished": now}),
            new("job_revision", (FULL, 2), {"settings": {}, "user": "anna", "wall": now, "said": "priority 50 → 60"}),
            new("task", 1, {"job": FULL, "number": 0, "status": "completed"}),
            new("part", 1, part),
            new("attempt", "b" * 16, {**tried, "granted": now - 9, "started": now - 8, "finished": now}),
            put("account", (*account, "w"), {"machine_seconds": 1.5, "frames": 1, "attempts": 2, "failures": 1}),
            put("account_failure", (*account, "w", "lost"), {"failures": 1}),
            put("kept_off", (FULL, "w"), {"failures": 3, "wall": now}),
            put("worker", "v", {**node, "status": "offline", "manager": "m"}),
            put("kept_off", (FULL, "v"), {"failures": 0, "wall": now, "readmitted": now + 600}),
            put("stat", ("w", now - 60), {"seconds": 60.0, "stats": {"cpu_percent": 2.0}}),
        ]
    )
    writer.database.close()
