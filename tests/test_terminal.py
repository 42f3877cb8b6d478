"""What the terminal shows of a render: lines that fit, an estimate, the reason, one line a frame into a pipe."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from brender.commands.display import JobView, LastFile, Marks, WorkerLine, draw
from brender.commands.following import Follower, Rendering, seconds_left
from brender.commands.screen import Screen
from brender.commands.shot import fit, shot_facts
from brender.commands.waiting import wait_for
from brender.model.errors import Unreachable
from brender.model.job import FileFacts, JobSpec, SceneFacts
from brender.model.nodes import Blender
from tests.tools import in_blender

VIEW = JobView(
    done=19,
    total=48,
    left=730.0,
    elapsed=221.0,
    workers=(
        WorkerLine("worker-1", 1020, "sampling", "164/256", 0.64, 21.0),
        WorkerLine("worker-2", 1021, "synchronizing", seconds=2.0),
        WorkerLine("worker-3", None, "starting", seconds=0.4),
    ),
    last=LastFile("renders/v012/sh_020_1019.exr", 38.9, 3_100_000_000),
)
BAD = ["<b>x</b>", "a\nb\r\x1b[2J", "\u202eabc\u2066", "x" * 255, "影" * 90, "", "e\u0301", "[red]r[/red]"]
views = st.builds(
    JobView,
    done=st.integers(0, 48),
    total=st.sampled_from([0, 48, 10_000]),
    left=st.none() | st.floats(0, 1e7),
    elapsed=st.floats(0, 1e6),
    workers=st.lists(
        st.builds(
            WorkerLine,
            name=st.sampled_from([*BAD, "worker-1"]),
            frame=st.none() | st.integers(-(10**6), 10**6),
            phase=st.sampled_from([*BAD, "sampling", "compiling shaders"]),
            count=st.sampled_from(["", "164/256", "1/16777216"]),
            share=st.floats(0, 1),
            seconds=st.floats(0, 1e5),
        ),
        max_size=30,
    ).map(tuple),
    last=st.none()
    | st.builds(LastFile, name=st.sampled_from([*BAD, "a/b/c.exr"]), seconds=st.floats(0, 1e5), memory=st.integers(0, 10**12)),
    note=st.sampled_from([*BAD, "No worker is connected. Start one with brender-worker"]),
    silent=st.none() | st.floats(0, 1e5),
)


def shown(view: JobView, width: int, encoding: str = "utf-8") -> list[str]:
    return [line.plain for line in draw(view, width, 24, Marks(encoding))]


@settings(max_examples=60, deadline=None)
@given(view=views, width=st.integers(20, 200), height=st.integers(1, 60), encoding=st.sampled_from(["utf-8", "ascii", "latin-1"]))
def test_what_is_drawn_fits_each_width_and_obeys_no_name(view: JobView, width: int, height: int, encoding: str) -> None:
    lines = [line.plain for line in draw(view, width, height, Marks(encoding))]
    assert all(cell_len(line) < width for line in lines), "a line as wide as the terminal may be wrapped by it"
    assert all(line.isprintable() for line in lines)
    assert len(lines) <= max(height, 9)
    "\n".join(lines).encode(encoding)


def test_at_100_columns_all_is_there_with_its_bar() -> None:
    assert shown(VIEW, 100) == [
        "  ██████████████████░░░░░░░░░░░░░░░░░░░░░░░░░░░░   19/48   about 12 min left   03:41",
        "  worker-1   frame 1020   sampling            164/256   ▆▆▆▆▆▆▆▆▆▆░░░░░░    64%    0:21",
        "  worker-2   frame 1021   synchronizing                                            0:02",
        "  worker-3                starting                                                 0:00",
        "  last       renders/v012/sh_020_1019.exr   38.9 s   3.1 GB",
    ]


def test_at_60_columns_bars_of_workers_go_first_and_the_time_left_stays() -> None:
    assert shown(VIEW, 60) == [
        "  ███████░░░░░░░░░░░░░  19/48  about 12 min left  03:41",
        "  worker-1  1020  sampling 164/256       64%   0:21",
        "  worker-2  1021  synchronizing                0:02",
        "  worker-3        starting                     0:00",
        "  last      renders/v012/sh_020_1019.exr  38.9 s  3.1 GB",
    ]


def test_at_20_columns_there_is_still_what_counts() -> None:
    lines = shown(VIEW, 20)
    assert lines[0].endswith("19/48") and "1020" in lines[1] and "sampling" in lines[1]


def test_a_terminal_without_unicode_gets_letters() -> None:
    assert shown(VIEW, 60, "ascii")[0].startswith("  #######.............  19/48  about 12 min left")


def test_many_workers_leave_room_for_the_bar_and_are_counted() -> None:
    many = replace(VIEW, workers=tuple(WorkerLine(f"w{number}", number) for number in range(64)))
    lines = shown(many, 80)
    assert len(lines) < 24 and lines[-2].strip() == "and 48 more workers" and "19/48" in lines[0]


def test_a_reason_is_below_the_bar_and_not_cut_in_three_lines() -> None:
    lines = shown(JobView(total=3, note="No worker is connected. Start one with brender-worker"), 40)
    assert lines[0].endswith("0/3")
    assert " ".join(line.strip() for line in lines[1:]) == "No worker is connected. Start one with brender-worker"


def test_a_silent_server_is_said_instead_of_a_time_left() -> None:
    lines = shown(replace(VIEW, silent=12.0), 100)
    assert "left" not in lines[0] and "silent for 12 s. Renders go on" in lines[-1]


# --- the estimate -------------------------------------------------------------------------------------------------------


def test_before_the_first_frame_its_samples_tell_how_long_all_take() -> None:
    assert seconds_left(10, None, [Rendering(0.25, 10.0)]) == pytest.approx(40 * 9.75)
    assert seconds_left(10, None, [Rendering(0.0, 10.0, remaining=30.0)]) == pytest.approx(400)
    assert seconds_left(10, None, [Rendering(0.0, 10.0)]) is None, "nothing is known yet"


def test_later_the_mean_of_the_frames_tells_shared_among_the_workers() -> None:
    two = [Rendering(0.5, 5.0), Rendering(0.5, 5.0)]
    assert seconds_left(5, 10.0, two) == pytest.approx(20.0)
    assert seconds_left(1, 10.0, [Rendering(0.9, 9.0, remaining=7.0)]) == 7.0, "the frame itself knows better"
    assert seconds_left(5, 10.0, []) is None, "nothing runs"


# --- following a job ----------------------------------------------------------------------------------------------------


def record(done: int = 0, **more: Any) -> dict[str, Any]:
    given = {"status": "active", "reason": "", "completed_parts": done, "part_count": 48, "kept_parts": 0, "render_seconds": 0.0}
    return given | {"rendering": [], "warnings": [], "settings": {"frames": "1001-1048"}} | more


def part(id: int, **more: Any) -> dict[str, Any]:
    given = {"id": id, "frame": 1000 + id, "status": "completed", "output": f"a_{1000 + id}.exr", "piece": 0, "layer": ""}
    return given | {"kept": False, "seconds": 38.9, "memory": 0, "worker_name": "w2", "finished": 1.0, "change": id} | more


def at_work(frame: int | None, line: str = "", fraction: float = 0.0) -> dict[str, Any]:
    return {"id": "w", "name": "w1", "frame": frame, "fraction": fraction, "line": line}


def test_a_pipe_gets_one_line_for_each_frame_numbered() -> None:
    follower = Follower("v012/", 0.0)
    lines = follower.look(record(2, render_seconds=60.0, rendering=[at_work(1003)]), [part(1), part(2)], 60.0)
    assert lines == [
        "frame 1001 of 1001-1048 (1/48): v012/a_1001.exr 38.9s w2, 23 min left",
        "frame 1002 of 1001-1048 (2/48): v012/a_1002.exr 38.9s w2, 23 min left",
    ]
    assert follower.look(record(2), [part(2)], 61.0) == [], "a part that is told of again is no new one"
    assert follower.change == 2


def test_frames_that_were_there_are_counted_in_one_line() -> None:
    lines = Follower("", 0.0).look(record(3, kept_parts=2), [part(1, kept=True), part(2, kept=True), part(3)], 1.0)
    assert lines[0] == "2 of 48 were there already, and are kept" and lines[1].startswith("frame 1003 of 1001-1048 (3/48)")


def test_a_reason_is_shown_once_it_has_lasted_while_workers_start() -> None:
    follower = Follower("", 0.0)
    why = "No worker is connected. Start one with brender-worker"
    follower.look(record(reason=why), [], 0.0)
    assert follower.view.note == "Waiting for a worker" and not follower.new_reason()
    follower.look(record(reason=why), [], 2.1)
    assert follower.view.note == why and follower.new_reason() == why and not follower.new_reason()
    follower.look(record(reason=why, rendering=[at_work(1001)]), [], 2.2)
    assert follower.view.note == "", "something renders"


def test_a_worker_line_tells_phase_samples_and_how_long_its_frame_takes() -> None:
    follower = Follower("", 0.0)
    follower.look(record(rendering=[at_work(1001, "sampling 64/256 · 1:03 left · 36 MB", 0.25)]), [], 10.0)
    follower.look(record(rendering=[at_work(1001, "sampling 128/256 · 0:42 left", 0.5)]), [], 31.0)
    assert follower.view.workers == (WorkerLine("w1", 1001, "sampling", "128/256", 0.5, 21.0),)
    follower.look(record(rendering=[at_work(1002, "compiling shaders, 1:15")]), [], 60.0)
    assert follower.view.workers == (WorkerLine("w1", 1002, "compiling shaders", "", 0.0, 0.0),)


# --- the line of facts --------------------------------------------------------------------------------------------------


def test_the_first_line_has_the_facts_of_the_shot_and_breaks_between_them() -> None:
    scene = SceneFacts(
        name="Shot",
        first=1,
        last=9,
        width=3840,
        height=2160,
        percent=50,
        engine="CYCLES",
        image_format="OPEN_EXR",
        camera="cam_main",
        samples=256,
    )
    facts = FileFacts(path="/p/sh_020.blend", version=(5, 0), active_scene="Shot", scenes=(scene,))
    settings = {"file": "/p/sh_020.blend", "scene": "Shot", "frames": "1001-1048", "format": "OPEN_EXR"}
    spec = JobSpec(id="j", name="n", job_type="blender-animation", settings=settings, facts=facts)
    line = "sh_020.blend · Shot · cam_main · Cycles 256 samples · 1920×1080 EXR · frames 1001–1048 → v012/"
    assert fit(shot_facts(spec, "v012/"), 100) == [line]
    assert fit(shot_facts(spec, "v012/"), 60) == [
        "sh_020.blend · Shot · cam_main · Cycles 256 samples",
        "  1920×1080 EXR · frames 1001–1048 → v012/",
    ]


# --- waiting ------------------------------------------------------------------------------------------------------------


class Silent:
    """A client whose server is silent for the first question, and then says that the job is completed."""

    timeout = 10.0
    asked = 0

    def ask(self, question: str, **more: Any) -> Any:
        self.asked += 1
        if self.asked == 1:
            time.sleep(self.timeout / 2)
            raise Unreachable("nothing")
        return [] if question == "parts" else record(48, status="completed", output="")


def test_a_server_that_is_started_again_is_waited_for_and_that_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("brender.commands.waiting._SILENT_SECONDS", 0.1)
    kept_up: list[None] = []
    client = Silent()
    assert wait_for(client, "j", Screen(), lambda: kept_up.append(None))["status"] == "completed"  # type: ignore[arg-type]
    said = capsys.readouterr().out.splitlines()
    assert said == ["The server is silent; waiting for it. Renders go on, nothing new starts", "The server answers again"]
    assert kept_up and client.timeout == 10.0


_SLOW = """
import bpy
bpy.ops.wm.read_factory_settings()
scene = bpy.context.scene
scene.render.engine = "BLENDER_WORKBENCH"
scene.render.resolution_x = scene.render.resolution_y = 16
scene.frame_end = 2000
bpy.ops.wm.save_as_mainfile(filepath={file!r})
"""


@pytest.mark.thorough
@pytest.mark.skipif(os.name == "nt", reason="there are no pseudo-terminals")
def test_ctrl_c_says_what_is_kept_and_that_the_same_command_goes_on(bpy: Blender, tmp_path: Path) -> None:
    import pty

    file = tmp_path / "slow.blend"
    in_blender(bpy, _SLOW.format(file=str(file)), tmp_path)
    words = [
        sys.executable,
        "-m",
        "brender.commands.main",
        "render",
        str(file),
        "--output",
        str(tmp_path / "out"),
        "--no-dashboard",
    ]
    words += ["--blender", bpy.path, "--data", str(tmp_path / "data")]
    mine, theirs = pty.openpty()
    with subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True) as render:
        os.close(theirs)
        said, asked, deadline = b"", False, time.monotonic() + 60
        while time.monotonic() < deadline:
            if not select.select([mine], [], [], 1.0)[0]:
                continue
            with contextlib.suppress(OSError):
                said += os.read(mine, 65536)
            if not asked and b"/2000" in said and b"last" in said:
                render.send_signal(signal.SIGINT)
                asked = True
            if b"goes on from here" in said:
                break
        os.close(mine)
        assert render.wait(20) == 130
    text = said.decode()
    assert "of 2000 frames" in text and "The same command goes on from here." in text
    assert "Workbench" in text.splitlines()[0] and "Starting a farm here" in text
