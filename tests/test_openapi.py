"""The JSON API's own description is true: whatever is asked by it, or against it, is answered as it says."""

import hashlib

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from brender.store.database import open_for_writing
from brender.store.datafolder import DataFolder
from brender.store.writer import Writer
from dashboard.endpoint import openapi
from tests.rows import new, put
from tests.test_store import JOB
from tests.web import Browser, application, make_users

#: Tried by name: an endless answer, and a form with files (test_events, test_submitting).
ELSEWHERE = {"/events", "/uploads"}
ASKED = [(path, method) for path, each in openapi()["paths"].items() if path not in ELSEWHERE for method in each]
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


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize(("path", "method"), ASKED)
def test_every_answer_is_as_the_description_says(described: Flask, path: str, method: str, mode: GenerationMode) -> None:
    """Asked what fits the description (positive) and what does not (negative)."""
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", described, headers=SECRET)
    operation = schema[path][method]

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), database=None, derandomize=True)
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
    named = {rule.replace("<", "{").replace(">", "}") for rule in rules}
    assert named == set(told["paths"])


def test_a_page_that_is_signed_in_reads_the_same(described: Flask) -> None:
    assert Browser(described).get("/api/v1/openapi.json").json == openapi()
