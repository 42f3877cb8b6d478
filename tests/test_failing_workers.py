"""A worker that fails what others finish is drained, and says so."""

import pytest

from brender.roles.policy import Policy
from brender.store.farm_page import attention
from tests.tools import command, let_commands_ask
from tests.world import World, animation, granted


def farm() -> World:
    """A farm with a worker ``bad`` and a worker ``good``; a job keeps off a worker that fails it once."""
    world = World(Policy(retry=0.1, retry_most=0.1, strikes=1))
    world.add_worker("bad")
    world.add_worker("good")
    return world


def row(world: World, name: str) -> dict:
    return next(each for each in world.ask("workers") if each["name"] == name)


def fail(world: World, times: int, **how: bool) -> None:
    """The worker ``bad`` fails so many tasks, one of each job, which ``good`` completes."""
    for _ in range(times):
        world.submit(animation("1-2"))
        world.run(1)
        world.end("bad", reason="no such add-on", **how)
        world.run(1)
        world.finish("good")
        world.run(1)
        world.finish("good")
        world.run(1)


def test_a_worker_that_fails_three_tasks_in_a_row_which_others_complete_is_drained() -> None:
    world = farm()
    fail(world, 2)
    assert row(world, "bad")["status"] != "error"
    fail(world, 1)
    told = row(world, "bad")
    assert told["status"] == "error" and told["reason"].endswith("`brender enable bad` lets it try again")
    assert told["reason"].startswith("drained, since it failed 3 tasks in a row that others then completed")
    world.submit(animation("1-20"))
    world.run(1)
    assert granted(world, "bad") == [] and granted(world, "good")
    assert any("is drained" in each["text"] for each in world.ask("activity"))
    (need,) = attention(world.record, 1_700_000_000.0 + world.now)
    assert (need["name"], need["action"]) == ("bad", "enable"), "the farm's page has a button for it"


def test_it_stays_so_when_the_server_is_started_again_until_somebody_enables_it() -> None:
    world = farm()
    fail(world, 2)
    world.start_server()
    world.run(20)
    fail(world, 1)
    world.start_server()
    world.run(20)
    assert row(world, "bad")["status"] == "error"
    world.act("enable", "bad")
    world.submit(animation("1-20"))
    world.run(1)
    assert granted(world, "bad")
    assert row(world, "bad")["failed_in_row"] == []


def test_a_frame_that_it_finishes_between_clears_it() -> None:
    world = farm()
    fail(world, 2)
    world.submit(animation("1-2"))
    world.finish("bad")
    world.finish_everything()
    fail(world, 1)
    assert row(world, "bad")["status"] != "error"


@pytest.mark.parametrize("permanent", [False, True])
def test_a_worker_that_lacks_what_some_jobs_need_gets_the_others(permanent: bool) -> None:
    world = farm()
    fail(world, 4, elsewhere=True, permanent=permanent)
    assert (row(world, "bad")["status"], row(world, "bad")["failed_in_row"]) == ("idle", [])
    world.submit(animation("1-20"))
    world.run(1)
    assert granted(world, "bad")


def test_what_fails_everywhere_drains_nobody() -> None:
    world = farm()
    for _ in range(4):
        world.submit(animation("1-2"))
        for _ in range(8):
            for name in ("bad", "good"):
                if world.workers[name].running is not None:
                    world.end(name, reason="the scene is broken")
            world.run(1)
    assert {row(world, name)["status"] for name in ("bad", "good")} == {"idle"}


def test_the_only_worker_that_takes_tasks_is_not_drained() -> None:
    world = farm()
    fail(world, 2)
    world.submit(animation("1-2"))
    world.run(1)
    world.end("bad", reason="no such add-on")
    world.run(1)
    world.act("disable", "good")
    world.finish("good")
    world.run(1)
    if world.workers["good"].running is not None:
        world.finish("good")
    assert row(world, "bad")["status"] != "error"


def test_a_worker_that_is_kept_off_for_one_failure_is_not_said_to_have_failed_in_a_row(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world = farm()
    world.submit(animation("1-4", name="shot"))
    world.end("bad", reason="nuke cannot be started", permanent=True, elsewhere=True)
    let_commands_ask(lambda message: world.ask(message.question, **message.arguments), monkeypatch)
    assert "bad, after 1 failure: nuke cannot be started" in command(capsys, "job", "shot").out
