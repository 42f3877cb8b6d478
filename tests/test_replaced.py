"""What a job replaces in its output folder is said before it begins; and where its frames go."""

from pathlib import Path
from typing import Any, cast

import msgspec
import OpenImageIO as oiio
import pytest

from brender.api.replaced import count_fitting, with_what_it_replaces
from brender.bus.client import Client
from brender.engines.resume import note_for
from brender.jobs.declare import job_type
from brender.model.job import JobSpec
from tests.tools import command, let_commands_ask
from tests.world import World, animation, farm_of_two


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> World:
    """A farm of two workers, that commands of this process ask."""
    world = farm_of_two()
    let_commands_ask(world.answer, monkeypatch)
    return world


def _job(folder: Path, **more: Any) -> JobSpec:
    file = folder / "shot.blend"
    file.touch()
    spec = animation("1-3", output=str(folder / "out"), **more)
    assert spec.facts is not None
    spec = msgspec.structs.replace(spec, facts=msgspec.structs.replace(spec.facts, path=str(file)))
    return job_type(spec.job_type).prepare(spec)


def _write(path: Path, note: str = "") -> None:
    path.parent.mkdir(exist_ok=True)
    picture = oiio.ImageBuf(oiio.ImageSpec(2, 2, 3, oiio.UINT8))
    picture.specmod().attribute("Comment", note)
    picture.write(str(path))


def _connection(world: World) -> Client:
    class Asking:
        def ask(self, question: str, **arguments: Any) -> Any:
            return world.ask(question, **arguments)

    return cast(Client, Asking())


def _said(world: World, spec: JobSpec) -> tuple[str, ...]:
    return with_what_it_replaces(_connection(world), spec).warnings


def _names(spec: JobSpec) -> list[str]:
    kind = job_type(spec.job_type)
    return [part.output for index in range(kind.task_count(spec)) for part in kind.task(spec, index).parts]


def test_a_job_says_which_frames_of_which_job_it_replaces(asked: World, tmp_path: Path) -> None:
    before = _job(tmp_path, name="slow")
    asked.submit(before)
    asked.finish_everything()
    for name in _names(before)[:2]:
        _write(tmp_path / "out" / name)
    (said,) = _said(asked, _job(tmp_path, samples=7))
    assert said.startswith("2 frames that are there are replaced: ") and " and ".join(_names(before)[:2]) in said
    assert f"(rendered by the job slow ({before.id[:8]}))" in said and "Another --output leaves them" in said


def test_frames_that_are_kept_are_not_said_to_be_replaced(asked: World, tmp_path: Path) -> None:
    spec = _job(tmp_path)
    assert spec.facts is not None
    assert _said(asked, spec) == ()  # there is no such folder
    mine, other, placeholder = (tmp_path / "out" / name for name in _names(spec))
    _write(mine, note_for(spec.settings, Path(spec.facts.path), spec.facts.inputs))
    placeholder.touch()
    assert _said(asked, spec) == ()
    assert count_fitting(_connection(asked), spec) == 1
    _write(other, "somebody's")
    assert count_fitting(_connection(asked), spec) == 1
    assert _said(asked, spec)[0].startswith(f"1 frame that is there is replaced: {other.name} in ")
    keeping = _job(tmp_path, keep=True)
    assert _said(asked, keeping) == () and count_fitting(_connection(asked), keeping) == 2
    assert "2 frames" in _said(asked, msgspec.structs.replace(spec, overwrite=True))[0]


def test_submit_says_where_the_frames_go_also_where_the_scene_says_it(
    asked: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = _job(tmp_path)
    monkeypatch.setattr("brender.api.submitting.inspect", lambda path: spec.facts)
    monkeypatch.setattr("brender.api.submitting.blender_job", lambda *_, **__: spec)
    said = command(capsys, "submit", tmp_path / "shot.blend", "--data", tmp_path)
    assert f"3 frames in 3 tasks, to {tmp_path / 'out'}\n" in said.out
