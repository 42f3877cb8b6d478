"""Writing the record: the rows that are no longer true, one transaction, one change number.

Hot path, watched by benchmarks.dispatch: rows of one shape go in one statement (``executemany``), what is the same for all rows
stands in the statement, and the ORM is not asked per row.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
from peewee import Database, TextField, __exception_wrapper__, fn  # type: ignore[attr-defined]

from brender.farm.record import Key, Row
from brender.store.tables import JSONField, Tables, make_tables

#: No id of a row that is deleted is given again (`Writer.last_id`).
_LAST_ID = (
    'INSERT INTO "counter" ("name", "value") VALUES (?, ?) ON CONFLICT ("name") DO UPDATE SET "value" = CASE WHEN '
    '"counter"."value" > excluded."value" THEN "counter"."value" ELSE excluded."value" END'
)

Column = Sequence[Any]
"""The values of one column in several rows."""


class Writer:
    """The one writer of a database. Use it from one thread."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.tables: Tables = make_tables(database)
        self._shapes = {kind: _Shape(model) for kind, model in self.tables.by_kind.items()}
        self._order = {kind: place for place, kind in enumerate(self._shapes)}
        self.change = self._counter("change")
        self._uncertain = False

    def as_written(self, rows: Sequence[Row]) -> list[tuple[Any, ...]]:
        """Return the values of each of *rows*, which are of one kind and have the same columns, as the database holds them."""
        columns = rows[0].columns
        return [each[: len(columns)] for each in self._shapes[rows[0].kind].variables("update", columns, list(rows), 0)]

    def last_id(self, kind: str) -> int:
        """Return the highest id that rows of *kind* (task, part, activity) have, or may have had before a backup was
        restored; 0 if there are no such rows."""
        model, counter = self.tables.by_kind[kind], self.tables.Counter
        before = counter.select(counter.value).where(counter.name == kind).scalar()
        return max(int(model.select(fn.MAX(model.id)).scalar() or 0), int(before or 0))

    def commit(self, rows: Iterable[Row]) -> int:
        """Write *rows*, all or none; return the commit's change number. Raises peewee's errors, with nothing written as far as is
        known: call it with the same rows again, and they are written once."""
        number = self.change + 1
        if self._uncertain and self._was_committed(number):
            self.change = number
            return number
        self._uncertain = True
        groups: dict[tuple[str, str, tuple[str, ...]], list[Row]] = {}
        for row in rows:
            group = (row.verb, row.kind, row.columns)
            if (several := groups.get(group)) is None:
                several = groups[group] = []
            several.append(row)
        with self.database.atomic():
            for (verb, kind, columns), several in sorted(groups.items(), key=lambda item: self._rank(*item[0])):
                shape = self._shapes[kind]
                self._execute(shape.statement(verb, columns), shape.variables(verb, columns, several, number))
                if verb == "delete" and kind == "part":
                    self._execute(_LAST_ID, [(kind, max(int(str(row.key)) for row in several))])
            self._execute('UPDATE "counter" SET "value" = ? WHERE "name" = ?', [(number, "change")])
        self.change = number
        self._uncertain = False
        return number

    def delete(self, kind: str, column: str, value: Key, limit: int) -> int:
        """Delete up to *limit* rows of *kind* whose *column* is *value*, in a commit of its own that no number is counted for;
        returns how many there were. For what is too much for one commit."""
        key = self._shapes[kind].first_key
        chosen = f'SELECT "{key}" FROM "{kind}" WHERE "{column}" = {self.database.param} LIMIT {limit}'
        with self.database.atomic():
            cursor = self.database.execute_sql(f'DELETE FROM "{kind}" WHERE "{key}" IN ({chosen})', (value,))
        return int(cursor.rowcount)

    def has(self, kind: str, key: str) -> bool:
        """Return whether there is a row of *kind* with that id. Without the ORM: each submit asks."""
        cursor = self.database.execute_sql(f'SELECT 1 FROM "{kind}" WHERE "id" = {self.database.param}', (key,))
        return cursor.fetchone() is not None

    def checkpoint(self) -> None:
        """Move what it can of SQLite's write-ahead log into the database file, waiting for nobody."""
        if self.database.param == "?":
            self.database.execute_sql("PRAGMA wal_checkpoint(PASSIVE)")

    def reconnect(self) -> None:
        """Connect to the database again, where it is another process' and the connection may be lost."""
        if self.database.param != "?":
            self.database.close()
            self.database.connect()

    def _was_committed(self, number: int) -> bool:
        """Return whether a commit that failed had come through nevertheless (the connection was lost on the way
        back)."""
        self.reconnect()
        found = self._counter("change") >= number
        self._uncertain = False
        return found

    def _rank(self, verb: str, kind: str, columns: tuple[str, ...]) -> tuple[int, str, str]:
        """Return what goes is gone first; then come new rows, what is pointed at before what points at it; then updates."""
        rank = len(self._order) if verb == "update" else -1 if verb == "delete" else self._order[kind]
        return rank, kind, verb

    def _execute(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        # Past the ORM, but with its errors, so that callers know one kind on every database.
        with __exception_wrapper__:
            self.database.cursor().executemany(statement.replace("?", self.database.param), rows)

    def _counter(self, name: str) -> int:
        counter = self.tables.Counter
        row, _ = counter.get_or_create(name=name, defaults={"value": 0})
        return int(row.value)


def _json(values: Column) -> Column:
    return [None if value is None else "[]" if value in ((), []) else msgspec.json.encode(value).decode() for value in values]


def _text(values: Column) -> Column:
    """Return *values* as every database takes them: PostgreSQL knows no text with a NUL in it, and SQLite's driver takes
    long to find out that a member of an enumeration is a text."""
    if None in values:
        return [value if value is None else _text([value])[0] for value in values]
    texts = list(map(str, values))
    return [text.replace("\0", "\N{REPLACEMENT CHARACTER}") for text in texts] if "\0" in "".join(texts) else texts


class _Shape:
    """What the writer knows of one table: its columns, key, defaults, and which values are written otherwise than they are."""

    def __init__(self, model: Any) -> None:
        meta = model._meta
        self._table = meta.table_name
        self._columns = dict(meta.fields)
        self.first_key: str = next(iter(meta.primary_key.field_names)) if meta.composite_key else meta.primary_key.name
        key = meta.primary_key
        self._key = tuple(key.field_names) if hasattr(key, "field_names") else (key.name,)
        self._defaults = {name: column.default for name, column in meta.fields.items() if column.default is not None}
        self._encoders: dict[str, Callable[[Column], Column]] = {}
        for name, column in meta.fields.items():
            if isinstance(column, JSONField):
                self._encoders[name] = _json
            elif isinstance(column, TextField):
                self._encoders[name] = _text
        self._encoders_of: dict[tuple[str, ...], list[tuple[int, Callable[[Column], Column]]]] = {}
        self._known: dict[tuple[str, tuple[str, ...]], str] = {}

    def variables(self, verb: str, columns: tuple[str, ...], rows: list[Row], number: int) -> list[tuple[Any, ...]]:
        """Return the variables of the statement that `statement` makes, for each of *rows*, which have the same *columns*, in the
        commit *number*."""
        values: list[Column] = list(zip(*[row.values for row in rows], strict=True))
        for place, encode in self._encoders_for(columns):
            values[place] = encode(values[place])
        keys: list[Column] = [[row.key for row in rows]]
        if len(self._key) > 1:
            keys = list(zip(*keys[0], strict=True))
            if verb == "add":  # (others have keys that the server made)
                keys = [self._encoders.get(name, list)(column) for name, column in zip(self._key, keys, strict=True)]
        numbers = [] if verb == "delete" else [[number] * len(rows)]
        ordered = [*values, *numbers, *keys] if verb in ("update", "delete") else [*keys, *values, *numbers]
        return list(zip(*ordered, strict=True))

    def _encoders_for(self, names: tuple[str, ...]) -> list[tuple[int, Callable[[Column], Column]]]:
        """Return the places among *names* whose values are written otherwise than they are."""
        found = self._encoders_of.get(names)
        if found is None:
            found = [(place, self._encoders[name]) for place, name in enumerate(names) if name in self._encoders]
            self._encoders_of[names] = found
        return found

    def statement(self, verb: str, names: tuple[str, ...]) -> str:
        """Return the SQL for rows of which the columns *names* are given. A put over an existing row changes only what was given.
        Raises `ValueError` for a column that the table has not."""
        found = self._known.get((verb, names))
        if found is None:
            if unknown := set(names) - self._columns.keys():
                raise ValueError(f"the table {self._table} has no column {', '.join(sorted(unknown))}")
            made = {"update": self._update, "delete": self._delete}.get(verb)
            found = self._known[verb, names] = made(names) if made else self._insert(verb, names)
        return found

    def _delete(self, names: tuple[str, ...]) -> str:
        keys = " AND ".join(f'"{name}" = ?' for name in self._key)
        return f'DELETE FROM "{self._table}" WHERE {keys}'

    def _update(self, names: tuple[str, ...]) -> str:
        assignments = ", ".join(f'"{name}" = ?' for name in (*names, "change"))
        keys = " AND ".join(f'"{name}" = ?' for name in self._key)
        return f'UPDATE "{self._table}" SET {assignments} WHERE {keys}'

    def _insert(self, verb: str, names: tuple[str, ...]) -> str:
        given = [*self._key, *names]
        rest = {name: default for name, default in self._defaults.items() if name not in given and name != "change"}
        columns = ", ".join(f'"{name}"' for name in [*given, "change", *rest])
        variables = ", ".join(["?"] * (len(given) + 1) + [_literal(default) for default in rest.values()])
        statement = f'INSERT INTO "{self._table}" ({columns}) VALUES ({variables})'
        if verb == "put":
            keys = ", ".join(f'"{name}"' for name in self._key)
            news = ", ".join(f'"{name}" = excluded."{name}"' for name in (*names, "change"))
            statement += f" ON CONFLICT ({keys}) DO UPDATE SET {news}"
        elif verb == "add":
            keys = ", ".join(f'"{name}"' for name in self._key)
            sums = ", ".join(f'"{name}" = "{self._table}"."{name}" + excluded."{name}"' for name in names)
            statement += f' ON CONFLICT ({keys}) DO UPDATE SET {sums}, "change" = excluded."change"'
        return statement


def _literal(default: Any) -> str:
    """Return a column's default as SQL writes it."""
    value = default() if callable(default) else default
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int | float):
        return repr(value)
    text = value if isinstance(value, str) else str(_json([value])[0])
    return "'" + text.replace("'", "''") + "'"
