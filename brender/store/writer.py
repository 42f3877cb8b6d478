"""Writing the record: a batch of changes, one transaction, one change number.

Hot path, watched by benchmarks.dispatch: changes to one row are merged, rows of one shape go in one statement each
(``executemany``), what is the same for all rows stands in the statement, and the ORM is not asked per row.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from peewee import Database, TextField, __exception_wrapper__, fn  # type: ignore[attr-defined]

from brender.model.changes import Change, Delete, Key, New, NewRows, Put, Update, UpdateRows, UpdateWhere
from brender.store.tables import JSONField, Tables, make_tables

_Row = dict[str, Any]
#: Rows of one statement up to which it is one that the database has seen before.
_FEW = 20


class Writer:
    """The one writer of a database. Use it from one thread."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.tables: Tables = make_tables(database)
        self._shapes = {kind: _Shape(model) for kind, model in self.tables.by_kind.items()}
        self._order = {kind: place for place, kind in enumerate(self._shapes)}
        self.change = self._counter("change")
        self._uncertain = False

    def last_id(self, kind: str) -> int:
        """The highest id that rows of *kind* (task, part, activity) have; 0 where there is none."""
        model = self.tables.by_kind[kind]
        return int(model.select(fn.MAX(model.id)).scalar() or 0)

    def commit(self, changes: Iterable[Change]) -> int:
        """Write *changes*, all or none; returns the commit's change number. Raises peewee's errors, with nothing written as far
        as is known: call it with the same changes again, and they are written once."""
        number = self.change + 1
        if self._uncertain and self._was_committed(number):
            self.change = number
            return number
        self._uncertain = True
        with self.database.atomic():
            segment = _Segment()
            for change in changes:
                if isinstance(change, UpdateWhere | Delete):
                    self._write(segment, number)
                    segment = _Segment()
                    if isinstance(change, UpdateWhere):
                        self._update_where(change, number)
                    else:
                        self._delete_where(change)
                elif isinstance(change, NewRows | UpdateRows):
                    segment.add(change)
                else:
                    if any(run.kind == change.kind for run in segment.runs):
                        self._write(segment, number)
                        segment = _Segment()
                    place = (change.kind, change.key)
                    before = segment.batch.get(place)
                    if before is None:
                        segment.batch[place] = (_VERBS[type(change)], dict(change.fields))
                    else:
                        before[1].update(change.fields)
            self._write(segment, number)
            self._execute('UPDATE "counter" SET "value" = ? WHERE "name" = ?', [[number, "change"]])
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
        """Whether there is a row of *kind* with that id. Without the ORM: each submit asks."""
        cursor = self.database.execute_sql(f'SELECT 1 FROM "{kind}" WHERE "id" = {self.database.param}', (key,))
        return cursor.fetchone() is not None

    def checkpoint(self) -> None:
        """Move what it can of SQLite's write-ahead log into the database file, waiting for nobody."""
        if self.database.param == "?":
            self.database.execute_sql("PRAGMA wal_checkpoint(PASSIVE)")

    def _was_committed(self, number: int) -> bool:
        """After a commit that failed: whether it had come through nevertheless (the connection was lost on the way back)."""
        if self.database.param != "?":
            self.database.close()
            self.database.connect()
        found = self._counter("change") >= number
        self._uncertain = False
        return found

    def _write(self, segment: "_Segment", number: int) -> None:
        """Write a segment: what changes single rows, then what changes many, new rows before all."""
        self._write_batch(segment.batch, number)
        for run in sorted(segment.runs, key=lambda run: run.is_update):
            rows = self._shapes[run.kind].encoded(run.columns, run.rows, 0 if run.is_update else 1)
            self._execute_shape(run.kind, "update" if run.is_update else "insert", run.columns, rows, number)

    def _write_batch(self, batch: Mapping[tuple[str, Key], tuple[str, _Row]], number: int) -> None:
        statements: dict[tuple[int, str, str, tuple[str, ...]], list[list[Any]]] = {}
        for (kind, key), (verb, fields) in batch.items():
            # Rows before what points at them; updates after all new rows.
            rank = len(self._order) if verb == "update" else self._order[kind]
            statement = (rank, kind, verb, tuple(fields))
            values = self._shapes[kind].values(verb, fields, key)
            statements.setdefault(statement, []).append(values)
        for (_, kind, verb, names), rows in sorted(statements.items(), key=lambda item: item[0][:3]):
            self._execute_shape(kind, verb, names, rows, number)

    def _update_where(self, change: UpdateWhere, number: int) -> None:
        values = self._shapes[change.kind].values("update", dict(change.fields), ())
        tests = []
        for column, wanted in change.where.items():
            several = wanted if isinstance(wanted, tuple) else (wanted,)
            tests.append(f'"{column}" IN ({", ".join("?" * len(several))})')
            values.extend(several)
        assignments = ", ".join(f'"{name}" = ?' for name in change.fields)
        statement = f'UPDATE "{change.kind}" SET {assignments}, "change" = {number} WHERE {" AND ".join(tests)}'
        self._execute(statement, [values])

    def _delete_where(self, change: Delete) -> None:
        tests = " AND ".join(f'"{column}" = ?' for column in change.where)
        self._execute(f'DELETE FROM "{change.kind}" WHERE {tests}', [list(change.where.values())])

    def _execute_shape(self, kind: str, verb: str, names: tuple[str, ...], rows: Sequence[Sequence[Any]], number: int) -> None:
        """Execute a statement of `_Shape`. The commit's number is a variable where there are few rows, so that the database knows
        the statement from the last time; where there are many, it stands in the statement."""
        before, after = self._shapes[kind].statement(verb, names)
        if len(rows) > _FEW:
            self._execute(f"{before}{number}{after}", rows)
        else:
            place = len(names) if verb == "update" else len(rows[0])
            self._execute(f"{before}?{after}", [[*row[:place], number, *row[place:]] for row in rows])

    def _execute(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        # Past the ORM, but with its errors, so that callers know one kind on every database.
        with __exception_wrapper__:
            self.database.cursor().executemany(statement.replace("?", self.database.param), rows)

    def _counter(self, name: str) -> int:
        counter = self.tables.Counter
        row, _ = counter.get_or_create(name=name, defaults={"value": 0})
        return int(row.value)


@dataclass
class _Run:
    """Rows that one statement writes."""

    is_update: bool
    kind: str
    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    keys: set[Any] = field(default_factory=set)


@dataclass
class _Segment:
    """Changes that are written together: first those of single rows, then the runs in their order."""

    batch: dict[tuple[str, Key], tuple[str, _Row]] = field(default_factory=dict)
    runs: list[_Run] = field(default_factory=list)

    def add(self, change: NewRows | UpdateRows) -> None:
        """Put rows to an earlier run of the same shape, unless a later run touches one of them: then that must come before."""
        is_update = isinstance(change, UpdateRows)
        keys = {row[-1 if is_update else 0] for row in change.rows}
        for run in reversed(self.runs):
            if (run.is_update, run.kind, run.columns) == (is_update, change.kind, change.columns):
                break
            if run.kind == change.kind and not run.keys.isdisjoint(keys):
                run = _Run(is_update, change.kind, change.columns)
                self.runs.append(run)
                break
        else:
            run = _Run(is_update, change.kind, change.columns)
            self.runs.append(run)
        run.rows.extend(change.rows)
        run.keys |= keys


_VERBS: dict[type, str] = {New: "insert", Put: "put", Update: "update"}


def _json(value: Any) -> str | None:
    return None if value is None else "[]" if value == [] else msgspec.json.encode(value).decode()


def _without_nul(value: Any) -> Any:
    """*value* as every database takes it: PostgreSQL knows no text with a NUL in it."""
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}") if isinstance(value, str) and "\0" in value else value


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
        self._encoders: dict[str, Callable[[Any], Any]] = {}
        for name, column in meta.fields.items():
            if isinstance(column, JSONField):
                self._encoders[name] = _json
            elif isinstance(column, TextField):
                self._encoders[name] = _without_nul
        self._encoders_of: dict[tuple[str, ...], list[tuple[int, Callable[[Any], Any]]]] = {}
        self._known: dict[tuple[str, tuple[str, ...]], tuple[str, str]] = {}

    def values(self, verb: str, fields: _Row, key: Key) -> list[Any]:
        """The variables of the statement that `statement` makes for these fields."""
        values = list(fields.values())
        for place, encode in self._encoders_for(tuple(fields)):
            values[place] = encode(values[place])
        keys = key if type(key) is tuple else (key,)
        return [*values, *keys] if verb == "update" else [*keys, *values]

    def encoded(self, names: tuple[str, ...], rows: list[tuple[Any, ...]], first: int) -> Sequence[Sequence[Any]]:
        """*rows* as the database takes them; the values of *names* begin at place *first* of each."""
        encoders = self._encoders_for(names)
        if not encoders:
            return rows
        lists = [list(row) for row in rows]
        for place, encode in encoders:
            for row in lists:
                row[first + place] = encode(row[first + place])
        return lists

    def _encoders_for(self, names: tuple[str, ...]) -> list[tuple[int, Callable[[Any], Any]]]:
        """The places among *names* whose values are written otherwise than they are."""
        found = self._encoders_of.get(names)
        if found is None:
            found = [(place, self._encoders[name]) for place, name in enumerate(names) if name in self._encoders]
            self._encoders_of[names] = found
        return found

    def statement(self, verb: str, names: tuple[str, ...]) -> tuple[str, str]:
        """SQL for rows of which the columns *names* are given, in two parts: the number of the commit stands between them. A put
        over an existing row changes only what was given. Raises `ValueError` for a column that the table has not."""
        found = self._known.get((verb, names))
        if found is None:
            if unknown := set(names) - self._columns.keys():
                raise ValueError(f"the table {self._table} has no column {', '.join(sorted(unknown))}")
            found = self._known[verb, names] = self._update(names) if verb == "update" else self._insert(verb, names)
        return found

    def _update(self, names: tuple[str, ...]) -> tuple[str, str]:
        assignments = ", ".join(f'"{name}" = ?' for name in names)
        keys = " AND ".join(f'"{name}" = ?' for name in self._key)
        return f'UPDATE "{self._table}" SET {assignments}, "change" = ', f" WHERE {keys}"

    def _insert(self, verb: str, names: tuple[str, ...]) -> tuple[str, str]:
        given = [*self._key, *names]
        rest = {name: default for name, default in self._defaults.items() if name not in given and name != "change"}
        columns = ", ".join(f'"{name}"' for name in [*given, *rest, "change"])
        variables = ", ".join(["?"] * len(given) + [_literal(default) for default in rest.values()])
        after = ")"
        if verb == "put":
            keys = ", ".join(f'"{name}"' for name in self._key)
            news = ", ".join(f'"{name}" = excluded."{name}"' for name in (*names, "change"))
            after += f" ON CONFLICT ({keys}) DO UPDATE SET {news}"
        return f'INSERT INTO "{self._table}" ({columns}) VALUES ({variables}, ', after


def _literal(default: Any) -> str:
    """A column's default as SQL writes it."""
    value = default() if callable(default) else default
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int | float):
        return repr(value)
    text = value if isinstance(value, str) else str(_json(value))
    return "'" + text.replace("'", "''") + "'"
