"""Tasks whose size the farm chooses, and workers that have not the memory that a job's frames need."""

from pathlib import Path

import psutil
import pytest

from brender.engines.process import memory_kills
from brender.model.nodes import Stats
from brender.scheduling.chunks import chunk_size
from brender.system.memory import Memory, read_memory
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


def test_slots_of_a_machine_take_turns_where_the_frames_do_not_fit_beside_each_other(world: World) -> None:
    """Though one slot says that it holds by now what it needs before the other says how little is left."""
    world.submit(spec := animation("1-4", chunk=1))
    world.finish_part("one", memory=463 * 2**20)
    world.end("one")
    world.beat("one", Stats(memory_total=640 * 2**20, memory_used=20 * 2**20))
    world.add_worker("two")
    world.beat("two", Stats(memory_total=640 * 2**20, memory_used=20 * 2**20))
    world.beat("one", Stats(memory_total=640 * 2**20, memory_used=483 * 2**20, render_memory=463 * 2**20))
    world.run(3)
    assert world.workers["one"].running and not world.workers["two"].running
    world.finish("one")
    world.run(3)
    assert [bool(world.workers[name].running) for name in ("one", "two")].count(True) == 1
    assert len(world.finish_everything()) == 2 and world.status(spec.id) == "completed"


def test_what_the_workers_own_render_holds_counts_as_free(world: World) -> None:
    stats = Stats(memory_total=16 * 10**9, memory_used=14 * 10**9, render_memory=9 * 10**9)
    world.beat("one", stats)
    assert next(iter(world.server.farm.workers.values())).free == 11 * 10**9


def test_the_kernels_count_of_kills_for_memory_is_read(tmp_path: Path) -> None:
    counters = tmp_path / "vmstat"
    counters.write_text("nr_free_pages 12\noom_kill 3\npgpgin 7\n")
    assert memory_kills(counters) == 3
    assert memory_kills(counters.with_name("none")) == 0


def test_a_frame_that_is_killed_for_memory_beside_another_is_tried_again_alone_and_is_no_failure(world: World) -> None:
    world.add_worker("two")
    spec = animation("1-4", chunk=1)
    world.submit(spec)
    (killed,) = granted(world, "two")[:1]
    world.end("two", "the machine ran out of memory", out_of_memory=True)
    job = world.server.farm.jobs[spec.id]
    assert not job.failures and not job.strikes
    assert world.workers["two"].running is None, "nothing starts beside the other, which goes on"
    frames = [frame for _ in range(4) for name in ("one", "two") if world.workers[name].running for frame in world.finish(name)]
    assert sorted(frames) == [1, 2, 3, 4] and killed in frames
    assert world.status(spec.id) == "completed"


def test_what_is_to_render_alone_does_not_wait_behind_others(world: World) -> None:
    world.add_worker("two")
    world.submit(animation("1-8", chunk=1))
    assert len(granted(world, "one")) == len(granted(world, "two")) == 2
    world.end("two", "the machine ran out of memory", out_of_memory=True)
    world.run(2)
    assert [len(granted(world, name)) for name in ("one", "two")] == [1, 0]
    assert world.server.dispatch.audit() == []


def test_a_frame_that_is_to_render_alone_gets_its_machine_from_jobs_that_keep_it_busy(world: World) -> None:
    world.add_worker("two")
    spec = world.submit(animation("1-1"))["id"]
    busy = world.submit(animation("11-40", chunk=1))["id"]
    killed = next(name for name in ("one", "two") if 1 in granted(world, name))
    world.end(killed, "the machine ran out of memory", out_of_memory=True)
    world.run(50, step=0.5)
    assert len(granted(world, "one")) == len(granted(world, "two")) == 2, "the other job has both, and what comes next"
    world.run(15, step=0.5)
    assert "The machine host is kept free for it, and finishes what it has begun" in world.ask("job", id=spec)["reason"]
    assert world.server.dispatch.audit() == []
    assert world.finish("one")[0] >= 11 and not world.workers["one"].running
    assert world.finish("two")[0] >= 11
    world.run(1)
    (name,) = [name for name in ("one", "two") if world.workers[name].running]
    assert world.finish(name) == [1]
    assert world.status(spec) == "completed"
    assert len(world.finish_everything()) == 28 and world.status(busy) == "completed"


def test_two_frames_that_are_killed_for_memory_together_are_no_failures(world: World) -> None:
    world.add_worker("two")
    spec = animation("1-2", chunk=1)
    world.submit(spec)
    for name in ("one", "two"):
        world.end(name, "the machine ran out of memory", out_of_memory=True)
    job = world.server.farm.jobs[spec.id]
    assert not job.failures and not job.strikes
    assert [bool(world.workers[name].running) for name in ("one", "two")].count(True) == 1
    world.end("one" if world.workers["one"].running else "two", "the machine ran out of memory", out_of_memory=True)
    assert job.failures == 1, "by itself it is one"


def test_a_frame_that_is_killed_for_memory_with_nothing_beside_it_has_failed(world: World) -> None:
    spec = animation("1-1", chunk=1)
    world.submit(spec)
    world.end("one", "the machine ran out of memory", out_of_memory=True)
    assert world.server.farm.jobs[spec.id].failures == 1


@pytest.mark.parametrize("version", [1, 2])
def test_the_memory_of_a_control_group_counts_where_it_is_less_than_the_machines(tmp_path: Path, version: int) -> None:
    """As a container or a service has it; the group itself, and those above it."""
    own_groups, top = tmp_path / "cgroup", tmp_path / "groups"
    own_groups.write_text("0::/farm/worker\n" if version == 2 else "9:cpu:/x\n4:memory:/farm/worker\n0::/\n")
    limit, used, prefix = (
        ("memory.max", "memory.current", "") if version == 2 else ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_")
    )
    base = top if version == 2 else top / "memory"
    for folder, most, current in (("", "max" if version == 2 else 2**63 - 4096, 0), ("farm", 640 << 20, 500 << 20)):
        (base / folder).mkdir(parents=True, exist_ok=True)
        (base / folder / limit).write_text(f"{most}\n")
        (base / folder / used).write_text(f"{current}\n")
        (base / folder / "memory.stat").write_text(f"{prefix}inactive_file {100 << 20}\n{prefix}active_file 0\n")
    assert read_memory(own_groups, top) == Memory(640 << 20, 240 << 20)
    assert read_memory(tmp_path / "none", top).total == psutil.virtual_memory().total


@pytest.mark.parametrize(
    ("seconds", "queued", "width", "frames"),
    [
        (None, 10_000, 1, 1),
        (2.0, 10_000, 4, 30),
        (2.0, 100, 4, 12),
        (2.0, 8, 4, 1),
        (2.0, 16, 4, 2),
        (61.0, 10_000, 4, 1),
        (1.0, 100, 0, 50),
        (0.0, 10**9, 1, 1000),
        (0.1, 1198, 1, 599),
    ],
)
def test_a_task_has_about_a_minute_of_frames_and_fewer_near_the_end(
    seconds: float | None, queued: int, width: int, frames: int
) -> None:
    assert chunk_size(seconds, queued, width) == frames
