"""What is counted of a job is what people mean: frames, or the pieces of a still, and neither its picture nor its film."""

from pathlib import Path

import msgspec
import pytest

from brender.commands.following import Follower
from brender.jobs.part_names import part_in_words
from brender.jobs.steps import Axis, Step, Steps, as_text
from brender.model.errors import NotFound
from brender.model.job import After
from brender.model.job_standing import standing
from brender.store import farm_page, page_questions
from brender.store.database import open_for_writing
from brender.store.schema import migrate
from tests.test_film_stage import movie
from tests.test_further_job_types import video
from tests.test_stages import still
from tests.tools import command, let_commands_ask
from tests.world import World, animation, facts, farm_of_two


@pytest.fixture
def world() -> World:
    return farm_of_two()


def test_the_pieces_of_a_still_are_called_so_wherever_they_are_counted(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = still(pieces=4)
    assert world.submit(spec)["what"] == "1 frame in 4 pieces"
    world.finish_part("one")
    world.run(0.2)
    let_commands_ask(lambda asked: world.ask(asked.question, **asked.arguments), monkeypatch)
    assert "1 of 4 pieces" in command(capsys, "jobs").out
    assert "Done:         1 of 4 pieces" in command(capsys, "job", spec.id).out
    for rows in (page_questions.find_jobs(world.record)["rows"], farm_page.overview(world.record, world._at().wall)["active"]):
        assert [(row["units_done"], row["units"], row["unit"]) for row in rows] == [(1, 4, "piece")]
    follower = Follower("", 0.0)
    follower.look(world.ask("job", id=spec.id), [], 0.0)
    assert (follower.view.done, follower.view.total) == (1, 4)
    world.finish_everything()
    assert "4 of 4 pieces" in command(capsys, "jobs").out
    world.act("requeue", spec.id, "all")
    world.run(1.0)
    told = [row["text"] for row in world.ask("activity")]
    assert f"submitted {spec.name}: 1 frame in 4 pieces" in told and f"queued 4 pieces of {spec.name} again" in told


@pytest.mark.parametrize("film", [{}, {"film": ""}])
def test_all_frames_of_a_job_without_a_film_are_counted_in_lists(world: World, film: dict[str, str]) -> None:
    spec = animation("1-3", **film)
    world.submit(spec)
    for rows in (world.ask("jobs"), page_questions.find_jobs(world.record)["rows"], [world.ask("job", id=spec.id)]):
        assert [(row["units_done"], row["units"], row["unit"]) for row in rows] == [(0, 3, "frame")]


def test_a_list_of_jobs_says_what_they_still_take_where_nobody_looks_ahead(world: World) -> None:
    world.submit(animation("1-3", chunk=1))
    world.finish("one", seconds=10.0)
    world.run(0.2)
    (row,) = page_questions.find_jobs(world.record)["rows"]
    assert row["eta_seconds"] == pytest.approx(20.0 / 2)  # (at the two workers)


def test_the_film_is_not_counted_as_a_frame(world: World) -> None:
    spec = movie("1-3")
    assert world.submit(spec)["what"].startswith("3 frames and the film shot_0001-0003.mp4")
    world.finish_everything()
    (row,) = page_questions.find_jobs(world.record)["rows"]
    assert (row["units_done"], row["units"], row["unit"]) == (3, 3, "frame")


def test_how_far_a_film_of_pictures_is_is_said_in_words_and_not_as_a_count(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    film = world.submit(video(copy_to="/delivery"))["id"]
    later = world.submit(msgspec.structs.replace(animation("1-2", priority=10), after=(After(job=film),)))["id"]
    let_commands_ask(lambda asked: world.ask(asked.question, **asked.arguments), monkeypatch)

    def said() -> tuple[str, str, str]:
        shown = command(capsys, "job", film).out
        done = next(line.split(":")[1].strip() for line in shown.splitlines() if line.startswith("Done"))
        (row,) = [row for row in page_questions.find_jobs(world.record)["rows"] if row["id"] == film]
        assert row["done_words"] == done and done in command(capsys, "jobs").out and done in command(capsys, "job", later).out
        return done, world.ask("job", id=later)["reason"].split(": ")[1], standing(world.ask("job", id=film))

    done, waits, stands = said()
    assert (done, waits) == ("film not made yet", "its film is not made yet") and stands.endswith(waits)
    world.finish_part("one")
    world.run(1.0)
    assert said()[:2] == ("film made, not copied yet", "its film is made, not copied yet")


def test_a_frame_counts_once_its_last_step_is_done_and_steps_are_counted_apart_everywhere(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {"copy_to": "/delivery/shot", "denoise_after": True, "film": "shot.mp4", "format": "PNG", "chunk": 1}
    spec = msgspec.structs.replace(animation("1-2", **settings), facts=facts(engine="CYCLES"))
    world.submit(spec)
    let_commands_ask(lambda asked: world.ask(asked.question, **asked.arguments), monkeypatch)

    def counted() -> set[tuple[int, ...]]:
        rows = [*world.ask("jobs"), *page_questions.find_jobs(world.record)["rows"], world.ask("job", id=spec.id)]
        rows += world.ask("graph", id=spec.id)["jobs"]
        assert {row["unit"] for row in rows} == {"frame"}
        return {(row["units_done"], row["units"], row["steps_done"], row["steps"]) for row in rows}

    world.finish("one")
    assert counted() == {(0, 2, 1, 8)}, "one frame is rendered, and neither denoised nor copied"
    assert "0 of 2 frames, 1 of 8 steps" in command(capsys, "jobs").out
    world.finish_everything()
    assert counted() == {(2, 2, 8, 8)}
    assert "2 of 2 frames " in command(capsys, "jobs").out
    stages = [row["stage"] for row in world.ask("tasks", job=spec.id)]
    assert stages == ["frames"] * 2 + ["denoise"] * 2 + ["film"] + ["copies"] * 2 + ["copy of the film"]
    listed = command(capsys, "tasks", spec.id).out.splitlines()
    assert [line.split()[1] for line in listed] == [
        "STAGE",
        "frames",
        "frames",
        "denoise",
        "denoise",
        *(["film", "copies", "copies", "copy"]),
    ]
    assert farm_page.overview(world.record, world._at().wall)["frames"]["hour"] == 2
    world.act("requeue", spec.id, "2")
    world.run(1.0)
    assert counted() == {(1, 2, 3, 8)}, "frame 2 is made again, and with it the film"


def test_a_record_of_before_is_counted_when_it_is_brought_up_to_date(tmp_path: Path) -> None:
    database = open_for_writing(str(tmp_path / "farm.db"))
    world = World(database=database)
    world.add_worker("one")
    jobs = [{"copy_to": "/delivery/shot", "film": "shot.mp4", "format": "PNG"}, {"denoise_after": True}, {}]
    specs = [msgspec.structs.replace(animation("1-2", chunk=1, **each), facts=facts(engine="CYCLES")) for each in jobs]
    for number, spec in enumerate(specs):
        world.submit(msgspec.structs.replace(spec, output=f"/r/{number}"))
    world.finish_everything()
    database.execute_sql("ALTER TABLE job DROP COLUMN finished_frames")
    database.execute_sql("DELETE FROM schema_migration WHERE name = '0036_finished_frames'")
    migrate(database)
    assert [world.ask("job", id=spec.id)["finished_frames"] for spec in specs] == [2, 2, 0]


def test_a_step_that_has_no_frames_is_called_by_its_name() -> None:
    steps = Steps(
        (Step("sheet", ("true",)), Step("frames", ("true",), frames="3-4"), Step("each", ("true",), axes=(Axis({"x": "1-5"}),)))
    )
    settings, row = {"steps": as_text(steps)}, {"piece": 0, "output": ""}
    named = [
        part_in_words(settings, row | {"frame": frame, "layer": layer})
        for frame, layer in ((0, "sheet"), (3, "frames"), (1, "each"))
    ]
    assert named == ["sheet", "frames, frame 3", "each, run 2 of 5"]


def test_a_still_is_one_frame_of_the_last_hour(world: World) -> None:
    world.submit(still(pieces=4))
    world.finish_everything()
    assert farm_page.overview(world.record, world._at().wall)["frames"]["hour"] == 1


def test_a_frame_that_a_job_does_not_have_is_said_and_not_waited_for(world: World) -> None:
    frames, picture = animation("1-3"), still(pieces=2)
    for spec in (frames, picture):
        world.submit(spec)
    for spec, said in ((frames, "no frame 99: it has the frames 1-3"), (picture, "no frame 99: it has the frame 1")):
        with pytest.raises(NotFound, match=said):
            world.ask("log", job=spec.id, frame=99)
    world.submit(animation("4"))
    with pytest.raises(NotFound, match="No worker has begun frame 1 of the job"):
        world.ask("log", job=world.submit(animation("1", priority=1))["id"], frame=1)


def test_a_log_says_which_frame_its_attempt_is_of_and_a_pipe_gets_nothing_but_the_log(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    let_commands_ask(world.answer, monkeypatch)
    monkeypatch.setattr("brender.store.questions.log_text", lambda *_: "Fra:3 Mem:1M\n")
    frames, picture, whole = animation("3-4", chunk=2), still(pieces=2), animation("7")
    for spec, what in ((frames, "frames 3-4"), (picture, "piece "), (whole, "frame 7")):
        world.submit(spec)
        world.run(1.0)
        world.act("cancel", spec.id)
        said = command(capsys, "log", spec.id)
        assert f" on {world.ask('attempts', job=spec.id)[0]['worker_name']}, {what}" in said.err
        assert said.out == "(1 line of Blender's own)\n" and "--raw" not in said.err
