"""What differs between systems: each one's part does the same. The ways of Windows and macOS are played as far as they can be."""

import ctypes
import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
import unicodedata
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from brender.bus.keys import read_private, write_private
from brender.commands import children
from brender.commands.children import Children
from brender.engines import directories, publish
from brender.engines.inside.filesets import files_of
from brender.engines.process import Supervised
from brender.engines.publish import Published, put, stage
from brender.engines.session import first_words
from brender.model.errors import BadInput, UnknownHost
from brender.store.datafolder import DataFolder
from brender.system import private_files, processes_windows, removal, restart
from brender.transfer.blob_store import BlobStore
from tests.tools import until


@pytest.fixture
def windows_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files as Windows has them: what is open, or may not be written to, is neither moved nor removed."""

    def checked(call, places):  # type: ignore[no-untyped-def]
        def instead(*paths: str | Path, **options: object) -> object:
            within = Path(f"/proc/self/fd/{options['dir_fd']}").readlink() if options.get("dir_fd") is not None else Path()
            for path in (within / each for each in paths[:places]):
                if path.is_file():
                    is_open = any(each.exists() and each.samefile(path) for each in Path("/proc/self/fd").iterdir())
                    if is_open or not path.stat().st_mode & 0o200:
                        raise PermissionError(13, "The process cannot access the file", str(path))
            return call(*paths, **options)

        return instead

    for name, places in (("replace", 2), ("rename", 2), ("unlink", 1), ("remove", 1)):
        monkeypatch.setattr(os, name, checked(getattr(os, name), places))
    monkeypatch.setattr(directories, "_BY_DESCRIPTOR", False)
    monkeypatch.setattr(directories, "OPEN_FILES_STAY", True)
    monkeypatch.setattr(publish, "OPEN_FILES_STAY", True)
    monkeypatch.setattr(removal, "_READ_ONLY_STAYS", True)


@pytest.mark.skipif(sys.platform != "linux", reason="plays Windows by what Linux says of open files")
@pytest.mark.parametrize("copies", [False, True])
def test_a_frame_is_published_where_open_files_keep_their_names(windows_files: None, tmp_path: Path, copies: bool) -> None:
    written = tmp_path / "scratch" / "a.png"
    written.parent.mkdir()
    for _ in ("for the first time", "in place of that"):
        written.write_bytes(b"picture")
        before = directories.signature(tmp_path / "out", "a.png")
        with stage(tmp_path / "out", "a.png", written, ".a.tmp", copies=copies) as staged:
            assert staged.size == 7
            staged.flush()
            assert staged.publish(lambda: True, before) is Published.DONE
        assert (tmp_path / "out" / "a.png").read_bytes() == b"picture"
        assert [each.name for each in (tmp_path / "out").iterdir()] == ["a.png"]


@pytest.mark.skipif(sys.platform != "linux", reason="plays Windows by what Linux says of open files")
def test_a_film_is_put_where_open_files_keep_their_names(windows_files: None, tmp_path: Path) -> None:
    film = tmp_path / "a.mkv"
    film.write_bytes(b"film")
    assert put(tmp_path / "out", "b/a.mkv", film, ".tmp", lambda: None) is False
    assert (tmp_path / "out/b/a.mkv").read_bytes() == b"film"


@pytest.mark.skipif(sys.platform != "linux", reason="plays Windows by what Linux says of open files")
def test_what_may_not_be_written_to_is_removed_with_its_folder_on_windows_too(windows_files: None, tmp_path: Path) -> None:
    (tmp_path / "job" / "tex").mkdir(parents=True)
    (tmp_path / "job" / "tex" / "a.png").write_bytes(b"a")
    (tmp_path / "job" / "tex" / "a.png").chmod(0o444)
    removal.remove_tree(tmp_path / "job")
    assert not (tmp_path / "job").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="plays Windows by what Linux says of open files")
def test_a_cache_gives_up_what_came_first_on_windows_too(windows_files: None, tmp_path: Path) -> None:
    store = BlobStore(tmp_path / "blobs")
    blob = hashlib.sha256(b"a").hexdigest()
    writer = store.writing(blob)
    writer.add(0, b"a")
    assert writer.finish() and store.has(blob)
    store.lay_out(blob, tmp_path / "laid" / "a.png")
    store.path(blob).unlink()
    assert (tmp_path / "laid" / "a.png").read_bytes() == b"a"
    left = store.writing(blob)
    left.add(0, b"b")
    left.give_up()
    assert not left.partial.exists()


def test_the_words_for_job_objects_have_the_sizes_that_windows_wants() -> None:
    if ctypes.sizeof(ctypes.c_void_p) == 8:
        assert ctypes.sizeof(processes_windows.ExtendedLimits) == 144
        assert ctypes.sizeof(processes_windows.Accounting) == 48


def test_a_tree_ends_with_what_left_its_session() -> None:
    code = """
import subprocess, sys
from brender.system.processes import Tree, adopt_descendants
adopt_descendants()
inner = "import subprocess, sys, time; c = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(99)']"
inner += ", start_new_session=True); print(c.pid, flush=True); time.sleep(99)"
tree = Tree([sys.executable, "-c", inner])
print(tree.process.pid, flush=True)
sys.stdin.readline()
tree.kill()
tree.process.wait()
print("left" if tree.is_left() else "gone", flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, text=True) as holder:
        assert holder.stdin is not None and holder.stdout is not None
        found = [int(holder.stdout.readline()), int(holder.stdout.readline())]
        assert all(psutil.pid_exists(pid) for pid in found)
        holder.stdin.write("\n")
        holder.stdin.flush()
        assert holder.stdout.readline() == "gone\n"
    until(lambda: not any(psutil.pid_exists(pid) for pid in found))


def test_a_render_is_stopped_where_brender_is_installed_for_one_user_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = getattr(sys, "_base_executable", sys.executable)
    if not subprocess.run([base, "-I", "-c", "import psutil"], capture_output=True, check=False).returncode:
        pytest.skip("this Python has psutil for all its users")
    monkeypatch.setattr(sys, "executable", base)  # which looks for modules where -I lets it
    process = Supervised([base, "-c", "import time; time.sleep(99)"], os.environ, tmp_path, lambda piece: None, 2**40)
    until(lambda: process.pid is not None)
    began = time.monotonic()
    process.stop()
    assert time.monotonic() - began < 8 and process.error == ""


def test_a_file_of_its_owner_alone_is_so_from_its_first_byte(tmp_path: Path) -> None:
    os.close(private_files.create(tmp_path / "key"))
    assert private_files.mend_advice(tmp_path / "key") is None


def test_the_command_that_is_given_mends_a_file_that_others_may_read(tmp_path: Path) -> None:
    write_private(tmp_path / "key", json.dumps({"a": 1}))
    if sys.platform == "win32":
        subprocess.run(["icacls", str(tmp_path / "key"), "/grant", "*S-1-1-0:R"], check=True)
    else:
        (tmp_path / "key").chmod(0o644)
    with pytest.raises(BadInput, match="Others may read the key") as refused:
        read_private(tmp_path / "key", "key")
    subprocess.run(str(refused.value).split("`")[1], shell=True, check=True)
    assert read_private(tmp_path / "key", "key") == {"a": 1}


@pytest.mark.parametrize(
    ("description", "others"),
    [
        ("D:PAI(A;;FA;;;S-1-5-21-1-2-3-1001)", set()),
        ("D:AI(A;ID;FA;;;SY)(A;ID;FA;;;BA)(A;ID;FA;;;S-1-5-21-1-2-3-1001)", set()),
        ("O:BAG:SYD:AI(A;ID;FA;;;SY)(A;ID;0x1200a9;;;BU)", {"BU"}),
        ("D:(A;;FR;;;WD)(D;;FA;;;AN)S:(AU;SAFA;FA;;;WD)", {"WD"}),
        ("D:(A;;FR;;;S-1-5-21-1-2-3-1002)", {"S-1-5-21-1-2-3-1002"}),
        ("D:NO_ACCESS_CONTROL", {"WD"}),
        ("", {"WD"}),
    ],
)
def test_a_list_of_windows_says_who_else_may_read(description: str, others: set[str]) -> None:
    assert private_files.others_in(description, "S-1-5-21-1-2-3-1001") == others


def test_a_program_is_started_again_as_windows_can(tmp_path: Path) -> None:
    code = f"""
import pathlib, sys
from brender.system import restart
restart._IS_WINDOWS = True
if pathlib.Path({str(tmp_path / "second")!r}).exists():
    sys.exit(7)
pathlib.Path({str(tmp_path / "second")!r}).touch()
restart.start_again(watched="watched" in sys.argv)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 7
    (tmp_path / "second").unlink()
    assert subprocess.run([sys.executable, "-c", code, "watched"], check=False).returncode == restart.START_AGAIN


def test_a_parent_starts_a_child_again_that_asks_for_it_and_says_that_none_has_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes, popen = iter([restart.START_AGAIN, 0]), subprocess.Popen

    def ends(command: list[str], **options: object) -> subprocess.Popen[bytes]:
        return popen([sys.executable, "-c", f"raise SystemExit({next(codes)})"], **options)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(children.subprocess, "Popen", ends)
    said: list[str] = []
    parent = Children(DataFolder(tmp_path), notify=said.append)
    parent.start("w", [])
    until(lambda: parent.check() or not parent.all)
    assert said == ["w has left, as it was asked to"] and next(codes, None) is None


def test_the_last_words_of_a_child_that_raised_are_what_it_raised_not_the_last_line_of_that(tmp_path: Path) -> None:
    parent = Children(DataFolder(tmp_path))
    parent.log("w").parent.mkdir()
    frames = 'Traceback (most recent call last):\n  File "a.py", line 1, in b\n    c()\n'
    raised = "DataError: no such place\nLINE 1: ...\n      ^\n"
    parent.log("w").write_text(f"begins\n{frames}{raised}")
    assert parent.last_words("w") == "DataError: no such place"


def test_a_child_that_does_not_find_a_host_is_started_again_for_as_long_as_it_takes_and_that_is_said_once_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, tries, popen = [0.0], [UnknownHost.exit_code] * 60 + [0], subprocess.Popen

    def ends(command: list[str], **options: object) -> subprocess.Popen[bytes]:
        return popen(["sh", "-c", f"exit {tries.pop(0)}"], **options)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(children.subprocess, "Popen", ends)
    monkeypatch.setattr(children, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    said: list[str] = []
    parent = Children(DataFolder(tmp_path), notify=said.append)
    parent.start("w", [])
    while parent.all:
        parent.all[0].process.wait()
        clock[0] += 31.0
        parent.check()
    assert not tries and said[-1] == "w has left, as it was asked to"
    assert 25 <= len(said) <= 35, "every other try, half a minute apart"


def test_a_role_is_asked_over_its_lifeline_to_finish_where_there_are_no_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    code = """
import sys, threading, time
from brender.bus.loop import Loop
from brender.commands.lifeline import Lifeline
end = Lifeline(True)
if "early" in sys.argv:
    print("ready", flush=True)
    threading.Event().wait()
loop = Loop()
loop.on_signals(lambda: (print("asked", flush=True), loop.stop()))
end.ends(loop.stop)
print("ready", flush=True)
loop.run(lambda: None, 0.05)
"""
    monkeypatch.setattr(restart, "_IS_WINDOWS", True)
    for words, said, code_of_end in (([], b"asked\n", 0), (["early"], b"", 1)):
        with subprocess.Popen([sys.executable, "-c", code, *words], stdin=-1, stdout=-1) as role:
            assert role.stdout is not None and role.stdout.readline() == b"ready\n"
            restart.ask_to_finish(role)
            assert role.stdout.readline() == said and role.wait(20) == code_of_end
            restart.ask_to_finish(role)  # harmless


def test_what_a_driver_says_first_may_come_in_two_pieces() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"tok")
        later = threading.Timer(0.1, theirs.sendall, [b"en\nand more"])
        later.start()
        assert first_words(ours, 6) == b"token\n" and ours.recv(100) == b"and more"
        later.join()
        theirs.close()
        assert first_words(ours, 6) == b""


def test_numbered_files_are_found_by_the_name_that_a_scene_has_for_them_on_macos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2):
        (tmp_path / f"cafe\u0301_{number:03}.png").touch()
    named = str(tmp_path / "caf\u00e9_001.png")
    assert files_of(named, True) == [], "elsewhere those are other files"
    listed = {unicodedata.normalize("NFC", str(each)) for each in tmp_path.iterdir()}
    monkeypatch.setattr(os.path, "exists", lambda path: unicodedata.normalize("NFC", str(path)) in listed)
    assert files_of(named, True) == [named, str(tmp_path / "caf\u00e9_002.png")]
