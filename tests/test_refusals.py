"""Workers in a row that cannot begin a job: on a large farm the others are not asked one after the other."""

import pytest

from brender.model.answers import WHY_WORKER
from brender.roles.policy import Policy
from tests.test_limits_and_leaving import put_off
from tests.world import World, animation

LACKS = "nuke cannot be started"
AWAY = "The output folder /mnt/show cannot be made: No such file or directory"
NAMES = "abcdefghij"


@pytest.fixture
def world() -> World:
    """A farm of ten workers that are busy, but for the one that `free` lets go. It asks five of them about a program."""
    made = World(Policy(lacking=5))
    for name in NAMES:
        made.add_worker(name)
    made.submit(animation(f"1-{2 * len(NAMES)}", name="busy", priority=90))
    made.run(1)
    return made


def free(world: World, name: str, job: str) -> bool:
    """Let *name* finish what it renders of others; return whether it begins *job* then."""
    while world.workers[name].running is not None and world.workers[name].running.job != job:
        world.finish(name)
        world.run(1)
    return world.workers[name].running is not None


def ask_one_after_the_other(world: World, job: str, names: str) -> None:
    """Let each of *names* become free, and lack the program of *job* where it begins that."""
    for name in names:
        if free(world, name, job):
            world.end(name, reason=LACKS, permanent=True, elsewhere=True)
            world.run(1)


def put_off_by_all() -> tuple[World, str]:
    """A farm of ten workers that had nothing else to do, and a job whose folder none of them could use."""
    world = World()
    for name in NAMES:
        world.add_worker(name)
    job = world.submit(animation("1-100"))["id"]
    world.run(1)
    for name in NAMES:
        put_off(world, name, AWAY)
    return world, job


def at_work(world: World) -> list[str]:
    return [name for name in NAMES if world.workers[name].running is not None]


def why_idle(world: World, name: str) -> str:
    return world.server.dispatch.why(WHY_WORKER, world.workers[name].core.info.id)


def tries(world: World, job: str) -> int:
    return sum(row["outcome"] == "failed" for row in world.ask("attempts", job=job))


def test_a_program_that_five_machines_in_a_row_lack_ends_the_job_and_a_requeue_asks_the_others(world: World) -> None:
    job = world.submit(animation("1-100"))["id"]
    ask_one_after_the_other(world, job, NAMES[:7])
    record = world.ask("job", id=job)
    assert record["status"] == "failed" and tries(world, job) == 5
    assert record["reason"].startswith(f"{LACKS}. 5 workers in a row have said so") and f"requeue {job[:8]}`" in record["reason"]
    world.act("requeue", job)
    world.run(2)
    ask_one_after_the_other(world, job, NAMES[5:])
    record = world.ask("job", id=job)
    assert record["status"] == "failed" and ". No other worker could run it: " in record["reason"]
    assert tries(world, job) == len(NAMES)
    assert world.server.dispatch.audit() == []


def test_a_job_that_one_machine_renders_is_not_given_up_and_the_others_are_asked_meanwhile(world: World) -> None:
    job = world.submit(animation("1-100"))["id"]
    assert free(world, "j", job)
    ask_one_after_the_other(world, job, NAMES[:7])
    assert world.status(job) == "active" and tries(world, job) == 7
    assert all(free(world, name, job) for name in "hi")


def test_machines_that_cannot_use_a_folder_now_are_not_counted_among_those_that_lack_a_program(world: World) -> None:
    job = world.submit(animation("1-100"))["id"]
    for name in NAMES[:4]:
        assert free(world, name, job)
        put_off(world, name, AWAY)
    ask_one_after_the_other(world, job, NAMES[4:6])
    assert world.status(job) not in ("failed", "completed") and tries(world, job) == 2
    assert free(world, "g", job)


def test_a_folder_that_five_machines_in_a_row_cannot_use_is_tried_by_one_at_a_time_until_one_can() -> None:
    world, job = put_off_by_all()
    world.run(5)
    assert world.ask("job", id=job)["reason"].startswith(f"10 workers in a row could not run it ({AWAY}). ")
    assert f"10 workers in a row could not run it ({AWAY}). " in why_idle(world, "b")
    world.run(50)
    assert at_work(world) == []
    world.run(15)
    (name,) = at_work(world)  # a minute after the first, though ten have said so
    said = f"10 workers in a row could not run it ({AWAY}). "
    assert said in world.ask("job", id=job)["reason"] and said in world.ask("why", job=job, frame=100)
    assert said in why_idle(world, "j") and "--most-workers" not in why_idle(world, "j"), "nobody asked for that"
    put_off(world, name, AWAY)
    for rest in (120, 240):
        world.run(rest + 5)
        (name,) = at_work(world)
        put_off(world, name, AWAY)
    assert world.server.dispatch.audit() == []
    world.run(485)
    (name,) = at_work(world)
    world.finish(name)
    world.run(1)
    assert at_work(world) == list(NAMES), "all go on once one frame is there"
    assert world.ask("job", id=job)["reason"] == ""
    assert sorted(world.finish_everything())[-1] == 100 and world.status(job) == "completed"


def test_a_job_whose_program_shows_no_progress_goes_to_all_once_one_has_run_it_for_a_minute() -> None:
    world, _ = put_off_by_all()
    world.run(65)
    assert len(at_work(world)) == 1
    world.run(65)
    assert at_work(world) == list(NAMES)
    assert world.server.dispatch.audit() == []


@pytest.mark.parametrize("seconds", [0, 65])
def test_a_job_that_rests_or_that_one_tries_after_that_is_tried_by_all_at_once_where_somebody_says_so(seconds: float) -> None:
    world, job = put_off_by_all()
    world.run(seconds)
    assert world.act("readmit", job)["id"] == job
    world.run(2)
    assert all(world.workers[name].running is not None for name in NAMES)
