"""Workers of a pool prefer its jobs and help others meanwhile; running tasks give way to rush jobs, and to a pool that takes its
workers back."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brender.model.giving_way import MOST_TIMES
from brender.model.job import JobSpec
from brender.model.job_standing import standing, waits_for_its_turn
from brender.model.sharing import Sharing
from brender.scheduling.preemption import Candidate, give_way
from brender.scheduling.roster import Roster
from tests.rosters import NEED, info, job
from tests.world import World, animation, granted


@pytest.fixture
def world() -> World:
    return World()


def shot(frames: str, sharing: Sharing | None = None, **more: object) -> JobSpec:
    return msgspec.structs.replace(animation(frames, chunk=1, **more), sharing=sharing or Sharing())


def log_of(world: World) -> list[str]:
    return [row["text"] for row in world.ask("activity")]


# --- pools ----------------------------------------------------------------------------------------------------------------


def test_a_worker_takes_the_jobs_of_its_pool_before_more_urgent_ones_of_others(world: World) -> None:
    world.submit(shot("1-9", priority=90))
    world.submit(shot("101-109", Sharing(pool="film"), priority=10))
    world.add_worker("ours", pool="film")
    world.add_worker("theirs", pool="series")
    assert min(granted(world, "ours")) > 100 and max(granted(world, "theirs")) < 100


def test_an_idle_worker_of_a_pool_helps_others_until_its_own_has_work_and_ends_its_frame_first(world: World) -> None:
    world.add_worker("a", pool="film")
    world.submit(shot("1-9", priority=90))
    assert granted(world, "a") == [1, 2]
    world.submit(shot("101-109", Sharing(pool="film")))
    world.run(1)
    assert granted(world, "a") == [1, 101], "what it had next is given back, and its frame is not"
    assert world.finish("a") == [1] and min(granted(world, "a")) > 100
    assert not world.server.dispatch.audit()


def test_others_help_a_pool_whose_workers_are_busy(world: World) -> None:
    for name in ("a", "b"):
        world.add_worker(name, pool="film" if name == "a" else "")
    world.submit(shot("1-9", Sharing(pool="film")))
    world.run(0.5)
    assert granted(world, "a") and granted(world, "b")


def test_a_pool_takes_its_worker_back_at_once_where_its_job_says_so(world: World) -> None:
    world.add_worker("a", pool="film")
    lent = world.submit(shot("1-9", priority=90, name="lent"))
    world.submit(shot("101-109", Sharing(pool="film", reclaim_at_once=True), name="own"))
    world.run(2)
    assert world.workers["a"].stopped
    world.end("a", stopped=True)
    world.run(1)
    assert min(granted(world, "a")) > 100
    assert world.server.farm.jobs[lent["id"]].failures == 0
    assert any("gave way to own, and is queued again" in text for text in log_of(world))


# --- rush -----------------------------------------------------------------------------------------------------------------


def test_the_task_that_has_done_least_gives_way_to_a_rush_job_and_has_not_failed(world: World) -> None:
    world.add_worker("old")
    ordinary = world.submit(shot("1-9", name="ordinary", priority=100))
    world.run(100)
    world.add_worker("new")
    world.run(5)
    world.submit(shot("101", Sharing(rush=True), name="urgent", priority=0))
    world.run(2)
    assert world.workers["new"].stopped and not world.workers["old"].stopped
    world.end("new", stopped=True)
    world.run(1)
    assert granted(world, "new")[0] == 101
    job = world.server.farm.jobs[ordinary["id"]]
    assert job.failures == 0 and not job.strikes and not any(task.failures for task in world.server.farm.tasks.values())
    assert not world.server.dispatch.audit()
    assert sorted(world.finish_everything()) == [*range(1, 10), 101]


def test_nothing_gives_way_where_a_worker_is_free_nor_to_what_is_no_rush(world: World) -> None:
    for name in ("a", "b"):
        world.add_worker(name)
    world.submit(shot("1", name="ordinary"))
    world.submit(shot("101", Sharing(rush=True), name="urgent"))
    world.submit(shot("201-203", priority=100, name="high"))
    world.run(3)
    assert not any(stub.stopped for stub in world.workers.values())


def test_a_task_that_gave_way_three_times_is_let_finish(world: World) -> None:
    world.add_worker("a")
    long, told = world.submit(shot("1", name="long", priority=10))["id"], list[str]()
    for _ in range(MOST_TIMES):
        world.run(3)
        world.submit(rush := shot("101", Sharing(rush=True), priority=100))
        world.run(3)
        world.end("a", stopped=True)
        world.run(3)
        told.append(standing(world.ask("job", id=long)).rpartition(". Its ")[2])
        world.finish("a")
        world.run(1)
        assert world.status(rush.id) == "completed"
    for times, said in enumerate(told, 1):
        assert said.startswith("frame 1 gave way to shot (") and f"{times} of at most {MOST_TIMES}" in said
    assert "gave way" not in standing(world.ask("job", id=long)), "it renders again"
    world.submit(shot("101", Sharing(rush=True), priority=100))
    world.run(3)
    assert len(world.workers["a"].stopped) == MOST_TIMES and world.finish_everything() == [1, 101]


def test_a_rush_job_gives_way_to_no_other(world: World) -> None:
    world.add_worker("a")
    world.submit(shot("1-3", Sharing(rush=True), name="first", priority=10))
    world.submit(shot("101", Sharing(rush=True), name="second", priority=100))
    world.run(3)
    assert not world.workers["a"].stopped


def test_a_worker_that_takes_its_own_pool_next_lets_nothing_give_way_to_a_rush_job_which_it_would_not_get(world: World) -> None:
    world.add_worker("a", pool="film")
    lent = world.submit(shot("1-3", name="lent"))
    world.submit(shot("101-102", Sharing(pool="film"), name="own"))
    rush = world.submit(shot("201", Sharing(rush=True), name="urgent"))
    world.run(3)
    assert granted(world, "a")[0] == 1 and not world.workers["a"].stopped, "frames of its pool come next"
    record = world.ask("job", id=rush["id"])
    assert "Workers of the pool film" in record["reason"] and f"`brender edit {rush['id'][:8]} --pool film`" in record["reason"]
    assert waits_for_its_turn(record)
    world.finish("a")
    world.run(3)
    assert granted(world, "a")[0] == 101 and not world.workers["a"].stopped
    for _ in range(2):
        world.finish("a")
        world.run(3)
    assert granted(world, "a")[0] == 201 and not any("gave way" in text for text in log_of(world))
    assert world.finish_everything() == [201, 2, 3]
    assert {world.status(each["id"]) for each in (lent, rush)} == {"completed"}


def test_a_worker_of_a_pool_that_has_no_work_lets_its_task_give_way_to_a_rush_job(world: World) -> None:
    world.add_worker("a", pool="film")
    world.submit(shot("1-3", name="lent"))
    world.run(1)
    world.submit(shot("201", Sharing(rush=True, pool="series"), name="urgent"))
    world.run(3)
    assert world.workers["a"].stopped
    world.end("a", stopped=True)
    world.run(1)
    assert granted(world, "a")[0] == 201


@given(
    st.lists(
        st.tuples(st.sampled_from(["low", "high", "rush", "pool"]), st.floats(0, 1e4), st.integers(0, 3), st.integers(0, 4)),
        max_size=12,
    ),
    st.booleans(),
    st.integers(0, 5),
)
def test_only_what_may_gives_way_and_never_more_than_is_wanted(
    running: list[tuple[str, float, int, int]], rush: bool, wanted: int
) -> None:
    roster = Roster(lambda worker: None)
    for number in range(4):
        roster.worker_changed(info(f"w{number}", pool="film" if number % 2 else ""), 1)
    own = msgspec.structs.replace(NEED, pool="film")
    demands = {
        "low": job("low", 1, 9, 10),
        "high": job("high", 1, 9, 100),
        "rush": job("rush", 1, 9, 151, rush=True),
        "pool": job("pool", 1, 9, 50, need=own),
    }
    mine = job("mine", 9, 0, 151 if rush else 50, need=own, rush=rush, reclaims=not rush)
    for demand in (*demands.values(), mine):
        roster.job_changed(demand)
    candidates = [
        Candidate(f"a{n}", name, f"w{at}", seconds, times=times) for n, (name, seconds, at, times) in enumerate(running)
    ]
    chosen = give_way(roster, roster.jobs["mine"], candidates, wanted)
    able = [each for each in candidates if each.times < MOST_TIMES]
    able = [each for each in able if each.job != "rush" and (rush or (each.job != "pool" and int(each.worker[1]) % 2))]
    assert all(each in able for each in chosen) and len(chosen) == min(wanted, len(able))
    assert [each.seconds for each in chosen] == sorted(each.seconds for each in able)[:wanted]
