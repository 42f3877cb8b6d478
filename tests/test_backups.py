"""Backups of the record: made by the clock, put back whatever happens on the way, and refused where they are not whole."""

import contextlib
import errno
import os
import re
import shutil
import signal
import sqlite3
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from peewee import SqliteDatabase

from brender.commands.options import client
from brender.model.errors import BadInput, BrenderError
from brender.roles.effects import Now
from brender.roles.server.backups import BackupPlan, ScheduledBackups, farm_mark
from brender.store import schema
from brender.store.archive import RECORD, is_archive, write_archive
from brender.store.backup import back_up, leap, restore
from brender.store.backup_process import Wanted, backups_in, made_by_process, make
from brender.store.database import open_for_reading, open_for_writing
from brender.store.datafolder import DataFolder
from brender.store.last_seen import check_age, note_seen
from brender.store.writer import Writer
from tests.conftest import PostgreSQL
from tests.hanging import can_hang, hanging
from tests.rows import put
from tests.test_trouble import three_roles
from tests.tools import command, ended, fill, submit_command, until

OLDER = Path(__file__).parent / "records" / "0010.sql"
NEWER = "9999_of_tomorrow"


def _record(where: Path, *projects: str) -> Path:
    """A record with these *projects* in its place, closed."""
    writer = Writer(open_for_writing(str(where)))
    writer.commit([put("project", name, {}) for name in projects])
    writer.database.close()
    return where


def _projects(where: str | Path) -> set[str]:
    database = open_for_reading(str(where))
    with database.connection_context():
        return {row[0] for row in database.execute_sql("SELECT name FROM project").fetchall()}


@pytest.fixture
def data(folder: DataFolder) -> DataFolder:
    _record(folder.make().database, "shown")
    return folder


# --- by the clock -----------------------------------------------------------------------------------------------------------


def _scheduled(
    data: DataFolder, tell: Callable[[str, str], None], into: Path | None = None, least_free: int = 0, patience: float = 60
) -> ScheduledBackups:
    plan = BackupPlan(every=3600, into=into, keep=2)
    return ScheduledBackups(data, str(data.database), plan, "a1", least_free, tell, Now(0.0, 0.0), patience)


def test_a_server_backs_its_record_up_by_the_clock(data: DataFolder) -> None:
    said: list[tuple[str, str]] = []
    backups = _scheduled(data, lambda *each: said.append(each))
    backups.step(Now(100.0, 0.0))
    assert data.last_backup() is None, "not before its time"
    backups.step(Now(700.0, 0.0))
    made = until(data.last_backup)
    assert _projects(made["file"]) == {"shown"} and Path(made["file"]).parent == data.backups
    assert said == [] and "trouble" not in made


def test_only_the_newest_backups_are_kept_and_nothing_else_is_touched(data: DataFolder, tmp_path: Path) -> None:
    into = tmp_path / "backups"
    into.mkdir()
    others = (
        "farm-20200101-000000.db",  # as `brender backup` calls a copy
        "farm-b2-20200101-000000.db",  # another farm's
        "farm-a1-20200101-000000.db.txt",
        "mine.db",
    )
    for name in ("farm-a1-20200101-000000.db", "farm-a1-20210101-000000.db", *others):
        (into / name).touch()
        os.utime(into / name, (1.0, 1.0))
    (into / "farm-a1-20220101-000000.db.xy.part").mkdir()  # of a process that was killed
    wanted = Wanted(str(data.database), str(into), "farm-a1", keep=2, every=60.0)
    made = make(wanted, lambda: None)
    assert {path.name for path in into.iterdir()} == {*others, "farm-a1-20210101-000000.db", Path(made.file).name}
    assert make(wanted, lambda: None) == made, "it is young enough"
    assert make(replace(wanted, name="farm-c3"), lambda: None).file != made.file, "another farm's is none of this one's"


def test_a_farm_s_backups_are_told_from_those_of_another_key_and_of_a_copy_of_its_folder(tmp_path: Path) -> None:
    places = [(tmp_path / "a", "key"), (tmp_path / "a", "other key"), (tmp_path / "b", "key")]
    assert len({farm_mark(DataFolder(root), key) for root, key in places}) == 3
    assert farm_mark(DataFolder(tmp_path / "a"), "key") == farm_mark(DataFolder(tmp_path / "b" / ".." / "a"), "key")


def test_a_backup_from_the_future_neither_takes_the_place_of_new_ones_nor_shortens_the_history(
    data: DataFolder, tmp_path: Path
) -> None:
    tomorrow, last = tmp_path / "farm-a1-20990101-000000.db", tmp_path / "farm-a1-20200101-000000.db"
    for path, wall in ((tomorrow, time.time() + 1e6), (last, 1.0)):
        path.touch()
        os.utime(path, (wall, wall))
    wanted = Wanted(str(data.database), str(tmp_path), "farm-a1", keep=2, every=60.0)
    made = make(wanted, lambda: None)
    assert make(wanted, lambda: None) == made, "one is enough"
    assert tomorrow.exists() and last.exists()
    os.utime(tomorrow, (1.0, 1.0))  # by its name alone
    assert make(wanted, lambda: None) == made


@pytest.mark.thorough
def test_a_full_backup_disk_is_one_sentence_to_the_admin(data: DataFolder, tmp_path: Path) -> None:
    said: list[tuple[str, str]] = []
    backups = _scheduled(data, lambda *each: said.append(each), tmp_path / "full", least_free=2**60)
    for at in (700.0, 1400.0):
        backups.step(Now(at, 0.0))
        until(lambda: backups._thread is not None and not backups._thread.is_alive())
    ((action, text),) = said
    assert action == "backup-failed" and f"No room for a backup on the disk of {tmp_path / 'full'}: " in text
    assert not list((tmp_path / "full").iterdir()) and "No room" in (data.last_backup() or {})["trouble"]


@pytest.mark.thorough
@pytest.mark.skipif(not can_hang(), reason="this user may not mount a file system that hangs (FUSE)")
def test_a_backup_disk_that_does_not_answer_holds_nothing_up_but_the_backup(data: DataFolder, tmp_path: Path) -> None:
    said: list[tuple[str, str]] = []
    with hanging(tmp_path / "drive", tmp_path / "behind") as drive:
        backups = _scheduled(data, lambda *each: said.append(each), drive.path, patience=2.0)
        drive.hang()
        began = time.monotonic()
        backups.step(Now(700.0, 0.0))
        assert time.monotonic() - began < 0.5
        until(lambda: said)
        assert said[0][0] == "backup-failed" and "makes no progress" in said[0][1]
        backups.step(Now(7000.0, 0.0))  # no second one beside it
        drive.go_on()
        until(lambda: backups._thread is not None and not backups._thread.is_alive())
        backups.step(Now(70000.0, 0.0))
        until(lambda: len(said) == 2)
        assert said[1][0] == "backed-up" and len(backups_in(drive.path, "farm-a1")) == 1


@pytest.mark.thorough
def test_a_disk_that_is_full_is_one_sentence_and_nothing_is_left_there(
    data: DataFolder, small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (small_disk / "data").mkdir()
    fill(small_disk).open("r+b").truncate(24_600_000)  # less than a megabyte is free
    before = sorted(small_disk.rglob("*"))
    for words in (("backup", small_disk / "a.db"), ("backup", "--with", "all", small_disk / "a.tar")):
        said = command(capsys, *words, "--data", data.root)
        assert said.code == 2 and f"No room for a backup on the disk of {small_disk}: " in said.err
    assert sorted(small_disk.rglob("*")) == before


# --- put back ---------------------------------------------------------------------------------------------------------------


def _projects_or_refusal(where: Path) -> set[str] | str:
    """The projects in the record; "refused" where it is refused with the remedy."""
    try:
        return _projects(where)
    except BadInput as error:
        assert "`brender restore BACKUP`" in str(error)
        return "refused"


class Killed(BaseException):
    """The process was killed here."""


@contextlib.contextmanager
def _killed_after(steps: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Let the process do *steps* changes in folders, and no more, as if it was killed then."""
    done = [0]

    def counted(change: Callable[..., object]) -> Callable[..., object]:
        def do(*words: object, **named: object) -> object:
            if done[0] >= steps:
                raise Killed
            done[0] += 1
            return change(*words, **named)

        return do

    with monkeypatch.context() as patched:
        for place, name in ((os, "link"), (Path, "replace"), (Path, "unlink"), (Path, "rename")):
            patched.setattr(place, name, counted(getattr(place, name)))
        yield done


def test_a_restore_that_is_killed_anywhere_leaves_one_whole_record_or_a_refusal_and_can_be_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    back_up(str(_record(tmp_path / "earlier.db", "earlier")), tmp_path / "copy.db")
    live = open_for_writing(str(_record(tmp_path / "live.db", "later")))
    live.execute_sql("INSERT INTO project VALUES ('last', '', 0, 0, 9)")
    for steps in range(20):
        (tmp_path / str(steps)).mkdir()
        farm = tmp_path / str(steps) / "farm.db"
        for suffix in ("", "-wal", "-mark"):  # a server that was killed
            shutil.copy(tmp_path / f"live.db{suffix}", f"{farm}{suffix}")
        with _killed_after(steps, monkeypatch) as done:
            killed = True
            with contextlib.suppress(Killed):
                restore(tmp_path / "copy.db", str(farm))
                killed = False
        if not killed:
            assert steps > 4 and done[0] <= steps
            break
        assert _projects_or_refusal(farm) in ({"earlier"}, {"later", "last"}, "refused")
        restore(tmp_path / "copy.db", str(farm))
        assert _projects(farm) == {"earlier"}
        kept = [path for path in farm.parent.glob("farm.db.before-*") if not path.name.endswith(("-wal", "-mark", "-shm"))]
        assert any(_projects_or_refusal(path) == {"later", "last"} for path in kept)
    live.close()


def _half(backup: Path) -> None:
    backup.write_bytes(backup.read_bytes()[: backup.stat().st_size // 2])


def _newer(backup: Path) -> None:
    with contextlib.closing(sqlite3.connect(backup, isolation_level=None)) as opened:
        opened.execute("INSERT INTO schema_migration (name, applied) VALUES (?, '')", (NEWER,))


def _empty(backup: Path) -> None:
    backup.write_bytes(b"")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_half, "is damaged, or was not copied to its end|is not a database, or a damaged one"),
        (_newer, f"was made by a newer brender \\(it knows {NEWER}\\)"),
        (_empty, "is not the database of a farm"),
        (Path.unlink, "There is no backup"),
    ],
)
def test_a_backup_that_cannot_be_restored_is_one_sentence_and_changes_nothing(
    spoil: Callable[[Path], None], says: str, data: DataFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    back_up(str(_record(tmp_path / "earlier.db", *(f"p{number}" for number in range(300)))), tmp_path / "copy.db")
    spoil(tmp_path / "copy.db")
    before = sorted(data.root.iterdir()), data.database.read_bytes()
    said = command(capsys, "restore", tmp_path / "copy.db", "--data", data.root)
    assert said.code == 2 and len(said.err.strip().splitlines()) == 1
    assert re.search(says, said.err)
    assert (sorted(each for each in data.root.iterdir() if each.name != "run"), data.database.read_bytes()) == before


@pytest.mark.thorough
def test_a_record_in_either_database_is_backed_up_and_restored(
    database: str, folder: DataFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    writer = Writer(open_for_writing(database))
    writer.commit([put("project", "earlier", {"keep_days": 1.5})])
    where = ("--data", folder.root, "--database", database)
    assert command(capsys, "backup", tmp_path / "copy.db", *where).code == 0
    writer.commit([put("project", "later", {})])
    writer.database.close()
    said = command(capsys, "restore", tmp_path / "copy.db", *where)
    assert said.code == 0 and _projects(database) == {"earlier"}
    kept = Path(said.out.rpartition("What was there is kept: ")[2].strip())
    assert _projects(kept) == {"earlier", "later"}


def test_no_record_is_restored_under_a_server_whatever_data_folder_is_named(
    data: DataFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    back_up(str(data.database), tmp_path / "copy.db")
    words = ("restore", tmp_path / "copy.db", "--data", tmp_path / "elsewhere", "--database", data.database)
    serving = open_for_writing(str(data.database))
    said = command(capsys, *words)
    assert said.code == 2 and f"A server uses {data.database} now. Stop it first" in said.err
    assert serving.execute_sql("SELECT name FROM project").fetchall() == [("shown",)]
    serving.close()
    lock = data.lock("server")
    assert "Error: The farm's server runs: stop it first. " in command(capsys, *words).err
    lock.release()
    assert command(capsys, *words).code == 0


@pytest.mark.thorough
def test_no_record_in_postgresql_is_restored_under_a_server(
    postgresql: PostgreSQL, data: DataFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    url = postgresql.new_database()
    words = ("restore", data.database, "--data", data.root, "--database", url)
    serving = open_for_writing(url)
    assert f"A server uses {url} now" in command(capsys, *words).err
    assert serving.execute_sql("SELECT COUNT(*) FROM project").fetchone()[0] == 0
    serving.close()
    assert command(capsys, *words).code == 0 and _projects(url) == {"shown"}


def test_a_backup_goes_where_the_data_folder_says_that_its_record_is(
    data: DataFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = _record(tmp_path / "other.db", "other")
    note_seen(data, str(other), 1, 0.0)
    assert command(capsys, "restore", data.database, "--data", data.root).code == 0 and _projects(other) == {"shown"}
    note_seen(data, "postgresql://brender:sesame@db.example/farm", 1, 0.0)
    for words in (("restore", other), ("restore", "--as-it-is"), ("backup", tmp_path / "copy.db")):
        said = command(capsys, *words, "--data", data.root)
        assert said.code == 2 and "is not in that folder but in postgresql://brender@db.example/farm" in said.err
        assert "--database URL" in said.err


def test_a_backup_that_does_not_exist_is_refused_before_a_data_folder_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = command(capsys, "restore", tmp_path / "nothing.db", "--data", tmp_path / "typo" / "deep")
    assert said.code == 2 and "There is no backup" in said.err and not (tmp_path / "typo").exists()


def test_the_command_asks_for_a_backup_or_for_the_record_as_it_is(data: DataFolder, capsys: pytest.CaptureFixture[str]) -> None:
    for words in ((), ("copy.db", "--as-it-is")):
        said = command(capsys, "restore", *words, "--data", data.root)
        assert said.code == 2 and "not both" in said.err
    assert "as it is" in command(capsys, "restore", "--as-it-is", "--data", data.root).out


_NODES = {f"managers/south/{name}": f"the manager's {name}" for name in ("node", "membership.json", "key")}
_FILES = _NODES | {"keys/server": "secret", "blobs/ab/abcd": "scene", "frames/j/1.png": "frame", "logs/j/a.log": "log"}
_FILES |= {"job_types/own.py": "a job type of the farm's own"}


# --- archives ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def archive(data: DataFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """Everything of a small farm."""
    for name, text in _FILES.items():
        (data.root / name).parent.mkdir(parents=True, exist_ok=True)
        (data.root / name).write_text(text)
    said = command(capsys, "backup", tmp_path / "all.tar", "--with", "all", "--data", data.root)
    assert said.code == 0 and "it holds the record, keys, blobs, frames, logs, job-types" in said.out
    assert (tmp_path / "all.tar").stat().st_mode & 0o77 == 0
    return tmp_path / "all.tar"


def test_an_archive_brings_a_whole_farm_back(
    archive: Path, data: DataFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(data.root)
    said = command(capsys, "restore", archive, "--data", data.root)
    assert said.code == 0 and "4 files added" in said.out
    assert {name: (data.root / name).read_text() for name in _FILES} == _FILES and _projects(data.database) == {"shown"}
    assert not (data.root / "restoring").exists()


def test_of_the_job_types_an_archive_has_what_links_show_and_says_which_lead_nowhere(
    data: DataFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    types, kept = data.root / "job_types", tmp_path / "repo"
    for name in ("pkg/own.py", "pkg/deep/more.py", "pkg/__pycache__/own.pyc"):
        (kept / name).parent.mkdir(parents=True, exist_ok=True)
        (kept / name).write_text(name)
    types.mkdir()
    for link, leads in {"pkg": "pkg", "again": "pkg", "one.py": "pkg/own.py", "gone.py": "no"}.items():
        (types / link).symlink_to(kept / leads)
    (kept / "pkg" / "back").symlink_to(kept / "pkg")
    said = command(capsys, "backup", tmp_path / "all.tar", "--with", "job-types", "--data", data.root)
    assert said.code == 0 and "without job_types/gone.py: a link that leads nowhere" in said.err
    shutil.rmtree(data.root)
    command(capsys, "restore", tmp_path / "all.tar", "--data", data.root)
    found = {path.relative_to(types).as_posix() for path in types.rglob("*") if path.is_file()}
    assert found == {f"{top}/{name}" for top in ("pkg", "again") for name in ("own.py", "deep/more.py")} | {"one.py"}


@pytest.mark.thorough
def test_an_archive_replaces_no_file_and_keeps_the_keys_that_were_there(
    archive: Path, data: DataFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    (data.root / "keys" / "server").write_text("other")
    (data.root / "frames" / "j" / "1.png").write_text("newer")
    (data.root / "blobs" / "ab" / "abcd").unlink()
    (data.root / "managers" / "south" / "key").write_text("of a manager that joined since")
    said = command(capsys, "restore", archive, "--data", data.root)
    assert said.code == 0 and "1 file added" in said.out
    assert (data.root / "managers" / "south" / "key").read_text() == "the manager's key"
    assert [path.read_text() for path in data.root.glob("managers/south/key.before-*")] == ["of a manager that joined since"]
    assert (data.root / "frames" / "j" / "1.png").read_text() == "newer"
    assert (data.root / "keys" / "server").read_text() == "secret"
    (kept,) = data.root.glob("keys.before-*")
    assert (kept / "server").read_text() == "other"


@pytest.mark.parametrize("share", [0.5, 0.999])
def test_an_archive_that_was_not_copied_to_its_end_is_refused_and_changes_nothing(
    share: float, archive: Path, data: DataFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    with archive.open("r+b") as file:
        # (tar fills its last record with zeros, which say nothing.)
        file.truncate(int(share * len(archive.read_bytes().rstrip(b"\0"))))
    (data.root / "frames" / "j" / "1.png").unlink()
    before = data.database.read_bytes()
    said = command(capsys, "restore", archive, "--data", data.root)
    assert said.code == 2 and "is damaged, or was not copied to its end" in said.err
    assert data.database.read_bytes() == before and not (data.root / "frames" / "j" / "1.png").exists()


@pytest.mark.thorough
def test_an_archive_with_a_changed_file_or_one_that_leads_out_of_it_is_refused(
    archive: Path, data: DataFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = archive.read_bytes().replace(b"scene\0", b"score\0")
    (tmp_path / "changed.tar").write_bytes(changed)
    with tarfile.open(archive) as whole, tarfile.open(tmp_path / "leads-out.tar", "w") as leads_out:
        for member in whole:
            content = whole.extractfile(member)
            member.name = member.name.replace("frames/j/1.png", "frames/../../out")
            leads_out.addfile(member, content)
    for name in ("changed.tar", "leads-out.tar"):
        said = command(capsys, "restore", tmp_path / name, "--data", data.root)
        assert said.code == 2 and "is damaged" in said.err
    assert not (data.root.parent / "out").exists()


def test_a_restore_that_fails_at_the_record_leaves_the_keys_that_were_there(
    archive: Path, data: DataFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*words: object) -> None:
        raise BadInput("the disk is full")

    (data.root / "keys" / "server").write_text("other")
    monkeypatch.setattr("brender.commands.backup.put_back", fail)
    assert command(capsys, "restore", archive, "--data", data.root).err.strip().endswith("the disk is full")
    assert (data.root / "keys" / "server").read_text() == "other" and not list(data.root.glob("keys.before-*"))


def test_an_archive_is_restored_where_frames_lie_on_another_disk(
    archive: Path, data: DataFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other, rename = tmp_path / "other", Path.rename

    def rename_on_one_disk(path: Path, target: Path) -> Path:
        if path.resolve().is_relative_to(other) != target.resolve().is_relative_to(other):
            raise OSError(errno.EXDEV, "Invalid cross-device link", str(path))
        return rename(path, target)

    for name in ("frames", "blobs"):
        shutil.rmtree(data.root / name)
        (other / name).mkdir(parents=True)
        (data.root / name).symlink_to(other / name)
    monkeypatch.setattr(Path, "rename", rename_on_one_disk)
    assert command(capsys, "restore", archive, "--data", data.root).code == 0
    assert (other / "frames" / "j" / "1.png").read_text() == "frame"
    assert [path.name for path in (other / "blobs").rglob("*") if path.is_file()] == ["abcd"]


def test_an_archive_with_a_record_of_any_size_is_known_as_one(tmp_path: Path) -> None:
    for name, size, expected in ((RECORD, 9 * 2**30, True), (RECORD, 5, True), ("other", 9 * 2**30, False)):
        member = tarfile.TarInfo(name)
        member.size = size
        (tmp_path / "all.tar").write_bytes(member.tobuf(tarfile.PAX_FORMAT) + bytes(1024))
        assert is_archive(tmp_path / "all.tar") == expected
    for content in (b"", b"SQLite format 3\0" + bytes(1000)):
        (tmp_path / "all.tar").write_bytes(content)
        assert not is_archive(tmp_path / "all.tar")


@pytest.mark.parametrize("what", [(), ("--with", "logs")])
def test_a_backup_replaces_and_removes_no_file_but_its_own(
    what: tuple[str, ...], data: DataFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("copy.record", "copy.part", "copy-journal"):
        (tmp_path / name).write_text("foreign")
    words = ("backup", tmp_path / "copy", "--data", data.root, *what)
    assert command(capsys, *words).code == 0
    assert command(capsys, *words).code == 3, "it is there"
    (tmp_path / "copy").unlink()

    def comes_meanwhile(*words: object, **named: object) -> None:
        (tmp_path / "copy").write_text("foreign")
        raise OSError(errno.EPERM, "a file system without links")

    monkeypatch.setattr(os, "link", comes_meanwhile)
    said = command(capsys, *words)
    assert said.code == 3 and "exists already" in said.err
    names = ("copy", "copy.record", "copy.part", "copy-journal")
    assert {path.name for path in tmp_path.glob("copy*")} == set(names)
    assert {(tmp_path / name).read_text() for name in names} == {"foreign"}


@pytest.mark.parametrize("what", [(), ("--with", "logs")])
def test_a_backup_to_a_folder_that_is_missing_names_that_folder(
    what: tuple[str, ...], data: DataFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = command(capsys, "backup", tmp_path / "none" / "x.tar", "--data", data.root, *what)
    assert said.code == 2 and said.err.strip() == f"Error: There is no folder {tmp_path / 'none'}. Make it first, or name another"


def test_a_log_that_is_made_shorter_while_it_is_read_is_saved_as_it_is_then(
    data: DataFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, size in (("a.log", 40_000), ("b.log", 5)):
        (data.root / "logs" / "j").mkdir(parents=True, exist_ok=True)
        (data.root / "logs" / "j" / name).write_bytes(b"x" * size)
    fstat, looked = os.fstat, []

    def shortened(descriptor: int) -> os.stat_result:
        found = fstat(descriptor)
        if found.st_size == 40_000:
            looked.append(found)
            os.truncate(data.root / "logs" / "j" / "a.log", 20_000)
        return found

    monkeypatch.setattr(os, "fstat", shortened)
    write_archive(data, str(data.database), tmp_path / "all.tar", frozenset(("logs",)))
    assert looked
    with tarfile.open(tmp_path / "all.tar") as archive:
        sizes = {member.name: member.size for member in archive}
    assert (sizes["logs/j/a.log"], sizes["logs/j/b.log"]) == (20_000, 5)


# --- upgrades ---------------------------------------------------------------------------------------------------------------


def _older(where: Path) -> Path:
    with contextlib.closing(sqlite3.connect(where)) as old:
        old.executescript(OLDER.read_text("utf-8"))
    return where


def _migrations(where: Path) -> list[str]:
    database = SqliteDatabase(str(where))
    with database.connection_context():
        return schema.applied(database)


def test_a_server_backs_an_older_record_up_before_it_migrates_it(folder: DataFolder, request: pytest.FixtureRequest) -> None:
    _older(folder.make().database)
    request.getfixturevalue("server")
    (kept,) = folder.backups.iterdir()
    assert kept.name.startswith("before-upgrade-") and _migrations(kept)[-1].startswith("0010")
    assert not _migrations(folder.database)[-1].startswith("0010")


def test_an_upgrade_that_is_cut_off_again_and_again_keeps_the_record_from_before_it(folder: DataFolder, tmp_path: Path) -> None:
    record = str(_older(folder.make().database))
    wanted = Wanted(record, str(tmp_path), "before-upgrade-a1", keep=1, is_once=True)
    made = make(wanted, lambda: None)
    database = SqliteDatabase(record)
    for each in schema.pending(database)[:2]:
        schema.migrate(database, each)
        assert make(wanted, lambda: None) == made
    database.close()
    assert _migrations(Path(made.file))[-1].startswith("0010")
    time.sleep(1.0 - time.time() % 1.0)  # the next name
    leap(record)
    assert make(wanted, lambda: None).file != made.file, "the next upgrade is of another record"


def test_a_server_looks_how_old_a_record_is_before_it_migrates_it(folder: DataFolder) -> None:
    record = str(_older(folder.make().database))
    note_seen(folder, record, 10**6, 0.0)
    with pytest.raises(BadInput, match="brender restore BACKUP"):
        open_for_writing(record, check=partial(check_age, folder, record))
    assert _migrations(folder.database)[-1].startswith("0010")


@pytest.mark.thorough
def test_a_record_that_cannot_be_backed_up_is_not_migrated(folder: DataFolder, capsys: pytest.CaptureFixture[str]) -> None:
    _older(folder.make().database)
    folder.backups.write_text("no folder")
    said = command(capsys, "role", "server", "--data", folder.root, "--port-base", "0")
    assert said.code == 2 and "is not changed before it is backed up" in said.err and "--backups" in said.err
    assert _migrations(folder.database)[-1].startswith("0010")


@pytest.mark.thorough
def test_a_migration_that_is_cut_off_has_changed_nothing_and_runs_again(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(schema.MIGRATIONS, tmp_path / "migrations")
    half = tmp_path / "migrations" / f"{NEWER}.py"
    good = "def up(migrator, db):\n    db.execute_sql('ALTER TABLE job ADD COLUMN tomorrow INTEGER')\n"
    monkeypatch.setattr(schema, "MIGRATIONS", tmp_path / "migrations")
    half.write_text(good + "    raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        open_for_writing(database)
    opened = open_for_reading(database)
    with opened.connection_context():
        assert NEWER not in schema.applied(opened) and "tomorrow" not in {each.name for each in opened.get_columns("job")}
    half.write_text(good)
    again = open_for_writing(database)
    assert schema.applied(again)[-1] == NEWER and "tomorrow" in {each.name for each in again.get_columns("job")}
    again.close()


# --- a real farm ------------------------------------------------------------------------------------------------------------


@pytest.mark.thorough
def test_a_farm_whose_server_was_killed_goes_on_with_last_night_s_backup(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server, made = tmp_path / "server", tmp_path / "made"
    made.mkdir()
    code = "import pathlib, sys, time; time.sleep(0.5); pathlib.Path(sys.argv[1]).touch()"
    words = (sys.executable, "-c", code, f"{made}/{{frame}}")
    with three_roles(server, tmp_path / "w", tmp_path) as (address, _), client(address, tmp_path) as connection:
        job = submit_command(connection, *words, frames="1-12")
        assert command(capsys, "backup", tmp_path / "copy.db", "--data", server).code == 0
        until(lambda: connection.ask("job", id=job)["completed_parts"] >= 3)
        announced = DataFolder(server).announced("server")
        assert announced is not None
        os.kill(announced["pid"], signal.SIGKILL)
        until(lambda: not DataFolder(server).is_locked("server"))
        before = len(list(made.iterdir()))
        until(lambda: len(list(made.iterdir())) >= before + 2)  # the worker goes on, and keeps what it has to say of the first
    assert command(capsys, "restore", tmp_path / "copy.db", "--data", server).code == 0
    with three_roles(server, tmp_path / "w", tmp_path) as (address, _), client(address, tmp_path) as connection:
        record = ended(connection, job)
        assert (record["status"], record["completed_parts"], record["failures"]) == ("completed", 12, 0)
        assert any("that the restored record did not know of" in row["text"] for row in connection.ask("activity"))


@pytest.mark.thorough
def test_a_backup_by_a_process_says_what_was_wrong_as_the_command_does(tmp_path: Path) -> None:
    with pytest.raises(BrenderError, match="There is no farm database at /nowhere"):
        made_by_process(Wanted("/nowhere", str(tmp_path)))


def test_a_server_begins_no_new_record_where_its_farm_has_one_in_postgresql(
    folder: DataFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    note_seen(folder.make(), "postgresql://farm:secret@db/brender", 7, time.time())
    said = command(capsys, "role", "server", "--data", folder.root, "--port-base", "0")
    assert said.code == 2 and "is not in that folder but in postgresql://farm@db/brender" in said.err
    assert not folder.database.exists()
