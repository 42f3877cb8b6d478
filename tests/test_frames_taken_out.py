"""A job is edited so that it has fewer frames, or others: what is still of it stays, and what is not counts no more."""

import random
import tracemalloc
from typing import Any

import pytest

from brender.bus.messages import Sorry
from brender.jobs import edits
from brender.jobs.declare import job_type
from brender.jobs.edits import revise
from brender.jobs.numbering import Numbering, numbering_of, renumbered, tasks_without_frames
from brender.jobs.stages import check_stages
from brender.model.edit import Edit
from brender.model.frames import arrange, chunk, format_frames, parse_frames
from brender.model.job import FILM, NOISY
from brender.roles.server.farm_store import FarmStore
from tests.test_edits import edit, stop
from tests.world import World, animation, farm_of_two


@pytest.fixture
def world() -> World:
    return farm_of_two()


def frames_of(world: World, job: str) -> list[int]:
    return sorted(row["frame"] for row in world.ask("parts", job=job))


def check_completed(world: World, job: str, frames: list[int]) -> None:
    """*job* has completed exactly *frames*, in memory and after a restart."""
    record = world.ask("job", id=job)
    found = record["status"], record["completed_parts"], record["part_count"], record["failures"]
    assert found == ("completed", len(frames), len(frames), 0)
    assert frames_of(world, job) == frames and world.server.dispatch.audit() == []
    world.start_server()
    assert world.status(job) == "completed"


@pytest.mark.parametrize("restart", [False, True])
def test_frames_that_are_taken_out_go_wherever_they_stand(world: World, restart: bool) -> None:
    world.sweep_size = 1
    world.start_server()
    job = world.submit(animation("1-9", chunk=1))["id"]
    world.run(3.0)
    (gone,), (done,) = world.finish("one"), world.finish("two")
    running, stopped = (stub.running.parts[0].frame for stub in world.workers.values() if stub.running is not None)
    left = sorted({done, running, 9})
    edit(world, job, settings={"frames": ",".join(map(str, left))})
    if restart:
        world.start_server()
    stop(world)
    record = world.ask("job", id=job)
    assert f"; 1 frame that was rendered already stays in {record['output']}" in record["revisions"][-1]["said"]
    rendered = set(world.finish_everything())
    assert rendered >= {running, 9} and rendered <= {*left}, f"{running} was rendered, and goes on; {gone} and {stopped} are out"
    check_completed(world, job, left)
    outcomes = {row["outcome"] for row in world.ask("attempts", job=job)}
    assert "canceled" in outcomes and "failed" not in outcomes
    assert world.ask("job", id=job)["machine_seconds"] >= 4.0, "what was rendered took its time"


def test_frames_come_and_go_in_one_edit_and_come_back(world: World) -> None:
    job = world.submit(animation("1-100"))["id"]
    world.finish("one")
    edit(world, job, settings={"frames": "1-20x2,101-103"})
    stop(world)
    world.finish_everything()
    check_completed(world, job, [*range(1, 20, 2), 101, 102, 103])
    edit(world, job, settings={"frames": "1-4"})
    assert world.status(job) == "queued"
    assert set(world.finish_everything()) == {2, 4}
    check_completed(world, job, [1, 2, 3, 4])
    assert world.ask("job", id=job)["settings"]["frames"] == "1-4"


@pytest.mark.parametrize("order", ["backward", "preview"])
def test_frames_are_added_in_any_order_and_after_a_task_that_is_not_full(world: World, order: str) -> None:
    job = world.submit(animation("1-5", chunk=2, order=order))["id"]
    world.finish("one")
    edit(world, job, settings={"frames": "1-8"})
    world.finish_everything()
    check_completed(world, job, list(range(1, 9)))


@pytest.mark.parametrize("restart", [False, True])
def test_a_task_of_several_frames_is_cut_and_what_it_renders_goes_on(world: World, restart: bool) -> None:
    job = world.submit(animation("1-8", chunk=4))["id"]
    world.run(2.0)
    before = world.workers["one"].running
    assert world.finish_part("one") == 1
    edit(world, job, settings={"frames": "1-3"})
    assert world.workers["one"].running is before, "frame 2 is still of the job"
    if restart:
        world.start_server()
        world.run(5.0)
    world.finish_part("one")
    world.finish_part("one")
    world.run(1.0)
    stub = world.workers["one"]
    assert before is not None and before.attempt in stub.stopped, "frame 4 is not"
    stop(world)
    world.run(1.0)
    check_completed(world, job, [1, 2, 3])
    assert {row["outcome"] for row in world.ask("attempts", job=job)} == {"superseded", "canceled"}


def outcomes(world: World, job: str) -> list[tuple[str, str]]:
    return [(row["outcome"], row["reason"]) for row in world.ask("attempts", job=job)]


def test_an_attempt_that_did_all_its_frames_is_completed_also_where_the_server_started_again_after_an_edit(world: World) -> None:
    job = world.submit(animation("1-3", chunk=3))["id"]
    world.run(2.0)
    assert world.finish_part("one") == 1
    edit(world, job, settings={"frames": "1-6"})
    world.start_server()
    world.run(5.0)
    world.finish("one")
    world.run(1.0)
    assert ("completed", "") in outcomes(world, job) and not world.workers["one"].stopped
    world.finish_everything()
    assert outcomes(world, job) == [("completed", "")] * 2


@pytest.mark.parametrize("restart", [False, True])
def test_an_attempt_that_does_a_frame_that_was_taken_out_and_then_its_last_is_completed(world: World, restart: bool) -> None:
    job = world.submit(animation("1-3", chunk=3))["id"]
    world.run(2.0)
    edit(world, job, settings={"frames": "1,3"})
    if restart:
        world.start_server()
        world.run(5.0)
    assert [world.finish_part("one") for _ in range(3)] == [1, 2, 3]
    world.run(1.0)
    world.finish_everything()
    check_completed(world, job, [1, 3])
    assert outcomes(world, job) == [("completed", "")]


def test_what_is_given_up_counts_no_more_once_its_frames_are_gone(world: World) -> None:
    job = world.submit(animation("1-4", chunk=2))["id"]
    world.run(1.0)
    for _ in range(20):
        for name, stub in world.workers.items():
            if stub.running is not None and stub.running.parts[0].frame == 1:
                world.end(name, reason="no such camera")
            elif stub.running is not None:
                world.finish(name)
        world.run(20.0)
        if world.status(job) == "failed":
            break
    assert world.status(job) == "failed"
    told = edit(world, job, settings={"frames": "3-4"})
    assert isinstance(told, Sorry) and f"`brender requeue {job[:8]}`" in told.message
    world.act("requeue", job)
    edit(world, job, settings={"frames": "3-4"})
    stop(world)
    world.run(2.0)
    record = world.ask("job", id=job)
    assert (record["status"], record["completed_parts"], record["given_up_parts"]) == ("completed", 2, 0)


@pytest.mark.parametrize("more", [{"denoise_after": True}, {"copy_to": "/delivery"}, {"film": "shot.mp4"}])
@pytest.mark.parametrize("done", [False, True])
def test_what_is_made_of_frames_is_made_of_those_that_are_left(world: World, more: dict[str, Any], done: bool) -> None:
    job = world.submit(animation("1-4", chunk=1, **more))["id"]
    assert world.finish("one") == [1]
    if done:
        world.finish_everything()
        assert world.status(job) == "completed"
    edit(world, job, settings={"frames": "2-3"})
    stop(world)
    again = world.finish_everything()
    assert bool(again) is (not done or "film" in more), "a film is made again"
    spec = world.ask("job", id=job)
    assert spec["status"] == "completed" and spec["completed_parts"] == spec["part_count"] == (3 if "film" in more else 4)
    if "film" in more:
        assert "the film keeps its name, shot.mp4" in spec["revisions"][-1]["said"]


MADE_OF_FRAMES: list[dict[str, Any]] = [
    {"denoise_after": True},
    {"copy_to": "/delivery"},
    {"film": "shot.mp4"},
    {"denoise_after": True, "copy_to": "/delivery", "film": "shot.mp4"},
]


def check_made(world: World, job: str, frames: list[int], more: dict[str, Any]) -> None:
    """*job* has completed just *frames*, with all that is made of each, and of all once."""
    row, has_film = world.ask("job", id=job), "film" in more
    each = 1 + ("denoise_after" in more) + ("copy_to" in more)
    count = len(frames) * each + has_film * (1 + ("copy_to" in more))
    assert (row["status"], row["part_count"], row["completed_parts"], row["failures"]) == ("completed", count, count, 0)
    parts = world.ask("parts", job=job)
    films = [part for part in parts if part["output"] == more.get("film")]
    assert len(films) == has_film * (1 + ("copy_to" in more))
    assert sorted(part["frame"] for part in parts if part not in films) == sorted(frames * each)
    made = [part["finished"] for part in parts if part["piece"] == FILM]
    assert not made or made[0] >= max(part["finished"] for part in parts if part["piece"] in (0, NOISY))
    stages = world.ask("graph", id=job)["stages"]
    assert all(set(stage["counts"]) == {"completed"} and stage["counts"]["completed"] == stage["tasks"] for stage in stages)
    assert len(stages) == each + has_film * (1 + ("copy_to" in more))
    assert world.server.dispatch.audit() == []


@pytest.mark.parametrize("more", MADE_OF_FRAMES)
@pytest.mark.parametrize("done", ["none", "first", "all"])
@pytest.mark.parametrize("restart", [False, True])
def test_frames_are_added_to_a_job_that_makes_more_of_them_and_the_film_is_made_of_all(
    world: World, more: dict[str, Any], done: str, restart: bool
) -> None:
    world.sweep_size = 2
    world.start_server()
    job = world.submit(animation("3-5", chunk=1, **more))["id"]
    if done == "first":
        world.run(3.0)
        world.finish("one")
    elif done == "all":
        world.finish_everything()
    for frames in ("1-6", "1-8"):
        assert not isinstance(edit(world, job, settings={"frames": frames}), Sorry)
        if restart:
            world.start_server()
        world.run(3.0)
    stop(world)
    rendered = world.finish_everything()
    assert done != "all" or not {3, 4, 5} & set(rendered), "what is done stays"
    check_made(world, job, [1, 2, 3, 4, 5, 6, 7, 8], more)
    assert not isinstance(edit(world, job, settings={"frames": "2-3,9"}), Sorry)
    world.finish_everything()
    check_made(world, job, [2, 3, 9], more)
    world.act("requeue", job, value="3")
    world.finish_everything()
    check_made(world, job, [2, 3, 9], more)
    if "film" in more:
        assert "the film keeps its name, shot.mp4" in world.ask("job", id=job)["revisions"][1]["said"]


def test_a_film_that_is_being_made_is_stopped_where_frames_are_added(world: World) -> None:
    job = world.submit(animation("1-2", chunk=1, film="shot.mp4"))["id"]
    while not any(stub.running is not None and stub.running.parts[0].piece == FILM for stub in world.workers.values()):
        for name in world.workers:
            if world.workers[name].running is not None:
                world.finish(name)
        world.run(1.0)
    edit(world, job, settings={"frames": "1-3"})
    stop(world)
    assert [each["outcome"] for each in world.ask("attempts", job=job)].count("canceled") == 1
    world.finish_everything()
    check_made(world, job, [1, 2, 3], {"film": "shot.mp4"})


@pytest.mark.parametrize("restart", [False, True])
def test_a_film_of_files_that_travel_is_made_of_the_frames_of_before_and_those_that_were_added(
    world: World, restart: bool
) -> None:
    def finish() -> tuple[str, ...]:
        """Finish all; returns the digests of what the film was made of."""
        made: tuple[str, ...] = ()
        while world.status(job) != "completed":
            world.run(3.0)
            for name, stub in world.workers.items():
                if stub.running is not None:
                    grant, (part,) = stub.running, stub.running.parts
                    made = grant.pieces if part.piece == FILM else made
                    world.finish_part(name, digest=f"{part.frame:064}")
                    world.finish(name)
        return made

    job = world.submit(animation("1-3", chunk=1, film="shot.mp4", bundle="b" * 64, file="shot.blend"))["id"]
    assert finish() == tuple(f"{frame:064}" for frame in (1, 2, 3))
    edit(world, job, settings={"frames": "1-5"})
    if restart:
        world.start_server()
    assert finish() == tuple(f"{frame:064}" for frame in (1, 2, 3, 4, 5))


def test_a_frame_that_waits_for_one_that_is_gone_waits_for_all_of_the_other_job(world: World) -> None:
    first = world.submit(animation("1-4", chunk=1))["id"]
    second = world.submit(animation("1-4", chunk=1, name="comp", output="/comp"))["id"]
    world.act("when", second, {"after": [{"job": first, "by_frame": True}]})
    assert world.finish("one") == [1]
    edit(world, first, settings={"frames": "1-3"})
    said = world.ask("job", id=first)["revisions"][-1]["said"]
    assert "in comp waits until all of this job is done" in said
    stop(world)
    world.finish_everything()
    assert world.status(first) == world.status(second) == "completed"


def test_nothing_is_added_while_frames_are_still_taken_out(world: World) -> None:
    world.sweep_size = 1
    world.start_server()
    job = world.submit(animation("1-30", chunk=1))["id"]
    edit(world, job, settings={"frames": "1-3"})
    assert world.server.farm.jobs[job].sweeps
    told = edit(world, job, settings={"frames": "1-5"})
    assert isinstance(told, Sorry) and "in a moment" in told.message


def test_tasks_are_numbered_by_all_frames_that_the_job_ever_had() -> None:
    settings = {"frames": "2-3,5", "numbered": "1-4;5-6;3", "order": "forward", "chunk": 2}
    numbering = numbering_of(settings)
    assert [numbering.of_task(index) for index in range(numbering.task_count)] == [(2,), (), (5,), (3,)]
    assert (numbering.empty, numbering.bounds, numbering.frame_count) == (1, (1, 6), 3)


@pytest.mark.parametrize("order", ["forward", "backward", "preview", "random"])
def test_each_frame_is_in_one_task_only_however_frames_came_and_went(order: str) -> None:
    chance = random.Random(order)
    for _ in range(60):
        frames, size = "1-12", chance.randint(1, 4)
        settings: dict[str, Any] = {"frames": frames, "numbered": "", "order": order, "chunk": size}
        for _ in range(chance.randint(1, 4)):
            frames = format_frames(chance.sample(range(-3, 16), chance.randint(1, 15)))
            settings = settings | {"frames": frames, "numbered": renumbered(settings, frames)}
        kept, last = set(parse_frames(frames)), {}
        runs = [arrange(parse_frames(each), order) for each in settings["numbered"].split(";")]
        for number, run in enumerate(runs):
            last |= dict.fromkeys(run, number)
        wanted = [
            tuple(frame for frame in chunk(run, size, index) if frame in kept and last[frame] == number)
            for number, run in enumerate(runs)
            for index in range(-(-len(run) // size))
        ]
        found = Numbering(frames, settings["numbered"], order, size)
        assert [tuple(found.of_task(index)) for index in range(found.task_count)] == wanted, settings
        assert (found.empty, found.frame_count) == (wanted.count(()), len(kept)), settings


@pytest.mark.parametrize("more", [{}, *MADE_OF_FRAMES])
def test_tasks_keep_their_numbers_and_make_each_frame_once_however_frames_come_and_go(more: dict[str, Any]) -> None:
    chance, kind = random.Random(str(more)), job_type("blender-animation")
    for _ in range(20):
        chunk = 1 if "denoise_after" in more else chance.randint(1, 3)
        spec = kind.prepare(animation("1-6", chunk=chunk, order=chance.choice(["forward", "preview"]), **more))
        for _ in range(chance.randint(1, 4)):
            before, frames = spec, format_frames(chance.sample(range(1, 16), chance.randint(1, 15)))
            spec, gone = (revised := revise(kind, spec, Edit(settings={"frames": frames}))).spec, revised.gone
            check_stages(spec.job_type, kind.stages(spec), kind.task_count(spec))
            of_frames = [stage.of_frames for stage in kind.stages(before) for _ in range(stage.count)]
            for number in range(kind.task_count(before)):
                had, has = (kind.task(each, number).parts for each in (before, spec))
                left = tuple(part for part in had if part.frame not in gone)
                assert has == left if of_frames[number] else len(has) <= len(had)
        tasks = [kind.task(spec, number).parts for number in range(kind.task_count(spec))]
        parts = [part for each in tasks for part in each]
        films = [part for part in parts if part.output == more.get("film")]
        each = 1 + ("denoise_after" in more) + ("copy_to" in more)
        assert sorted(part.frame for part in parts if part not in films) == sorted(parse_frames(frames) * each)
        assert len(films) == ("film" in more) * (1 + ("copy_to" in more)) and len(parts) == kind.part_count(spec)
        assert tasks.count(()) == tasks_without_frames(spec.settings)


@pytest.mark.parametrize("size", [1, 3])
def test_a_job_of_a_million_frames_that_is_edited_takes_the_memory_of_a_small_one(size: int) -> None:
    before = {"frames": "1-1000000", "chunk": size}
    tracemalloc.start()
    try:
        settings = before | {"frames": "7-999998", "numbered": renumbered(before, "7-999998")}
        numbering = numbering_of(settings)
        found = numbering.empty, numbering.frame_count, renumbered(settings, "1-1000000")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == ({1: 8, 3: 3}[size], 999_992, "1-1000000;1-6,999999-1000000") and peak < 100_000


def test_what_is_rendered_is_looked_up_only_where_frames_are_taken_out(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    count = FarmStore.count_rendered
    monkeypatch.setattr(FarmStore, "count_rendered", lambda *given: (asked.append(str(given[2])), count(*given))[1])
    job = world.submit(animation("1-4", chunk=1))["id"]
    assert edit(world, job, settings={"frames": "1-6"})["id"] == job and asked == []
    assert edit(world, job, settings={"frames": "1-3"})["id"] == job and asked == ["Ranges([(4, 6)])"]


def test_a_job_whose_frames_come_and_go_without_end_is_refused_more(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edits, "ADDED_MOST", 3)
    job = world.submit(animation("1-4", chunk=1))["id"]
    told = [edit(world, job, settings={"frames": frames}) for _ in range(5) for frames in ("1-3", "1-4")]
    refused = [each.message for each in told if isinstance(each, Sorry)]
    assert any("brender clone" in each for each in refused)
    assert world.ask("job", id=job)["task_count"] == 4 + 3
    world.finish_everything()
    check_completed(world, job, [1, 2, 3])
