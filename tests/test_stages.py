"""Tasks that wait for others of their job: the picture of a split still is made when all its pieces are there."""

import pytest

from brender.model.job import JobSpec
from tests.world import World, animation, farm_of_two, new_id


def still(pieces: int = 3) -> JobSpec:
    settings = {"file": "/projects/shot.blend", "pieces": pieces}
    identity = new_id()
    spec = animation(id=identity, output=f"/renders/{identity}")
    return JobSpec(id=identity, name="still", job_type="blender-still", settings=settings, facts=spec.facts, output=spec.output)


@pytest.fixture
def world() -> World:
    return farm_of_two()


def outputs(world: World) -> list[str]:
    """The files that workers hold grants for."""
    held = []
    for stub in world.workers.values():
        grants = [grant for grant in (stub.core.running, *stub.core.waiting) if grant is not None]
        held += [part.output for grant in grants for part in grant.parts]
    return sorted(held)


def test_the_merge_is_given_out_only_after_the_last_piece(world: World) -> None:
    spec = still()
    world.submit(spec)
    assert outputs(world) == [f".shot_0001.png.pieces/{piece}.exr" for piece in (1, 2, 3)]
    assert [task["status"] for task in world.ask("tasks", job=spec.id)][-1] == "waiting"
    world.finish("one")
    world.finish("two")
    assert outputs(world) == [".shot_0001.png.pieces/3.exr"]
    world.finish_everything()
    assert world.status(spec.id) == "completed"
    assert [part["output"] for part in world.ask("parts", job=spec.id)][-1] == "shot_0001.png"


def test_a_server_that_starts_anew_still_lets_the_merge_wait_and_then_go(world: World) -> None:
    spec = still()
    world.submit(spec)
    world.finish("one")
    world.start_server()
    world.run(1)
    assert "shot_0001.png" not in outputs(world)
    world.finish_everything()
    assert world.status(spec.id) == "completed"


def test_a_server_that_starts_anew_when_only_the_merge_is_left_gives_it_out(world: World) -> None:
    spec = still(1)
    world.cut = {"one", "two"}
    world.submit(spec)
    world.cut = set()
    world.act("pause", spec.id)
    world.run(world.policy.lease)
    world.act("resume", spec.id)
    world.run(1)
    busy = next(name for name, stub in world.workers.items() if stub.running is not None)
    world.act("pause", spec.id)
    world.finish(busy)
    world.start_server()
    world.run(1)
    assert outputs(world) == []
    world.act("resume", spec.id)
    world.finish_everything()
    assert world.status(spec.id) == "completed"


def test_a_piece_that_fails_for_good_cancels_the_merge_and_requeue_brings_both_back(world: World) -> None:
    spec = still(2)
    world.submit(spec)
    for _ in range(40):
        for name, stub in world.workers.items():
            if stub.running is not None and stub.running.parts[0].piece == 1:
                world.end(name, "no such texture")
            elif stub.running is not None:
                world.finish(name)
        world.run(5)
        if world.status(spec.id) != "active" and world.status(spec.id) != "queued":
            break
    assert world.status(spec.id) == "failed"
    assert [task["status"] for task in world.ask("tasks", job=spec.id)] == ["failed", "completed", "canceled"]
    world.act("requeue", spec.id)
    world.finish_everything()
    assert world.status(spec.id) == "completed"


def test_a_finished_still_that_is_queued_again_is_rendered_in_the_same_order(world: World) -> None:
    spec = still(2)
    world.submit(spec)
    world.finish_everything()
    world.act("requeue", spec.id, "all")
    world.run(1)
    assert "shot_0001.png" not in outputs(world)
    world.finish_everything()
    assert world.status(spec.id) == "completed"
