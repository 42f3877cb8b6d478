"""What roles say in their own logs: who joined, was lost, what failed and why, and that nobody above is heard."""

import io
import json
import logging
import math
import re
import string
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from brender.bus.messages import Manage, Renewed, Sorry, Welcome
from brender.commands.options import client
from brender.commands.role_logs import JsonLines, TextLines, begin_logging, message_of
from brender.model.log_events import OURS, SENTENCES, frames_in_words, log_event, read_event
from brender.model.nodes import WorkerInfo
from brender.roles.effects import LogEvent, Now
from brender.roles.policy import Policy
from brender.roles.server.loop import Server
from brender.roles.worker.core import WorkerCore
from tests.world import World, animation


@pytest.fixture
def world() -> World:
    world = World()
    world.add_worker("w1")
    return world


def test_each_role_says_who_joined_what_started_failed_and_why(world: World) -> None:
    job = animation("1-2", name="sh_020")
    world.submit(job)
    world.run(1)
    world.end("w1", "the rig is broken")
    world.run(1)
    assert "joined the server at server:9999" in world.logs["m"]
    assert "the worker w1 joined, from host" in world.logs["m"]
    assert "joined the manager m at manager:7777" in world.logs["w1"]
    said = world.logs["server"]
    assert "the worker w1 joined" in said and "submitted sh_020: 2 frames in 2 tasks" in said
    assert "sh_020 started: its first frame is with w1" in said
    assert any("of sh_020 failed on w1: the rig is broken" in line for line in said), said
    world.act("cancel", job.id)
    assert "canceled sh_020" in world.logs["server"]


def test_a_silent_server_is_said_within_five_seconds_by_manager_and_worker_and_again_when_it_is_back(world: World) -> None:
    world.run(5)
    world.cut.add("m")
    world.run(5)
    told = "server silent for 4 s; renders go on, nothing new starts"
    assert any(line.startswith(told) and "server:9999" in line for line in world.logs["m"]), world.logs["m"]
    assert told in world.logs["w1"]
    world.run(60)
    assert sum(line.startswith("server silent") for line in world.logs["m"]) == 2, "again every minute"
    world.cut.discard("m")
    world.run(3)
    assert any(line.startswith("the server answers again, after 1 min") for line in world.logs["m"])
    assert any(line.startswith("the server answers again, after 1 min") for line in world.logs["w1"])


def worker() -> WorkerCore:
    info = WorkerInfo(id="w" * 16, incarnation=1, name="w1", host="h")
    return WorkerCore(info, Policy(lease=30.0))


def silences(core: WorkerCore, first: float, last: float) -> list[tuple[float, dict[str, Any]]]:
    """When *core* says that no manager is heard, from second to second."""
    found = []
    for second in range(int(first), int(last)):
        effects = core.tick(Now(float(second), 0.0))
        found += [(second, each.fields) for each in effects if isinstance(each, LogEvent) and each.event == "parent-silent"]
    return found


def test_a_worker_without_a_connection_says_so_soon_and_every_minute() -> None:
    core = worker()
    core.cut_off = True
    told = silences(core, 100, 230)
    assert [when for when, _ in told] == [104, 164, 224] and not told[0][1]["connected"]


def test_a_worker_that_is_connected_and_hears_nothing_says_so_after_a_lease() -> None:
    core = worker()
    core.connected(Now(100.0, 0.0))
    told = silences(core, 100, 200)
    assert [when for when, _ in told] == [131, 191] and told[0][1]["connected"]
    welcome = Welcome(node="m", name="m", software="1", heartbeat_seconds=2.0, lease_seconds=30.0)
    back = [each for each in core.from_above(welcome, Now(200.0, 0.0)) if isinstance(each, LogEvent)]
    assert [each.event for each in back] == ["parent-back", "joined"] and back[0].fields["seconds"] == 100.0


def test_the_word_of_a_silent_server_changes_no_lease() -> None:
    core = worker()
    core.from_above(Renewed(sent=50.0, seconds=30.0), Now(51.0, 0.0))
    core.from_above(Renewed(sent=0.0, seconds=0.0, silent=4.0), Now(52.0, 0.0))
    assert core.lease_until == 80.0


def test_every_sentence_can_be_made_of_the_fields_that_are_given() -> None:
    known = {"parent": "server", "address": "a:1", "seconds": 70.0, "connected": True, "name": "n", "host": "h", "reason": "r"}
    known |= {"what": "frame 1", "job": "j", "worker": "w", "text": "t", "level": "debug"}
    for event, (level, template) in SENTENCES.items():
        wanted = {name for _, name, _, _ in string.Formatter().parse(template) if name} - {"whom", "lasted", "hint"}
        assert wanted <= known.keys()
        given = {name: known[name] for name in known if name in wanted or name not in ("text",)}
        assert read_event(event, given)[0] == level and "{" not in read_event(event, given)[1]


@pytest.mark.parametrize(
    ("event", "fields", "said"),
    [
        ("joined", {"parent": "manager", "name": "m1", "address": "a:1"}, "joined the manager m1 at a:1"),
        ("joined", {"parent": "server", "name": "server", "address": "a:1"}, "joined the server at a:1"),
        ("joined", {"parent": "manager", "address": "a:1"}, "joined the manager at a:1"),
        ("parent-back", {"parent": "manager", "seconds": 59.9}, "the manager is heard again, after 59 s"),
        ("parent-back", {"parent": "manager", "seconds": 60}, "the manager is heard again, after 1 min"),
        ("parent-back", {"parent": "manager", "seconds": 3600}, "the manager is heard again, after 1 h 0 min"),
        ("parent-back", {"parent": "manager", "seconds": 2 * 3600 + 3599}, "the manager is heard again, after 2 h 59 min"),
        ("parent-back", {"parent": "manager"}, "the manager is heard again, after 0 s"),
        (
            "parent-silent",
            {"parent": "manager", "address": "a:1", "seconds": 5.0, "connected": False},
            "nothing heard from the manager for 5 s. There is no connection to a:1. Is the manager running there, and does it "
            "listen at that address (--listen)? It tries again until there is one, and keeps its messages meanwhile",
        ),
        (
            "parent-silent",
            {"parent": "manager", "address": "a:1", "seconds": 5.0, "connected": True},
            "nothing heard from the manager for 5 s. The connection to a:1 stands, but nothing comes: the manager hangs, or is "
            "overloaded. Its own log says more",
        ),
        (
            "parent-silent",
            {"parent": "manager", "seconds": 5.0, "connected": True, "trouble": "Nobody is called a"},
            "nothing heard from the manager for 5 s. Nobody is called a",
        ),
        (
            "parent-silent",
            {"parent": "manager", "address": "a:1", "seconds": 5.0, "connected": False, "trouble": "it hangs"},
            "nothing heard from the manager for 5 s. At a:1: it hangs",
        ),
        ("parent-silent", {"parent": "manager", "seconds": 5.0}, "nothing heard from the manager for 5 s"),
        ("submitted", {"text": "anna submitted it"}, "anna submitted it"),
        ("worker-left", {"text": "the worker w left"}, "the worker w left"),
    ],
)
def test_a_sentence_says_what_happened_to_whom_and_for_how_long(event: str, fields: dict[str, Any], said: str) -> None:
    assert read_event(event, fields)[1] == said


def test_what_somebody_should_look_at_is_a_warning() -> None:
    levels = {event: read_event(event, {"text": "t"})[0] for event in ("failed", "kept-off", "manager-left", "worker-left")}
    assert set(levels.values()) == {logging.WARNING}
    assert read_event("submitted", {"text": "t"})[0] == read_event("started", {"text": "t"})[0] == logging.INFO
    assert read_event("failed-to-run", {"text": "t"})[0] == logging.ERROR


def test_frames_are_told_as_one_or_as_from_where_to_where() -> None:
    assert [frames_in_words(frames) for frames in ([7], [7, 8], [7, 8, 9], [])] == [
        *("frame 7", "frames 7 to 8", "frames 7 to 9", "a task"),
    ]


def logged(formatter: logging.Formatter, event: str, fields: dict[str, Any]) -> str:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(formatter)
    log = logging.getLogger("brender.test")
    log.propagate, log.handlers = False, [handler]
    log.setLevel(logging.INFO)
    log_event(log, event, fields)
    return out.getvalue()


def test_a_line_is_one_line_whatever_a_job_is_called() -> None:
    fields = {"name": "a\nb\x1b[2J\u202e", "worker": "w1", "job": "j"}
    text = logged(TextLines(), "job-started", fields)
    assert text.count("\n") == 1 and "\x1b" not in text and "INFO brender.test: a·b·[2J· started" in text
    line = json.loads(logged(JsonLines("server", ""), "job-started", fields))
    assert (line["level"], line["role"], line["event"]) == ("info", "server", "job-started")
    assert line["fields"] == fields and line["message"].endswith("started: its first frame is with w1") and line["time"]
    assert message_of(json.dumps(line)) == line["message"] and message_of("Error: no") == "Error: no"


def test_a_trace_holds_nothing_that_a_terminal_would_obey_and_any_fields_become_json() -> None:
    try:
        raise ValueError("a\x1b[2J\nb")
    except ValueError:
        record = logging.LogRecord("brender", logging.ERROR, "", 1, "failed", None, sys.exc_info())
    text = TextLines().format(record)
    assert "\x1b" not in text and text.endswith("ValueError: a·[2J\nb")
    record.event, record.fields = "failed", {"seconds": math.nan, (1, 2): {3}, "path": Path("x")}
    line = json.loads(JsonLines("server", "").format(record), parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert line["fields"] == {"seconds": "nan", "(1, 2)": [3], "path": "x"}


def test_verbose_is_brenders_debug_and_no_librarys() -> None:
    before = logging.getLogger().handlers[:]
    try:
        begin_logging(verbose=True)
        assert logging.getLogger("brender.bus").isEnabledFor(logging.DEBUG)
        assert not logging.getLogger("peewee").isEnabledFor(logging.INFO)
        begin_logging(verbose=False)
        assert not logging.getLogger("brender.bus").isEnabledFor(logging.DEBUG)
    finally:
        logging.getLogger().handlers[:] = before


def test_a_worker_says_within_5_seconds_that_its_manager_hangs_and_that_it_is_heard_again() -> None:
    world = World()
    world.add_worker("w1")
    world.run(60)
    assert not any("nothing heard" in line for line in world.logs["w1"]), "an idle one that answers is not silent"
    world.dead.add("m")
    world.run(4.8)
    assert any(line.startswith("nothing heard from the manager") for line in world.logs["w1"]), world.logs["w1"]
    world.dead.discard("m")
    world.run(3)
    assert any(line.startswith("the manager is heard again") for line in world.logs["w1"])


@pytest.fixture
def levels_as_before() -> Iterator[None]:
    """What a test sets of log levels is undone."""
    before = {name: logging.getLogger(name).level for name in OURS}
    yield
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


def test_a_worker_a_manager_and_the_server_log_from_the_level_that_is_set(world: World) -> None:
    told = world.act_on_node("log-level", "w1", "debug")
    assert (told["kind"], told["name"]) == ("worker", "w1")
    world.act_on_node("log-level", "m", "warning")
    world.request(Manage(id="a" * 16, what="server-log-level", arguments={"level": "error"}))
    world.run(1)
    for role, level in {"w1": "debug", "m": "warning", "server": "error"}.items():
        assert [line for line in world.logs[role] if line.startswith("logs from")] == [f"logs from {level} on"]
    said = [row["text"] for row in world.ask("activity")]
    assert "the worker w1 logs from debug on" in said and "the server logs from error on" in said


def test_a_level_that_there_is_not_and_a_node_that_is_away_are_said(world: World) -> None:
    told = world.act_on_node("log-level", "w1", "loud")
    assert isinstance(told, Sorry) and told.message == "There is no level 'loud'; there are debug, info, warning, error"
    world.dead.add("m")
    world.cut.add("w1")
    world.run(120)
    told = world.act_on_node("log-level", "w1", "debug")
    assert isinstance(told, Sorry) and "w1 is not there now" in told.message


def test_at_debug_each_message_is_logged_with_its_type_and_size_and_never_its_contents(
    server: Server, caplog: pytest.LogCaptureFixture, levels_as_before: None
) -> None:
    with client(None, server.folder.root) as connection:
        connection.manage("server-log-level", level="debug")
        assert connection.ask("jobs") == []
        connection.manage("server-log-level", level="info")
        connection.ask("workers")
    lines = [record.getMessage() for record in caplog.records if record.name == "brender.bus"]
    assert any(re.fullmatch(r"server control: received Ask from .*, [0-9]+ bytes", line) for line in lines), lines
    assert any(re.fullmatch(r"server control: sent Done, [0-9]+ bytes", line) for line in lines), lines
    assert not any("jobs" in line for line in lines)
    said = [record.getMessage() for record in caplog.records if getattr(record, "event", "") == "log-level-set"]
    assert said == ["logs from debug on", "logs from info on"]
    assert not any("received Ask" in line for line in lines[-1:]), "nothing after that"
