"""A copy of the record, taken while the farm works, and put back in its place."""

import os
import shutil
import sqlite3
import time
from pathlib import Path

from brender.model.errors import BadInput, BrenderError, Conflict
from brender.store.write_ahead_log import check_log, log_of, mark_of


def back_up(where: str, target: Path) -> int:
    """Copy the SQLite database at *where* to the file *target*, as it is at one moment, and check the copy; returns its bytes.

    The farm goes on meanwhile (SQLite's online backup API; in WAL mode a reader stops no writer). Raises `BadInput` where there
    is none, or where it is not a file; `Conflict` where the target exists; `BrenderError` where the copy is not sound.
    """
    if "://" in where:
        raise BadInput("The farm's database is PostgreSQL: pg_dump takes its backups, while the farm works too")
    if not Path(where).is_file():
        raise BadInput(f"There is no farm database at {where}. Give the server's data folder with --data")
    check_log(where)
    partial = target.with_name(target.name + ".part")
    try:
        target.touch(mode=0o600, exist_ok=False)  # the name is taken first, empty, so that no other file is ever replaced
        try:
            _copy(where, partial)
            partial.replace(target)
        except BaseException:
            target.unlink(missing_ok=True)
            raise
        finally:
            partial.unlink(missing_ok=True)
    except FileExistsError as error:
        raise Conflict(f"{target} exists already. Give another name; a backup never replaces a file") from error
    except (sqlite3.Error, OSError) as error:
        raise BrenderError(f"The backup to {target} failed: {error}") from error
    return target.stat().st_size


def restore(backup: Path, where: str) -> Path | None:
    """Put the *backup* in the place of the SQLite database *where*, which no server may be using; the backup itself stays.

    Returns where the database that was there is kept, with its write-ahead log, or ``None`` if there was none. Raises `BadInput`
    if the backup is not a farm's database, or the farm's is not SQLite; `BrenderError` if it is damaged or cannot be copied.
    """
    if "://" in where:
        raise BadInput("The farm's database is PostgreSQL: pg_restore puts its backups back")
    if not backup.is_file():
        raise BadInput(f"There is no backup {backup}")
    check_log(str(backup))
    database = Path(where)
    partial = database.with_name(database.name + ".restored")
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
        _check_kind(backup)
        _copy(str(backup), partial)
        kept = _set_aside(database) if database.exists() else None
        partial.replace(database)
        _sync_folder(database.parent)
    except (sqlite3.Error, OSError) as error:
        raise BrenderError(f"The backup {backup} could not be put in the place of {where}: {error}") from error
    finally:
        partial.unlink(missing_ok=True)
    return kept


def _check_kind(backup: Path) -> None:
    """Raise `BadInput` unless *backup* is the database of a farm."""
    try:
        opened = sqlite3.connect(f"{backup.absolute().as_uri()}?mode=ro", uri=True)
        try:
            known = {row[0] for row in opened.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        finally:
            opened.close()
    except sqlite3.DatabaseError as error:
        raise BadInput(f"{backup} is not a database, or a damaged one ({error}). `brender backup` makes backups") from error
    if not {"job", "task", "worker"} <= known:
        raise BadInput(f"{backup} is not the database of a farm. `brender backup` makes backups")


def _set_aside(database: Path) -> Path:
    """Keep the *database* under another name too, with its log, and take its log away; returns that name.

    The database itself stays in its place until the backup takes it, so that there is always one.
    """
    kept = database.with_name(f"{database.name}.before-{time.strftime('%Y%m%d-%H%M%S')}")
    try:
        os.link(database, kept)
    except OSError:  # a file system without links
        shutil.copy2(database, kept)
    for of in (mark_of, log_of):
        if of(str(database)).exists():
            of(str(database)).replace(of(str(kept)))
    Path(f"{database}-shm").unlink(missing_ok=True)
    return kept


def _sync_folder(folder: Path) -> None:
    """Make the names in *folder* durable, where the system can do that."""
    if os.name == "posix":
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def _copy(where: str, partial: Path) -> None:
    partial.unlink(missing_ok=True)
    partial.touch(mode=0o600)
    source, copy = sqlite3.connect(where, timeout=10), sqlite3.connect(partial)
    try:
        source.execute("PRAGMA query_only = 1")
        source.backup(copy)
        # One file that stands alone, not one that wants a log beside it.
        copy.execute("PRAGMA journal_mode = delete")
        answer = [row[0] for row in copy.execute("PRAGMA integrity_check(5)")]
    finally:
        copy.close()
        source.close()
    if answer != ["ok"]:
        raise BrenderError(f"The copy is damaged, and so is the database {where}: {'; '.join(map(str, answer))[:300]}")
    with partial.open("rb") as file:
        os.fsync(file.fileno())
