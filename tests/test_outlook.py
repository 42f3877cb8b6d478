"""When jobs will be done, as the record of a farm lets expect it, and how true that was."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from brender.bus.messages import Manage
from brender.commands.time_left import time_left
from brender.farm.jobs import FORESEEN_AT
from brender.model.job import After, JobSpec
from brender.model.prospect import Prospect
from brender.model.sharing import Sharing
from brender.model.spans import longer_in_words
from brender.scheduling.pace import Measured, Pace
from brender.store.farm_page import overview
from brender.store.outlook import Outlook, expected_of
from brender.store.questions import job as job_now
from brender.store.questions import projects
from tests.test_limits_and_leaving import put_off
from tests.world import World, animation, facts, new_id

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


def _progressive(refine: str, passes: int) -> JobSpec:
    spec = animation("1-8")
    how = spec.settings | {"refine": refine, "passes": passes}
    return msgspec.structs.replace(spec, job_type="blender-progressive", settings=how, facts=facts(unshared="", samples=64))


@pytest.mark.parametrize(("refine", "passes", "later"), [("doubling", 4, (1, 2, 4)), ("draft", 8, (8,))])
def test_later_passes_over_the_frames_are_expected_to_take_as_much_longer_as_they_have_more_samples(
    refine: str, passes: int, later: tuple[int, ...]
) -> None:
    world = _farm(1.0)
    job = world.submit(_progressive(refine, passes))["id"]
    _render(world, (1.0,), 8)
    assert _left(world, job) == 8 * len(later)
    expected = _prospect(world).jobs[job]
    assert expected.seconds == pytest.approx(8 * 10 * sum(later), rel=0.05)
    _render(world, (1.0 / later[0],), 8)
    if more := later[1:]:
        assert _prospect(world).jobs[job].seconds == pytest.approx(8 * 10 * sum(more), rel=0.05)


def test_a_worker_that_is_at_a_later_pass_is_not_taken_for_a_slow_one() -> None:
    world, pace = _farm(1.0, 1.0), Pace()
    world.submit(_progressive("draft", 8))
    _render(world, (1.0, 1.0), 4)
    world.run(75.0)
    Outlook(lambda: world.now, lambda: WALL + world.now, pace).of(world.record)
    assert [pace.speed(stub.core.info.id) for stub in world.workers.values()] == pytest.approx([1.0, 1.0], rel=0.1)


def test_a_still_in_pieces_is_expected_by_those_that_are_done() -> None:
    world = _farm(1.0)
    spec = animation()
    how = {"file": spec.settings["file"], "frame": 1, "pieces": 8}
    job = world.submit(msgspec.structs.replace(spec, job_type="blender-still", settings=how, facts=facts(samples=64)))["id"]
    _render(world, (1.0,), 4)
    assert _left(world, job) == 5
    assert _prospect(world).jobs[job].seconds == pytest.approx(5 * 10, rel=0.2)


def test_a_job_whose_tasks_reserve_cores_is_expected_by_how_many_its_machine_has_room_for() -> None:
    world = World()
    for name in ("a", "b", "c"):
        world.add_worker(name, cores=8)
    job = world.submit(animation("1-40", chunk=1, sharing=Sharing(cores=4)))["id"]
    assert sum(stub.running is not None for stub in world.workers.values()) == 2
    _finish(world, 4)
    assert _prospect(world).jobs[job].seconds == pytest.approx(_left(world, job) * 10 / 2, rel=0.2)


def test_a_job_that_needs_licences_is_expected_by_how_many_there_are() -> None:
    world = _farm(1.0, 1.0, 1.0)
    world.request(Manage(id=new_id(), what="set-limit", arguments={"kind": "licence", "name": "nuke", "most": 1}))
    job = world.submit(animation("1-40", chunk=1, sharing=Sharing(licences=("nuke",))))["id"]
    _finish(world, 4)
    assert _prospect(world).jobs[job].seconds == pytest.approx(_left(world, job) * 10, rel=0.2)


def test_where_the_forecast_ends_early_a_job_and_its_project_are_said_to_take_longer_and_the_farm_s_end_is_not_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = _farm(1.0)
    soon = world.submit(animation("1-6", chunk=1, priority=80))["id"]
    later = world.submit(animation("1-900", chunk=1))["id"]
    _finish(world, 3)
    pace = Pace()
    pace.learn([Measured(later, "w", 10.0)])
    monkeypatch.setattr("brender.scheduling.forecast._STEPS_MOST", 10)
    record = replace(world.record, outlook=Outlook(lambda: world.now, lambda: WALL + world.now, pace))
    row = job_now(record, later)
    assert row["eta_seconds"] is None and row["eta_least"] > job_now(record, soon)["eta_seconds"] > 0
    assert row["eta_words"] == longer_in_words(row["eta_least"]) and row["eta_words"] in time_left(row)
    (project,) = projects(record)
    assert project["eta_words"] == row["eta_words"] and project["eta_unknown"] == 0
    told = overview(record, WALL)
    assert (told["left_seconds"], told["left_words"], told["left_unknown"]) == (None, row["eta_words"], 0)


def _finish(world: World, times: int) -> None:
    """Let all workers finish what they have so many times, in ten seconds a frame."""
    for _ in range(times):
        for name in [name for name, stub in world.workers.items() if stub.running is not None]:
            world.finish(name, seconds=10.0)


def _left(world: World, job: str) -> int:
    record = world.ask("job", id=job)
    return record["part_count"] - record["completed_parts"]


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


def test_a_worker_that_is_kept_off_a_job_is_not_expected_to_render_it() -> None:
    world = _farm(1.0, 1.0, 1.0, 1.0)
    job = world.submit(animation("1-100", chunk=1))["id"]
    for name in ("w1", "w2", "w3"):
        world.end(name, reason="The GPU is not there", elsewhere=True)
    for _ in range(5):
        world.finish("w0", seconds=10.0)
    assert len(world.ask("job", id=job)["kept_off"]) == 3 and _left(world, job) == 95
    assert _prospect(world).jobs[job].seconds == pytest.approx(950, rel=0.1)
    world.act("readmit", job)
    world.run(1.0)
    assert _prospect(world).jobs[job].seconds == pytest.approx(240, rel=0.1)


def test_a_worker_that_cannot_use_a_job_s_folders_now_is_not_expected_to_render_it_until_it_tries_again() -> None:
    world = _farm(1.0, 1.0)
    job = world.submit(animation("1-40", chunk=1))["id"]
    _finish(world, 2)
    put_off(world, "w1", "No room on the disk of /renders/shot")
    alone = world.policy.put_off / 10  # frames that the other renders meanwhile
    assert _prospect(world).jobs[job].seconds == pytest.approx((alone + (_left(world, job) - alone) / 2) * 10, rel=0.1)
    put_off(world, "w0", "No room on the disk of /renders/shot")
    assert _prospect(world).jobs[job].seconds == pytest.approx(world.policy.put_off + _left(world, job) * 10 / 2, rel=0.1)
    assert world.ask("job", id=job)["kept_off"] == []
    world.run(world.policy.put_off + 1.0)
    assert world.workers["w0"].running is not None
    assert _prospect(world).jobs[job].seconds == pytest.approx(_left(world, job) * 10 / 2, rel=0.2)


def _behind(world: World, first: str, **how: Any) -> str:
    return world.submit(msgspec.structs.replace(animation("1-20", chunk=1), after=(After(job=first, **how),)))["id"]


@pytest.mark.parametrize("by_frame", [False, True])
def test_what_waits_for_a_job_that_is_paused_has_gone_or_comes_later_than_is_looked_is_expected_at_no_time(
    by_frame: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, pace = _farm(1.0), Pace()
    first = world.submit(animation("1-20", chunk=1))["id"]
    _finish(world, 3)
    second = _behind(world, first, by_frame=by_frame)
    third = _behind(world, second)
    pace.learn(Measured(job, "w", 10.0) for job in (second, third))

    def found() -> Prospect:
        return Outlook(lambda: world.now, lambda: WALL + world.now, pace).of(world.record)

    assert found().jobs[first].seconds < found().jobs[second].seconds < found().jobs[third].seconds
    world.act("priority", first, 10)
    world.run(1.0)
    with monkeypatch.context() as only:
        only.setattr("brender.store.outlook._JOBS_MOST", 2)
        assert not found().jobs and found().unknown == 3
    world.act("pause", first)
    world.run(1.0)
    assert by_frame or "which is paused" in world.ask("job", id=second)["reason"]
    assert not found().jobs and found().unknown == 2
    row = job_now(replace(world.record, outlook=Outlook(lambda: world.now, lambda: WALL + world.now, pace)), second)
    assert row["eta_seconds"] is None and row["eta_words"] == ""
    world.act("cancel", first)
    world.run(1.0)
    assert not found().jobs, "what was canceled is never done"


def test_behind_a_job_of_which_nobody_knows_how_long_it_takes_no_time_is_told_but_a_bound() -> None:
    world, pace = _farm(1.0, 1.0), Pace()
    unknown = world.submit(animation("1-20", chunk=1, priority=90))["id"]
    behind = world.submit(animation("1-20", chunk=1))["id"]
    after = _behind(world, unknown)
    pace.learn(Measured(job, "w", 10.0) for job in (behind, after))
    record = replace(world.record, outlook=Outlook(lambda: world.now, lambda: WALL + world.now, pace))
    assert job_now(record, unknown)["eta_words"] == ""
    for job in (behind, after):
        row = job_now(record, job)
        assert row["eta_seconds"] is None and row["eta_words"] == longer_in_words(row["eta_least"])
        assert 50 < row["eta_least"] <= 220, "what it takes by itself, or beside the other of which the time is known"


def test_a_job_that_is_rendered_again_is_expected_by_what_its_frames_take_and_not_by_what_it_took_in_all() -> None:
    world = _farm(1.0)
    job = world.submit(animation("1-10", chunk=1))["id"]
    for done in range(12):  # (an attempt takes a second)
        if done == 10:
            world.act("requeue", job, "all")
            world.run(2.0)
        world.finish("w0", seconds=0.8)
    assert _prospect(world).jobs[job].seconds == pytest.approx(8.0, rel=0.15)


def test_a_job_whose_limit_is_lowered_to_nothing_is_expected_at_no_time() -> None:
    world = _farm(1.0, 1.0)
    limit = {"kind": "licence", "name": "nuke"}
    world.request(Manage(id=new_id(), what="set-limit", arguments=limit | {"most": 2}))
    job = world.submit(animation("1-100", chunk=1, sharing=Sharing(licences=("nuke",))))["id"]
    _finish(world, 2)
    world.request(Manage(id=new_id(), what="set-limit", arguments=limit | {"most": 0}))
    record = replace(world.record, outlook=Outlook(lambda: world.now, lambda: WALL + world.now))
    assert len(job_now(record, job)["rendering"]) == 2
    assert (job_now(record, job)["eta_seconds"], job_now(record, job)["eta_words"]) == (None, "")


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
