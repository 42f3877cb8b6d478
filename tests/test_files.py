"""Files that travel: traced, sent once, laid out where the scene expects them, and frames that come back."""

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy
import OpenImageIO as oiio
import pytest

from brender.bus.address import free_ports
from brender.bus.blobs import Exchange, Intake, Pull, served
from brender.bus.blobstore import BlobStore, BlobWriter
from brender.bus.client import Client
from brender.bus.keys import Credentials
from brender.bus.messages import BlobHave, BlobPiece, BlobWanted, NoFile
from brender.bus.pieces import PIECE
from brender.commands.files import exchange
from brender.commands.joining import as_client
from brender.commands.options import client
from brender.engines.packing import packed
from brender.model.bundle import Bundle, BundleFile, as_bytes, check_path, check_paths, read_bundle
from brender.model.changes import New, Put
from brender.model.errors import BadInput, BrenderError, NotFound
from brender.model.nodes import Blender
from brender.roles.server.filekeeping import FileKeeper
from brender.store.database import open_for_writing
from brender.store.datafolder import DataFolder
from brender.store.writer import Writer
from tests.conftest import SCENES
from tests.rendering import studio
from tests.test_store import JOB
from tests.tools import can_hide, command, invite, line_of, process, until

RENDERABLE = ("01_alpha_blend", "03_animated_cube", "05_metallic_sphere_light", "01_missing_textures")


def kept(store: BlobStore, content: bytes) -> str:
    """Have *content* in *store*; its name."""
    writer = store.writing(digest(content))
    writer.add(0, content)
    assert writer.finish()
    return digest(content)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# --- names --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        *(
            "",
            "/etc/passwd",
            "../x",
            "a/../../x",
            "a/..",
            "a//b",
            "./a",
            "a/",
            "C:/x",
            "a\\b",
            "a\0b",
            "a\nb",
            "con",
            "a/NUL.txt",
        ),
        *("lpt1.blend", "a.", "a ", "x" * 256, "é" * 128, "a:b", 'a"b', "a|b", "a?", "a*", "\udcff.png"),
    ],
)
def test_a_path_that_leads_out_or_is_no_name_everywhere_is_refused(path: str) -> None:
    with pytest.raises(BadInput):
        check_path(path)


@pytest.mark.parametrize("path", ["a", "a/b.blend", "tex/größe.png", "x" * 255, ".hidden", "a b/c d.png", "console.png"])
def test_usual_paths_are_taken(path: str) -> None:
    check_path(path)


def test_names_that_differ_in_case_only_are_refused() -> None:
    with pytest.raises(BadInput, match=r"tex/A\.png and tex/a\.png differ in upper and lower case only"):
        check_paths(["tex/A.png", "tex/a.png"])


@pytest.mark.parametrize(
    "content",
    [
        b"rubbish",
        as_bytes(Bundle(main="x", files=())),
        as_bytes(Bundle(main="../x", files=(BundleFile("../x", "a" * 64, 1),))),
    ],
)
def test_a_list_of_files_that_is_none_is_refused(content: bytes) -> None:
    with pytest.raises(BadInput):
        read_bundle(content)


# --- blobs --------------------------------------------------------------------------------------------------------------


def test_a_blob_has_its_name_only_once_it_is_what_that_says(tmp_path: Path) -> None:
    store, content = BlobStore(tmp_path), b"content"
    name = digest(content)
    wrong = store.writing(name)
    wrong.add(0, b"CONTENT")
    assert not wrong.finish() and not store.has(name)
    writer = store.writing(name)
    assert writer.have == 0 and writer.add(3, content) == 0, "what is not the next piece changes nothing"
    writer.add(0, content)
    assert writer.finish() and store.path(name).read_bytes() == content
    assert store.path(name).stat().st_mode & 0o222 == 0, "nobody writes to what is linked into many places"


def test_what_was_used_least_lately_is_given_up_first(tmp_path: Path) -> None:
    store = BlobStore(tmp_path, limit=250)
    names = [kept(store, bytes([number]) * 100) for number in range(2)]
    for age, name in enumerate(reversed(names)):
        os.utime(store.path(name), (1000 - age, 1000 - age))
    store.read(names[0], 0, 10)
    newest = kept(store, b"z" * 100)
    assert [store.has(name) for name in (*names, newest)] == [True, False, True]


@pytest.mark.parametrize("length", [0, 1, PIECE, PIECE + 1, 40 * PIECE + 7])
def test_a_pull_brings_a_blob_whole_whatever_is_lost_on_the_way(tmp_path: Path, length: int) -> None:
    above, below, chance = BlobStore(tmp_path / "a"), BlobStore(tmp_path / "b"), random.Random(length)
    name = kept(above, random.Random(1).randbytes(length))
    asked: list[BlobWanted] = []
    pull, now = Pull(name, below, lambda wanted: not asked.append(wanted)), 0.0
    for _ in range(3000):
        if pull.done:
            break
        now += 0.5
        pull.tick(now)
        sent, asked[:] = list(asked), []
        for wanted in sent:
            if chance.random() < 0.7:
                answer, bulk = served(above, wanted)
                assert isinstance(answer, BlobPiece)
                for _ in range(chance.choice((1, 1, 2))):
                    pull.take(answer, bulk[0], now)
    assert pull.done and not pull.error and below.path(name).read_bytes() == above.path(name).read_bytes()


def test_a_pull_goes_on_where_an_earlier_one_was_cut(tmp_path: Path) -> None:
    store, content = BlobStore(tmp_path), b"x" * (3 * PIECE)
    before = store.writing(digest(content))
    before.add(0, content[: 2 * PIECE])
    before.close()
    asked: list[int] = []
    pull = Pull(digest(content), store, lambda wanted: not asked.append(wanted.offset))
    pull.tick(0.0)
    assert asked == [2 * PIECE]


def test_a_blob_that_keeps_arriving_as_something_else_is_given_up(tmp_path: Path) -> None:
    pull = Pull("a" * 64, BlobStore(tmp_path), lambda wanted: True)
    for turn in range(3):
        pull.take(BlobPiece(blob="a" * 64, size=3, offset=0), b"bad", float(turn))
    assert pull.done and "something else than its name says" in pull.error and not BlobStore(tmp_path).has("a" * 64)


def test_an_upload_whose_bytes_do_not_match_its_name_begins_anew(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    intake = Intake(store)
    answer = intake.take(BlobPiece(blob="b" * 64, size=3, offset=0), b"bad")
    assert answer == BlobHave(blob="b" * 64, offset=0, complete=False) and not store.has("b" * 64)


def test_an_upload_that_is_larger_than_the_farm_takes_is_refused_at_its_first_piece(tmp_path: Path) -> None:
    answer = Intake(BlobStore(tmp_path), largest=10**9).take(BlobPiece(blob="b" * 64, size=2 * 10**9, offset=0), b"x")
    assert isinstance(answer, NoFile) and "2.0 GB" in answer.reason and "--largest-file" in answer.reason


def test_a_full_disk_is_said_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(BlobWriter, "add", full)
    answer = Intake(BlobStore(tmp_path)).take(BlobPiece(blob="b" * 64, size=3, offset=0), b"abc")
    assert isinstance(answer, NoFile) and "No space left on device" in answer.reason and "make room" in answer.reason


# --- packing ------------------------------------------------------------------------------------------------------------


def test_a_pack_has_what_the_scene_names_and_keeps_their_places() -> None:
    with packed(SCENES / "01_alpha_blend.blend") as pack:
        assert set(pack.files) == {"scenes/01_alpha_blend.blend", "scenes/01_alpha_blend.png", "pbr_node/glTF2.blend"}
        assert pack.main == "scenes/01_alpha_blend.blend"


@pytest.mark.parametrize("name", ["pack", "pack.zip"])
def test_a_pack_is_written_as_folder_or_zip_and_over_nothing(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / name
    said = command(capsys, "pack", SCENES / "01_alpha_blend.blend", target)
    assert said.code == 0 and "3 files" in said.out and "Missing file" in said.err
    if name.endswith("zip"):
        assert "scenes/01_alpha_blend.png" in zipfile.ZipFile(target).namelist()
    else:
        assert (target / "pbr_node" / "glTF2.blend").stat().st_size > 0
    again = command(capsys, "pack", SCENES / "01_alpha_blend.blend", target)
    assert again.code == 3 and "there already" in again.err


def test_a_texture_named_by_an_absolute_path_comes_along(blender: Blender, tmp_path: Path) -> None:
    """It lies nowhere near the scene: the copy of the .blend in the bundle names it where it lies there."""
    from brender.engines.command_line import script_in

    texture, file, script = tmp_path / "far" / "away.png", tmp_path / "here" / "scene.blend", tmp_path / "make.py"
    texture.parent.mkdir()
    file.parent.mkdir()
    shutil.copy(SCENES / "01_alpha_blend.png", texture)
    script.write_text(
        "import sys, bpy\nimage = bpy.data.images.load(sys.argv[-2])\nimage.use_fake_user = True\n"
        "bpy.ops.wm.save_as_mainfile(filepath=sys.argv[-1], relative_remap=False)\n"
    )
    subprocess.run([*script_in(blender, script), "--", str(texture), str(file)], check=True, capture_output=True)
    with packed(file) as pack:
        assert len(pack.files) == 2 and pack.main == "scene.blend"
        (moved,) = (path for path in pack.files if path.endswith("away.png"))
        assert moved.startswith("_outside_project/")
        assert b"//_outside_project" in pack.files[pack.main].read_bytes() or pack.files[pack.main] != file


# --- the whole way ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """A farm whose roles share nothing, each with a data folder of its own: the server's folder, and that of a client who
    joined. Beside these is the folder "private", which the worker does not see."""
    root, first = tmp_path_factory.mktemp("apart"), free_ports(9)
    server, mine = root / "server", root / "client"
    (root / "private").mkdir()
    with process("server", "--listen", f"127.0.0.1:{first + 4}", data=server) as serving:
        line_of(serving, "listens on")
        manager = process("manager", "--name", "m", "--listen", f"127.0.0.1:{first + 6}", data=root / "manager", farm=server)
        with manager as managing, process("worker", "--name", "w", data=root / "worker", farm=server, hidden=root / "private"):
            line_of(managing, "listens on")
            from brender.commands.joining import join_as_client

            join_as_client(DataFolder(mine), invite("client", server), "anna")
            with client(None, mine) as connection:
                until(lambda: [row["status"] for row in connection.ask("workers")] == ["idle"])
            yield server, mine


@pytest.mark.blender
@pytest.mark.parametrize("name", RENDERABLE)
def test_a_scene_that_was_sent_renders_as_it_does_here(
    apart: tuple[Path, Path], bpy: Blender, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _, mine = apart
    scene = mine.parent / "private" / name / "scenes" / f"{name}.blend"
    shutil.copytree(SCENES.parent, scene.parents[1])
    said = command(
        capsys,
        "submit",
        scene,
        "--send",
        "--frames",
        "1",
        "--samples",
        "2",
        "--resolution",
        "15",
        "--wait",
        "--data",
        mine,
        "--allow-missing",
    )
    assert said.code == 0, said.err
    assert command(capsys, "fetch", name, "--to", tmp_path / "got", "--data", mine).code == 0
    with studio(tmp_path / "w", bpy) as worker:
        outcome = worker.run(worker.job(scene, tmp_path / "here", frames="1", samples=2, resolution=15))
    (got,) = (tmp_path / "got").iterdir()
    here = tmp_path / "here" / outcome.parts[0].output
    pictures = [oiio.ImageBuf(str(each)).get_pixels(oiio.FLOAT) for each in (got, here)]
    assert numpy.array_equal(*pictures)


@pytest.mark.blender
def test_without_being_sent_a_scene_that_the_worker_does_not_see_cannot_be_rendered(
    apart: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """So that the test before can fail."""
    if not can_hide():
        pytest.skip("no process here may have mounts of its own")
    _, mine = apart
    scene = mine.parent / "private" / "unsent" / "scenes" / "03_animated_cube.blend"
    shutil.copytree(SCENES.parent, scene.parents[1])
    output = mine.parent / "unsent"
    words = ("--frames", "1", "--samples", "1", "--resolution", "5", "--output", output, "--allow-missing", "--wait")
    said = command(capsys, "submit", scene, *words, "--data", mine)
    assert said.code == 5 and "cannot open" in said.err
    assert "--send sends them" in said.err, "which is said before"


@pytest.mark.blender
def test_a_second_submit_sends_only_what_has_changed(
    apart: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, mine = apart
    shutil.copytree(SCENES.parent, tmp_path / "project")
    scene = tmp_path / "project" / "scenes" / "01_alpha_blend.blend"
    # A pixel of its own, so that no other test has sent it.
    picture = oiio.ImageBuf(oiio.ImageSpec(4, 4, 3, oiio.UINT8))
    picture.write(str(scene.with_suffix(".png")))
    words = (
        "submit",
        scene,
        "--send",
        "--frames",
        "1",
        "--samples",
        "1",
        "--resolution",
        "5",
        "--paused",
        "--data",
        mine,
        "--allow-missing",
    )
    command(capsys, *words)
    oiio.ImageBufAlgo.fill(picture, (1, 0, 0))
    picture.write(str(scene.with_suffix(".png")))
    assert "3 files" in (again := command(capsys, *words).err) and "1 of them were new" in again
    assert "0 of them were new" in command(capsys, *words).err


@pytest.mark.blender
def test_frames_are_fetched_as_they_come_and_only_once(
    apart: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server, mine = apart
    words = ("--frames", "1-3", "--samples", "1", "--resolution", "5", "--name", "watched", "--data", mine, "--allow-missing")
    command(capsys, "submit", SCENES / "03_animated_cube.blend", "--send", *words)
    said = command(capsys, "fetch", "watched", "--watch", "--to", tmp_path / "got", "--data", mine)
    assert "3 frames fetched" in said.out and len(list((tmp_path / "got").iterdir())) == 3
    assert "0 frames fetched" in command(capsys, "fetch", "watched", "--to", tmp_path / "got", "--data", mine).out
    with client(None, mine) as connection:
        job = connection.ask("job", id="watched")
    assert job["output"] == str(server / "frames" / job["id"]) and not list((server / "incoming").iterdir())


@pytest.mark.blender
def test_a_job_is_archived_to_one_zip_with_its_log_and_frames(
    apart: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, mine = apart
    words = ("--frames", "1-2", "--samples", "1", "--resolution", "5", "--name", "kept", "--allow-missing", "--wait")
    command(capsys, "submit", SCENES / "03_animated_cube.blend", "--send", *words, "--data", mine)
    with client(None, mine) as connection:
        attempts = [attempt["id"] for attempt in connection.ask("attempts", job="kept")]
        until(lambda: all("frame" in connection.ask("log", job="kept", attempt=each)["text"] for each in attempts))
    said = command(capsys, "archive", "kept", tmp_path / "kept.zip", "--data", mine)
    assert said.code == 0 and "2 frames" in said.out
    with zipfile.ZipFile(tmp_path / "kept.zip") as zipped:
        record = json.loads(zipped.read("job.json"))
        assert record["job"]["name"] == "kept" and record["job"]["settings"]["frames"] == "1-2"
        frames = [name for name in zipped.namelist() if name.startswith("frames/")]
        assert len(frames) == 2 and zipped.read(frames[0]).startswith(b"\x89PNG")
        assert any(b"frame 2" in zipped.read(name) for name in zipped.namelist() if name.startswith("logs/"))
    again = command(capsys, "archive", "kept", tmp_path / "kept.zip", "--data", mine)
    assert again.code == 3 and "there already" in again.err


def test_a_job_whose_files_never_came_is_refused(apart: tuple[Path, Path]) -> None:
    from brender.commands.jobspec import blender_job

    _, mine = apart
    scene = SCENES / "03_animated_cube.blend"
    options = {"output": None, "name": None, "trusted": False, "frames": "1"}
    spec = blender_job(scene, options, bundle="a" * 64, main="scenes/x.blend")
    with client(None, mine) as connection, pytest.raises(BadInput, match=r"not on the server.*submit it again"):
        connection.submit(spec)


@pytest.mark.parametrize("words", [("submit", "--send"), ("submit",), ("render",)])
def test_missing_files_are_named_with_who_uses_them_before_anything_is_done(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    said = command(capsys, words[0], SCENES / "01_missing_textures.blend", *words[1:])
    assert said.code == 2 and "missing: " in said.err and "used by image" in said.err and "--allow-missing" in said.err


def test_a_frame_that_is_not_there_is_said_so(apart: tuple[Path, Path]) -> None:
    _, mine = apart
    with exchange(None, mine) as files, pytest.raises(NotFound, match="not rendered"):
        files.fetch("a" * 16, 7, mine / "x")


def test_a_split_still_cannot_be_sent_yet(apart: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    said = command(
        capsys, "submit", SCENES / "03_animated_cube.blend", "--send", "--pieces", "4", "--data", apart[1], "--allow-missing"
    )
    assert said.code == 2 and "leave out --send, or --pieces" in said.err


@pytest.mark.parametrize("victim", ["server", "manager"])
def test_a_transfer_that_is_cut_by_kill_ends_with_the_right_bytes(tmp_path: Path, victim: str) -> None:
    """A client pushes to the server, and a worker's courier pulls through the manager, while one of them is killed and started
    again, five times."""
    first, server = free_ports(9), tmp_path / "server"
    roles = {
        "server": ("server", "--listen", f"127.0.0.1:{first + 4}", "--lease", "5"),
        "manager": ("manager", "--name", "m", "--listen", f"127.0.0.1:{first + 6}", "--lease", "5"),
    }
    running = {}
    running["server"] = process(*roles["server"], data=server)
    serving = running["server"].__enter__()
    line_of(serving, "listens on")
    running["manager"] = process(*roles["manager"], data=tmp_path / "manager", farm=server)
    processes = {"server": serving, "manager": running["manager"].__enter__()}
    line_of(processes["manager"], "listens on")
    big = tmp_path / "big"
    block = os.urandom(2**20)
    with big.open("wb") as file:
        for number in range(160):
            file.write(block[number:] + block[:number])
    name = hashlib.file_digest(big.open("rb"), "sha256").hexdigest()
    worker = _Worker(server, tmp_path / "worker")
    try:
        addresses, pair = as_client(None, DataFolder(server))
        pushing = _Thread(lambda: _push(addresses.files, Credentials(pair, addresses.key), {name: big}))
        for turn in range(5):
            if turn == 2:
                pushing.join(90)
                pulling = _Thread(lambda: worker.pull(name))
            time.sleep(0.15)
            processes[victim].send_signal(signal.SIGKILL)
            processes[victim].wait()
            running[victim] = process(*roles[victim], data=server if victim == "server" else tmp_path / "manager")
            processes[victim] = running[victim].__enter__()
            line_of(processes[victim], "listens on")
        pulling.join(120)
        assert hashlib.file_digest(worker.store.path(name).open("rb"), "sha256").hexdigest() == name
    finally:
        worker.close()
        for each in processes.values():
            each.kill()
            each.wait()


class _Thread:
    """A call in a thread of its own, whose failure is that of whoever waits for it."""

    def __init__(self, call) -> None:  # type: ignore[no-untyped-def]
        import threading

        self._error: BaseException | None = None
        self._call = call
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._call()
        except BaseException as error:
            self._error = error

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)
        assert not self._thread.is_alive(), "it has ended in time"
        if self._error is not None:
            raise self._error


def _push(files, credentials, blobs) -> None:  # type: ignore[no-untyped-def]
    with Exchange(files, credentials) as connection:
        connection.send(blobs)


class _Worker:
    """A worker's connection for files, with the key of one, and its store."""

    def __init__(self, server: Path, folder: Path) -> None:
        from brender.bus.sending import FileSender
        from brender.commands.joining import join_as_node
        from brender.model.keys import KeyRole

        membership = until(lambda: self._joined(server, folder, join_as_node, KeyRole.WORKER))
        (place,) = membership.manager_addresses()
        from brender.bus.keys import kept_pair

        self.store = BlobStore(folder / "blobs", 10**10)
        self._sender = FileSender(self.store)
        self._sender.start()
        self._sender.turn_to(place.files, Credentials(kept_pair(folder / "workers" / "w" / "key"), place.key))

    @staticmethod
    def _joined(server, folder, join, role):  # type: ignore[no-untyped-def]
        membership = join(DataFolder(folder), role, "w", invite("worker", server), None)
        return membership if membership.managers else None

    def pull(self, blob: str) -> None:
        import threading

        over, reasons = threading.Event(), []
        self._sender.fetch(blob, lambda reason: (reasons.append(reason), over.set())[1])
        assert over.wait(100), "the blob came in time"
        if reasons != [""]:
            raise BrenderError(reasons[0])

    def close(self) -> None:
        self._sender.stop()


def test_requests_of_a_client_are_answered_by_its_own_client(apart: tuple[Path, Path]) -> None:
    """Files have a door of their own: what passes there keeps nobody waiting at the other."""
    server, mine = apart
    addresses, pair = as_client(None, DataFolder(mine))
    content = os.urandom(30 * 2**20)
    file = mine / "big"
    file.write_bytes(content)
    sending = _Thread(lambda: _push(addresses.files, Credentials(pair, addresses.key), {digest(content): file}))
    with Client(addresses, pair) as connection:
        assert connection.ask("about")["trouble"] == ""
    sending.join(60)
    assert BlobStore(DataFolder(server).blobs).has(digest(content))


# --- what becomes of frames that have arrived ---------------------------------------------------------------------------


@pytest.fixture
def accepted(tmp_path: Path) -> Iterator[tuple[FileKeeper, Writer, Path]]:
    """A record in which part 1 was completed by the attempt b…, and part 2 would lie elsewhere; the folder of frames."""
    folder, out = DataFolder(tmp_path / "data").make(), tmp_path / "out"
    writer = Writer(open_for_writing(str(folder.database)))
    part = {"job": "a" * 16, "task": 1, "status": "completed", "attempt": "b" * 16}
    writer.commit(
        [
            Put("project", "default", {}),
            New("job", "a" * 16, {**JOB, "output": str(out)}),
            New("task", 1, {"job": "a" * 16, "number": 0, "status": "completed"}),
            New("part", 1, {**part, "frame": 1, "output": "x_0001.png"}),
            New("part", 2, {**part, "frame": 2, "output": "../../climbed.png"}),
        ]
    )
    folder.incoming.mkdir()
    yield FileKeeper(folder, str(folder.database)), writer, out
    writer.database.close()


def test_a_server_that_was_killed_before_it_named_a_frame_names_it_when_it_starts(
    accepted: tuple[FileKeeper, Writer, Path], tmp_path: Path
) -> None:
    keeper, writer, out = accepted
    incoming = tmp_path / "data" / "incoming"
    (incoming / f"{'b' * 16}-1").write_bytes(b"frame")
    (incoming / f"{'c' * 16}-1").write_bytes(b"of an attempt that nobody waits for")
    keeper.sweep(writer.tables)
    assert (out / "x_0001.png").read_bytes() == b"frame" and not list(incoming.iterdir())


def test_a_frame_is_never_put_outside_of_the_job_s_folder(
    accepted: tuple[FileKeeper, Writer, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keeper, writer, _ = accepted
    (tmp_path / "data" / "incoming" / f"{'b' * 16}-2").write_bytes(b"frame")
    keeper.sweep(writer.tables)
    assert not list(tmp_path.rglob("climbed.png")) and "outside of the job's folder" in caplog.text


def test_a_frame_that_cannot_be_put_in_its_place_is_put_there_later(
    accepted: tuple[FileKeeper, Writer, Path], tmp_path: Path
) -> None:
    keeper, writer, out = accepted
    out.write_text("a file where the folder is to be")
    (tmp_path / "data" / "incoming" / f"{'b' * 16}-1").write_bytes(b"frame")
    keeper.sweep(writer.tables)
    out.unlink()
    keeper.settle()
    assert (out / "x_0001.png").read_bytes() == b"frame"


def test_blobs_that_no_job_needs_are_thrown_away_and_no_others(accepted: tuple[FileKeeper, Writer, Path]) -> None:
    keeper, _, _ = accepted
    store = keeper.blobs
    texture, old, young = (kept(store, content) for content in (b"texture", b"old", b"young"))
    bundle = kept(store, as_bytes(Bundle(main="x", files=(BundleFile("x", texture, 7),))))
    for blob in (texture, old, bundle):
        os.utime(store.path(blob), (1000, 1000))
    assert keeper._collect({bundle}, before=2000.0) == 1
    assert [store.has(blob) for blob in (texture, bundle, old, young)] == [True, True, False, True]


def test_where_a_job_s_list_of_files_is_damaged_nothing_is_thrown_away(accepted: tuple[FileKeeper, Writer, Path]) -> None:
    keeper, _, _ = accepted
    damaged, old = kept(keeper.blobs, b"no list"), kept(keeper.blobs, b"old")
    os.utime(keeper.blobs.path(old), (1000, 1000))
    assert keeper._collect({damaged}, before=2000.0) == 0 and keeper.blobs.has(old)


def test_the_files_of_a_job_are_needed_until_long_after_its_end(
    accepted: tuple[FileKeeper, Writer, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper, writer, _ = accepted
    asked: list[set[str]] = []
    monkeypatch.setattr(keeper, "_collect", lambda bundles, before: asked.append(bundles))
    jobs = {"d" * 16: None, "e" * 16: 900.0, "f" * 16: 100.0}
    writer.commit([New("job", id, {**JOB, "bundle": id[0] * 64, "finished": ended}) for id, ended in jobs.items()])
    keeper.collect(writer.tables, wall=1000.0, keep=500.0)
    until(lambda: asked)
    assert asked == [{"d" * 64, "e" * 64}]
