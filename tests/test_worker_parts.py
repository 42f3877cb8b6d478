"""What a worker is made of: its outbox, its logs, its supervisor, its eyes for pictures."""

import errno
import os
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgpack
import numpy
import OpenImageIO as oiio
import psutil
import pytest

from brender.bus.messages import Completed, Failed, Started, Stopped
from brender.engines.attempt import AttemptStopped, set_leftovers_aside
from brender.engines.directories import Directory
from brender.engines.directories import signature as signature_below
from brender.engines.leftovers import PLACEHOLDER, TEMPORARY, Clearing, Leftovers, clear
from brender.engines.logfile import HEAD_BYTES, TAIL_BYTES, LogFile
from brender.engines.picture_reader import ChildReader, OpenFile
from brender.engines.pictures import BadPicture, small_jpeg, verify
from brender.engines.process import STOP_SECONDS, Supervised
from brender.engines.publish import Lease, Published, Staged, stage
from brender.roles.worker.outbox import Outbox
from brender.roles.worker.reporting import Reporting
from brender.system.clock import steady
from tests.power import Disk

STARTED = Started(attempt="a" * 16, number=1)
COMPLETED = Completed(attempt="a" * 16, number=2, seconds=1.0)


def test_reports_are_there_again_after_the_process_was_killed(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox")
    outbox.keep(STARTED)
    outbox.keep(COMPLETED)
    outbox.flush()  # and no close: the process is gone
    assert Outbox(tmp_path / "outbox").kept == [STARTED, COMPLETED]


def test_acknowledged_reports_are_gone(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox")
    outbox.keep(STARTED)
    outbox.keep(COMPLETED)
    outbox.forget("a" * 16, 1)
    outbox.flush()
    assert Outbox(tmp_path / "outbox").kept == [COMPLETED]


def test_what_came_of_an_attempt_survives_a_power_cut_and_that_it_started_need_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)
    outbox = Outbox(tmp_path / "outbox")
    outbox.keep(STARTED)
    outbox.flush()
    assert not disk.has(tmp_path / "outbox", tmp_path)
    outbox.keep(COMPLETED)
    outbox.flush()
    assert disk.has(tmp_path / "outbox", tmp_path)


def test_a_journal_that_cannot_be_written_anew_goes_on_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a full disk: what is in the long journal is safe, and so is what comes after."""

    def no_room(*paths: object) -> None:
        raise OSError(28, "No space left on device")

    outbox = Outbox(tmp_path / "outbox")
    monkeypatch.setattr(Path, "replace", no_room)
    for number in range(2, 120):
        outbox.keep(Failed(attempt="a" * 16, number=number, reason="x" * 15_000))
    outbox.forget("a" * 16, 118)
    outbox.flush()
    outbox.keep(STARTED)
    outbox.flush()
    monkeypatch.undo()
    assert [report.number for report in Outbox(tmp_path / "outbox").kept] == [1, 119]


def test_an_entry_that_is_no_report_of_ours_harms_none_before_it(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox")
    outbox.keep(STARTED)
    outbox.close()
    with (tmp_path / "outbox").open("ab") as file:
        file.write(msgpack.packb(["forget", "a" * 16]))
    assert Outbox(tmp_path / "outbox").kept == [STARTED]


def test_an_entry_cut_off_by_a_crash_harms_no_other(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox")
    outbox.keep(STARTED)
    outbox.keep(COMPLETED)
    outbox.close()
    raw = (tmp_path / "outbox").read_bytes()
    (tmp_path / "outbox").write_bytes(raw[:-3])
    assert Outbox(tmp_path / "outbox").kept == [STARTED]


def test_of_a_log_that_is_too_long_head_and_tail_are_kept(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "log")
    log.write(b"first line\n")
    for number in range(400):
        log.write(b"%d" % number + b"x" * 20_000 + b"\n")
    log.write(b"last line\n")
    log.close()
    content = (tmp_path / "log").read_bytes()
    assert content.startswith(b"first line\n") and content.endswith(b"last line\n")
    assert b"bytes are left out here" in content
    assert len(content) < HEAD_BYTES + 2 * TAIL_BYTES
    assert log.last_line == "last line"


class Collected:
    def __init__(self) -> None:
        self.raw = b""

    def write(self, piece: bytes) -> None:
        self.raw += piece


@pytest.fixture
def collected() -> Collected:
    return Collected()


def start(tmp_path: Path, collected: Collected, code: str) -> Supervised:
    return Supervised([sys.executable, "-c", code], os.environ, tmp_path, collected.write)


def test_output_and_exit_code_of_a_process_come_back(tmp_path: Path, collected: Collected) -> None:
    process = start(tmp_path, collected, "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)")
    assert process.wait(20)
    assert sorted(collected.raw.split()) == [b"err", b"out"]
    assert process.ending == "it ended with exit code 3"


def test_the_signal_that_ended_a_process_has_its_name(tmp_path: Path, collected: Collected) -> None:
    process = start(tmp_path, collected, "import os; os.kill(os.getpid(), 11)")
    assert process.wait(20)
    assert process.ending == "it was killed by SIGSEGV"


def test_a_program_that_does_not_exist_is_said_so(tmp_path: Path, collected: Collected) -> None:
    process = Supervised(["/no/such/program"], os.environ, tmp_path, collected.write)
    assert process.wait(20)
    assert process.ending == "/no/such/program cannot be started: No such file or directory"


# A process that ignores SIGTERM, with a child in a session of its own that ignores it too.
STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
CHILD = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(1000)"
child = subprocess.Popen([sys.executable, "-c", CHILD], start_new_session=True)
print(os.getpid(), child.pid, flush=True)
time.sleep(1000)
"""


def pids(collected: Collected) -> list[int]:
    deadline = time.monotonic() + 20
    while collected.raw.count(b"\n") < 1:
        assert time.monotonic() < deadline, "the process never spoke"
        time.sleep(0.01)
    return [int(word) for word in collected.raw.split()]


def alive(found: list[int]) -> list[int]:
    return [pid for pid in found if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]


def wait_until_gone(found: list[int]) -> None:
    deadline = time.monotonic() + 20
    while alive(found):
        assert time.monotonic() < deadline, f"{alive(found)} still live"
        time.sleep(0.02)


def test_stopping_kills_the_whole_tree_even_if_it_does_not_want_to(tmp_path: Path, collected: Collected) -> None:
    process = start(tmp_path, collected, STUBBORN)
    found = pids(collected)
    process.stop()
    wait_until_gone(found)


def test_stopping_ends_soon_where_the_supervisor_was_killed_and_a_descendant_holds_the_output(
    tmp_path: Path, collected: Collected
) -> None:
    process = start(tmp_path, collected, STUBBORN)
    found = pids(collected)
    supervisor = psutil.Process(found[0]).parent()
    assert supervisor is not None
    supervisor.kill()
    began = time.monotonic()
    process.stop()
    assert time.monotonic() - began < STOP_SECONDS / 2
    wait_until_gone(found)
    assert process.ending == "its supervisor was killed"


def test_output_that_cannot_be_kept_does_not_stop_a_process(tmp_path: Path) -> None:
    def fails(piece: bytes) -> None:
        raise ValueError("no")

    process = Supervised([sys.executable, "-c", "print('x' * 1_000_000)"], os.environ, tmp_path, fails)
    assert process.wait(20) and process.ending == ""


def test_what_a_process_leaves_behind_is_killed(tmp_path: Path, collected: Collected) -> None:
    code = (
        "import subprocess, sys;"
        "c = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1000)'],"
        "start_new_session=True, stdout=subprocess.DEVNULL);"
        "print(c.pid, flush=True)"
    )
    process = start(tmp_path, collected, code)
    assert process.wait(20)
    wait_until_gone(pids(collected))


def test_temporary_files_of_a_process_go_with_it_however_it_ended(tmp_path: Path, collected: Collected) -> None:
    code = "import os, tempfile; print(tempfile.mkdtemp(), flush=True); os.kill(os.getpid(), 9)"
    process = start(tmp_path, collected, code)
    assert process.wait(20) and process.ending == "it was killed by SIGKILL"
    made = Path(os.fsdecode(collected.raw.strip()))
    assert made.is_relative_to(tmp_path) and not made.exists()
    assert not list(tmp_path.iterdir())


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[psutil.Popen]:
    """A process of its own that starts a supervised one, as a worker does, and waits."""
    code = f"""
import os, sys, time
from pathlib import Path
from brender.engines.process import STOP_SECONDS, Supervised
process = Supervised([sys.executable, "-c", {STUBBORN!r}], os.environ, Path({str(tmp_path)!r}), lambda piece: os.write(1, piece))
time.sleep(1000)
"""
    made = psutil.Popen([sys.executable, "-c", code], stdout=-1)
    yield made
    if made.is_running():
        made.kill()


def test_a_render_does_not_outlive_a_worker_that_was_killed(parent: psutil.Popen) -> None:
    found = [int(word) for word in parent.stdout.readline().split()]
    parent.send_signal(signal.SIGKILL)
    wait_until_gone(found)


def picture(path: Path, width: int = 32, height: int = 16, fill: float = 0.5, channels: int = 3) -> Path:
    image = oiio.ImageBuf(oiio.ImageSpec(width, height, channels, oiio.FLOAT))
    oiio.ImageBufAlgo.fill(image, tuple([fill] * channels))
    assert image.write(str(path)), image.geterror()
    return path


@pytest.mark.parametrize("extension", ["png", "jpg", "exr", "tif", "bmp", "tga", "hdr", "dpx", "webp", "rgb"])
def test_a_picture_of_each_format_is_verified_and_made_small(tmp_path: Path, extension: str) -> None:
    path = picture(tmp_path / f"frame.{extension}", 640, 320)
    seen = verify(path, (640, 320))
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "t.jpg").write_bytes(small_jpeg(seen.image))
    assert (seen.width, seen.height, seen.warnings) == (640, 320, ())
    small = oiio.ImageBuf(str(tmp_path / "small" / "t.jpg")).spec()
    assert (small.width, small.height, small.nchannels) == (256, 128, 3)


def test_a_picture_that_ends_too_early_is_bad(tmp_path: Path) -> None:
    path = tmp_path / "frame.png"
    noise = oiio.ImageBuf(oiio.ImageSpec(64, 64, 3, oiio.UINT8))
    oiio.ImageBufAlgo.noise(noise, "uniform", 0.0, 1.0)
    noise.write(str(path))
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(BadPicture, match="does not decode"):
        verify(path, None)


def test_a_picture_of_which_a_later_part_ends_too_early_is_bad(tmp_path: Path) -> None:
    path, specs = tmp_path / "frame.exr", []
    for name in ("ViewLayer.Combined", "ViewLayer.Normal"):
        specs.append(oiio.ImageSpec(64, 64, 3, oiio.HALF))
        specs[-1].attribute("name", name)
    output = oiio.ImageOutput.create(str(path))
    assert output.open(str(path), tuple(specs))
    output.write_image(numpy.random.default_rng(1).random((64, 64, 3), numpy.float32))
    assert output.open(str(path), specs[1], "AppendSubimage")
    output.write_image(numpy.random.default_rng(2).random((64, 64, 3), numpy.float32))
    assert output.close()
    assert verify(path, (64, 64)).warnings == ()
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(BadPicture, match=r"the part ViewLayer\.Normal .* does not decode"):
        verify(path, (64, 64))


@pytest.mark.parametrize(
    ("content", "said"), [(None, "without writing its file"), (b"", "is empty"), (b"hello", "does not decode")]
)
def test_what_is_no_picture_is_bad(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "frame.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadPicture, match=said):
        verify(path, None)


def test_a_picture_of_another_size_is_bad(tmp_path: Path) -> None:
    with pytest.raises(BadPicture, match="32 x 16, where 64 x 32 was asked for"):
        verify(picture(tmp_path / "frame.png"), (64, 32))


@pytest.mark.parametrize(("fill", "said"), [(0.0, "is all black"), (float("nan"), "not numbers")])
def test_a_strange_picture_gets_a_warning(tmp_path: Path, fill: float, said: str) -> None:
    assert said in verify(picture(tmp_path / "frame.exr", fill=fill), None).warnings[0]


def test_black_with_an_opaque_alpha_is_still_black(tmp_path: Path) -> None:
    image = oiio.ImageBuf(oiio.ImageSpec(8, 8, 4, oiio.FLOAT))
    oiio.ImageBufAlgo.fill(image, (0.0, 0.0, 0.0, 1.0))
    image.write(str(tmp_path / "frame.exr"))
    assert verify(tmp_path / "frame.exr", None).warnings == ("is all black",)


@pytest.mark.parametrize(("most", "warnings"), [(1, ("is all black",)), (20, ())])
def test_a_picture_that_only_dither_lights_is_black(tmp_path: Path, most: int, warnings: tuple[str, ...]) -> None:
    image = oiio.ImageBuf(oiio.ImageSpec(8, 8, 3, oiio.UINT8))
    oiio.ImageBufAlgo.noise(image, "uniform", 0.0, most / 255)
    image.write(str(tmp_path / "frame.png"))
    assert verify(tmp_path / "frame.png", None).warnings == warnings


def test_a_lease_is_held_until_its_end_and_no_longer() -> None:
    clock = [0.0]
    lease = Lease(lambda: clock[0])
    lease.vouch("a", "first")
    assert not lease.wait("a", 0)
    lease.extend(10.0, "first")
    lease.extend(5.0, "older")  # an answer that came late takes nothing away
    clock[0] = 9.9
    assert lease.wait("a", 0)
    clock[0] = 10.0
    assert not lease.wait("a", 0)


def test_an_attempt_from_before_the_lease_lapsed_publishes_only_once_the_server_vouches_for_it_again() -> None:
    lease = Lease(lambda: 0.0)
    lease.vouch("a", "first")
    lease.extend(10.0, "first")
    lease.extend(20.0, "second")
    assert not lease.wait("a", 0)
    lease.vouch("a", "second")
    assert lease.wait("a", 0)


def publish(
    temporary: Path,
    final: Path,
    holds: Callable[[], bool],
    before: tuple[int, int, int] | None = None,
    repeats: bool = False,
) -> Published:
    directory = Directory.open(final.parent)
    return Staged(directory, temporary.name, final.name, directory.read(temporary.name)).publish(holds, before, repeats)


def signature(final: Path) -> tuple[int, int, int] | None:
    return signature_below(final.parent, final.name)


def two_files(folder: Path) -> tuple[Path, Path]:
    (folder / ".x.tmp").write_text("new")
    (folder / "x").write_text("old")
    return folder / ".x.tmp", folder / "x"


def test_publishing_gives_the_file_its_name_in_one_step(tmp_path: Path) -> None:
    temporary, final = two_files(tmp_path)
    final.unlink()
    done = publish(temporary, final, lambda: False)
    assert done is Published.DONE, "a free name needs no second look at the lease"
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("x", "new")]


def test_an_old_file_is_replaced_by_who_holds_the_lease(tmp_path: Path) -> None:
    temporary, final = two_files(tmp_path)
    assert publish(temporary, final, lambda: True, signature(final)) is Published.DONE
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("x", "new")]


def test_who_lost_the_lease_while_it_stood_still_replaces_nothing(tmp_path: Path) -> None:
    temporary, final = two_files(tmp_path)
    assert publish(temporary, final, lambda: False, signature(final)) is Published.NOT_HELD
    assert final.read_text() == "old"


def test_a_file_that_another_attempt_put_there_meanwhile_stays(tmp_path: Path) -> None:
    temporary, final = two_files(tmp_path)
    assert publish(temporary, final, lambda: True, None) is Published.THERE
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("x", "old")]


def test_an_attempt_that_repeats_another_replaces_nothing(tmp_path: Path) -> None:
    temporary, final = two_files(tmp_path)
    assert publish(temporary, final, lambda: True, signature(final), repeats=True) is Published.NOT_OURS
    assert final.read_text() == "old"


def test_a_file_system_without_links_is_published_on_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*paths: object, **more: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    temporary, final = two_files(tmp_path)
    assert publish(temporary, final, lambda: False, signature(final)) is Published.NOT_HELD
    assert publish(temporary, final, lambda: True, signature(final)) is Published.DONE
    assert final.read_text() == "new"


def test_the_end_of_an_attempt_is_said_again_where_the_server_took_it_for_a_report_that_was_never_kept() -> None:
    kept = Started(attempt="a", number=1)
    reporting = Reporting("w", [kept])
    reporting.add(Stopped(attempt="a", number=0, reason="the worker restarted"))
    reporting.acknowledged("a", 3)  # an earlier process had said two more
    ((last,),) = reporting.undelivered.values()
    assert last == Stopped(attempt="a", number=4, reason="the worker restarted")
    reporting.acknowledged("a", 4)
    assert not reporting.undelivered and reporting.is_known("a")


def test_what_a_killed_worker_left_beside_the_frames_is_removed_when_it_starts_again(tmp_path: Path) -> None:
    left = tmp_path / "frames" / ".x_0001.attempt.tmp.png"
    left.parent.mkdir()
    left.write_text("half")
    (tmp_path / "w" / "attempts" / "a").mkdir(parents=True)
    Leftovers(tmp_path / "w", "a").note(TEMPORARY, left.parent, left.name)
    set_leftovers_aside(tmp_path / "w")
    clear(tmp_path / "w")
    assert not left.exists() and not list((tmp_path / "w").iterdir())


def test_what_lies_on_a_drive_that_is_not_there_at_the_start_is_removed_at_a_later_one(tmp_path: Path) -> None:
    drive, away = tmp_path / "drive", tmp_path / "away"
    away.mkdir()
    (away / ".x_0001.tmp.png").write_text("half")
    Leftovers(tmp_path / "w", "a").note(TEMPORARY, drive, ".x_0001.tmp.png")
    set_leftovers_aside(tmp_path / "w")
    clear(tmp_path / "w")
    away.rename(drive)
    set_leftovers_aside(tmp_path / "w")
    clear(tmp_path / "w")
    assert not list(drive.iterdir()) and not list((tmp_path / "w").iterdir())


def test_what_an_attempt_could_not_remove_goes_once_its_folder_may_be_used_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, left = tmp_path / "w", tmp_path / "frames" / ".x_0001.attempt.tmp.png"
    left.parent.mkdir()
    left.write_text("half")
    worker.mkdir()
    tried, may = threading.Event(), threading.Event()
    remove = Directory.remove

    def guarded(directory: Directory, name: str) -> None:
        tried.set()
        if not may.is_set():
            raise PermissionError(errno.EACCES, "Permission denied")
        remove(directory, name)

    monkeypatch.setattr(Directory, "remove", guarded)
    clearing = Clearing(worker)
    clearing.start()
    leftovers = Leftovers(worker, "a")
    leftovers.note(TEMPORARY, left.parent, left.name)
    leftovers.end(is_clean=False)
    clearing.look()
    assert tried.wait(10) and left.exists()
    may.set()
    clearing.close(10)
    assert not left.exists() and not list((worker / "leftovers").iterdir()) and not (worker / "leftovers.left").exists()


def test_a_frame_that_takes_an_empty_file_s_place_while_that_is_removed_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame, rendered = tmp_path / "f_0001.png", tmp_path / "rendered"
    frame.touch()
    rendered.write_text("rendered")
    look = Directory.stat

    def meanwhile(directory: Directory, name: str) -> os.stat_result | None:
        found = look(directory, name)
        if name == frame.name and rendered.exists():
            rendered.replace(frame)  # another attempt publishes now
        return found

    monkeypatch.setattr(Directory, "stat", meanwhile)
    with Directory.open(tmp_path) as directory:
        directory.remove_empty(frame.name)
    assert [path.name for path in tmp_path.iterdir()] == [frame.name] and frame.read_text() == "rendered"


def test_what_lies_on_a_drive_that_is_not_mounted_now_is_removed_when_it_is(tmp_path: Path) -> None:
    mount, left = tmp_path / "mnt", tmp_path / "mnt" / "shot" / ".x_0001.tmp.png"
    mount.mkdir()  # empty: the drive is not there
    Leftovers(tmp_path / "w", "a").note(TEMPORARY, mount, "shot/.x_0001.tmp.png")
    set_leftovers_aside(tmp_path / "w")
    clear(tmp_path / "w")
    left.parent.mkdir()
    left.write_text("half")
    clear(tmp_path / "w")
    assert not left.exists() and not (tmp_path / "w" / "leftovers.left").exists()


def test_a_drive_that_does_not_answer_keeps_nothing_on_other_drives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hung, other, answers = tmp_path / "hung", tmp_path / "other", threading.Event()
    for number, drive in enumerate((hung, other)):
        drive.mkdir()
        (drive / ".x_0001.tmp.png").write_text("half")
        Leftovers(tmp_path / "w", str(number)).note(TEMPORARY, drive, ".x_0001.tmp.png")
    set_leftovers_aside(tmp_path / "w")
    is_folder = os.path.isdir
    monkeypatch.setattr(os.path, "isdir", lambda path: (path != hung or answers.wait(60)) and is_folder(path))
    clear(tmp_path / "w", patience=0.1)
    assert list(hung.iterdir()) and not list(other.iterdir())
    answers.set()
    clear(tmp_path / "w", patience=60)
    clear(tmp_path / "w", patience=60)  # (the first waits for the one that hung)
    assert not list(hung.iterdir()) and not (tmp_path / "w" / "leftovers.left").exists()


def test_a_note_that_a_power_cut_ended_names_nothing(tmp_path: Path) -> None:
    frame = tmp_path / "f_0001"
    frame.write_text("rendered")
    note = tmp_path / "w" / "leftovers.left" / "1" / "a"
    note.parent.mkdir(parents=True)
    note.write_bytes(b"\0".join((b"temporary", os.fsencode(tmp_path), b"f_0001")))  # ... of .f_0001.attempt.tmp.png
    clear(tmp_path / "w")
    assert frame.exists()


def test_an_error_at_a_file_in_an_open_directory_names_its_whole_path(tmp_path: Path) -> None:
    (tmp_path / "f_0001.png").mkdir()
    with Directory.open(tmp_path) as directory, pytest.raises(OSError, match="f_0001") as refused:
        directory.remove("f_0001.png")
    assert refused.value.filename == str(tmp_path / "f_0001.png")


def test_an_empty_file_that_a_killed_worker_put_in_a_frame_s_place_is_removed_and_a_frame_stays(tmp_path: Path) -> None:
    empty, frame = tmp_path / "f_0001.png", tmp_path / "f_0002.png"
    for path in (empty, frame):
        Leftovers(tmp_path / "w", "a").note(PLACEHOLDER, tmp_path, path.name)
        path.touch()
    frame.write_text("rendered")
    set_leftovers_aside(tmp_path / "w")
    clear(tmp_path / "w")
    assert not empty.exists() and frame.read_text() == "rendered"


def test_temporary_files_of_a_killed_worker_s_blender_are_removed_when_it_starts_again(tmp_path: Path) -> None:
    left, kept = tmp_path / "blender" / "temporary-x" / "blender_y", tmp_path / "blender" / "userpref.blend"
    left.mkdir(parents=True)
    kept.touch()
    set_leftovers_aside(tmp_path)
    assert list((tmp_path / "blender").iterdir()) == [kept]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other clocks that go on")
def test_the_clock_of_leases_goes_on_while_the_machine_sleeps() -> None:
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert before <= steady() <= time.clock_gettime(time.CLOCK_BOOTTIME)


def test_a_file_that_is_exchanged_while_it_is_staged_closes_no_file_of_another_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "frame").write_bytes(b"x")
    read, others = Directory.read, list[int]()

    def exchanged(directory: Directory, name: str) -> int:
        if name != ".temporary":
            return read(directory, name)
        others.append(os.open(tmp_path, os.O_RDONLY))  # another thread's, with the number that is free again
        raise OSError("a link")

    monkeypatch.setattr(Directory, "read", exchanged)
    with pytest.raises(OSError, match="a link"):
        stage(tmp_path / "out", "frame", tmp_path / "frame", ".temporary")
    os.close(others[0])


def test_a_reading_is_not_ended_because_the_attempt_before_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair()
    reader, stopped = ChildReader(sandbox=True), threading.Event()
    monkeypatch.setattr(reader, "_running", lambda: ours)

    def check() -> None:
        if stopped.is_set():
            raise AttemptStopped

    def say(kind: bytes, body: bytes) -> None:
        theirs.sendall(kind + struct.pack(">I", len(body)) + body)

    with ours, theirs, (tmp_path / "f.png").open("wb") as file:
        picture = OpenFile(file.fileno(), tmp_path / "f.png")
        say(b"a", b'{"of": 1}')
        reader.ask("look", [picture], check, small=True)
        stopped.set()  # before its small picture is made
        rest = threading.Timer(
            0.7, lambda: [say(*each) for each in ((b"s", b"small"), (b".", b""), (b"a", b'{"of": 2}'), (b".", b""))]
        )
        rest.start()
        assert reader.ask("look", [picture]).answer == {"of": 2}
        rest.join()


def test_a_journal_that_cannot_be_written_anew_loses_nothing_when_the_disk_is_full_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = Outbox(tmp_path / "outbox.journal")
    for number in range(50):  # long, and most of it is not needed any more
        outbox.keep(Stopped(attempt=f"a{number}", number=1, reason="x"))
        outbox.forget(f"a{number}", 1)
    with monkeypatch.context() as other:
        other.setattr("brender.roles.worker.outbox._COMPACT_BYTES", 1)
        other.setattr(Path, "replace", lambda *_: (tmp_path / "another program has it open").stat())
        outbox.keep(Stopped(attempt="kept", number=1, reason="x"))
        outbox.flush()
        outbox.keep(Stopped(attempt="not kept", number=1, reason="x"))
        other.setattr(os, "write", lambda *_: 0)
        with pytest.raises(OSError, match="No space"):
            outbox.flush()
    assert [report.attempt for report in Outbox(tmp_path / "outbox.journal").kept] == ["kept"]
    outbox.close()
