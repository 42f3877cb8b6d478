"""Writing the record: a batch of changes, one transaction, one change number.

Hot path, watched by benchmarks.dispatch: changes to one row are merged, rows of one shape go in one statement each
(``executemany``), and the ORM is not asked per row.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from peewee import Database, __exception_wrapper__, fn  # type: ignore[attr-defined]

from brender.model.changes import Change, Key, New, Put, Update, UpdateWhere
from brender.store.tables import JSONField, Tables, make_tables

_Row = dict[str, Any]


class Writer:
    """The one writer of a database. Use it from one thread."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.tables: Tables = make_tables(database)
        self._shapes = {kind: _Shape(model) for kind, model in self.tables.by_kind.items()}
        self.change = self._counter("change")

    def last_id(self, kind: str) -> int:
        """The highest id that rows of *kind* (task, part, activity) have; 0 where there is none."""
        model = self.tables.by_kind[kind]
        return int(model.select(fn.MAX(model.id)).scalar() or 0)

    def commit(self, changes: Iterable[Change]) -> int:
        """Write *changes*, all or none; returns the commit's change number. Raises peewee's errors, with nothing written."""
        number = self.change + 1
        with self.database.atomic():
            batch: dict[tuple[str, Key], tuple[str, _Row]] = {}
            for change in changes:
                if isinstance(change, UpdateWhere):
                    self._flush(batch, number)
                    batch = {}
                    self._update_where(change, number)
                else:
                    self._merge(batch, change)
            self._flush(batch, number)
            self._execute('UPDATE "counter" SET "value" = ? WHERE "name" = ?', [[number, "change"]])
        self.change = number
        return number

    def checkpoint(self) -> None:
        """Move what it can of SQLite's write-ahead log into the database file, waiting for nobody."""
        if self.database.param == "?":
            self.database.execute_sql("PRAGMA wal_checkpoint(PASSIVE)")

    @staticmethod
    def _merge(batch: dict[tuple[str, Key], tuple[str, _Row]], change: New | Put | Update) -> None:
        place = (change.kind, change.key)
        verb = {New: "insert", Put: "put", Update: "update"}[type(change)]
        before = batch.get(place)
        if before is None:
            batch[place] = (verb, dict(change.fields))
        else:
            before[1].update(change.fields)

    def _flush(self, batch: Mapping[tuple[str, Key], tuple[str, _Row]], number: int) -> None:
        statements: dict[tuple[int, str, str, tuple[str, ...], tuple[str, ...]], list[list[Any]]] = {}
        order = {kind: place for place, kind in enumerate(self._shapes)}
        for (kind, key), (verb, fields) in batch.items():
            shape = self._shapes[kind]
            names, values = shape.row(verb, key, fields, number)
            rank = order[kind] if verb != "update" else len(order)
            statements.setdefault((rank, kind, verb, names, tuple(fields)), []).append(values)
        for (_, kind, verb, names, given), rows in sorted(statements.items(), key=lambda item: item[0][:3]):
            self._execute(self._shapes[kind].statement(verb, names, given), rows)

    def _update_where(self, change: UpdateWhere, number: int) -> None:
        shape = self._shapes[change.kind]
        names = [*change.fields, "change"]
        values = [*shape.encoded(change.fields), number]
        tests = []
        for column, wanted in change.where.items():
            several = wanted if isinstance(wanted, tuple) else (wanted,)
            tests.append(f'"{column}" IN ({", ".join("?" * len(several))})')
            values.extend(several)
        assignments = ", ".join(f'"{name}" = ?' for name in names)
        self._execute(f'UPDATE "{change.kind}" SET {assignments} WHERE {" AND ".join(tests)}', [values])

    def _execute(self, statement: str, rows: list[list[Any]]) -> None:
        # Past the ORM, but with its errors, so that callers know one kind on every database.
        with __exception_wrapper__:
            self.database.cursor().executemany(statement.replace("?", self.database.param), rows)

    def _counter(self, name: str) -> int:
        counter = self.tables.Counter
        row, _ = counter.get_or_create(name=name, defaults={"value": 0})
        return int(row.value)


def _plain(value: Any) -> Any:
    """*value* as every database takes it: PostgreSQL knows no text with a NUL in it."""
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}") if isinstance(value, str) and "\0" in value else value


class _Shape:
    """What the writer knows of one table: its columns, key, defaults and which columns are JSON."""

    def __init__(self, model: Any) -> None:
        meta = model._meta
        self.table = meta.table_name
        self.columns = dict(meta.fields)
        key = meta.primary_key
        self.key = tuple(key.field_names) if hasattr(key, "field_names") else (key.name,)
        self.json = {name for name, field in meta.fields.items() if isinstance(field, JSONField)}
        self.defaults = {name: field.default for name, field in meta.fields.items() if field.default is not None}

    def row(self, verb: str, key: Key, fields: _Row, number: int) -> tuple[tuple[str, ...], list[Any]]:
        """Column names and values for a statement of *verb*; an update has its key last."""
        keys = dict(zip(self.key, key if isinstance(key, tuple) else (key,), strict=True))
        if verb == "update":
            names = (*fields, "change")
            return names, [*self.encoded(fields), number, *keys.values()]
        full = {name: default() if callable(default) else default for name, default in self.defaults.items()}
        full |= keys | fields | {"change": number}
        return tuple(full), self.encoded(full)

    def encoded(self, fields: Mapping[str, Any]) -> list[Any]:
        unknown = fields.keys() - self.columns.keys()
        if unknown:
            raise ValueError(f"the table {self.table} has no column {', '.join(sorted(unknown))}")
        return [
            _plain(json.dumps(value, separators=(",", ":")) if name in self.json and value is not None else value)
            for name, value in fields.items()
        ]

    def statement(self, verb: str, names: tuple[str, ...], given: tuple[str, ...]) -> str:
        """SQL for rows of columns *names*; a put over an existing row changes only what was *given*."""
        if verb == "update":
            assignments = ", ".join(f'"{name}" = ?' for name in names)
            keys = " AND ".join(f'"{name}" = ?' for name in self.key)
            return f'UPDATE "{self.table}" SET {assignments} WHERE {keys}'
        columns, marks = ", ".join(f'"{name}"' for name in names), ", ".join("?" * len(names))
        statement = f'INSERT INTO "{self.table}" ({columns}) VALUES ({marks})'
        if verb == "put":
            news = ", ".join(f'"{name}" = excluded."{name}"' for name in (*given, "change"))
            keys = ", ".join(f'"{name}"' for name in self.key)
            statement += f" ON CONFLICT ({keys}) DO UPDATE SET {news}"
        return statement
