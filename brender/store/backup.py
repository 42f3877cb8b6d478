"""A copy of the record, taken while the farm works."""

import os
import sqlite3
from pathlib import Path

from brender.model.errors import BadInput, BrenderError, Conflict


def back_up(where: str, target: Path) -> int:
    """Copy the SQLite database at *where* to the file *target*, as it is at one moment, and check the copy; returns its bytes.

    The farm goes on meanwhile (SQLite's online backup API; in WAL mode a reader stops no writer). Raises `BadInput` where there
    is none, or where it is no file; `Conflict` where the target exists; `BrenderError` where the copy is not sound.
    """
    if "://" in where:
        raise BadInput("The farm's database is PostgreSQL: pg_dump takes its backups, while the farm works too")
    if not Path(where).is_file():
        raise BadInput(f"There is no farm database at {where}. Give the server's data folder with --data")
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
