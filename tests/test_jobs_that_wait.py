"""Jobs that wait for other jobs, whole or frame by frame, for a time, or for the night."""

from dataclasses import replace
from datetime import datetime
from typing import Any
from unittest.mock import Mock

import msgspec
import pytest

from brender.bus.messages import Sorry
from brender.model.beginning import After, parse_start
from brender.model.errors import BadInput
from brender.model.job import JobSpec
from brender.roles.policy import Policy
from brender.roles.server.deletion import Remover
from tests.world import World, animation, farm_of_two


def job(frames: str = "1-4", name: str = "shot", chunk: int = 1, **more: Any) -> JobSpec:
    return msgspec.structs.replace(animation(frames, chunk=chunk), name=name, **more)


@pytest.fixture
def world() -> World:
    return farm_of_two()


def held(world: World) -> list[tuple[str, int]]:
    """The frames that workers hold grants for, each with its job."""
    grants = [grant for stub in world.workers.values() for grant in (stub.core.running, *stub.core.waiting) if grant is not None]
    return sorted((grant.job, part.frame) for grant in grants for part in grant.parts)


def said(world: World, id: str) -> tuple[str, str]:
    world.run(2.0)
    record = world.ask("job", id=id)
    return record["waiting_for"], record["reason"]


def delete_record(world: World, id: str) -> None:
    """Delete the record of the job, with no files on any disk."""
    assert not isinstance(world.act("delete", id, "record"), Sorry)
    keeper = Mock(**{"placement.waiting.return_value": [], "threads.do": lambda folder, action: action(lambda: None)})
    remover = Remover(keeper, Mock(**{"delete.return_value": iter(())}))
    remover.begin(id, "record")
    while not remover.is_idle:
        for job, fields in remover.step(world.writer, 0.0):
            world.round.apply(lambda core, now, job=job, fields=fields: core.deleted(job, fields, now))
    world.run(1.0)


def test_a_job_begins_once_the_job_that_it_waits_for_is_completed(world: World) -> None:
    first, second = job(name="lighting"), None
    world.submit(first)
    second = job("1-2", after=(After("lighting"),))
    world.submit(second)
    assert {id for id, _ in held(world)} == {first.id} and not world.ask("tasks", job=second.id)
    world.finish("one")
    kind, reason = said(world, second.id)
    assert (kind, reason) == ("jobs", f"Waits for lighting ({first.id[:8]}): 1 of 4 frames is done")
    assert len(world.finish_everything()) == 5
    assert (world.status(first.id), world.status(second.id)) == ("completed", "completed")
    assert said(world, second.id) == ("", "")


def test_a_frame_begins_once_the_same_frame_of_the_other_job_is_done(world: World) -> None:
    first = job("1-6", name="lighting")
    world.submit(first)
    world.act("pause", first.id)
    second = job("1-6", after=(After(first.id, by_frame=True),))
    world.submit(second)
    world.act("priority", second.id, 90)
    while any(stub.running for stub in world.workers.values()):
        world.finish(next(name for name, stub in world.workers.items() if stub.running))
        world.run(0.5)
    rows = {task["number"] + 1: task["status"] for task in world.ask("tasks", job=second.id)}
    done = {task["number"] + 1 for task in world.ask("tasks", job=first.id) if task["status"] == "completed"}
    assert 0 < len(done) < 6 and {number for number, status in rows.items() if status == "completed"} == done
    kind, reason = said(world, second.id)
    assert kind == "jobs" and reason.endswith(f", which is paused: {len(done)} of 6 frames are done")
    world.start_server()
    world.run(1.0)
    assert said(world, second.id) == (kind, reason) and not held(world)
    world.act("resume", first.id)
    world.finish_everything()
    assert world.status(second.id) == "completed"


def test_a_frame_that_is_queued_again_is_waited_for_again(world: World) -> None:
    first, second = job("1-3", name="lighting"), None
    world.submit(first)
    second = job("1-3", after=(After(first.id, by_frame=True),))
    world.finish_everything()
    world.act("requeue", first.id, "2")
    world.submit(second)
    world.run(1.0)
    assert (second.id, 2) not in held(world) and {(second.id, 1), (second.id, 3)} & set(held(world))
    order = world.finish_everything()
    assert sorted(order) == [1, 2, 2, 3] and world.status(second.id) == "completed"


def test_a_frame_that_comes_back_unfinished_waits_for_one_that_was_queued_again_meanwhile(world: World) -> None:
    first, second = job("1-2", name="lighting"), None
    world.submit(first)
    second = job("1-2", name="comp", after=(After(first.id, by_frame=True),))
    world.finish_everything()
    world.submit(second)
    world.run(1.0)
    assert held(world) == [(second.id, 1), (second.id, 2)]
    world.act("requeue", first.id, "1")
    world.run(1.0)
    (name,) = [name for name, stub in world.workers.items() if stub.running and stub.running.parts[0].frame == 1]
    world.end(name, stopped=True)
    world.run(1.0)
    assert (second.id, 1) not in held(world)
    world.finish_everything()
    assert world.status(second.id) == "completed"


def test_frames_that_the_awaited_job_has_not_wait_until_it_is_completed_again(world: World) -> None:
    first, second = job("1-2", name="lighting"), None
    world.submit(first)
    world.finish_everything()
    second = job("1-8", name="comp", after=(After(first.id, by_frame=True),))
    world.submit(second)
    world.run(1.0)
    world.act("requeue", first.id, "all")
    world.run(1.0)
    given = [number for id, number in held(world) if id == second.id]
    order = []
    while first.id in {id for id, _ in held(world)} or world.status(first.id) != "completed":
        name = next(name for name, stub in world.workers.items() if stub.running)
        order += world.finish(name)
        world.run(0.5)
    assert set(order) <= {1, 2, *given}
    world.finish_everything()
    assert world.status(second.id) == "completed"


@pytest.mark.parametrize("restarts", [False, True])
def test_a_job_that_is_to_wait_no_more_goes_on(world: World, restarts: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = job("1-2", name="lighting", paused=True), None
    world.submit(first)
    second = job("1-20", name="comp", chunk=0, after=(After(first.id, by_frame=True),))
    world.submit(second)
    world.run(2.0)
    assert not held(world)
    if restarts:  # it is killed before it lets the tasks go
        monkeypatch.setattr(world.server.waits, "tick", lambda now: None)
    world.act("when", second.id, {"after": []})
    if restarts:
        world.start_server()
    world.finish_everything()
    assert world.status(second.id) == "completed"


def test_a_job_goes_on_waiting_for_another_when_it_is_to_wait_for_something_else_too(world: World) -> None:
    first, second = job(name="lighting"), job("1-2", after=(After("lighting"),))
    world.submit(first)
    world.submit(second)
    answer = world.act("when", second.id, {"after": [{"job": first.id}], "night": False, "start_at": 0.0})
    assert not isinstance(answer, Sorry) and said(world, second.id)[0] == "jobs"
    world.finish_everything()
    assert world.status(second.id) == "completed"


@pytest.mark.parametrize("restarts", [False, True])
def test_a_job_that_waits_for_one_that_failed_or_is_deleted_says_what_helps_and_goes_on_waiting(
    world: World, restarts: bool
) -> None:
    first = job(name="lighting")
    world.submit(first)
    second = job(after=(After(first.id),))
    world.submit(second)
    world.act("cancel", first.id)
    while any(stub.running for stub in world.workers.values()):
        for name in [name for name, stub in world.workers.items() if stub.running]:
            world.end(name, stopped=True)
    if restarts:
        world.start_server()
    kind, reason = said(world, second.id)
    assert kind == "somebody" and f"Waits for lighting ({first.id[:8]}), which was canceled" in reason
    assert f"`brender requeue {first.id[:8]}`" in reason
    assert f"`brender when {second.id[:8]} --not-after {first.id[:8]}`" in reason
    world.act("requeue", first.id)
    assert said(world, second.id)[0] == "jobs"
    world.act("when", second.id, {"after": []})
    assert said(world, second.id)[0] == ""
    world.finish_everything()
    assert world.status(second.id) == "completed"


def test_who_submits_a_job_again_is_told_that_it_was_accepted_though_what_it_waits_for_is_deleted_since(world: World) -> None:
    first = job(name="lighting")
    world.submit(first)
    second = job(after=(After(first.id),))
    told = world.submit(second)
    world.act("cancel", first.id)
    while any(stub.running for stub in world.workers.values()):
        for name in [name for name, stub in world.workers.items() if stub.running]:
            world.end(name, stopped=True)
    delete_record(world, first.id)
    again = world.submit(second)
    assert not isinstance(again, Sorry) and again == told


def test_a_job_that_is_queued_again_waits_no_more_for_one_that_was_completed_and_is_deleted_since(world: World) -> None:
    first = job(name="lighting")
    world.submit(first)
    second = job(after=(After(first.id),))
    world.submit(second)
    world.finish_everything()
    delete_record(world, first.id)
    world.act("requeue", second.id, "all")
    world.run(1.0)
    assert said(world, second.id)[0] == ""
    world.finish_everything()
    assert world.status(second.id) == "completed" and not world.ask("job", id=second.id)["after_jobs"]


def test_a_job_that_is_queued_again_still_waits_for_one_that_was_canceled_and_is_deleted_since(world: World) -> None:
    first = job(name="lighting")
    world.submit(first)
    second = job(after=(After(first.id),))
    world.submit(second)
    world.act("cancel", second.id)
    world.act("cancel", first.id)
    while any(stub.running for stub in world.workers.values()):
        for name in [name for name, stub in world.workers.items() if stub.running]:
            world.end(name, stopped=True)
    delete_record(world, first.id)
    world.act("requeue", second.id, "all")
    world.run(1.0)
    assert said(world, second.id)[0] == "somebody"


@pytest.mark.parametrize(
    ("after", "said"),
    [
        ((After("nowhere"),), "There is no job 'nowhere'"),
        ((After("lighting"), After("lighting", by_frame=True)), "name each once"),
    ],
)
def test_jobs_that_cannot_be_waited_for_are_refused(world: World, after: tuple[After, ...], said: str) -> None:
    world.submit(job(name="lighting"))
    answer = world.submit(job(after=after))
    assert isinstance(answer, Sorry) and said in answer.message


def test_jobs_cannot_wait_for_themselves_nor_for_each_other_by_whatever_way(world: World) -> None:
    own = job()
    answer = world.submit(msgspec.structs.replace(own, after=(After(own.id),)))
    assert isinstance(answer, Sorry) and "There is no job" in answer.message
    one, two, three = job(), None, None
    world.submit(one)
    two = job(after=(After(one.id),))
    world.submit(two)
    three = job(after=(After(two.id, by_frame=True),))
    world.submit(three)
    answer = world.act("when", one.id, {"after": [{"job": one.id}]})
    assert isinstance(answer, Sorry) and answer.message == "A job cannot wait for itself"
    for restarts in (False, True):
        if restarts:
            world.start_server()
            world.run(1.0)
        answer = world.act("when", one.id, {"after": [{"job": three.id}]})
        assert isinstance(answer, Sorry) and "waits for this job itself" in answer.message
    world.finish_everything()
    assert world.status(three.id) == "completed"


def test_a_waiting_job_costs_the_scheduler_nothing(world: World) -> None:
    first = job(name="lighting")
    world.submit(first)
    ids = [job(after=(After(first.id),)) for _ in range(20)]
    for each in ids:
        world.submit(each)
    world.run(1.0)
    assert set(world.server.dispatch._roster.jobs) == {first.id}
    assert not world.server.dispatch.audit()


def test_a_job_starts_at_its_time(world: World) -> None:
    wall = 1_700_000_000.0 + world.now
    spec = job(start_at=wall + 3 * 3600 + 20 * 60 + 30)
    world.submit(spec)
    kind, reason = said(world, spec.id)
    assert kind == "time" and reason.startswith("Starts ") and reason.endswith("in 3 hours 20 minutes")
    world.now += 3 * 3600
    assert said(world, spec.id)[1].endswith("in 20 minutes") and not held(world)
    world.start_server()
    world.now += 21 * 60
    world.run(2.0)
    assert {id for id, _ in held(world)} == {spec.id}


def test_a_job_for_the_night_starts_nothing_by_day_and_what_renders_is_finished() -> None:
    wall = datetime.fromtimestamp(1_700_000_000.0)
    begin, end = (wall.hour + 1) % 24, (wall.hour + 3) % 24
    world = World(replace(Policy(), night=f"{begin}:00-{end}:00"))
    world.add_worker("one")
    spec = job("1-50", night=True)
    world.submit(spec)
    kind, reason = said(world, spec.id)
    assert kind == "time" and reason.startswith(f"Starts at night, at {begin:02d}:00" if begin else "Starts at night, on ")
    world.now += 3600
    world.run(2.0)
    world.add_worker("two")
    worker = world.workers["two"].core
    running = worker.running
    assert running is not None and worker.waiting
    world.now += 2 * 3600
    world.run(2.0)
    assert worker.running is running and not worker.waiting, "what it had next is asked back"
    for name in ("one", "two"):
        if world.workers[name].running is not None:
            world.finish(name)
    assert worker.running is None and said(world, spec.id)[1].startswith("Goes on at night")


def test_a_job_for_the_night_with_a_time_to_start_by_day_is_said_to_start_at_night() -> None:
    wall = datetime.fromtimestamp(1_700_000_000.0)
    begin, end = (wall.hour + 3) % 24, (wall.hour + 6) % 24
    world = World(replace(Policy(), night=f"{begin}:00-{end}:00"))
    world.add_worker("one")
    by_day, by_night = (job("1", night=True, start_at=wall.timestamp() + hours * 3600) for hours in (1, 4))
    world.submit(by_day)
    world.submit(by_night)
    assert said(world, by_day.id)[1].startswith("Starts at night") and not said(world, by_night.id)[1].startswith(
        "Starts at night"
    )
    world.now += 3600
    world.run(2.0)
    assert said(world, by_day.id)[1].startswith("Starts at night") and not held(world)
    world.now += 3600 * 2
    world.run(2.0)
    assert {id for id, _ in held(world)} == {by_day.id}


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("22:00", "2026-12-24T22:00"),
        ("06:30", "2026-12-25T06:30"),
        ("+2h", "2026-12-24T23:00"),
        ("+1d2h30m", "2026-12-25T23:30"),
        ("2026-12-31 23:59", "2026-12-31T23:59"),
        ("2026-12-31T23:59:30", "2026-12-31T23:59:30"),
        ("2026-12-31", "2026-12-31T00:00"),
    ],
)
def test_a_time_to_start_at_is_written_as_people_write_it(text: str, at: str) -> None:
    assert parse_start(text, datetime(2026, 12, 24, 21)) == datetime.fromisoformat(at).timestamp()


@pytest.mark.parametrize("text", ["", "soon", "25:00", "22:75", "+", "2026-13-01", "2020-01-01", "+9999999d", "9999-01-01"])
def test_a_time_that_is_none_or_past_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(BadInput, match=r"is not a time to start at|is past, so no job can start then|within 10 years"):
        parse_start(text, datetime(2026, 12, 24, 21))


@pytest.mark.parametrize("restarts", [False, True])
def test_a_frame_whose_file_travels_is_done_once_it_is_in_its_folder(world: World, restarts: bool) -> None:
    first = job("1-2", name="lighting", bundle="b" * 64)
    world.submit(first)
    second = job("1-2", after=(After(first.id, by_frame=True),))
    world.submit(second)
    world.hung = True
    for name in ("one", "two"):
        world.finish(name)
    world.run(2.0)
    if restarts:
        world.start_server()
        world.run(2.0)
    assert not held(world), "the folder does not answer"
    world.hung = False
    frames, world.unplaced = world.unplaced, []
    world.place(frames)
    world.run(1.0)
    assert {id for id, _ in held(world)} == {second.id}
    world.finish_everything()
    assert world.status(second.id) == "completed"
