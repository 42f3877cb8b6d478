"""A whole record moved from one database into another, SQLite or PostgreSQL, and compared table by table."""

import contextlib
from collections.abc import Callable
from pathlib import Path

from peewee import Database, DatabaseError, OperationalError, SqliteDatabase

from brender.model.errors import BadInput, BrenderError
from brender.store.backup import check_copy, discard, name_new, sync_file
from brender.store.copying import TableDigest, copy_rows
from brender.store.database import SERVER, connected, is_url, shown
from brender.store.schema import check_known, migrate
from brender.store.write_ahead_log import check_log

_BUSY_SECONDS = 1
_USED = "A server uses {} now. Stop it first (Ctrl-C, or SIGTERM), and start it on the new database then"
_OTHERS = (
    "SELECT COUNT(*) FROM pg_stat_activity "
    "WHERE datname = current_database() AND application_name = %s AND pid <> pg_backend_pid()"
)


def move(source: str, target: str, alive: Callable[[], None] = lambda: None) -> dict[str, TableDigest]:
    """Copy the record at *source* into *target*, which is empty: each a file's path or a ``postgresql://`` URL. Return what is in
    each table, the same in both. *source* stays as it is.

    Raises `BadInput`, with nothing changed, where either cannot be opened, *target* is not empty, or a server uses one of them;
    `BrenderError`, likewise, where the copy is not what it was copied from.
    """
    if source == target or (not is_url(source) and not is_url(target) and Path(source).resolve() == Path(target).resolve()):
        raise BadInput(f"{shown(source)} is where the record is already. Name another database to move it to")
    with contextlib.closing(_open_source(source)) as opened:
        names = check_known(opened, shown(source))
        if not names:
            raise BadInput(f"There is no farm's record in {shown(source)}")
        try:
            return (_into_url if is_url(target) else _into_file)(opened, target, names[-1], alive)
        except (DatabaseError, OSError) as error:
            raise BadInput(f"The record could not be moved to {shown(target)}: {' '.join(str(error).split())}") from error


def _into_url(source: Database, target: str, newest: str, alive: Callable[[], None]) -> dict[str, TableDigest]:
    with contextlib.closing(connected(target)) as opened:
        if tables := opened.get_tables():
            raise BadInput(
                f"The database {shown(target)} is not empty: it has the tables {', '.join(sorted(tables)[:5])}"
                f"{' and others' if len(tables) > 5 else ''}. Name a new one (`createdb NAME` makes it)"
            )
        with opened.atomic():  # the tables too are there whole or not at all
            migrate(opened, newest)
            return copy_rows(source, opened, alive)


def _into_file(source: Database, target: str, newest: str, alive: Callable[[], None]) -> dict[str, TableDigest]:
    path = Path(target)
    if path.exists():
        raise BadInput(f"{target} exists already. Name a file that does not")
    if not path.parent.is_dir():
        raise BadInput(f"There is no folder {path.parent}. Make it first, or name another")
    partial = path.with_name(path.name + ".part")
    try:
        discard(partial)
        partial.touch(mode=0o600)
        with contextlib.closing(SqliteDatabase(str(partial))) as opened:
            opened.connect()
            migrate(opened, newest)
            found = copy_rows(source, opened, alive)
            check_copy(opened.connection(), target, alive)
        sync_file(partial)
        name_new(partial, path)
    finally:
        discard(partial)
    return found


def _open_source(where: str) -> Database:
    """Return the database at *where*, open, which no server uses. Raises `BadInput`."""
    if is_url(where):
        database = connected(where)
        if database.execute_sql(_OTHERS, (SERVER,)).fetchone()[0]:
            database.close()
            raise BadInput(_USED.format(shown(where)))
        return database
    if not Path(where).is_file():
        raise BadInput(f"There is no farm database at {where}")
    check_log(where)
    # Whoever has the file open keeps this from getting it for itself alone; and it keeps a server from starting meanwhile.
    database = SqliteDatabase(where, pragmas={"locking_mode": "exclusive", "query_only": 0}, timeout=_BUSY_SECONDS)
    try:
        database.connect()
        database.execute_sql("BEGIN EXCLUSIVE")
        database.execute_sql("ROLLBACK")
    except OperationalError as error:
        database.close()
        if "locked" in str(error):
            raise BadInput(_USED.format(where)) from error
        raise BadInput(f"Cannot open the database {where}: {error}") from error
    except DatabaseError as error:
        database.close()
        raise BrenderError(f"The database {where} is damaged ({error}). Put a backup in its place") from error
    return database
