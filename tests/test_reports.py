"""What the server makes of reports: in their order, each once, and all that they say."""

import pytest

from brender.bus.messages import Completed, PartDone, Warned
from tests.world import World, animation


@pytest.fixture
def world() -> World:
    """A farm of one worker, which renders one job of three frames in one task."""
    world = World()
    world.add_worker("one")
    world.submit(animation("1-3", chunk=3, id="aa" * 8))
    world.run(0.5)
    return world


def done(world: World, number: int, place: int, **said: object) -> PartDone:
    """Report *number* of the running attempt: that the part at *place* of its parts is done."""
    running = world.workers["one"].running
    assert running is not None
    part = running.parts[place]
    return PartDone(attempt=running.attempt, number=number, part=part.id, seconds=1.0, output=part.output, size=10, **said)  # type: ignore[arg-type]


def frames(world: World) -> dict[int, str]:
    return {row["frame"]: row["status"] for row in world.ask("parts", job="aa" * 8)}


def test_a_report_that_comes_after_a_gap_is_left_until_the_ones_before_it_have_come(world: World) -> None:
    world.report("one", done(world, 3, 1))
    assert frames(world) == {1: "active", 2: "active", 3: "active"}
    world.report("one", done(world, 2, 0), done(world, 3, 1))
    assert frames(world) == {1: "completed", 2: "completed", 3: "active"}


def test_the_end_of_an_attempt_is_left_until_all_its_frames_have_come(world: World) -> None:
    running = world.workers["one"].running
    assert running is not None
    end = Completed(attempt=running.attempt, number=5, seconds=3.0)
    world.report("one", end)
    assert [row["outcome"] for row in world.ask("attempts", job="aa" * 8)] == ["live"]
    world.report("one", done(world, 2, 0), done(world, 3, 1), done(world, 4, 2), end)
    assert (world.status("aa" * 8), set(frames(world).values())) == ("completed", {"completed"})


def test_a_report_that_comes_twice_counts_once(world: World) -> None:
    said = done(world, 2, 0)
    world.report("one", said, said)
    world.report("one", said)
    record = world.ask("job", id="aa" * 8)
    assert (record["completed_parts"], record["render_seconds"]) == (1, 1.0)


def test_machine_time_counts_attempts_that_came_to_nothing() -> None:
    world = World()
    world.add_worker("one")
    job = world.submit(animation("1-2", chunk=2))["id"]
    world.run(2.0)
    world.end("one", reason="it broke")
    record = world.ask("job", id=job)
    assert (record["render_seconds"], record["machine_seconds"]) == (0.0, 1.0)
    world.run(5.0)
    world.act("cancel", job)
    world.end("one", stopped=True, reason="stopped")
    assert world.ask("job", id=job)["machine_seconds"] == pytest.approx(1.0 + 5.0, abs=1.0)


def test_the_warnings_of_a_finished_frame_stay_with_it_and_with_its_job(world: World) -> None:
    world.report("one", done(world, 2, 0, warnings=("the picture is all black", "a texture is missing")))
    first = world.ask("parts", job="aa" * 8)[0]
    assert list(first["warnings"]) == ["the picture is all black", "a texture is missing"]
    assert world.ask("job", id="aa" * 8)["warnings"] == ["the picture is all black", "a texture is missing"]


def test_a_job_warns_of_the_last_rendering_of_a_frame_only(world: World) -> None:
    world.report("one", done(world, 2, 0, warnings=("Frame 1 is all black",)), done(world, 3, 1, warnings=("Frame 2 is dark",)))
    world.act("requeue", "aa" * 8, "1")
    world.run(0.2)
    assert world.ask("job", id="aa" * 8)["warnings"] == ["Frame 2 is dark"], "it may be well this time"
    assert [list(row["warnings"]) for row in world.ask("parts", job="aa" * 8)] == [[], ["Frame 2 is dark"], []]


def test_warnings_about_one_subject_stand_once_on_their_job(world: World) -> None:
    running = world.workers["one"].running
    assert running is not None
    for number, text in (
        (2, "The file wood.png is missing"),
        (3, "wood.png is missing here too"),
        (4, "The file oak.png is missing"),
    ):
        subject = "oak.png" if "oak" in text else "wood.png"
        world.report("one", Warned(attempt=running.attempt, number=number, warning=text, subject=subject))
    assert world.ask("job", id="aa" * 8)["warnings"] == ["The file wood.png is missing", "The file oak.png is missing"]


def test_a_worker_is_shown_at_its_next_frame_as_soon_as_one_is_done(world: World) -> None:
    world.at_frame("one", 1)
    shown = []
    for _ in range(2):
        world.finish_part("one")
        world.run(0.2)
        shown += world.ask("job", id="aa" * 8)["frames_now"]
    assert shown == [2, 3]
