"""A copy of the record, taken while the farm works, and put back in its place.

A backup is always one SQLite file, also that of a record in PostgreSQL, and can be put back into either.
"""

import contextlib
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from peewee import DatabaseError, PeeweeException, SqliteDatabase

from brender.model.errors import BadInput, BrenderError, Conflict
from brender.store.copying import copy_rows
from brender.store.database import connected, is_url, open_for_reading, open_for_writing, shown
from brender.store.in_use import check_unused
from brender.store.schema import applied, check_known, migrate
from brender.store.write_ahead_log import check_log, log_of, mark_of

Alive = Callable[[], None]
"""Called now and then while a copy makes progress."""
#: What each number of a restored record is beyond the backup's: more than any farm counts between a backup and its restore. So no
#: id that a worker still knows is given twice, and whoever asks for changes since a number misses none.
LEAP = 10**9
_COUNTERS = ("change", "task", "part", "activity")
#: How the folder ends in which something is made that is not whole yet.
PARTIAL = ".part"
_PAGES = 2000
#: Bytes that a copy may need beyond what it is of.
_MARGIN = 2**20
_OPCODES = 1_000_000


def _nobody() -> None:
    pass


def back_up(where: str, target: Path, least_free: int = 0, alive: Alive = _nobody) -> int:
    """Copy the database at *where* to the file *target*, as it is at one moment, and check the copy; return its bytes.

    The farm goes on meanwhile: in WAL mode, and in PostgreSQL, a reader stops no writer. *least_free*: bytes of the target's disk
    that stay free. Raises `BadInput` where there is no record, or no room for a copy; `Conflict` where the target exists;
    `BrenderError` where the copy is not sound. What was begun is removed then.
    """
    with new_beside(target) as partial:
        copy_record(where, partial, target, least_free, alive)
        try:
            name_new(partial, target)
            _sync_folder(target.parent)
        except OSError as error:
            raise BadInput(f"The backup to {target} failed: {in_words(error)}") from error
    return target.stat().st_size


@contextlib.contextmanager
def new_beside(target: Path) -> Iterator[Path]:
    """Yield where to make what will be *target*: a path in a new folder beside it, in which nobody else has a file. The folder is
    removed at the end.

    Raises `Conflict` where the target exists; `BadInput` where its folder does not, or cannot be written to.
    """
    if target.exists():
        raise _taken(target)
    if not target.parent.is_dir():
        raise BadInput(f"There is no folder {target.parent}. Make it first, or name another")
    try:
        folder = Path(tempfile.mkdtemp(prefix=f"{target.name}.", suffix=PARTIAL, dir=target.parent))
    except OSError as error:
        raise BadInput(f"{target} cannot be made: {error.strerror}. Name another folder") from error
    try:
        yield folder / target.name
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def copy_record(where: str, partial: Path, target: Path, least_free: int = 0, alive: Alive = _nobody) -> None:
    """Do the work of `back_up`: copy the database at *where* to the new file *partial*, that will be, or be part of, *target*."""
    if not is_url(where):
        if not Path(where).is_file():
            raise BadInput(f"There is no farm database at {where}. Give the server's data folder with --data")
        check_log(where)
    try:
        _check_room(where, target.parent, least_free)
        (_copy_url if is_url(where) else _copy)(where, partial, alive)
    except (sqlite3.Error, PeeweeException, OSError) as error:
        _check_room(where, target.parent, least_free)  # (SQLite says of a full disk that it cannot be read or written)
        raise BadInput(f"The backup to {target} failed: {in_words(error)}") from error


def restore(backup: Path, where: str, keep_in: Path | None = None) -> Path | None:
    """Put the *backup* in the place of the database *where*, which no server uses; the backup itself stays.

    *keep_in*: the folder where a record that is in PostgreSQL is kept; one in a file stays beside its place. Return where the
    record that was there is kept, or ``None`` if there was none. Raises `BadInput`, with nothing changed, if a server uses the
    database, or the backup is not a farm's, is damaged, was made by a newer brender, or cannot be copied.
    """
    if not backup.is_file():
        raise BadInput(f"There is no backup {backup}")
    check_unused(where)
    check_log(str(backup))
    folder = (keep_in or Path.cwd()) if is_url(where) else Path(where).parent
    partial = folder / f"{'farm.db' if is_url(where) else Path(where).name}.restored"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        check_kind(backup)
        try:
            _copy(str(backup), partial)
        except (sqlite3.DatabaseError, _Damaged) as error:
            raise BadInput(
                f"The backup {backup} is damaged, or was not copied to its end ({in_words(error)}). Take another one"
            ) from error
        leap(str(partial))
        check_unused(where)
        return _into_url(partial, where, folder) if is_url(where) else _into_file(partial, Path(where))
    except (sqlite3.Error, PeeweeException, OSError) as error:
        raise BadInput(f"The backup {backup} could not be put in the place of {shown(where)}: {in_words(error)}") from error
    finally:
        discard(partial)


def discard(partial: Path) -> None:
    """Remove the database *partial*, which is not needed, with all that SQLite may have put beside it."""
    for suffix in ("", "-wal", "-shm", "-journal", "-mark"):
        partial.with_name(partial.name + suffix).unlink(missing_ok=True)


def leap(where: str) -> None:
    """Let the numbers that the record at *where* gives from now on lie far beyond all that it has given.

    Raises `BadInput` if there is no backup.
    """
    if not is_url(where) and not Path(where).is_file():
        raise BadInput(f"There is no farm database at {where}. Give the server's data folder with --data")
    if not is_url(where):
        check_log(where)
    # (As it is: a record of an earlier brender is migrated by its server, which backs it up before.)
    database = connected(where) if is_url(where) else SqliteDatabase(where)
    try:
        with database.atomic():
            for name in _COUNTERS:
                row = database.execute_sql(f"SELECT value FROM counter WHERE name = {database.param}", (name,)).fetchone()
                known = int(row[0]) if row is not None else 0
                if name != "change":
                    (last,) = database.execute_sql(f'SELECT MAX(id) FROM "{name}"').fetchone()  # nosec B608 (one of four names)
                    known = max(known, last or 0)
                for statement in (
                    f"DELETE FROM counter WHERE name = {database.param}",
                    f"INSERT INTO counter (name, value) VALUES ({database.param}, {known + LEAP})",
                ):
                    database.execute_sql(statement, (name,))
    finally:
        database.close()


# --- copying ----------------------------------------------------------------------------------------------------------------


class _Damaged(BrenderError):
    """The copy of a database is damaged, and so is the database."""


def _copy(where: str, partial: Path, alive: Alive = _nobody) -> None:
    discard(partial)
    partial.touch(mode=0o600)
    source, copy = sqlite3.connect(where, timeout=10, isolation_level=None), sqlite3.connect(partial)
    try:
        source.execute("PRAGMA query_only = 1")
        # A read that lasts: what is written meanwhile would have the copy begin again, and again, on a busy farm.
        source.execute("BEGIN")
        source.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
        source.backup(copy, pages=_PAGES, progress=lambda *_: alive())
        # One file that stands alone, not one that wants a log beside it.
        copy.execute("PRAGMA journal_mode = delete")
        check_copy(copy, where, alive)
    finally:
        copy.close()
        source.close()
    sync_file(partial)


def _copy_url(where: str, partial: Path, alive: Alive = _nobody) -> None:
    """Write the record in PostgreSQL at *where* into the SQLite file *partial*, with the schema that it has."""
    discard(partial)
    partial.touch(mode=0o600)
    source, copy = open_for_reading(where), SqliteDatabase(str(partial))
    try:
        source.connect()
        names = check_known(source, shown(where))
        if not names:
            raise BadInput(f"There is no farm's record in {shown(where)}. Start a server on it first, or name another")
        copy.connect()
        migrate(copy, names[-1])
        alive()
        copy_rows(source, copy, alive)
        check_copy(copy.connection(), shown(where), alive)
    finally:
        copy.close()
        source.close()
    sync_file(partial)


def check_copy(copy: sqlite3.Connection, where: str, alive: Alive = _nobody) -> None:
    """Raise `BrenderError` where the open *copy* of *where* is not sound."""
    copy.set_progress_handler(lambda: alive(), _OPCODES)
    answer = [row[0] for row in copy.execute("PRAGMA integrity_check(5)")]
    if answer != ["ok"]:
        raise _Damaged(f"The copy is damaged, and so is the database {where}: {'; '.join(map(str, answer))[:300]}")


def _check_room(where: str, folder: Path, least_free: int) -> None:
    """Raise `BadInput` where the disk of *folder* has no room for a copy of *where*."""
    wanted = least_free + _MARGIN
    if not is_url(where):
        wanted += sum(file.stat().st_size for file in (Path(where), log_of(where)) if file.exists())
    free = shutil.disk_usage(folder).free
    if free < wanted:
        room = f"{free / 1e6:.0f} MB free, {wanted / 1e6:.0f} MB wanted"
        raise BadInput(f"No room for a backup on the disk of {folder}: {room}. Make room, or name another folder")


def check_kind(backup: Path) -> None:
    """Raise `BadInput` unless the file *backup* is the database of a farm, which this brender knows."""
    try:
        opened = sqlite3.connect(f"{backup.absolute().as_uri()}?mode=ro", uri=True)
        try:
            known = {row[0] for row in opened.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        finally:
            opened.close()
        database = SqliteDatabase(f"{backup.absolute().as_uri()}?mode=ro", uri=True)
        with database.connection_context():
            check_known(database, str(backup))
    except (sqlite3.DatabaseError, DatabaseError) as error:
        raise BadInput(f"{backup} is not a database, or a damaged one ({error}). `brender backup` makes backups") from error
    if not {"job", "task", "worker", "counter"} <= known:
        raise BadInput(f"{backup} is not the database of a farm. `brender backup` makes backups")


# --- putting back -----------------------------------------------------------------------------------------------------------


def _into_file(partial: Path, database: Path) -> Path | None:
    """Let *partial* be the *database*. Whenever this is cut off, the database is whole the one or the other; or the new one has
    the old one's log beside it, which the server refuses, naming the remedy."""
    kept = _keep(database) if database.exists() else None
    _sync_folder(database.parent)
    partial.replace(database)
    for of in (log_of, mark_of):
        of(str(database)).unlink(missing_ok=True)
    Path(f"{database}-shm").unlink(missing_ok=True)
    _sync_folder(database.parent)
    return kept


def _into_url(partial: Path, where: str, keep_in: Path) -> Path | None:
    """Let the record in PostgreSQL at *where* be what is in *partial*, in one transaction."""
    kept = None
    reader = open_for_reading(where)
    with reader.connection_context():
        if applied(reader):
            kept = keep_in / f"farm-before-restore-{time.strftime('%Y%m%d-%H%M%S')}.db"
    if kept is not None:
        back_up(where, kept)
        check_unused(where)  # that took a while
    open_for_writing(str(partial)).close()  # the newest schema, as what it goes to has
    source, target = open_for_reading(str(partial)), open_for_writing(where)
    try:
        source.connect()
        copy_rows(source, target)
    finally:
        source.close()
        target.close()
    return kept


def _keep(database: Path) -> Path:
    """Keep the *database* under another name too, with its log; return that name. All stays in its place meanwhile."""
    kept = database.with_name(f"{database.name}.before-{time.strftime('%Y%m%d-%H%M%S')}")
    while any(of(str(kept)).exists() for of in (Path, mark_of, log_of)):
        kept = kept.with_name(f"{kept.name}-")
    for of in (mark_of, log_of, Path):
        if of(str(database)).exists():
            _link(of(str(database)), of(str(kept)))
    return kept


def _link(file: Path, name: Path) -> None:
    try:
        os.link(file, name)
    except OSError:  # a file system without links
        shutil.copy2(file, name)


def name_new(partial: Path, target: Path) -> None:
    """Give *partial* the name *target*, which no file has. Raises `Conflict` where one has it by now; `OSError`."""
    try:
        os.link(partial, target)
    except FileExistsError as error:
        raise _taken(target) from error
    except OSError:  # a file system without links
        try:
            os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError as error:
            raise _taken(target) from error
        partial.replace(target)


def _taken(target: Path) -> Conflict:
    return Conflict(f"{target} exists already. Give another name; a backup never replaces a file")


def sync_file(path: Path) -> None:
    """Write the content of the file at *path* to its disk. Raises `OSError`."""
    with path.open("rb") as file, contextlib.suppress(OSError) if os.name == "nt" else contextlib.nullcontext():
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Make the names in *folder* durable, where the system can do that."""
    if os.name == "posix":
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def in_words(error: BaseException) -> str:
    """Return what an error of the system or the database says, as one line."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return " ".join(str(error).split())
