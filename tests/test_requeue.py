"""Queueing again: what is meant is rendered again, however the job stands meanwhile, and the record says so."""

import msgspec
import pytest

from brender.bus.messages import Sorry
from brender.model.status import JobStatus
from brender.roles.policy import Policy
from brender.roles.server.farm_store import FarmStore
from tests.world import World, animation, farm_of_two, granted


def _frames(world: World, job: str) -> dict[int, str]:
    return {row["frame"]: row["status"] for row in world.ask("parts", job=job)}


@pytest.mark.parametrize("value", ["all", "1-6"])
def test_frames_that_are_queued_again_while_a_chunk_runs_are_all_rendered_again(value: str) -> None:
    world = World()
    world.add_worker("one")
    job = world.submit(animation("1-6", chunk=3))["id"]
    world.finish("one")
    world.finish_part("one")
    world.run(0.2)
    assert world.act("requeue", job, value)["id"] == job
    assert _frames(world, job) == {1: "queued", 2: "queued", 3: "queued", 4: "queued", 5: "active", 6: "active"}
    rendered = world.finish_everything()
    assert sorted(rendered) == [1, 2, 3, 4, 5, 6]
    record = world.ask("job", id=job)
    assert (record["status"], record["completed_parts"], record["failures"]) == ("completed", 6, 0)
    assert set(_frames(world, job).values()) == {"completed"}


def test_a_job_of_which_all_is_queued_again_no_longer_says_which_files_were_missing() -> None:
    world = World()
    world.add_worker("one")
    missing = "Missing file: /x.png (used by image x); what needs it renders without it"
    job = world.submit(msgspec.structs.replace(animation("1-2"), warnings=(missing, "kept")))["id"]
    world.finish_everything()
    world.act("requeue", job, "1")
    assert world.ask("job", id=job)["warnings"] == [missing, "kept"], "frame 2 may lack it still"
    world.finish_everything()
    world.act("requeue", job, "all")
    assert world.ask("job", id=job)["warnings"] == ["kept"]


def test_frames_of_a_running_chunk_that_are_queued_again_are_not_forgotten_when_the_server_restarts() -> None:
    world = World()
    world.add_worker("one")
    job = world.submit(animation("1-3", chunk=3))["id"]
    world.finish_part("one")
    world.run(0.2)
    assert world.act("requeue", job, "1")["id"] == job
    world.start_server()
    assert sorted(world.finish_everything()) == [1, 2, 3]
    assert (world.status(job), set(_frames(world, job).values())) == ("completed", {"completed"})


def test_a_frame_that_is_queued_again_while_a_grant_without_it_waits_is_not_asked_of_that_attempt() -> None:
    world = World(Policy(retry=0.1))
    world.add_worker("one")
    job = world.submit(animation("1-3", chunk=3))["id"]
    world.finish_part("one")
    world.submit(animation("100"))
    world.end("one", "out of luck")
    world.run(1.0)
    assert granted(world, "one") == [100, 2, 3]
    assert world.act("requeue", job, "1")["id"] == job
    assert sorted(world.finish_everything()) == [1, 2, 3, 100]
    assert world.status(job) == "completed"
    assert sorted(row["outcome"] for row in world.ask("attempts", job=job)) == ["completed", "completed", "failed"]


def test_a_frame_that_is_queued_again_while_two_workers_render_its_chunk_fails_neither() -> None:
    world = farm_of_two()
    job = world.submit(animation("1-4", chunk=4))["id"]
    world.run(1.0)
    (first,) = [name for name, stub in world.workers.items() if stub.running]
    world.finish_part(first)
    world.finish_part(first)
    world.run(0.2)
    assert world.act("requeue", job, "1")["id"] == job
    world.run(40.0)
    assert all(stub.running for stub in world.workers.values()), "the other one repeats what takes so long"
    world.finish(first)
    world.finish_everything()
    record = world.ask("job", id=job)
    assert (record["status"], record["failures"]) == ("completed", 0)
    assert "failed" not in {row["outcome"] for row in world.ask("attempts", job=job)}


def test_a_long_job_is_queued_again_in_slices_that_a_restart_does_not_lose() -> None:
    world = farm_of_two()
    world.round.store = FarmStore(world.writer, world.record, sweep_size=7)
    job = world.submit(animation("1-40", chunk=1))["id"]
    world.finish_everything()
    world.act("requeue", job, "all")
    assert world.server.farm.jobs[job].sweeps, "no slice is as long as the job"
    world.start_server()
    world.run(3.0)
    assert not world.server.farm.jobs[job].sweeps
    assert sorted(world.finish_everything()) == list(range(1, 41))
    assert world.status(job) == "completed"
    (told,) = [row["text"] for row in world.ask("activity", job=job) if row["action"] == "requeue"]
    assert told == "queued 40 frames of shot again"


def test_a_job_that_is_canceled_while_it_is_queued_again_ends_canceled_and_can_be_queued_once_more() -> None:
    world = farm_of_two()
    job = world.submit(animation("1-9", chunk=3))["id"]
    world.finish("one")
    world.act("requeue", job, "all")
    world.act("cancel", job)
    world.run(1.0)
    assert world.status(job) == JobStatus.CANCELED and "queued" not in _frames(world, job).values()
    world.act("requeue", job)
    world.finish_everything()
    assert world.status(job) == "completed" and set(_frames(world, job).values()) == {"completed"}


def test_one_frame_of_a_canceled_chunk_brings_the_unfinished_ones_of_that_chunk_with_it() -> None:
    world = World()
    world.add_worker("one")
    job = world.submit(animation("1-6", chunk=3))["id"]
    world.finish_part("one")
    world.run(0.2)
    world.act("cancel", job)
    world.end("one", stopped=True)
    world.act("requeue", job, "2")
    assert sorted(world.finish_everything()) == [2, 3]
    assert _frames(world, job) == {1: "completed", 2: "completed", 3: "completed", 4: "canceled", 5: "canceled", 6: "canceled"}
    record = world.ask("job", id=job)
    assert (record["status"], record["reason"]) == ("canceled", "3 frames were canceled before, and not queued again")


@pytest.mark.thorough
def test_a_long_job_whose_attempts_fail_now_and_then_is_completed() -> None:
    world = World(Policy(retry=0.1, strikes=1000))
    world.add_worker("one")
    job = world.submit(animation("1-400", chunk=1))["id"]
    for number in range(4000):
        if world.workers["one"].running is None:
            world.run(0.2)
        elif number % 8 == 0:
            world.end("one", "out of luck")
        else:
            world.finish("one")
        if world.status(job) in ("completed", "failed"):
            break
    assert world.status(job) == "completed"


def test_a_job_of_which_nearly_all_attempts_fail_is_stopped_and_says_so() -> None:
    world = World(Policy(retry=0.0, retry_most=0.0, tries=100, strikes=1000, failure_window=20))
    world.add_worker("one")
    job = world.submit(animation("1-400", chunk=1))["id"]
    for number in range(200):
        if world.workers["one"].running is None:
            break
        if number % 6 == 5:
            world.finish("one")
        else:
            world.end("one", "no such device")
    record = world.ask("job", id=job)
    assert (record["status"], record["reason"]) == (
        "failed",
        "Stopped after 17 failed attempts among the last 20; the last one said: no such device",
    )


def test_named_frames_of_a_job_that_ended_before_it_was_planned_are_refused_and_no_others_rendered() -> None:
    world = World(Policy(plan_slice=3, plan_ahead=3))
    world.add_worker("one")
    job = world.submit(animation("1-40", chunk=1))["id"]
    world.act("cancel", job)
    answer = world.act("requeue", job, "1")
    assert isinstance(answer, Sorry) and "ended before all its frames were planned" in answer.message
    assert world.status(job) == "canceled"


def test_what_is_counted_of_a_job_is_right_after_frames_that_were_there_are_queued_again() -> None:
    world = World()
    world.add_worker("one")
    job = world.submit(animation("1-4", chunk=4))["id"]
    for kept in (True, True, False, False):
        world.finish_part("one", seconds=0.0 if kept else 2.0, kept=kept)
    world.end("one")
    world.act("requeue", job, "1")
    world.finish_everything()
    record = world.ask("job", id=job)
    assert (record["completed_parts"], record["kept_parts"], record["render_seconds"]) == (4, 1, 5.0)


def test_an_attempt_that_was_canceled_stops_although_the_server_restarts_before_all_of_its_job_was() -> None:
    world = World()
    world.sweep_size = 1
    world.start_server()
    stub = world.add_worker("one")
    job = world.submit(animation("1-30", chunk=1))["id"]
    for _ in range(20):
        world.finish("one")
    assert stub.running is not None
    attempt = stub.running.attempt
    world.cut |= {"m"}
    world.act("cancel", job)
    world.act("requeue", job)
    assert [sweep.what for sweep in world.server.farm.jobs[job].sweeps] == ["cancel", "requeue"], "neither is through"
    world.start_server()
    assert world.server.farm.attempts[attempt].canceling
    world.cut.clear()
    world.run(3.0)
    assert attempt in stub.stopped
    world.end("one", stopped=True)
    again = world.finish_everything()
    assert sorted(again) == list(range(21, 31)), "each that was canceled is rendered once more"
    assert world.status(job) == "completed"
    (row,) = [row for row in world.ask("attempts", job=job) if row["id"] == attempt]
    assert row["outcome"] == "canceled"


def test_the_time_left_is_only_that_of_frames_still_to_come() -> None:
    world = World()
    world.add_worker("one")
    job = world.submit(animation("1-100", chunk=1))["id"]
    world.finish("one")
    world.act("cancel", job)
    world.end("one", stopped=True, reason="stopped")
    world.run(1.0)
    world.act("requeue", job, "7-9")
    world.run(1.0)
    record = world.ask("job", id=job)
    assert (record["status"], record["given_up_parts"]) == ("active", 96)
    mean = record["render_seconds"]
    assert record["eta_seconds"] == pytest.approx(3 * mean) and mean > 0
    world.finish_everything()
    assert world.ask("job", id=job)["given_up_parts"] == 96
