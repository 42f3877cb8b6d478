"""What the terminal shows of a render: lines that fit, an estimate, the reason, one line a frame into a pipe."""

import base64
import contextlib
import os
import re
import select
import signal
import subprocess
import sys
import time
import zlib
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as replace_struct
from rich.cells import cell_len

from brender.api.place import Place
from brender.bus.keys import kept_pair
from brender.commands.display import JobView, LastFile, Marks, WorkerLine, draw
from brender.commands.folder_farm import GOES_ON
from brender.commands.following import IN_ONE_PIECE, Follower, Rendering, done_in_words, seconds_left
from brender.commands.latest_picture import LatestPicture
from brender.commands.localfarm import LocalFarm
from brender.commands.screen import Screen, _wrapped
from brender.commands.shot import fit, shot_facts
from brender.commands.terminal_graphics import encode, iterm2, kitty, sixel
from brender.commands.terminal_protocols import Protocol, protocol_of
from brender.commands.waiting import SILENT, tell_log_end, wait_for
from brender.engines import log_end as log_end_module
from brender.engines.log_end import log_end
from brender.model.errors import Unreachable
from brender.model.job import FileFacts, JobSpec, SceneFacts
from brender.model.nodes import Blender
from brender.store.datafolder import DataFolder
from tests.tools import command, in_blender, until
from tests.world import animation

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
        "  worker-1   frame 1020   sampling 164/256       ▆▆▆▆▆▆▆▆▆▆░░░░░░    64%    0:21",
        "  worker-2   frame 1021   synchronizing                                     0:02",
        "  worker-3                starting                                          0:00",
        "  last       renders/v012/sh_020_1019.exr   38.9 s   3.1 GB",
    ]


def test_at_60_columns_bars_of_workers_go_first_and_the_time_left_stays() -> None:
    assert shown(VIEW, 60) == [
        "  ███████░░░░░░░░░░░░░  19/48  about 12 min left  03:41",
        "  worker-1  frame 1020  sampling 164/256       64%   0:21",
        "  worker-2  frame 1021  synchronizing                0:02",
        "  worker-3              starting                     0:00",
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
        "frame 1001 (1 of 48): v012/a_1001.exr, 38.9 s on w2, 23 min left",
        "frame 1002 (2 of 48): v012/a_1002.exr, 38.9 s on w2, 23 min left",
    ]
    assert follower.look(record(2), [part(2)], 61.0) == [], "a part that is told of again is not a new one"
    assert follower.change == 2


def test_a_warning_into_a_pipe_holds_nothing_that_a_terminal_would_obey(capsys: pytest.CaptureFixture[str]) -> None:
    with Screen() as screen:
        screen.warn("the image \x1b]0;owned\x07 is missing")
    assert capsys.readouterr().err == "Warning: the image ·]0;owned· is missing\n"


def test_the_time_left_leaves_out_frames_that_were_canceled() -> None:
    follower = Follower("", 0.0)
    follower.look(record(2, render_seconds=20.0, given_up_parts=40, rendering=[at_work(1003)]), [part(1), part(2)], 20.0)
    assert follower.view.left == 60.0


def test_frames_that_were_there_are_counted_in_one_line() -> None:
    lines = Follower("", 0.0).look(record(3, kept_parts=2), [part(1, kept=True), part(2, kept=True), part(3)], 1.0)
    assert lines[0] == "2 of 48 were there already, and are kept" and lines[1].startswith("frame 1003 (3 of 48)")


def test_the_bar_of_a_job_in_passes_says_which_pass_of_its_frames_it_is_in() -> None:
    view = JobView(done=31, total=32, frames=8, elapsed=9.0)
    assert "7/8, pass 4 of 4" in shown(view, 100)[0] and "31/32" not in shown(view, 100)[0]
    follower = Follower("", 0.0)
    follower.look(record(9, part_count=32, settings={"refine": "samples", "passes": 4}), [], 1.0)
    assert "1/8, pass 2 of 4" in shown(follower.view, 80)[0]
    assert "█" in shown(follower.view, 80)[0], "the bar is of all passes"


def test_a_still_that_could_not_be_split_is_not_said_to_be_in_pieces() -> None:
    still = record(9, settings={"pieces": 8})
    assert done_in_words(still) == "1 frame in 8 pieces"
    assert done_in_words(still | {"warnings": [f"{IN_ONE_PIECE}: Workbench"]}) == "1 frame, in one piece"
    source = Path(log_end_module.__file__).with_name("inside") / "split.py"
    assert f'"{IN_ONE_PIECE}: "' in source.read_text("utf-8")


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
    assert "Cycles 1 sample" in shot_facts(replace_struct(spec, settings=settings | {"samples": 1}), "")
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
    for module in ("commands", "api"):
        monkeypatch.setattr(f"brender.{module}.waiting.SILENT_SECONDS", 0.1)
    kept_up: list[None] = []
    client = Silent()
    assert wait_for(client, "j", Screen(), lambda: kept_up.append(None))["status"] == "completed"  # type: ignore[arg-type]
    said = capsys.readouterr().out.splitlines()
    assert said == [SILENT, "The server answers again"]
    assert kept_up and client.timeout == 10.0


def test_of_a_farm_that_was_ended_a_command_that_waits_says_so_and_how_to_start_it(
    folder: DataFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("commands", "api"):
        monkeypatch.setattr(f"brender.{module}.waiting.SILENT_SECONDS", 0.1)
    kept_pair(folder.make().local_key)
    place = Place(None, folder.root)
    wait_for(Silent(), "j", Screen(), away=place.follow)  # type: ignore[arg-type]
    gone = place.follow(Silent())  # type: ignore[arg-type]
    assert gone and f"No server runs in the data folder {folder.root}. Start it with `brender farm`" in gone
    assert capsys.readouterr().out.splitlines()[0] == f"{gone}. More: `brender docs server-silent`"
    lines = shown(replace(VIEW, silent=12.0, gone=gone), 100)
    assert "No server runs" in " ".join(lines) and "Renders go on" not in " ".join(lines)


class Failed:
    """A client whose job failed on a worker, whose log arrives in two pieces."""

    def __init__(self) -> None:
        self._text = "Fra:1 Mem:3M\nFra:1 Mem:4M\nRuntimeError: the rig is \x1b[2Jbroken\n"

    def ask(self, question: str, **more: Any) -> Any:
        if question == "attempts":
            return [{"id": "b", "outcome": "lost", "worker_name": "w2"}, {"id": "a", "outcome": "failed", "worker_name": "w1"}]
        assert (question, more["attempt"]) == ("log", "a")
        told, self._text = self._text, self._text + "[brender 10:00:00] ended: it failed\n"
        return {"text": told}


def test_a_failed_render_prints_the_end_of_its_log_with_noise_folded(capsys: pytest.CaptureFixture[str]) -> None:
    tell_log_end(Failed(), "j" * 16, Screen(), is_kept=False, told="")  # type: ignore[arg-type]
    assert capsys.readouterr().err.splitlines() == [
        "The end of the log, on w1:",
        "  (2 lines of Blender's own)",
        "  RuntimeError: the rig is ·[2Jbroken",
        "  [brender 10:00:00] ended: it failed",
    ]
    assert log_end("\n".join(map(str, range(100))), 3) == ["97", "98", "99"]


def test_the_end_of_a_failed_render_s_log_does_not_repeat_the_reason_that_is_told_below_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tell_log_end(Failed(), "j" * 16, Screen(), is_kept=False, told="it failed (not rendered: 1 of 1 frame)")  # type: ignore[arg-type]
    assert "ended" not in capsys.readouterr().err


def test_noise_of_a_log_is_what_names_our_program_and_not_what_only_sounds_like_a_driver() -> None:
    noise = (
        "[brender 10:00:00] starting /usr/bin/python3 -I driver.py",
        "00:01.1  cycles           | WARNING CUEW initialization failed: Error opening the library",
    )
    told = "[brender 10:00:01] ended: EGL is broken", 'File "/shots/legless_ghost.py", line 1'
    assert log_end("\n".join((*noise, *told))) == ["(2 lines of Blender's own)", *told]


@pytest.mark.parametrize(
    "line",
    [
        "Fra:1 Mem:36.50M (Peak 37.10M) | Time:00:00.05 | Mem:0.25M, Peak:0.25M | Scene, ViewLayer | Sample 1/64",
        "Remaining: 00:05.81 | Mem: 36M | Sample 256/300",
        "00:02.5  render           | Saved: '/renders/0001.png'",
        '00:00.3  blend            | Read blend: "/shots/sh_010.blend"',
        '00:00.3  blend.doversion  | WARNING Region type 27 missing in space type "Info" (id: 7) - removing region',
        " Time: 00:00.42 (Saving: 00:00.03)",
        "Blender 5.0.1",
        "Blender 3.4.1 (hash 55485cb379f7 built 2022-12-20 00:46:45)",
        "EGL Error (0x3009): EGL_BAD_MATCH: Arguments are inconsistent (for example, a valid context requires buffers not "
        "supplied by a valid surface).",
        "MESA: info: vulkan: No DRI3 support detected - required for presentation",
    ],
)
def test_what_blender_says_in_good_renders_is_folded(line: str) -> None:
    assert log_end(line) == ["(1 line of Blender's own)"]


@pytest.mark.parametrize(
    "line",
    [
        "blender: error while loading shared libraries: libGL.so.1: cannot open shared object file: No such file or directory",
        "RuntimeError: Vulkan device lost",
        "Warning: Path '/proj/mesa_verde/rock.png' not found",
        "/textures/Alsace.exr could not be read",
        "CUDA out of memory (Mem: 8192M)",
        "the ghost of MESA and XDG_RUNTIME_DIR",
        "Error: Sample 3/4 was given up",
        "Fra:1 Mem:36M | Out of memory",
        "libEGL warning: egl: failed to create dri2 screen",
        "MESA: error: ZINK: vkCreateInstance failed",
        "Saved: cannot write /renders/0001.png",
        'Color management: display "Wall" used by scene not found, setting to default ("sRGB").',
    ],
)
def test_a_line_that_may_tell_why_a_render_failed_is_never_folded(line: str) -> None:
    assert log_end(line) == [line]
    assert log_end(f"Fra:1 Mem:1M\n{line}\nFra:2 Mem:1M") == ["(1 line of Blender's own)", line, "(1 line of Blender's own)"]


@given(
    st.sampled_from(["error", "failed", "cannot", "not found", "out of memory"]), st.text("libGL MESA Mem: 1|Fra:", max_size=9)
)
def test_no_line_that_says_that_something_went_wrong_is_folded(word: str, around: str) -> None:
    for line in (
        f"Fra:1 {around}{word.upper()}",
        f"Saved: {around} {word}",
        f"MESA: {word}{around}.",
        f"Mem: 1M {around} {word}x",
    ):
        assert log_end(line) == [line]


_SLOW = """
import bpy
bpy.ops.wm.read_factory_settings()
scene = bpy.context.scene
scene.render.engine = "BLENDER_WORKBENCH"
scene.render.resolution_x = scene.render.resolution_y = 16
scene.frame_end = 2000
bpy.ops.wm.save_as_mainfile(filepath={file!r})
"""


def _render_words(file: Path, bpy: Blender, tmp_path: Path, *more: str) -> list[str]:
    """The command that renders *file* on a farm of its own below *tmp_path*."""
    words = [sys.executable, "-m", "brender.commands.main", "render", str(file), "--output", str(tmp_path / "out")]
    return [*words, "--no-dashboard", "--blender", bpy.path, "--data", str(tmp_path / "data"), *more]


@pytest.mark.parametrize("earlier", [True, False])
def test_ctrl_c_while_the_farm_still_starts_says_what_is_kept_and_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], earlier: bool
) -> None:
    (tmp_path / "out").mkdir()
    if earlier:
        (tmp_path / "out/shot_0001.png").touch()

    def interrupted(self: LocalFarm) -> None:
        raise KeyboardInterrupt

    spec = replace_struct(animation(output=str(tmp_path / "out")), warnings=("Frame 9 is outside",))
    monkeypatch.setattr("brender.commands.farm.blender_job", lambda *_, **__: spec)
    monkeypatch.setattr("brender.commands.folder_farm.why_no_blender", lambda named: None)
    monkeypatch.setattr("brender.commands.localfarm.LocalFarm._start_all", interrupted)
    said = command(capsys, "render", tmp_path / "shot.blend", "--data", tmp_path / "data")
    assert said.code == 130 and "nothing was rendered." in said.out
    assert ("What an earlier render left in" in said.out) is earlier
    assert "what has started is being stopped" in said.err
    assert "Warning: Frame 9 is outside" in said.err, "what is known before is said before the farm starts"
    assert "The same command starts it again." in said.out


@pytest.mark.thorough
def test_a_render_that_was_killed_is_gone_on_with_by_the_same_command(bpy: Blender, tmp_path: Path) -> None:
    file = tmp_path / "slow.blend"
    in_blender(bpy, _SLOW.format(file=str(file)), tmp_path)
    words = _render_words(file, bpy, tmp_path, "--frames", "1-40")
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None and any(line.startswith("frame 1 (1 of 40)") for line in first.stdout)
        first.kill()
    until(lambda: not DataFolder(tmp_path / "data").is_locked("server"), 20)
    other = subprocess.run([*words, "--frames", "1-3"], capture_output=True, text=True, timeout=60, check=False)
    assert other.returncode and "has not ended. Choose another output folder (--output), or cancel that job" in other.stderr
    again = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert again.returncode == 0, again.stderr
    assert "An earlier render of this was cut off. This one goes on from there" in again.stdout
    assert "there already, and are kept" in again.stdout


@pytest.mark.thorough
def test_a_second_render_in_a_data_folder_goes_on_with_a_farm_of_its_own_once_that_of_the_first_has_ended(
    bpy: Blender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "slow.blend"
    in_blender(bpy, _SLOW.format(file=str(file)), tmp_path)
    monkeypatch.setenv("BRENDER_BLENDER", bpy.path)
    words = [sys.executable, "-m", "brender.commands.main", "render", str(file), "--no-dashboard"]
    words += ["--data", str(tmp_path / "data"), "--output"]
    with subprocess.Popen([*words, str(tmp_path / "a")], stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None and any(line.startswith("frame 1 (1 of 2000)") for line in first.stdout)
        second = subprocess.Popen([*words, str(tmp_path / "b"), "--frames", "1-60"], stdout=subprocess.PIPE, text=True)
        with second:
            assert second.stdout is not None
            said = list(takewhile(lambda line: "of 60)" not in line, second.stdout))
            assert any("already; it renders this too" in line for line in said)
            first.send_signal(signal.SIGTERM)
            first.communicate()
            said = second.stdout.readlines()
            assert second.wait(120) == 0
    assert f"{GOES_ON}\n" in said and said[-1].startswith("60 frames in ")
    assert len(list((tmp_path / "b").iterdir())) == 60
    assert not DataFolder(tmp_path / "data").is_locked("server")


@pytest.mark.thorough
@pytest.mark.skipif(os.name == "nt", reason="there are no pseudo-terminals")
def test_ctrl_c_says_what_is_kept_and_that_the_same_command_goes_on(bpy: Blender, tmp_path: Path) -> None:
    import pty

    file = tmp_path / "slow.blend"
    in_blender(bpy, _SLOW.format(file=str(file)), tmp_path)
    words = _render_words(file, bpy, tmp_path)
    mine, theirs = pty.openpty()
    # (In a terminal it is heard, but not where the tests themselves run in the background.)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True) as render:
        signal.signal(signal.SIGINT, before)
        os.close(theirs)
        said, asked, deadline = b"", False, time.monotonic() + 180
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
    assert "of 2,000 frames" in text and "The same command goes on from here." in text
    assert "Workbench" in text.split("\n")[0] and "Starting a farm here" in text


@pytest.mark.thorough
@pytest.mark.skipif(os.name == "nt", reason="there is no SIGHUP")
def test_a_render_outlives_its_terminal_under_nohup_and_a_second_signal_ends_it_at_once_though_the_server_hangs(
    bpy: Blender, tmp_path: Path
) -> None:
    file, data = tmp_path / "slow.blend", tmp_path / "data"
    in_blender(bpy, _SLOW.format(file=str(file)), tmp_path)
    words = ["nohup", *_render_words(file, bpy, tmp_path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as render:
        assert render.stdout is not None
        assert any(line.startswith("frame 1 (1 of 2000)") for line in render.stdout)
        render.send_signal(signal.SIGHUP)
        assert any(line.startswith("frame") for line in render.stdout)
        children = psutil.Process(render.pid).children(recursive=True)
        announced = DataFolder(data).announced("server")
        assert announced is not None
        os.kill(int(announced["pid"]), signal.SIGSTOP)
        render.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert any(line.startswith("Ending this in order") for line in render.stdout)
        assert any("goes on from here" in line for line in render.stdout)
        assert time.monotonic() - began < 5
        render.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert render.wait(20) == 130 and time.monotonic() - began < 2
    until(lambda: not any(each.is_running() for each in children), 20)


# --- pictures -----------------------------------------------------------------------------------------------------------


def test_the_terminals_answer_tells_its_protocol() -> None:
    attributes = b"\x1b[?62;4;22c"
    assert protocol_of(b"\x1b_Gi=31;OK\x1b\\" + attributes, {}) is Protocol.KITTY
    assert protocol_of(attributes, {}) is Protocol.SIXEL
    assert protocol_of(b"\x1b[?62;22;42c", {}) is None, "4 is an attribute of its own"
    assert protocol_of(b"\x1b[?4c", {}) is None, "the first number is the terminal's class"
    assert protocol_of(b"\x1b_Gi=31;ENOTSUP:no\x1b\\\x1b[?62c", {}) is None
    assert protocol_of(b"", {"TERM_PROGRAM": "iTerm.app"}) is Protocol.ITERM2
    assert protocol_of(b"", {"TERM_PROGRAM": "iTerm.app", "TMUX": "/tmp/tmux"}) is None, "tmux keeps the outer one's variables"
    assert protocol_of(b"", {}) is None


def picture(width: int, height: int) -> numpy.ndarray:
    return numpy.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=numpy.uint8)


def test_kitty_gets_the_pixels_in_chunks_as_its_document_asks() -> None:
    pixels = picture(80, 60)
    sent = kitty(pixels, 20, 8)
    commands = re.findall(r"\x1b_G([^;\x1b]*)(?:;([^\x1b]*))?\x1b\\", sent)
    assert "".join(f"\x1b_G{keys}{f';{data}' if data else ''}\x1b\\" for keys, data in commands) == sent
    (deletion, _), *chunks = commands
    assert deletion.startswith("a=d,d=I,i=")
    first = dict(word.split("=") for word in chunks[0][0].split(","))
    assert first.items() >= {"a": "T", "f": "24", "o": "z", "s": "80", "v": "60", "c": "20", "r": "8", "C": "1", "q": "2"}.items()
    assert len(chunks) > 2 and [keys for keys, _ in chunks[1:]] == ["m=1"] * (len(chunks) - 2) + ["m=0"] and first["m"] == "1"
    assert all(len(data) <= 4096 for _, data in chunks) and all(len(data) % 4 == 0 for _, data in chunks[:-1])
    assert zlib.decompress(base64.b64decode("".join(data for _, data in chunks))) == pixels.tobytes()


def test_iterm2_gets_the_file_and_the_cells_that_it_takes() -> None:
    keys, _, data = iterm2(b"\xff\xd8\xffpicture", 20, 8).removeprefix("\x1b]1337;File=").removesuffix("\a").partition(":")
    assert keys.split(";") == ["inline=1", "size=10", "width=20", "height=8", "preserveAspectRatio=0"]
    assert base64.b64decode(data) == b"\xff\xd8\xffpicture"


def test_a_sixel_picture_is_what_the_manual_describes() -> None:
    black_and_red = numpy.zeros((7, 5, 3), numpy.uint8)
    black_and_red[6, :, 0] = 255
    # Six rows of black, color 0: every bit is set, "~", five times. Then one row of red, color 180: the top bit, "@".
    assert sixel(black_and_red) == '\x1bP0;1;0q"1;1;5;7#0;2;0;0;0#180;2;100;0;0#0!5~-#180!5@\x1b\\'


@pytest.mark.parametrize(("width", "height"), [(1, 1), (37, 23), (64, 36)])
def test_a_sixel_picture_is_read_as_the_colors_that_it_was_made_of(width: int, height: int) -> None:
    pixels = picture(width, height)
    seen = read_sixel(sixel(pixels))
    assert seen.shape == pixels.shape and abs(seen.astype(int) - pixels).max() <= 51, "no color is off by more than a step"
    flat = numpy.full((60, 60, 3), 100, numpy.uint8)
    assert abs(read_sixel(sixel(flat)).mean() - 100) < 2, "a shade between two steps is dithered"


def read_sixel(sent: str) -> numpy.ndarray:
    """Read a sixel picture as a terminal does."""
    body = sent.removeprefix("\x1bP0;1;0q").removesuffix("\x1b\\")
    width, height = map(int, re.match(r'"1;1;(\d+);(\d+)', body).groups())  # type: ignore[union-attr]
    found = numpy.zeros((height + 6, width, 3), numpy.uint8)
    colors: dict[int, list[int]] = {}
    x = y = color = 0
    for word in re.findall(r'"[\d;]+|#[\d;]+|!\d+.|[$-]|[?-~]', body):
        if word[0] == "#":
            color, *more = map(int, word[1:].split(";"))
            if more:
                colors[color] = [round(255 * percent / 100) for percent in more[1:]]
        elif word == "$":
            x = 0
        elif word == "-":
            x, y = 0, y + 6
        elif word[0] != '"':
            count, sign = (int(word[1:-1]), word[-1]) if word[0] == "!" else (1, word)
            for row in range(6):
                if (ord(sign) - 63) >> row & 1:
                    found[y + row, x : x + count] = colors[color]
            x += count
    return found[:height]


def test_a_picture_keeps_its_shape_within_the_rows_that_there_are() -> None:
    pixels = picture(256, 144)
    shown = encode(Protocol.KITTY, b"", pixels, (96, 12), (10, 20))
    assert shown.rows == 12 and ",c=42,r=12," in shown.sent
    small = encode(Protocol.SIXEL, b"", pixels, (10, 12), (10, 20))
    assert '"1;1;100;56' in small.sent and small.rows == 3, "made smaller for a narrow terminal"


def test_without_a_terminal_pictures_are_left_out_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert LatestPicture.wanted(True, Screen(), DataFolder(tmp_path)) is None
    assert "shows no pictures" in capsys.readouterr().err


# --- the first second -----------------------------------------------------------------------------------------------------


def test_commands_that_render_import_nothing_that_only_others_need() -> None:
    heavy = "{'numpy', 'OpenImageIO', 'peewee', 'zeroconf', 'flask'} & set(sys.modules)"
    asked = f"import sys; import brender.commands.farm, brender.commands.jobs, brender.commands.submit; print({heavy} or 'none')"
    assert subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout == "none\n"


def in_terminal(words: list[str], **environment: str) -> str:
    """Return what `brender` with *words* writes to a terminal until it has ended."""
    import pty

    mine, theirs = pty.openpty()
    program = [sys.executable, "-m", "brender.commands.main", *words]
    known = {**os.environ, "TERM": "xterm", **environment}
    with subprocess.Popen(program, stdin=theirs, stdout=theirs, stderr=theirs, env=known, start_new_session=True):
        os.close(theirs)
        said = b""
        with contextlib.suppress(OSError):  # (so the end of a terminal reads)
            while piece := os.read(mine, 65536):
                said += piece
        os.close(mine)
    return said.decode()


def test_a_sentence_is_broken_between_words_and_a_path_or_an_address_never() -> None:
    assert _wrapped("  Frames that were there are kept", 20) == ["  Frames that were", "  there are kept"]
    assert _wrapped("see http://127.0.0.1:8888/jobs/1", 20) == ["see http://127.0.0.1:8888/jobs/1"]


@pytest.mark.skipif(os.name == "nt", reason="there are no pseudo-terminals")
def test_a_terminal_has_a_word_before_the_command_is_imported_and_what_comes_next_takes_it_back() -> None:
    blend = "/nowhere/shot.blend"
    shown = in_terminal(["render", blend])
    first, _, rest = shown.partition("\x1b[K")
    assert first == "Reading the .blend …\r" and blend in rest
    assert in_terminal(["render", blend], TERM="dumb").startswith("Reading the .blend …\r\n")
    assert "Reading" not in in_terminal(["submit", blend], TERM="dumb")


def test_what_takes_long_says_a_word_at_once_into_a_pipe_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    blend = tmp_path / "none.blend"
    assert command(capsys, "render", blend).out == "Reading the .blend …\n"
    assert command(capsys, "submit", blend).out == ""
    monkeypatch.setattr("brender.commands.farm.LocalFarm", lambda plan: sys.exit(3))
    assert command(capsys, "farm", "--data", tmp_path).out == "Starting the farm …\n"
