"""Templates of Open Job Description, compiled to jobs in steps."""

from pathlib import Path

import pytest

from brender.commands.localfarm import LocalFarm
from brender.engines.openjd_templates import compile_template
from brender.jobs.steps import ANY_PROGRAM, programs_of, read_steps
from brender.model.errors import BadInput
from dashboard.templates_of_jobs import Template, compiled, parameters
from tests.tools import command

TEMPLATES = Path(__file__).parent / "templates"
LAYERS = TEMPLATES / "layers.yaml"


def changed(tmp_path: Path, old: str, new: str) -> Path:
    """The template of layers with *old* replaced."""
    text = LAYERS.read_text()
    assert old in text
    (tmp_path / "template.yaml").write_text(text.replace(old, new))
    return tmp_path / "template.yaml"


def test_a_template_that_is_posted_makes_the_same_job_and_asks_for_its_parameters() -> None:
    posted = Template(name=LAYERS.name, text=LAYERS.read_text())
    asked = [(each.name, each.kind, each.default, each.required) for each in parameters(posted)]
    assert asked == [("Title", str, "a shot", False), ("Frames", str, "1-2", False), ("Folder", str, None, True)]
    given = {"Folder": "/out", "Frames": "1-5:2"}
    assert compiled(posted, given) == compile_template(LAYERS, given)


@pytest.mark.parametrize(
    ("name", "old", "new", "given", "said"),
    [
        ("job.yaml", "", "", {}, "Folder"),
        ("job.yaml", "", "", {"Folder": "out"}, "Folder is a path beside the template.* give the whole path"),
        ("job.yaml", "jobtemplate-2023-09", "jobtemplate-1999", {"Folder": "/out"}, "^job.yaml is not a template"),
        ("job.yaml", "anyOf: [linux]", "anyOf: [linux, windows]", {"Folder": "/out"}, "attr.worker.os.family"),
        ("job.txt", "", "", {"Folder": "/out"}, "'job.txt' is not a template: the name of one ends with .yaml"),
        ("../job.yaml", "", "", {"Folder": "/out"}, "is not a template"),
    ],
)
def test_a_posted_template_is_refused_by_name(name: str, old: str, new: str, given: dict[str, str], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        compiled(Template(name=name, text=LAYERS.read_text().replace(old, new)), given)


_HEAD = "specificationVersion: jobtemplate-2023-09\nname: x\n"
_STEP = "{name: A, script: {actions: {onRun: {command: echo, args: ['{{Param.Word}}']}}}"
_WORD = "parameterDefinitions: [{name: Word, type: STRING, default: '-v'}]\n"


def _with_tasks(combination: str, **ranges: str) -> str:
    declared = ", ".join(f"{{name: {name}, type: INT, range: '{each}'}}" for name, each in ranges.items())
    space = f"parameterSpace: {{taskParameterDefinitions: [{declared}], combination: '{combination}'}}"
    return f"{_HEAD}{_WORD}steps: [{_STEP}, {space}}}]\n"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.yaml", _HEAD + "a: &a [x]\nb: [*a, *a]\n", r"uses the YAML alias \*a \(line 4\)"),
        ("a.yaml", "\n".join(" " * depth + "-" for depth in range(200)), "nested too deeply"),
        ("a.json", "[" * 50_000, "nested too deeply"),
        ("a.json", '{"a":' * 200 + "1" + "}" * 200, "nested too deeply"),
        ("a.yaml", "a: 1" + ":1" * 400_000, "a number of 800,001 digits"),
        ("a.yaml", f"a: '{'ü' * 600_000}'", "1,200,005 bytes; a template has at most 1,000,000"),
        ("a.yaml", _with_tasks("F", F="1-1000000000"), "leaves Blender's frames"),
        ("a.yaml", _with_tasks("F * G * H", F="1-1000", G="1-1000", H="1-1000"), "would run 1,000,000,000 times"),
        ("a.yaml", _with_tasks("(F * G, H * I)", **dict.fromkeys("FGHI", "1-50000")), "2,500,000,000 values"),
        ("a.yaml", _with_tasks("(" * 400 + "F" + ")" * 400, F="1-3"), "nested too deeply"),
        ("ü" * 200 + ".yaml", _HEAD, "cannot be written to a file of that name"),
    ],
    ids=lambda value: "" if len(value) > 40 else value,
)
def test_a_small_template_that_would_take_minutes_or_gigabytes_is_refused_at_once(name: str, text: str, said: str) -> None:
    for asking in (parameters, lambda posted: compiled(posted, {})):
        if asking is parameters and text.startswith(_HEAD + _WORD):
            continue  # (its tasks are counted when it is submitted)
        with pytest.raises(BadInput, match=said):
            asking(Template(name=name, text=text))


def test_a_template_whose_parameters_make_it_large_is_refused() -> None:
    text = f"{_HEAD}{_WORD}steps: [{_STEP.replace('{{Param.Word}}', '{{Param.Word}}' * 11_000)}}}]\n"
    with pytest.raises(BadInput, match=r"steps have 11,.* characters"):
        compiled(Template(name="a.yaml", text=text), {"Word": "x" * 1000})


def test_a_form_gets_the_bounds_of_each_number_as_the_template_has_them() -> None:
    declared = "{name: F, type: FLOAT, minValue: 0.5, maxValue: 2.5}, {name: I, type: INT, minValue: -3}"
    text = f"{_HEAD}parameterDefinitions: [{declared}]\nsteps: [{_STEP.replace('Word', 'F')}}}]\n"
    asked = parameters(Template(name="a.yaml", text=text))
    assert [(each.kind, each.lowest, each.highest) for each in asked] == [(float, 0.5, 2.5), (int, -3, None)]


def test_a_template_becomes_steps_that_wait_with_a_task_for_each_choice_of_parameters() -> None:
    made = compile_template(LAYERS, {"Folder": "/out", "Frames": "1-5:2"})
    draw, join = read_steps(made.settings["steps"]).steps
    assert (made.name, made.tags) == ("Layers of a shot", ("linux",))
    assert (draw.name, draw.parts, join.after) == ("Draw", 6, ("Draw",))
    assert [draw.values_of(each) for each in (0, 1, 5)] == [
        {"Task.Param.Frame": 1, "Task.Param.Layer": "back", "Task.Param.Depth": "0.5"},
        {"Task.Param.Frame": 1, "Task.Param.Layer": "front", "Task.Param.Depth": "2"},
        {"Task.Param.Frame": 5, "Task.Param.Layer": "front", "Task.Param.Depth": "2"},
    ]
    assert draw.environments[0].variables == {"GREETING": "{{hello}} a shot"}
    assert (draw.limit_seconds, draw.environments[0].limit_seconds) == (60, 60)
    # A file that the template brings may do anything.
    assert set(programs_of(made.settings)) == {ANY_PROGRAM, "sh"}


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("steps:\n", "extensions: [TASK_CHUNKING, OURS]\nsteps:\n", "brender does not support: TASK_CHUNKING, OURS"),
        ("amount.worker.vcpu", "amount.worker.memory", "needs amount.worker.memory, which brender cannot tell"),
        ("attr.worker.os.family", "attr.custom.kind", "needs attr.custom.kind of linux: brender cannot tell"),
        ("jobtemplate-2023-09", "jobtemplate-1999-01", "Unknown template version: jobtemplate-1999-01"),
        ("dependsOn: Draw", "dependsOn: Nothing", "Nothing"),
        ("- name: Draw\n", "- name: Draw\n  dependencies: [{dependsOn: Join}]\n", "cycle: Join -> Draw -> Join"),
        ('"{{Param.Frames}}"', '"1-900000000"', "leaves Blender's frames"),
    ],
)
def test_what_brender_cannot_do_is_refused_by_name(tmp_path: Path, old: str, new: str, why: str) -> None:
    with pytest.raises(BadInput) as refused:
        compile_template(changed(tmp_path, old, new), {"Folder": "/out"})
    assert why in str(refused.value)


def test_parameters_that_are_missing_unknown_or_not_allowed_are_refused() -> None:
    for given, why in (
        ({}, "Values missing for required job parameters: Folder. `--param NAME=VALUE` gives one"),
        ({"Folder": "/out", "Nope": "1"}, "not defined in the template: Nope"),
    ):
        with pytest.raises(BadInput, match=why):
            compile_template(LAYERS, given)
    with pytest.raises(BadInput, match="Word"):
        compile_template(TEMPLATES / "once.json", {"Word": "perhaps"})


def test_parameters_without_a_template_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = command(capsys, "submit", "--data", tmp_path, "shot.blend", "--param", "A=1")
    assert said.code and "--param is for templates of Open Job Description" in said.err


@pytest.mark.thorough
def test_a_template_runs_with_its_environment_and_files_and_fails_with_its_own_words(
    module_farm: LocalFarm, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ("--data", module_farm.folder.root)
    given = ("--param", f"Folder={tmp_path}", "--param", "Title=rain")
    assert command(capsys, "submit", *data, LAYERS, *given, "--wait").code == 0
    lines = (tmp_path / "all.txt").read_text().splitlines()
    assert lines == [
        f"{{hello}} rain rain at home {frame} {layer} {depth} false {{}}"
        for frame in (1, 2)
        for layer, depth in (("back", "0.5"), ("front", "2"))
    ]
    assert (tmp_path / "left.txt").read_text() == 5 * "left\n", "an environment is left after each task"
    assert command(capsys, "submit", *data, TEMPLATES / "once.json", "--param", "Word=yes", "--wait").code == 0
    said = command(capsys, "submit", *data, TEMPLATES / "once.json", "--wait")
    assert said.code and "Say: the word is no" in said.err
