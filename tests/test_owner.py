"""A worker steps back for its machine's owner, gives back what it runs, says until when, and goes on by itself."""

import time
from pathlib import Path

import pytest

from brender.engines.owner import OwnerWatch, Use, use_by
from brender.model.nodes import GIVEN_BACK, OWNERS_USE
from brender.store.datafolder import DataFolder
from brender.system.pause import Pause, read_pause, write_pause
from tests.test_leases import restart_manager
from tests.tools import command
from tests.world import World, animation

REASON = f"{GIVEN_BACK}18:00"


@pytest.fixture
def world() -> World:
    made = World()
    made.add_worker("one")
    made.submit(animation("1-3", id="aa" * 8))
    made.run(0.5)
    return made


def step_back(world: World, reason: str, at_once: bool) -> None:
    world._work("one", world.workers["one"].core.owner_uses(reason, at_once, world._at()))
    world.run(1.0)


def stands(world: World) -> tuple[str, str]:
    (row,) = world.ask("workers")
    return row["status"], row["reason"]


def test_what_runs_is_finished_and_nothing_new_begun_until_the_owner_is_done(world: World) -> None:
    step_back(world, REASON, at_once=False)
    assert stands(world) == ("paused", REASON)
    world.finish("one")
    world.run(5.0)
    assert world.workers["one"].running is None
    step_back(world, "", at_once=False)
    world.run(2.0)
    assert world.workers["one"].running is not None and stands(world)[0] == "busy"
    said = [row["text"] for row in world.ask("activity") if row["action"] == "pause-here"]
    assert said == ["the worker one goes on: its owner's pause is over", f"the worker one pauses: {REASON}"]


def test_what_runs_is_given_back_at_once_and_is_no_failure(world: World) -> None:
    world.add_worker("two")
    step_back(world, REASON, at_once=True)
    world.end("one", stopped=True)
    world.run(2.0)
    assert world.workers["one"].running is None
    world.finish_everything()
    assert world.status("aa" * 8) == "completed"
    assert world.ask("accounts", since="all")["total"]["failures"] == 0


def test_a_job_says_that_it_waits_for_the_owner_s_machine(world: World) -> None:
    step_back(world, REASON, at_once=True)
    world.end("one", stopped=True)
    world.run(2.0)
    assert REASON in world.ask("job", id="aa" * 8)["reason"]


def test_another_time_is_shown_at_once(world: World) -> None:
    step_back(world, REASON, at_once=False)
    step_back(world, f"{GIVEN_BACK}20:00", at_once=False)
    assert stands(world)[1].endswith("20:00")


def test_a_server_that_starts_again_does_not_say_again_that_a_worker_pauses(world: World) -> None:
    step_back(world, REASON, at_once=False)
    world.run(1.0)
    world.start_server()
    world.run(5.0)
    assert stands(world) == ("paused", REASON)
    step_back(world, "", at_once=False)
    world.run(2.0)
    said = [row["text"] for row in world.ask("activity") if row["action"] == "pause-here"]
    assert said == ["the worker one goes on: its owner's pause is over", f"the worker one pauses: {REASON}"]


def test_a_manager_that_starts_again_does_not_say_that_the_pause_of_a_worker_on_its_way_to_it_is_over(world: World) -> None:
    step_back(world, REASON, at_once=False)
    world.finish("one")
    tries = len(world.ask("attempts", job="aa" * 8))
    world.cut.add("one")
    restart_manager(world)
    world.run(3.0)
    assert stands(world) == ("paused", REASON)
    world.cut.clear()
    world.run(5.0)
    assert stands(world) == ("paused", REASON)
    assert [row["action"] for row in world.ask("activity")].count("pause-here") == 1
    assert len(world.ask("attempts", job="aa" * 8)) == tries, "it is given nothing meanwhile"


def test_a_pause_ends_by_itself_and_a_broken_file_is_none(tmp_path: Path) -> None:
    write_pause(tmp_path, Pause(100.0, True))
    assert read_pause(tmp_path, 99.0) == Pause(100.0, True) and read_pause(tmp_path, 100.0) is None
    for text in ("", "[]", '{"until": "x", "at_once": 1}', "{"):
        (tmp_path / "pause.json").write_text(text)
        assert read_pause(tmp_path, 0.0) is None
    write_pause(tmp_path, None)
    write_pause(tmp_path, None)
    assert read_pause(tmp_path, 0.0) is None


def test_the_command_pauses_the_workers_of_the_data_folder(folder: DataFolder, capsys: pytest.CaptureFixture[str]) -> None:
    at = ("--data", folder.root)
    assert "No worker was ever started" in command(capsys, "pause-here", *at).err
    folder.make().worker("one").mkdir(parents=True)
    assert "at once, until" in command(capsys, "pause-here", "2", *at).out
    pause = read_pause(folder.root, time.time())
    assert pause is not None and pause.at_once and 7100 < pause.until - time.time() <= 7200
    assert "after what they render" in command(capsys, "pause-here", "--after-frame", *at).out
    assert "go on" in command(capsys, "pause-here", "--end", *at).out and read_pause(folder.root, 0.0) is None
    assert command(capsys, "pause-here", "--end", "--after-frame", *at).code == 2


class Somebody:
    """Somebody at a machine: their input's age (``None``: not known), their programs' load, the time."""

    def __init__(self) -> None:
        self.idle: float | None = None
        self.load, self.now = 0.0, 1000.0
        self.watch = OwnerWatch(60.0, lambda: self.idle, lambda: self.load, lambda: self.now)

    def after(self, seconds: float, **seen: float | None) -> bool:
        self.now += seconds
        for name, value in seen.items():
            setattr(self, name, value)
        self.watch.look()
        return self.watch.is_in_use


def test_input_means_that_somebody_works_until_a_while_after_the_last() -> None:
    somebody = Somebody()
    assert not somebody.after(0, idle=500.0)
    assert somebody.after(5, idle=1.0) and somebody.after(50, idle=51.0)
    assert not somebody.after(15, idle=66.0)
    assert not somebody.after(5, idle=400.0, load=1.0), "a seat that tells says more than the load"


def test_where_no_input_is_known_others_load_counts_once_it_lasts() -> None:
    somebody = Somebody()
    assert [somebody.after(5, load=0.9) for _ in range(3)] == [False, False, True]
    assert somebody.after(30, load=0.0) and not somebody.after(61)
    assert not somebody.after(5, load=0.9)


def test_a_pause_says_until_when_and_comes_before_what_is_seen() -> None:
    until = time.time() + 10 * 86_400
    use = use_by(Pause(until, False), True)
    assert use is not None and use.reason.startswith(f"{GIVEN_BACK}20") and not use.at_once
    assert use_by(None, True) == Use(f"{OWNERS_USE} now", True) and use_by(None, False) is None
