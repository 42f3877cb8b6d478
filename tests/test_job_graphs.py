"""Jobs of several stages: what waits for whole stages, and what for the same frame of another."""

import pytest

from brender.bus.messages import Sorry
from brender.jobs.stages import Stage, Wait, check_stages, followed_by
from brender.model.errors import BadInput
from brender.roles.policy import Policy
from brender.roles.server.jobs import USES_FRAMES
from tests.staged import install, staged
from tests.world import World, farm_of_two


def outputs(world: World) -> list[str]:
    """The files that workers hold grants for."""
    grants = [grant for stub in world.workers.values() for grant in (stub.core.running, *stub.core.waiting) if grant is not None]
    return sorted(part.output for grant in grants for part in grant.parts)


def work(world: World, *names: str, most: int = 2000) -> list[str]:
    """Let *names*, or all, work until they have nothing left; return the files in the order in which they were done."""
    done: list[str] = []
    for _ in range(most):
        busy = [name for name, stub in world.workers.items() if stub.running is not None and (not names or name in names)]
        if not busy:
            world.run(2.0)
            busy = [name for name, stub in world.workers.items() if stub.running is not None and (not names or name in names)]
            if not busy:
                return done
        for name in busy:
            if (grant := world.workers[name].running) is not None:
                done += [part.output for part in grant.parts]
                world.finish(name)
    raise AssertionError("the farm never came to rest")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    install(monkeypatch)
    return farm_of_two()


def test_a_frame_of_a_later_stage_is_given_out_once_the_same_frame_of_the_one_before_is_done(world: World) -> None:
    spec = staged("1-3")
    world.submit(spec)
    assert outputs(world) == ["draw/1", "draw/2", "draw/3"]
    assert [task["status"] for task in world.ask("tasks", job=spec.id)] == ["active"] * 3 + ["waiting"] * 4
    world.cut = {next(name for name, stub in world.workers.items() if stub.running and stub.running.parts[0].frame == 2)}
    (other,) = world.workers.keys() - world.cut
    assert work(world, other)[:4] == ["draw/1", "draw/3", "clean/1", "clean/3"]
    world.cut = set()
    assert work(world)[-2:] == ["clean/2", "count/1"]
    assert world.status(spec.id) == "completed"


def test_what_is_made_of_a_frame_is_made_again_when_that_frame_is(world: World) -> None:
    spec = staged("1-4")
    world.submit(spec)
    work(world)
    world.act("requeue", spec.id, "3")
    assert outputs(world) == ["draw/3"]
    assert work(world) == ["draw/3", "clean/3", "count/1"]
    assert world.status(spec.id) == "completed"


def test_a_frame_can_be_queued_again_while_later_stages_of_others_run(world: World) -> None:
    spec = staged("1-4")
    world.submit(spec)
    while not {"clean/4"} <= set(outputs(world)) <= {"clean/2", "clean/3", "clean/4"}:
        for name in [name for name, stub in world.workers.items() if stub.running]:
            world.finish(name)
    answer = world.act("requeue", spec.id, "4")
    assert isinstance(answer, Sorry) and USES_FRAMES in answer.message
    assert not isinstance(world.act("requeue", spec.id, "1"), Sorry)
    assert [name for name in work(world) if name not in ("clean/2", "clean/3", "clean/4")] == ["draw/1", "clean/1", "count/1"]
    assert world.status(spec.id) == "completed"


def test_only_what_waits_for_a_failed_frame_is_canceled_and_all_of_it_is_tried_again(world: World) -> None:
    spec = staged("1-3")
    world.submit(spec)
    for _ in range(40):
        name = next((name for name, stub in world.workers.items() if stub.running), None)
        if world.status(spec.id) == "failed":
            break
        if name is None:
            world.run(30.0)
        elif world.workers[name].running.parts[0].output == "draw/2":
            world.end(name, reason="no ink")
        else:
            world.finish(name)
    tasks = [(task["status"], task["reason"]) for task in world.ask("tasks", job=spec.id)]
    assert [status for status, _ in tasks] == [
        "completed", "failed", "completed", "completed", "canceled", "completed", "canceled",
    ]  # fmt: skip
    assert {reason for status, reason in tasks if status == "canceled"} == {"a task that it waits for has failed or was canceled"}
    world.act("requeue", spec.id)
    assert work(world) == ["draw/2", "clean/2", "count/1"]
    assert world.status(spec.id) == "completed"


def test_a_server_that_starts_again_knows_which_frames_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    world = World(Policy(plan_slice=10, plan_ahead=10))
    for name in ("one", "two"):
        world.add_worker(name)
    spec = staged("1-40")
    world.submit(spec)
    failing = next(name for name, stub in world.workers.items() if stub.running and stub.running.parts[0].frame == 1)
    for _ in range(20):
        if world.workers[failing].running and world.workers[failing].running.parts[0].frame == 1:
            world.end(failing, reason="no ink")
        world.run(1.0)
        if [task["status"] for task in world.ask("tasks", job=spec.id)][:1] == ["failed"]:
            break
        others = [n for n, s in world.workers.items() if s.running and s.running.parts[0].frame != 1]
        world.finish(others[0])
    world.start_server()
    world.run(1.0)
    work(world)
    tasks = {task["number"]: task["status"] for task in world.ask("tasks", job=spec.id)}
    assert (tasks[40], tasks[41], tasks[80], world.status(spec.id)) == ("canceled", "completed", "canceled", "failed")


@pytest.mark.parametrize("restarts", [False, True])
def test_chunks_that_grow_release_what_waits_for_their_frames(monkeypatch: pytest.MonkeyPatch, restarts: bool) -> None:
    install(monkeypatch, elastic=True)
    world = World(Policy(plan_slice=30, plan_ahead=40))
    world.add_worker("one")
    spec = staged("1-120")
    world.submit(spec)
    grown = 0
    done: list[str] = []
    while (grant := world.workers["one"].running) is not None:
        grown = max(grown, len(grant.parts))
        if restarts and len(done) > 50:
            restarts = False
            world.finish_part("one")
            world.start_server()
            world.run(1.0)
        done += [part.output for part in grant.parts]
        assert len({part.output.partition("/")[0] for part in grant.parts}) == 1, "a task of two stages"
        world.finish("one")
        for _ in range(20):
            if world.workers["one"].running is None:
                world.run(0.5)
    assert grown > 1 and world.status(spec.id) == "completed"
    assert len(done) == len(set(done)) == 241
    assert all(done.index(f"draw/{frame}") < done.index(f"clean/{frame}") for frame in range(1, 121))


def test_a_long_stage_behind_one_task_is_not_brought_into_memory_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, plan=(("bake", (), False), ("frames", (Wait("bake"),), True)))
    world = World(Policy(plan_slice=10, plan_ahead=20))
    world.add_worker("one")
    spec = staged("1-120")
    world.submit(spec)
    world.run(3.0)
    assert len(world.server.farm.tasks) <= 40 and outputs(world) == ["bake/1"]
    work(world)
    assert world.status(spec.id) == "completed"
    world.act("requeue", spec.id, "80")
    assert work(world) == ["frames/80"], "a bake is not made again with a frame"
    world.act("requeue", spec.id, "all")
    world.run(3.0)
    assert outputs(world) == ["bake/1"]
    assert len(work(world)) == 121


def test_a_frame_that_is_done_has_only_the_tasks_of_that_frame_looked_at(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = staged("1-300", chunk=10)
    world.submit(spec)
    dependencies = world.server.farm.jobs[spec.id].dependencies
    looks: list[int] = []
    waits = dependencies.waits
    monkeypatch.setattr(dependencies, "waits", lambda task, cursor: looks.append(task.number) or waits(task, cursor))
    world.finish("one")
    assert 10 <= len(looks) <= 11 and len(set(looks)) == 1, "a look for each frame of the chunk, and one at its end"


def test_a_job_type_may_rank_its_queued_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, ranks={2: -1.0, 3: -2.0})
    world = World()
    world.submit(staged("1-4"))
    world.add_worker("one")
    assert [name for name in work(world) if name.startswith("draw")] == ["draw/4", "draw/3", "draw/1", "draw/2"]


@pytest.mark.parametrize(
    ("stages", "said"),
    [
        ((Stage("a", 0, 2), Stage("a", 2, 1)), "has two stages called 'a'"),
        ((Stage("a", 0, 2), Stage("b", 3, 1)), "lets its stage 'b' have 1 task"),
        ((Stage("a", 0, 2, (Wait("b"),)), Stage("b", 2, 1)), "lets its stage 'a' wait for 'b', which is no stage before it"),
        ((Stage("a", 0, 2, (Wait("a", by_frame=True),)), Stage("b", 2, 1)), "lets its stage 'a' wait for 'a'"),
        ((Stage("a", 0, 2),), "says that the job has 3 tasks, and its stages have 2"),
    ],
)
def test_stages_that_make_no_sense_are_refused(stages: tuple[Stage, ...], said: str) -> None:
    check_stages("odd", followed_by(2, "frames", "film"), 3)
    with pytest.raises(BadInput, match=said):
        check_stages("odd", stages, 3)
