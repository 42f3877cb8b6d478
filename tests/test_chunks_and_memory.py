"""Tasks whose size the farm chooses, and workers that have not the memory that a job's frames need."""

from pathlib import Path

import pytest

from brender.engines.process import memory_kills
from brender.model.nodes import Stats
from brender.scheduling.chunks import chunk_size
from tests.world import World, animation, granted


@pytest.fixture
def world() -> World:
    farm = World()
    farm.add_worker("one")
    return farm


@pytest.mark.parametrize(
    ("seconds", "queued", "width", "frames"),
    [(None, 1000, 1, 1), (2.0, 1000, 1, 30), (120.0, 1000, 1, 1), (0.0, 10_000, 2, 1000), (2.0, 40, 4, 5), (2.0, 7, 4, 1)],
)
def test_a_task_has_about_a_minute_of_frames_and_one_near_the_end(
    seconds: float | None, queued: int, width: int, frames: int
) -> None:
    assert chunk_size(seconds, queued, width) == frames


def test_tasks_grow_once_it_is_known_how_long_frames_take(world: World) -> None:
    spec = animation("1-100", chunk=0)
    world.submit(spec)
    assert granted(world, "one") == [1, 2], "nothing is known yet: one frame a task"
    world.finish_part("one", seconds=3.0)
    world.end("one")
    held = granted(world, "one")
    assert held == list(range(2, 23)), "a minute of them"
    frames = world.finish_everything()
    assert sorted(frames) == list(range(2, 101))
    assert world.status(spec.id) == "completed"
    assert all(part["status"] == "completed" for part in world.ask("parts", job=spec.id))


def test_a_chunk_that_was_asked_for_stays_as_it_is(world: World) -> None:
    world.submit(animation("1-100", chunk=1))
    world.finish_part("one", seconds=3.0)
    world.end("one")
    assert granted(world, "one") == [2, 3]


def test_frames_of_a_grown_task_can_be_queued_again_each_by_itself(world: World) -> None:
    spec = animation("1-40", chunk=0)
    world.submit(spec)
    world.finish_everything()
    world.act("requeue", spec.id, "17-18")
    assert sorted(world.finish_everything()) == [17, 18]
    world.act("requeue", spec.id, "all")
    assert sorted(world.finish_everything()) == list(range(1, 41))
    assert world.status(spec.id) == "completed"


def test_a_server_that_starts_anew_knows_which_frames_went_into_which_task(world: World) -> None:
    spec = animation("1-100", chunk=0)
    world.submit(spec)
    world.finish_part("one", seconds=3.0)
    world.end("one")
    first = world.finish_part("one")
    world.start_server()
    world.run(1)
    running = world.workers["one"].running
    assert running is not None
    rest = [world.finish_part("one") for _ in running.parts[1:]]
    world.end("one")
    assert sorted([first, *rest, *world.finish_everything()]) == list(range(2, 101))
    assert world.status(spec.id) == "completed"


def test_a_job_waits_for_a_worker_with_the_memory_that_its_frames_need(world: World) -> None:
    spec = animation("1-8", chunk=1)
    world.submit(spec)
    world.server.farm.jobs[spec.id].memory = 10 * 10**9
    world.server.farm.changed_jobs.add(spec.id)
    worker = next(iter(world.server.farm.workers.values()))
    worker.free = 8 * 10**9
    world.finish("one")
    world.finish("one")
    world.run(3)
    assert granted(world, "one") == []
    assert "has 8.0 GB of memory free, and a frame of it needed 10.0 GB" in world.ask("job", id=spec.id)["reason"]
    worker.free = 11 * 10**9
    world.server.farm.changed.add(worker.info.id)
    world.run(1)
    assert granted(world, "one") != []


def test_what_the_workers_own_render_holds_counts_as_free(world: World) -> None:
    stats = Stats(memory_total=16 * 10**9, memory_used=14 * 10**9, render_memory=9 * 10**9)
    world.beat("one", stats)
    assert next(iter(world.server.farm.workers.values())).free == 11 * 10**9


def test_the_kernels_count_of_kills_for_memory_is_read(tmp_path: Path) -> None:
    counters = tmp_path / "vmstat"
    counters.write_text("nr_free_pages 12\noom_kill 3\npgpgin 7\n")
    assert memory_kills(counters) == 3
    assert memory_kills(counters.with_name("none")) == 0
