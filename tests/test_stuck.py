"""Renders that seem stuck: they are shown as that, long before a limit ends them, and go on if they can."""

from pathlib import Path

import psutil
import pytest

from brender.api.standing import worker_standing, worker_status
from brender.engines.stats import StatsReader
from brender.model.job_standing import standing
from brender.model.nodes import Stats
from brender.model.stuck import STUCK, is_stuck
from brender.store.farm_page import attention
from tests.world import World, animation


@pytest.mark.parametrize(
    ("silent", "idle", "slowest", "stuck"),
    [
        (119, 119, 1, False),
        (120, 60, 1, True),
        (120, 59, 1, False),
        (299, 299, 100, False),
        (300, 300, 100, True),
        (599, 599, 0, False),
        (600, 600, 0, True),
    ],
)
def test_what_seems_stuck_was_silent_for_long_by_its_jobs_own_history_and_computes_nothing(
    silent: float, idle: float, slowest: float, stuck: bool
) -> None:
    assert is_stuck(silent, idle, slowest) is stuck


def stuck_at_frame_2() -> tuple[World, str]:
    """A farm whose only worker has rendered the first frame of a job in 50 seconds, and hangs in the second; and the job's id."""
    world = World()
    world.add_worker("w")
    job = world.submit(animation("1-3", name="shot"))["id"]
    world.run(1.0)
    world.finish_part("w", seconds=50)
    world.end("w")
    world.run(1.0)
    world.at_frame("w", 2)
    beat(world, 200.0)
    return world, job


def beat(world: World, idle: float) -> None:
    """The worker beats, after so many seconds in which its render computed nothing."""
    core = world.workers["w"].core
    world.now += idle
    told = core.beat_due(lambda: Stats(render_idle=idle), world._at())
    assert told is not None and told.stats is not None
    world.beat("w", told.stats)
    world.run(0.2)


def test_a_stuck_task_is_shown_on_its_job_its_worker_and_where_somebody_is_needed() -> None:
    world, job = stuck_at_frame_2()
    record = world.ask("job", id=job)
    (at,) = record["stuck"]
    assert at["name"] == "w" and at["frame"] == 2 and "frame 2 of shot" in at["reason"] and "50 seconds" in at["reason"]
    assert at["reason"] in standing(record)
    (row,) = world.ask("workers")
    assert row["status"] == "busy" and at["reason"] in worker_standing(row) and worker_status(row) == STUCK
    needs = attention(world.record, 1_700_000_000.0 + world.now)
    assert [(need["kind"], need["id"]) for need in needs] == [("job", job)]


def test_a_render_that_goes_on_is_not_stuck_any_more() -> None:
    world, job = stuck_at_frame_2()
    world.at_frame("w", 3)
    beat(world, 3.0)
    assert world.ask("job", id=job)["stuck"] == [] and world.ask("workers")[0]["reason"] == ""


def test_what_was_stuck_is_forgotten_with_the_attempt() -> None:
    world, job = stuck_at_frame_2()
    world.end("w", reason="it was killed")
    assert world.ask("job", id=job)["stuck"] == []


def test_a_restarted_server_knows_how_slow_the_slowest_frame_was() -> None:
    world, job = stuck_at_frame_2()
    world.start_server()
    assert world.server.farm.jobs[job].slowest_seconds == 50


def test_how_long_a_render_computes_nothing_is_among_the_statistics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, percent = 100.0, 80.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    reader, pid = StatsReader(tmp_path), psutil.Process().pid
    monkeypatch.setattr(reader, "_tree", lambda _: (percent, 0, 1))
    assert reader.read(pid).render_idle == 0
    now, percent = 110.0, 0.4
    assert reader.read(pid).render_idle == 10
    now = 150.0
    assert reader.read(pid).render_idle == 50
    assert reader.read(None).render_idle == 0
    now = 170.0
    assert reader.read(pid).render_idle == 0, "another process has begun meanwhile"
