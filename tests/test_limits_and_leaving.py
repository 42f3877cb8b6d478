"""Time limits, workers that are kept off a job, and machines that pause, leave, are switched off or lose their manager."""

import msgspec
import pytest

from brender.bus.messages import Grants, Sorry
from brender.model.errors import NotFound
from brender.model.job_standing import standing
from brender.roles.manager.core import ManagerCore
from brender.roles.policy import Policy
from brender.roles.worker.core import WorkerCore
from brender.roles.worker.limits import Watch
from brender.scheduling.terms import TRIED_AGAIN
from brender.store.farm_page import counts, overview
from brender.store.off_job import off_job
from tests.world import World, animation, granted


@pytest.fixture
def world() -> World:
    return World()


def worker(world: World, name: str) -> dict:
    return next(row for row in world.ask("workers") if row["name"] == name)


def progress(world: World, name: str, output: int) -> None:
    """The worker's render process has written so many bytes."""
    core = world.workers[name].core
    world._work(name, core.progressed(core.running.attempt, 1, 0.0, "", output, world._at()))


# --- kept off a job -----------------------------------------------------------------------------------------------------


def with_a_bad_worker() -> tuple[World, str]:
    """A farm with a worker that is going to be bad and one that is good, and the id of its job of 20 frames."""
    world = World(Policy(retry=0.1, retry_most=0.1))
    world.add_worker("bad")
    world.add_worker("good")
    return world, world.submit(animation("1-20"))["id"]


def fail_often(world: World, name: str, times: int, reason: str = "no such add-on") -> None:
    for _ in range(times):
        world.run(5)
        world.end(name, reason=reason)


def keep_off(world: World, name: str) -> None:
    """The worker fails three times, and once more at what it had begun before it was kept off."""
    fail_often(world, name, 3)
    if world.workers[name].running is not None:
        world.end(name, reason="no such add-on")


def test_a_worker_that_fails_a_job_again_and_again_is_kept_off_it() -> None:
    world, job = with_a_bad_worker()
    keep_off(world, "bad")
    world.run(10)
    assert granted(world, "bad") == []
    (off,) = world.ask("job", id=job)["kept_off"]
    assert (off["worker_name"], off["failures"], off["reason"]) == ("bad", 3, "no such add-on")
    assert "the worker bad is kept off it" in world.ask("activity", job=job)[0]["text"]


def test_a_worker_that_is_kept_off_one_job_takes_others() -> None:
    world, _ = with_a_bad_worker()
    keep_off(world, "bad")
    other = world.submit(animation("1-20", priority=40))["id"]
    world.run(10)
    assert world.workers["bad"].running.job == other


def test_a_worker_may_be_readmitted() -> None:
    world, job = with_a_bad_worker()
    bad = world.workers["bad"]
    keep_off(world, "bad")
    world.act("readmit", job, bad.core.info.id)
    world.run(1)
    assert bad.running is not None and world.ask("job", id=job)["kept_off"] == []
    assert isinstance(world.act("readmit", job), Sorry), "nobody is kept off any more"


def test_who_is_kept_off_stays_so_when_the_server_is_started_anew() -> None:
    world, _ = with_a_bad_worker()
    keep_off(world, "bad")
    world.start_server()
    world.run(20)
    assert granted(world, "bad") == []


def test_the_only_worker_that_could_run_a_job_is_not_kept_off_it(world: World) -> None:
    world.add_worker("only")
    job = world.submit(animation("1-20"))["id"]
    fail_often(world, "only", 4)
    assert world.ask("job", id=job)["kept_off"] == []


def test_a_frame_that_is_done_between_failures_clears_a_worker() -> None:
    world = World(Policy(retry=0.1, retry_most=0.1))
    world.add_worker("a")
    world.add_worker("b")
    job = world.submit(animation("1-20"))["id"]
    for _ in range(3):
        fail_often(world, "a", 2)
        world.finish("a")
    assert world.ask("job", id=job)["kept_off"] == []


def test_a_job_that_only_its_kept_off_workers_could_run_says_so() -> None:
    world, job = with_a_bad_worker()
    keep_off(world, "bad")
    world._work("good", world.workers["good"].core.stop("was stopped", world._at()))
    world.end("good", reason="stopped", stopped=True)
    world.run(10)
    assert world.ask("job", id=job)["reason"] == (
        f"No worker can run it. The worker bad failed it before: `brender readmit {job[:8]}` allows another try"
    )


# --- time limits --------------------------------------------------------------------------------------------------------


def test_an_attempt_without_a_sign_of_progress_is_ended_and_counts_as_failed(world: World) -> None:
    stub = world.add_worker("a")
    job = world.submit(animation("1-2", stall_minutes=2))["id"]
    attempt = stub.running.attempt
    world.run(125)
    assert stub.stopped == [attempt]
    world.end("a", reason="stopped", stopped=True)
    (first, *_) = [row for row in world.ask("attempts", job=job) if row["id"] == attempt]
    assert (first["outcome"], first["reason"]) == (
        "failed",
        "It showed no sign of progress for 2 minutes, the job's limit for that",
    )


def test_output_is_a_sign_of_progress(world: World) -> None:
    stub = world.add_worker("a")
    world.submit(animation("1-2", stall_minutes=2))
    for output in range(5):
        progress(world, "a", output)
        world.run(100)
    assert stub.stopped == []


def test_the_same_word_again_is_none(world: World) -> None:
    stub = world.add_worker("a")
    world.submit(animation("1-2", stall_minutes=2))
    for _ in range(5):
        progress(world, "a", 7)
        world.run(40)
    assert len(stub.stopped) == 1


def test_an_attempt_that_runs_too_long_is_ended_whatever_it_says(world: World) -> None:
    stub = world.add_worker("a")
    job = world.submit(animation("1-2", limit_minutes=5))["id"]
    for output in range(4):
        progress(world, "a", output)
        world.run(80)
    world.end("a", reason="stopped", stopped=True)
    assert len(stub.stopped) == 1
    assert any(
        row["reason"] == "It ran for longer than 5 minutes, the job's limit for a task" for row in world.ask("attempts", job=job)
    )


def test_a_job_without_limits_may_take_for_ever(world: World) -> None:
    stub = world.add_worker("a")
    world.submit(animation("1-2", stall_minutes=0, limit_minutes=0))
    world.run(9000, step=2.0)
    assert stub.stopped == []


def test_a_job_that_names_no_limits_has_an_hour_without_progress_and_a_day(world: World) -> None:
    job = world.submit(animation("1-2"))["id"]
    record = world.ask("job", id=job)
    assert (record["stall_minutes"], record["limit_minutes"]) == (60, 1440)


def test_limits_hold_after_the_server_was_started_anew(world: World) -> None:
    world.submit(animation("1-2", stall_minutes=2))
    world.start_server()
    stub = world.add_worker("a")
    world.run(125)
    assert len(stub.stopped) == 1


def test_a_negative_limit_is_refused(world: World) -> None:
    assert isinstance(world.submit(animation("1-2", stall_minutes=-1)), Sorry)


def test_an_add_on_that_never_returns_is_named_by_the_limit_that_ends_its_attempt(world: World) -> None:
    stub = world.add_worker("a")
    job = world.submit(animation("1-2", stall_minutes=2))["id"]
    attempt, line = stub.running.attempt, "enabling the farm's add-on Red 1.2"
    world._work("a", stub.core.progressed(attempt, 1, 0.0, line, 7, world._at()))
    world.run(130)
    world.end("a", reason="stopped", stopped=True)
    (first, *_) = [row for row in world.ask("attempts", job=job) if row["id"] == attempt]
    assert first["reason"].endswith("the job's limit for that, while enabling the farm's add-on Red 1.2")


def test_time_in_which_the_worker_itself_did_not_run_does_not_count() -> None:
    watch = Watch(stall=60, limit=600, now=0.0)
    looks = [1.0, *range(2000, 2060)]
    assert [why for now in looks if (why := watch.exceeded(now))] == []
    assert "no sign of progress" in watch.exceeded(2060.0)


# --- leaving ------------------------------------------------------------------------------------------------------------


def test_a_worker_that_is_to_leave_finishes_its_task_and_gives_back_what_waits(world: World) -> None:
    stub = world.add_worker("a")
    job = world.submit(animation("1-3"))["id"]
    assert granted(world, "a") == [1, 2]
    world._work("a", stub.core.drain("asked", world._at()))
    world.run(20)
    assert granted(world, "a") == [1] and stub.stopped == []
    assert (worker(world, "a")["status"], worker(world, "a")["reason"]) == ("draining", "asked")
    world.finish("a")
    world.run(1)
    assert worker(world, "a")["status"] == "offline"
    outcomes = {row["outcome"] for row in world.ask("attempts", job=job)}
    assert outcomes == {"completed", "recalled"}, "nothing was lost, nothing failed"
    with pytest.raises(NotFound, match="No worker has begun frame 2 of the job"):
        world.ask("log", job=job, frame=2)


def test_a_worker_that_is_told_again_stops_at_once(world: World) -> None:
    stub = world.add_worker("a")
    world.submit(animation("1-3"))
    world._work("a", stub.core.drain("asked", world._at()))
    world._work("a", stub.core.stop("told again", world._at()))
    assert len(stub.stopped) == 1


def test_the_server_can_let_a_worker_leave(world: World) -> None:
    stub = world.add_worker("a")
    world.submit(animation("1-3"))
    assert world.act_on_node("drain", "a")["wanted"] == "drained"
    assert worker(world, "a")["status"] == "draining"
    world.finish("a")
    world.run(1)
    assert worker(world, "a")["status"] == "offline" and "a" in world.cut
    assert stub.stopped == []


def test_a_worker_that_left_as_it_was_asked_to_works_when_it_is_started_again(world: World) -> None:
    world.add_worker("a")
    world.act_on_node("drain", "a")
    world.run(2)
    assert worker(world, "a")["status"] == "offline" and worker(world, "a")["wanted"] == ""


def test_a_manager_that_is_to_leave_lets_its_workers_finish(world: World) -> None:
    world.add_worker("a", manager="m")
    world.add_worker("b", manager="n")
    world.submit(animation("1-6"))
    world.act_on_node("drain", "m")
    world.run(2)
    assert worker(world, "a")["reason"] == "its manager m leaves" and len(granted(world, "a")) == 1
    world.finish("a")
    world.run(2)
    managers = {row["name"]: row["status"] for row in world.ask("managers")}
    assert managers == {"m": "offline", "n": "online"}
    assert world.workers["a"].stopped == []


def test_a_manager_leaves_although_a_grant_came_late_whose_attempt_had_ended(world: World) -> None:
    stub = world.add_worker("a", manager="m")
    world.submit(animation("1"))
    running = stub.running
    assert running is not None
    world.finish("a")
    manager = world.managers["m"]
    manager.from_above(Grants(grants=(running,), orders=()), world._at())  # (the worker has been sent it, and says nothing of it)
    world.act_on_node("drain", "m")
    world.run(world.policy.lease)
    assert {row["name"]: row["status"] for row in world.ask("managers")} == {"m": "offline"}


def test_a_disabled_worker_finishes_its_task_and_gets_no_other(world: World) -> None:
    world.add_worker("a")
    world.submit(animation("1-3"))
    world.act_on_node("disable", "a")
    world.finish("a")
    world.run(10)
    assert granted(world, "a") == [] and worker(world, "a")["status"] == "disabled"
    world.act_on_node("enable", "a")
    assert granted(world, "a") == [2, 3] and worker(world, "a")["status"] == "busy"


def test_a_disabled_worker_stays_so_when_it_or_the_server_is_started_anew(world: World) -> None:
    world.add_worker("a")
    world.act_on_node("disable", "a")
    world.start_server()
    world.submit(animation("1-3"))
    world.run(20)
    assert granted(world, "a") == [] and worker(world, "a")["status"] == "disabled"


def test_the_workers_of_a_disabled_manager_get_nothing(world: World) -> None:
    world.add_worker("a", manager="m")
    world.act_on_node("disable", "m")
    world.submit(animation("1-3"))
    assert granted(world, "a") == [] and worker(world, "a")["reason"] == "its manager m is disabled"


def test_who_is_not_there_cannot_be_asked_to_finish(world: World) -> None:
    world.add_worker("a")
    world._work("a", world.workers["a"].core.stop("was stopped", world._at()))
    world.run(1)
    answer = world.act_on_node("drain", "a")
    assert isinstance(answer, Sorry) and "is not there" in answer.message


# --- forgotten --------------------------------------------------------------------------------------------------------


def test_a_worker_that_was_disabled_stays_so_when_it_comes_back_after_it_was_forgotten(world: World) -> None:
    stub = world.add_worker("a")
    world.act("disable", "a")
    world._work("a", stub.core.stop("was stopped", world._at()))
    world.run(5)
    assert world.act("forget", "a")["wanted"] == "forgotten, disabled" and world.ask("workers") == []
    assert "stays disabled then" in world.ask("activity")[0]["text"]
    world.start_server()
    world.cut.discard("a")
    stub.core = WorkerCore(msgspec.structs.replace(stub.core.info, incarnation=2), world.policy, managers=1)
    world.run(5)
    assert [(row["name"], row["status"]) for row in world.ask("workers")] == [("a", "disabled")]


def test_a_worker_that_is_gone_for_good_is_forgotten_until_it_joins_again(world: World) -> None:
    stub = world.add_worker("a")
    refused = world.act("forget", "a")
    assert isinstance(refused, Sorry) and "`brender drain a`" in refused.message, "it is there"
    world._work("a", stub.core.stop("was stopped", world._at()))
    world.run(5)
    assert worker(world, "a")["status"] == "offline"
    assert not isinstance(world.act("forget", "a"), Sorry)
    assert world.ask("workers") == []
    world.start_server()
    world.run(5)
    assert world.ask("workers") == [], "a restarted server remembers it"
    world.cut.discard("a")
    stub.core = WorkerCore(msgspec.structs.replace(stub.core.info, incarnation=2), world.policy, managers=1)
    world.run(5)
    assert [(row["name"], row["status"]) for row in world.ask("workers")] == [("a", "idle")]


# --- no room ------------------------------------------------------------------------------------------------------------


def test_a_worker_without_room_pauses_says_why_and_goes_on_once_there_is(world: World) -> None:
    stub = world.add_worker("a")
    job = world.submit(animation("1-3"))["id"]
    world._work("a", stub.core.room("No room on the disk", world._at()))
    world.end("a", reason="No room on the disk", stopped=True)
    world.run(20)
    assert granted(world, "a") == []
    assert (worker(world, "a")["status"], worker(world, "a")["reason"]) == ("error", "No room on the disk")
    assert world.ask("job", id=job)["failures"] == 0, "a full disk is not a fault of the job's"
    assert world.ask("job", id=job)["reason"] == (
        "The only worker that can run it takes no new tasks. The worker a pauses (No room on the disk): "
        "work goes on there as soon as that is mended"
    )
    world._work("a", stub.core.room("", world._at()))
    world.run(20)
    assert granted(world, "a") == [1, 2] and worker(world, "a")["status"] == "busy"


def test_a_job_whose_workers_are_disabled_asleep_or_leaving_names_each_and_what_can_be_done(world: World) -> None:
    for name in ("m1", "m2", "m 3"):
        world.add_worker(name)
    for name in ("m1", "m 3"):
        world.act("disable", name)
    world.act("schedule", "m2", "mon-sun 00:00-24:00")
    job = world.submit(animation("1-3"))["id"]
    world.run(3)
    assert world.ask("job", id=job)["reason"] == (
        "None of the 3 workers that can run it takes new tasks. The workers m1 and m 3 are disabled: `brender enable m1 'm 3'`. "
        "The worker m2 sleeps until 00:00: `brender describe m2 --sleeps ''` ends its schedule"
    )
    world.act("disable", "m2")
    world.act("schedule", "m2", "")
    world.run(3)
    assert (
        "3 workers that can run it takes new tasks. The workers m1, m2 and m 3 are disabled: `brender enable m1 m2 'm 3'`"
        in (world.ask("job", id=job)["reason"])
    ), "a cause that has changed is said as it is now"


def test_a_job_whose_next_tasks_stand_behind_a_frame_of_another_says_so_until_it_renders_again(world: World) -> None:
    world.add_worker("a")
    job = world.submit(animation("1-12"))["id"]
    other = world.submit(animation("1-90", name="benchmark"))["id"]
    while running(world, "a") != other:
        world.finish("a")
    world.run(1)
    assert world.ask("job", id=job)["reason"] == "", "a moment between two frames is nothing to tell of"
    world.run(5)
    told = world.ask("job", id=job)
    assert (
        told["reason"] == f"The only worker that can run it, a, is busy, rendering benchmark ({other[:8]})"
        and told["status"] == "queued"
    )
    assert "waits. The only worker" in standing(told)
    while running(world, "a") == other:
        world.finish("a")
    world.run(2)
    told = world.ask("job", id=job)
    assert (told["status"], told["reason"]) == ("active", "")


def test_of_two_equal_jobs_the_one_whose_frames_are_long_never_has_all_workers(world: World) -> None:
    """What waits behind its frames counts for the other job's share, and is no worker that renders it."""
    for name in ("a", "b"):
        world.add_worker(name)
    short = world.submit(animation("1-40"))["id"]
    world.submit(animation("1-40"))
    for name in ("a", "b", "a", "b", "a", "b", "b", "b", "a", "b"):
        world.finish(name)
        assert short in {running(world, each) for each in ("a", "b")}


def running(world: World, name: str) -> str:
    grant = world.workers[name].running
    assert grant is not None
    return grant.job


def test_a_job_is_never_given_to_workers_whose_owners_do_not_allow_its_folders(world: World) -> None:
    for name in ("a", "b"):
        world.add_worker(name, folders=("/srv", "/renders"))
    job = world.submit(animation("1-3", output="/mnt/x/out"))["id"]
    sent = world.submit(animation("11-11", output="/mnt/x/other", bundle="b" * 64))["id"]
    world.run(3)
    waits = (
        "No worker can run it. The workers a and b may not read /projects/shot.blend nor write to /mnt/x/out: "
        "add `--allow-folder /mnt/x/out --allow-folder /projects` to those that they have"
    )
    assert world.ask("job", id=job)["reason"] == waits and world.ask("attempts", job=job) == []
    assert world.finish_everything() == [11] and world.status(sent) == "completed", "where files travel, no folder is used"
    world.start_server()
    world.run(30)
    assert world.ask("job", id=job)["reason"] == waits, "and so the server that starts again knows it"
    world.add_worker("c", folders=("/mnt", "/projects"))
    assert sorted(world.finish_everything()) == [1, 2, 3] and {row["worker"] for row in world.ask("attempts", job=job)} == {
        world.workers["c"].core.info.id
    }
    assert world.server.dispatch.audit() == []


def put_off(world: World, name: str, reason: str) -> None:
    core = world.workers[name].core
    assert core.running is not None
    world._work(name, core.ended(core.running.attempt, 1.0, reason, False, False, world._at(), put_off=True))
    world.run(0.2)


def test_a_job_whose_folder_has_no_room_waits_with_its_reason_while_its_worker_renders_others(world: World) -> None:
    world.add_worker("a")
    full = world.submit(animation("1-3", name="full", priority=90))["id"]
    assert granted(world, "a") == [1, 2]
    other = world.submit(animation("11-12", name="other"))["id"]
    put_off(world, "a", "No room on the disk of /renders/full")
    world.run(10)
    assert world.ask("job", id=full)["reason"] == (
        "No worker can run it. The worker a cannot run it now (No room on the disk of /renders/full): "
        f"{TRIED_AGAIN} `brender readmit {full[:8]}`"
    )
    assert world.ask("job", id=full)["failures"] == 0, "a full disk is not a fault of the job's"
    assert worker(world, "a")["status"] == "busy"
    assert world.finish("a") == [11] and world.finish("a") == [12]
    assert world.status(other) == "completed"
    world.run(60)
    assert world.finish_everything() == [1, 2, 3] and world.status(full) == "completed"


@pytest.mark.parametrize("began", [True, False])
def test_a_job_whose_folder_is_forbidden_waits_where_frames_of_it_went_there_before_and_else_fails(
    world: World, began: bool
) -> None:
    world.add_worker("a")
    job = world.submit(animation("1-2"))["id"]
    if began:
        assert world.finish("a") == [1]
    core = world.workers["a"].core
    assert core.running is not None
    why = "The output folder /renders cannot be used: Permission denied"
    world._work("a", core.ended(core.running.attempt, 1.0, why, True, False, world._at(), forbidden=True))
    world.run(3)
    row = world.ask("job", id=job)
    if began:
        assert f"cannot run it now ({why}): it is tried again" in row["reason"] and row["failures"] == 0
        world.run(60)
        assert world.finish_everything() == [2]
    assert (world.status(job), world.ask("job", id=job)["reason"]) == (("completed", "") if began else ("failed", why))


def test_a_job_that_one_worker_cannot_write_goes_to_another_at_once(world: World) -> None:
    world.add_worker("a")
    job = world.submit(animation("1-2"))["id"]
    world.run(1)
    world.add_worker("b")
    put_off(world, "a", "The folder /renders/show does not answer")
    assert sorted(world.finish_everything()) == [1, 2] and world.status(job) == "completed"
    assert granted(world, "a") == []


def test_a_job_that_no_worker_can_write_says_so_of_all_of_them(world: World) -> None:
    for name in ("a", "b"):
        world.add_worker(name)
    job = world.submit(animation("1-8"))["id"]
    for name in ("a", "b"):
        put_off(world, name, "The folder /renders/show does not answer")
    world.run(5)
    assert world.ask("job", id=job)["reason"] == (
        "No worker can run it. The workers a and b cannot run it now (The folder /renders/show does not answer): "
        f"{TRIED_AGAIN} `brender readmit {job[:8]}`"
    )
    world.act("readmit", job)
    world.run(1)
    assert sorted(world.finish_everything()) == list(range(1, 9))


def test_workers_that_are_to_take_nothing_more_count_as_rendering_until_they_are_done(world: World) -> None:
    for name in ("a", "b"):
        world.add_worker(name)
    world.submit(animation("1-8", chunk=1))
    world.run(1)
    assert [overview(world.record, 0.0)["rendering"], counts(world.record)["busy_workers"]] == [2, 2]
    for name in ("a", "b"):
        world.act_on_node("disable", name)
    world.run(1)
    told = overview(world.record, 0.0)
    assert told["workers"] == {"disabled": 2} and told["rendering"] == 2
    world.finish("a")
    world.run(1)
    assert [overview(world.record, 0.0)["rendering"], counts(world.record)["busy_workers"]] == [1, 1]


def test_a_server_that_starts_again_lets_workers_try_again_that_could_not_use_a_folder_and_says_so(world: World) -> None:
    world.add_worker("a")
    job = world.submit(animation("1-2"))["id"]
    put_off(world, "a", "The folder /renders/show does not answer")
    assert len(off_job(world.record, world.record.tables.Job.get_by_id(job), world._at().wall)["put_off"]) == 1
    world.start_server()
    world.run(3)
    assert sorted(granted(world, "a")) == [1, 2]
    assert not off_job(world.record, world.record.tables.Job.get_by_id(job), world._at().wall)["put_off"]


def test_a_folder_that_stays_away_is_tried_less_and_less_often(world: World) -> None:
    world.add_worker("a")
    world.submit(animation("1-2"))
    tries = 0
    for _ in range(40):
        if world.workers["a"].running is not None:
            tries += 1
            put_off(world, "a", "The folder /renders/show does not answer")
        world.run(60, step=1)
    assert 5 <= tries <= 9


def test_a_worker_that_cannot_write_its_reports_gives_its_tasks_back_and_says_why(world: World) -> None:
    stub = world.add_worker("a")
    job = world.submit(animation("1-3"))["id"]
    assert granted(world, "a") == [1, 2]
    why = "Reports cannot be written to /data/a: No space left on device"
    for _ in range(20):
        world._work("a", stub.core.reports_cannot_be_kept(why, world._at()))
        world.run(1)
    assert len(stub.stopped) == 1 and stub.core.disk.keeps_no_reports(world._at().mono)
    world.end("a", reason="stopped", stopped=True)
    world.run(20)
    assert (worker(world, "a")["status"], worker(world, "a")["reason"]) == ("error", why)
    assert f"takes no new tasks. The worker a pauses ({why}): " in world.ask("job", id=job)["reason"]
    world._work("a", stub.core.room("", world._at()))
    assert worker(world, "a")["status"] == "error", "there is room for frames, and none for reports"
    world.add_worker("b")
    assert world.finish_everything() == [1, 2, 3]
    world._work("a", stub.core.reports_are_kept(world._at()))
    world.run(1)
    assert worker(world, "a")["status"] == "idle"


# --- another manager ----------------------------------------------------------------------------------------------------


def test_a_worker_whose_manager_is_silent_turns_to_the_next_with_all_that_it_has(world: World) -> None:
    stub = world.add_worker("a", manager="m n")
    job = world.submit(animation("1-3"))["id"]
    attempt = stub.running.attempt
    world.dead.add("m")
    world.run(world.policy.lease)
    assert stub.manager == "n" and stub.running.attempt == attempt
    world.finish("a")
    world.run(60)
    assert sorted(world.finish_everything()) == [2, 3]
    outcomes = [row["outcome"] for row in world.ask("attempts", job=job) if row["id"] == attempt]
    assert (world.status(job), outcomes) == ("completed", ["completed"])


def test_a_worker_whose_manager_leaves_turns_to_the_next_at_once(world: World) -> None:
    stub = world.add_worker("a", manager="m n")
    world._manage("m", world.managers["m"].farewell())
    world.run(1)
    assert stub.manager == "n" and worker(world, "a")["manager_name"] == "n"


def manager_says_goodbye_while_its_worker_renders(world: World) -> None:
    world.add_worker("a")
    world.submit(animation("1-2"))
    world.cut.add("a")
    world._manage("m", world.managers["m"].farewell())
    world.dead.add("m")
    world.run(1)


def test_a_manager_that_waits_for_what_its_workers_render_is_said_to_be_leaving(world: World) -> None:
    manager_says_goodbye_while_its_worker_renders(world)
    for name in ("m", "a"):
        refused = world.act("forget", name)
        assert isinstance(refused, Sorry) and "drain" not in refused.message
        assert f"{name} is leaving. It can be forgotten in " in refused.message and " seconds" in refused.message
    world.run(world.policy.lease)
    assert [isinstance(world.act("forget", name), Sorry) for name in ("m", "a")] == [False, False]


def test_what_a_worker_renders_goes_on_when_its_manager_leaves_and_another_takes_it(world: World) -> None:
    stub = world.add_worker("a", manager="m n")
    job = world.submit(animation("1-3"))["id"]
    attempt = stub.running.attempt
    world._manage("m", world.managers["m"].farewell())
    world.dead.add("m")
    world.run(2 * world.policy.lease)
    world.finish("a")
    outcomes = [row["outcome"] for row in world.ask("attempts", job=job) if row["id"] == attempt]
    assert outcomes == ["completed"]


def test_what_a_worker_renders_is_given_to_another_only_when_its_lease_from_the_manager_that_left_has_ended(world: World) -> None:
    cut_off, other = world.add_worker("a"), world.add_worker("b", manager="n")
    world.submit(animation("1-2", chunk=2))
    assert cut_off.running is not None
    world.cut.add("a")  # so that it does not hear its manager's goodbye
    world._manage("m", world.managers["m"].farewell())
    world.dead.add("m")
    for _ in range(3 * int(world.policy.lease)):
        world.run(1)
        if other.running is not None:
            break
    assert other.running is not None and cut_off.lease_until <= world.now


def test_a_manager_that_left_while_its_workers_render_is_shown_as_leaving_and_then_as_gone(world: World) -> None:
    manager_says_goodbye_while_its_worker_renders(world)
    assert [(row["status"], row["reason"]) for row in world.ask("managers")] == [("draining", "was stopped")]
    world.run(2 * world.policy.lease)
    assert [(row["status"], row["reason"]) for row in world.ask("managers")] == [("offline", "was stopped")]


def test_a_manager_that_left_while_its_workers_render_is_not_asked_to_leave_again_when_it_is_back(world: World) -> None:
    world.add_worker("a")
    world.submit(animation("1-2"))
    world.cut.add("a")
    world.act("restart", "m")
    before = world.managers["m"]
    world._manage("m", before.farewell())
    world.managers["m"] = ManagerCore(msgspec.structs.replace(before.hello, incarnation=2), world.policy)
    world.run(5)
    assert [(row["status"], row["wanted"]) for row in world.ask("managers")] == [("online", "")]


def test_the_manager_before_does_not_call_a_worker_lost_that_is_with_another(world: World) -> None:
    stub = world.add_worker("a", manager="m n")
    world.submit(animation("1-3"))
    world.dead.add("m")
    world.run(world.policy.lease / 2)
    world.dead.discard("m")
    world.run(3 * world.policy.lease)
    assert stub.manager == "n" and worker(world, "a")["status"] == "busy" and not stub.stopped


def test_what_an_earlier_manager_still_says_of_a_worker_is_left_alone(world: World) -> None:
    world.add_worker("a", manager="m n")
    world._manage("m", world.managers["m"].farewell())
    world.run(1)
    late = world.managers["m"]
    assert worker(world, "a")["manager_name"] == "n"
    world._manage("m", late.tick(world._at()))
    world.run(60)
    assert worker(world, "a")["manager_name"] == "n" and worker(world, "a")["status"] == "idle"


# --- nobody above --------------------------------------------------------------------------------------------------------


def ask_to_leave(world: World, name: str) -> None:
    """A first SIGTERM."""
    world._work(name, world.workers[name].core.drain("it was asked to finish and stop", world._at()))


def test_a_worker_whose_manager_is_dead_stops_at_once_when_it_is_asked_to_leave(world: World) -> None:
    world.add_worker("w")
    world.submit(animation("1-2", chunk=1))
    world.run(1)
    running = world.workers["w"].running
    world.dead.add("m")
    world.workers["w"].core.cut_off = True
    ask_to_leave(world, "w")
    assert running is not None and world.workers["w"].stopped == [running.attempt]
    world.end("w", stopped=True)
    assert "w" in world.cut, "it has left"
    assert world.workers["w"].kept, "what nobody has heard stays on disk"


def test_a_worker_that_leaves_waits_no_longer_than_a_lease_for_its_reports_to_be_heard(world: World) -> None:
    world.add_worker("w")
    world.submit(animation("1"))
    world.run(1)
    world.dead.add("m")
    ask_to_leave(world, "w")
    world.finish("w")
    assert world.workers["w"].core.is_waiting_to_leave
    world.run(world.policy.lease - 2)
    assert "w" not in world.cut
    world.run(4)
    assert "w" in world.cut
