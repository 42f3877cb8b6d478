"""Whether the write-ahead log beside a SQLite database belongs to that database.

SQLite applies whatever lies under the name of the log. A backup that is put in the place of a database, while the log of a killed
server still lies beside it, then becomes half the one and half the other, without an error. Two things tell them apart: a backup
is not in WAL mode (`brender.store.backup`), and each start of a server puts a new stamp into the database, and writes down which
stamps belong to the log.
"""

import json
import os
import secrets
import threading
from pathlib import Path

from peewee import SqliteDatabase

from brender.model.errors import BadInput

#: Where a database file has its mode (2: WAL) and the number that applications may use (https://sqlite.org/fileformat.html).
_MAGIC, _MODE_AT, _STAMP_AT, _HEADER_BYTES = b"SQLite format 3\0", 18, 60, 100
_WAL_MODE = 2
#: The database files that this process has checked, and may have opened since: device and number of each.
_checked: dict[str, tuple[int, int] | None] = {}
_lock = threading.Lock()


def log_of(where: str) -> Path:
    """Return the path of the write-ahead log of the database file *where*."""
    return Path(f"{where}-wal")


def mark_of(where: str) -> Path:
    """Return the path of the file that names the stamps which belong to the log of the database file *where*."""
    return Path(f"{where}-mark")


def check_log(where: str) -> int:
    """Raise `BadInput`, with the remedy, if the log beside the database file *where* is another database's.

    Returns the stamp in the file, 0 if there is none. An empty log belongs to every database. Call it before this process opens
    the database: reading the file apart from SQLite would take away the locks that SQLite has on it in this process.
    """
    with _lock:
        stamp = _checked_stamp(where)
        _checked[where] = _identity(where)
    return stamp


def check_log_once(where: str) -> None:
    """Do the same as `check_log` if this process has not done so, or another file has come in the place of that one."""
    with _lock:
        identity = _identity(where)
        if _checked.get(where) != identity:
            _checked_stamp(where)
            _checked[where] = identity


def note_opened(where: str) -> None:
    """Note that this process has just opened the database at *where*, and made it perhaps: its file is not read any more."""
    with _lock:
        _checked[where] = _identity(where)


def _identity(where: str) -> tuple[int, int] | None:
    try:
        found = Path(where).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _checked_stamp(where: str) -> int:
    log = log_of(where)
    try:
        mode, stamp = _header(where)
        has_log = log.stat().st_size > 0
    except FileNotFoundError:
        return 0
    stamps = _stamps(where)
    if not has_log or mode is None or (mode == _WAL_MODE and (stamps is None or stamp in stamps)):
        return stamp
    raise BadInput(
        f"The write-ahead log {log} does not belong to the database {where}: it was left by the one that was there before. Was a "
        f"backup put in its place? `brender restore BACKUP` does that, and keeps what was there. By hand: move {log} and "
        f"{where}-shm away, and start the server. (If both files came here from another folder, remove {mark_of(where)})"
    )


def renew_stamp(database: SqliteDatabase, where: str, on_disk: int) -> None:
    """Put a new stamp into the open *database* at *where*: copies of it that were taken before are then known to be others.

    *on_disk* is the stamp that its file had before it was opened.
    """
    fresh = secrets.randbelow(2**31 - 1) + 1
    now = int(database.execute_sql("PRAGMA user_version").fetchone()[0])
    _write(where, {now, on_disk, fresh})
    database.execute_sql(f"PRAGMA user_version = {fresh}")
    _, in_log, in_file = database.execute_sql("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    if in_log == in_file:
        _write(where, {fresh})


def _header(where: str) -> tuple[int | None, int]:
    """Return the mode of the database file *where*, ``None`` if it is not such a file, and its stamp, as they are on the disk."""
    with Path(where).open("rb") as file:
        header = file.read(_HEADER_BYTES)
    if len(header) < _HEADER_BYTES or not header.startswith(_MAGIC):
        return None, 0
    return header[_MODE_AT], int.from_bytes(header[_STAMP_AT : _STAMP_AT + 4], "big", signed=True)


def _stamps(where: str) -> set[int] | None:
    """Return the stamps of which one is in the database that the log belongs to; ``None`` if nobody has written them down."""
    try:
        found = json.loads(mark_of(where).read_text())
    except (OSError, ValueError):
        return None
    return {each for each in found if isinstance(each, int)} if isinstance(found, list) else None


def _write(where: str, stamps: set[int]) -> None:
    target = mark_of(where)
    partial = target.with_name(target.name + ".part")
    with partial.open("w") as file:
        json.dump(sorted(stamps), file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(target)
