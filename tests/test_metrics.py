"""What --metrics shows: the farm's figures for Prometheus, whether a role lives and is ready, and the files that use them."""

import json
import logging
import re
import shutil
import socket
import sqlite3
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from brender.bus.address import Address, free_ports
from brender.commands.options import client
from brender.commands.slots import slot_addresses
from brender.commands.worker import worker
from brender.farm.farm import Farm
from brender.metrics import page as page_module
from brender.metrics.families import FAMILIES
from brender.metrics.page import MetricsPage, Snapshot
from brender.model.errors import BadInput
from brender.model.status import Wanted
from brender.roles.server.figures import farm_figures
from brender.roles.server.loop import Server
from brender.roles.server.record_figures import RecordFigures
from brender.scaling.local import OWN_COMMAND
from brender.store.database import open_for_writing
from brender.store.datafolder import DataFolder
from brender.store.writer import Writer
from tests.conftest import missing
from tests.rows import put
from tests.tools import command, line_of, process, submit_command, until
from tests.world import World, animation

FILES = Path(__file__).resolve().parents[1] / "docs" / "metrics"
_METRIC = re.compile(r"\b(?:brender|process)_[a-z_]+\b")
_OF_THE_CLIENT = {"process_resident_memory_bytes", "process_cpu_seconds_total"}


@pytest.fixture
def page(tmp_path: Path) -> Iterator[MetricsPage]:
    made = MetricsPage(Address("127.0.0.1", 0), "server", tmp_path)
    yield made
    made.close()


def asked(page: MetricsPage | int, path: str) -> tuple[int, str]:
    """What the page at *path* answers: its status and its text."""
    port = page if isinstance(page, int) else page.address.port
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def exported(text: str) -> dict[str, float]:
    """The samples of *text*, each under its name, with its labels' values behind that."""
    return {
        " ".join((sample.name, *sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def figures(world: World) -> dict[str, Any]:
    return farm_figures(world.server.farm, world._at().wall, {})


def test_the_farm_is_counted_job_by_job_worker_by_worker_and_frame_by_frame() -> None:
    world = World()
    world.add_worker("w1")
    world.submit(animation("1-4"))
    world.run(2)
    found = figures(world)
    assert found["brender_jobs"]["active",] == 1 and found["brender_workers"]["busy",] == 1
    assert found["brender_tasks"] == {("active",): 1, ("granted",): 1, ("queued",): 2}
    world.finish("w1")
    world.run(1)
    world.end("w1", "the rig is broken")
    world.run(1)
    found = figures(world)
    assert found["brender_frames_completed_total"] == 1
    assert found["brender_attempts_ended_total"]["completed",] == 1 and found["brender_attempts_ended_total"]["failed",] == 1
    assert found["brender_machine_seconds_total"] > 0
    world.finish_everything()
    found = figures(world)
    assert found["brender_jobs_ended_total"]["completed",] == 1 and found["brender_jobs"]["active",] == 0
    assert found["brender_jobs_submitted_total"] == 1 and found["brender_frames_completed_total"] == 4


def test_frames_that_are_given_up_and_the_age_of_what_waits_are_told() -> None:
    world = World()
    waits = animation("1-2", tags=("nobody-has-it",))
    world.submit(waits)
    world.run(90)
    assert figures(world)["brender_oldest_queued_job_age_seconds"] == pytest.approx(90, abs=2)
    world.act("cancel", waits.id)
    assert figures(world)["brender_oldest_queued_job_age_seconds"] == 0
    world.add_worker("w1")
    spoiled = animation("1")
    world.submit(spoiled)
    for _ in range(20):
        world.run(60)
        if world.status(spoiled.id) == "failed":
            break
        if world.workers["w1"].running:
            world.end("w1", "the rig is broken")
    found = figures(world)
    assert found["brender_frames_failed_total"] == 1 and found["brender_jobs_ended_total"]["failed",] == 1
    assert found["brender_jobs_ended_total"]["canceled",] == 1


def test_a_role_is_alive_before_its_loop_turns_and_ready_after_it(page: MetricsPage) -> None:
    assert asked(page, "/healthz") == (200, "ok\n")
    assert asked(page, "/readyz") == (503, "This server is starting\n")
    page.show(lambda: Snapshot({"brender_record_writable": 1.0}))
    page.turned()
    assert asked(page, "/readyz") == (200, "ok\n")
    assert exported(asked(page, "/metrics")[1])["brender_record_writable"] == 1
    assert asked(page, "/")[0] == 404


def test_a_loop_that_hangs_is_neither_alive_nor_ready(page: MetricsPage, monkeypatch: pytest.MonkeyPatch) -> None:
    page.turned()
    monkeypatch.setattr(page_module, "STALE_SECONDS", -1.0)
    for path in ("/healthz", "/readyz"):
        status, said = asked(page, path)
        assert status == 503 and said.startswith("The loop of this server has not turned for ")
    page.turned()
    monkeypatch.undo()
    assert asked(page, "/healthz")[0] == 200


def test_why_a_role_is_not_ready_is_a_sentence(page: MetricsPage) -> None:
    page.show(lambda: Snapshot(not_ready="This server cannot write its record now: its log says why"))
    page.turned()
    assert asked(page, "/readyz") == (503, "This server cannot write its record now: its log says why\n")
    assert exported(asked(page, "/metrics")[1])["brender_ready"] == 0


def test_what_a_role_reads_is_looked_at_in_a_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_module, "_LOOK_SECONDS", 0.01)
    page = MetricsPage(Address("127.0.0.1", 0), "dashboard", tmp_path)
    answers = threading.Event()

    def look() -> None:
        if not answers.is_set():
            raise BadInput("The farm's database cannot be read: it is locked")

    page.show(Snapshot, look)
    page.turned()
    until(lambda: asked(page, "/readyz") == (503, "The farm's database cannot be read: it is locked\n"), 10)
    answers.set()
    until(lambda: asked(page, "/readyz")[0] == 200, 10)
    page.close()


def test_the_loop_waits_for_no_client_and_metrics_that_cannot_be_read_end_nothing(
    page: MetricsPage, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_module, "_SNAPSHOT_SECONDS", 0.0)
    with socket.create_connection(("127.0.0.1", page.address.port)) as slow:
        slow.sendall(b"GET /metrics HTTP/1.0\r\n")  # and no more
        began = time.monotonic()
        page.turned()
        assert time.monotonic() - began < 1
        assert asked(page, "/healthz")[0] == 200
    page.show(lambda: Snapshot({"brender_disk_bytes": 1 / 0}))
    with caplog.at_level(logging.ERROR):
        page.turned()
    assert "the metrics cannot be read" in caplog.text
    assert asked(page, "/metrics")[0] == 200


def test_an_address_that_cannot_be_used_is_one_sentence_and_exit_code_2(
    tmp_path: Path, page: MetricsPage, capsys: pytest.CaptureFixture[str]
) -> None:
    for role, wanted, why in (
        ("server", f"127.0.0.1:{page.address.port}", f"--metrics: port {page.address.port} on 127.0.0.1 is in use"),
        ("manager", "here:port", "--metrics: 'here:port' is not an address"),
        ("worker", "192.0.2.1:9464", "--metrics: cannot listen on 192.0.2.1:9464"),
        ("dashboard", "nowhere.invalid", "--metrics: the host name 'nowhere.invalid' cannot be resolved"),
    ):
        said = command(capsys, "role", role, "--data", tmp_path / "none", "--metrics", wanted)
        assert said.code == 2 and why in said.err and said.err.count("\n") == 1, said
    assert not (tmp_path / "none").exists(), "nothing changed"


def test_each_slot_of_a_machine_has_a_port_of_its_own_for_its_metrics() -> None:
    assert slot_addresses("127.0.0.1:9464", 3) == ["127.0.0.1:9464", "127.0.0.1:9465", "127.0.0.1:9466"]
    assert slot_addresses("", 2) == ["", ""]
    with pytest.raises(BadInput, match="3 workers from port 65534 on are more than there are ports"):
        slot_addresses("127.0.0.1:65534", 3)


def test_the_address_in_the_settings_file_is_for_one_worker_and_not_for_those_of_a_pool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "brender.toml").write_text('[worker]\nmetrics = "127.0.0.1:9464"\n')
    monkeypatch.setenv("BRENDER_CONFIG", str(tmp_path / "brender.toml"))
    words = OWN_COMMAND[OWN_COMMAND.index("worker") + 1 :]
    assert worker.make_context("worker", []).params["metrics"] == "127.0.0.1:9464"
    assert worker.make_context("worker", list(words)).params["metrics"] == ""
    assert worker.make_context("worker", [*words, "--metrics", "127.0.0.1:1"]).params["metrics"] == "127.0.0.1:1"


def test_a_server_exports_all_that_the_table_says_and_nothing_that_names_somebody(server: Server) -> None:
    server.record_figures.look()
    snapshot = until(lambda: server.snapshot() if server.loop.rounds[0] else None)
    of_server = {name for name, family in FAMILIES.items() if "server" in family.roles}
    by_the_page = {"brender_info", "brender_start_time_seconds", "brender_ready", "brender_loop_age_seconds"}
    of_backups = {"brender_backup_made_timestamp_seconds"}
    assert snapshot.values.keys() == of_server - by_the_page - {"brender_disk_free_bytes", "brender_disk_bytes"} - of_backups
    assert snapshot.not_ready is None and snapshot.values["brender_backup_failed"] == 0


def test_workers_that_are_away_and_the_last_backup_are_told_from_the_record_and_the_data_folder(folder: DataFolder) -> None:
    writer = Writer(open_for_writing(str(folder.make().database)))
    nodes = (("a", "offline", ""), ("b", "idle", ""), ("c", "offline", Wanted.FORGOTTEN))
    plain = {"incarnation": 1, "last_seen": 1.0}
    rows = [
        put("worker", id, plain | {"name": id, "status": status, "wanted": wanted, "manager": "m"})
        for id, status, wanted in nodes
    ]
    writer.commit([put("manager", "m", plain | {"name": "m", "status": "online"}), *rows])
    folder.note_backup({"file": "x", "bytes": 1, "wall": 1000.0, "trouble": "the disk is full"})
    figures = RecordFigures(folder, str(folder.database))
    figures.look()
    assert figures.offline == {"worker": 1, "manager": 0}
    assert figures.backups == {"brender_backup_failed": 1.0, "brender_backup_made_timestamp_seconds": 1000.0}
    assert farm_figures(Farm(), 1.0, figures.offline)["brender_workers"]["offline",] == 1
    assert ("offline",) not in farm_figures(Farm(), 1.0, {})["brender_workers"], "where it is not known"
    writer.database.close()


def test_a_record_that_cannot_be_read_leaves_out_what_it_alone_knows(folder: DataFolder) -> None:
    figures = RecordFigures(folder, str(folder.database))
    figures.look()
    assert figures.offline == {}


def test_names_and_labels_are_as_prometheus_wants_them() -> None:
    for family in FAMILIES.values():
        assert not family.labels or not {"job", "instance"} & set(family.labels), "Prometheus' own labels"
        assert family.help.endswith("."), family.name
        for unit in ("bytes", "seconds"):
            named = family.name.removesuffix("_total")
            assert unit not in named or named.endswith(unit), family.name


def expressions() -> list[str]:
    """All that the files ask Prometheus for."""
    rules = yaml.safe_load((FILES / "alerts.yaml").read_text())
    panels = json.loads((FILES / "grafana.json").read_text())["panels"]
    return [rule["expr"] for group in rules["groups"] for rule in group["rules"]] + [
        target["expr"] for panel in panels for target in panel.get("targets", [])
    ]


def test_each_metric_that_the_grafana_dashboard_and_the_alerts_name_is_exported() -> None:
    named = {name for expression in expressions() for name in _METRIC.findall(expression)}
    assert named - {"brender"} <= FAMILIES.keys() | _OF_THE_CLIENT
    for expression in expressions():
        for name, labels in re.findall(r"(brender_\w+)\{(.*?)\}", expression):
            assert {word.partition("=")[0].strip() for word in labels.split(",")} <= set(FAMILIES[name].labels) | {"job"}


def test_promtool_finds_nothing_wrong_with_the_alerts_their_tests_and_each_expression(tmp_path: Path) -> None:
    if shutil.which("promtool") is None:
        missing("promtool (of Debian's package prometheus)")
    panels = [{"record": f"panel:{number}", "expr": each} for number, each in enumerate(expressions())]
    (tmp_path / "panels.yaml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": panels}]}))
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump(_ALERT_TESTS | {"rule_files": [str(FILES / "alerts.yaml")]}))
    for words in (
        ("check", "rules", FILES / "alerts.yaml", tmp_path / "panels.yaml"),
        ("check", "config", FILES / "prometheus.yaml"),
        ("test", "rules", tmp_path / "tests.yaml"),
    ):
        ran = subprocess.run(["promtool", *map(str, words)], capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr


def _annotations(alert: str) -> dict[str, str]:
    (group,) = yaml.safe_load((FILES / "alerts.yaml").read_text())["groups"]
    return next(dict(rule["annotations"]) for rule in group["rules"] if rule["alert"] == alert)


_ALERT_TESTS: dict[str, Any] = {
    "evaluation_interval": "1m",
    "tests": [
        {
            "interval": "1m",
            "input_series": [
                {"series": 'brender_jobs{status="queued"}', "values": "1x30"},
                {"series": 'brender_workers{status="idle"}', "values": "0x30"},
                {"series": 'brender_record_writable{instance="farm:9464"}', "values": "1x10 0x20"},
            ],
            "alert_rule_test": [
                {"eval_time": "5m", "alertname": "BrenderNoWorkers", "exp_alerts": []},
                {
                    "eval_time": "15m",
                    "alertname": "BrenderNoWorkers",
                    "exp_alerts": [{"exp_labels": {"severity": "warning"}, "exp_annotations": _annotations("BrenderNoWorkers")}],
                },
                {"eval_time": "10m", "alertname": "BrenderRecordNotWritable", "exp_alerts": []},
                {
                    "eval_time": "15m",
                    "alertname": "BrenderRecordNotWritable",
                    "exp_alerts": [
                        {
                            "exp_labels": {"severity": "critical", "instance": "farm:9464"},
                            "exp_annotations": _annotations("BrenderRecordNotWritable"),
                        }
                    ],
                },
            ],
        }
    ],
}


@pytest.mark.thorough
def test_a_server_whose_record_is_locked_is_alive_and_not_ready_until_it_can_write_again(
    server: Server, page: MetricsPage
) -> None:
    page.show(server.snapshot)
    server.loop.each_round = page.turned
    until(lambda: asked(page, "/readyz")[0] == 200)
    with closing(sqlite3.connect(server.folder.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with client(None, server.folder.root) as connection, ThreadPoolExecutor() as threads:
            submitted = threads.submit(submit_command, connection, "true")
            until(lambda: asked(page, "/readyz") == (503, "This server cannot write its record now: its log says why\n"), 15)
            assert asked(page, "/healthz")[0] == 200
            assert exported(asked(page, "/metrics")[1])["brender_record_writable"] == 0
            other.execute("ROLLBACK")
            assert submitted.result(15), "nothing was lost"
    until(lambda: asked(page, "/readyz")[0] == 200, 15)


@pytest.mark.thorough
def test_each_role_of_a_farm_exports_what_the_table_says_and_says_why_it_is_not_ready(tmp_path: Path) -> None:
    first, shown = free_ports(9), free_ports(4)
    ports = dict(zip(("server", "manager", "worker", "dashboard"), range(shown, shown + 4), strict=True))

    def page_of(role: str) -> tuple[str, str]:
        return "--metrics", f"127.0.0.1:{ports[role]}"

    to_server = ("--server", f"127.0.0.1:{first + 4}")
    data = tmp_path / "data"
    manager = process("manager", "--name", "m", "--port-base", first + 6, *to_server, *page_of("manager"), data=data)
    worker = process("worker", "--name", "w", "--manager", f"127.0.0.1:{first + 6}", *page_of("worker"), data=data)
    dashboard = process("dashboard", "--port-base", first + 8, *to_server, *page_of("dashboard"), data=data)
    with process("server", "--lease", 5, "--port-base", first + 4, *page_of("server"), data=data) as serving:
        line_of(serving, "listens on")
        with manager as managing, dashboard, worker:
            line_of(managing, "listens on")
            for port in ports.values():
                until(lambda port=port: asked(port, "/readyz")[0] == 200)
                assert asked(port, "/healthz")[0] == 200
            for role, port in ports.items():
                text = asked(port, "/metrics")[1]
                names = {line.split("{")[0].split()[0] for line in text.splitlines() if line.startswith("brender_")}
                expected = {name for name, family in FAMILIES.items() if role in family.roles}
                assert expected - {"brender_round_trip_seconds", "brender_backup_made_timestamp_seconds"} <= names <= expected, (
                    role
                )
            serving.kill()
            serving.wait()
            until(lambda: asked(ports["dashboard"], "/readyz")[0] == 503, 20)
            assert "Server silent for" in asked(ports["dashboard"], "/readyz")[1]
            assert asked(ports["dashboard"], "/healthz")[0] == 200
            until(lambda: asked(ports["manager"], "/readyz")[0] == 503, 60)
            assert "has not joined the server at 127.0.0.1" in asked(ports["manager"], "/readyz")[1]
