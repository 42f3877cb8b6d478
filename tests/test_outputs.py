"""Further files of a frame: what file-output nodes of the compositor write is gathered, verified and published like the frame."""

import zipfile
from pathlib import Path

import numpy
import pytest

from brender.engines.confine import confinement
from brender.model.nodes import Blender
from tests.compositing import with_file_outputs
from tests.conftest import missing
from tests.rendering import studio
from tests.tools import command, pixels

pytestmark = pytest.mark.blender


def _names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_files_of_output_nodes_go_where_the_scene_says_and_are_told_of(blender: Blender, tmp_path: Path) -> None:
    scene = with_file_outputs(blender, tmp_path / "a" / "s.blend", ("//passes", "beauty_"), ("//deep/er/", "light_"))
    with studio(tmp_path / "w", blender) as worker:
        outcome = worker.run(worker.job(scene, tmp_path / "out", frames="1-2"), 0, 1)
    assert not outcome.ended.reason
    passes, deep = _names(tmp_path / "a" / "passes"), _names(tmp_path / "a" / "deep")
    item = "Image" if blender.kind == "bpy" else ""
    assert passes == [f"beauty_{item}0001.png", f"beauty_{item}0002.png"], "as Blender calls them in an animation"
    assert deep == [f"er/light_{item}0001.exr", f"er/light_{item}0002.exr"]
    told = {further.output for part in outcome.parts for further in part.further_files}
    assert told == {str(tmp_path / "a" / "passes" / each) for each in passes} | {
        str(tmp_path / "a" / "deep" / each) for each in deep
    }
    assert len(_names(tmp_path / "out")) == 2, "the frames, and nothing that was left behind"
    assert (
        numpy.abs(pixels(tmp_path / "a" / "passes" / passes[0]) - pixels(tmp_path / "out" / _names(tmp_path / "out")[0])).max()
        < 0.01
    )


def test_in_a_sandbox_files_of_output_nodes_stay_in_the_job_s_folder(bpy: Blender, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    scene = with_file_outputs(bpy, tmp_path / "a" / "s.blend", (str(elsewhere), "x_"))
    (tmp_path / "out").mkdir()
    kept = confinement("auto", 0, roots=[tmp_path / "out", tmp_path / "a"])
    if not kept.sandbox:
        missing("bubblewrap")
    with studio(tmp_path / "w", bpy, confinement=kept) as worker:
        outcome = worker.run(worker.job(scene, tmp_path / "out", frames="1"))
    assert not outcome.ended.reason
    assert not elsewhere.exists() and [name for name in _names(tmp_path / "out") if name.startswith("elsewhere/x_")]


def test_files_of_output_nodes_of_a_sent_scene_come_back_with_the_frames(
    apart: tuple[Path, Path], bpy: Blender, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, mine = apart
    scene = with_file_outputs(bpy, mine.parent / "private" / "nodes" / "nodes.blend", ("//passes", "beauty_"))
    said = command(capsys, "submit", scene, "--send", "--frames", "1-3", "--wait", "--data", mine)
    assert said.code == 0, said.err
    assert "6 files fetched" in command(capsys, "fetch", "nodes", "--to", tmp_path / "got", "--data", mine).out
    names = _names(tmp_path / "got")
    passes = [name for name in names if name.startswith("passes/")]
    assert len(names) == 6 and len(passes) == 3
    (first,) = (name for name in names if "0001" in name and "/" not in name)
    (beside,) = (name for name in passes if "0001" in name)
    assert numpy.abs(pixels(tmp_path / "got" / first) - pixels(tmp_path / "got" / beside)).max() < 0.01
    assert "0 files fetched" in command(capsys, "fetch", "nodes", "--to", tmp_path / "got", "--data", mine).out
    command(capsys, "archive", "nodes", tmp_path / "nodes.zip", "--data", mine)
    kept = zipfile.ZipFile(tmp_path / "nodes.zip").namelist()
    assert sum(name.startswith("frames/") for name in kept) == 6
