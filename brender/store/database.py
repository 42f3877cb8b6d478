"""Opening the database: SQLite as a professional uses it, PostgreSQL by URL; migrated, checked, and closed.

The server opens it to write (`open_for_writing`) and is its only writer. Everybody else opens it to read
(`open_for_reading`), which SQLite itself then enforces.
"""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, unquote

from peewee import Database, DatabaseError, ImproperlyConfigured, OperationalError, SqliteDatabase
from playhouse.db_url import connect

from brender.model.errors import BadInput, BrenderError
from brender.store.schema import check_known, migrate, pending
from brender.store.write_ahead_log import check_log, check_log_once, log_of, note_opened, renew_stamp

#: Seconds that a statement waits for a lock before it gives up: a reader's, and the server's, which meanwhile does nothing else
#: and tries again anyway.
BUSY_SECONDS, WRITER_BUSY_SECONDS = 10, 2
#: What SQLite calls a database that has no file.
IN_MEMORY = ":memory:"
#: How a server's connection is called in PostgreSQL.
SERVER = "brender-server"
_CONNECT_SECONDS = 10
#: What PostgreSQL's driver says of what passes by itself.
_PASSING = (
    "refused",
    "timeout",
    "starting up",
    "shutting down",
    "recovery",
    "closed the connection",
    "terminating connection",
    "connection is lost",
    "connection is closed",
)
_WRITING = {
    "journal_mode": "wal",
    # FULL: a commit that was acknowledged survives a power cut (SQLite's documentation of PRAGMA synchronous).
    "synchronous": "full",
    "foreign_keys": 1,
    "wal_autocheckpoint": 4000,
    # Kibibytes (negative): the indexes of a busy farm, which are written at random places.
    "cache_size": -64 * 1024,
}


class DatabaseAway(BadInput):
    """PostgreSQL does not take connections now, or has ended one. It may soon be back."""


def open_for_writing(
    where: str,
    before_migrating: Callable[[str], None] = lambda newest: None,
    check: Callable[[int], None] = lambda change: None,
) -> Database:
    """Return the database at *where* (a file's path, a ``postgresql://`` URL, or `IN_MEMORY`), migrated to this software's
    schema.

    *check* is called with the number of a record's last commit, before anything in it is changed: what it raises leaves the
    record as it was. Where a record is of an earlier brender, *before_migrating* is called then, with the last migration that it
    knows.

    Raises `BadInput` where it cannot be opened or belongs to a newer brender, or where the write-ahead log beside it is
    another database's; `BrenderError` where it is damaged.
    """
    on_disk = 0 if is_url(where) else check_log(where)
    database = _open(where, read_only=False)
    try:
        database.connect()
        if not is_url(where):
            note_opened(where)
        if isinstance(database, SqliteDatabase):
            _check_integrity(database, where)
        known = check_known(database, shown(where))
        if known:
            check(last_commit(database))
        if known and pending(database):
            before_migrating(known[-1])
        migrate(database)
        if isinstance(database, SqliteDatabase) and where != IN_MEMORY:
            renew_stamp(database, where, on_disk)
    except (OperationalError, DatabaseError) as error:
        raise explained(where, error) from error
    return database


def open_for_reading(where: str) -> Database:
    """Return the same database, opened so that nothing can be written. Raises `BadInput` if there is no database, or the
    write-ahead log beside it is another database's."""
    check_for_reading(where)
    return _open(where, read_only=True)


def check_for_reading(where: str) -> None:
    """Raises `BadInput` where `open_for_reading` does."""
    if is_url(where):
        return
    if not Path(where).exists():
        raise BadInput(f"There is no farm database at {where}: start the server first, or give its data folder with --data")
    check_log_once(where)


def _open(where: str, read_only: bool) -> Database:
    if is_url(where):
        return _open_url(where, read_only)
    if read_only:
        # mode=ro cannot create the -shm file that a WAL reader may need, so forbid writing by pragma instead.
        return SqliteDatabase(where, pragmas={"query_only": 1, "foreign_keys": 1}, timeout=BUSY_SECONDS)
    try:
        Path(where).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"Cannot make the folder of the database {where}: {error.strerror}. Give another with --data") from error
    return SqliteDatabase(where, pragmas=_WRITING, timeout=WRITER_BUSY_SECONDS)


def _open_url(where: str, read_only: bool, name: str = SERVER) -> Database:
    if not where.startswith(("postgresql://", "postgres://")):
        raise BadInput(f"{shown(where)} is not a database that brender knows: give a file's path or a postgresql:// URL")
    try:
        # A reader cannot write: PostgreSQL itself refuses it.
        own = {"options": "-c default_transaction_read_only=on"} if read_only else {"application_name": name}
        database: Database = connect(where, connect_timeout=_CONNECT_SECONDS, **own)
        return database
    except ValueError as error:
        # (What urllib says of it may hold a part of the password.)
        raise BadInput(
            f"{shown(where)} is not a URL of a database: postgresql://USER:PASSWORD@HOST:PORT/NAME. In a password, write %40 "
            "for @, %2F for /, %3F for ?"
        ) from error
    except ImproperlyConfigured as error:
        raise BadInput(f"PostgreSQL's driver is missing ({error}): pip install 'brender[postgresql]'") from error


def connected(where: str) -> Database:
    """Return the database at the URL *where*, connected to as by a command. Raises `BadInput` where that cannot be."""
    database = _open_url(where, read_only=False, name="brender")
    try:
        database.connect()
    except (OperationalError, DatabaseError) as error:
        raise explained(where, error) from error
    return database


def last_commit(database: Database) -> int:
    """Return the number of the last commit in *database*, by this brender or an earlier one; 0 if it has no commit."""
    row = database.execute_sql("SELECT value FROM counter WHERE name = 'change'").fetchone()
    return int(row[0]) if row is not None else 0


def _check_integrity(database: SqliteDatabase, where: str) -> None:
    answer = [row[0] for row in database.execute_sql("PRAGMA quick_check(5)").fetchall()]
    if answer != ["ok"]:
        raise BrenderError(
            f"The database {where} is damaged ({'; '.join(map(str, answer))[:300]}). brender does not touch it: "
            "put a backup in its place, or move it away to start a new one"
        )


def explained(where: str, error: Exception) -> BrenderError:
    """Return what to say of *error*, which the database at *where* raised: a `DatabaseAway` where that passes by itself."""
    text = str(error)
    if is_url(where) and any(words in text for words in _PASSING):
        return DatabaseAway(f"The database {shown(where)} does not answer: {' '.join(text.split())}")
    if "not a database" in text or "malformed" in text:
        return BrenderError(
            f"The database {where} is damaged ({text}). brender does not touch it: put a backup in its place, "
            "or move it away to start a new one"
        )
    return BadInput(f"Cannot open the database {shown(where)}: {' '.join(text.split())}")


def is_url(where: str) -> bool:
    """Return whether *where* is a URL, and not the path of a file."""
    return "://" in where


def shown(where: str) -> str:
    """Return *where*, for a person, without the passwords that a URL may hold: before the host, or among its parameters."""
    if not is_url(where):
        return where
    scheme, _, rest = where.partition("://")
    place, mark, parameters = rest.partition("?")
    if "@" in parameters and not set("@/") & set(place):  # a password with a question mark
        place, mark, parameters = rest, "", ""
    credentials, at, host = place.rpartition("@")
    kept = [each for each in parameters.split("&") if "password" not in unquote(each.partition("=")[0]).lower()]
    user = quote(credentials.partition(":")[0], safe="%") + at if at else ""
    return f"{scheme}://{user}{host}{mark if any(kept) else ''}{'&'.join(kept)}"


def wal_bytes(where: str) -> int:
    """Return the size of SQLite's write-ahead log beside *where*; 0 if there is no log."""
    wal = log_of(where)
    return wal.stat().st_size if not is_url(where) and wal.exists() else 0
