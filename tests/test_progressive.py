"""Progressive jobs: every frame soon, with few samples, and then better, until it is what a plain render would have made."""

import contextlib
import hashlib
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy
import OpenImageIO as oiio
import pytest

from brender.bus.messages import Sorry
from brender.engines.attempt import AttemptFailed
from brender.engines.frame_path import FramePath
from brender.engines.progressive_task import said_of_noise, said_of_until
from brender.engines.session import Session
from brender.jobs.blender_progressive import NOISE_OF_DRAFTS, said_of_draft
from brender.jobs.pieces import piece_name
from brender.model.errors import BadInput
from brender.model.grant import FurtherFile
from brender.model.job import JobSpec
from brender.model.nodes import Blender
from brender.model.passes import DOUBLING, first_share, passes_of
from brender.roles.policy import Policy
from tests.conftest import SCENES
from tests.rendering import Outcome, Studio, cycles_scene, studio
from tests.test_stills import planes
from tests.tools import command, let_commands_ask, pixels
from tests.world import World, animation, facts

_SCENE = """
scene.cycles.samples, scene.cycles.use_denoising, scene.cycles.use_adaptive_sampling = 20, False, False
scene.render.resolution_x, scene.render.resolution_y = 32, 24
scene.frame_start, scene.frame_end = 1, 2
scene.objects["Cube"].keyframe_insert("location", frame=1)
scene.objects["Cube"].location.x = 1
scene.objects["Cube"].keyframe_insert("location", frame=2)
"""


def scene(blender: Blender, folder: Path, more: str = "") -> Path:
    return cycles_scene(blender, folder / "shot.blend", _SCENE + more)


def render(farm: Studio, file: Path, out: Path, *, until_pass: int = 0, **settings: object) -> list[Outcome]:
    """The passes of all frames, one after the other, as workers would do them, or those up to one."""
    spec = farm.job(file, out, job_type="blender-progressive", **{"format": "OPEN_EXR"} | settings)
    passes = until_pass or passes_of(spec.settings)
    outcomes = [farm.run(spec, task) for task in range(passes * 2)]
    assert [outcome.ended.reason for outcome in outcomes] == [""] * len(outcomes)
    return outcomes


def plain(farm: Studio, file: Path, out: Path, **settings: object) -> None:
    outcome = farm.run(farm.job(file, out, **{"format": "OPEN_EXR"} | settings))
    assert outcome.ended.reason == ""


def frames(out: Path) -> list[str]:
    """The names of all that is in a job's folder."""
    return sorted(each.relative_to(out).as_posix() for each in out.rglob("*") if each.is_file())


def note(path: Path) -> str:
    return str(oiio.ImageBuf(str(path)).spec().getattribute("Note") or "")


@pytest.mark.blender
@pytest.mark.parametrize("settings", [{"passes": 3}, {"passes": 3, "refine": DOUBLING}])
def test_frames_that_were_refined_to_the_end_are_those_of_a_plain_render(
    tmp_path: Path, bpy: Blender, settings: dict[str, object]
) -> None:
    file = scene(bpy, tmp_path)
    with studio(tmp_path / "worker", bpy) as farm:
        outcomes = render(farm, file, tmp_path / "progressive", pattern="f_##", **settings)
        plain(farm, file, tmp_path / "plain", pattern="f_##")
    assert frames(tmp_path / "progressive") == frames(tmp_path / "plain") == ["f_01.exr", "f_02.exr"]
    for name in ("f_01.exr", "f_02.exr"):
        found, wanted = planes(tmp_path / "progressive" / name), planes(tmp_path / "plain" / name)
        assert found.keys() == wanted.keys()
        for channel, values in wanted.items():
            numpy.testing.assert_allclose(found[channel], values, atol=1e-5)
        assert note(tmp_path / "progressive" / name) == note(tmp_path / "plain" / name)
    noises = [outcome.parts[0].noise for outcome in outcomes]
    assert noises[:2] == [None, None]
    assert all(later is not None and later > 0 for later in noises[2:])


_NOISES = {1: 0.02, 2: 0.08, 3: 0.05}


def progressive(frames: str = "1-3", **more: Any) -> JobSpec:
    spec = animation(frames, name="shot", **more)
    about = facts(unshared="", samples=64)
    settings = spec.settings | {"passes": 4}
    return msgspec.structs.replace(spec, job_type="blender-progressive", settings=settings, facts=about)


def do_pass(world: World, digest: str = "", good_from: int = 9) -> tuple[int, int, tuple[str, ...]]:
    """Let the worker of *world* do one pass of a frame; return the frame, which pass, and what it was given to begin with. From
    the pass *good_from* on, the frame is good enough."""
    (name,) = world.workers
    grant = world.workers[name].running
    assert grant is not None
    (part,) = grant.parts
    number = part.piece or 4
    told: dict[str, Any] = {"noise": _NOISES[part.frame] / number} if number > 1 else {}
    if digest and part.piece:
        told["further_files"] = (FurtherFile(output=piece_name(part.output, number), digest=f"{digest}{part.frame}{number}"),)
    world.finish_part(name, **(told if number < good_from else {"kept": True, "output": "", "seconds": 0.0}))
    world.end(name)
    return part.frame, number, grant.pieces


@pytest.mark.parametrize("restarts", [False, True])
def test_all_frames_are_there_first_and_then_the_one_with_the_most_noise_is_next(restarts: bool) -> None:
    world = World()
    world.add_worker("one")
    spec = progressive()
    world.submit(spec)
    first = [do_pass(world)[:2] for _ in range(6)]
    assert first == [(1, 1), (2, 1), (3, 1), (1, 2), (2, 2), (3, 2)]
    job = world.ask("job", id=spec.id)
    assert (job["units_done"], job["units"], job["pass_number"], job["passes"]) == (0, 3, 3, 4)
    if restarts:
        world.start_server()
        world.run(20.0)
    rest = [do_pass(world)[:2] for _ in range(6)]
    assert rest[-2:] == [(1, 3), (1, 4)]  # (the worker had its next task before that was measured)
    assert len(set(rest)) == 6
    assert world.status(spec.id) == "completed"


def test_a_frame_that_is_good_enough_before_its_last_pass_counts_in_the_accounts() -> None:
    world = World()
    world.add_worker("one")
    job = world.submit(progressive())["id"]
    for _ in range(12):
        do_pass(world, good_from=3)
    assert world.status(job) == "completed"
    assert world.ask("accounts", since="all")["total"]["frames"] == 3


def test_a_job_that_begins_when_its_frames_are_not_refined_any_more_is_refused() -> None:
    world = World()
    world.add_worker("one")
    for until, start_at, said in (
        ("2020-01-01T08:00+00:00", 0.0, "which is past"),
        ("2023-11-20T08:00+00:00", datetime(2023, 11, 21).timestamp(), "which is before it starts"),
    ):
        spec = progressive()
        spec = msgspec.structs.replace(spec, settings=spec.settings | {"until": until}, start_at=start_at)
        refused = world.submit(spec)
        assert isinstance(refused, Sorry) and said in refused.message


def test_how_long_frames_are_refined_may_be_edited_and_those_that_are_done_stay() -> None:
    world = World()
    world.add_worker("one")
    job = world.submit(progressive())["id"]
    for _ in range(7):
        do_pass(world)
    for name, value in (("noise", 0.5), ("until", "2099-01-01T08:00+00:00")):
        world.act("edit", job, {"settings": {name: value}})
        told = world.ask("job", id=job)
        assert (told["settings"][name], told["completed_parts"], told["status"]) == (value, 7, "active")


@pytest.mark.parametrize("restarts", [False, True])
def test_frames_that_are_added_get_all_their_passes_and_the_first_of_them_comes_before_all_others(restarts: bool) -> None:
    world = World()
    world.add_worker("one")
    spec = progressive("1-2")
    world.submit(spec)
    done = [do_pass(world)[:2] for _ in range(5)]
    world.act("edit", spec.id, {"settings": {"frames": "1-3"}})
    if restarts:
        world.start_server()
        world.run(20.0)
    rest = [do_pass(world)[:2] for _ in range(7)]
    assert sorted(done + rest) == [(frame, number) for frame in (1, 2, 3) for number in (1, 2, 3, 4)]
    assert (3, 1) in rest[:3]  # (the worker had its next task when they were added, and may have asked for one more)
    assert world.status(spec.id) == "completed"


def test_later_passes_begin_also_where_so_many_wait_as_are_planned_ahead_while_a_frame_is_taken_out() -> None:
    world = World(Policy(plan_slice=5, plan_ahead=10))
    for number in range(8):
        world.add_worker(f"worker {number}")
    spec = progressive("1-13")
    world.submit(spec)
    world.run(3.0)
    assert len(world.server.farm.jobs[spec.id].held) >= 10
    world.act("edit", spec.id, {"settings": {"frames": "1-12"}})
    world.run(5.0)
    world.finish_everything()
    assert world.status(spec.id) == "completed"


@pytest.mark.parametrize("restarts", [False, True])
def test_where_files_travel_a_pass_is_given_what_its_frame_has_by_then(restarts: bool) -> None:
    world = World()
    world.add_worker("one")
    spec = progressive("1-2", bundle="b" * 64, file="shot.blend")
    world.submit(spec)
    given = []
    for number in range(8):
        given.append(do_pass(world, "d"))
        if restarts and number == 4:
            world.start_server()
            world.run(20.0)
    assert all(pieces == ((f"d{frame}{number - 1}",) if number > 1 else ()) for frame, number, pieces in given)
    assert len({(frame, number) for frame, number, _ in given}) == 8


def test_a_frame_is_fetched_once_at_its_best_and_again_when_it_got_better(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    contents = [b"grainy 1", b"grainy 2", b"better 1", b"", b"", b""]
    done = 2

    def answer(message: Any) -> Any:
        if message.question == "job":
            return {"id": "0e92" * 4, "name": "shot", "status": "active", "frames_deleted": None, "fps": 24.0, "passes": 3}
        of = {"layer": "", "view": "", "further_files": [{"output": ".1.png.pieces/1.exr", "size": 5, "digest": "e" * 64}]}
        return [
            of
            | {"id": number, "frame": number % 2 + 1, "output": f"{number % 2 + 1}.png", "piece": (number // 2 + 1) % 3}
            | {"size": len(content), "digest": hashlib.sha256(content).hexdigest(), "change": number}
            | {"status": "completed" if number < done else "queued"}
            for number, content in enumerate(contents)
        ]

    class Fetching(contextlib.nullcontext["Fetching"]):
        def fetch(self, job: str, part: int, target: Path, *_: object) -> None:
            target.write_bytes(contents[part])

        def __enter__(self) -> "Fetching":
            return self

    let_commands_ask(answer, monkeypatch)
    monkeypatch.setattr("brender.api.place.Place.exchange", lambda *_: Fetching())
    assert "2 files fetched" in command(capsys, "fetch", "shot", "--to", tmp_path).out
    done = 3
    assert "1 file fetched" in command(capsys, "fetch", "shot", "--to", tmp_path).out
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == {"1.png": b"better 1", "2.png": b"grainy 2"}
    (tmp_path / "1.png").write_bytes(b"somebody's")
    assert command(capsys, "fetch", "shot", "--to", tmp_path).code == 3


@pytest.mark.blender
def test_a_stopped_job_leaves_the_best_so_far_which_says_so_and_goes_on_from_there(tmp_path: Path, bpy: Blender) -> None:
    file, out = scene(bpy, tmp_path), tmp_path / "out"
    with studio(tmp_path / "worker", bpy) as farm:
        render(farm, file, out, passes=4, until_pass=2, pattern="f_##")
        assert note(out / "f_01.exr") == "brender: 10 of 20 samples"
        assert frames(out) == [".f_01.exr.pieces/2.exr", ".f_02.exr.pieces/2.exr", "f_01.exr", "f_02.exr"]
        spec = farm.job(file, out, job_type="blender-progressive", format="OPEN_EXR", passes=4, pattern="f_##")
        again = [farm.run(spec, task) for task in range(4)]  # what was done before its report was lost is not done again
        assert all("samples 10 to 10 of 20 in 0.00 seconds" in outcome.log for outcome in again)
        rest = [farm.run(spec, task) for task in range(4, 8)]
        plain(farm, file, tmp_path / "plain", pattern="f_##")
    assert "samples 10 to 15 of 20" in rest[0].log
    for name in frames(tmp_path / "plain"):
        wanted = planes(tmp_path / "plain" / name)
        for channel, values in planes(out / name).items():
            numpy.testing.assert_allclose(values, wanted[channel], atol=1e-5)


@pytest.mark.blender
@pytest.mark.thorough
def test_samples_that_got_lost_are_taken_again_and_none_counts_twice(tmp_path: Path, bpy: Blender) -> None:
    file, out = scene(bpy, tmp_path, "scene.frame_end = 1"), tmp_path / "out"
    with studio(tmp_path / "worker", bpy) as farm:
        spec = farm.job(file, out, job_type="blender-progressive", format="OPEN_EXR", passes=4, pattern="f_##")
        farm.run(spec, 0)
        farm.run(spec, 1)
        kept = out / ".f_01.exr.pieces" / "2.exr"
        kept.write_bytes(kept.read_bytes()[:2000])  # cut off
        third = farm.run(spec, 2)
        late = farm.run(spec, 0)  # an attempt at the first pass that was thought lost
        assert note(out / "f_01.exr") == "brender: 15 of 20 samples"
        last = farm.run(spec, 3)
        plain(farm, file, tmp_path / "plain", pattern="f_##")
    assert [outcome.ended.reason for outcome in (third, late, last)] == ["", "", ""]
    wanted = planes(tmp_path / "plain" / "f_01.exr")
    for channel, values in planes(out / "f_01.exr").items():
        numpy.testing.assert_allclose(values, wanted[channel], atol=1e-5)


@pytest.mark.blender
@pytest.mark.thorough
@pytest.mark.parametrize("at", ["accumulated", "shown", "merged"])
def test_an_attempt_that_dies_while_it_puts_a_picture_together_costs_no_sample_and_counts_none_twice(
    tmp_path: Path, bpy: Blender, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    file, out = scene(bpy, tmp_path, "scene.frame_end = 1"), tmp_path / "out"
    session, reads = Session.ask, FramePath.ask
    died: list[str] = []

    def dying(call: Any) -> Any:
        def ask(self: Any, what: str, *args: Any, **more: Any) -> Any:
            if what == at and not died:
                died.append(what)
                raise AttemptFailed("killed")
            return call(self, what, *args, **more)

        return ask

    monkeypatch.setattr(Session, "ask", dying(session))
    monkeypatch.setattr(FramePath, "ask", dying(reads))
    with studio(tmp_path / "worker", bpy) as farm:
        spec = farm.job(file, out, job_type="blender-progressive", format="OPEN_EXR", passes=2, pattern="f_##")
        reasons = []
        for task in range(2):
            while (reason := farm.run(spec, task).ended.reason) and len(reasons) < 3:
                reasons.append(reason)
        plain(farm, file, tmp_path / "plain", pattern="f_##")
    assert (reasons, died) == (["killed"], [at])
    assert frames(out) == ["f_01.exr"]
    wanted = planes(tmp_path / "plain" / "f_01.exr")
    for channel, values in planes(out / "f_01.exr").items():
        numpy.testing.assert_allclose(values, wanted[channel], atol=1e-5)


@pytest.mark.blender
@pytest.mark.thorough
def test_a_frame_whose_noise_is_low_enough_is_done_early_and_says_so(tmp_path: Path, bpy: Blender) -> None:
    file, out = scene(bpy, tmp_path), tmp_path / "out"
    with studio(tmp_path / "worker", bpy) as farm:
        outcomes = render(farm, file, out, passes=4, noise=10, pattern="f_##", format="PNG")
        plain(farm, file, tmp_path / "plain", pattern="f_##", format="PNG")
    assert [said_of_noise(10.0) in outcome.warnings for outcome in outcomes] == [False] * 4 + [True] * 4
    assert note(out / "f_01.png") == "brender: 10 of 20 samples"
    assert frames(out) == ["f_01.png", "f_02.png"]
    found, wanted = pixels(out / "f_01.png"), pixels(tmp_path / "plain" / "f_01.png")
    assert found.shape == wanted.shape
    assert abs(found.mean() - wanted.mean()) < 0.01  # the colors are those of the scene


@pytest.mark.blender
@pytest.mark.thorough
def test_frames_stay_as_they_are_once_it_is_late_enough(tmp_path: Path, bpy: Blender) -> None:
    file, out, past = scene(bpy, tmp_path), tmp_path / "out", "2020-01-01T00:00+00:00"
    with studio(tmp_path / "worker", bpy) as farm:
        outcomes = render(farm, file, out, passes=4, until=past, pattern="f_##")
    assert said_of_until(past) in outcomes[2].warnings
    assert note(out / "f_01.exr") == "brender: 5 of 20 samples"
    assert frames(out) == ["f_01.exr", "f_02.exr"]


_ADAPTIVE = "scene.cycles.use_adaptive_sampling = True"


@pytest.mark.blender
@pytest.mark.thorough
def test_a_scene_whose_samples_cannot_be_shared_is_drafted_and_then_rendered_as_it_is(tmp_path: Path, bpy: Blender) -> None:
    file, out = scene(bpy, tmp_path, _ADAPTIVE), tmp_path / "out"
    with studio(tmp_path / "worker", bpy) as farm:
        spec = farm.job(file, out, job_type="blender-progressive", format="OPEN_EXR", pattern="f_##")
        assert (spec.settings["refine"], len(spec.warnings)) == ("draft", 1)
        assert spec.warnings[0].startswith(said_of_draft(8, "with adaptive sampling"))
        drafts = [farm.run(spec, 0), farm.run(spec, 1)]
        assert note(out / "f_01.exr") == "brender: a draft with 1/8 of its samples"
        frames_after = [farm.run(spec, 2), farm.run(spec, 3)]
        plain(farm, file, tmp_path / "plain", pattern="f_##")
    assert [outcome.ended.reason for outcome in (*drafts, *frames_after)] == [""] * 4
    assert frames(out) == ["f_01.exr", "f_02.exr"]
    for name in frames(out):
        assert note(out / name) == note(tmp_path / "plain" / name)
        numpy.testing.assert_array_equal(pixels(out / name), pixels(tmp_path / "plain" / name))


@pytest.mark.blender
@pytest.mark.thorough
def test_frames_are_denoised_in_each_pass(tmp_path: Path, bpy: Blender) -> None:
    file, out = scene(bpy, tmp_path, "scene.cycles.use_denoising = True"), tmp_path / "out"
    with studio(tmp_path / "worker", bpy) as farm:
        outcomes = render(farm, file, out, passes=2, pattern="f_##")
        plain(farm, file, tmp_path / "plain", pattern="f_##")
    assert all("denoising the picture" in outcome.log for outcome in outcomes)
    difference = numpy.abs(pixels(out / "f_01.exr") - pixels(tmp_path / "plain" / "f_01.exr"))
    assert difference.max() < 1e-3


def test_impossible_progressive_jobs_are_refused_in_a_sentence(tmp_path: Path, bpy: Blender) -> None:
    file = SCENES / "03_animated_cube.blend"
    with studio(tmp_path / "worker", bpy) as farm:
        for settings, words in (
            ({"engine": "workbench"}, "takes no samples"),
            ({"samples": 1}, "takes one sample"),
            ({"process": "in-order"}, "rendered in order"),
            ({"until": "tomorrow"}, "is not a time"),
            ({"until": "2026-05-01T08:00"}, "time zone"),
            ({"noise": -1}, "'noise' cannot be -1.0; it is 0 or more"),
        ):
            with pytest.raises(BadInput, match=words):
                farm.job(file, tmp_path / "out", job_type="blender-progressive", **settings)


def test_each_pass_doubles_the_samples_unless_frames_may_be_done_before_the_last(tmp_path: Path, bpy: Blender) -> None:
    file = SCENES / "03_animated_cube.blend"
    exact = "scene.cycles.use_adaptive_sampling = False"
    shot = cycles_scene(bpy, tmp_path / "shot.blend", exact)
    with studio(tmp_path / "worker", bpy) as farm:

        def shares(file: Path, **settings: object) -> tuple[object, object, int]:
            spec = farm.job(file, tmp_path / "out", job_type="blender-progressive", **settings)
            return spec.settings["refine"], spec.settings["passes"], first_share(spec.settings)

        assert shares(shot, samples=100) == (DOUBLING, 4, 8)
        assert shares(shot, samples=5) == (DOUBLING, 3, 4)
        assert shares(shot, samples=100, passes=8) == ("samples", 8, 8)
        assert shares(shot, samples=100, noise=0.1) == ("samples", 8, 8)
        assert shares(shot, samples=100, passes=6, refine=DOUBLING) == (DOUBLING, 6, 32)
        assert shares(file, samples=100, engine="eevee") == ("draft", 8, 8)
        assert shares(file, samples=100, engine="eevee", passes=4, refine=DOUBLING) == ("draft", 8, 8)
        with pytest.raises(BadInput, match="17 passes"):
            shares(shot, passes=17, refine=DOUBLING)
        kind = {"job_type": "blender-progressive", "engine": "eevee"}
        specs = [farm.job(file, tmp_path / "out", noise=noise, **kind) for noise in (0.0, 0.1)]
        assert [NOISE_OF_DRAFTS in spec.warnings for spec in specs] == [False, True]


@pytest.mark.blender
def test_what_passes_of_equal_shares_have_left_is_not_taken_for_those_of_passes_that_double(tmp_path: Path, bpy: Blender) -> None:
    file, out = scene(bpy, tmp_path), tmp_path / "out"
    with studio(tmp_path / "worker", bpy) as farm:
        render(farm, file, out, passes=3, until_pass=2, pattern="f_##")
        render(farm, file, out, passes=3, refine=DOUBLING, pattern="f_##")
        plain(farm, file, tmp_path / "plain", pattern="f_##")
    numpy.testing.assert_allclose(pixels(out / "f_01.exr"), pixels(tmp_path / "plain" / "f_01.exr"), atol=1e-5)


def test_eevee_is_drafted_and_few_samples_make_few_passes(tmp_path: Path, bpy: Blender) -> None:
    file = SCENES / "03_animated_cube.blend"
    with studio(tmp_path / "worker", bpy) as farm:
        spec = farm.job(file, tmp_path / "out", job_type="blender-progressive", engine="eevee", samples=4)
    assert passes_of(spec.settings) == 2
    assert spec.settings["passes"] == 4
    assert any(warning.startswith(said_of_draft(4, "shares of EEVEE's samples")) for warning in spec.warnings)
