"""Finished frames, and the film, are copied to another folder by a last stage."""

from pathlib import Path

import msgspec
import pytest

from brender.bus.ids import new_id
from brender.engines.copy_task import said_of_replaced
from brender.jobs.clones import clone
from brender.jobs.declare import job_type
from brender.jobs.edits import revise
from brender.model.edit import Edit
from brender.model.errors import BadInput
from brender.model.job import COPY, FILM, JobSpec
from brender.model.nodes import Blender
from tests.rendering import Outcome, Studio, studio
from tests.test_denoise_after import scene
from tests.world import World, animation


def copied(frames: str = "1-3", **settings: object) -> JobSpec:
    return animation(frames, copy_to="/delivery/shot", **{"chunk": 1} | settings)


def work(world: World) -> tuple[int, int]:
    """Let the one worker of *world* do its task; return the frame, and which step of it."""
    (name,) = world.workers
    grant = world.workers[name].running
    assert grant is not None
    part = grant.parts[0]
    world.finish(name)
    return part.frame, part.piece


def test_each_frame_is_copied_once_it_is_done_and_the_film_when_that_is() -> None:
    world = World()
    world.add_worker("one")
    spec = copied(film="shot.mp4", format="PNG")
    world.submit(spec)
    kind = job_type("blender-animation")
    names = [stage.name for stage in kind.stages(kind.prepare(spec))]
    assert names == ["frames", "film", "copies", "copy of the film"]
    done = [work(world) for _ in range(8)]
    assert sorted(done) == [(1, COPY), (1, 0), (2, COPY), (2, 0), (3, COPY), (3, COPY), (3, FILM), (3, 0)]
    assert done.index((1, COPY)) < done.index((3, 0))  # frame by frame, as they are done
    assert done.index((3, FILM)) < 7
    assert world.status(spec.id) == "completed"


def test_a_frame_that_is_queued_again_is_copied_again() -> None:
    world = World()
    world.add_worker("one")
    spec = copied()
    world.submit(spec)
    world.finish_everything()
    world.act("requeue", spec.id, "2")
    assert [work(world) for _ in range(2)] == [(2, 0), (2, COPY)]
    assert world.status(spec.id) == "completed"


def test_a_still_and_a_film_of_pictures_are_copied_last() -> None:
    world = World()
    world.add_worker("one")
    settings = {"file": "/p/still.blend", "frame": 1, "pieces": 2, "copy_to": "/delivery/still"}
    still = msgspec.structs.replace(animation("1"), job_type="blender-still", settings=settings)
    made = world.submit(still)
    assert made["what"] == "1 frame in 2 pieces, and a copy"
    assert [work(world)[1] for _ in range(4)] == [1, 2, 0, COPY]
    pictures = {"pictures": "/r/shot_##.png", "frames": "1-3", "film": "v.mp4", "copy_to": "/delivery/film"}
    film = msgspec.structs.replace(animation("1"), job_type="video", settings=pictures, facts=None)
    assert world.submit(film)["what"] == "the film v.mp4, made and copied"
    assert [work(world)[1] for _ in range(2)] == [FILM, COPY]
    assert (world.status(still.id), world.status(film.id)) == ("completed", "completed")


def test_a_clone_copies_nowhere_unless_it_is_told_to() -> None:
    world = World()
    spec = copied()
    world.submit(spec)
    record = world.ask("job", id=spec.id)
    assert clone(record, new_id(), "anna", Edit()).settings["copy_to"] == ""
    assert clone(record, new_id(), "anna", Edit(settings={"copy_to": "/other"})).settings["copy_to"] == "/other"


def test_two_jobs_do_not_copy_to_the_same_files() -> None:
    world = World()
    world.add_worker("one")
    world.submit(copied(output="/renders/a"))
    refused = world.submit(copied(output="/renders/b"))
    assert "in /delivery/shot, and has not ended. Choose another folder for the copies (--copy-to)," in refused.message
    assert "writes the same files" in world.submit(animation("1-3", output="/delivery/shot")).message


@pytest.mark.parametrize(
    ("settings", "fields", "why"),
    [
        ({"copy_to": "delivery"}, {}, "'delivery' is not an absolute path"),
        ({"copy_to": "/delivery/../etc"}, {}, "is not an absolute path"),
        ({"copy_to": "/renders/shot/"}, {"output": "/renders/shot"}, "is the job's output folder itself"),
        ({"copy_to": "/delivery"}, {"bundle": "b" * 64, "output": ""}, "leave out --copy-to, or --send"),
    ],
)
def test_a_folder_that_files_cannot_be_copied_to_is_refused(
    settings: dict[str, object], fields: dict[str, object], why: str
) -> None:
    with pytest.raises(BadInput, match=why):
        job_type("blender-animation").prepare(msgspec.structs.replace(animation("1", **settings), **fields))


def test_a_worker_must_be_let_write_where_it_copies_to() -> None:
    world = World()
    world.add_worker("one", folders=("/renders",))
    spec = copied(output="/renders/shot")
    world.submit(spec)
    world.run(5.0)
    assert "/delivery/shot" in world.ask("job", id=spec.id)["reason"]


def render(farm: Studio, spec: JobSpec, tasks: range | None = None) -> list[Outcome]:
    count = job_type(spec.job_type).task_count(spec)
    outcomes = [farm.run(spec, task) for task in tasks or range(count)]
    assert [outcome.ended.reason for outcome in outcomes] == [""] * len(outcomes)
    return outcomes


@pytest.mark.thorough
def test_copies_are_whole_and_foreign_files_are_not_replaced_silently(bpy: Blender, tmp_path: Path) -> None:
    out, delivery = tmp_path / "out", tmp_path / "a" / "delivery"
    delivery.mkdir(parents=True)
    (delivery / "f_02.png").write_bytes(b"somebody else's")
    with studio(tmp_path / "worker", bpy) as farm:
        spec = farm.job(scene(bpy, tmp_path), out, pattern="f_##", format="PNG", chunk=1, copy_to=str(delivery))
        outcomes = render(farm, spec)
        assert [outcome.warnings for outcome in outcomes[2:]] == [[], [said_of_replaced(delivery / "f_02.png")]]
        for name in ("f_01.png", "f_02.png"):
            assert (delivery / name).read_bytes() == (out / name).read_bytes()
            assert not (delivery / name).samefile(out / name)
        assert sorted(each.name for each in delivery.iterdir()) == ["f_01.png", "f_02.png"]
        farm.made = outcomes[2].parts[0].digest
        (out / "f_01.png").write_bytes(b"rendered again")
        again = farm.run(spec, 2)
        assert (again.ended.reason, again.warnings) == ("", [])  # what it replaces is its own
        assert (delivery / "f_01.png").read_bytes() == b"rendered again"
        (out / "f_01.png").unlink()
        assert "is to be copied, is gone" in farm.run(spec, 2).ended.reason
        # (The film of other frames has a copy task of its own, which does not know what the one before has copied.)
        film = farm.job(scene(bpy, tmp_path), out, pattern="f_##", format="PNG", chunk=1, copy_to=str(delivery), film="f.mp4")
        film = revise(job_type(film.job_type), film, Edit(settings={"frames": "1"})).spec
        for folder in (out, delivery):
            (folder / "f.mp4").write_bytes(bytes(str(folder), "utf-8"))
        last = job_type(film.job_type).task_count(film) - 1
        assert farm.run(film, last).warnings == [said_of_replaced(delivery / "f.mp4", perhaps_own=True)]
