"""A whole record moved from one database into another, SQLite or PostgreSQL, and compared table by table."""

import contextlib
from collections.abc import Callable
from pathlib import Path

from peewee import Database, DatabaseError, SqliteDatabase

from brender.model.errors import BadInput
from brender.store.backup import check_copy, name_new, new_beside, sync_file
from brender.store.copying import TableDigest, copy_rows
from brender.store.database import connected, is_url, shown
from brender.store.in_use import open_unused
from brender.store.schema import check_known, migrate


def move(source: str, target: str, alive: Callable[[], None] = lambda: None) -> dict[str, TableDigest]:
    """Copy the record at *source* into *target*, which is empty: each a file's path or a ``postgresql://`` URL. Return what is in
    each table, the same in both. *source* stays as it is.

    Raises `BadInput`, with nothing changed, where either cannot be opened, *target* is not empty, or a server uses one of them;
    `BrenderError`, likewise, where the copy is not what it was copied from.
    """
    if source == target or (not is_url(source) and not is_url(target) and Path(source).resolve() == Path(target).resolve()):
        raise BadInput(f"{shown(source)} is where the record is already. Name another database to move it to")
    with contextlib.closing(open_unused(source)) as opened:
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
    with new_beside(path) as partial:
        partial.touch(mode=0o600)
        with contextlib.closing(SqliteDatabase(str(partial))) as opened:
            opened.connect()
            migrate(opened, newest)
            found = copy_rows(source, opened, alive)
            check_copy(opened.connection(), target, alive)
        sync_file(partial)
        name_new(partial, path)
    return found
