"""Frames that are gone when a command has waited for its job: they are rendered again, once, and then it is said."""

from pathlib import Path
from typing import Any

import pytest

from brender.commands.screen import Screen
from brender.commands.waiting import wait_for_frames
from brender.model.errors import RenderFailed
from brender.model.nodes import Blender
from tests.tools import command, in_blender

JOB = "j" * 16


class Job:
    """A client whose job renders *frames* into *folder* at once. Something removes the *removed* ones, so many *times*."""

    def __init__(self, folder: Path, frames: int, removed: list[int], times: int) -> None:
        self.timeout = 1.0
        self.folder, self.frames, self.removed, self.times = folder, frames, removed, times
        self.requeued: list[str] = []
        self._render()

    def ask(self, question: str, **more: Any) -> Any:
        record = {"id": JOB, "status": "completed", "output": str(self.folder), "frames_deleted": None, "user": "me"}
        record |= {"warnings": [], "eta_seconds": None, "reason": "", "rendering": [], "settings": {}, "started": 1.0}
        record |= {"part_count": self.frames, "completed_parts": self.frames, "kept_parts": 0, "render_seconds": 1.0}
        part = {"status": "completed", "piece": 0, "layer": "", "size": 1, "digest": "", "change": 1, "further_files": []}
        part |= {"kept": False, "seconds": 1.0, "memory": 0, "worker_name": "w", "finished": 1.0}
        parts = [part | {"id": number, "frame": number, "output": f"f_{number}.png"} for number in range(1, self.frames + 1)]
        return {"job": record, "parts": parts, "paths": []}[question]

    def act(self, action: str, job: str, **more: Any) -> None:
        assert (action, job, more["user"]) == ("requeue", JOB, "me")
        self.requeued.append(more["value"])
        self._render()

    def _render(self) -> None:
        self.folder.mkdir(exist_ok=True)
        for number in range(1, self.frames + 1):
            if number in self.removed and self.times:
                (self.folder / f"f_{number}.png").unlink(missing_ok=True)
            else:
                (self.folder / f"f_{number}.png").write_text("x")
        self.times = max(0, self.times - 1)


def test_frames_that_are_there_are_not_rendered_again(tmp_path: Path) -> None:
    job = Job(tmp_path / "out", 4, [], 0)
    assert wait_for_frames(job, JOB, Screen())["status"] == "completed" and not job.requeued  # type: ignore[arg-type]


def test_frames_that_are_gone_are_rendered_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job = Job(tmp_path / "out", 4, [1, 2], 1)
    wait_for_frames(job, JOB, Screen())  # type: ignore[arg-type]
    assert job.requeued == ["1,2"] and len(list((tmp_path / "out").iterdir())) == 4
    assert f"Gone from {tmp_path / 'out'} since they were rendered: f_1.png, f_2.png." in capsys.readouterr().err


def test_frames_that_are_gone_again_are_said(tmp_path: Path) -> None:
    job = Job(tmp_path / "out", 4, [3], 9)
    with pytest.raises(RenderFailed, match=r"gone from .*/out again: f_3.png\. Something removes them"):
        wait_for_frames(job, JOB, Screen())  # type: ignore[arg-type]
    assert job.requeued == ["3"]


def test_frames_in_a_folder_that_is_not_seen_here_are_believed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job = Job(tmp_path / "out", 2, [], 0)
    job.folder.rename(tmp_path / "elsewhere")
    assert wait_for_frames(job, JOB, Screen())["status"] == "completed" and not job.requeued  # type: ignore[arg-type]
    assert f"Warning: {tmp_path / 'out'} is not seen on this machine" in capsys.readouterr().err


def test_a_folder_that_is_gone_is_rendered_again_where_the_workers_are_here(tmp_path: Path) -> None:
    job = Job(tmp_path / "out", 2, [], 0)
    for file in [*job.folder.iterdir()]:
        file.unlink()
    job.folder.rmdir()
    wait_for_frames(job, JOB, Screen(), all_here=True)  # type: ignore[arg-type]
    assert job.requeued == ["1,2"] and len(list((tmp_path / "out").iterdir())) == 2


_REMOVES = """
import bpy
bpy.ops.wm.read_factory_settings()
text = bpy.data.texts.new("removes.py")
text.write('''
import bpy, os, shutil
def removes(scene, *rest):
    if scene.frame_current == 3 and not os.path.exists(MARK):
        open(MARK, "w").close()
        shutil.rmtree(OUT)
bpy.app.handlers.render_pre.append(removes)
'''.replace("MARK", repr(MARK)).replace("OUT", repr(OUT)))
text.use_module = True
scene = bpy.context.scene
scene.render.engine = "BLENDER_WORKBENCH"
scene.render.resolution_x = scene.render.resolution_y = 16
bpy.ops.wm.save_as_mainfile(filepath=FILE)
"""


@pytest.mark.thorough
def test_render_ends_with_every_frame_there_though_the_folder_was_deleted_meanwhile(
    bpy: Blender, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out, mark = tmp_path / "removes.blend", tmp_path / "out", tmp_path / "mark"
    made = _REMOVES.replace("repr(MARK)", repr(repr(str(mark)))).replace("repr(OUT)", repr(repr(str(out))))
    in_blender(bpy, made.replace("FILE", repr(str(file))), tmp_path)
    words = ("--frames", "1-4", "--output", out, "--trusted", "--blender", bpy.path, "--no-dashboard", "--workers", "1")
    said = command(capsys, "render", file, *words, "--data", tmp_path / "data")
    assert said.code == 0 and mark.exists() and len(list(out.iterdir())) == 4, said.err
    assert "Rendering again, once" in said.err
