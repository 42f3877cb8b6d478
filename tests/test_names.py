"""Names of frames, and where they go: the rule is Blender's own, and Blender is asked."""

import contextlib
import json
import math
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from brender import blendfile
from brender.api.jobspec import blender_job
from brender.blendfile.facts import inspect
from brender.engines.destination import NoDestination, destination
from brender.engines.leftovers import PLACEHOLDER, Leftovers
from brender.jobs.declare import job_type
from brender.model import path_templates
from brender.model.errors import BadInput
from brender.model.job import CameraMarker, FileFacts, JobSpec, SceneFacts
from brender.model.naming import ScenePath, extension_of, file_pattern, frame_name, scene_path, scene_pattern
from brender.model.nodes import Blender
from tests.compositing import with_file_outputs
from tests.rendering import studio
from tests.tools import in_blender, pixels
from tests.world import animation, facts

#: Output paths, some with the format and the settings that make them special.
_PATHS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("//o/v1.2_####.exr", {}),
    ("//movie.mp4", {}),
    ("//a_####.png", {}),
    ("//a_##.PNG", {}),
    ("//a_##.jpg", {"image_format": "TIFF"}),
    ("//a_##.jpeg", {"image_format": "JPEG"}),
    ("//a_##.tiff", {"image_format": "TIFF"}),
    ("//a_##.webp", {"image_format": "OPEN_EXR"}),
    ("//a_##.gz", {"image_format": "HDR"}),
    ("//a_##.", {}),
    ("//a", {"image_format": "JPEG2000", "is_codestream": True}),
    ("//a", {"image_format": "JPEG2000"}),
    ("//a_##.exr", {"use_extension": False}),
    ("//a", {"use_extension": False}),
    ("//renders/v01/", {}),
    ("//", {}),
    ("//#/x", {}),
    ("//a##b###c", {}),
    ("//a\\b\\c_#", {}),
    ("/abs/x_", {}),
    ("rel/x_", {}),
    ("//../up/x_", {}),
    ("//größe #.1_", {}),
)
_TEMPLATES = (
    *("{blend_name}", "{blend_name_lib}", "{blend_dir}x", "{blend_dir_lib}x", "//{scene_name}", "{camera_name}_##"),
    *("{resolution_x}x{resolution_y}", "{resolution_y:######}", "{resolution_x:.##}", "{resolution_x:######.##}"),
    *("{fps}", "{fps:###}", "{fps:.###}", "{fps:###.##}", "{fps:#.#}", "//{fps:##}/{scene_name}/x_##.exr"),
    *("{{x}}", "{{{fps}}}", "{{", "}}", "x{{_{fps:##}_##", "{{fps}}"),
    *("{node_name}", "{nope}", "{", "}", "a{b", "{}", "{fps:}", "{fps:#.}", "{fps:.}", "{fps::#}", "{fps }"),
    *("{scene_name:##}", "{a{b}}"),
)
_ASK = """
import bpy, json
bpy.ops.wm.read_factory_settings()
scene = bpy.context.scene
render = scene.render
scene.name = "Sc/en:e <a>.x"
scene.camera.name = "cam|1"
render.resolution_x, render.resolution_y, render.resolution_percentage = 1001, 503, 33
render.fps, render.fps_base = 30, 1.001
bpy.ops.wm.save_as_mainfile(filepath=FILE)
told = []
for path, more in PATHS:
    render.filepath = path
    render.use_file_extension = more.get("use_extension", True)
    render.image_settings.file_format = more.get("image_format", "PNG")
    if "image_format" in more:
        render.image_settings.jpeg2k_codec = "J2K" if more.get("is_codestream") else "JP2"
    try:
        told.append([render.frame_path(frame=frame) for frame in (7, -5, 123456)])
    except RuntimeError:
        told.append(None)
with open(FILE + ".json", "w") as file:
    json.dump(told, file)
"""


def _paths_of(file: FileFacts, scene: SceneFacts) -> list[str] | None:
    """What our rule makes of the scene's path, as Blender tells it; ``None``: refused."""
    try:
        path = scene_path(file, scene)
    except BadInput:
        return None
    names = [frame_name(path.name, frame, extension_of(scene.image_format, scene)) for frame in (7, -5, 123456)]
    folder = path.folder
    if folder.startswith("//"):
        folder = str((Path(file.path).parent / folder[2:]).resolve()) + "/"
    return [folder + name for name in names]


def test_every_name_and_template_is_what_blender_makes_of_it(bpy: Blender, tmp_path: Path) -> None:
    file = tmp_path / "my.shot_v2.blend"
    paths = (*_PATHS, *((template, {}) for template in _TEMPLATES))
    in_blender(bpy, _ASK.replace("FILE", repr(str(file))).replace("PATHS", repr(paths)), tmp_path)
    read = inspect(file)
    ours = [
        _paths_of(read, msgspec.structs.replace(read.scenes[0], **{"image_format": "PNG", "output": path, **more}))
        for path, more in paths
    ]
    told = json.loads(Path(f"{file}.json").read_text())
    assert list(zip(paths, ours, strict=True)) == list(zip(paths, told, strict=True))
    assert sum(each is None for each in told) == 13


def test_both_readers_of_a_blend_say_the_same_of_names_cameras_regions_and_the_current_frame(
    bpy: Blender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "two.blend"
    code = """
import bpy
bpy.ops.wm.read_factory_settings(use_empty=True)
def camera(name, scene):
    scene.collection.objects.link(bpy.data.objects.new(name, bpy.data.cameras.new(name)))
one = bpy.context.scene
two = bpy.data.scenes.new("Two")
camera("A", one); camera("B", two)
deep = bpy.data.collections.new("deep")
one.collection.children.link(deep)
deep.objects.link(bpy.data.objects.new("D", bpy.data.cameras.new("D")))
bpy.data.objects.new("Nowhere", bpy.data.cameras.new("N")).use_fake_user = True
one.frame_set(50)
one.render.filepath = "//{scene_name}_"
one.render.use_overwrite, one.render.use_placeholder, one.render.use_file_extension = False, True, False
two.render.fps, two.render.fps_base = 30, 1.001
for frame, camera in ((4, "D"), (1, "A"), (6, "Nowhere")):
    one.timeline_markers.new("m", frame=frame).camera = bpy.data.objects[camera]
bpy.data.objects["Nowhere"].hide_render = True
one.render.frame_map_old, one.render.frame_map_new = 70, 100
two.render.use_border, two.render.border_max_x, two.render.border_min_y = True, 0.7, 0.25
two.render.image_settings.file_format, two.render.image_settings.jpeg2k_codec = "JPEG2000", "J2K"
bpy.ops.wm.save_as_mainfile(filepath=FILE)
"""
    in_blender(bpy, code.replace("FILE", repr(str(file))), tmp_path)
    told = inspect(file)
    monkeypatch.setattr(blendfile.facts, "reader_for", lambda *_: contextlib.nullcontext())
    assert inspect(file) == told, "without Blender"
    one, two = told.scenes
    assert (one.cameras, two.cameras, one.current, two.rate) == (("A", "D"), ("B",), 50, (30, pytest.approx(1.001)))
    assert one.camera_markers == (CameraMarker(4, "D"), CameraMarker(1, "A")) and one.frame_length == pytest.approx(0.7)
    assert one.border is None and two.border == pytest.approx((0.0, 0.7, 0.25, 1.0))
    assert not one.use_overwrite and one.use_placeholder and not one.use_extension and two.is_codestream


def test_braces_in_files_from_before_templates_are_plain_text() -> None:
    old = facts(version=(4, 4), output="//{shot}_{{x}}_##")
    assert scene_path(old, old.scenes[0]) == ScenePath("//", "{shot}_{{x}}_##")


@pytest.mark.parametrize("film", [False, True])
def test_a_range_of_frames_that_blender_does_not_have_is_refused_at_once(film: bool) -> None:
    movie = {"image_format": "FFMPEG", "container": "MPEG4"} if film else {}
    plain = animation()
    spec = msgspec.structs.replace(plain, facts=facts(first=1, last=2**40, **movie), settings={"file": "/projects/shot.blend"})
    with pytest.raises(BadInput, match=r"goes from frame 1 to 1099511627776, and Blender's frames go from"):
        job_type("blender-animation").prepare(spec)


@pytest.mark.parametrize("film", [False, True])
def test_a_name_of_the_scene_s_own_that_some_platforms_cannot_have_is_refused_with_the_remedy(film: bool) -> None:
    movie = {"image_format": "FFMPEG", "container": "MPEG4"} if film else {}
    spec = msgspec.structs.replace(animation(), facts=facts(output="//o2/sh:ot?_##", **movie))
    with pytest.raises(
        BadInput, match=r"not a file name on every platform.* name the files with --pattern, such as --pattern NAME_"
    ):
        job_type("blender-animation").prepare(spec)
    chosen = msgspec.structs.replace(spec, settings=spec.settings | {"pattern": "sh:ot_##"})
    with pytest.raises(BadInput, match=r"not a file name on every platform: '[^']*'$"):
        job_type("blender-animation").prepare(chosen)


@pytest.mark.parametrize("rate", [(24, 0.0), (0, 1.0), (24, -1.0), (24, float("nan")), (24, 1e-320)])
def test_a_frame_rate_that_is_none_is_refused(rate: tuple[int, float]) -> None:
    spec = msgspec.structs.replace(animation(), facts=facts(rate=rate, output="//{fps}_"))
    with pytest.raises(BadInput, match=r"which is not a frame rate. Set one in Blender"):
        job_type("blender-animation").prepare(spec)


def test_blender_4_5_knows_fewer_names_than_5() -> None:
    young = facts(version=(4, 5), output="//{blend_name}_{fps:##}_")
    assert scene_path(young, young.scenes[0]).name == "shot_24_"
    with pytest.raises(BadInput, match=r"names \{scene_name\}, and there are only \{blend_name\}, \{fps\}, \{resolution_x\}"):
        scene_path(young, facts(version=(4, 5), output="//{scene_name}").scenes[0])


def test_a_template_shows_what_the_job_renders() -> None:
    file = facts(output="//{camera_name}_{resolution_x}_")
    assert scene_path(file, file.scenes[0], "Near", 50).name == "Near_50_"


_MARKED: dict[str, Any] = {
    "camera": "Near",
    "cameras": ("Near", "Far", "C#"),
    "camera_markers": (CameraMarker(4, "C#"), CameraMarker(3, "Far"), CameraMarker(2, "Near")),
    "last": 4,
}


@pytest.mark.parametrize(
    ("kind", "settings", "said"),
    [
        ("blender-animation", {"frames": "1-10"}, "The frames 5-10 are outside of the scene's own range, 1-4; they are"),
        ("blender-animation", {"frames": "0-4"}, "Frame 0 is outside of the scene's own range, 1-4; it is rendered all the same"),
        ("blender-animation", {"frames": "2-3"}, ""),
        ("blender-animation", {}, ""),
        ("blender-still", {"frame": 7}, "Frame 7 is outside of the scene's own range, 1-4"),
    ],
)
def test_frames_outside_of_the_scene_s_range_are_said_and_rendered(kind: str, settings: dict[str, Any], said: str) -> None:
    told = [warning for warning in _prepared(facts(), kind, **settings).warnings if "outside of" in warning]
    assert len(told) == (said != "") and (not told or told[0].startswith(said))


@pytest.mark.parametrize(
    ("scene", "settings", "names"),
    [
        ({}, {}, ["Near_0001.png", "Near_0002.png", "Far_0003.png", "C4_.png"]),
        ({}, {"camera": "Far"}, ["Far_0001.png", "Far_0002.png", "Far_0003.png", "Far_0004.png"]),
        ({"frame_length": 2.0}, {"frames": "1,2"}, ["Near_0001.png", "C2_.png"]),
        ({"output": "//a/{camera_name}/x_##"}, {}, ["Near/x_01.png", "Near/x_02.png", "Far/x_03.png", "C#/x_04.png"]),
        ({"output": "//a_"}, {"pattern": "{camera_name}/b", "frames": "3"}, ["Far/b0003.png"]),
        ({"camera_markers": ()}, {"frames": "3", "pattern": "{camera_name}_"}, ["Near_0003.png"]),
        ({"camera_markers": (CameraMarker(9, "Far"),)}, {"frames": "3"}, ["Far_0003.png"]),
    ],
)
def test_frames_that_are_called_after_their_camera_have_the_one_that_a_marker_binds(
    scene: dict[str, Any], settings: dict[str, Any], names: list[str]
) -> None:
    assert _outputs(_prepared(facts(**{"output": "//{camera_name}_"} | _MARKED | scene), **settings)) == names


def test_folders_that_are_called_after_cameras_are_in_the_folder_of_the_job() -> None:
    file = facts(output="//a/{camera_name}/b/x_", **_MARKED)
    assert scene_path(file, file.scenes[0]) == ScenePath("//a/", "{camera_name}/b/x_")
    assert scene_path(file, file.scenes[0], "Far") == ScenePath("//a/Far/b/", "x_")


def test_where_blender_takes_the_camera_of_the_frame_before_the_job_says_so() -> None:
    nodes = {"node_paths": (("Out", "//{camera_name}/a"), ("Other", "//b"))}
    file = facts(output="//{camera_name}_", **nodes, **_MARKED)
    (said,) = _prepared(file).warnings
    assert "nodes 'Out' are called after the camera of their own frame" in said
    assert len(_prepared(file, placeholders=True).warnings) == 2
    assert _prepared(file, camera="Far", placeholders=True).warnings == ()
    assert _prepared(facts(**nodes, **_MARKED | {"camera": None, "needs_camera": False})), "a marker has one"


def test_a_pattern_with_a_camera_that_could_be_no_name_is_refused() -> None:
    named = _MARKED | {"camera_markers": (CameraMarker(1, "Near"), CameraMarker(2, "con"))}
    with pytest.raises(BadInput, match="not a file name on every platform: 'con'"):
        _prepared(facts(output="//{camera_name}/x", **named))
    with pytest.raises(BadInput, match=r"has \{camera_name\}, and the scene 'Scene' has no camera"):
        _prepared(facts(camera=None, needs_camera=False), pattern="{camera_name}_")
    film = {"image_format": "FFMPEG", "container": "MPEG4"}
    with pytest.raises(BadInput, match=r"A film has one name, so \{camera_name\} cannot be in its pattern"):
        _prepared(facts(**film), pattern="{camera_name}_")
    assert _prepared(facts(output="//{camera_name}.mp4", **film, **_MARKED)).settings["film"] == "Near.mp4"


def test_a_template_that_blender_would_not_read_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(BadInput, match=r"names \{shot\}, and there are only .*\{scene_name\}.*--output and --pattern"):
        _prepared(facts(output="//{shot}_####"))
    with pytest.raises(BadInput, match=r"file-output node 'Out'.*names \{shot\}"):
        _prepared(facts(node_paths=(("Out", "//{shot}/{node_name}"),)))
    assert _prepared(facts(output="//{shot}_####"), pattern="a_##").settings["pattern"] == "a_##"


def _prepared(file: FileFacts, kind: str = "blender-animation", **settings: Any) -> JobSpec:
    spec = JobSpec(id="a" * 16, name="shot", job_type=kind, settings={"file": file.path, **settings}, output="/out", facts=file)
    return job_type(kind).prepare(spec)


def _outputs(spec: JobSpec) -> list[str]:
    kind = job_type(spec.job_type)
    return [part.output for index in range(kind.task_count(spec)) for part in kind.task(spec, index).parts]


@pytest.mark.parametrize(
    ("scene", "settings", "names"),
    [
        ({"output": "//o/v1.2_####.exr"}, {}, ["v1.2_0001.png", "v1.2_0002.png"]),
        ({"output": "//renders/v01/"}, {}, ["0001.png", "0002.png"]),
        ({"output": "/tmp/"}, {}, ["shot_0001.png", "shot_0002.png"]),
        ({"output": "/tmp/x_"}, {}, ["x_0001.png", "x_0002.png"]),
        ({"output": ""}, {}, ["shot_0001.png", "shot_0002.png"]),
        ({"output": "//a_##", "use_extension": False}, {}, ["a_01", "a_02"]),
        ({"output": "//a_##.png"}, {"format": "JPEG"}, ["a_01.jpg", "a_02.jpg"]),
        ({"output": "//a_##"}, {"pattern": "b/c_#"}, ["b/c_1.png", "b/c_2.png"]),
        ({"output": "//movie.mp4", "image_format": "FFMPEG"}, {}, ["movie0001.png", "movie0002.png"]),
        ({"output": "//movie.mp4"}, {}, ["movie.mp40001.png", "movie.mp40002.png"]),
    ],
)
def test_frames_are_called_as_the_scene_calls_them_unless_the_job_says_otherwise(
    scene: dict[str, Any], settings: dict[str, Any], names: list[str]
) -> None:
    assert _outputs(_prepared(facts(first=1, last=2, **scene), **settings)) == names


def test_a_job_overwrites_and_holds_names_as_the_scene_does() -> None:
    settings = _prepared(facts(use_overwrite=False, use_placeholder=True)).settings
    assert settings["keep"] and settings["placeholders"]
    settings = _prepared(facts()).settings
    assert not settings["keep"] and not settings["placeholders"]


def test_two_jobs_that_would_write_the_same_files_have_the_same_key() -> None:
    kind = job_type("blender-animation")
    one, other = _prepared(facts(), pattern="a_##"), _prepared(facts(), pattern="a_##.exr")
    assert kind.output_key(one) == kind.output_key(other) == file_pattern("a_##", ".png") == "a_##.png"


def test_a_still_is_the_frame_that_the_file_stands_at() -> None:
    assert _prepared(facts(first=1, last=100, current=50), "blender-still").settings["frame"] == 50
    assert _prepared(facts(first=3, last=100), "blender-still").settings["frame"] == 3


def test_a_camera_of_another_scene_is_refused_with_those_of_this_one() -> None:
    with pytest.raises(BadInput, match="the scene 'Scene' has no camera 'Far'; it has: 'Near', 'Top'"):
        _prepared(facts(cameras=("Near", "Top")), camera="Far")
    assert _prepared(facts(cameras=None), camera="Linked").settings["camera"] == "Linked", "only Blender knows"


@pytest.mark.parametrize("folder", ["/tmp/", "", "/var/tmp/", "C:/tmp/", "c:/Temp/", "C:/Users/anna/AppData/Local/Temp/"])
def test_a_temporary_place_is_none_for_frames(folder: str) -> None:
    with pytest.raises(NoDestination, match=r"temporary place|no place"):
        destination(ScenePath(folder, ""), Path("/films/shot.blend"))


def test_the_scene_s_own_folder_is_taken_where_it_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    blend = tmp_path / "scenes" / "shot.blend"
    assert destination(ScenePath("//../out/", "a"), blend) == tmp_path / "out" and not (tmp_path / "out").exists()
    assert destination(ScenePath("", "a_"), blend) == tmp_path, "as Blender, which is started here, would"
    assert destination(ScenePath(f"{tmp_path}/x/", ""), blend) == tmp_path / "x"
    with pytest.raises(NoDestination, match=r"cannot be written here \(.*file is not a folder\)"):
        destination(ScenePath(f"{tmp_path}/file/x/", ""), blend)
    with pytest.raises(NoDestination, match="a place of Windows'"):
        destination(ScenePath("P:/renders/", ""), blend)


def test_render_and_submit_take_the_scene_s_own_folder_or_say_why_not(
    bpy: Blender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = with_file_outputs(bpy, tmp_path / "scenes" / "shot.blend")
    monkeypatch.chdir(tmp_path)
    options = {"allow_missing": True, "output": None, "name": None, "trusted": False}
    told = list[str]()
    own = blender_job(file, dict(options), notify=told.append)
    said = "".join(told)
    assert own.output == str(tmp_path / "shot_frames") and "names a temporary place (/tmp/)" in said
    code = f"import bpy; bpy.ops.wm.open_mainfile(filepath={str(file)!r}); bpy.context.scene.render.filepath = '//{{{{v}}}}/##'"
    in_blender(bpy, code + "; bpy.ops.wm.save_mainfile()", tmp_path)
    told.clear()
    own = blender_job(file, dict(options), notify=told.append)
    assert (own.output, own.settings["pattern"]) == (str(tmp_path / "scenes" / "{v}"), "##")
    assert not told and (tmp_path / "scenes" / "{v}").is_dir()
    beside = blender_job(file, options | {"output": Path("//beauty")})
    assert beside.output == str(tmp_path / "scenes" / "beauty"), "as Blender's -o means it"
    with pytest.raises(BadInput, match=r"^//beauty is a folder beside"):
        blender_job(file, options | {"output": Path("//beauty")}, bundle="a" * 64)


def test_of_two_nodes_that_write_one_file_the_last_one_s_stays_and_both_are_named(bpy: Blender, tmp_path: Path) -> None:
    file = with_file_outputs(bpy, tmp_path / "shot.blend", ("//same/", "a_####"), ("//same/", "a_####"))
    with studio(tmp_path / "worker", bpy) as farm:
        outcome = farm.run(farm.job(file, tmp_path / "out", frames="1"))
    assert outcome.ended.reason == "" and [path.name for path in (tmp_path / "same").iterdir()] == ["a_0001Image.png"]
    assert ["File Output" in warning and "File Output.001" in warning for warning in outcome.warnings] == [True]


def test_braces_in_folders_and_templates_of_nodes_are_as_in_blender(bpy: Blender, tmp_path: Path) -> None:
    folders = [("//{blend_name}_aov/", "a_####"), ("//{node_name}/x{{y}}", "{fps:##}_"), ("{blend_dir}/p_{resolution_x}", "b")]
    file = with_file_outputs(bpy, tmp_path / "in {braces}" / "shot.blend", *folders)
    output = tmp_path / "to {blend_name}"
    with studio(tmp_path / "worker", bpy) as bench:
        outcome = bench.run(bench.job(file, output, frames="1"))
    assert outcome.ended.reason == "" and (output / "shot_0001.png").exists()
    assert sorted(str(path.relative_to(file.parent)) for path in file.parent.rglob("*.png")) == [
        "File Output.001/x{y}/24_Image0001.png",
        "p_16/bImage0001.png",
        "shot_aov/a_0001Image.png",
    ]


def test_a_scene_that_overwrites_nothing_keeps_what_is_there_and_renders_the_rest(
    bpy: Blender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[Path] = []
    note = Leftovers.note

    def noted(self: Leftovers, kind: str, root: Path, relative: str) -> None:
        if kind == PLACEHOLDER:
            held.append(root / relative)
        note(self, kind, root, relative)

    monkeypatch.setattr(Leftovers, "note", noted)
    file = with_file_outputs(bpy, tmp_path / "shot.blend")
    output = tmp_path / "out"
    output.mkdir()
    (output / "shot_0001.png").write_bytes(b"not even a picture")
    (output / "shot_0002.png").touch()  # another Blender's placeholder
    with studio(tmp_path / "worker", bpy) as bench:
        outcome = bench.run(bench.job(file, output, frames="1-3", keep=True, placeholders=True))
        assert outcome.ended.reason == "" and [part.kept for part in outcome.parts] == [True, False, False]
        assert held == [output / "shot_0002.png", output / "shot_0003.png"], "should the worker be killed, it cleans up"
        (warning,) = outcome.parts[0].warnings
        assert f"Frame 1 stays as it is, and is not a picture: {output / 'shot_0001.png'}" in warning
        assert (output / "shot_0001.png").read_bytes() == b"not even a picture"
        assert pixels(output / "shot_0002.png").shape == pixels(output / "shot_0003.png").shape == (8, 16, 4)
        anew = bench.run(bench.job(file, output, frames="1", keep=True, overwrite=True))
    assert not anew.parts[0].kept and pixels(output / "shot_0001.png").shape == (8, 16, 4)


def test_what_a_template_stands_for_is_never_read_again() -> None:
    assert path_templates.expand(path_templates.escape("a{b}}{"), {}) == "a{b}}{"
    assert scene_pattern(ScenePath("//", ""), "C:\\a\\b.blend") == "####"


@pytest.mark.parametrize(
    ("path", "expanded"),
    [
        ("{fps}", "24.5"),
        ("{size}", "16"),
        ("{name}", "Lake"),
        ("{fps:##}_{size:###}", "25_016"),
        ("{fps:.##}", "24.50"),
        ("{fps:###.##}", "024.50"),
        ("{size:#.#}", "16.0"),
        ("{{{size}}}", "{16}"),
        ("a{{b}}", "a{b}"),
    ],
)
def test_a_template_writes_numbers_with_the_digits_that_it_names(path: str, expanded: str) -> None:
    """(As Blender 5.0 does, which is asked above.)"""
    assert path_templates.expand(path, {"fps": 24.5, "size": 16, "name": "Lake"}) == expanded


_MEND = "change it in Blender (Output properties), or name the files with --output and --pattern"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("{fps:2}", f"The output path '{{fps:2}}' has {{fps:2}}, and digits are written as ###, .## or ###.##: {_MEND}"),
        ("x{name:##}", f"The output path 'x{{name:##}}' has {{name:##}}, and a name takes no number of digits: {_MEND}"),
        ("{shot}", f"The output path '{{shot}}' names {{shot}}, and there are only {{fps}}, {{name}}: {_MEND}"),
        ("a}b", f"The output path 'a}}b' has a single '}}'; braces are for names such as {{blend_name}}: {_MEND}"),
        ("a{b", f"The output path 'a{{b' has a single '{{'; braces are for names such as {{blend_name}}: {_MEND}"),
    ],
)
def test_what_blender_would_not_read_of_a_template_is_said_with_what_mends_it(path: str, said: str) -> None:
    with pytest.raises(BadInput, match=f"^{re.escape(said)}$"):
        path_templates.expand(path, {"name": "Lake", "fps": 24.0})


def test_the_path_of_a_node_is_mended_at_the_node() -> None:
    scene = msgspec.structs.replace(facts().scenes[0], node_paths=(("File/Output", "{node_name}_{nope}"),))
    file = msgspec.structs.replace(facts(), version=(5, 0))
    said = "The path of the file-output node 'File/Output', '{node_name}_{nope}' names {nope}, and there are only {fps}, "
    with pytest.raises(BadInput, match=f"^{re.escape(said)}") as refused:
        path_templates.check_nodes(file, scene, {"fps": 24.0})
    assert str(refused.value).endswith("{node_name}: change it in Blender (the node's properties)")
    path_templates.check_nodes(file, msgspec.structs.replace(scene, node_paths=(("N", "{node_name}{fps}"),)), {"fps": 24.0})
    with pytest.raises(BadInput, match=re.escape("names {node_name}")):
        path_templates.check_nodes(msgspec.structs.replace(file, version=(4, 5)), scene, {"nope": 1})


@pytest.mark.parametrize(("name", "stands"), [("a/b\\c:d", "a_b_c_d"), ("..", "_."), (".", "_"), ("a.b", "a.b"), ("", "_")])
def test_a_name_in_a_path_is_one_part_of_it(name: str, stands: str) -> None:
    assert path_templates.safe(name) == stands


def test_a_template_knows_the_names_that_a_blender_of_its_file_knows() -> None:
    scene = msgspec.structs.replace(facts().scenes[0], name="A/B", camera="Cam", width=1920, height=1080, percent=50, fps=25.0)
    file = msgspec.structs.replace(facts(), path="C:\\shots\\sh_1.v2.blend", version=(4, 5), scenes=(scene,))
    known = {"blend_name": "sh_1.v2", "fps": 25.0, "resolution_x": 960, "resolution_y": 540}
    assert path_templates.variables(file, scene) == known
    known |= {"scene_name": "A_B", "camera_name": "Cam", "blend_dir": "C:/shots/", "blend_dir_lib": "C:/shots/"}
    file = msgspec.structs.replace(file, version=(5, 0))
    assert path_templates.variables(file, scene) == known | {"blend_name_lib": "sh_1.v2"}
    assert path_templates.variables(file, scene, "Other", 100)["camera_name"] == "Other"
    assert path_templates.variables(file, scene, percent=100)["resolution_x"] == 1920
    marked = msgspec.structs.replace(
        scene, camera_markers=(CameraMarker(frame=1, camera="M1"), CameraMarker(frame=5, camera="M2"))
    )
    one = msgspec.structs.replace(scene, camera_markers=marked.camera_markers[:1])
    cameras = [
        *(
            path_templates.variables(file, marked)["camera_name"],
            path_templates.variables(file, one, None, None, True)["camera_name"],
        ),
        path_templates.variables(file, marked, None, None, True)["camera_name"],
        path_templates.variables(file, marked, "Other", None, True)["camera_name"],
    ]
    assert cameras == ["Cam", "M1", path_templates.CAMERA, "Other"]
    assert "camera_name" not in path_templates.variables(file, msgspec.structs.replace(scene, camera=None))
    pattern = "{camera_name}_#"
    assert [path_templates.for_frame(pattern, file, marked, frame) for frame in (4, 5)] == ["M1_#", "M2_#"]
    assert path_templates.for_frame(pattern, file, marked, 5, "O/") == "O__#"
    older = msgspec.structs.replace(file, version=(4, 5))
    assert path_templates.for_frame(pattern, older, marked, 5) == pattern and not path_templates.names_camera(pattern, older)
    assert path_templates.for_frame(pattern, file, msgspec.structs.replace(scene, camera=None), 5) == pattern


@pytest.mark.parametrize(("rate", "found"), [((30000, 1001.0), 30000 / 1001.0), ((1, 2.0), 0.5), (None, 24.0)])
def test_a_frame_rate_is_unrounded(rate: tuple[int, float] | None, found: float) -> None:
    assert path_templates.frames_a_second(msgspec.structs.replace(facts().scenes[0], rate=rate, fps=24.0), "/a.blend") == found


@pytest.mark.parametrize("rate", [(0, 1.0), (24, 0.0), (-24, -1.0), (24, math.nan), (10**300, 1e-300)])
def test_what_is_no_frame_rate_is_refused(rate: tuple[int, float]) -> None:
    scene = msgspec.structs.replace(facts().scenes[0], rate=rate)
    with pytest.raises(BadInput, match=r"^/a.blend: the scene .* which is not a frame rate. Set one in Blender \(Output"):
        path_templates.frames_a_second(scene, "/a.blend")
