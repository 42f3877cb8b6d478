"""A farm that was kept by an earlier version goes on with this one.

``tests/records`` holds records as SQL, named by the last migration that they know. In 0010.sql a farm of two workers has a job of
each status; a chunk of the active one has one of its two frames.
"""

import itertools
import sqlite3
from pathlib import Path

import pytest

from brender.store.database import open_for_writing
from tests.world import World

RECORDS = sorted((Path(__file__).parent / "records").glob("*.sql"))


@pytest.fixture(params=RECORDS, ids=lambda path: path.stem)
def world(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """The farm of an earlier record, with two new workers."""
    monkeypatch.setattr("tests.world._ids", itertools.count(10_000))  # none that the record has
    old = sqlite3.connect(tmp_path / "farm.db")
    old.executescript(request.param.read_text("utf-8"))
    old.close()
    world = World(database=open_for_writing(str(tmp_path / "farm.db")))
    world.add_worker("three")
    world.add_worker("four")
    world.run(world.policy.lease + 2)  # the workers of before are lost
    return world


def _job(world: World, name: str) -> str:
    (id,) = [row["id"] for row in world.ask("jobs") if row["name"] == name]
    return str(id)


def _frames(world: World, job: str) -> set[str]:
    return {row["status"] for row in world.ask("parts", job=job)}


def test_its_unfinished_jobs_are_finished(world: World) -> None:
    world.finish_everything()
    active = _job(world, "active")
    assert (world.status(active), _frames(world, active)) == ("completed", {"completed"})
    paused = _job(world, "paused")
    assert world.act("resume", paused)["id"] == paused
    world.finish_everything()
    assert world.status(paused) == "completed"


@pytest.mark.parametrize(("name", "value"), [("failed", None), ("canceled", None), ("completed", "all"), ("completed", "2")])
def test_its_ended_jobs_can_be_queued_again(world: World, name: str, value: str | None) -> None:
    job = _job(world, name)
    assert world.act("requeue", job, value)["id"] == job
    world.act("readmit", job)
    world.finish_everything()
    assert (world.status(job), _frames(world, job)) == ("completed", {"completed"})


def test_its_accounts_begin_with_what_the_record_still_knows(world: World) -> None:
    told = world.ask("accounts", since="all")
    ended = [row for job in world.ask("jobs") for row in world.ask("attempts", job=job["id"]) if row["outcome"] != "live"]
    done = [row for job in world.ask("jobs") for row in world.ask("parts", job=job["id"]) if row["status"] == "completed"]
    assert (told["total"]["attempts"], told["total"]["frames"]) == (len(ended), len(done))
    assert told["total"]["frames"] > 0
