"""Why a frame or a stage of a job is not done."""

import msgspec
import pytest

from brender.model.answers import WHY_QUEUED
from brender.model.beginning import After
from brender.model.errors import BrenderError
from brender.model.job_standing import standing
from brender.model.sharing import Sharing
from brender.scheduling.reasons import at_its_limit
from brender.store import why_task
from tests.staged import install, staged
from tests.test_progressive import do_pass, progressive
from tests.world import World, animation, farm_of_two


def work(world: World) -> None:
    """Let the workers do all that there is."""
    while busy := [name for name, stub in world.workers.items() if stub.running]:
        for name in busy:
            if world.workers[name].running:
                world.finish(name)
        world.run(2.0)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    install(monkeypatch)
    return farm_of_two()


def test_a_frame_says_which_stage_it_is_at_and_what_it_waits_for(world: World) -> None:
    job = staged("1-8")
    world.submit(job)
    world.run(1.0)

    def why(frame: int) -> str:
        return str(world.ask("why", job=job.id, frame=frame))

    called = f"staged ({job.id[:8]})"
    first, second = (stub.running.parts[0].frame for stub in world.workers.values() if stub.running)
    for frame in (first, second):
        assert why(frame).startswith(f"Frame {frame} of {called} (draw) is at work on ")
    assert why(8).startswith(f"Frame 8 of {called} (draw) waits: ") and "tasks of the job come before it" in why(8)
    assert world.ask("why", job=job.id, stage="count").endswith("waits: 8 tasks of the stage clean are not done")
    assert world.ask("why", job=job.id, stage="clean").endswith("waits: the same frame of the stage draw is not done")
    world.act("pause", job.id)
    assert why(8).endswith(f"waits: the job is paused. `brender resume {job.id[:8]}` goes on")
    world.act("resume", job.id)
    world.finish(next(name for name, stub in world.workers.items() if stub.running and stub.running.parts[0].frame == first))
    world.run(1.0)
    assert f"Frame {first} of {called} (clean) " in why(first)
    told = [str(world.ask("why", job=job.id, task=number)) for number in (0, 16)]
    assert told[0].startswith(f"Task 0 of {called} ") and told[1].startswith(f"Task 16 of {called} (count) waits: ")
    work(world)
    assert why(first) == f"Frame {first} of {called} is done"


def test_of_the_tasks_before_a_frame_only_so_many_are_counted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(why_task, "_AHEAD_MOST", 3)
    job = world.submit(animation("1-20", chunk=1))["id"]
    world.run(1.0)
    said = {frame: world.ask("why", job=job, frame=frame) for frame in range(1, 21)}
    first = next(frame for frame, text in said.items() if " waits: it has its turn" in text)
    told = [said[first + before].partition("waits: ")[2] for before in (3, 4, 10)]
    assert [text.partition(" of the job")[0] for text in told] == ["3 tasks", "more than 3 tasks", "more than 3 tasks"]


def test_a_frame_that_failed_says_why_and_what_helps(world: World) -> None:
    job = staged("1")
    world.submit(job)
    world.run(1.0)
    (name,) = [name for name, stub in world.workers.items() if stub.running]
    world.end(name, "the disk is full", permanent=True)
    world.run(2.0)
    said = world.ask("why", job=job.id, frame=1)
    assert "(draw) failed" in said and "the disk is full" in said and f"`brender requeue {job.id[:8]}`" in said


def test_what_a_frame_is_not_of_is_refused_with_what_there_is(world: World) -> None:
    job = staged("1-3")
    world.submit(job)
    for asked, said in (
        ({"frame": 9}, "has no frame 9: it has the frames 1-3"),
        ({"stage": "film"}, "has no stage 'film': it has 'draw', 'clean', 'count'"),
        ({"frame": 2**63}, "takes no frame=9223372036854775808"),
        ({"task": 99}, "has no task 99: `brender tasks"),
        ({}, "Name a frame, a stage or a task"),
        ({"frame": 1, "stage": "draw"}, "only of one"),
    ):
        with pytest.raises(BrenderError) as refused:
            world.ask("why", job=job.id, **asked)
        assert said in str(refused.value)


def test_a_stage_is_done_whatever_stands_of_the_others_between_it_and_the_frames_of_it_that_were_added() -> None:
    world = World()
    world.add_worker("one")
    job = progressive("1")
    world.submit(job)
    do_pass(world)
    world.act("edit", job.id, {"settings": {"frames": "1-2"}})
    assert not world.ask("why", job=job.id, stage="pass 1").endswith(" is done")
    while do_pass(world)[:2] != (2, 1):
        pass
    assert world.ask("why", job=job.id, stage="pass 1").endswith(" is done")
    assert not world.ask("why", job=job.id, stage="pass 4").endswith(" is done")


def test_a_frame_that_waits_for_another_jobs_says_for_which_and_what_helps_where_that_will_not_come(world: World) -> None:
    first = animation("1-2", chunk=1)
    second = msgspec.structs.replace(animation("1-3", chunk=1), after=(After(first.id, by_frame=True),), name="comp")
    world.submit(first)
    world.submit(second)
    world.run(1.0)
    said = world.ask("why", job=second.id, frame=2)
    assert said.startswith(f"Frame 2 of comp ({second.id[:8]}) waits for frames of ") and first.id[:8] in said
    world.finish(next(iter(world.workers)))
    world.run(2.0)
    (said, missing) = (world.ask("why", job=second.id, frame=frame) for frame in (2, 3))
    assert f"frame 2 of shot ({first.id[:8]}) is not done (1 of 2 frames)" in said
    assert f"shot ({first.id[:8]}) has no frame 3, so all of that job has to be done first" in missing
    world.act("cancel", first.id)
    world.run(2.0)
    assert f"`brender when {second.id[:8]} --not-after {first.id[:8]}`" in world.ask("why", job=second.id, frame=2)


def test_what_waits_for_a_limit_says_so_though_others_of_the_job_run_and_one_that_was_canceled_says_by_whom(world: World) -> None:
    job = world.submit(animation("1-4", chunk=1, sharing=Sharing(most_workers=1)))["id"]
    world.run(1.0)

    def why(frame: int) -> str:
        return str(world.ask("why", **world.server.dispatch.knowing("why", {"job": job, "frame": frame})))

    assert [" is at work on " in why(frame) for frame in (1, 2)] == [True, False]
    limit = at_its_limit(1, 1)
    assert why(2).endswith(f"waits: {limit}") and why(3).endswith(f"1 task of the job comes before it. {limit}")
    queued = world.server.dispatch.why(WHY_QUEUED, job)
    assert standing(world.ask("job", id=job), queued).endswith(f"0 of 4 frames are done. The rest waits. {limit}")
    world.act("cancel", job)
    world.run(2.0)
    said = why(2), standing(world.ask("job", id=job))
    assert all("canceled" in each and "canceled: canceled" not in each for each in said)


def test_a_job_at_its_limit_whose_task_waits_at_a_busy_worker_says_at_which(world: World) -> None:
    world.submit(animation("1-2", chunk=1))
    world.run(1.0)
    job = world.submit(animation("1-4", chunk=1, sharing=Sharing(most_workers=1)))["id"]
    world.run(2.0)
    handed_out = "1 task of it is handed out to {}, which finishes what it does first"
    named = {f"{at_its_limit(1, 1)}. {handed_out.format(name)}" for name in world.workers}
    assert world.ask("job", id=job)["reason"] in named
