"""What the farm decides, told with the real cores and the real record, without a socket."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from brender.bus.messages import Manage, Sorry
from brender.model.nodes import Blender
from brender.roles.effects import Peer
from brender.roles.manager.core import ManagerCore
from brender.roles.policy import Policy
from brender.roles.server.availability import STARTING
from brender.roles.server.explanations import AFTER_THAT_RENDER, NOT_THIS_JOB
from brender.scheduling.reasons import NO_WORKER
from brender.store.database import open_for_writing
from tests.world import World, animation, granted, memory_database


@pytest.fixture
def world(database: str) -> Iterator[World]:
    """A farm with its record in each kind of database; SQLite's in memory, which is quicker."""
    kept = open_for_writing(database) if "://" in database else memory_database()
    yield World(database=kept)
    kept.close()


def test_a_job_is_rendered_by_the_workers_and_completed(world: World) -> None:
    world.add_worker("a")
    world.add_worker("b")
    job = world.submit(animation("1-6"))
    assert sorted(world.finish_everything()) == [1, 2, 3, 4, 5, 6]
    record = world.ask("job", id=job["id"])
    assert (record["status"], record["completed_parts"], record["finished"] is not None) == ("completed", 6, True)


def test_every_frame_is_recorded_with_its_file_worker_and_attempt(world: World) -> None:
    worker = world.add_worker("a")
    job = world.submit(animation("1-2", pattern="x_##"))
    world.finish_everything()
    parts = world.ask("parts", job=job["id"])
    assert [(part["frame"], part["output"], part["status"], part["worker_name"]) for part in parts] == [
        (1, "x_01.png", "completed", "a"),
        (2, "x_02.png", "completed", "a"),
    ]
    assert all(part["worker"] == worker.core.info.id and part["attempt"] for part in parts)


def test_the_next_task_is_at_the_worker_before_the_last_one_ends(world: World) -> None:
    world.add_worker("a")
    world.submit(animation("1-3"))
    assert granted(world, "a") == [1, 2]


def test_an_idle_worker_is_served_before_a_busy_one_is_sent_more(world: World) -> None:
    world.add_worker("a")
    world.add_worker("b")
    world.submit(animation("1-2"))
    assert (granted(world, "a"), granted(world, "b")) == ([1], [2])


def test_an_idle_worker_asks_back_what_another_has_not_started(world: World) -> None:
    world.add_worker("a")
    world.submit(animation("1-2"))
    world.add_worker("b")
    world.run(0.5)
    assert (granted(world, "a"), granted(world, "b")) == ([1], [2])


def test_the_urgent_job_goes_first_and_takes_back_what_waits(world: World) -> None:
    world.add_worker("a")
    world.submit(animation("1-5"))
    world.submit(animation("101-103", priority=90))
    world.run(0.5)
    assert granted(world, "a") == [1, 101]


def test_jobs_of_equal_priority_share_the_workers(world: World) -> None:
    for name in "abcd":
        world.add_worker(name)
    world.submit(animation("1-20", paused=True, id="aa" * 8))
    world.submit(animation("101-120", paused=True, id="bb" * 8))
    world.act("resume", "aa" * 8)
    world.act("resume", "bb" * 8)
    done = [frame for _ in range(6) for name in "abcd" for frame in world.finish(name)]
    # The first eight were given out before the second job was there.
    assert 8 <= sum(frame > 100 for frame in done) <= 10


def test_chunks_keep_their_frames_together(world: World) -> None:
    world.add_worker("a")
    world.submit(animation("1-10", chunk=4))
    assert granted(world, "a") == [1, 2, 3, 4, 5, 6, 7, 8]
    assert world.finish("a") == [1, 2, 3, 4]


def test_a_failed_task_is_tried_again_and_only_what_is_missing(world: World) -> None:
    world.add_worker("a")
    job = world.submit(animation("1-3", chunk=3))
    world.finish_part("a")
    world.end("a", reason="it broke")
    world.run(3)
    assert granted(world, "a") == [2, 3]
    world.finish_everything()
    assert world.status(job["id"]) == "completed"


def test_a_task_that_always_fails_fails_its_job_which_says_why(world: World) -> None:
    world.add_worker("a")
    job = world.submit(animation("7"))
    for _ in range(3):
        world.run(10)
        world.end("a", reason="the light is broken")
    record = world.ask("job", id=job["id"])
    assert record["status"] == "failed"
    assert record["reason"] == "Frame 7 failed 3 times; the last attempt said: the light is broken"


def test_other_frames_are_rendered_although_one_fails(world: World) -> None:
    world.add_worker("a")
    job = world.submit(animation("1-3"))
    world.end("a", reason="no")
    for _ in range(40):
        world.run(1)
        running = world.workers["a"].running
        if running is None:
            continue
        if running.parts[0].frame == 1:
            world.end("a", reason="no")
        else:
            world.finish("a")
    record = world.ask("job", id=job["id"])
    assert (record["status"], record["completed_parts"], record["failed_tasks"]) == ("failed", 2, 1)


def test_what_would_fail_everywhere_stops_the_job_at_once(world: World) -> None:
    world.add_worker("a")
    world.add_worker("b")
    job = world.submit(animation("1-100"))
    world.end("a", reason="no such scene", permanent=True)
    world.run(1)
    for name in "ab":
        assert world.workers[name].stopped, "what runs of it must be told to stop"
        world.end(name, stopped=True, reason="stopped")
    record = world.ask("job", id=job["id"])
    assert (record["status"], record["reason"]) == ("failed", "no such scene")
    assert world.workers["a"].running is None


def test_what_one_machine_lacks_is_rendered_by_the_others_and_no_failure_of_the_job(world: World) -> None:
    for name in "abc":
        world.add_worker(name)
    job = world.submit(animation("1-100"))["id"]
    world.end("a", reason="nuke cannot be started", permanent=True, elsewhere=True)
    assert granted(world, "a") == [] and world.status(job) == "active"
    assert sorted(world.finish_everything()) == [*range(1, 101)]
    record = world.ask("job", id=job)
    assert (record["status"], record["failures"]) == ("completed", 0)
    assert [(off["worker_name"], off["reason"]) for off in record["kept_off"]] == [("a", "nuke cannot be started")]


def test_what_every_machine_lacks_ends_the_job_once_all_were_tried_and_names_those_before(world: World) -> None:
    for name in "abc":
        world.add_worker(name)
    job = world.submit(animation("1-100"))["id"]
    for name in "abc":
        world.run(1)
        world.end(name, reason="nuke cannot be started", permanent=True, elsewhere=True)
    record = world.ask("job", id=job)
    assert record["status"] == "failed"
    others = "nuke cannot be started. No other worker could run it: a and b are kept off it. `brender readmit "
    assert record["reason"].startswith(others)
    world.act("readmit", job)
    world.act("requeue", job)
    world.run(1)
    assert all(world.workers[name].running for name in "abc")


def test_a_job_stops_after_too_many_failures() -> None:
    world = World(Policy(failure_limit=4, tries=100))
    world.add_worker("a")
    job = world.submit(animation("1-100"))
    for _ in range(4):
        world.run(70)
        world.end("a", reason="no")
    record = world.ask("job", id=job["id"])
    assert record["status"] == "failed" and record["reason"].startswith("Stopped after 4 failed attempts")


def test_a_lost_worker_returns_its_frames_to_the_queue(world: World) -> None:
    world.add_worker("a")
    job = world.submit(animation("1-2"))
    world.cut.add("a")
    world.run(world.policy.lease + 2)
    world.add_worker("b")
    assert sorted(world.finish_everything()) == [1, 2]
    assert world.status(job["id"]) == "completed"
    lost = [attempt for attempt in world.ask("attempts", job=job["id"]) if attempt["outcome"] == "lost"]
    assert len(lost) == 2 and "was not heard for a whole lease" in lost[0]["reason"]


def test_silence_shorter_than_the_lease_loses_nobody(world: World) -> None:
    world.add_worker("a")
    job = world.submit(animation("1"))
    world.cut.add("a")
    world.run(world.policy.lease - 5)
    world.cut.clear()
    world.run(10)
    world.finish("a")
    assert world.status(job["id"]) == "completed"
    assert [attempt["outcome"] for attempt in world.ask("attempts", job=job["id"])] == ["completed"]


def test_a_worker_that_its_manager_does_not_name_is_lost_only_once_it_can_hold_no_lease(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ManagerCore, "_confirm", lambda self, message, now: None)  # what they say of it is lost on the way
    stub = world.add_worker("a")
    job = world.submit(animation("1-2"))["id"]
    monkeypatch.setattr(ManagerCore, "_join", lambda self, worker, now: None)
    while world.ask("attempts", job=job)[0]["outcome"] == "live" and world.now < 1200:
        world.run(0.5)
    assert world.now > stub.core.lease_until


def test_a_server_and_a_manager_that_stood_still_call_nobody_lost_whom_they_could_not_hear(world: World) -> None:
    world.add_worker("a")
    job = world.submit(animation("1-4"))["id"]
    world.now += 10 * world.policy.lease
    world.round.tick()
    world.run(1.0)
    assert {row["outcome"] for row in world.ask("attempts", job=job)} == {"live"} and world.workers["a"].running
    assert len(world.finish_everything()) == 4 and len(world.ask("attempts", job=job)) == 4, "nothing was rendered twice"


def test_the_late_report_of_a_lost_attempt_changes_nothing(world: World) -> None:
    world.add_worker("a")
    job = world.submit(animation("1"))
    world.cut.add("a")
    world.run(world.policy.lease + 2)
    world.add_worker("b")
    world.finish("b")
    world.finish_part("a")
    world.end("a")
    world.cut.clear()
    world.run(30)
    parts = world.ask("parts", job=job["id"])
    assert [part["worker_name"] for part in parts] == ["b"]
    assert world.ask("job", id=job["id"])["completed_parts"] == 1
    assert world.workers["a"].core.held == (), "the late reports must still be acknowledged"


def test_a_worker_does_not_hold_its_lease_while_it_is_cut_off(world: World) -> None:
    worker = world.add_worker("a")
    world.run(2)
    assert worker.lease_until > world.now
    world.cut.add("a")
    world.run(world.policy.lease)
    assert worker.lease_until <= world.now


def test_a_worker_loses_its_lease_when_its_manager_loses_the_server(world: World) -> None:
    worker = world.add_worker("a")
    world.cut.add("m")
    world.run(world.policy.lease + 1)
    assert worker.lease_until <= world.now


def test_a_lost_manager_returns_the_frames_of_its_workers(world: World) -> None:
    world.add_worker("a", manager="m")
    world.add_worker("b", manager="n")
    job = world.submit(animation("1-2"))
    world.cut |= {"m", "a"}
    world.run(world.policy.lease + 2)
    assert {row["name"]: row["status"] for row in world.ask("managers")} == {"m": "offline", "n": "online"}
    assert sorted(world.finish_everything()) == [1, 2]
    assert world.status(job["id"]) == "completed"


def test_a_server_started_anew_goes_on_where_it_was(world: World) -> None:
    world.add_worker("a")
    job = world.submit(animation("1-5"))
    world.finish("a")
    world.start_server()
    assert sorted(world.finish_everything()) == [2, 3, 4, 5]
    assert world.status(job["id"]) == "completed"
    assert all(attempt["outcome"] == "completed" for attempt in world.ask("attempts", job=job["id"]))


def test_what_was_finished_while_the_server_was_away_is_not_rendered_again(world: World) -> None:
    world.add_worker("a")
    job = world.submit(animation("1"))
    world.cut.add("m")
    world.finish_part("a")
    world.end("a")
    world.start_server()
    world.cut.clear()
    world.run(30)
    assert world.status(job["id"]) == "completed"
    assert len(world.ask("attempts", job=job["id"])) == 1


def test_a_paused_job_starts_nothing_more_and_goes_on_when_resumed(world: World) -> None:
    world.add_worker("a")
    job = world.submit(animation("1-4"))
    assert granted(world, "a") == [1, 2]
    world.act("pause", job["id"])
    assert granted(world, "a") == [1]  # what waits at a worker is asked back
    while world.workers["a"].running:
        world.finish("a")
    assert world.ask("job", id=job["id"])["completed_parts"] == 1
    assert world.status(job["id"]) == "paused"
    world.act("resume", job["id"])
    world.finish_everything()
    assert world.status(job["id"]) == "completed"


def test_a_canceled_job_stops_what_renders_and_frees_the_worker(world: World) -> None:
    worker = world.add_worker("a")
    job = world.submit(animation("1-4"))
    running = worker.running
    assert running is not None
    world.act("cancel", job["id"])
    assert worker.stopped == [running.attempt]
    world.end("a", stopped=True, reason="stopped")
    assert world.status(job["id"]) == "canceled"
    assert {part["status"] for part in world.ask("parts", job=job["id"])} == {"canceled"}
    other = world.submit(animation("1"))
    world.finish_everything()
    assert world.status(other["id"]) == "completed"


def test_a_requeued_job_renders_what_failed_or_was_canceled(world: World) -> None:
    world.add_worker("a")
    job = world.submit(animation("1-4"))
    world.finish("a")
    world.act("cancel", job["id"])
    world.end("a", stopped=True, reason="stopped")
    world.act("requeue", job["id"])
    assert sorted(world.finish_everything()) == [2, 3, 4]
    assert world.status(job["id"]) == "completed"
    assert world.ask("job", id=job["id"])["completed_parts"] == 4


def test_a_job_canceled_before_it_was_all_planned_goes_on_when_requeued() -> None:
    world = World(Policy(plan_slice=2, plan_ahead=2))
    job = world.submit(animation("1-9"))
    world.act("cancel", job["id"])
    world.act("requeue", job["id"])
    world.add_worker("a")
    assert sorted(world.finish_everything()) == list(range(1, 10))
    assert world.status(job["id"]) == "completed"


def test_a_requeued_frame_waits_until_its_canceled_attempt_has_ended(world: World) -> None:
    world.add_worker("a")
    world.add_worker("b")
    job = world.submit(animation("1"))
    assert granted(world, "a") == [1]
    world.act("cancel", job["id"])
    world.act("requeue", job["id"])
    world.run(3)
    assert granted(world, "b") == [], "two attempts at once would write one file"
    world.end("a", stopped=True, reason="stopped")
    assert world.finish_everything() == [1]
    assert world.status(job["id"]) == "completed"


def test_named_frames_of_a_completed_job_are_rendered_again(world: World) -> None:
    world.add_worker("a")
    job = world.submit(animation("1-6", chunk=3))
    world.finish_everything()
    world.act("requeue", job["id"], "2,5")
    assert world.ask("job", id=job["id"])["completed_parts"] == 4
    assert sorted(world.finish_everything()) == [2, 5]
    assert world.status(job["id"]) == "completed"
    assert world.ask("job", id=job["id"])["completed_parts"] == 6


def test_everything_can_be_rendered_again(world: World) -> None:
    world.add_worker("a")
    job = world.submit(animation("1-3"))
    world.finish_everything()
    world.act("requeue", job["id"], "all")
    assert sorted(world.finish_everything()) == [1, 2, 3]
    assert world.status(job["id"]) == "completed"


def test_a_requeue_with_nothing_to_do_is_refused_with_a_reason(world: World) -> None:
    world.add_worker("a")
    job = world.submit(animation("1"))
    world.finish_everything()
    answer = world.act("requeue", job["id"])
    assert isinstance(answer, Sorry) and "--all` renders all of it again, `brender requeue " in answer.message


def test_an_ended_job_cannot_be_paused(world: World) -> None:
    world.add_worker("a")
    job = world.submit(animation("1"))
    world.finish_everything()
    answer = world.act("pause", job["id"])
    assert isinstance(answer, Sorry) and "completed already" in answer.message


def test_people_are_told_of_a_job_by_its_name_and_the_short_id(world: World) -> None:
    spec = msgspec.structs.replace(animation("1"), output="/renders/out")
    world.submit(spec)
    again = msgspec.structs.replace(spec, id="f989ca93136bf9f8")
    told = [world.submit(again), world.act("delete", spec.id, "both"), world.act("resume", spec.id)]
    world.act("cancel", spec.id)
    told += [world.act(verb, spec.id) for verb in ("pause", "readmit")]
    for answer in told:
        assert isinstance(answer, Sorry) and f"{spec.name} ({spec.id[:8]})" in answer.message and spec.id not in answer.message


def test_the_same_submit_twice_is_one_job(world: World) -> None:
    spec = animation("1-3")
    assert world.submit(spec) == world.submit(spec)
    assert len(world.ask("jobs")) == 1


def test_two_jobs_that_would_write_the_same_files_are_told_so(world: World) -> None:
    first = world.submit(animation("1", output="/renders/one"))
    answer = world.submit(animation("2", output="/renders/one"))
    assert isinstance(answer, Sorry)
    assert answer.code == "conflict" and first["id"][:8] in answer.message and "/renders/one" in answer.message


def test_a_job_that_has_ended_gives_its_output_free(world: World) -> None:
    world.add_worker("a")
    world.submit(animation("1", output="/renders/one"))
    world.finish_everything()
    assert not isinstance(world.submit(animation("2", output="/renders/one")), Sorry)


def test_an_old_job_is_not_requeued_over_the_files_of_a_new_one(world: World) -> None:
    world.add_worker("a")
    old = world.submit(animation("1", output="/renders/one"))
    world.finish_everything()
    new = world.submit(animation("1-9", output="/renders/one"))
    answer = world.act("requeue", old["id"], "all")
    assert isinstance(answer, Sorry) and answer.code == "conflict" and f"shot ({new['id'][:8]})" in answer.message
    world.finish_everything()
    assert not isinstance(world.act("requeue", old["id"], "all"), Sorry)
    assert isinstance(world.submit(animation("1", output="/renders/one")), Sorry), "now the old one owns them again"


def test_one_file_has_one_owner_however_its_folder_and_its_pattern_are_split(world: World) -> None:
    first = world.submit(animation("1", output="/renders/n", pattern="sub/a_####"))["id"]
    refused = world.submit(animation("1", output="/renders/n/sub", pattern="a_####"))
    assert isinstance(refused, Sorry) and f"({first[:8]})" in refused.message
    world.start_server()
    assert isinstance(world.submit(animation("1", output="/renders/n/sub", pattern="a_####")), Sorry)


def test_the_activity_says_that_a_job_was_deleted_once_it_was_and_else_why_not(world: World) -> None:
    job = world.submit(animation("1"))["id"]
    world.act("cancel", job)

    def said() -> str:
        return str(world.ask("activity")[0]["text"])

    world.act("delete", job, "frames")
    assert said() == "shot: the frames that it rendered are to be deleted"
    world._serve(lambda core, now: core.deleted(job, {"deleting": "", "reason": "Not deleted: the disk is away"}, now))
    assert said() == "Not deleted: the disk is away"
    world._serve(lambda core, now: core.deleted(job, {"deleting": "", "frames_deleted": 1.0}, now))
    assert said() == "the frames that shot rendered are deleted"
    world.act("delete", job, "record")
    world._serve(lambda core, now: core.deleted(job, None, now))
    assert said() == "the record of shot is deleted"


def test_frames_are_not_deleted_while_another_job_writes_to_the_same_files(world: World) -> None:
    old = world.submit(animation("1-2", output="/renders/shot"))["id"]
    world.act("cancel", old)
    new = world.submit(animation("1-2", output="/renders/shot"))["id"]
    refused = world.act("delete", old, "both")
    assert isinstance(refused, Sorry) and f"The job shot ({new[:8]}) writes to the same files" in refused.message
    assert world.act("delete", old, "record")["status"] == "canceled"


@pytest.mark.parametrize("restarted", [False, True])
def test_no_job_begins_in_files_that_are_being_deleted(world: World, restarted: bool) -> None:
    old = world.submit(animation("1-2", output="/renders/shot"))["id"]
    world.act("cancel", old)
    world.act("delete", old, "frames")
    if restarted:
        world.start_server()
    refused = world.submit(animation("1-2", output="/renders/shot"))
    assert isinstance(refused, Sorry) and "are being deleted: submit this one when they are gone" in refused.message
    world._serve(lambda core, now: core.deleted(old, {"deleting": "", "frames_deleted": 1.0}, now))
    assert world.submit(animation("1-2", output="/renders/shot"))["status"] == "queued"


def test_a_job_says_that_no_worker_is_there(world: World) -> None:
    job = world.submit(animation("1"))
    world.run(2)
    assert world.ask("job", id=job["id"])["reason"] == STARTING, "what was started with the server may be on its way"
    world.run(10)
    assert world.ask("job", id=job["id"])["reason"] == "No manager runs, which workers connect to: start `brender-manager`"
    world.add_manager("m")
    world.run(2)
    assert world.ask("job", id=job["id"])["reason"] == "No worker is connected. Start one with `brender-worker`"


def test_a_job_says_that_a_worker_is_joining_which_showed_its_key_and_said_no_hello_yet(world: World) -> None:
    world.add_manager("m")
    job = world.submit(animation("1"))["id"]
    world.run(12)
    who = {"role": "worker", "name": "render-01", "node": "w" * 16, "public": "p" * 40}
    asked = Manage(id="m1", what="admit", arguments=who)
    world._serve(lambda core, now: core.admit_local(Peer("", b""), asked, "f" * 16, now)[1])
    world.run(2)
    assert world.ask("job", id=job)["reason"] == "The worker render-01 is joining, which takes some seconds"
    world.run(60)
    assert world.ask("job", id=job)["reason"] == NO_WORKER


def test_the_activity_says_in_whole_sentences_who_left_and_what_became_of_a_job(world: World) -> None:
    world.add_worker("penny")
    world.add_worker("nina")
    world.run(1)
    world._work("penny", world.workers["penny"].core.drain("it was asked to finish and stop", world._at()))
    world._work("nina", world.workers["nina"].core.stop("the worker was stopped", world._at()))
    job = world.submit(animation("1", name="kitchen"))["id"]
    world.run(2)
    world.act("cancel", job)
    world.run(1)
    told = [row["text"] for row in world.ask("activity")]
    assert {"the worker penny left, as it was asked to", "the worker nina was stopped", "canceled kitchen"} <= set(told)


@pytest.mark.parametrize("restarted", [False, True])
def test_a_job_says_how_the_manager_that_left_is_started_where_its_workers_look_for_it(world: World, restarted: bool) -> None:
    world.add_manager("m", address="127.0.0.1:26310")
    world.run(2)
    world.act("drain", "m")
    world.run(5)
    if restarted:
        world.start_server()
    job = world.submit(animation("1"))
    world.run(12)
    assert world.ask("job", id=job["id"])["reason"] == (
        "No manager runs, which workers connect to: start `brender-manager --name m --listen 127.0.0.1:26310`"
    )


@pytest.mark.parametrize("restarted", [False, True])
def test_a_job_names_each_manager_that_left_but_those_that_were_forgotten(world: World, restarted: bool) -> None:
    for number, name in enumerate(("m", "n", "gone")):
        world.add_manager(name, address=f"127.0.0.1:2631{number}")
        world.run(2)
    for name in ("m", "n", "gone"):
        world.act("drain", name)
        world.run(5)
    world.act("forget", "gone")
    if restarted:
        world.start_server()
    job = world.submit(animation("1"))
    world.run(12)
    reason = world.ask("job", id=job["id"])["reason"]
    starts = [f"`brender-manager --name {name} --listen 127.0.0.1:2631{number}`" for number, name in ((1, "n"), (0, "m"))]
    assert reason == f"No manager runs, which workers connect to: start {', or '.join(starts)}"


def test_a_file_too_new_for_every_worker_waits_and_says_why(world: World) -> None:
    world.add_worker("old", blenders=(Blender("executable", "/usr/bin/blender", (3, 4, 1)),))
    job = world.submit(animation("1", version=(5, 0)))
    world.run(2)
    reason = world.ask("job", id=job["id"])["reason"]
    assert reason == (
        "No worker can run it. The worker old has Blender 3.4.1, which cannot read a file saved by Blender 5.0: "
        "start it with `--blender PATH` of a Blender 5.0 or later"
    )
    world.add_worker("new")
    world.finish_everything()
    assert world.status(job["id"]) == "completed"


FOUR, FIVE = Blender("executable", "/4.5/blender", (4, 5, 3)), Blender("executable", "/5.3/blender", (5, 3, 0))
NEW_FILE: dict[str, Any] = {"version": (5, 3), "oldest": (4, 5, 85)}


def test_a_file_that_lets_an_older_blender_open_it_is_rendered_by_one(world: World) -> None:
    world.add_worker("older", blenders=(FOUR,))
    world.add_worker("too-old", blenders=(Blender("executable", "/4.2/blender", (4, 2, 0)),))
    job = world.submit(animation("1-4", **NEW_FILE))
    assert granted(world, "too-old") == []
    world.finish_everything()
    assert world.status(job["id"]) == "completed"


def test_a_file_says_which_blender_it_takes(world: World) -> None:
    world.add_worker("too-old", blenders=(Blender("executable", "/4.2/blender", (4, 2, 0)),))
    job = world.submit(animation("1", **NEW_FILE))
    world.run(2)
    reason = world.ask("job", id=job["id"])["reason"]
    assert reason.endswith(": start it with `--blender PATH` of a Blender 4.5 or later")


def blender_of(version: str) -> Blender:
    major, minor = version.split(".")
    return Blender("executable", f"/opt/{version}/blender", (int(major), int(minor), 0))


def worked(world: World, job: str) -> set[str]:
    """Return the workers that rendered frames of *job*."""
    names = {stub.core.info.id: name for name, stub in world.workers.items()}
    return {names[part["worker"]] for part in world.ask("parts", job=job) if part["worker"]}


def test_all_frames_of_a_job_are_rendered_with_one_series_of_blender_that_most_workers_have(world: World) -> None:
    for name, versions in {"new": "5.0", "both": "4.5 5.0", "old": "4.5", "old too": "4.5"}.items():
        world.add_worker(name, blenders=tuple(map(blender_of, versions.split())))
    job = world.submit(animation("1-12", chunk=1, version=(4, 2)))["id"]
    assert len(world.finish_everything()) == 12
    assert world.ask("job", id=job)["series"] == "4.5" and worked(world, job) == {"both", "old", "old too"}


def test_a_job_is_rendered_with_the_series_that_saved_its_file_where_a_worker_has_it(world: World) -> None:
    for name, version in {"new": "5.0", "new too": "5.0", "own": "4.5"}.items():
        world.add_worker(name, blenders=(blender_of(version),))
    job = world.submit(animation("1-3", chunk=1, version=(4, 5)))["id"]
    assert len(world.finish_everything()) == 3 and worked(world, job) == {"own"}


def test_the_series_may_be_chosen_and_a_job_that_nobody_has_it_for_says_so(world: World) -> None:
    world.add_worker("new", blenders=(blender_of("5.0"),))
    job = world.submit(animation("1-3", chunk=1, version=(4, 2), blender="4.5"))["id"]
    world.run(3.0)
    assert "the job is rendered with Blender 4.5, so that its frames match" in world.ask("job", id=job)["reason"]
    world.add_worker("old", blenders=(blender_of("4.5"),))
    assert len(world.finish_everything()) == 3 and worked(world, job) == {"old"}


@pytest.mark.parametrize(("series", "said"), [("4.1", "Blender 4.1 cannot open"), ("four", "is not a series of Blender")])
def test_a_series_that_cannot_open_the_file_is_refused(world: World, series: str, said: str) -> None:
    answer = world.submit(animation("1", version=(4, 2), blender=series))
    assert isinstance(answer, Sorry) and said in answer.message


def test_the_series_of_a_job_outlives_the_server_and_is_chosen_anew_when_all_of_it_is_queued_again(world: World) -> None:
    world.add_worker("new", blenders=(blender_of("5.0"),))
    job = world.submit(animation("1-3", chunk=1, version=(4, 2)))["id"]
    world.finish("new")
    world.start_server()
    for name in ("old", "old too"):
        world.add_worker(name, blenders=(blender_of("4.5"),))
    assert world.finish_everything() and worked(world, job) == {"new"}
    world.act("requeue", job, "all")
    assert len(world.finish_everything()) == 3 and worked(world, job) == {"old", "old too"}


def test_a_job_of_which_nothing_was_rendered_yet_is_not_bound_to_a_worker_that_is_gone(world: World) -> None:
    world.add_worker("new", blenders=(blender_of("5.0"),))
    job = world.submit(animation("1-2", chunk=1, version=(4, 2)))["id"]
    assert world.workers["new"].running
    world.act_on_node("disable", "new")
    world.end("new", "the disk is broken")
    world.add_worker("old", blenders=(blender_of("4.5"),))
    world.run(60.0)
    assert len(world.finish_everything()) == 2 and worked(world, job) == {"old"}


def test_a_job_is_not_bound_to_a_series_before_something_of_it_is_given_out(world: World) -> None:
    for name in ("old", "old too"):
        world.add_worker(name, blenders=(blender_of("4.5"),))
    world.submit(animation("1-9", chunk=1, version=(4, 5), priority=90))
    world.add_worker("new", blenders=(blender_of("5.0"),))
    job = world.submit(animation("1-2", chunk=1, version=(4, 2)))["id"]
    world.run(5.0)
    assert world.ask("job", id=job)["series"] == "" and not world.workers["new"].running
    for name in ("old", "old too"):
        world.act_on_node("disable", name)
    world.run(5.0)
    assert world.ask("job", id=job)["series"] == "5.0" and world.workers["new"].running


def test_an_older_blender_leaves_a_file_to_the_newer_one_for_as_long_as_that_takes_tasks(world: World) -> None:
    world.add_worker("older", blenders=(FOUR,))
    world.add_worker("newer", blenders=(FIVE,))
    job = world.submit(animation("1-4", chunk=1, **NEW_FILE))
    world.run(2)
    assert granted(world, "older") == [] and granted(world, "newer")
    world.act_on_node("disable", "newer")
    world.end("newer", "the disk is broken")  # and nothing was rendered that others would have to match
    world.run(30)
    assert granted(world, "older")
    world.finish_everything()
    assert world.status(job["id"]) == "completed"


def test_an_older_blender_does_not_wait_for_a_newer_one_that_could_not_run_the_job(world: World) -> None:
    world.add_worker("older", blenders=(FOUR,), tags=frozenset({"gpu"}))
    world.add_worker("newer", blenders=(FIVE,))
    tagged = world.submit(animation("1-4", tags=("gpu",), chunk=1, **NEW_FILE))
    assert granted(world, "older"), "the newer one lacks the tag, so the older one does not wait for it"
    world.finish_everything()
    assert world.status(tagged["id"]) == "completed"


def test_a_tagged_job_goes_only_to_a_worker_that_has_the_tag(world: World) -> None:
    world.add_worker("plain")
    world.add_worker("special", tags=frozenset({"gpu"}))
    world.submit(animation("1-4", tags=("gpu",)))
    assert granted(world, "plain") == []
    assert granted(world, "special")[0] == 1


def test_a_long_job_comes_into_being_in_slices_and_starts_with_the_first() -> None:
    world = World(Policy(plan_slice=10, plan_ahead=20))
    world.add_worker("a")
    job = world.submit(animation("1-100"))
    assert granted(world, "a")[0] == 1
    assert world.ask("job", id=job["id"])["planned_tasks"] < 50
    assert len(world.finish_everything()) == 100
    assert world.status(job["id"]) == "completed"


def test_a_requeued_long_job_is_read_back_in_slices() -> None:
    world = World(Policy(plan_slice=10, plan_ahead=20))
    world.add_worker("a")
    job = world.submit(animation("1-100"))
    world.finish_everything()
    world.act("requeue", job["id"], "all")
    assert sorted(world.finish_everything()) == list(range(1, 101))
    assert world.status(job["id"]) == "completed"


def test_a_worker_that_is_stopped_gives_its_work_back_without_a_failure(world: World) -> None:
    worker = world.add_worker("a")
    job = world.submit(animation("1-2"))
    world._work("a", worker.core.stop("the worker was stopped", world._at()))
    world.end("a", stopped=True, reason="stopped")
    world.add_worker("b")
    world.finish_everything()
    record = world.ask("job", id=job["id"])
    assert (record["status"], record["failures"]) == ("completed", 0)
    assert {row["name"]: row["status"] for row in world.ask("workers")}["a"] == "offline"


def test_a_farm_for_one_job_leaves_the_others_alone() -> None:
    world = World(Policy(only_job="aa" * 8))
    world.add_worker("a")
    other = world.submit(animation("1-3"))
    mine = world.submit(animation("11-12", id="aa" * 8))
    assert sorted(world.finish_everything()) == [11, 12]
    assert (world.status(mine["id"]), world.status(other["id"])) == ("completed", "queued")
    assert world.ask("job", id=other["id"])["reason"] == NOT_THIS_JOB


def test_a_farm_for_one_render_takes_renders_that_are_begun_after_it_too_and_fails_one_that_no_worker_can_run() -> None:
    world = World(Policy(only_job="aa" * 8, only_workers=1))
    world.add_worker("a")
    before = world.submit(animation("1-3", of_render=True))
    world.submit(animation("11-12", id="aa" * 8, of_render=True))
    beside = world.submit(animation("21-22", of_render=True))
    for_farm = world.submit(animation("31-32"))
    hopeless = world.submit(animation("41-42", of_render=True, tags=("moon",)))
    assert sorted(world.finish_everything()) == [11, 12, 21, 22]
    assert world.status(beside["id"]) == "completed"
    assert world.ask("job", id=before["id"])["reason"] == AFTER_THAT_RENDER
    assert world.ask("job", id=for_farm["id"])["reason"] == NOT_THIS_JOB
    assert world.status(hopeless["id"]) == "failed"


def test_a_farm_for_one_job_ends_it_once_its_workers_are_there_and_none_can_run_it() -> None:
    world = World(Policy(only_job="aa" * 8, only_workers=2))
    job = world.submit(animation("1-3", id="aa" * 8, tags=("moon",)))
    world.add_worker("a")
    world.run(5)
    assert world.status(job["id"]) == "queued", "the other worker may be able to"
    world.add_worker("b")
    world.run(5)
    record = world.ask("job", id=job["id"])
    assert record["status"] == "failed"
    assert (
        record["reason"]
        == "No worker can run it. The workers a and b lack the tag moon: `brender describe a b --add-tags moon` gives them that"
    )


def test_a_farm_for_one_job_goes_on_while_one_worker_can_run_it() -> None:
    world = World(Policy(only_job="aa" * 8, only_workers=2))
    job = world.submit(animation("1-3", id="aa" * 8, tags=("moon",)))
    world.add_worker("a")
    world.add_worker("b", tags=frozenset({"moon"}))
    world.run(5)
    world.finish_everything()
    assert world.status(job["id"]) == "completed"


def test_a_worker_gets_its_lease_as_soon_as_its_manager_has_one(world: World) -> None:
    world.add_manager("m")
    world.cut.add("m")
    world.run(world.policy.lease + 1)
    worker = world.add_worker("a")
    world.run(1)
    assert worker.lease_until <= world.now
    world.cut.clear()
    world.run(3)
    assert worker.lease_until > world.now


def test_a_worker_keeps_the_time_of_its_manager() -> None:
    world = World(Policy(lease=4.0, heartbeat=0.5, suspicion=2.0))
    world.add_manager("m")
    world.policy = Policy()  # the worker is started with a lease of half a minute
    worker = world.add_worker("a")
    for _ in range(30):
        world.run(1)
        assert worker.lease_until > world.now, "between two renewals it held no lease"


def test_what_happens_is_written_into_the_activity_log(world: World) -> None:
    world.add_worker("a")
    job = world.submit(animation("1", user="ada"))
    world.finish_everything()
    told = [(row["user"], row["action"]) for row in reversed(world.ask("activity", job=job["id"]))]
    assert told == [("ada", "submit"), ("", "completed")]
