"""The trace of a frame for OpenTelemetry, from its submit to the commit."""

import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from brender.bus.address import free_ports
from brender.bus.messages import Act, Grants, Manage, Submit
from brender.commands.localfarm import FarmPlan, LocalFarm
from brender.commands.options import client
from brender.farm.record import Row
from brender.metrics.frame_traces import ManagerTraces, ServerTraces, WorkerTraces
from brender.metrics.spans import Spans, ids_of, spans
from brender.model.grant import Grant
from brender.model.keys import KeyRole
from brender.model.nodes import Blender
from brender.roles.effects import Effect, Reply, Send
from brender.store.datafolder import DataFolder
from tests.conftest import SCENES
from tests.tools import command, ended, until
from tests.world import World, animation

OF_SERVER = {"frame", "submit", "queue", "grant", "commit"}
OF_WORKER = {"wait", "render", "stage", "read", "publish", "outbox"}
OF_MANAGER = {"pass down", "pass up"}


class Traced(World):
    """A world whose server has its spans made."""

    def __init__(self) -> None:
        self.exported = InMemorySpanExporter()
        self.traces = ServerTraces(Spans("server", "", SimpleSpanProcessor(self.exported)))
        super().__init__()

    def request(self, message: Submit | Act | Manage, key: KeyRole | None = None, user: str = "") -> Any:
        self.traces.received(message)
        return super().request(message, key, user)

    def carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Reply):
                self.traces.sent(effect.message)
        super().carry_out(effects)

    def committed(self, rows: list[Row]) -> None:
        self.traces.committed(rows)
        super().committed(rows)

    def _manage(self, name: str, effects: list[Effect]) -> None:
        for effect in effects:
            if not isinstance(effect, Send) and (message := getattr(effect, "message", None)) is not None:
                self.traces.received(message)
        super()._manage(name, effects)

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self.exported.get_finished_spans())


def test_each_frame_that_is_committed_has_a_trace_whose_spans_follow_each_other() -> None:
    world = Traced()
    world.add_worker("w1")
    job = animation("5-6")
    world.submit(job)
    world.run(1)
    world.finish_everything()
    roots = [span for span in world.spans if span.name == "frame"]
    assert sorted(span.attributes["brender.frame"] for span in roots) == [5, 6]  # type: ignore[index]
    for root in roots:
        of_it = {span.name: span for span in world.spans if span.context.trace_id == root.context.trace_id}
        assert of_it.keys() == OF_SERVER
        assert all(span.parent.span_id == root.context.span_id for span in of_it.values() if span is not root)  # type: ignore[union-attr]
        assert of_it["submit"].start_time == root.start_time and of_it["commit"].end_time == root.end_time
        times = [of_it[name].start_time for name in ("submit", "queue", "commit")]
        assert times == sorted(times)  # type: ignore[type-var]
        assert root.attributes["brender.job"] == job.id  # type: ignore[index]


def test_what_fails_has_no_root_and_nothing_is_kept_of_what_has_ended() -> None:
    world = Traced()
    world.add_worker("w1")
    world.submit(animation("1"))
    world.run(1)
    world.end("w1", "the rig is broken")
    assert world.spans == []
    world.finish_everything()
    assert [span.name for span in world.spans].count("frame") == 1
    assert not world.traces._attempts and not world.traces._jobs and not world.traces._reported


@pytest.fixture
def exported() -> InMemorySpanExporter:
    return InMemorySpanExporter()


def _spans(exported: InMemorySpanExporter, role: str) -> Spans:
    return Spans(role, "one", SimpleSpanProcessor(exported))


def _granted() -> tuple[Grants, Grant]:
    world = World()
    world.add_worker("w1")
    world.submit(animation("7"))
    world.run(1)
    grant = world.workers["w1"].running
    assert grant is not None
    return Grants(grants=(grant,), orders=()), grant


def test_worker_and_manager_add_to_the_trace_by_the_ids_of_attempt_and_part(exported: InMemorySpanExporter) -> None:
    grants, grant = _granted()
    part = grant.parts[0].id
    ManagerTraces(_spans(exported, "manager")).passed(grants, 1.0)
    worker = WorkerTraces(_spans(exported, "worker"), "w1")
    worker.received(grants)
    worker.begun(grant)
    worker.did(grant.attempt, ("stage", 2.0, 3.0))
    worker.done(grant, part)
    worker.ended(grant.attempt)
    found = exported.get_finished_spans()
    assert [span.name for span in found] == ["pass down", "wait", "render", "stage"]
    trace, root = ids_of(grant.attempt, part)
    assert all(span.context.trace_id == trace and span.parent.span_id == root for span in found)  # type: ignore[union-attr]
    assert found[2].attributes["brender.frame"] == 7 and found[2].attributes["brender.worker"] == "w1"  # type: ignore[index]


def test_there_are_no_traces_unless_the_environment_names_who_takes_them() -> None:
    assert spans("server", environment={}) is None
    assert spans("server", environment={"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_SDK_DISABLED": "true"}) is None


def test_an_endpoint_that_cannot_be_used_is_said_and_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    assert spans("server", environment={"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317"}) is None
    assert "'collector:4317', and would have to be a URL such as http://collector:4318" in caplog.text


def test_spans_that_nobody_takes_are_dropped_and_that_is_said_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_ports(1)}", "OTEL_EXPORTER_OTLP_TIMEOUT": "0.1"}
    for name, value in (environment | {"OTEL_BSP_SCHEDULE_DELAY": "20"}).items():
        monkeypatch.setenv(name, value)
    made = spans("server", environment=environment)
    assert made is not None
    made.add("a", 1, "render", 1.0, 2.0)
    until(lambda: "are dropped: nobody takes them there" in caplog.text, 10)
    made.add("a", 1, "render", 1.0, 2.0)
    made.close()
    assert [record.name for record in caplog.records if record.levelno >= logging.WARNING] == ["brender.traces"]


def test_one_of_the_rate_that_the_environment_names_is_decided_alike_by_each_role(
    exported: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.25")
    server, worker = _spans(exported, "server"), _spans(exported, "worker")
    for number in range(400):
        server.add_root(f"{number:016x}", number, "frame", 1.0, 2.0)
        worker.add(f"{number:016x}", number, "render", 1.0, 2.0)
    found = exported.get_finished_spans()
    by_role = [{span.context.trace_id for span in found if span.name == name} for name in ("frame", "render")]
    assert by_role[0] == by_role[1] and 50 < len(by_role[0]) < 150


class _Collector(ThreadingHTTPServer):
    """Takes spans, as OpenTelemetry's collector does."""

    def __init__(self) -> None:
        self.taken: list[Any] = []
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken += [
            ({each.key: each.value.string_value for each in resource.resource.attributes}["service.name"], span)
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *words: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[_Collector]:
    made = _Collector()
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()


@pytest.mark.thorough
@pytest.mark.blender
def test_a_frame_that_blender_renders_is_traced_by_each_role_from_submit_to_commit(
    folder: DataFolder,
    collector: _Collector,
    bpy: Blender,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.server_port}")
    scene = SCENES / "03_animated_cube.blend"
    out = tmp_path / "secret-person"
    with (
        LocalFarm(FarmPlan(folder, 1, any_ports=True, with_dashboard=False, blenders=[bpy.path])),
        client(None, folder.root) as ask,
    ):
        words = (
            "submit",
            scene,
            "--frames",
            "1",
            "--resolution",
            "5",
            "--samples",
            "1",
            "--allow-missing",
            "--output",
            out,
            "--data",
            folder.root,
        )
        said = command(capsys, *words)
        assert said.code == 0, said
        job = ask.ask("jobs")[0]["id"]
        assert ended(ask, job)["status"] == "completed"
    by_role = {
        role: {span.name for service, span in collector.taken if service == f"brender-{role}"}
        for role in ("server", "manager", "worker")
    }
    assert by_role == {"server": OF_SERVER, "manager": OF_MANAGER, "worker": OF_WORKER}
    assert len({span.trace_id for _, span in collector.taken}) == 1
    assert "secret-person" not in str(collector.taken) and scene.stem not in str(collector.taken)
