"""Jobs are deleted, by people and by what their projects keep: their own files and rows, and nothing else."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from brender.api.jobspec import make_output
from brender.bus.client import Client
from brender.commands.localfarm import LocalFarm
from brender.commands.options import client
from brender.model.errors import BrenderError, NotFound
from brender.roles.effects import DropFolder, PublishFrame
from brender.roles.server.deletion import Remover, retired
from brender.roles.server.files import FileKeeper
from brender.roles.server.made_files import MadeFiles, other_with_its_files
from brender.roles.server.projects import Kept, outlived
from brender.store.database import open_for_writing
from brender.store.datafolder import DataFolder
from brender.store.named import Record
from brender.store.questions import jobs, projects
from brender.store.writer import Writer
from tests.rows import new, put, update
from tests.test_store import JOB
from tests.tools import command, ended, submit_command, until
from tests.world import World, animation

A, B = "a" * 16, "b" * 16
DAY = 86_400.0


# --- what is kept -------------------------------------------------------------------------------------------------------


def test_a_project_without_limits_keeps_everything() -> None:
    assert outlived([Kept(A, 0.0, 10**15)], 0, 0, wall=1e9) == []


def test_jobs_go_when_their_days_are_over() -> None:
    ended = [Kept(A, 0.0, 0), Kept(B, 6 * DAY, 0)]
    assert outlived(ended, keep_days=3, keep_bytes=0, wall=7 * DAY) == [A]


def test_of_too_many_bytes_the_oldest_go_and_jobs_without_any_stay() -> None:
    ended = [Kept("old", 1.0, 60), Kept("none", 0.0, 0), Kept("new", 3.0, 50), Kept("mid", 2.0, 40)]
    assert outlived(ended, 0, keep_bytes=100, wall=9.0) == ["old"]


# --- in the record and on the disk ---------------------------------------------------------------------------------------


@pytest.fixture
def farm_of_two(tmp_path: Path) -> Iterator[tuple[Writer, DataFolder, Path]]:
    """A record of two jobs that have ended, with a frame each, its log and its thumbnail; the first one's frame lies in the
    folder that is given too, the second one's in the farm's own."""
    folder, out = DataFolder(tmp_path / "data").make(), tmp_path / "out"
    writer = Writer(open_for_writing(str(folder.database)))
    for number, (id, output) in enumerate(((A, out), (B, folder.frames(B))), start=1):
        part = {"job": id, "task": number, "status": "completed", "frame": 1, "output": "x/f_0001.png", "size": 5}
        node = {"incarnation": 1, "name": "n", "status": "online", "last_seen": 1.0}
        changes: list[Any] = [
            put("project", "default", {}),
            put("manager", "m", node),
            put("worker", "w", {**node, "manager": "m"}),
            new("job", id, {**JOB, "status": "completed", "output": str(output), "finished": 1000.0}),
            new("task", number, {"job": id, "number": 0, "status": "completed"}),
            new("part", number, {**part, "attempt": id, "further_files": [{"output": "deep/f_0001.exr", "size": 5}]}),
            new(
                "attempt", id, {"job": id, "task": number, "worker": "w", "manager": "m", "outcome": "completed", "granted": 1.0}
            ),
            new("job_revision", (id, 1), {"settings": {}, "wall": 1.0}),
        ]
        writer.commit(changes)
        for file in (
            output / "x/f_0001.png",
            output / "deep/f_0001.exr",
            folder.log(id, id),
            folder.thumbnail(id, number),
        ):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"12345")
    yield writer, folder, out
    writer.database.close()


def _work_off(remover: Remover, writer: Writer, wall: float = 5000.0) -> None:
    def over() -> bool:
        for job, fields in remover.step(writer, wall):
            if fields is not None:
                writer.commit([update("job", job, fields)])
        return remover.is_idle

    until(over)


def _files_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def _remover(folder: DataFolder, keeper: FileKeeper | None = None) -> Remover:
    keeper = keeper or FileKeeper(folder, str(folder.database))
    return Remover(keeper, MadeFiles(folder, str(folder.database), keeper.folder_of))


@pytest.mark.parametrize("is_made", [True, False])
def test_a_folder_that_was_made_for_a_job_goes_with_its_files_and_another_stays(
    farm_of_two: tuple[Writer, DataFolder, Path], is_made: bool
) -> None:
    writer, folder, out = farm_of_two
    below, out = out, out.parent / "above" / "out"
    out.parent.mkdir()
    below.rename(out)
    writer.commit([update("job", A, {"made_output": is_made, "made_above": 1, "output": str(out)})])
    remover = _remover(folder)
    remover.begin(A, "both")
    _work_off(remover, writer)
    assert not _files_in(out) if out.exists() else True
    assert out.exists() != is_made and out.parent.exists() != is_made


def test_the_folder_of_a_job_that_was_canceled_before_it_made_anything_goes_only_if_it_is_empty(
    farm_of_two: tuple[Writer, DataFolder, Path], tmp_path: Path
) -> None:
    empty, used = tmp_path / "empty", tmp_path / "used"
    empty.mkdir()
    used.mkdir()
    (used / "notes.txt").write_text("mine")
    remover = _remover(farm_of_two[1])
    for each in (empty, used):
        remover.drop_folder(str(each))
    until(lambda: not empty.exists(), 10)
    assert (used / "notes.txt").exists()


@pytest.mark.parametrize("used", [False, True])
def test_the_folders_above_that_were_made_for_a_job_go_with_its_own_as_long_as_they_are_empty(
    farm_of_two: tuple[Writer, DataFolder, Path], tmp_path: Path, used: bool
) -> None:
    folder = tmp_path / "mo/deep/x"
    made = make_output(folder)
    assert made == 3 and make_output(folder) == 0
    if used:
        (tmp_path / "mo/notes.txt").write_text("mine")
    _remover(farm_of_two[1]).drop_folder(str(folder), made - 1)
    until(lambda: not (tmp_path / "mo/deep").exists() and (tmp_path / "mo").exists() is used, 10)
    assert tmp_path.exists()


@pytest.mark.parametrize(("is_made", "done", "dropped"), [(True, 0, True), (False, 0, False), (True, 1, False)])
def test_only_a_folder_that_was_made_for_a_canceled_job_without_frames_is_dropped(
    is_made: bool, done: int, dropped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, asked = World(), []
    monkeypatch.setattr(world, "carry_out", lambda effects: (asked.extend(effects), World.carry_out(world, effects)))
    world.add_worker("one")
    spec = msgspec.structs.replace(animation("1-3", chunk=1), made_output=is_made)
    world.submit(spec)
    for _ in range(done):
        world.finish("one")
    world.act("cancel", spec.id)
    world.run(0.5)
    assert not any(isinstance(each, DropFolder) for each in asked), "its attempt may still write"
    world.end("one", stopped=True, reason="stopped")
    world.run(0.5)
    assert [each.folder for each in asked if isinstance(each, DropFolder)] == [spec.output] * dropped


def test_a_folder_that_was_made_for_a_job_that_failed_without_frames_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    world, asked = World(), []
    monkeypatch.setattr(world, "carry_out", lambda effects: (asked.extend(effects), World.carry_out(world, effects)))
    world.add_worker("one")
    spec = msgspec.structs.replace(animation("1"), made_output=True, made_above=2)
    world.submit(spec)
    world.run(0.5)
    world.end("one", reason="it broke", permanent=True)
    world.run(0.5)
    assert world.status(spec.id) == "failed"
    assert {(each.folder, each.above) for each in asked if isinstance(each, DropFolder)} == {(spec.output, 2)}


def test_a_job_that_is_deleted_is_gone_with_all_its_files_and_the_other_is_untouched(
    farm_of_two: tuple[Writer, DataFolder, Path],
) -> None:
    writer, folder, out = farm_of_two
    remover = _remover(folder)
    writer.commit([update("job", A, {"deleting": "both"})])
    remover.begin(A, "both")
    _work_off(remover, writer)
    tables = writer.tables
    assert [row.id for row in tables.Job.select()] == [B] and _files_in(out) == []
    assert not folder.log(A, A).exists() and not folder.thumbnail(A, 1).exists()
    assert [table.select().count() for table in (tables.Task, tables.Part, tables.Attempt, tables.JobRevision)] == [1] * 4
    assert (folder.frames(B) / "x/f_0001.png").exists() and folder.log(B, B).exists() and folder.thumbnail(B, 2).exists()


@pytest.mark.parametrize("kept", [True, False])
def test_a_job_in_a_folder_below_has_files_of_one_above(farm_of_two: tuple[Writer, DataFolder, Path], kept: bool) -> None:
    writer, folder, out = farm_of_two
    below = {"output": "f_0001.png", "kept": kept, "finished": time.time() + 60, "further_files": []}
    writer.commit([update("job", B, {"output": str(out / "x")}), update("part", 2, below)])
    remover = _remover(folder)
    remover.begin(A, "frames")
    _work_off(remover, writer)
    said = writer.tables.Job.get_by_id(A).reason.startswith("Not deleted: the job")
    assert (out / "x/f_0001.png").exists() and said == kept


def test_frames_that_were_deleted_before_are_not_looked_for_again(farm_of_two: tuple[Writer, DataFolder, Path]) -> None:
    writer, folder, out = farm_of_two
    writer.commit([update("job", A, {"frames_deleted": time.time() + 60})])
    remover = _remover(folder)
    remover.begin(A, "both")
    _work_off(remover, writer)
    assert len(_files_in(out)) == 2 and not writer.has("job", A), "somebody else has put these there since"


def test_frames_that_another_job_wrote_later_stay_although_the_clock_was_set_back(
    farm_of_two: tuple[Writer, DataFolder, Path],
) -> None:
    writer, folder, out = farm_of_two
    writer.commit([update("job", B, {"output": str(out)}), update("part", 1, {"finished": time.time() + 60})])
    writer.commit([update("part", 2, {"finished": 1000.0, "further_files": []})])
    remover = _remover(folder)
    remover.begin(A, "both")
    _work_off(remover, writer)
    assert "x/f_0001.png" in _files_in(out)


def test_a_piece_that_the_job_only_found_there_stays_if_another_had_made_it(
    farm_of_two: tuple[Writer, DataFolder, Path],
) -> None:
    writer, folder, out = farm_of_two
    piece = out / ".f_0001.png.pieces/1.exr"
    piece.parent.mkdir()
    piece.write_bytes(b"12345")
    of_frame = {"output": piece.relative_to(out).as_posix(), "piece": 1, "further_files": []}
    writer.commit([update("job", B, {"output": str(out)})])
    writer.commit([update("part", 2, of_frame | {"finished": 900.0})])
    writer.commit([update("part", 1, of_frame | {"finished": time.time() + 60, "kept": True})])
    remover = _remover(folder)
    remover.begin(A, "both")
    _work_off(remover, writer)
    assert piece.exists(), "the other job may still make its picture of it"


def test_only_the_frames_or_only_the_record_may_go(farm_of_two: tuple[Writer, DataFolder, Path]) -> None:
    writer, folder, out = farm_of_two
    remover = _remover(folder)
    remover.begin(A, "frames")
    remover.begin(B, "record")
    _work_off(remover, writer)
    row = writer.tables.Job.get_by_id(A)
    assert _files_in(out) == [] and (row.deleting, row.frames_deleted) == ("", 5000.0) and folder.log(A, A).exists()
    assert not writer.has("job", B) and (folder.frames(B) / "x/f_0001.png").exists()


def test_what_others_put_into_the_folder_stays(farm_of_two: tuple[Writer, DataFolder, Path]) -> None:
    writer, folder, out = farm_of_two
    (out / "x" / "mine.txt").write_text("mine")
    remover = _remover(folder)
    remover.begin(A, "both")
    _work_off(remover, writer)
    assert _files_in(out) == ["x/mine.txt"]


@pytest.mark.parametrize(
    "fields",
    [{"status": "canceled"}, {"status": "queued"}, {"kept": True}, {"size": 6}, {"digest": "0" * 64}, {"finished": 1.0}],
    ids=["never rendered", "queued again", "kept", "another size", "another content", "written to since"],
)
def test_a_file_that_the_job_did_not_make_or_that_was_changed_since_stays(
    farm_of_two: tuple[Writer, DataFolder, Path], fields: dict[str, Any]
) -> None:
    writer, folder, out = farm_of_two
    further = {"output": "deep/f_0001.exr", "size": 6, "digest": "0" * 64}
    writer.commit([update("part", 1, {**fields, "further_files": [further]})])
    remover = _remover(folder)
    remover.begin(A, "frames")
    _work_off(remover, writer)
    assert _files_in(out) == ["deep/f_0001.exr", "x/f_0001.png"]
    changed = "Of its frames 2 files were changed" in str(writer.tables.Job.get_by_id(A).warnings)
    assert changed == (not {"status", "kept"} & set(fields))


def test_a_folder_that_was_there_before_stays_and_those_of_the_farm_and_of_pieces_go(
    farm_of_two: tuple[Writer, DataFolder, Path],
) -> None:
    writer, folder, out = farm_of_two
    pieces = out / ".still.pieces"
    pieces.mkdir()
    (pieces / "1.exr").write_bytes(b"12345")
    piece = {"job": A, "task": 1, "status": "completed", "frame": 1, "piece": 1, "kept": True, "size": 5}
    writer.commit([new("part", 3, {**piece, "output": ".still.pieces/1.exr"})])
    remover = _remover(folder)
    for each in (A, B):
        remover.begin(each, "frames")
    _work_off(remover, writer)
    assert sorted(out.iterdir()) == [out / "deep", out / "x"] and _files_in(out) == []
    assert not folder.frames(B).exists() and folder.frames_folder.exists()


def test_a_name_that_climbs_out_of_the_folder_is_not_deleted(
    farm_of_two: tuple[Writer, DataFolder, Path], tmp_path: Path
) -> None:
    writer, folder, _ = farm_of_two
    (tmp_path / "precious").write_text("x")
    writer.commit([update("part", 1, {"output": "../precious"})])
    remover = _remover(folder)
    remover.begin(A, "both")
    _work_off(remover, writer)
    assert (tmp_path / "precious").exists() and not writer.has("job", A)


def test_where_the_server_does_not_see_the_folder_nothing_is_deleted_and_the_job_says_so(
    farm_of_two: tuple[Writer, DataFolder, Path],
) -> None:
    writer, folder, out = farm_of_two
    out.rename(out.with_name("away"))
    remover = _remover(folder)
    writer.commit([update("job", A, {"deleting": "both"})])
    remover.begin(A, "both")
    _work_off(remover, writer)
    row = writer.tables.Job.get_by_id(A)
    assert row.deleting == "" and "does not see its output folder" in row.reason


def test_a_job_that_could_not_be_deleted_still_says_why_it_ended(farm_of_two: tuple[Writer, DataFolder, Path]) -> None:
    writer, folder, out = farm_of_two
    writer.commit([update("job", A, {"status": "canceled", "reason": "canceled by ann", "deleting": "frames"})])
    out.rename(out.with_name("away"))
    remover = _remover(folder)
    for _ in range(2):  # the second does not say it twice
        remover.begin(A, "frames")
        _work_off(remover, writer)
        ended, _, problem = writer.tables.Job.get_by_id(A).reason.partition(". Not deleted: ")
        assert ended == "canceled by ann" and problem.startswith("the server's machine does not see") and "Not" not in problem
    out.with_name("away").rename(out)
    remover.begin(A, "frames")
    _work_off(remover, writer)
    assert writer.tables.Job.get_by_id(A).reason == "canceled by ann" and not _files_in(out)


def test_a_folder_that_hangs_delays_the_deletion_of_its_own_job_alone(farm_of_two: tuple[Writer, DataFolder, Path]) -> None:
    writer, folder, out = farm_of_two
    keeper, answers = FileKeeper(folder, str(folder.database)), threading.Event()
    keeper.threads.do(str(out), lambda alive: answers.wait(30))
    remover = _remover(folder, keeper)
    for job in (A, B):
        writer.commit([update("job", job, {"deleting": "both"})])
        remover.begin(job, "both")

    def is_gone(job: str) -> bool:
        remover.step(writer, 5000.0)
        return not writer.has("job", job)

    until(lambda: is_gone(B))
    assert writer.has("job", A) and len(_files_in(out)) == 2
    answers.set()
    until(lambda: is_gone(A))
    assert _files_in(out) == []


def test_a_record_stays_while_frames_of_its_job_wait_for_their_folder(farm_of_two: tuple[Writer, DataFolder, Path]) -> None:
    writer, folder, out = farm_of_two
    keeper, arrived = FileKeeper(folder, str(folder.database)), folder.incoming / f"{A}-9"
    folder.incoming.mkdir()
    arrived.write_bytes(b"frame")
    (out / "new").write_text("a file where a folder is to be")
    keeper.placement.add(PublishFrame(A, 9, str(out), "new/f_0009.png", job=A))
    remover = _remover(folder, keeper)
    for what in ("record", "both"):
        writer.commit([update("job", A, {"deleting": what})])
        remover.begin(A, what)
        _work_off(remover, writer)
        if what == "record":
            row = writer.tables.Job.get_by_id(A)
            assert row.reason.startswith("Not deleted: 1 finished frame waits to be put into its folder") and arrived.exists()
    assert not writer.has("job", A) and not arrived.exists(), "whoever deletes its frames does not want those"


def test_a_server_that_was_killed_while_it_deleted_goes_on_when_it_starts(farm_of_two: tuple[Writer, DataFolder, Path]) -> None:
    writer, folder, out = farm_of_two
    writer.commit([update("job", A, {"deleting": "both"})])
    remover = _remover(folder)
    remover.resume(writer.tables)
    _work_off(remover, writer)
    assert not writer.has("job", A) and _files_in(out) == [] and writer.has("job", B)


def test_a_job_that_is_going_is_not_listed(farm_of_two: tuple[Writer, DataFolder, Path]) -> None:
    writer, folder, _ = farm_of_two
    writer.commit([update("job", A, {"deleting": "both"}), update("job", B, {"deleting": "frames"})])
    record = Record(writer.tables, folder)
    assert [row["id"] for row in jobs(record)] == [B] and projects(record)[0]["jobs"] == 1


def test_frames_that_another_job_keeps_are_found(farm_of_two: tuple[Writer, DataFolder, Path]) -> None:
    writer, _, out = farm_of_two
    job = writer.tables.Job.get_by_id(A)
    writer.commit([update("part", 2, {"kept": True})])
    assert other_with_its_files(writer.tables, job) == ""
    writer.commit([update("job", B, {"output": str(out), "name": "later"})])
    assert other_with_its_files(writer.tables, job) == "later"
    writer.commit([update("part", 1, {"kept": True})])
    assert other_with_its_files(writer.tables, job) == "", "what the job only kept is not deleted with it"


@pytest.mark.parametrize("what", ["both", "frames"])
def test_frames_that_another_job_keeps_are_not_deleted_whoever_asks(
    farm_of_two: tuple[Writer, DataFolder, Path], what: str
) -> None:
    writer, folder, out = farm_of_two
    writer.commit([update("part", 2, {"kept": True}), update("job", B, {"output": str(out), "name": "later"})])
    writer.commit([update("job", A, {"deleting": what})])
    remover = _remover(folder)
    remover.begin(A, what)
    _work_off(remover, writer)
    row = writer.tables.Job.get_by_id(A)
    assert row.reason == f"Not deleted: the job later keeps frames of it in {out}: delete that job first, or the record only"
    assert row.deleting == "" and _files_in(out) == ["deep/f_0001.exr", "x/f_0001.png"] and folder.log(A, A).exists()


def test_a_job_s_deletion_asks_nothing_about_the_frames_of_others_in_the_server_s_round(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    job = world.submit(animation("1-3"))["id"]
    world.act("cancel", job)
    asked: list[str] = []
    execute = world.writer.database.execute_sql
    monkeypatch.setattr(world.writer.database, "execute_sql", lambda sql, *more: asked.append(sql) or execute(sql, *more))
    assert world.act("delete", job, "both")["status"] == "canceled"
    assert asked and not [sql for sql in asked if "SELECT" in sql and '"part"' in sql]


@pytest.mark.parametrize(("first", "left"), [(A, ["deep/f_0001.exr", "x/f_0001.png"]), (B, ["deep/f_0001.exr"])])
def test_a_frame_that_two_jobs_rendered_is_the_later_one_s(
    farm_of_two: tuple[Writer, DataFolder, Path], first: str, left: list[str]
) -> None:
    writer, folder, out = farm_of_two
    later = time.time() + 60
    writer.commit(
        [
            update("job", B, {"output": str(out)}),
            update("part", 1, {"finished": later - 1}),
            update("part", 2, {"finished": later, "further_files": []}),
        ]
    )
    assert not any(other_with_its_files(writer.tables, job) for job in writer.tables.Job.select())
    remover = _remover(folder)
    remover.begin(first, "both")
    _work_off(remover, writer)
    assert _files_in(out) == left


def test_a_project_s_own_frames_go_by_age_and_those_elsewhere_stay(farm_of_two: tuple[Writer, DataFolder, Path]) -> None:
    writer, folder, _ = farm_of_two
    writer.commit([update("project", "default", {"keep_days": 1.0})])
    where = str(folder.database)
    assert retired(where, folder.frames_folder, wall=1000.0 + DAY / 2) == {}
    assert retired(where, folder.frames_folder, wall=1000.0 + 2 * DAY) == {A: ("record", ""), B: ("both", str(folder.frames(B)))}


def test_a_project_keeps_as_many_bytes_as_it_says(farm_of_two: tuple[Writer, DataFolder, Path]) -> None:
    writer, folder, _ = farm_of_two
    writer.commit([update("project", "default", {"keep_bytes": 4})])
    found = retired(str(folder.database), folder.frames_folder, wall=2000.0)
    assert found == {B: ("both", str(folder.frames(B)))}, "the frames elsewhere do not count"


# --- on a farm ------------------------------------------------------------------------------------------------------------


def test_only_what_has_ended_can_be_deleted() -> None:
    world = World()
    job = world.submit(animation("1-3"))["id"]
    assert "cancel it first" in world.act("delete", job, "both").message
    world.act("cancel", job)
    assert "cannot be deleted" in world.act("delete", job, "everything").message
    assert world.act("delete", job, "both")["status"] == "canceled"


def test_the_record_says_which_frames_were_kept_until_they_are_rendered() -> None:
    world = World()
    world.add_worker("one")
    job = world.submit(animation("1-2", chunk=2))["id"]
    part = world.writer.tables.Part

    def kept() -> list[bool]:
        return [bool(row.kept) for row in part.select().where(part.job == job).order_by(part.frame)]

    world.finish_part("one", kept=True)
    world.finish_part("one")
    world.end("one")
    assert kept() == [True, False]
    world.act("requeue", job, "1")
    world.finish_everything()
    assert kept() == [False, False]


def test_a_deleted_job_is_gone_from_the_farm(farm: LocalFarm, capsys: pytest.CaptureFixture[str]) -> None:
    data = farm.folder.root
    with client(None, data) as connection:
        job = submit_command(connection, "true", frames="1-3", name="gone")
        ended(connection, job)
        assert command(capsys, "delete", "gone", "--yes", "--data", data).code == 0
        until(lambda: _is_gone(connection, job))
        assert "deleted" in connection.ask("activity")[0]["text"]
        again = command(capsys, "delete", "gone", "--yes", "--data", data)
        assert again.code == 2 and "There is no job 'gone'" in again.err
    assert command(capsys, "project", "set", "film", "--keep-days", "30", "--keep-gb", "2", "--data", data).code == 0
    listed = command(capsys, "project", "list", "--data", data).out
    assert "jobs for 30 days, 2.0 GB of frames" in listed
    assert command(capsys, "project", "set", " ", "--data", data).code == 2


def _is_gone(connection: Client, job: str) -> bool:
    try:
        connection.ask("job", id=job)
    except NotFound:
        return True
    except BrenderError:
        return False
    return False
