"""Color management: a scene's own OpenColorIO configuration goes with it, and no worker renders it in other colors unsaid."""

import json
import shutil
from pathlib import Path

import numpy
import pytest

from brender.blendfile.facts import inspect
from brender.blendfile.packing import packed
from brender.commands.localfarm import LocalFarm
from brender.engines.color import ColorRemarks, Unknown, color_line, color_refusal, color_warnings, read_remarks
from brender.engines.ocio import check_configuration, configuration_to_send, read_configuration
from brender.engines.resume import note_for
from brender.model.errors import BadInput
from brender.model.job import Inputs
from brender.model.nodes import Blender
from tests.coloring import configuration, graded_scene
from tests.rendering import studio
from tests.test_bad_input import CUBE, assert_refused
from tests.tools import command, pixels, render_directly

# --- what a worker does -------------------------------------------------------------------------------------------------


@pytest.mark.blender
def test_a_scene_with_a_view_of_its_own_renders_as_in_blender_with_its_configuration_and_not_without(
    blender: Blender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configuration(tmp_path / "studio")
    file = graded_scene(blender, tmp_path / "scene", config)
    scene = inspect(file).scene(None)
    assert (scene.display, scene.view, scene.look) == ("Wall", "Inverse", "Reddish")
    with studio(tmp_path / "worker", blender) as farm:
        refused = farm.run(farm.job(file, tmp_path / "refused", frames="1"))
        assert refused.ended.reason.startswith(
            "The scene 'Scene' has the display 'Wall' and the view 'Inverse' and the look 'Reddish', which "
            f"{blender.label} on this worker does not know"
        )
        assert "(--ocio, or the environment variable OCIO)" in refused.ended.reason and not refused.ended.permanent
        assert not list((tmp_path / "refused").iterdir())

        good = farm.run(farm.job(file, tmp_path / "good", frames="1", ocio=str(config)))
        assert good.ended.reason == "" and good.warnings == []
        again = farm.run(farm.job(file, tmp_path / "again", frames="1", ocio=str(config)))
        assert again.was_warm, "the same configuration, the same Blender"

        linear = farm.run(farm.job(file, tmp_path / "linear", frames="1", format="OPEN_EXR"))
        assert linear.ended.reason == "" and not linear.was_warm, "a view is not for linear light; another configuration"
        assert any("does not know the view 'Inverse' of the scene" in warning for warning in linear.warnings)
        assert any("the colorspace 'Steep' of the image (texture)" in warning for warning in linear.warnings)
    with monkeypatch.context() as patch:
        patch.setenv("OCIO", str(config))
        render_directly(blender, file, tmp_path / "direct", "1-1", 100, 1)
    ours = pixels(tmp_path / "good" / "graded_0001.png")
    assert numpy.array_equal(ours, pixels(tmp_path / "direct" / "direct_0001.png"))


@pytest.mark.blender
def test_a_configuration_that_is_not_there_or_lacks_its_lut_fails_the_attempt_with_its_name(bpy: Blender, tmp_path: Path) -> None:
    config = configuration(tmp_path / "studio")
    file = graded_scene(bpy, tmp_path / "scene", config)
    (tmp_path / "studio" / "luts" / "inverse.spi1d").unlink()
    with studio(tmp_path / "worker", bpy) as farm:
        outcome = farm.run(farm.job(file, tmp_path / "out", frames="1", ocio=str(config)))
        assert outcome.ended.reason.startswith("Frame 1: its colors are wrong, by OpenColorIO's own word: The specified file")
        assert not list((tmp_path / "out").iterdir())
        config.unlink()
        outcome = farm.run(farm.job(file, tmp_path / "out", frames="1", ocio=str(config)))
        assert outcome.ended.reason.startswith(f"The job's OCIO configuration {config} is not there for the worker")


@pytest.mark.blender
def test_a_worker_with_a_configuration_of_its_own_says_so(bpy: Blender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = configuration(tmp_path / "studio")
    file = graded_scene(bpy, tmp_path / "scene", config)
    monkeypatch.setenv("OCIO", str(config))
    with studio(tmp_path / "worker", bpy) as farm:
        outcome = farm.run(farm.job(file, tmp_path / "out", frames="1"))
    assert outcome.ended.reason == ""
    assert outcome.warnings == [f"The job names no OCIO configuration; rendered with the worker's own, {config}"]


# --- the way there ------------------------------------------------------------------------------------------------------


@pytest.mark.blender
@pytest.mark.thorough
def test_the_configuration_travels_with_its_luts(
    apart: tuple[Path, Path], bpy: Blender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, mine = apart
    private = mine.parent / "private"
    config = configuration(private / "studio", private / "luts")
    file = graded_scene(bpy, private / "graded", config)
    monkeypatch.setenv("OCIO", str(config))
    said = command(capsys, "submit", file, "--send", "--name", "graded", "--wait", "--data", mine)
    assert said.code == 0, said.err
    said = command(capsys, "fetch", "graded", "--to", tmp_path / "out", "--data", mine)
    assert said.code == 0, said.err
    render_directly(bpy, file, tmp_path / "direct", "1-1", 100, 1)
    (ours,) = [path for path in (tmp_path / "out").iterdir() if path.name.endswith("0001.png")]
    assert numpy.array_equal(pixels(ours), pixels(tmp_path / "direct" / "direct_0001.png"))


@pytest.mark.blender
def test_a_copy_with_other_paths_keeps_its_colors_whatever_was_read_before_or_is_refused(
    bpy: Blender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configuration(tmp_path / "studio")
    graded = graded_scene(bpy, tmp_path / "graded", config)  # its texture has an absolute path, so that it travels as a copy
    for configured in (str(config), None):  # (given, and by the environment)
        with monkeypatch.context() as patch:
            patch.setenv("OCIO", str(config))
            with packed(graded, configuration=configured) as pack:
                copy = shutil.copy(pack.files["graded.blend"], tmp_path / "copy.blend")
        assert Path(copy).read_bytes() != graded.read_bytes()
        scene = inspect(Path(copy)).scene(None)
        assert (scene.display, scene.view, scene.look) == ("Wall", "Inverse", "Reddish")
    with pytest.raises(BadInput, match=r"'Wall' of the scene.* would be lost in it: .* does not know.*--ocio"):
        packed(graded).__enter__()


def test_a_configuration_that_cannot_be_read_is_refused_before_anything_is_sent(
    module_farm: LocalFarm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = tmp_path / "damaged.ocio"
    damaged.write_text("garbage: [")
    words = ("submit", CUBE, "--allow-missing", "--paused", "--output", tmp_path / "out", "--data", module_farm.folder.root)
    for send in ((), ("--send",)):
        said = command(capsys, *words, *send, "--ocio", damaged)
        assert_refused(said, f"The OCIO configuration {damaged} cannot be read: ")
        said = command(capsys, *words, *send, "--ocio", "/no/config.ocio")
        assert_refused(said, "There is no OCIO configuration /no/config.ocio. Name another with --ocio, or --ocio none")
    monkeypatch.setenv("OCIO", str(damaged))
    assert_refused(command(capsys, *words), f"The OCIO configuration {damaged} cannot be read: ")
    said = command(capsys, *words, "--ocio", "none", "--json")
    assert said.code == 0 and str(damaged) not in said.out


def test_a_configuration_in_place_begins_with_the_path_variable_that_fits_and_its_missing_luts_are_named(
    module_farm: LocalFarm, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ("--data", module_farm.folder.root)
    config = configuration(tmp_path / "show")
    (tmp_path / "show" / "luts" / "inverse.spi1d").unlink()
    assert command(capsys, "path", "set", "show", "--linux", tmp_path / "show", *data).code == 0
    words = ("--allow-missing", "--paused", "--output", tmp_path / "out", "--name", "placed", "--ocio", config)
    said = command(capsys, "submit", CUBE, *words, *data)
    assert said.code == 0 and "names LUTs that are not there: inverse.spi1d" in said.err, said.err
    assert json.loads(command(capsys, "job", "placed", "--json", *data).out)["settings"]["ocio"] == "{show}/config.ocio"


def test_luts_from_elsewhere_are_sent_beside_a_copy_that_names_them_there(tmp_path: Path) -> None:
    near, far = configuration(tmp_path / "near"), configuration(tmp_path / "far", tmp_path / "elsewhere")
    main, files = configuration_to_send(str(near), tmp_path)
    assert main == "_ocio/config.ocio"
    assert files == {main: near, "_ocio/luts/inverse.spi1d": tmp_path / "near" / "luts" / "inverse.spi1d"}, "as it is"
    main, files = configuration_to_send(str(far), tmp_path)
    lut = "_ocio/luts/0-inverse.spi1d"
    assert files.keys() == {main, lut} and files[lut] == tmp_path / "elsewhere" / "inverse.spi1d"
    for path, source in files.items():
        place = tmp_path / "there" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, place)
    shutil.rmtree(tmp_path / "elsewhere")
    assert read_configuration(tmp_path / "there" / main).files == [tmp_path / "there" / path for path in (main, lut)]


@pytest.mark.parametrize(
    "search",
    [
        "search_path: a:luts",
        "search_path: [a, luts]",
        "search_path:\n  - a\n  - luts",
        'search_path: "a:luts"',
        "search_path: $B",
    ],
)
def test_luts_are_found_by_every_form_of_the_search_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, search: str) -> None:
    monkeypatch.setenv("B", "luts")
    config = configuration(tmp_path)
    config.write_text(config.read_text().replace("search_path: luts", search))
    assert read_configuration(config).luts == {"inverse.spi1d": tmp_path / "luts" / "inverse.spi1d"}


def test_frames_of_another_configuration_are_outdated(tmp_path: Path) -> None:
    config = configuration(tmp_path)
    settings = {"samples": 1, "ocio": str(config)}
    before = note_for(settings, CUBE, Inputs())
    assert before != note_for(settings | {"ocio": ""}, CUBE, Inputs()) == note_for({"samples": 1}, CUBE, Inputs())
    (tmp_path / "luts" / "inverse.spi1d").write_text("another")
    assert note_for(settings, CUBE, Inputs()) != before


# --- what Blender says --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (
            'Color management: display "Wall" used by scene not found, setting to default ("sRGB").',
            ("display", "scene", "Wall", "sRGB"),
        ),
        ('Color management: scene view "A" not found, setting default "B".', ("view", "scene", "A", "B")),
        ('Color management: image colorspace "A" not found, will use default instead.', ("colorspace", "image", "A", "")),
        (
            '00:00.364  color_management | WARNING Display "W" used by node not found, setting to "sRGB".',
            ("display", "node", "W", "sRGB"),
        ),
        ('00:00.364  color_management | WARNING scene view "A" not found, setting to "B".', ("view", "scene", "A", "B")),
        ('00:00.364  color_management | WARNING scene look "A" not found, setting default "B".', ("look", "scene", "A", "B")),
        (
            '01:02.364  color_management | WARNING sequencer strip colorspace "A" not found, will use default instead.',
            ("colorspace", "sequencer strip", "A", ""),
        ),
    ],
)
def test_every_blenders_words_are_read(line: str, says: tuple[str, str, str, str]) -> None:
    picked = color_line(line)
    assert picked is not None and read_remarks([picked]).unknown == (Unknown(*says),)


@pytest.mark.parametrize(
    "lines",
    [
        [
            '00:00.008  color_management | ERROR Could not find role "data"',
            "00:00.008  color_management | ERROR Could not find any displays",
        ],
        ["Color management: Error, could not find any displays", "Color management: Failed to load config from environment"],
    ],
)
def test_a_configuration_without_displays_is_one_that_blender_cannot_read(lines: list[str]) -> None:
    remarks = read_remarks([picked for line in lines if (picked := color_line(line)) is not None])
    refusal = color_refusal(remarks, "S", (), "OPEN_EXR", "Blender 5", "/show/config.ocio")
    assert refusal == "Blender 5 cannot read the OCIO configuration /show/config.ocio: it has no displays"


def test_a_configuration_without_displays_is_refused_before_a_job_is_submitted(tmp_path: Path) -> None:
    config = tmp_path / "config.ocio"
    config.write_text("ocio_profile_version: 2\nroles:\n  default: raw\ncolorspaces:\n  - !<ColorSpace>\n    name: raw\n")
    with pytest.raises(BadInput, match="has no displays"):
        check_configuration(str(config))


def test_a_view_of_another_scene_or_of_another_name_is_no_reason_to_refuse() -> None:
    remarks = ColorRemarks((Unknown("view", "scene", "Inverse", "Standard"),))
    assert color_refusal(remarks, "S", ("sRGB", "Standard", "None"), "PNG", "Blender 5", "") is None
    assert color_refusal(remarks, "S", ("sRGB", "Inverse", "None"), "PNG", "Blender 5", "")
    assert color_refusal(remarks, "S", (), "PNG", "Blender 5", ""), "where it is not known whose it is"
    assert color_warnings(remarks, ("sRGB", "Standard", "None"), [], "Blender 5") == []
    alike = ColorRemarks(
        (Unknown("display", "scene", "sRGB", "sRGB - Display"), Unknown("view", "scene", "Standard", "Un-tone-mapped"))
    )
    assert color_refusal(alike, "S", (), "PNG", "Blender 5", "") is None
    assert len(color_warnings(alike, (), [], "Blender 5")) == 2
