"""All rows of one record in another, whichever database each is in; compared afterwards by count and hash of every table.

The tables are taken as the databases have them, not as `brender.store.tables` says: a record of an earlier version is copied
too, before it is migrated.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import msgpack
from peewee import Database, SqliteDatabase

from brender.model.errors import BrenderError

#: The table in which playhouse's migrations write down which of them were applied.
HISTORY = "schema_migration"
_ROWS = 2000
_FLOATS, _BOOLEANS = {"REAL", "DOUBLE PRECISION"}, {"BOOLEAN"}


@dataclass(frozen=True)
class TableDigest:
    """What is in a table: the number of its ``rows``, and a ``hash`` that does not depend on their order."""

    rows: int
    hash: str


def tables_of(database: Database) -> list[str]:
    """Return the names of the tables in *database*, what is pointed at before what points at it; without that of the
    migrations."""
    names = [name for name in sorted(database.get_tables()) if name != HISTORY]
    points_at = {name: {key.dest_table for key in database.get_foreign_keys(name)} - {name} for name in names}
    found: list[str] = []
    while len(found) < len(names):
        free = [name for name in names if name not in found and points_at[name] <= set(found)]
        if not free:
            raise BrenderError(f"The tables {', '.join(sorted(set(names) - set(found)))} point at each other in a circle")
        found += free
    return found


def copy_rows(source: Database, target: Database, alive: Callable[[], None] = lambda: None) -> dict[str, TableDigest]:
    """Copy the rows of all tables of *source* into those of *target*, which has the same tables and is emptied first; in one
    transaction of each. Return what was copied, by table.

    *alive* is called after every few thousand rows. Raises `BrenderError`, with nothing changed, where *target* then holds
    something else than *source*; peewee's and the driver's errors.
    """
    with snapshot(source), target.atomic():
        tables = tables_of(source)
        if missing := set(tables) ^ set(tables_of(target)):
            raise BrenderError(f"The two databases do not have the same tables: {', '.join(sorted(missing))}")
        for table in reversed(tables):
            target.execute_sql(f'DELETE FROM "{table}"')
        found = {}
        for table in tables:
            kinds = _kinds(source, target, table)
            _insert(target, table, kinds, _rows(source, table, kinds, alive))
            found[table] = _digest(source, table, kinds, alive)
            if (there := _digest(target, table, kinds, alive)) != found[table]:
                raise BrenderError(f"The copy of the table {table} is not what it was copied from ({there} and {found[table]})")
    return found


@contextmanager
def snapshot(database: Database) -> Iterator[None]:
    """Read *database* as it is at one moment, however long that takes, while others write."""
    is_sqlite = isinstance(database, SqliteDatabase)
    database.execute_sql("BEGIN" if is_sqlite else "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    try:
        yield
    finally:
        database.execute_sql("ROLLBACK")


def _kinds(source: Database, target: Database, table: str) -> dict[str, str]:
    """Return the columns of *table*, in the order in which *source* has them, each with how its values are compared."""
    types: dict[str, set[str]] = {}
    for database in (source, target):
        for column in database.get_columns(table):
            types.setdefault(column.name, set()).add(column.data_type.upper())
    return {name: "float" if found & _FLOATS else "boolean" if found & _BOOLEANS else "as it is" for name, found in types.items()}


def _insert(target: Database, table: str, kinds: dict[str, str], rows: Iterator[list[tuple[Any, ...]]]) -> None:
    columns, marks = ", ".join(f'"{name}"' for name in kinds), ", ".join([target.param] * len(kinds))
    statement = f'INSERT INTO "{table}" ({columns}) VALUES ({marks})'  # nosec B608 (names of our own tables)
    with closing(target.cursor()) as cursor:
        for several in rows:
            cursor.executemany(statement, several)


def _digest(database: Database, table: str, kinds: dict[str, str], alive: Callable[[], None]) -> TableDigest:
    count = total = 0
    for several in _rows(database, table, kinds, alive):
        count += len(several)
        for row in several:
            total += int.from_bytes(
                hashlib.blake2b(msgpack.packb(row, unicode_errors="surrogatepass"), digest_size=16).digest(), "big"
            )
    return TableDigest(count, f"{total % 2**128:032x}")


def _rows(database: Database, table: str, kinds: dict[str, str], alive: Callable[[], None]) -> Iterator[list[tuple[Any, ...]]]:
    """Yield the rows of *table*, several at a time, never all of them in memory."""
    columns = ", ".join(f'"{name}"' for name in kinds)
    statement = f'SELECT {columns} FROM "{table}"'  # nosec B608 (names of our own tables)
    # PostgreSQL would send all rows at once, but for a cursor that has a name.
    named = {} if isinstance(database, SqliteDatabase) else {"name": f"copy_{table}"}
    convert = _converter(list(kinds.values()))
    with closing(database.connection().cursor(**named)) as cursor:
        cursor.execute(statement)
        while several := cursor.fetchmany(_ROWS):
            yield [convert(row) for row in several]
            alive()


def _converter(kinds: Sequence[str]) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    """Return what gives a row the same values, whichever database it comes from."""
    floats = [place for place, kind in enumerate(kinds) if kind == "float"]
    booleans = [place for place, kind in enumerate(kinds) if kind == "boolean"]

    def convert(row: Sequence[Any]) -> tuple[Any, ...]:
        values = list(row)
        for places, type_ in ((floats, float), (booleans, bool)):
            for place in places:
                if values[place] is not None:
                    values[place] = type_(values[place])
        return tuple(values)

    return convert
