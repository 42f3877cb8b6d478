"""The accounts: what was done by user, project, worker and day, counted once, and kept when jobs are deleted."""

import csv
import io
import json

import pytest
from flask import Flask
from peewee import OperationalError

from brender.bus.messages import Failed
from brender.model.accounts import as_csv, day_of
from brender.model.causes import WORDS, Cause
from brender.model.errors import BadInput
from brender.store.accounts import day_named
from brender.store.database import open_for_writing
from brender.store.datafolder import DataFolder
from brender.store.writer import Writer
from tests.rows import put
from tests.tools import command, let_commands_ask
from tests.web import Browser, application, make_users
from tests.world import World, animation

ALL = {"since": "all"}


def sums(world: World, **wanted: str) -> dict[str, tuple[float, int, int, int]]:
    told = world.ask("accounts", **ALL | wanted)
    return {row["name"]: (row["machine_seconds"], row["frames"], row["attempts"], row["failures"]) for row in told["rows"]}


@pytest.fixture
def world(database: str) -> World:
    """A farm of two workers, on each kind of database."""
    made = World(database=open_for_writing(database))
    made.add_worker("one")
    return made


def test_frames_machine_time_and_failures_are_summed_by_user_project_worker_and_day(world: World) -> None:
    job = world.submit(animation("1-2", chunk=2, user="anna"))["id"]
    world.run(1.0)
    world.end("one", reason="it broke")
    world.add_worker("two")
    world.finish_everything()
    assert world.status(job) == "completed"
    day = day_of(1_700_000_000.0)
    expected = (2.0, 2, 2, 1)
    for by, name in (("user", "anna"), ("project", "default"), ("day", day)):
        assert sums(world, by=by) == {name: expected}, by
    by_worker = sums(world, by="worker")
    assert {name: frames for name, (_, frames, _, _) in by_worker.items()} in ({"one": 2}, {"one": 0, "two": 2})
    assert world.ask("accounts", by="user", **ALL)["rows"][0]["causes"] == {"other": 1}
    assert sums(world, by="user", user="bob") == {}


def test_sums_stay_when_the_server_restarts_and_when_the_job_is_deleted(world: World) -> None:
    job = world.submit(animation("1-2", user="anna"))["id"]
    world.run(0.5)
    world.finish_part("one")
    world.start_server()
    world.run(2.0)
    world.finish_everything()
    before = sums(world, by="user")
    assert before["anna"][1:] == (2, 2, 0)
    for kind, column in (
        ("part", "job"),
        ("attempt", "job"),
        ("task", "job"),
        ("job_revision", "job"),
        ("output_owner", "job"),
        ("job", "id"),
    ):
        world.writer.delete(kind, column, job, 100)
    assert sums(world, by="user") == before


def test_a_report_that_comes_twice_is_counted_once(world: World) -> None:
    world.submit(animation("1", user="anna"))
    world.run(0.5)
    world.finish_part("one")
    said = [report for report in world.workers["one"].kept if type(report).__name__ == "PartDone"]
    world.report("one", *said, *said)
    world.report("one", *said)
    assert sums(world, by="user")["anna"][1] == 1


def test_what_could_not_be_written_is_counted_once_when_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.add_worker("one")
    world.submit(animation("1", user="anna"))
    world.run(0.5)
    with monkeypatch.context() as broken:
        broken.setattr(world.writer, "commit", lambda rows: (_ for _ in ()).throw(OperationalError("disk full")))
        world.finish("one")
        assert sums(world) == {}
    world.run(3.0)
    assert sums(world, by="user") == {"anna": (1.0, 1, 1, 0)}


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ({"out_of_memory": True}, Cause.MEMORY),
        ({"forbidden": True}, Cause.FOLDER),
        ({"cause": "device"}, Cause.DEVICE),
        ({"cause": "time"}, Cause.TIME),
        ({"cause": "what a newer worker says"}, Cause.OTHER),
        ({}, Cause.OTHER),
    ],
)
def test_failures_are_told_by_their_cause(said: dict[str, object], cause: Cause) -> None:
    world = World()
    world.add_worker("one")
    world.submit(animation("1"))
    world.run(0.5)
    running = world.workers["one"].running
    assert running is not None
    world.report("one", Failed(attempt=running.attempt, number=2, reason="it broke", **said))  # type: ignore[arg-type]
    assert world.ask("accounts", **ALL)["total"]["causes"] == {cause: 1}


def test_an_attempt_whose_worker_is_lost_while_it_runs_is_a_failure_of_that_cause() -> None:
    world = World()
    world.add_worker("one")
    world.submit(animation("1"))
    world.run(0.5)
    world.cut.add("one")
    world.run(world.policy.lease + 5, 0.5)
    told = world.ask("accounts", by="worker", **ALL)
    assert (told["rows"][0]["name"], told["rows"][0]["causes"]) == ("one", {"lost": 1})
    assert told["total"]["machine_seconds"] > 1


def test_a_day_is_a_date_or_so_long_ago() -> None:
    today = "2026-03-01"
    named = {"": today, "today": today, "2026-02-28": "2026-02-28", "1d": "2026-02-28", "1w": "2026-02-22", "1y": "2025-03-01"}
    assert {text: day_named(text, today, "today") for text in named} == named
    for text in ("yesterday", "2026-2-3", "2026-02-30", "99999y", "-1d", "1h"):
        with pytest.raises(BadInput, match="is not a day"):
            day_named(text, today, "today")


@pytest.mark.parametrize(
    ("wanted", "said"), [({"by": "color"}, "not by 'color'"), ({"since": "0d", "until": "3d"}, "--since comes first")]
)
def test_a_question_that_makes_no_sense_is_refused_in_a_sentence(wanted: dict[str, str], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        World().ask("accounts", **wanted)


def test_the_command_prints_a_table_a_csv_or_json(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    let_commands_ask(world.answer, monkeypatch)
    assert "Nothing was rendered" in command(capsys, "accounts").out
    world.add_worker("one")
    world.submit(animation("1", user="anna"))
    world.run(0.5)
    world.end("one", reason="it broke")
    told = command(capsys, "accounts", "--since", "all").out
    assert "anna" in told and f"1 {WORDS[Cause.OTHER]}" in told
    (line,) = csv.DictReader(io.StringIO(command(capsys, "accounts", "--since", "all", "--csv", "--by", "worker").out))
    assert (line["worker"], line["failures"]) == ("one", "1")
    assert json.loads(command(capsys, "accounts", "--since", "all", "--json").out)["total"]["failures"] == 1
    assert command(capsys, "accounts", "--csv", "--json").code == 2


def test_names_in_a_csv_are_no_formulas_and_every_cause_has_its_column() -> None:
    row = {"name": '=HYPERLINK("x")', "machine_seconds": 5400.0, "frames": 3, "attempts": 4, "failures": 1}
    row |= {"causes": {"time": 1}, "joules": 1.8e6, "metered_seconds": 3600.0}
    (line,) = csv.DictReader(io.StringIO(as_csv({"by": "user", "rows": [row]})))
    assert (line["user"], line["machine_hours"], line["failed_time"], line["kwh"]) == (
        '\'=HYPERLINK("x")',
        "1.5000",
        "1",
        "0.500000",
    )
    assert {f"failed_{cause}" for cause in Cause} <= line.keys() and set(WORDS) == set(Cause)


# --- the page's API -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def app(folder: DataFolder) -> Flask:
    make_users(folder)
    writer = Writer(open_for_writing(str(folder.database)))
    for user, seconds in (("anna", 7200.0), ("bob", 3600.0)):
        key = ("2026-01-02", user, "film", "render-1")
        writer.commit([put("account", key, {"machine_seconds": seconds, "frames": 10, "attempts": 3, "failures": 1})])
        writer.commit([put("account_failure", (*key, "lost"), {"failures": 1})])
    writer.database.close()
    return application(folder)


def test_the_api_tells_a_wrangler_of_all_and_an_artist_of_their_own(app: Flask) -> None:
    asked = "/api/v1/accounts?by=user&since=all"
    for name, seen in (("boss", ["anna", "bob"]), ("walt", ["anna", "bob"]), ("anna", ["anna"]), ("vera", [])):
        told = Browser(app, name).get(asked).get_json()
        assert [row["name"] for row in told["rows"]] == seen, name
    web = Browser(app, "anna")
    refused = web.get(f"{asked}&user=bob")
    assert (refused.status_code, "only their own" in refused.get_json()["error"]) == (403, True)
    assert [row["user"] for row in csv.DictReader(io.StringIO(web.get(asked.replace("?", ".csv?")).text))] == ["anna"]


def test_of_the_shares_too_a_wrangler_is_told_of_all_and_an_artist_of_their_own(app: Flask, folder: DataFolder) -> None:
    writer = Writer(open_for_writing(str(folder.database)))
    for user, project in (("anna", "film"), ("bob", "film"), ("bob", "ads")):
        writer.commit([put("usage", f"{project}/{user}", {"project": project, "user": user, "seconds": 60.0, "wall": 1.0})])
    writer.database.close()
    everybody, own = ({"anna", "bob"}, {"film", "ads"}), ({"anna"}, {"film"})
    for name, seen in (("boss", everybody), ("walt", everybody), ("anna", own), ("vera", (set(), set()))):
        told = Browser(app, name).get("/api/v1/shares").get_json()
        assert ({row["user"] for row in told["users"]}, {row["project"] for row in told["projects"]}) == seen, name
        assert seen is everybody or "bob" not in json.dumps(told)
    assert {row["user"] for row in Browser(app).get("/api/v1/shares?user=bob").get_json()["users"]} == {"bob"}
    refused = Browser(app, "anna").get("/api/v1/shares?user=bob")
    assert (refused.status_code, "only their own" in refused.get_json()["error"]) == (403, True)


def test_the_days_of_the_plots_have_the_sums_and_the_causes_of_each_day(app: Flask) -> None:
    told = Browser(app).get("/api/v1/accounts?by=project&since=all").get_json()
    assert [(row["day"], row["name"], row["machine_seconds"]) for row in told["days"]] == [("2026-01-02", "film", 10_800.0)]
    assert told["failures"] == [{"day": "2026-01-02", "cause": "lost", "failures": 2}]
