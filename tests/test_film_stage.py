"""The film of a job is its last task: made after all frames, and again after any of them."""

import msgspec
import pytest

from brender.bus.messages import Sorry
from brender.jobs.declare import job_type
from brender.jobs.film import film_request
from brender.model.errors import BadInput
from brender.model.grant import Grant
from brender.model.job import FILM, JobSpec
from brender.roles.policy import Policy
from brender.roles.server.jobs import USES_FRAMES
from tests.world import World, animation, facts, farm_of_two


def movie(frames: str = "1-4", **settings: object) -> JobSpec:
    about = facts(image_format="FFMPEG", container="MPEG4", output="//shot_")
    return msgspec.structs.replace(animation(frames, **settings), facts=about)


@pytest.fixture
def world() -> World:
    return farm_of_two()


def grants(world: World) -> list[Grant]:
    return [g for stub in world.workers.values() for g in (stub.core.running, *stub.core.waiting) if g is not None]


def holds_film(world: World) -> bool:
    return any(part.piece == FILM for grant in grants(world) for part in grant.parts)


def test_a_job_tells_of_its_film_and_ends_with_it(world: World) -> None:
    spec = movie("1-3")
    told = world.submit(spec)
    assert (told["frames"], told["tasks"]) == (4, 4)
    assert any("The film shot_0001-0003.mp4 is made once all frames are done" in warning for warning in told["warnings"])
    assert not holds_film(world)
    world.finish_everything()
    assert world.status(spec.id) == "completed"
    outputs = [part["output"] for part in world.ask("parts", job=spec.id)]
    assert outputs == [*(f"shot__frames/shot_{frame:04d}.png" for frame in (1, 2, 3)), "shot_0001-0003.mp4"]


@pytest.mark.parametrize("chunk", [0, 3])
def test_the_film_of_thousands_of_tasks_is_made_last(chunk: int) -> None:
    world = World(Policy(plan_slice=50, plan_ahead=60))
    world.add_worker("one")
    spec = movie("1-1200", chunk=chunk)
    world.submit(spec)
    order = world.finish_everything()
    assert len(order) == 1201 and order[-1] == 1200 and len(set(order[:-1])) == 1200
    assert world.status(spec.id) == "completed"
    assert world.ask("job", id=spec.id)["completed_parts"] == 1201


def test_a_frame_that_is_rendered_again_has_the_film_made_again(world: World) -> None:
    spec = movie("1-4")
    world.submit(spec)
    world.finish_everything()
    world.act("requeue", spec.id, "2")
    assert world.ask("job", id=spec.id)["completed_parts"] == 3
    assert not holds_film(world)
    assert world.finish_everything() == [2, 4]
    assert world.status(spec.id) == "completed"


def test_a_film_that_failed_is_made_again_alone(world: World) -> None:
    spec = movie("1-2")
    world.submit(spec)
    while not holds_film(world):
        world.finish(next(name for name, stub in world.workers.items() if stub.core.running))
    for _ in range(20):
        if world.status(spec.id) == "failed":
            break
        name = next((name for name, stub in world.workers.items() if stub.core.running), None)
        if name is None:
            world.run(60)
        else:
            world.end(name, reason="the disk is full of films")
    record = world.ask("job", id=spec.id)
    assert record["status"] == "failed" and record["reason"].startswith("The film failed"), record["reason"]
    world.act("requeue", spec.id)
    assert world.finish_everything() == [2]
    assert world.status(spec.id) == "completed"


def test_frames_are_not_queued_again_while_the_film_is_made_of_them(world: World) -> None:
    spec = movie("1-2")
    world.submit(spec)
    while not holds_film(world):
        world.finish(next(name for name, stub in world.workers.items() if stub.core.running))
    answer = world.act("requeue", spec.id, "1")
    assert isinstance(answer, Sorry) and USES_FRAMES in answer.message
    world.finish_everything()
    assert world.status(spec.id) == "completed"


def test_a_film_that_waits_for_a_worker_waits_for_its_frames_again(world: World) -> None:
    spec = movie("1-2")
    world.submit(spec)
    world.act("pause", spec.id)
    world.finish_everything()
    assert not holds_film(world) and world.status(spec.id) == "paused"
    world.act("requeue", spec.id, "1")
    world.act("resume", spec.id)
    assert not holds_film(world)
    assert world.finish_everything() == [1, 2]
    assert world.status(spec.id) == "completed"


def test_a_server_that_starts_again_lets_the_film_wait_and_then_go(world: World) -> None:
    spec = movie("1-3")
    world.submit(spec)
    world.finish("one")
    world.start_server()
    world.run(1)
    assert not holds_film(world)
    world.finish_everything()
    assert world.status(spec.id) == "completed"


@pytest.mark.parametrize(("settings", "film"), [({"format": "PNG"}, ""), ({"frames": "2-3"}, "shot_0002-0003.mp4")])
def test_frames_alone_where_a_format_is_named_and_a_film_of_those_that_are(
    world: World, settings: dict[str, str], film: str
) -> None:
    spec = movie(**settings)
    world.submit(spec)
    world.finish_everything()
    assert world.ask("job", id=spec.id)["settings"]["film"] == film
    assert (film in [part["output"] for part in world.ask("parts", job=spec.id)]) == bool(film)


def test_a_film_that_blender_cannot_write_is_refused_with_its_words() -> None:
    about = facts(image_format="FFMPEG", container="WEBM", film_problem="Blender 5.0.1 cannot write the film: no such codec")
    with pytest.raises(BadInput, match=r"cannot write the film: no such codec. Choose another codec .* --format PNG"):
        job_type("blender-animation").prepare(msgspec.structs.replace(animation("1-4"), facts=about))


@pytest.mark.parametrize(
    ("film", "why"),
    [
        ("../escaped/evil.mp4", r"climbs out of the output folder"),
        ("/etc/evil.mp4", r"is an absolute path"),
        ("C:\\evil.mp4", r"is an absolute path"),
        ("what?.mp4", r"not a file name on every platform"),
        ("shot__frames/shot_0002.png", r"is that of a frame's file"),
        ("./Shot__frames//shot_0002.PNG", r"is that of a frame's file"),
        ("shot__frames/shot_0002.png/film.mp4", r"is that of a frame's file"),
        ("shot__frames", r"or of a folder of frames"),
        (".", r"or of a folder of frames"),
    ],
)
def test_the_name_of_a_film_that_a_job_chooses_is_one_of_its_own_folder_and_of_no_frame(film: str, why: str) -> None:
    kind = job_type("blender-animation")
    with pytest.raises(BadInput, match=why):
        kind.prepare(movie(film=film))
    prepared = kind.prepare(movie())
    with pytest.raises(BadInput, match=why):
        kind.prepare(msgspec.structs.replace(prepared, settings=prepared.settings | {"film": film}))


def test_a_film_that_a_job_names_is_made_of_frames_of_its_own(world: World) -> None:
    spec = movie("1-2", film="cut/best.mp4")
    world.submit(spec)
    world.finish_everything()
    outputs = [part["output"] for part in world.ask("parts", job=spec.id)]
    assert outputs == ["shot__frames/shot_0001.png", "shot__frames/shot_0002.png", "cut/best.mp4"]


def test_a_film_that_the_scene_does_not_ask_for_is_made_of_frames_that_are_called_as_without_it() -> None:
    kind = job_type("blender-animation")
    plain = kind.prepare(animation("1-2"))
    spec = kind.prepare(animation("1-2", film="cut.webm"))
    assert spec.settings["pattern"] == plain.settings["pattern"]
    assert [stage.name for stage in kind.stages(spec)] == ["frames", "film"]
    assert kind.prepare(spec) == spec, "preparing a prepared job changes nothing"
    assert film_request(spec.settings)["otherwise"] == {"container": "WEBM", "codec": "WEBM", "quality": "HIGH"}
    unnamed = kind.prepare(animation("1-2", film_container="MKV"))
    assert unnamed.settings["film"].endswith("_0001-0002.mkv")
    with pytest.raises(BadInput, match=r"A film is made of PNG files, not of JPEG"):
        kind.prepare(animation(film="a.mp4", format="JPEG"))


def test_no_film_is_made_of_frames_with_loss() -> None:
    kind = job_type("blender-animation")
    with pytest.raises(BadInput, match=r"A film is made of PNG files, not of JPEG"):
        kind.prepare(movie(film="a.mp4", format="JPEG"))


def prepared_film(output: str, frames: str | None, step: int = 1, **settings: object) -> JobSpec:
    about = facts(image_format="FFMPEG", container="MPEG4", output=output, last=6, step=step)
    plain = animation(**settings)
    plain = msgspec.structs.replace(plain, facts=about, settings=plain.settings | {"frames": frames})
    return job_type("blender-animation").prepare(plain)


@pytest.mark.parametrize(
    ("output", "frames", "film"),
    [
        ("//rb.mp4", None, "rb.mp4"),
        ("//rb.mp4", "1-6", "rb.mp4"),
        ("//rb.mp4", "2-3", "rb_0002-0003.mp4"),
        ("//rb.mp4", "1-6x5", "rb_0001-0006x5.mp4"),
        ("//rb_", "2-3", "rb_0002-0003.mp4"),
        ("//rb_", "1-6x5", "rb_0001-0006x5.mp4"),
        ("//rb_##", "1,2,6", "rb_01-06_3-frames.mp4"),
    ],
)
def test_a_film_of_a_few_frames_never_has_the_name_of_the_whole_film(output: str, frames: str | None, film: str) -> None:
    spec = prepared_film(output, frames)
    whole = prepared_film(output, None).settings["film"]
    assert spec.settings["film"] == film
    said = any(f"The film is called {film}, and not {whole} as by Blender" in warning for warning in spec.warnings)
    assert said == (film != whole and (".mp4" in output or film != "rb_0002-0003.mp4"))


def test_a_film_of_every_second_frame_is_called_by_the_scene_s_range() -> None:
    assert prepared_film("//rb_", None, step=2).settings["film"] == "rb_0001-0006.mp4"


def test_a_film_of_a_few_frames_with_a_name_of_the_job_s_own_says_that_it_replaces_another() -> None:
    spec = prepared_film("//rb.mp4", "2-3", pattern="mine.mp4")
    assert spec.settings["film"] == "mine.mp4"
    assert any("mine.mp4 has the frames 2-3, and not all of the scene's own (1-6)" in warning for warning in spec.warnings)


def test_films_of_different_names_are_made_of_different_frames() -> None:
    outputs = ("//movie.mp4", "//movie_.mp4", "//movie-.mp4", "//movie_", "//movie", "//movie-", "//movie_##", "//movie_##.mp4")
    patterns = [prepared_film(output, None).settings["pattern"] for output in outputs]
    assert len(set(patterns)) == len(outputs), patterns


def test_frames_that_do_not_follow_each_other_evenly_make_a_silent_film_and_that_is_said(world: World) -> None:
    told = world.submit(movie("1-3,9"))
    assert "The film shot_0001-0009.mp4 has no sound: its frames do not follow each other evenly" in told["warnings"]
