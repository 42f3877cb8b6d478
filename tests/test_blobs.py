"""Names of files and their contents as blobs: what is refused, kept, thrown away, and what becomes of frames that have
arrived."""

import hashlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from brender.bus.messages import BlobAt, BlobHave, BlobPiece, BlobWanted, NoFile
from brender.bus.transport import Received
from brender.model.bundle import Bundle, BundleFile, as_bytes, check_path, check_paths, read_bundle
from brender.model.errors import BadInput
from brender.model.keys import KeyRole, Principal
from brender.roles.server.blob_retention import delete_unneeded, needed
from brender.roles.server.files import FileKeeper
from brender.store.database import open_for_writing
from brender.store.datafolder import DataFolder
from brender.store.writer import Writer
from brender.transfer import blob_store, file_thread
from brender.transfer.blob_store import BlobStore, BlobWriter
from brender.transfer.blobs import Intake, Pull, Pulls, from_here, served
from brender.transfer.pieces import PIECE
from brender.transfer.worker import FileSender
from tests.rows import new, put, update
from tests.test_store import JOB
from tests.tools import until


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


def test_names_that_are_one_on_macos_are_refused() -> None:
    with pytest.raises(BadInput, match="how the same letters are coded"):
        check_paths(["tex/caf\u00e9.png", "tex/cafe\u0301.png"])


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


def test_what_is_being_read_is_given_up_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A manager passes on many blobs at once, which its limit may be too small for."""
    store, names = BlobStore(tmp_path, limit=150), list[str]()
    store.forget_what_was_given_up()
    for number in range(3):
        names.append(kept(store, bytes([number]) * 100))
        store.read(names[-1], 0, 10)
    assert all(map(store.has, names))
    monkeypatch.setattr(blob_store, "_READING_SECONDS", 0.0)
    store.forget_what_was_given_up()
    assert sum(map(store.has, names)) == 1


def pulled(name: str, below: BlobStore, rounds: int, answer: Callable[[Pull, BlobWanted, float], None]) -> Pull:
    """Pull the blob *name* into *below*; what is asked for goes to *answer*, for so many rounds at most."""
    asked: list[BlobWanted] = []
    pull, now = Pull(name, below, lambda wanted: not asked.append(wanted)), 0.0
    for _ in range(rounds):
        if pull.done:
            break
        now += 0.5
        pull.tick(now)
        sent, asked[:] = list(asked), []
        for wanted in sent:
            answer(pull, wanted, now)
    return pull


@pytest.mark.parametrize("length", [0, 1, PIECE, PIECE + 1, 40 * PIECE + 7])
def test_a_pull_brings_a_blob_whole_whatever_is_lost_on_the_way(tmp_path: Path, length: int) -> None:
    above, below, chance = BlobStore(tmp_path / "a"), BlobStore(tmp_path / "b"), random.Random(length)
    name = kept(above, random.Random(1).randbytes(length))

    def answer(pull: Pull, wanted: BlobWanted, now: float) -> None:
        if chance.random() < 0.7:
            piece, bulk = served(above, msgspec.structs.replace(wanted, linkable=False))
            assert isinstance(piece, BlobPiece)
            for _ in range(chance.choice((1, 1, 2))):
                pull.take(piece, bulk[0], now)

    pull = pulled(name, below, 3000, answer)
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


@pytest.mark.parametrize("wrong", ["", "content", "path"])
def test_a_blob_on_the_same_machine_is_linked_and_where_that_goes_wrong_it_comes_in_pieces(tmp_path: Path, wrong: str) -> None:
    above, below = BlobStore(tmp_path / "a"), BlobStore(tmp_path / "b")
    content = random.Random(1).randbytes(8 * PIECE)
    name = kept(above, content)
    asked: list[BlobWanted] = []
    pull = Pull(name, below, lambda wanted: not asked.append(wanted))
    pull.tick(0.0)
    there, bulk = served(above, asked.pop())
    assert isinstance(there, BlobAt) and not bulk
    if wrong == "content":
        other = tmp_path / "other"
        other.write_bytes(b"something else")
        there = msgspec.structs.replace(there, path=str(other))
    elif wrong:
        there = msgspec.structs.replace(there, path=str(tmp_path / "nowhere"))
    pull.link(there, 0.0)
    until(lambda: pull.tick(10.0) or pull.done or asked)
    if wrong:
        assert not pull.done and not any(wanted.linkable for wanted in asked)
        for now in range(20):
            sent, asked[:] = list(asked), []
            for wanted in sent:
                answer, bulk = served(above, wanted)
                assert isinstance(answer, BlobPiece)
                pull.take(answer, bulk[0], 10.0 + now)
    assert pull.done and below.path(name).read_bytes() == content
    assert (below.path(name).stat().st_ino == above.path(name).stat().st_ino) is not bool(wrong)
    assert [path.name for path in (tmp_path / "b" / "partial").iterdir()] == [f"{name}.lock"]


def test_a_blob_that_the_manager_has_whole_while_its_pieces_are_passed_on_comes_to_its_end(tmp_path: Path) -> None:
    """What was asked for of a blob that was still coming is answered with a link once it has come."""
    above, below = BlobStore(tmp_path / "a"), BlobStore(tmp_path / "b")
    content = random.Random(1).randbytes(40 * PIECE + 7)
    name = kept(above, content)

    def answer(pull: Pull, wanted: BlobWanted, now: float) -> None:
        passed_on = msgspec.structs.replace(wanted, linkable=False) if pull.have < 20 * PIECE else wanted
        there, bulk = served(above, passed_on)
        if isinstance(there, BlobAt):
            pull.link(there, now)
        else:
            assert isinstance(there, BlobPiece)
            pull.take(there, bulk[0], now)

    pull = pulled(name, below, 100, answer)
    assert pull.done and not pull.error and below.path(name).read_bytes() == content


def test_only_who_is_on_this_machine_may_link() -> None:
    wanted = BlobWanted(blob="a" * 64, offset=0, linkable=True)
    principal = Principal(id="a" * 16, public="k" * 40, role=KeyRole.WORKER, name="w")
    asked = {origin: Received(principal, b"route", wanted, [], origin=origin) for origin in ("127.0.0.1", "10.0.0.7", "")}
    assert [from_here(each, True).linkable for each in asked.values()] == [True, False, False]
    assert not from_here(asked["127.0.0.1"], False).linkable


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


def test_a_manager_whose_disk_is_full_says_so_to_the_worker_that_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(BlobWriter, "add", full)
    ended: list[str] = []
    pulls = Pulls(BlobStore(tmp_path), lambda wanted: True, "the manager's", lambda call: None)
    pulls.begin("b" * 64, ended.append)
    pulls.hear(BlobPiece(blob="b" * 64, size=3, offset=0), [b"abc"])
    assert ended == ["the manager's disk cannot take it (No space left on device)"]


def test_what_clients_send_leaves_room_on_the_server_s_disk(tmp_path: Path) -> None:
    piece = BlobPiece(blob="b" * 64, size=3, offset=0)
    answer = Intake(BlobStore(tmp_path), least_free=10**18).take(piece, b"abc")
    assert isinstance(answer, NoFile) and "stay free" in answer.reason and "--keep-free" in answer.reason
    assert isinstance(Intake(BlobStore(tmp_path), least_free=1).take(piece, b"abc"), BlobHave)


def test_a_full_disk_is_said_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(BlobWriter, "add", full)
    answer = Intake(BlobStore(tmp_path)).take(BlobPiece(blob="b" * 64, size=3, offset=0), b"abc")
    assert isinstance(answer, NoFile) and "No space left on device" in answer.reason and "make room" in answer.reason


def test_what_processes_left_behind_goes_while_the_farm_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_thread, "_SWEEP_SECONDS", 0.0)
    store, gone = BlobStore(tmp_path), subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    sender = FileSender(store)
    sender.start()
    names = ("lock", "new.lock", str(gone.pid), f"{gone.pid}.link", str(os.getpid()))
    left = {name: store.root / "partial" / f"{letter * 64}.{name}" for letter, name in zip("abcde", names, strict=True)}
    left["new.lock"] = left["new.lock"].with_name("f" * 64 + ".lock")
    (tmp_path / "partial").mkdir(exist_ok=True)
    for name, path in left.items():
        path.touch()
        if name != "new.lock":
            os.utime(path, (time.time() - 4000,) * 2)
    until(lambda: sum(path.exists() for path in left.values()) == 2)
    sender.stop()
    assert left["new.lock"].exists() and left[str(os.getpid())].exists()


# --- what becomes of frames that have arrived ---------------------------------------------------------------------------


@pytest.fixture
def accepted(tmp_path: Path) -> Iterator[tuple[FileKeeper, Writer, Path]]:
    """A record in which part 1 was completed by the attempt b…, and part 2 would lie elsewhere; the folder of frames."""
    folder, out = DataFolder(tmp_path / "data").make(), tmp_path / "out"
    writer = Writer(open_for_writing(str(folder.database)))
    part = {"job": "a" * 16, "task": 1, "status": "completed", "attempt": "b" * 16}
    writer.commit(
        [
            put("project", "default", {}),
            new("job", "a" * 16, {**JOB, "output": str(out)}),
            new("task", 1, {"job": "a" * 16, "number": 0, "status": "completed"}),
            new("part", 1, {**part, "frame": 1, "output": "x_0001.png"}),
            new("part", 2, {**part, "frame": 2, "output": "../../climbed.png"}),
        ]
    )
    folder.incoming.mkdir()
    yield FileKeeper(folder, str(folder.database)), writer, out
    writer.database.close()


def publish(keeper: FileKeeper, writer: Writer) -> None:
    """Start the server: what has arrived is put into the folders of jobs."""
    for frame in keeper.sweep(writer.tables):
        keeper.placement.add(frame)
    assert keeper.threads.close(10)


def test_a_server_that_was_killed_before_it_named_a_frame_names_it_when_it_starts(
    accepted: tuple[FileKeeper, Writer, Path], tmp_path: Path
) -> None:
    keeper, writer, out = accepted
    incoming = tmp_path / "data" / "incoming"
    (incoming / f"{'b' * 16}-1").write_bytes(b"frame")
    (incoming / f"{'c' * 16}-1").write_bytes(b"of an attempt that nobody waits for")
    publish(keeper, writer)
    assert (out / "x_0001.png").read_bytes() == b"frame" and not list(incoming.iterdir())


def test_files_that_nobody_waits_for_go_while_the_server_runs(accepted: tuple[FileKeeper, Writer, Path], tmp_path: Path) -> None:
    keeper, writer, _ = accepted
    writer.database.execute_sql("PRAGMA foreign_keys = 0")  # who works on it is of no interest here
    attempt = {"job": "a" * 16, "task": 1, "worker": "w", "manager": "m", "granted": 0.0, "outcome": "live"}
    writer.commit([new("attempt", "e" * 16, attempt)])
    incoming = tmp_path / "data" / "incoming"
    stays = {f"{'b' * 16}-1": "completed by it", f"{'e' * 16}-1": "live", f"{'c' * 16}-2": "new"}
    for name in (*stays, f"{'c' * 16}-1", f"{'c' * 16}-1-1"):
        (incoming / name).write_bytes(b"frame")
        if stays.get(name) != "new":
            os.utime(incoming / name, (1000, 1000))
    keeper.delete_leftovers(time.time(), lambda: None)
    assert {path.name for path in incoming.iterdir()} == set(stays)


def test_a_frame_is_never_put_outside_of_the_job_s_folder(
    accepted: tuple[FileKeeper, Writer, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keeper, writer, _ = accepted
    (tmp_path / "data" / "incoming" / f"{'b' * 16}-2").write_bytes(b"frame")
    publish(keeper, writer)
    assert not list(tmp_path.rglob("climbed.png")) and "leads out of its folder" in caplog.text


def test_a_frame_that_cannot_be_put_in_its_place_is_put_there_later(
    accepted: tuple[FileKeeper, Writer, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper, writer, out = accepted
    monkeypatch.setattr("brender.roles.server.placement.AGAIN_SECONDS", 0.0)
    out.write_text("a file where the folder is to be")
    (tmp_path / "data" / "incoming" / f"{'b' * 16}-1").write_bytes(b"frame")
    publish(keeper, writer)
    out.unlink()
    keeper.placement.tick()
    assert keeper.threads.close(10)
    assert (out / "x_0001.png").read_bytes() == b"frame"


@pytest.fixture
def film(accepted: tuple[FileKeeper, Writer, Path], tmp_path: Path) -> Iterator[tuple[FileKeeper, Writer, Path]]:
    """Frame 1 of a film has arrived and was published; the file that it is then."""
    keeper, writer, out = accepted
    frame = digest(b"frame")
    writer.commit(
        [
            update("job", "a" * 16, {"bundle": "e" * 64, "status": "queued", "settings": {"film": "x.mkv"}}),
            update("part", 1, {"digest": frame}),
        ]
    )
    (tmp_path / "data" / "incoming" / f"{'b' * 16}-1").write_bytes(b"frame")
    publish(keeper, writer)
    yield keeper, writer, out / "x_0001.png"
    keeper.close()


def test_whoever_paints_on_a_frame_does_not_change_the_copy_that_its_film_is_made_of(
    film: tuple[FileKeeper, Writer, Path],
) -> None:
    keeper, _, file = film
    blob = digest(b"frame")
    with file.open("r+b") as opened:
        opened.write(b"PAINT")
    assert keeper.blobs.path(blob).read_bytes() == b"frame" and file.read_bytes() == b"PAINT"
    assert not keeper.blobs.keep(file, blob), "what is something else by now is not kept under that name"
    assert keeper.blobs.path(blob).read_bytes() == b"frame" and not list(keeper.blobs.root.glob("partial/*.copy"))


def test_frames_whose_copies_were_collected_are_copied_again_for_a_film_that_is_made_again(
    film: tuple[FileKeeper, Writer, Path],
) -> None:
    keeper, writer, file = film
    blob = digest(b"frame")

    def recovered() -> str | None:
        said: list[str | None] = []
        keeper.places(0, links=True).recover(blob, said.append)
        return until(lambda: said)[0]  # type: ignore[no-any-return]

    keeper.blobs.path(blob).unlink()
    assert recovered() is None and keeper.blobs.path(blob).read_bytes() == b"frame"
    keeper.blobs.path(blob).unlink()
    file.write_bytes(b"PAINT")
    assert "requeue aaaaaaaa --frames 1` renders it again" in str(recovered())
    writer.commit([update("job", "a" * 16, {"status": "completed"})])
    assert recovered() is None and not keeper.blobs.has(blob), "no film is to be made of it"


def test_blobs_that_no_job_needs_are_thrown_away_and_no_others(accepted: tuple[FileKeeper, Writer, Path], tmp_path: Path) -> None:
    keeper, writer, _ = accepted
    store = keeper.blobs
    texture, old, young = (kept(store, content) for content in (b"texture", b"old", b"young"))
    bundle = kept(store, as_bytes(Bundle(main="x", files=(BundleFile("x", texture, 7),))))
    for blob in (texture, old, bundle):
        os.utime(store.path(blob), (1000, 1000))
    writer.commit([new("job", "d" * 16, {**JOB, "bundle": bundle})])
    assert delete_unneeded(str(tmp_path / "data" / "farm.db"), store, wall=time.time(), keep=0.0) == 1
    assert [store.has(blob) for blob in (texture, bundle, old, young)] == [True, True, False, True]


def test_where_a_job_s_list_of_files_is_damaged_nothing_is_thrown_away(
    accepted: tuple[FileKeeper, Writer, Path], tmp_path: Path
) -> None:
    keeper, writer, _ = accepted
    damaged, old = kept(keeper.blobs, b"no list"), kept(keeper.blobs, b"old")
    os.utime(keeper.blobs.path(old), (1000, 1000))
    writer.commit([new("job", "d" * 16, {**JOB, "bundle": damaged})])
    assert delete_unneeded(str(tmp_path / "data" / "farm.db"), keeper.blobs, wall=time.time(), keep=0.0) == 0
    assert keeper.blobs.has(old)


def test_the_files_of_a_job_are_needed_until_long_after_its_end(accepted: tuple[FileKeeper, Writer, Path]) -> None:
    _, writer, _ = accepted
    jobs = {"d" * 16: None, "e" * 16: 900.0, "f" * 16: 100.0}
    writer.commit([new("job", id, {**JOB, "bundle": id[0] * 64, "finished": ended}) for id, ended in jobs.items()])
    assert needed(writer.tables, wall=1000.0, keep=500.0)[0] == {"d" * 64, "e" * 64}


def test_add_ons_are_needed_as_long_as_their_jobs_or_the_farm_has_them(accepted: tuple[FileKeeper, Writer, Path]) -> None:
    _, writer, _ = accepted
    jobs = {"d" * 16: None, "e" * 16: 900.0, "f" * 16: 100.0}
    rows = [new("job", id, {**JOB, "addons": [{"digest": id[0] * 64}], "finished": ended}) for id, ended in jobs.items()]
    writer.commit([*rows, new("site_addon", "red", {"addon": {"digest": "a" * 64}, "wall": 1.0})])
    assert needed(writer.tables, wall=1000.0, keep=500.0)[1] == {"a" * 64, "d" * 64, "e" * 64}
