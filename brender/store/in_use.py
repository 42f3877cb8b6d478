"""Whether a server uses a record, so that no command replaces it or moves it from under that server."""

import contextlib
from collections.abc import Callable
from pathlib import Path

from peewee import Database, DatabaseError, OperationalError, SqliteDatabase

from brender.model.errors import BadInput, BrenderError, Conflict
from brender.store.database import SERVER, connected, is_url, shown
from brender.store.datafolder import DataFolder
from brender.store.write_ahead_log import check_log

_BUSY_SECONDS = 1
_OTHERS = (
    "SELECT COUNT(*) FROM pg_stat_activity "
    "WHERE datname = current_database() AND application_name = %s AND pid <> pg_backend_pid()"
)


class Used(BadInput):
    """A server uses the record."""


def open_unused(where: str) -> Database:
    """Return the record at *where*, open, which no server uses; while a file is open here, none can begin to.

    Raises `BadInput` if a server uses it, it is missing, or it cannot be opened; `BrenderError` if it is damaged.
    """
    if is_url(where):
        database = connected(where)
        if database.execute_sql(_OTHERS, (SERVER,)).fetchone()[0]:
            database.close()
            raise _used(where)
        return database
    if not Path(where).is_file():
        raise BadInput(f"There is no farm database at {where}")
    check_log(where)
    # An exclusive lock is refused while anybody else has the file open.
    opened = SqliteDatabase(where, pragmas={"locking_mode": "exclusive", "query_only": 0}, timeout=_BUSY_SECONDS)
    try:
        opened.connect()
        opened.execute_sql("BEGIN EXCLUSIVE")
        opened.execute_sql("ROLLBACK")
    except OperationalError as error:
        opened.close()
        if "locked" in str(error):
            raise _used(where) from error
        raise BadInput(f"Cannot open the database {where}: {error}") from error
    except DatabaseError as error:
        opened.close()
        raise BrenderError(f"The database {where} is damaged ({error}). Put a backup in its place") from error
    return opened


def check_unused(where: str) -> None:
    """Raise `BadInput` where a server uses the record at *where*. A file that is missing or damaged is used by none."""
    if is_url(where):
        open_unused(where).close()
    elif Path(where).is_file():
        try:
            open_unused(where).close()
        except BrenderError as error:
            # What cannot be opened is used by no server; and a restore is what mends it.
            if isinstance(error, Used):
                raise


def lock_servers_out(folder: DataFolder, where: str) -> contextlib.ExitStack:
    """Return what keeps servers from starting on the data folder *folder*, or on the one in which the file *where* lies, until it
    is closed. Raises `Conflict` where a server runs on one of them; `BadInput` where one uses the record *where* all the same."""
    with contextlib.ExitStack() as locks:
        locks.callback(_held(folder))
        beside = DataFolder(Path(where).resolve().parent)
        if not is_url(where) and (beside.root / "run").is_dir() and beside.root != folder.root.resolve():
            locks.callback(_held(beside))
        check_unused(where)
        return locks.pop_all()


def _held(folder: DataFolder) -> Callable[[], object]:
    """Hold the server's place in *folder*; returns what gives it back. Raises `Conflict` where a server runs there."""
    try:
        return folder.lock("server").release
    except Conflict as error:
        raise Conflict(f"The farm's server runs: stop it first. {folder.server_in_words()}") from error


def _used(where: str) -> Used:
    return Used(f"A server uses {shown(where)} now. Stop it first (Ctrl-C, or SIGTERM)")
