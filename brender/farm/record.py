"""How the farm becomes a record: each entity says its row, and the ledger knows which rows are no longer true. Pure.

The record is a projection of the farm. A transition changes an entity and touches it; at the end of a round `Ledger.take` gives
the rows that differ from what the record holds, and the store writes them in one transaction. Kinds and columns are those of the
tables (brender.store.tables).
"""

from collections.abc import Callable, Mapping
from operator import itemgetter, ne
from typing import Any, ClassVar, Literal

import msgspec

Key = str | int | tuple[str | int | float, ...]
Verb = Literal["insert", "put", "update", "add", "delete"]


class Row(msgspec.Struct, frozen=True):
    """What the record is to hold of one thing: ``values`` of ``columns`` in the row ``key`` of a ``kind``.

    ``verb``: ``insert`` for a row that is not there yet, ``update`` for one that is, ``put`` for either, ``delete`` for one that
    is to go; ``add`` for numbers that are added to those of the row, or begin it.
    """

    verb: Verb
    kind: str
    key: Key
    columns: tuple[str, ...] = ()
    values: tuple[Any, ...] = ()

    @property
    def fields(self) -> dict[str, Any]:
        return dict(zip(self.columns, self.values, strict=True))


class Entity:
    """A thing that the record has a row of. Hot path, watched by benchmarks.dispatch.

    Subclasses name the ``kind``; the ``columns`` that may change, with their `values`; and the columns that are written with the
    row, and hardly ever again (`rewrite`): ``born``, with their values, `birth`. A value that can be changed in place (a list) is
    given as a copy.
    """

    kind: ClassVar[str]
    columns: ClassVar[tuple[str, ...]]
    born: ClassVar[tuple[str, ...]] = ()
    first_verb: ClassVar[Verb] = "insert"
    _all_columns: ClassVar[tuple[str, ...]]
    _changes: ClassVar[dict[tuple[bool, ...], "_Change"]]
    """By which of the ``columns`` have changed: those, and what picks their values, as far as it was asked for."""
    _ledger: "Ledger | None" = None
    _written: tuple[Any, ...] | None = None
    _is_touched = False
    _is_reborn = False

    def __init_subclass__(cls) -> None:
        cls._all_columns = (*cls.born, *cls.columns)
        cls._changes = {}

    @property
    def key(self) -> Key:
        raise NotImplementedError

    def values(self) -> tuple[Any, ...]:
        """Return the values of ``columns``, in their order."""
        raise NotImplementedError

    def birth(self) -> tuple[Any, ...]:
        """Return the values of ``born``, in their order."""
        return ()

    def touch(self) -> None:
        """Note that the row may no longer be true."""
        if not self._is_touched and self._ledger is not None:
            self._is_touched = True
            self._ledger.touched.append(self)

    def rewrite(self) -> None:
        """Note that of what is written with the row something is otherwise now: all of the row is written again."""
        self._is_reborn = True
        self.touch()

    def keep_in(self, ledger: "Ledger", recorded: bool = False) -> None:
        """Belong to *ledger* from now on. *recorded*: its row is there, and true; else it is written."""
        self._ledger = ledger
        if recorded:
            self._written = self.values()
        else:
            self._is_touched = True
            ledger.touched.append(self)

    def take(self) -> Row | None:
        """Return the row as far as it has to be written, or ``None`` where the record is true. It counts as written then."""
        self._is_touched = False
        values, written = self.values(), self._written
        self._written = values
        if written is None or self._is_reborn:
            self._is_reborn = False
            verb = self.first_verb if written is None else "update"
            return Row(verb, self.kind, self.key, self._all_columns, self.birth() + values)
        has_changed = tuple(map(ne, values, written))
        if (change := self._changes.get(has_changed)) is None:
            change = self._changes[has_changed] = _change(self.columns, has_changed)
        columns, pick = change
        return Row("update", self.kind, self.key, columns, pick(values)) if columns else None


_Change = tuple[tuple[str, ...], Callable[[tuple[Any, ...]], tuple[Any, ...]]]


def _change(columns: tuple[str, ...], has_changed: tuple[bool, ...]) -> _Change:
    """Return those of *columns* that have changed, and a function that picks their values among those of all."""
    places = [place for place, changed in enumerate(has_changed) if changed]
    first = places[0] if places else 0
    pick = itemgetter(*places) if len(places) > 1 else itemgetter(slice(first, first + 1))  # a tuple too
    return tuple(columns[place] for place in places), pick


class Ledger:
    """The rows that are no longer true: of entities that were touched, and of what the server keeps no entity of."""

    def __init__(self) -> None:
        self.touched: list[Entity] = []
        self._others: dict[tuple[str, Key], Row] = {}
        self._sums: dict[tuple[str, Key], dict[str, float]] = {}
        self._gone: list[Row] = []

    def insert(self, kind: str, key: Key, fields: Mapping[str, Any]) -> None:
        """Add a row of which there is no entity."""
        self._other("insert", kind, key, fields)

    def put(self, kind: str, key: Key, fields: Mapping[str, Any]) -> None:
        """Let the row *key*, there or not, have these *fields*."""
        self._other("put", kind, key, fields)

    def change(self, kind: str, key: Key, fields: Mapping[str, Any]) -> None:
        """Let the row *key*, which is there, have these *fields*."""
        self._other("update", kind, key, fields)

    def add(self, kind: str, key: Key, numbers: Mapping[str, float]) -> None:
        """Add *numbers* to those in the row *key*, which may not be there yet. Hot path, watched by benchmarks.dispatch."""
        known = self._sums.get((kind, key))
        if known is None:
            self._sums[kind, key] = dict(numbers)
            return
        for name, number in numbers.items():
            known[name] = known.get(name, 0) + number

    def drop(self, kind: str, key: Key) -> None:
        """Let there be no row *key*."""
        self._others.pop((kind, key), None)
        self._gone.append(Row("delete", kind, key))

    @property
    def is_behind(self) -> bool:
        """Whether anything may have to be written."""
        return bool(self.touched or self._others or self._sums or self._gone)

    def take(self) -> list[Row]:
        """Return all that has to be written, what is deleted first; it counts as written then."""
        touched, self.touched = self.touched, []
        others, self._others = self._others, {}
        gone, self._gone = self._gone, []
        sums, self._sums = self._sums, {}
        rows = [row for entity in touched if (row := entity.take()) is not None]
        # Where one took the place of another in this round, as a worker that joins again does, the newer one counts.
        newest = {(row.kind, row.key): row for row in rows if row.verb == "put"}
        if newest:
            rows = [row for row in rows if newest.get((row.kind, row.key), row) is row]
        added = [Row("add", kind, key, tuple(numbers), tuple(numbers.values())) for (kind, key), numbers in sums.items()]
        return [*gone, *others.values(), *rows, *added]

    def _other(self, verb: Verb, kind: str, key: Key, fields: Mapping[str, Any]) -> None:
        known = self._others.get((kind, key))
        if known is not None:
            verb, fields = known.verb, known.fields | dict(fields)
        self._others[kind, key] = Row(verb, kind, key, tuple(fields), tuple(fields.values()))
