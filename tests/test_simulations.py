"""Simulations: what simulates is known before a job is accepted, and what is not baked is rendered in order by one worker."""

import contextlib
import json
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import numpy
import pytest

from brender.blendfile.facts import inspect
from brender.engines.command_line import script_in
from brender.engines.environment import clean_environment
from brender.jobs.declare import job_type
from brender.model.job import LIMIT_MINUTES, STALL_MINUTES, FileFacts, JobSpec, check_limits
from brender.model.nodes import Blender
from brender.model.simulations import Simulation
from tests.rendering import studio
from tests.tools import in_blender, pixels
from tests.world import animation, facts

CLOTH = Simulation(kind="cloth", owner="Flag", first=1, last=250)
BAKED = Simulation(kind="cloth", owner="Flag", first=1, last=50, baked=(1, 50))


def prepared(*simulations: Simulation, **settings: Any) -> JobSpec:
    """A prepared job of a scene in which these simulate."""
    spec = animation(**{"frames": "1-40"} | settings)
    spec = msgspec.structs.replace(spec, facts=facts(simulations=simulations, last=250))
    return job_type("blender-animation").prepare(spec)


def still(*simulations: Simulation, **settings: Any) -> JobSpec:
    spec = JobSpec(
        id="1",
        name="still",
        job_type="blender-still",
        settings={"file": "/projects/shot.blend", "frame": 20, "pieces": 4, **settings},
        output="/renders",
        facts=facts(simulations=simulations, last=250),
    )
    return job_type("blender-still").prepare(spec)


def test_what_is_not_baked_is_one_task_in_order_and_the_job_says_so() -> None:
    spec, kind = prepared(CLOTH, frames="10-1", order="preview"), job_type("blender-animation")
    assert spec.settings["process"] == "in-order"
    assert kind.task_count(spec) == 1 and not kind.is_elastic(spec) and not kind.may_repeat(spec)
    assert [part.frame for part in kind.task(spec, 0).parts] == list(range(1, 11))
    (warning,) = spec.warnings
    assert warning.startswith("The cloth on 'Flag' is not baked: all frames are rendered in order by one worker")
    assert kind.prepare(spec) == spec, "preparing it again changes nothing"


def test_the_time_limit_of_all_frames_in_one_task_grows_with_them_unless_the_job_has_chosen_it() -> None:
    spec = prepared(CLOTH, frames="1-10")
    assert spec.limit_minutes == 10 * LIMIT_MINUTES and spec.stall_minutes == STALL_MINUTES
    assert prepared(CLOTH, frames="1-10", limit_minutes=90.0).limit_minutes == 90.0
    assert prepared(CLOTH, frames="1-10", limit_minutes=0.0).limit_minutes == 0.0
    assert prepared(CLOTH, frames="1-10", process="in-order", chunk=2).limit_minutes == 2 * LIMIT_MINUTES
    assert prepared(BAKED, frames="1-10").limit_minutes == LIMIT_MINUTES
    check_limits(prepared(CLOTH, frames="1-5000"))


@pytest.mark.parametrize(
    "simulations", [(), (BAKED,), (Simulation(kind="cloth", owner="Late", first=40, last=250),)], ids=["none", "baked", "later"]
)
def test_other_scenes_are_rendered_by_many_workers_without_a_word(simulations: tuple[Simulation, ...]) -> None:
    spec = prepared(*simulations)
    assert spec.settings["process"] == "warm" and job_type("blender-animation").task_count(spec) == 40
    assert spec.warnings == ()


def test_a_bake_that_ends_before_the_job_s_last_frame_is_named() -> None:
    (warning,) = prepared(BAKED, frames="1-100").warnings
    assert "is baked for frames 1 to 50 only, and the job has frames 1 to 100" in warning


def test_who_wants_another_process_gets_it_and_is_told_what_may_happen() -> None:
    spec = prepared(CLOTH, process="warm", chunk=5)
    assert spec.settings["process"] == "warm" and job_type("blender-animation").task_count(spec) == 8
    assert "frames may be wrong" in spec.warnings[0]
    spec = prepared(CLOTH, process="in-order", chunk=5)
    assert job_type("blender-animation").task_count(spec) == 8 and "each worker" in spec.warnings[0]


def test_a_still_of_what_is_not_baked_is_not_split() -> None:
    spec = still(CLOTH)
    assert (spec.settings["process"], spec.settings["pieces"]) == ("in-order", 1)
    assert "in one piece by one worker, after all frames before 20" in spec.warnings[0]
    assert still(BAKED).settings["pieces"] == 4


def test_three_simulations_are_all_named() -> None:
    (warning,) = prepared(*(Simulation(kind="cloth", owner=f"F{number}", first=5, last=250) for number in range(3))).warnings
    assert warning.startswith("The cloth on 'F0', the cloth on 'F1' and the cloth on 'F2' are not baked:")


def test_many_simulations_make_one_sentence() -> None:
    stones = Simulation(kind="rigid bodies", owner="Scene", first=1, last=250)
    many = [Simulation(kind="cloth", owner=f"Flag {number}", first=5, last=250) for number in range(1, 5)]
    (warning,) = prepared(*many, stones).warnings
    assert warning.startswith("The cloth on 'Flag 1', the cloth on 'Flag 2', the cloth on 'Flag 3' and 2 more are not baked:")
    assert "in order by one worker" in warning and "would not move rigid bodies" in warning


_NOT_MOVED = "`blender -b FILE -a` itself would not move "
_PARTICLES = "particles may lie a little otherwise"


@pytest.mark.parametrize(
    ("kind", "named", "otherwise", "bake"),
    [
        ("cloth", "The cloth on 'A' is", "", "it"),
        ("soft body", "The soft body 'A' is", f"({_NOT_MOVED}soft bodies)", "it"),
        ("rigid bodies", "The rigid bodies of the scene 'A' are", f"({_NOT_MOVED}rigid bodies)", "them"),
        ("particles", "The particles of 'A' are", f"({_PARTICLES}", "them"),
        ("hair dynamics", "The hair dynamics of 'A' are", "", "them"),
        ("dynamic paint", "The dynamic paint on 'A' is", "", "it"),
        ("simulation nodes", "The simulation nodes on 'A' are", f"({_NOT_MOVED}simulation nodes)", "them"),
        ("fluid", "The fluid in 'A' is", "", "it"),
        ("inverse kinematics", "The simulated inverse kinematics of 'A' are", "", "them"),
    ],
)
def test_sentences_about_simulations_agree_with_their_number(kind: str, named: str, otherwise: str, bake: str) -> None:
    one, other = (Simulation(kind=kind, owner=owner, first=1, last=250) for owner in "AB")
    (told,) = prepared(one).warnings
    assert told.startswith(f"{named} not baked: ") and otherwise in told and f"Bake {bake} in Blender" in told
    assert ("(" in told) == bool(otherwise)
    (told,) = prepared(one, other).warnings
    assert " 'B' are not baked: " in told and otherwise in told and "Bake them in Blender" in told
    (told,) = still(one).warnings
    assert told.startswith(f"{named} not baked: ") and otherwise in told and f"Bake {bake} in Blender" in told
    (told,) = still(Simulation(kind=kind, owner="A", first=1, last=250, baked=(7, 7))).warnings
    stands = "they stand" if bake == "them" else "it stands"
    assert told.startswith(f"{named} baked for frame 7 only, and the job has frame 20: outside of the bake {stands} still")


def test_all_that_blender_does_otherwise_is_said_of_many_kinds() -> None:
    kinds = ("soft body", "particles", "simulation nodes", "rigid bodies")
    moving = [Simulation(kind=kind, owner="A", first=1, last=250) for kind in kinds]
    for settings in ({}, {"process": "in-order", "chunk": 5}):
        (told,) = prepared(*moving, **settings).warnings
        assert f"({_NOT_MOVED}rigid bodies, simulation nodes and soft bodies; {_PARTICLES}" in told
    (told,) = prepared(Simulation(kind="baked fluid", owner="A", first=1, last=250)).warnings
    assert told == "The fluid in 'A' is not baked, and its cache is not of the type Replay: Blender renders without it"


def made(blender: Blender, folder: Path, *scenes: tuple[str, dict[str, Any]]) -> list[Path]:
    """The .blend files of these scenes (tests/scenes), made by *blender*."""
    files = [folder / f"{number}" / "shot.blend" for number in range(len(scenes))]
    wanted, answer = folder / "wanted.json", folder / "answer.json"
    listed = [{"scene": name, "values": values, "file": str(file)} for (name, values), file in zip(scenes, files, strict=True)]
    wanted.write_text(json.dumps(listed))
    words = [*script_in(blender, Path(__file__).parent / "scenes" / "make.py"), "--", str(wanted), str(answer)]
    subprocess.run(words, env=clean_environment({}), check=True, capture_output=True, stdin=subprocess.DEVNULL)
    assert json.loads(answer.read_text()) == {}
    return files


def by_the_tracer(file: Path) -> FileFacts:
    """What *file* says of itself where no Blender is at hand."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("brender.blendfile.facts.reader_for", lambda *_: contextlib.nullcontext())
        return inspect(file)


@pytest.mark.blender
def test_blender_and_the_tracer_agree_on_what_simulates_and_what_is_baked(bpy: Blender, tmp_path: Path) -> None:
    scenes = [("cloth", {}), ("cloth", {"baked": 3, "frames": (1, 3)}), ("rigid_bodies", {"frames": (1, 3)})]
    scenes += [("simulation_nodes", {"baked": baked, "frames": (1, 3)}) for baked in (False, True)]
    scenes += [("driven", {"expression": "bpy.app.version[0]", "text": "print()"}), ("driven", {"expression": "abs(frame) / 4"})]
    files = made(bpy, tmp_path, *scenes)
    found = []
    for file in files:
        asked, traced = inspect(file), by_the_tracer(file)
        assert traced.needs_trust == asked.needs_trust
        seen = [
            [(each.kind, each.owner, each.first, each.last, each.baked) for each in read.scenes[0].simulations]
            for read in (traced, asked)
        ]
        assert seen[0] == seen[1]
        found.append((seen[0], len(asked.needs_trust)))
    assert found == [
        ([("cloth", "Sheet", 1, 250, None)], 0),
        ([("cloth", "Sheet", 1, 3, (1, 3))], 0),
        ([("rigid bodies", "Scene", 1, 250, None)], 0),
        ([("simulation nodes", "Stone", 1, 3, None)], 0),
        ([("simulation nodes", "Stone", 1, 3, (1, 3))], 0),
        ([], 2),
        ([], 0),
    ]


@pytest.mark.blender
def test_a_task_in_order_that_is_begun_again_goes_on_with_the_same_state(bpy: Blender, tmp_path: Path) -> None:
    """Its missing frames alone are as if it had never been interrupted, though the scene begins after the simulation does."""
    (file,) = made(bpy, tmp_path, ("cloth", {"frames": (3, 8), "render_levels": 1}))
    with studio(tmp_path / "worker", bpy) as farm:
        for name, frames in (("whole", "3-8"), ("again", "6,8")):
            spec = farm.job(file, tmp_path / name, frames=frames, chunk=0)
            assert farm.run(spec).ended.reason == ""
    whole, again = ({frame: pixels(tmp_path / name / f"pic_{frame:04d}.png") for frame in (6, 8)} for name in ("whole", "again"))
    assert all(numpy.array_equal(whole[frame], again[frame]) for frame in whole)
    assert not numpy.array_equal(whole[6], whole[8]), "it moves, so the test proves something"


def test_cloth_above_something_that_moves_is_where_blender_s_own_animation_has_it(bpy: Blender, tmp_path: Path) -> None:
    (file,) = made(bpy, tmp_path, ("cloth", {"frames": (1, 8)}))
    in_blender(
        bpy,
        f"import bpy\nbpy.ops.wm.open_mainfile(filepath={str(file)!r})\ncube = bpy.context.scene.objects['Cube']\n"
        "for frame, angle in ((1, 0.0), (8, 2.0)):\n    cube.rotation_euler.z = angle\n"
        "    cube.keyframe_insert('rotation_euler', frame=frame)\n"
        f"bpy.ops.wm.save_mainfile()\nbpy.context.scene.render.filepath = {str(tmp_path / 'own' / 'pic_')!r}\n"
        "bpy.context.scene.render.use_file_extension = True\nbpy.ops.render.render(animation=True)\n",
        tmp_path,
    )
    with studio(tmp_path / "worker", bpy) as farm:
        assert farm.run(farm.job(file, tmp_path / "farm", frames="1-8", chunk=0)).ended.reason == ""
    for frame in (2, 4, 8):
        own, ours = (pixels(tmp_path / where / f"pic_{frame:04d}.png") for where in ("own", "farm"))
        assert numpy.array_equal(own, ours), f"frame {frame}"
