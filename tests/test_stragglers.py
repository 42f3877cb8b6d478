"""An idle worker repeats what holds up a job that has nothing else left to give; whoever finishes first has finished it."""

from collections.abc import Callable, Collection

import msgspec
import pytest

from brender.scheduling.roster import Roster
from brender.scheduling.stragglers import Running, idle_worker, repeats
from tests.rosters import NEED, info, job
from tests.world import World, animation, granted


def running(attempt: str, seconds: float, expected: float = 10.0, worker: str = "slow") -> Running:
    return Running(attempt, "job", worker, seconds, expected)


def helper(*idle: str) -> Callable[[str, Collection[str]], str | None]:
    """The first of the *idle* workers that may help; each could run anything."""
    return lambda job, others_than: next((worker for worker in idle if worker not in others_than), None)


def test_the_most_overdue_is_repeated_first_and_never_by_its_own_worker() -> None:
    slow = [running("a", 30), running("b", 60), running("c", 90, worker="idle")]
    assert repeats(slow, helper("idle", "other")) == [("c", "other"), ("b", "idle")]


def test_what_is_on_time_or_could_not_run_there_is_not_repeated() -> None:
    assert repeats([running("a", 19)], helper("idle")) == []
    assert repeats([running("a", 90)], helper()) == []


def test_a_short_task_is_given_some_seconds_more() -> None:
    assert repeats([running("a", 4.0, expected=0.5)], helper("idle")) == []


def test_a_task_is_overdue_after_twice_its_time_and_no_worker_repeats_two() -> None:
    assert repeats([running("a", 20.0), running("b", 15.0, 10.0)], helper("idle")) == []
    assert repeats([running("a", 20.1), running("b", 50.0)], helper("idle")) == [("b", "idle")]
    only_second: Callable[[str, Collection[str]], str | None] = lambda job, others: None if "first" in others else "idle"  # noqa: E731
    assert repeats([running("a", 90.0, worker="first"), running("b", 50.0)], only_second) == [("b", "idle")]
    assert repeats([running("a", 5.5, 0.5), running("b", 5.6, 0.5)], helper("one", "two")) == [("b", "one")]


def test_who_repeats_is_idle_and_could_run_it() -> None:
    gpu = msgspec.structs.replace(NEED, tags=frozenset({"gpu"}))
    roster = Roster(lambda worker: 5)
    roster.worker_changed(info("gpu", tags={"gpu"}), 0)
    roster.worker_changed(info("busy"), 1)
    for demand in (
        job("any", 0, 1),
        job("gpu", 0, 1, need=gpu),
        job("large", 0, 1, memory=6),
        job("off", 0, 1, kept_off={"gpu"}),
    ):
        roster.job_changed(demand)
    roster.catch_up(1000)
    assert idle_worker(roster, "any", ()) == "gpu" == idle_worker(roster, "gpu", {"busy"})
    found = [idle_worker(roster, name, others) for name, others in (("any", {"gpu"}), ("large", ()), ("off", ()), ("none", ()))]
    assert found == [None] * 4
    roster.worker_changed(info("plain"), 0)
    assert idle_worker(roster, "off", ()) == "plain" == idle_worker(roster, "any", {"gpu"})
    for name in ("gpu", "plain"):
        roster.block(roster.workers[name])
    assert idle_worker(roster, "any", {"plain"}) == "gpu" and idle_worker(roster, "any", {"gpu"}) == "plain"


@pytest.fixture
def world() -> World:
    """Two workers; of the job's four frames three are done, and one is slow, at worker "one"."""
    farm = World()
    farm.add_worker("one")
    farm.add_worker("two")
    spec = animation("1-4", chunk=1, id="0" * 15 + "1")
    farm.submit(spec)
    for _ in range(3):
        farm.finish("two")
        farm.run(0.5)
    return farm


JOB = "0" * 15 + "1"


def outcomes(world: World) -> list[str]:
    """How its attempts ended, but for grants that were asked back before they began."""
    found = sorted(attempt["outcome"] for attempt in world.ask("attempts", job=JOB))
    return [outcome for outcome in found if outcome != "recalled"]


def test_an_idle_worker_repeats_the_slow_frame(world: World) -> None:
    assert granted(world, "one") == [1] and granted(world, "two") == []
    world.run(10)
    assert granted(world, "two") == [1]
    helper = world.workers["two"].running
    assert helper is not None and helper.repeats


def test_a_slow_task_of_which_every_frame_has_come_is_not_repeated(world: World) -> None:
    world.finish_part("one")
    world.run(10)
    assert outcomes(world).count("live") == 1, "only its end is to be said"


def test_the_first_to_finish_wins_and_the_other_is_superseded(world: World) -> None:
    world.run(10)
    world.finish("two")
    assert world.status(JOB) == "completed"
    assert world.ask("job", id=JOB)["completed_parts"] == 4
    world.end("one", "stopped", stopped=True)
    assert outcomes(world) == ["completed"] * 4 + ["superseded"]


def test_the_slow_one_may_still_be_first(world: World) -> None:
    world.run(10)
    world.finish("one")
    assert world.status(JOB) == "completed"
    world.end("two", "stopped", stopped=True)
    assert outcomes(world) == ["completed"] * 4 + ["superseded"]


@pytest.mark.parametrize("fails", ["one", "two"])
def test_one_that_fails_leaves_the_other_at_work(world: World, fails: str) -> None:
    world.run(10)
    world.end(fails, "chance")
    world.run(5)
    other = {"one": "two", "two": "one"}[fails]
    assert granted(world, other) == [1] and granted(world, fails) == []
    world.finish(other)
    assert world.status(JOB) == "completed"


def test_a_frame_is_repeated_once_at_most(world: World) -> None:
    world.run(10)
    world.end("two", "chance")
    world.run(60)
    assert granted(world, "two") == []


def test_a_worker_that_is_lost_leaves_the_other_at_work(world: World) -> None:
    world.run(10)
    world.cut.add("one")
    world.run(world.policy.lease * 2)
    assert granted(world, "two") == [1]
    world.finish("two")
    assert world.status(JOB) == "completed"


def test_a_server_that_starts_anew_knows_both(world: World) -> None:
    world.run(10)
    world.start_server()
    world.run(2)
    assert len(next(iter(world.server.farm.tasks.values())).attempts) == 2
    world.finish("two")
    assert world.status(JOB) == "completed"


def test_a_job_that_is_canceled_stops_both(world: World) -> None:
    world.run(10)
    world.act("cancel", JOB)
    world.end("one", "stopped", stopped=True)
    world.end("two", "stopped", stopped=True)
    assert outcomes(world) == ["canceled", "canceled", "completed", "completed", "completed"]
    assert world.server.farm.attempts == {} and JOB not in world.server.farm.jobs
