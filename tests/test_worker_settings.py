"""What people say of workers: further tags, notes, hours of sleep; and that they start again when they are asked to."""

from datetime import datetime
from pathlib import Path

import pytest

from brender.bus.ids import new_id
from brender.bus.messages import Act
from brender.commands.localfarm import LocalFarm
from brender.commands.options import client
from brender.model.errors import BadInput
from brender.model.nodes import OWNERS_USE
from brender.model.schedule import asleep, parse_schedule
from tests.tools import command, ended, submit_command, until
from tests.world import World, animation

MONDAY, FRIDAY, SATURDAY, SUNDAY = 0, 4, 5, 6


@pytest.mark.parametrize(
    ("text", "day", "clock", "left"),
    [
        ("mon-fri 09:00-18:00", MONDAY, 9 * 60, 540),
        ("mon-fri 09:00-18:00", MONDAY, 18 * 60, None),
        ("mon-fri 09:00-18:00", SATURDAY, 12 * 60, None),
        ("fri 22:00-06:00", FRIDAY, 23 * 60, 7 * 60),
        ("fri 22:00-06:00", SATURDAY, 60, 5 * 60),
        ("fri 22:00-06:00", SATURDAY, 6 * 60, None),
        ("sun 23:00-01:00", MONDAY, 30, 30),
        ("sat-mon 1:00-2:00", SUNDAY, 90, 30),
        ("00:00-24:00", FRIDAY, 0, 24 * 60),
        ("00:00-24:00", SUNDAY, 60, 23 * 60),
        ("fri 22:00-06:00", SUNDAY, 60, None),
        ("mon 9:00-10:00, 9:30-11:00", MONDAY, 9 * 60 + 45, 75),
        ("", MONDAY, 0, None),
    ],
)
def test_hours_of_sleep(text: str, day: int, clock: int, left: int | None) -> None:
    assert asleep(parse_schedule(text), day, clock) == left


@pytest.mark.parametrize(
    "text",
    ["never", "mon", "mon 9-10", "fun 9:00-10:00", "25:00-26:00", "9:60-10:00", "23:00-24:30", "9:00-10:00;", "9:00," * 60],
)
def test_a_schedule_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        parse_schedule(text)


def _world() -> World:
    world = World()
    world.add_manager("m")
    world.add_worker("w", "m")
    world.run(1.0)
    return world


def test_a_worker_with_a_tag_that_it_was_given_takes_what_asks_for_it() -> None:
    world = _world()
    job = world.submit(animation("1", tags=("night",)))["id"]
    world.run(3.0)
    assert "lacks the tag night" in world.ask("job", id=job)["reason"]
    world.act_on_node("tags", "w", "night, big")
    world.run(1.0)
    world.finish_everything()
    assert world.status(job) == "completed"
    world.act_on_node("tags", "w", "")
    other = world.submit(animation("2", tags=("night",), output="/other"))["id"]
    world.run(3.0)
    assert "lacks the tag night" in world.ask("job", id=other)["reason"]


def test_a_worker_takes_nothing_while_it_sleeps_and_says_until_when() -> None:
    world = _world()
    here = datetime.fromtimestamp(world._at().wall)
    begin, end = (f"{(here.hour + hours) % 24:02d}:00" for hours in (0, 2))
    world.act_on_node("schedule", "w", f"{begin}-{end}")
    world.run(1.0)
    job = world.submit(animation("1"))["id"]
    world.run(3.0)
    (row,) = world.ask("workers")
    assert (row["status"], row["reason"]) == ("paused", f"it sleeps until {end}") and world.status(job) == "queued"
    world.act_on_node("schedule", "w", "")
    world.run(1.0)
    world.finish_everything()
    assert world.status(job) == "completed"


def test_what_was_said_of_a_worker_is_known_to_a_server_that_was_started_anew() -> None:
    world = _world()
    world.act_on_node("tags", "w", "night")
    world.act_on_node("note", "w", "noisy fan")
    world.start_server()
    world.run(3.0)
    job = world.submit(animation("1", tags=("night",)))["id"]
    world.run(1.0)
    world.finish_everything()
    (row,) = world.ask("workers")
    assert world.status(job) == "completed" and (row["note"], row["extra_tags"]) == ("noisy fan", ["night"])


def test_a_worker_and_a_manager_start_anew_when_they_are_asked_to(
    farm: LocalFarm, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with client(None, farm.folder.root) as connection:
        until(lambda: len(connection.ask("workers")) == 2)
        before = {
            row["name"]: (row["incarnation"], row["pid"]) for row in [*connection.ask("workers"), *connection.ask("managers")]
        }
        job = submit_command(connection, "sleep", "1", frames="1-2")
        until(lambda: any(row["started"] for row in connection.ask("attempts", job=job)))
        assert command(capsys, "restart", "worker-1", "--data", farm.folder.root).code == 0
        until(lambda: _incarnation(connection, "workers", "worker-1") > before["worker-1"][0])
        assert ended(connection, job)["failures"] == 0
        command(capsys, "restart", "manager", "--data", farm.folder.root)
        until(lambda: _incarnation(connection, "managers", "manager") > before["manager"][0])
        until(lambda: [row["status"] for row in connection.ask("workers")] == ["idle"] * 2)
        rows = {row["name"]: row["pid"] for row in [*connection.ask("workers"), *connection.ask("managers")]}
        assert rows == {name: pid for name, (_, pid) in before.items()}, "the same processes, started again"
        assert ended(connection, submit_command(connection, "true", frames="1-4"))["status"] == "completed"
        said = command(capsys, "describe", "worker-1", "--note", "x", "--sleeps", "rubbish", "--data", farm.folder.root)
        assert said.code == 2 and "not a span of a schedule" in said.err


def _incarnation(connection: object, what: str, name: str) -> int:
    rows = connection.ask(what)  # type: ignore[attr-defined]
    return next(int(row["incarnation"]) for row in rows if row["name"] == name)


def test_a_worker_that_is_given_back_takes_nothing_new_until_that_time_and_then_goes_on() -> None:
    world = World()
    world.add_worker("w")
    world.act_on_node("give-back", "w", "2")
    world.run(1.0)
    (row,) = [each for each in world.ask("workers") if each["name"] == "w"]
    assert row["status"] == "paused" and row["reason"].startswith(f"{OWNERS_USE} until ") and row["paused_until"]
    world.start_server()
    world.run(16.0, 1.0)
    assert world.server.farm.paused.keys() == {row["id"]}
    world.now += 2 * 3600
    world.run(40.0, 1.0)
    assert not world.server.farm.paused
    world.act_on_node("give-back", "w", "1")
    world.act_on_node("give-back", "w", "0")
    assert not world.server.farm.paused
    for hours in ("-1", "721", "soon"):
        with pytest.raises(BadInput, match="hours"):
            world.answer(Act(id=new_id(), action="give-back", target="w", value=hours))
