"""A farm's own job types: Python files in its data folder."""

import os
import shlex
import textwrap
import time
from pathlib import Path

import OpenImageIO as oiio
import pytest

from brender.bus.ids import new_id
from brender.commands.localfarm import LocalFarm
from brender.engines import type_files as loading
from brender.engines.type_files import all_problems, type_files
from brender.jobs.authoring import JobTypeFile, Step, compiled
from brender.jobs.clones import clone
from brender.jobs.declare import job_type
from brender.jobs.edits import revise
from brender.jobs.steps import STEPS, read_steps
from brender.model.edit import Edit
from brender.model.errors import BadInput
from brender.model.job import JobSpec
from brender.store.datafolder import DataFolder
from tests.conftest import SCENES
from tests.tools import command
from tests.web import Browser, application, make_users, picture
from tests.world import World

_CODE = """
    from brender.jobs.authoring import WHAT, JobTypeFile, Setting, Step

    SETTINGS = (Setting("frames", str, "the frames", default="1-3", label="Frames", group=WHAT),)

    def compile(settings):
        {body}

    JOB_TYPE = JobTypeFile("own", "Our own", SETTINGS, compile)
"""
_TWO_STEPS = 'return [Step("each", ["echo", "{frame}"], frames=settings["frames"]), Step("all", ["true"], after=["each"])]'


def write(folder: Path, body: str = _TWO_STEPS, name: str = "own.py") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_text(textwrap.dedent(_CODE).replace("{body}", body))
    # (Two changes within the clock's grain would look like none.)
    os.utime(file, ns=(time.time_ns(), time.time_ns()))
    return file


def spec_of(kind: str, settings: dict[str, object]) -> JobSpec:
    return JobSpec(id=new_id(), name="own", job_type=kind, settings=settings)


def test_the_steps_of_a_farm_s_own_job_type_run_one_after_the_other_and_its_job_needs_the_file_no_more(tmp_path: Path) -> None:
    file = write(tmp_path)
    spec = spec_of(*type_files(tmp_path)[0]["own"].compile({"frames": "1-2"}))
    file.unlink()
    world = World()
    world.add_worker("one", programs=frozenset({"echo", "true"}))
    told = world.submit(spec)
    assert (told["frames"], told["tasks"]) == (3, 3)
    world.start_server()
    world.run(1.0)
    assert world.finish_everything() == [1, 2, 0]
    assert world.status(spec.id) == "completed"
    assert world.ask("job", id=spec.id)["settings"]["given"] == ["Frames: 1-2"]


def test_settings_of_which_steps_were_made_cannot_change_and_the_sentence_says_what_submits_them(tmp_path: Path) -> None:
    write(tmp_path)
    spec = spec_of(*type_files(tmp_path)[0]["own"].compile({"frames": "1-2"}))
    said = "`brender submit --type own --set frames=1-3`"
    edit = Edit(settings={"frames": "1-3"})
    for attempt in (
        lambda: revise(job_type(STEPS), spec, edit),
        lambda: clone({"settings": spec.settings}, new_id(), "ann", edit),
    ):
        with pytest.raises(BadInput, match=said):
            attempt()


def test_a_file_that_has_changed_is_loaded_anew(tmp_path: Path) -> None:
    write(tmp_path, "raise RuntimeError('not yet')")
    before = type_files(tmp_path)[0]["own"]
    with pytest.raises(BadInput, match=r"The job type 'own' \(.*own.py\) failed: own.py, line 7: RuntimeError: not yet"):
        before.compile({})
    write(tmp_path)
    kind, settings = type_files(tmp_path)[0]["own"].compile({})
    assert (kind, [step.name for step in read_steps(settings["steps"]).steps]) == ("steps", ["each", "all"])


@pytest.mark.parametrize(
    ("made", "why"),
    [
        ([Step("a", ("x",), frames="1-1000000000")], "leaves Blender's frames"),
        ([Step(f"{n}", ("x",), frames="1-1000000") for n in range(9)], "would run 9,000,000 times; 2,000,000 is the most"),
        ([Step("a", ("x",), after=("b",)), Step("b", ("x",), after=("a",))], "The steps 'a' and 'b' wait for each other"),
        ([Step("a", ("x",), after=("nowhere",))], "waits for the step 'nowhere', which is not there"),
        ([Step("a", ("x", "{frames}"))], "{frames} in '{frames}' is not a placeholder"),
        ("x", "compile has to return a list of Step"),
        (42, "compile has to return a list of Step, not 42"),
        ([], "The job has no steps"),
    ],
)
def test_what_makes_no_job_is_refused_with_a_sentence(made: object, why: str) -> None:
    with pytest.raises(BadInput) as refused:
        compiled(JobTypeFile("own", "Own", (), lambda settings: made), "own.py", {})  # type: ignore[arg-type, return-value]
    assert why in str(refused.value)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("raise SystemExit(3)", "own.py, line 7: SystemExit: 3"),
        ('return [Step("a", ["x" * 3_000_000_000])]', "it takes more memory than it may have"),
    ],
)
def test_what_ends_its_process_or_takes_all_memory_refuses_its_own_job(tmp_path: Path, body: str, why: str) -> None:
    write(tmp_path, body)
    with pytest.raises(BadInput) as refused:
        type_files(tmp_path)[0]["own"].compile({})
    assert why in str(refused.value)


def test_one_that_never_ends_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "import time; time.sleep(60)")
    own = type_files(tmp_path)[0]["own"]
    monkeypatch.setattr(loading, "_SECONDS", 0.3)
    with pytest.raises(BadInput, match="it did not end within"):
        own.compile({})


def test_files_that_cannot_be_used_are_told_of_and_hinder_no_other(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "broken.py").write_text("def compile(:\n")
    (tmp_path / "raises.py").write_text("1 / 0\n")
    (tmp_path / "silent.py").write_text("")
    write(tmp_path, name="twice.py")
    assert list(type_files(tmp_path)[0]) == ["own"]
    told = all_problems(tmp_path)
    for why in (
        "broken.py, line 1: invalid syntax",
        "raises.py, line 1: ZeroDivisionError",
        "it sets no JOB_TYPE",
        "own.py declares",
    ):
        assert sum(why in each for each in told) == 1, told


def test_a_type_over_one_of_brender_s_own_gives_its_settings(tmp_path: Path) -> None:
    file = write(tmp_path, 'return {"engine": "workbench", "resolution": 25}')
    file.write_text(file.read_text().replace("compile)", 'compile, base="blender-animation")'))
    own = type_files(tmp_path)[0]["own"]
    assert own.engine == "blender"
    assert own.compile({}) == ("blender-animation", {"engine": "workbench", "resolution": 25})


def test_submit_lists_the_settings_of_a_type_and_refuses_others(folder: DataFolder, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder.job_types)
    said = command(capsys, "submit", "--data", folder.root, "--type", "own", "--help")
    assert "Settings of the job type own (Our own)" in said.out and "the frames (text) [default: 1-3]" in said.out
    assert said.out.index("Settings of the job type") < said.out.index("--project") and "--samples" not in said.out
    said = command(capsys, "submit", "--data", folder.root, "--type", "own", "--samples", "3")
    assert said.code and "--samples is not for jobs of the type own" in said.err
    said = command(capsys, "submit", "--data", folder.root, "--type", "command", "--samples", "3", "--", "true")
    assert said.code and "--samples is not for jobs of the type command" in said.err
    said = command(capsys, "submit", "--data", folder.root, "--type", "nope")
    assert said.code and "There is no job type 'nope'; there are: blender-animation" in said.err


def test_what_the_settings_file_says_of_renders_hinders_no_other_job(
    folder: DataFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (config := tmp_path / "brender.toml").write_text("[submit]\ntrusted = true\nsamples = 3\npictures = true\n")
    said = command(capsys, "submit", "--data", folder.root, "--config", config, "--", "true")
    assert "has not joined one" in said.err


def test_a_worker_needs_to_be_let_run_each_program_of_a_job(tmp_path: Path) -> None:
    write(tmp_path)
    spec = spec_of(*type_files(tmp_path)[0]["own"].compile({}))
    kind = job_type("steps")
    need = kind.requirements(kind.prepare(spec))
    assert (need.program, *need.further_programs) == ("echo", "true")


@pytest.mark.blender
@pytest.mark.thorough
def test_the_tutorial_s_own_code_makes_a_contact_sheet(
    module_farm: LocalFarm, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (Path(__file__).parents[1] / "docs" / "tutorials" / "job_type.rst").read_text()
    blocks = [textwrap.dedent(each.split("\n\n", 1)[1]) for each in code_blocks(text)]
    own = module_farm.folder.job_types
    own.mkdir()
    codes = [each for each in blocks if "JOB_TYPE" in each]
    (own / "contact_sheet.py").write_text(codes[0])
    (own / "playblast.py").write_text(codes[1])
    (tmp_path / "renders").mkdir()
    for frame in range(1, 5):
        picture(tmp_path / "renders" / f"shot_{frame:04d}.png", size=(64, 32))
    console = [line.strip() for each in blocks if "JOB_TYPE" not in each for line in each.splitlines()]
    lines = [line.removeprefix("$ ") for line in console if line.startswith("$ brender ")]
    assert len(lines) == 3
    places = {"/RENDERS": tmp_path / "renders", "SHEETS": tmp_path / "sheets", "PREVIEWS": tmp_path / "previews"}
    places["SCENE.blend"] = SCENES / "03_animated_cube.blend"
    for line, more in zip(lines, ("", "", " --frames 1-2 --allow-missing --wait"), strict=True):
        for name, place in places.items():
            line = line.replace(name, str(place))
        said = command(capsys, *shlex.split(line + more)[1:], "--data", module_farm.folder.root)
        assert said.code == 0, said.err
    sheet = oiio.ImageBuf(str(tmp_path / "sheets" / "sheet.png")).spec()
    assert (sheet.width, sheet.height) == (640, 320)  # (two rows of two, each 320 by 160)
    assert len(list((tmp_path / "sheets").glob("small_*.png"))) == 4
    assert len(list((tmp_path / "previews").iterdir())) == 2


def code_blocks(text: str) -> list[str]:
    """The code blocks of a page: each from its directive to the next line that is not indented."""
    found = []
    for piece in text.split(".. code-block:: ")[1:]:
        lines = piece.split("\n")
        end = next((n for n, line in enumerate(lines[1:], 1) if line and not line.startswith(" ")), len(lines))
        found.append("\n".join(lines[:end]))
    return found


def test_the_page_and_the_api_have_the_farm_s_own_types_and_name_those_that_cannot_be_used(folder: DataFolder) -> None:
    make_users(folder)
    write(folder.job_types)
    (folder.job_types / "broken.py").write_text("1 / 0\n")
    browser = Browser(application(folder))
    (own,) = [each for each in browser.get("/api/v1/job-types").json if each["name"] == "own"]
    assert (own["label"], own["needs_file"], [each["name"] for each in own["settings"]]) == ("Our own", False, ["frames"])
    page = browser.get("/submit").text
    assert '<option value="own">Our own</option>' in page and "broken.py, line 1: ZeroDivisionError" in page
    assert "Programs in steps" not in page
    told = browser.post("/api/v1/estimate", {"job_type": "own", "settings": {"frames": "1-5"}}).json
    assert (told["frames"], told["tasks"]) == (6, 6)
    write(folder.job_types, "return 1 / 0")
    refused = browser.post("/api/v1/estimate", {"job_type": "own"})
    assert refused.status_code == 400 and "own.py, line 7: ZeroDivisionError" in refused.json["error"]


def test_a_type_that_cannot_be_loaded_is_answered_alike_by_the_api_and_the_command_line(
    folder: DataFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    make_users(folder)
    folder.job_types.mkdir(parents=True)
    (folder.job_types / "raises.py").write_text("1 / 0\n")
    (folder.job_types / "gone.py").symlink_to(folder.root / "nothing")
    (folder.job_types / "contact_sheet.py").write_text("def compile(:\n")
    browser = Browser(application(folder))
    shown = (("raises", "line 1: ZeroDivisionError"), ("gone", "No such file"), ("contact-sheet", "line 1: invalid syntax"))
    for name, why in shown:
        said = command(capsys, "submit", "--data", folder.root, "--type", name).err
        for way in ("jobs", "estimate"):
            refused = browser.post(f"/api/v1/{way}", {"job_type": name})
            assert refused.status_code == 400 and why in refused.json["error"]
            assert said == f"Error: {refused.json['error']}\n"
    other = command(capsys, "submit", "--data", folder.root, "--type", "sheet").err
    assert "There is no job type 'sheet'" in other and "contact_sheet.py, line 1: invalid syntax" in other


@pytest.mark.thorough
def test_the_doctor_and_the_activity_log_name_a_file_that_cannot_be_used(
    folder: DataFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.job_types.mkdir(parents=True)
    (folder.job_types / "broken.py").write_text("1 / 0\n")
    said = command(capsys, "doctor", "--data", folder.root, "--quick")
    assert said.code and "broken.py cannot be used: broken.py, line 1: ZeroDivisionError" in said.out
    world = World()
    (problem,) = all_problems(folder.job_types)
    world._serve(lambda core, now: core.note_job_type(problem, now))
    assert [row["text"] for row in world.ask("activity")] == [problem]
