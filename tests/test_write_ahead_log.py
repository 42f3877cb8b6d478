"""A write-ahead log that belongs to its database is used; another one is refused, with the remedy, and harms nothing."""

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from brender.model.errors import BadInput
from brender.store.backup import back_up, restore
from brender.store.database import open_for_reading, open_for_writing
from brender.store.datafolder import DataFolder
from brender.store.tables import make_tables
from brender.store.writer import Writer
from tests.rows import put
from tests.tools import command

_SUFFIXES = ("", "-wal", "-shm", "-mark")


def _note(where: Path, *texts: str, killed: Path | None = None) -> None:
    """Let a server write *texts* down in the database *where*, and leave; or be killed, which leaves its files at *killed*."""
    database = open_for_writing(str(where))
    database.execute_sql("CREATE TABLE IF NOT EXISTS note (id INTEGER PRIMARY KEY, text TEXT)")
    for text in texts:
        database.execute_sql("INSERT INTO note (text) VALUES (?)", (text,))
    if killed is not None:
        for suffix in _SUFFIXES:
            if Path(f"{where}{suffix}").exists():
                shutil.copy(f"{where}{suffix}", f"{killed}{suffix}")
    database.close()


def _noted(where: Path) -> list[str]:
    database = open_for_reading(str(where))
    with database.connection_context():
        return [row[0] for row in database.execute_sql("SELECT text FROM note ORDER BY id").fetchall()]


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """The database of a server that was killed, with its log beside it."""
    (tmp_path / "killed").mkdir()
    found = tmp_path / "killed" / "farm.db"
    _note(tmp_path / "live.db", "before")
    _note(tmp_path / "live.db", "then", "last", killed=found)
    return found


def _by_backup(tmp_path: Path, copy: Path) -> None:
    back_up(str(tmp_path / "live.db"), copy)


def _by_hand(tmp_path: Path, copy: Path) -> None:
    """A plain copy of the file, taken while no server ran."""
    _note(tmp_path / "live.db", "between")
    shutil.copy(tmp_path / "live.db", copy)


def test_a_log_that_belongs_is_used(killed: Path) -> None:
    assert Path(f"{killed}-wal").stat().st_size > 0
    assert _noted(killed) == ["before", "then", "last"]
    _note(killed, "after")
    assert _noted(killed)[-1] == "after"


def test_a_record_that_was_looked_into_after_a_kill_has_no_log_any_more_and_is_whole(killed: Path) -> None:
    """So a database that was never closed, without a log beside it, is not taken for a plain copy of one in use."""
    assert _noted(killed) == ["before", "then", "last"] and not Path(f"{killed}-wal").exists()
    _note(killed, "after")
    assert _noted(killed) == ["before", "then", "last", "after"]


def test_a_log_of_a_brender_that_wrote_no_stamps_is_used(killed: Path) -> None:
    Path(f"{killed}-mark").unlink()
    _note(killed, "after")
    assert _noted(killed) == ["before", "then", "last", "after"]


def test_a_process_that_has_the_database_open_reads_its_file_through_sqlite_alone(
    killed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing a file takes away all locks that the process has on it (POSIX), SQLite's too."""
    database = open_for_writing(str(killed))
    monkeypatch.setattr("brender.store.write_ahead_log._header", None)
    assert _noted(killed)[0] == "before"
    database.close()


@pytest.mark.parametrize("taken", [_by_backup, _by_hand])
def test_a_backup_in_the_place_of_a_killed_server_s_database_is_refused_with_the_remedy(
    killed: Path, tmp_path: Path, taken: Callable[[Path, Path], None]
) -> None:
    taken(tmp_path, tmp_path / "copy.db")
    shutil.copy(tmp_path / "copy.db", killed)
    before = [Path(f"{killed}{suffix}").read_bytes() for suffix in ("", "-wal")]
    for opened in (open_for_writing, open_for_reading):
        with pytest.raises(BadInput, match=r"farm\.db-wal does not belong to the database .*`brender restore BACKUP`"):
            opened(str(killed))
    assert [Path(f"{killed}{suffix}").read_bytes() for suffix in ("", "-wal")] == before
    for suffix in ("-wal", "-shm"):
        Path(f"{killed}{suffix}").unlink()
    _note(killed, "after")
    assert _noted(killed)[0] == "before" and _noted(killed)[-1] == "after"


def test_a_restored_backup_is_the_database_and_what_was_there_is_kept_whole(
    killed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    back_up(str(tmp_path / "live.db"), tmp_path / "copy.db")
    _note(killed, "later", killed=tmp_path / "farm.db")
    said = command(capsys, "restore", tmp_path / "copy.db", "--data", tmp_path)
    assert said.code == 0 and "What was there is kept" in said.out
    assert _noted(tmp_path / "farm.db") == ["before", "then", "last"]
    _note(tmp_path / "farm.db", "after")
    (kept,) = (path for path in tmp_path.glob("farm.db.before-*") if not path.name.endswith(("-wal", "-shm", "-mark")))
    assert restore(kept, str(tmp_path / "farm.db")) is not None
    assert _noted(tmp_path / "farm.db") == ["before", "then", "last", "later"]
    assert _noted(tmp_path / "copy.db") == ["before", "then", "last"], "the backup stays"


def test_what_is_not_a_farm_s_database_is_not_restored(killed: Path, tmp_path: Path) -> None:
    (tmp_path / "picture.db").write_bytes(b"x" * 5000)
    other = sqlite3.connect(tmp_path / "other.db")
    other.execute("CREATE TABLE t (a)")
    other.close()
    for name, why in (("none.db", "There is no backup"), ("picture.db", "is not a database"), ("other.db", "of a farm")):
        with pytest.raises(BadInput, match=why):
            restore(tmp_path / name, str(killed))
    assert _noted(killed) == ["before", "then", "last"]


def test_nothing_is_restored_under_a_running_server(folder: DataFolder, capsys: pytest.CaptureFixture[str]) -> None:
    lock = folder.make().lock("server")
    (folder.root / "copy.db").touch()
    said = command(capsys, "restore", folder.root / "copy.db", "--data", folder.root)
    assert said.code == 3 and "stop it first" in said.err
    lock.release()


def test_the_log_of_a_new_database_stays_when_a_reader_of_another_process_leaves(tmp_path: Path) -> None:
    """The file is not read apart from SQLite while it is open: that would take its locks away, and the last to leave, who thinks
    it is, takes the log along."""
    writer = Writer(open_for_writing(str(tmp_path / "farm.db")))
    reader = open_for_reading(str(tmp_path / "farm.db"))
    with reader.connection_context():
        assert make_tables(reader).Job.select().count() == 0
    code = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT COUNT(*) FROM job').fetchall(); c.close()"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "farm.db")], check=True)
    assert (tmp_path / "farm.db-wal").exists()
    writer.commit([put("project", "seen", {})])
    with reader.connection_context():
        assert [project.name for project in make_tables(reader).Project.select()] == ["seen"]
    writer.database.close()
