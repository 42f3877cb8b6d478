"""When jobs will be done, as the record of a farm lets expect it, and how true that was."""

from dataclasses import replace

import msgspec
import pytest

from brender.farm.jobs import FORESEEN_AT
from brender.model.job import After
from brender.model.prospect import Prospect
from brender.scheduling.pace import Measured, Pace
from brender.store.outlook import Outlook, expected_of
from tests.world import World, animation

#: The time of the record when a world begins.
WALL = 1_700_000_000.0


def _prospect(world: World) -> Prospect:
    return Outlook(lambda: world.now, lambda: WALL + world.now).of(world.record)


def _farm(*speeds: float) -> World:
    """A farm whose workers take ten seconds for a frame, divided by their speed."""
    world = World()
    for number in range(len(speeds)):
        world.add_worker(f"w{number}")
    return world


def _render(world: World, speeds: tuple[float, ...], rounds: int) -> None:
    """Let each worker finish what it can in so many rounds of ten seconds."""
    for _ in range(rounds):
        for number, speed in enumerate(speeds):
            for _ in range(max(1, round(speed))):
                if world.workers[f"w{number}"].running is not None:
                    world.finish(f"w{number}", seconds=10.0 / speed)


def test_a_job_is_expected_by_its_own_frames_and_by_how_fast_each_worker_is() -> None:
    speeds = (4.0, 1.0)
    world = _farm(*speeds)
    job = world.submit(animation("1-100", chunk=1))["id"]
    _render(world, speeds, 4)
    record = world.ask("job", id=job)
    left = record["part_count"] - record["completed_parts"]
    expected = _prospect(world).jobs[job]
    assert expected.seconds == pytest.approx(left * 10 / 5, rel=0.2)
    assert expected.least < expected.seconds < expected.most


def test_a_job_that_waits_behind_a_more_urgent_one_is_expected_after_it() -> None:
    world = _farm(1.0, 1.0)
    urgent = world.submit(animation("1-20", chunk=1, priority=80))["id"]
    _render(world, (1.0, 1.0), 2)
    later = world.submit(animation("1-20", chunk=1))["id"]
    found = _prospect(world)
    assert later not in found.jobs and found.unknown == 1, "nobody knows what its frames take"
    world.act("priority", urgent, 10)
    world.run(1.0)
    _render(world, (1.0, 1.0), 4)
    world.act("priority", urgent, 90)
    world.run(1.0)
    found = _prospect(world)
    assert found.jobs[later].seconds > found.jobs[urgent].seconds > 0 and found.unknown == 0
    assert found.last() == found.jobs[later]


def test_a_job_that_waits_for_another_or_for_a_time_is_expected_after_it() -> None:
    world = _farm(1.0)
    first = world.submit(animation("1-20", chunk=1))["id"]
    later = world.submit(msgspec.structs.replace(animation("1-20", chunk=1), after=(After(job=first),)))["id"]
    at = world.submit(msgspec.structs.replace(animation("1-20", chunk=1), start_at=WALL + world.now + 10_000.0))["id"]
    _render(world, (1.0,), 3)
    for job in (later, at):
        world.act("priority", job, 90)
    world.run(1.0)
    pace = Pace()
    pace.learn(Measured(job, "w", 10.0) for job in (later, at))
    found = Outlook(lambda: world.now, lambda: WALL + world.now, pace).of(world.record).jobs
    assert found[later].seconds == pytest.approx(found[first].seconds + 200, rel=0.1)
    assert found[at].seconds == pytest.approx(10_200, rel=0.1)


def test_an_answer_counts_for_a_while_and_only_what_was_done_since_is_read_again() -> None:
    world, speeds = _farm(1.0), (1.0,)
    outlook = Outlook(lambda: world.now, lambda: WALL + world.now)
    job = world.submit(animation("1-100", chunk=1))["id"]
    _render(world, speeds, 10)
    before = outlook.of(world.record)
    _render(world, speeds, 10)
    assert outlook.of(world.record) is before
    world.now += 60.0
    assert outlook.of(world.record).jobs[job].seconds == pytest.approx(before.jobs[job].seconds * 80 / 90, rel=0.1)


def test_it_is_kept_what_was_expected_when_shares_of_a_job_were_done() -> None:
    world, speeds = _farm(1.0), (1.0,)
    job = world.submit(animation("1-20", chunk=1))["id"]
    outlook = Outlook(lambda: world.now, lambda: WALL + world.now)
    for _ in range(20):
        _render(world, speeds, 1)
        world.now += 10.0
        due = list(world.server.farm.to_foresee)
        world.server.farm.to_foresee.clear()
        expected = expected_of(replace(world.record, outlook=outlook), due)
        world.round.apply(lambda core, now, expected=expected: core.foreseen(expected, now))
        world.round.settle()
    record = world.ask("job", id=job)
    assert [each["share"] for each in record["estimates"]] == list(FORESEEN_AT)
    assert record["status"] == "completed"
    world.start_server()
    assert world.ask("job", id=job)["estimates"] == record["estimates"]
