"""New records for tests: each is a copy of one that the real migrations have made, since to migrate takes a third of a second and
most tests begin with a new record. Servers in processes of their own migrate as ever."""

import functools
import sqlite3
from pathlib import Path

from peewee import Database, SqliteDatabase

from brender.store import schema
from brender.store.schema import migrate


@functools.cache
def _migrated(migrations: Path) -> bytes:
    """Return the file of a new record that the *migrations* of now made: a test may have others."""
    database = SqliteDatabase(":memory:")
    database.connect()
    migrate(database)
    content: bytes = database.connection().serialize()
    database.close()
    return content


def make_schema(database: Database, up_to: str | None = None) -> None:
    """Do what `migrate` does: a database of SQLite's without tables becomes a copy."""
    if up_to is not None or not isinstance(database, SqliteDatabase) or database.get_tables():
        migrate(database, up_to)
        return
    # (A connection belongs to one thread, so there is one for each copy.)
    template = sqlite3.connect(":memory:")
    template.deserialize(_migrated(schema.MIGRATIONS))
    template.backup(database.connection())
    template.close()
