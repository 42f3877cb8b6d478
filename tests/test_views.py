"""Stereo and other views, view layers, file-output nodes of scenes in a sequencer: the files that Blender itself writes."""

import contextlib
from pathlib import Path

import msgspec
import numpy
import pytest

from brender.blendfile.facts import inspect
from brender.engines import inside
from brender.jobs.declare import job_type
from brender.model.errors import BadInput
from brender.model.job import FileFacts, JobSpec, LayerFacts, SceneFacts
from brender.model.nodes import Blender
from brender.model.views import suffixes_of, view_suffixes
from tests.rendering import studio
from tests.tools import command, in_blender, pixels
from tests.viewing import LAYERS, STEREO, STRIP, THREE, viewed

_SCENE = SceneFacts(name="s", first=1, last=2, width=16, height=12, percent=100, engine="CYCLES", image_format="PNG", camera="c")
_STEREO = msgspec.structs.replace(_SCENE, views=("_L", "_R"), views_format="INDIVIDUAL")
_LAYERED = msgspec.structs.replace(_SCENE, layers=(LayerFacts("A"), LayerFacts("B/b"), LayerFacts("Off", False)))


def _prepared(scene: SceneFacts, kind: str = "blender-animation", **settings: object) -> JobSpec:
    facts = FileFacts(path="/a/s.blend", version=(5, 0), active_scene="s", scenes=(scene,))
    spec = JobSpec(id="j", name="s", job_type=kind, settings={"file": "/a/s.blend", **settings}, output="/out", facts=facts)
    return job_type(kind).prepare(spec)


def _outputs(spec: JobSpec) -> list[str]:
    kind = job_type(spec.job_type)
    return [part.output for index in range(kind.task_count(spec)) for part in kind.task(spec, index).parts]


def _names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("views_format", "image_format", "names"),
    [
        ("INDIVIDUAL", "PNG", ("_L", "_R")),
        ("STEREO_3D", "PNG", ()),
        ("MULTIVIEW", "OPEN_EXR", ()),
        ("MULTIVIEW", "JPEG", ("_L", "_R")),
        ("STEREO_3D", "OPEN_EXR_MULTILAYER", ("_L", "_R")),
    ],
)
def test_views_have_files_of_their_own_where_their_format_cannot_hold_them(
    views_format: str, image_format: str, names: tuple[str, ...]
) -> None:
    scene = msgspec.structs.replace(_STEREO, views_format=views_format, image_format="OPEN_EXR")
    assert suffixes_of(scene, image_format, (5, 0)) == names


def test_a_job_whose_file_or_format_is_not_known_has_one_picture_a_frame() -> None:
    spec = _prepared(_STEREO, format="PNG")
    assert view_suffixes(spec) == ("_L", "_R")
    assert view_suffixes(msgspec.structs.replace(spec, facts=None)) == ()
    assert view_suffixes(msgspec.structs.replace(spec, settings={"file": "/a/s.blend"})) == ()


def test_a_job_of_before_layers_were_chosen_has_its_pattern_as_it_stands() -> None:
    spec = _prepared(_SCENE)
    old = spec.settings | {"pattern": "{view_layer}_##", "view_layers": None}
    assert _outputs(msgspec.structs.replace(spec, settings=old)) == ["{view_layer}_01.png", "{view_layer}_02.png"]


@pytest.mark.parametrize("suffix", ["/../../zz", "\\..\\zz", ":L", "_L?"])
def test_a_view_whose_suffix_leads_elsewhere_or_is_no_name_is_refused(suffix: str) -> None:
    for kind in ("blender-animation", "blender-still"):
        with pytest.raises(BadInput, match=r"a view of the scene 's' has the file suffix .* Change it in Blender"):
            _prepared(msgspec.structs.replace(_STEREO, views=(suffix, "_R")), kind)


@pytest.mark.blender
def test_no_picture_of_a_view_is_written_outside_of_the_job_s_folder(blender: Blender, tmp_path: Path) -> None:
    away = "render.views['left'].file_suffix = '/../../../../zz'"
    file = viewed(blender, tmp_path / "in" / "deep" / "s.blend", f"{STEREO}image.views_format = 'INDIVIDUAL'\n{away}")
    with studio(tmp_path / "worker", blender) as farm:
        with pytest.raises(BadInput, match="has the file suffix"):
            farm.job(file, tmp_path / "in" / "deep" / "out")
        facts = inspect(file)
        scene = msgspec.structs.replace(facts.scenes[0], views=("_L", "_R"))
        harmless = msgspec.structs.replace(facts, scenes=(scene,))  # as if the file had been changed since
        spec = JobSpec(
            id="j",
            name="s",
            job_type="blender-animation",
            settings={"file": str(file)},
            output=str(tmp_path / "in" / "deep" / "out"),
            facts=harmless,
        )
        spec = job_type(spec.job_type).prepare(spec)
        assert "leads to another folder" in farm.run(spec).ended.reason
        views = msgspec.structs.replace(spec, facts=facts)  # a server that has not checked it
        assert "does not lie in its job's folder" in farm.run(views).ended.reason
    assert not list(tmp_path.rglob("zz*")) and not list(tmp_path.rglob("*.png"))


def test_a_frame_is_called_as_its_first_view() -> None:
    assert _outputs(_prepared(_STEREO, pattern="a/x_##")) == ["a/x_01_L.png", "a/x_02_L.png"]


def test_each_layer_has_files_of_its_own_where_the_pattern_names_it() -> None:
    spec = _prepared(_LAYERED, pattern="{view_layer}/x_##", chunk=1)
    assert _outputs(spec) == ["A/x_01.png", "B_b/x_01.png", "A/x_02.png", "B_b/x_02.png"], "those that are on"
    assert job_type(spec.job_type).part_count(spec) == 4
    assert [part.layer for part in job_type(spec.job_type).task(spec, 0).parts] == ["A", "B/b"]
    assert _outputs(_prepared(_LAYERED, pattern="{view_layer}_##", view_layers=["Off"])) == ["Off_01.png", "Off_02.png"]
    assert job_type(spec.job_type).prepare(spec) == spec


def test_layers_that_cannot_be_rendered_are_refused() -> None:
    with pytest.raises(BadInput, match="no view layer 'C'; it has: 'A', 'B/b', 'Off'"):
        _prepared(_LAYERED, view_layers=["C"])
    with pytest.raises(BadInput, match="would both write files called 'b_b'"):
        both = msgspec.structs.replace(_SCENE, layers=(LayerFacts("b/b"), LayerFacts("b:b")))
        _prepared(both, pattern="{view_layer}_##")
    with pytest.raises(BadInput, match="every one is off"):
        _prepared(msgspec.structs.replace(_SCENE, layers=(LayerFacts("A", False),)), pattern="{view_layer}_##")
    with pytest.raises(BadInput, match="leave --pieces out"):
        _prepared(_LAYERED, kind="blender-still", pattern="{view_layer}_##")


def test_what_is_done_otherwise_with_layers_is_said() -> None:
    composited = msgspec.structs.replace(_LAYERED, composited=True)
    (said,) = _prepared(composited, view_layers=["A"]).warnings
    assert "its compositor takes from other view layers ('B/b', 'Off') is empty" in said
    (said,) = _prepared(composited, pattern="{view_layer}_##").warnings
    assert "without its compositor" in said
    (said,) = _prepared(msgspec.structs.replace(_SCENE, layers=(LayerFacts("A", False),))).warnings
    assert "is off, so its pictures are empty" in said


@pytest.mark.blender
def test_each_view_is_a_file_of_the_frame_as_blender_itself_writes_it(blender: Blender, tmp_path: Path) -> None:
    scene = viewed(blender, tmp_path / "a" / "s.blend", STEREO + 'file_outputs(scene, "//nodes")', direct=True)
    nodes = tmp_path / "a" / "nodes"
    own_nodes = {name: pixels(nodes / name) for name in _names(nodes)}
    for name in own_nodes:
        (nodes / name).unlink()
    out = tmp_path / "out"
    with studio(tmp_path / "w", blender) as worker:
        outcome = worker.run(worker.job(scene, out, frames="1-2"))
        assert not outcome.ended.reason
        assert (
            _names(out) == ["s_0001_L.png", "s_0001_R.png", "s_0002_L.png", "s_0002_R.png"] == _names(tmp_path / "a" / "direct")
        )
        assert [part.output for part in outcome.parts] == ["s_0001_L.png", "s_0002_L.png"]
        assert "s_0001_R.png" in {further.output for further in outcome.parts[0].further_files}
        assert _names(nodes) == sorted(own_nodes), "of nodes too"
        for name in _names(out):
            assert numpy.array_equal(pixels(out / name), pixels(tmp_path / "a" / "direct" / name))
        assert not numpy.array_equal(pixels(out / "s_0001_L.png"), pixels(out / "s_0001_R.png"))
        (out / "s_0002_R.png").unlink()
        again = worker.run(worker.job(scene, out, frames="1-2"))
    assert [part.kept for part in again.parts] == [True, False], "a frame is there when all its views are"
    assert [further.output for further in again.parts[0].further_files] == ["s_0001_R.png"]
    assert len(_names(out)) == 4


@pytest.mark.blender
@pytest.mark.parametrize(
    ("changes", "files"),
    [
        (STEREO + 'image.views_format = "STEREO_3D"\nimage.stereo_3d_format.display_mode = "SIDEBYSIDE"', ["s_0001.png"]),
        pytest.param(
            STEREO + 'image.views_format = "STEREO_3D"\nimage.stereo_3d_format.display_mode = "TOPBOTTOM"',
            ["s_0001.png"],
            marks=pytest.mark.thorough,
        ),
        pytest.param(
            STEREO + 'image.file_format = "OPEN_EXR"\nimage.use_preview = True',
            ["s_0001_L.exr", "s_0001_L.jpg", "s_0001_R.exr", "s_0001_R.jpg"],
            marks=pytest.mark.thorough,
        ),
        pytest.param(
            THREE + 'image.file_format = "OPEN_EXR"\nimage.views_format = "MULTIVIEW"',
            ["s_0001.exr"],
            marks=pytest.mark.thorough,
        ),
        pytest.param(THREE, ["s_0001_C.png", "s_0001_L.png", "s_0001_R.png"], marks=pytest.mark.thorough),
        pytest.param(STEREO + 'render.views["right"].use = False', ["s_0001_L.png"], marks=pytest.mark.thorough),
    ],
)
def test_views_in_one_picture_and_in_several_are_as_blender_writes_them(
    bpy: Blender, tmp_path: Path, changes: str, files: list[str]
) -> None:
    scene = viewed(bpy, tmp_path / "a" / "s.blend", changes + "\nscene.frame_end = 1", direct=True)
    with studio(tmp_path / "w", bpy) as worker:
        outcome = worker.run(worker.job(scene, tmp_path / "out"))
    assert not outcome.ended.reason
    assert _names(tmp_path / "out") == files == _names(tmp_path / "a" / "direct")
    for name in files:
        assert numpy.array_equal(pixels(tmp_path / "out" / name), pixels(tmp_path / "a" / "direct" / name))


@pytest.mark.blender
def test_view_layers_are_rendered_together_or_each_to_files_of_its_own(bpy: Blender, tmp_path: Path) -> None:
    scene = viewed(bpy, tmp_path / "a" / "s.blend", LAYERS + 'file_outputs(scene, "//nodes")')
    facts = inspect(scene)
    assert facts.scenes[0].composited and [layer.use for layer in facts.scenes[0].layers] == [True, True, False]
    first = facts.scenes[0].layers[0].name
    with studio(tmp_path / "w", bpy) as worker:
        apart = worker.run(worker.job(scene, tmp_path / "apart", frames="1", pattern="{view_layer}_####"))
        assert not apart.ended.reason
        assert _names(tmp_path / "apart") == sorted([f"{first}_0001.png", "Props_ near_0001.png"])
        assert not (tmp_path / "a" / "nodes").exists(), "the compositor takes no part"
        chosen = worker.run(worker.job(scene, tmp_path / "one", frames="1", view_layers=["Props: near"], pattern="x_####"))
        assert not chosen.ended.reason
        whole = worker.run(worker.job(scene, tmp_path / "whole", frames="1", pattern="x_####"))
        assert not whole.ended.reason
        unknown = worker.job(scene, tmp_path / "none", frames="1")
        unknown.settings["view_layers"] = ["Gone"]
        assert "has no view layer 'Gone'" in worker.run(unknown).ended.reason
    with_cube, without = (pixels(tmp_path / "apart" / f"{name}_0001.png") for name in (first, "Props_ near"))
    assert with_cube.std() > 0.01 and without[..., :3].std() < 0.02
    assert numpy.array_equal(pixels(tmp_path / "whole" / "x_0001.png"), with_cube), "the first layer, as ever"
    assert not pixels(tmp_path / "one" / "x_0001.png").any(), "the compositor takes a layer that is off now"


@pytest.mark.blender
def test_file_output_nodes_of_a_scene_in_the_sequencer_have_the_number_of_its_frame(blender: Blender, tmp_path: Path) -> None:
    scene = viewed(blender, tmp_path / "a" / "s.blend", STRIP)
    with studio(tmp_path / "w", blender) as worker:
        outcome = worker.run(worker.job(scene, tmp_path / "out", frames="1-2", samples=2))
    assert not outcome.ended.reason
    assert "--samples" in outcome.warnings[0], "they are those of the other scene"
    assert _names(tmp_path / "a" / "nodes") == ["n_at_11_.png", "n_at_12_.png", "n_plain0011.png", "n_plain0012.png"]
    assert len(outcome.parts[0].further_files) == 2
    said = [text for text in outcome.warnings if "'other', which the sequencer of 'Scene' shows" in text]
    assert len(said) == (1 if blender.kind == "bpy" else 0), "Blender 5 would number none of them"


@pytest.mark.blender
def test_both_readers_tell_the_same_of_views_and_layers(bpy: Blender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = viewed(bpy, tmp_path / "s.blend", THREE + LAYERS + 'file_outputs(scene, "//nodes")')
    (told,) = inspect(scene).scenes
    monkeypatch.setattr("brender.blendfile.facts.reader_for", lambda *_: contextlib.nullcontext())
    (traced,) = inspect(scene).scenes
    for name in ("layers", "views", "views_format", "composited"):
        assert getattr(told, name) == getattr(traced, name), name
    assert told.views == ("_L", "_R", "_C") and len(told.layers) == 3


@pytest.mark.blender
def test_all_views_of_a_sent_scene_come_back_and_are_deleted(
    apart: tuple[Path, Path], bpy: Blender, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, mine = apart
    scene = viewed(bpy, mine.parent / "private" / "views" / "stereo.blend", STEREO)
    said = command(capsys, "submit", scene, "--send", "--pattern", "x_", "--wait", "--data", mine)
    assert said.code == 0, said.err
    assert "4 files fetched" in command(capsys, "fetch", "stereo", "--to", tmp_path / "got", "--data", mine).out
    assert _names(tmp_path / "got") == ["x_0001_L.png", "x_0001_R.png", "x_0002_L.png", "x_0002_R.png"]
    assert not numpy.array_equal(*(pixels(tmp_path / "got" / f"x_0001_{side}.png") for side in "LR"))


#: Renders a scene whose sequencer has one red strip, which is seen, muted, or in a channel that is, and notes of each picture
#: whether it shows the strip (or nothing), and whether it is held to come from the sequencer.
_MUTED = """
import sys
sys.path.insert(0, INSIDE)
import bpy, sequencer
scene = bpy.context.scene
scene.render.engine, scene.cycles.samples = "CYCLES", 1
scene.render.resolution_x = scene.render.resolution_y = 8
scene.render.filepath = FOLDER + "/picture.png"
editor = scene.sequence_editor_create()
strips, end = (editor.strips, {"length": 9}) if bpy.app.version >= (5, 0) else (editor.sequences, {"frame_end": 9})
strip = strips.new_effect(name="red", type="COLOR", channel=1, frame_start=1, **end)
strip.color = (1, 0, 0)
for muted, channel in ((False, False), (True, False), (False, True)):
    strip.mute, editor.channels[1].mute = muted, channel
    bpy.ops.render.render(write_still=True)
    picture = bpy.data.images.load(scene.render.filepath)
    red, green, _, alpha = picture.pixels[:4]
    bpy.data.images.remove(picture)
    is_seen = red > green + 0.2 or alpha == 0
    open(FOLDER + "/found", "a").write("%s %s\\n" % (is_seen, sequencer.makes_picture(scene)))
"""


def test_a_picture_comes_from_the_sequencer_where_blender_takes_it_from_there(bpy: Blender, tmp_path: Path) -> None:
    code = _MUTED.replace("INSIDE", repr(str(Path(inside.__file__).parent))).replace("FOLDER", repr(str(tmp_path)))
    in_blender(bpy, code, tmp_path)
    found = [line.split() for line in (tmp_path / "found").read_text().splitlines()]
    assert [seen == held for seen, held in found] == [True, True, True] and found[0] == ["True", "True"]


#: The scene's compositor shows another scene; what is said of options that count for the first alone, and once that is muted.
_COMPOSITED = """
import sys
sys.path.insert(0, INSIDE)
import bpy, views
scene, other = bpy.context.scene, bpy.data.scenes.new("backdrop")
tree = scene.compositing_node_group = bpy.data.node_groups.new("both", "CompositorNodeTree")
own, node = (tree.nodes.new("CompositorNodeRLayers") for _ in range(2))
own.scene, node.scene = scene, other
for node.mute in (False, True):
    for asked in ({"--samples": 4, "--engine": ""}, {"--samples": 0}):
        open(FOLDER + "/told", "a").write("%s\\n" % views.without_effect(scene, asked))
"""


def test_a_scene_that_nodes_show_beside_the_jobs_own_is_said_to_keep_its_samples(bpy: Blender, tmp_path: Path) -> None:
    code = _COMPOSITED.replace("INSIDE", repr(str(Path(inside.__file__).parent))).replace("FOLDER", repr(str(tmp_path)))
    in_blender(bpy, code, tmp_path)
    told, *nothing = (tmp_path / "told").read_text().splitlines()
    assert "'backdrop'" in told and "--samples changes nothing in that part" in told and nothing == ["[]"] * 3
