"""Job types: settings in, tasks out."""

import re

import msgspec
import pytest

from brender.jobs.brief import in_brief
from brender.jobs.command import fill
from brender.jobs.declare import GROUPS, job_type, job_types, say_settings
from brender.model.errors import BadInput
from brender.model.job import FileFacts, JobSpec, MissingFile
from tests.world import animation, facts


def prepared(**more: object) -> JobSpec:
    """A prepared blender-animation job; ``scene`` facts by ``facts``."""
    said = more.pop("facts", None)
    spec = animation(**{"frames": None} | more)  # type: ignore[arg-type]
    if isinstance(said, FileFacts):
        spec = JobSpec(**{name: getattr(spec, name) for name in spec.__struct_fields__} | {"facts": said})
    return job_type("blender-animation").prepare(spec)


def test_both_job_types_are_installed() -> None:
    assert {"blender-animation", "command"} <= set(job_types())


def test_an_unknown_job_type_is_refused_with_those_there_are() -> None:
    with pytest.raises(BadInput, match=r"no job type 'movie'; installed: blender-animation, .*command"):
        job_type("movie")


def test_what_is_not_said_is_what_the_blend_says() -> None:
    spec = prepared(facts=facts(first=10, last=20, step=5, image_format="OPEN_EXR", output="//out/beauty_###"))
    kind = job_type("blender-animation")
    assert [kind.task(spec, index).parts[0].output for index in range(kind.task_count(spec))] == [
        "beauty_010.exr",
        "beauty_015.exr",
        "beauty_020.exr",
    ]


def test_a_list_says_in_few_words_what_a_job_renders() -> None:
    spec = prepared(facts=facts())
    told = msgspec.to_builtins(spec.facts)
    scene = told["scenes"][0]
    size = f"{scene['width'] * scene['percent'] // 100}×{scene['height'] * scene['percent'] // 100}"
    given = spec.settings | {"frames": "1001-1240", "engine": "cycles", "samples": 256}
    assert in_brief(spec.job_type, given, told) == ["1001-1240", "Cycles 256", size]
    assert in_brief(spec.job_type, given | {"resolution": 50}, told)[2] != size
    assert in_brief("command", {"frames": "1-3", "program": "true"}, None) == ["Command", "1-3"]
    assert in_brief("of an add-on", {}, None) == ["of an add-on"]


def test_without_a_name_of_its_own_the_output_is_named_after_the_file() -> None:
    assert prepared(facts=facts(output="/tmp\\")).settings["pattern"] == "shot_####"


def test_preparing_twice_changes_nothing() -> None:
    once = prepared(chunk=3)
    assert job_type("blender-animation").prepare(once) == once


def test_a_movie_format_becomes_png_with_a_warning() -> None:
    spec = prepared(facts=facts(image_format="FFMPEG"))
    assert spec.settings["format"] == "PNG"
    assert "FFMPEG" in spec.warnings[0]


def test_missing_files_are_named_in_warnings() -> None:
    said = facts()
    said = FileFacts(
        **{name: getattr(said, name) for name in said.__struct_fields__}
        | {"missing": (MissingFile("/a/wood.png", "image wood"),)}
    )
    assert prepared(facts=said).warnings == ("Missing file: /a/wood.png (used by image wood); what needs it renders without it",)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"scene": "Nope"}, r"no scene 'Nope'; it has: 'Scene'"),
        ({"camera": "Nope"}, r"no camera 'Nope'; it has: 'Camera'"),
        ({"frames": "1-"}, "not a frame set"),
        ({"chunk": -1}, "'chunk' cannot be -1; it goes from 0 to"),
        ({"chunk": "4"}, "'chunk' takes a whole number, not '4'"),
        ({"engine": "luxury"}, "one of: cycles, eevee, workbench"),
        ({"resolution": 0}, "'resolution' cannot be 0"),
        ({"format": "GIF"}, "'format' cannot be 'GIF'"),
        ({"pattern": "../x"}, "climbs out"),
        ({"sampels": 4}, "no setting 'sampels'; did you mean 'samples'"),
        ({"facts": facts(camera=None)}, "has no camera, so there is nothing to render it through"),
        (
            {"resolution": 1, "facts": facts(width=64, height=200)},
            "64 x 200 pixels, leaves no picture",
        ),
        (
            {"facts": facts(border=(0.0, 1.0, 0.5, 0.51))},
            "the render region of the scene 'Scene' has no whole pixel of its 100 x 50",
        ),
        ({"facts": facts(border=(0.0, 0.03, 0.0, 1.0)), "resolution": 20}, "no whole pixel of its 20 x 10"),
        ({"facts": facts(first=5, last=1)}, "goes from frame 5 to 1"),
        ({"output": ""}, "no output folder"),
    ],
)
def test_bad_settings_are_refused_by_name(settings: dict, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        prepared(**settings)


def test_a_camera_that_is_named_makes_up_for_a_scene_without_one() -> None:
    assert prepared(facts=facts(camera=None), camera="Camera").settings["camera"] == "Camera"


def test_a_command_gets_the_frame_number_in_its_arguments() -> None:
    assert fill(["render", "{frame}", "{frame:04d}", "{output}", "{{x}}"], 7, "/out") == ["render", "7", "0007", "/out", "{x}"]


@pytest.mark.parametrize("word", ["{nope}", "{0}", "{frame.__class__}", "{", "{frame:zz}", "{output.x}", "{}", "}", "{frame:{x}}",
    "{frame:1000000000d}", "{frame:999d}", "{frame:,}", "{output:99}"])  # fmt: skip
def test_what_is_no_placeholder_is_refused(word: str) -> None:
    with pytest.raises(BadInput):
        fill([word], 1, "")


@pytest.mark.parametrize("word", ["{frame:1000000000d}", "{frame:999d}", "{nope}", "{"])
def test_a_command_whose_placeholders_are_none_is_refused_before_it_is_accepted(word: str) -> None:
    with pytest.raises(BadInput, match=re.escape(word)):
        job_type("command").prepare(
            JobSpec(id="a" * 16, name="c", job_type="command", settings={"program": "true", "arguments": [word]})
        )


def test_an_argument_that_becomes_longer_than_any_program_takes_is_refused() -> None:
    with pytest.raises(BadInput, match="becomes longer than 131,000 characters, which no program takes"):
        fill(["{output}" * 1000], 1, "/" + "o" * 200)


def test_a_command_without_frames_runs_once() -> None:
    kind = job_type("command")
    spec = kind.prepare(JobSpec(id="a" * 16, name="c", job_type="command", settings={"program": "true"}))
    assert (kind.task_count(spec), kind.part_count(spec)) == (1, 1)


def test_every_setting_is_said_in_words_of_people() -> None:
    """Forms, lists and docs show no name of a setting, and no number that means something else than it says."""
    for kind in job_types().values():
        for setting in kind.settings:
            assert setting.label and setting.group in GROUPS, setting.name
            assert setting.required or setting.absent, setting.name
    settings = {"threads": 0, "persistent": True, "chunk": 1, "order": "preview", "film": "", "scene": None, "file": "/a.blend"}
    said = [(each.label, each.text, each.is_default) for each in say_settings("blender-animation", settings)]
    assert said == [
        ("Blender file", "/a.blend", False),
        ("Frames in one task", "1 frame", False),
        ("Order of frames", "every eighth, then the gaps", False),
        ("Film", "none", False),
        ("CPU threads", "all that the worker has", True),
        ("Keep data between frames", "yes", True),
    ]


@pytest.mark.parametrize(
    ("keep", "overwrite", "said"),
    [
        (False, False, "kept if they were rendered from this file with these settings"),
        (True, False, "kept, whatever rendered them"),
        (False, True, "rendered again"),
    ],
)
def test_what_happens_to_frames_that_are_there_is_said_as_it_is(keep: bool, overwrite: bool, said: str) -> None:
    (told,) = say_settings("blender-animation", {"keep": keep}, overwrite)
    assert (told.label, told.text) == ("Frames that exist", said)


def test_settings_of_a_job_type_that_is_not_installed_keep_their_names() -> None:
    assert [each.label for each in say_settings("from elsewhere", {"a_b": 1})] == ["a_b"]
