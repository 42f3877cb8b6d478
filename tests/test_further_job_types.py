"""The job types beside renders: scripts in Blender, films of pictures, and simulations that are baked first."""

import json
import subprocess
from copy import copy
from pathlib import Path

import msgspec
import pytest

from brender.bus.ids import new_id
from brender.bus.messages import Sorry
from brender.commands.localfarm import LocalFarm
from brender.commands.options import client
from brender.jobs.declare import job_type
from brender.jobs.edits import revise
from brender.jobs.stages import Wait
from brender.jobs.video import not_among, pictures_of
from brender.model.edit import Edit
from brender.model.errors import BadInput
from brender.model.job import BAKE, FILM, JobSpec
from brender.model.nodes import Blender
from brender.model.simulations import Simulation
from tests.rendering import studio
from tests.test_edits import edit, stop
from tests.tools import command, ended, in_blender
from tests.web import picture
from tests.world import World, animation, facts, farm_of_two

CLOTH = Simulation(kind="cloth", owner="Plane", first=1, last=8)


def simulating(*simulations: Simulation, **settings: object) -> JobSpec:
    about = facts()
    scenes = tuple(msgspec.structs.replace(scene, simulations=simulations) for scene in about.scenes)
    spec = msgspec.structs.replace(animation("1-3", chunk=1, **settings), job_type="blender-bake")
    return msgspec.structs.replace(spec, facts=msgspec.structs.replace(about, scenes=scenes))


def test_frames_wait_for_the_bake_and_the_film_for_the_frames() -> None:
    world = farm_of_two()
    spec = simulating(CLOTH, film="a.mp4")
    world.submit(spec)
    pieces = [part["piece"] for part in world.ask("parts", job=spec.id)]
    assert pieces == [BAKE, 0, 0, 0, FILM]
    held = [part.piece for stub in world.workers.values() if stub.core.running for part in stub.core.running.parts]
    assert held == [BAKE]
    assert world.finish_everything() == [1, 1, 2, 3, 3]
    assert world.status(spec.id) == "completed"
    kind = job_type("blender-bake")
    stages = kind.stages(kind.prepare(spec))
    assert [(stage.name, stage.after) for stage in stages] == [
        ("bake", ()),
        ("frames", (Wait("bake"),)),
        ("film", (Wait("frames"),)),
    ]


@pytest.mark.parametrize("more", [{}, {"film": "a.mp4", "denoise_after": True}])
@pytest.mark.parametrize("done", ["nothing", "bake", "all"])
def test_frames_come_and_go_of_a_job_that_bakes_first_and_it_is_baked_once(more: dict[str, object], done: str) -> None:
    world = farm_of_two()
    spec = simulating(CLOTH, **more)
    job = world.submit(spec)["id"]
    if done == "bake":
        world.finish("one")
        world.finish(next(name for name, stub in world.workers.items() if stub.running is not None))
    elif done == "all":
        world.finish_everything()
    assert not isinstance(edit(world, job, settings={"frames": "2-6"}), Sorry)
    stop(world)
    at_work = [part.piece for stub in world.workers.values() if stub.running for part in stub.running.parts]
    assert done != "nothing" or at_work == [BAKE], "the new frames wait for it, too"
    world.start_server()
    world.run(20.0)
    assert not isinstance(edit(world, job, settings={"frames": "1-7"}), Sorry)
    rendered = world.finish_everything()
    record, parts = world.ask("job", id=job), world.ask("parts", job=job)
    assert (record["status"], record["failures"]) == ("completed", 0) and record["completed_parts"] == record["part_count"]
    baked = {part["task"] for part in parts if part["piece"] == BAKE}
    assert sum(each["task"] in baked for each in world.ask("attempts", job=job)) == 1
    assert sorted(part["frame"] for part in parts if part["piece"] == 0) == [1, 2, 3, 4, 5, 6, 7]
    assert done != "all" or not {2, 3} & set(rendered), "what is done stays"
    assert world.server.dispatch.audit() == []


def bakes(world: World, job: str) -> list[str]:
    """How the attempts at the bake of *job* stand."""
    (baked,) = {part["task"] for part in world.ask("parts", job=job) if part["piece"] == BAKE}
    return [each["outcome"] for each in world.ask("attempts", job=job) if each["task"] == baked]


@pytest.mark.parametrize("done", ["nothing", "frame", "all"])
def test_a_bake_stays_where_frames_are_to_look_otherwise_unless_another_blender_makes_it(done: str) -> None:
    world = farm_of_two()
    world.sweep_size = 1
    world.start_server()
    job = world.submit(simulating(CLOTH, film="a.mp4"))["id"]
    world.run(3.0)
    if done == "frame":
        world.finish("one")
        world.run(3.0)
        world.finish("one")
    elif done == "all":
        world.finish_everything()
    assert not isinstance(edit(world, job, settings={"samples": 9}), Sorry)
    world.start_server()
    stop(world)
    assert bakes(world, job) == (["live"] if done == "nothing" else ["completed"])
    world.run(20.0)
    again = sorted(world.finish_everything())
    assert again == ([1] if done == "nothing" else []) + [1, 2, 3, 3], "all frames are rendered again, and the film"
    assert bakes(world, job) == ["completed"] and world.status(job) == "completed"
    assert not isinstance(edit(world, job, settings={"blender": "5.0"}), Sorry)
    assert sorted(world.finish_everything()) == [1, 1, 2, 3, 3] and bakes(world, job) == ["completed"] * 2
    assert world.server.dispatch.audit() == []


def test_what_others_make_before_their_frames_is_not_taken_to_serve_more_of_them() -> None:
    kind = copy(job_type("blender-bake"))
    more, spec = Edit(settings={"frames": "1-4"}), kind.prepare(simulating(CLOTH))
    assert revise(kind, spec, more).spec.settings["frames"] == "1-4"
    *_, told = revise(kind, spec, Edit(settings={"frames": "1-9"})).spec.warnings
    assert told.startswith("The cloth on 'Plane' is baked for frames 1 to 8 only, and the job has frames 1 to 9"), told
    kind.first_serves_all = False
    with pytest.raises(BadInput, match="what its type makes first would not serve them: `brender clone"):
        revise(kind, spec, more)


def test_nothing_to_bake_or_what_keeps_its_cache_in_files_is_refused() -> None:
    kind = job_type("blender-bake")
    with pytest.raises(BadInput, match="has no simulation that is still to bake"):
        kind.prepare(simulating())
    fluid = Simulation(kind="fluid", owner="Domain", first=1, last=8)
    with pytest.raises(BadInput, match=r"The fluid in 'Domain' keeps its cache in files: bake it in Blender"):
        kind.prepare(simulating(fluid))


def script(trusted: bool = True, **settings: object) -> JobSpec:
    plain = animation("1")
    given = {"file": plain.settings["file"], "script": "s.py", "text": "pass", **settings}
    return msgspec.structs.replace(plain, job_type="script", settings=given, trusted=trusted)


def test_a_script_runs_once_or_once_a_frame_and_only_where_it_is_trusted() -> None:
    kind = job_type("script")
    assert kind.task_count(kind.prepare(script())) == 1
    assert kind.task_count(kind.prepare(script(frames="1-5", chunk=2))) == 3
    assert kind.requirements(kind.prepare(script())).trusted
    with pytest.raises(BadInput, match="submit it with --trusted"):
        kind.prepare(script(trusted=False))
    with pytest.raises(BadInput, match="is not a placeholder"):
        kind.prepare(script(arguments=["{nope}"]))


def video(**settings: object) -> JobSpec:
    given = {"pictures": "/r/shot_##.png", "frames": "1-3", **settings}
    return JobSpec(id=new_id(), name="film", job_type="video", settings=given, output="/films")


def test_a_film_of_pictures_has_one_task_and_names_its_pictures() -> None:
    kind = job_type("video")
    spec = kind.prepare(video())
    assert pictures_of(spec.settings) == [(1, "/r/shot_01.png"), (2, "/r/shot_02.png"), (3, "/r/shot_03.png")]
    assert [part.output for part in kind.task(spec, 0).parts] == ["film.mp4"]
    for settings, why in (
        ({"pictures": "/r/one.png"}, "names one picture"),
        ({"pictures": "/r/a_#.exr"}, "pictures for the screen"),
    ):
        with pytest.raises(BadInput, match=why):
            kind.prepare(video(**settings))


_SCENES = """
import bpy, math, struct, wave
bpy.ops.wm.read_factory_settings()
with wave.open({sound!r}, "wb") as file:
    file.setnchannels(1), file.setsampwidth(2), file.setframerate(48000)
    file.writeframes(b"".join(struct.pack("<h", int(9000 * math.sin(i / 17))) for i in range(24000)))
scene = bpy.context.scene
scene.name = "One"
scene.render.engine, scene.cycles.samples, scene.cycles.use_denoising = "CYCLES", 1, False
scene.render.resolution_x, scene.render.resolution_y = 64, 48
scene.frame_start, scene.frame_end = 1, 6
editor = scene.sequence_editor_create()
(editor.strips if hasattr(editor, "strips") else editor.sequences).new_sound("tone", {sound!r}, 1, 1)
bpy.ops.mesh.primitive_grid_add(x_subdivisions=8, y_subdivisions=8, size=3, location=(0, 0, 2))
bpy.context.object.modifiers.new("Cloth", "CLOTH").point_cache.frame_end = 6
other = scene.copy()
other.name = "Two"
other.use_fake_user, other.frame_end = True, 5
bpy.ops.wm.save_as_mainfile(filepath={file!r})
"""


def simulation_file(bpy: Blender, folder: Path) -> Path:
    file = folder / "shot.blend"
    in_blender(bpy, _SCENES.format(file=str(file), sound=str(folder / "tone.wav")), folder)
    return file


@pytest.mark.thorough
def test_two_scenes_are_baked_rendered_and_made_films_with_their_sound(
    bpy: Blender, module_farm: LocalFarm, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, data = simulation_file(bpy, tmp_path), module_farm.folder.root
    for scene, first, frames in (("One", 3, 6), ("Two", 5, 5)):
        out, name = tmp_path / scene, f"baked {scene}"
        words = ("--type", "blender-bake", file, "--scene", scene, "--film", "shot.mp4", "--output", out, "--name", name)
        assert command(capsys, "submit", "--data", data, *words, "--frames", f"1-{first}", "--wait").code == 0
        there = {each: each.stat().st_mtime_ns for each in (*out.glob("*.png"), *out.glob(".baked/*"))}
        assert len(there) == first + 1
        if frames > first:
            # Simulations are baked for all of their own frames, so that more of these can be rendered later.
            with client(None, data) as connection:
                assert command(capsys, "edit", "--data", data, name, "--frames", f"1-{frames}").code == 0
                (job,) = (each["id"] for each in connection.ask("jobs") if each["name"] == name)
                assert ended(connection, job)["status"] == "completed"
        assert {each: each.stat().st_mtime_ns for each in there} == there, "what is done stays, the bake too"
        told = streams(out / "shot.mp4")
        assert [each["codec_name"] for each in told] == ["h264", "aac"]
        assert int(told[0]["nb_read_packets"]) == frames
    # What a single process renders of the bake in order is what the workers rendered of it, in any order. (Of the file before
    # the bake, Blender's own animation shows other states: it simulates otherwise while it renders than while it bakes.)
    (bake,) = (tmp_path / "One").glob(".baked/*.blend")
    with studio(tmp_path / "worker", bpy) as alone:
        assert alone.job(file, tmp_path / "before", scene="One").settings["process"] == "in-order"
        spec = alone.job(bake, tmp_path / "in-order", scene="One", pattern="shot_####", process="in-order")
        assert alone.run(spec).ended.reason == ""
    for frame in (1, 6):
        baked = next((tmp_path / "One").glob(f"*{frame:04d}.png"))
        assert pixels(baked) == pixels(tmp_path / "in-order" / f"shot_{frame:04d}.png")
    assert pixels(next((tmp_path / "One").glob("*0001.png"))) != pixels(next((tmp_path / "One").glob("*0006.png")))


def streams(film: Path) -> list[dict[str, str]]:
    words = ["ffprobe", "-v", "error", "-count_packets", "-show_streams", "-of", "json", str(film)]
    return list(json.loads(subprocess.run(words, check=True, capture_output=True).stdout)["streams"])


def pixels(file: Path) -> bytes:
    words = ["ffmpeg", "-v", "error", "-i", str(file), "-f", "rawvideo", "-pix_fmt", "rgba", "-"]
    return subprocess.run(words, check=True, capture_output=True).stdout


@pytest.mark.thorough
def test_a_script_writes_files_of_its_job_and_fails_with_its_own_error(bpy: Blender, tmp_path: Path) -> None:
    code = (
        "import bpy, sys, os\n"
        "out, frame = sys.argv[sys.argv.index('--') + 1:]\n"
        "os.makedirs(os.path.join(out, 'notes'))\n"
        "open(os.path.join(out, 'notes', frame + '.txt'), 'w').write(str(bpy.context.scene.frame_current))\n"
        "assert frame != '3', 'three is bad'\n"
    )
    file = simulation_file(bpy, tmp_path)
    how = {"script": "s.py", "text": code, "arguments": ["{output}", "{frame}"], "frames": "2-3"}
    with studio(tmp_path / "worker", bpy) as farm:
        spec = farm.job(file, tmp_path / "out", job_type="script", trusted=True, **how)
        outcomes = [farm.run(spec, 0), farm.run(spec, 1)]
    assert [outcome.ended.reason for outcome in outcomes] == ["", "s.py, line 5: AssertionError: three is bad"]
    assert (tmp_path / "out" / "notes" / "2.txt").read_text() == "2"
    assert not (tmp_path / "out" / "notes" / "3.txt").exists(), "what failed leaves no files"


@pytest.mark.thorough
def test_a_film_is_made_of_pictures_with_a_sound_file(
    bpy: Blender, module_farm: LocalFarm, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    simulation_file(bpy, tmp_path)
    for frame in range(1, 5):
        picture(tmp_path / f"p_{frame:02d}.png", size=(64, 32))
    settings = (
        f"pictures={tmp_path / 'p_##.png'}",
        "frames=1-4",
        f"sound={tmp_path / 'tone.wav'}",
        "film=a.webm",
        "film_rate=12",
    )
    words = [word for each in settings for word in ("--set", each)]
    out = ("--output", tmp_path / "out", "--wait")
    assert command(capsys, "submit", "--data", module_farm.folder.root, "--type", "video", *words, *out).code == 0
    told = streams(tmp_path / "out" / "a.webm")
    assert [each["codec_name"] for each in told] == ["vp9", "opus"]
    assert (told[0]["r_frame_rate"], told[0]["nb_read_packets"]) == ("12/1", "4")


@pytest.mark.parametrize("restarts", [False, True])
def test_where_files_travel_frames_are_given_the_bake(restarts: bool) -> None:
    world = World()
    world.add_worker("one")
    spec = msgspec.structs.replace(simulating(CLOTH, film="a.mp4", file="shot.blend"), bundle="b" * 64, output="")
    world.submit(spec)
    given = []
    for number in range(5):
        grant = world.workers["one"].running
        assert grant is not None
        (part,) = grant.parts
        given.append((part.piece, grant.pieces))
        world.finish_part("one", digest=f"{part.piece} of {part.frame}")
        world.end("one")
        if restarts and number == 1:
            world.start_server()
            world.run(20.0)
    baked = f"{BAKE} of 1"
    frames = tuple(f"0 of {frame}" for frame in (1, 2, 3))
    assert given == [(BAKE, ()), *[(0, (baked,))] * 3, (FILM, (*frames, baked))]
    assert world.status(spec.id) == "completed"


@pytest.mark.thorough
def test_files_of_bakes_scripts_and_films_of_pictures_travel(
    bpy: Blender, module_farm: LocalFarm, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, data = simulation_file(bpy, tmp_path), module_farm.folder.root

    def submit(name: str, *words: object) -> Path:
        """Submit a job called *name* whose files travel, wait for it, and fetch what it has made."""
        assert command(capsys, "submit", "--data", data, "--send", "--name", name, "--wait", *words).code == 0
        assert command(capsys, "fetch", "--data", data, name, "--to", tmp_path / name).code == 0
        return tmp_path / name

    baked = submit("baked", "--type", "blender-bake", file, "--scene", "One", "--frames", "1-3", "--pattern", "f_####")
    here = tmp_path / "here"
    words = ("--type", "blender-bake", file, "--scene", "One", "--frames", "1-3", "--pattern", "f_####", "--output", here)
    assert command(capsys, "submit", "--data", data, *words, "--wait").code == 0
    assert sorted(each.name for each in baked.iterdir()) == ["f_0001.png", "f_0002.png", "f_0003.png"]
    assert pixels(baked / "f_0003.png") == pixels(here / "f_0003.png")

    (tmp_path / "s.py").write_text("import os, sys\nopen(os.path.join(sys.argv[-2], sys.argv[-1] + '.txt'), 'w').write('done')\n")
    arguments = ("--set", "arguments={output}", "--set", "arguments={frame}")
    script = ("--set", f"script={tmp_path / 's.py'}", "--frames", "1-2", "--trusted", *arguments)
    written = submit("written", "--type", "script", file, *script)
    assert {each.name: each.read_text() for each in written.iterdir()} == {"1.txt": "done", "2.txt": "done"}

    film = ("--set", f"pictures={baked / 'f_####.png'}", "--set", "frames=1-3", "--set", f"sound={tmp_path / 'tone.wav'}")
    made = submit("made", "--type", "video", *film, "--set", "film=v.mp4")
    assert [each["codec_type"] for each in streams(made / "v.mp4")] == ["video", "audio"]


@pytest.mark.parametrize("named", [{"sound": "/home/anna/secret.wav"}, {"frames": "1-4"}])
def test_a_film_of_pictures_that_travel_takes_nothing_else_from_a_machine(named: dict[str, str]) -> None:
    settings = {"pictures": "p/a_#.png", "frames": "1-3", "sound": ""} | named
    assert not_among(settings, {"p/a_1.png", "p/a_2.png", "p/a_3.png"})
    assert not not_among({"file": "shot.blend"}, {"shot.blend"})


@pytest.mark.thorough
def test_what_cannot_travel_is_said_before_anything_is_sent(
    module_farm: LocalFarm, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = module_farm.folder.root
    refused = command(capsys, "submit", "--data", data, "--send", "--type", "command", "--", "true")
    assert refused.code == 2 and "has no files that travel: leave out --send" in refused.err
    film = ("--type", "video", "--set", f"pictures={tmp_path / 'f_##.png'}", "--set", "frames=1-3")
    refused = command(capsys, "submit", "--data", data, "--send", *film)
    assert refused.code == 2 and f"{tmp_path / 'f_01.png'} cannot be read" in refused.err
