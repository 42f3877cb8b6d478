"""Types of answers that are rows of the record: made from the tables' own declaration."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar, cast

import msgspec
from peewee import (
    BigIntegerField,
    BooleanField,
    DoubleField,
    Field,
    ForeignKeyField,
    IntegerField,
    SqliteDatabase,
    TextField,
)

from brender.store.tables import JSONField, make_tables

Kind = TypeVar("Kind", bound=msgspec.Struct)
_TABLES = make_tables(SqliteDatabase(None))
_OF_FIELDS: dict[type[Field], type] = {
    BigIntegerField: int,
    IntegerField: int,
    DoubleField: float,
    BooleanField: bool,
    TextField: str,
}


class Row(msgspec.Struct, kw_only=True):
    """A row of a table, and nothing beside it: the fields come from `row`."""


def row(table: str, without: Iterable[str] = (), only: Iterable[str] = ()) -> Callable[[type[Kind]], type[Kind]]:
    """Let the decorated type be that of a row of *table*: all its fields but *without*, or *only* some, with its own beside
    them."""
    fields = getattr(_TABLES, table)._meta.fields

    def add(kind: type[Kind]) -> type[Kind]:
        own = [(field.name, field.type) for field in msgspec.structs.fields(kind)]
        names = [name for name in fields if (name in only if only else name not in without) and name not in dict(own)]
        typed = [(name, _type_of(fields[name])) for name in names]
        doc = {"__doc__": kind.__doc__} if kind.__doc__ else {}
        made: Any = msgspec.defstruct(kind.__name__, [*typed, *own], namespace=doc, module=kind.__module__, kw_only=True)
        return cast(type[Kind], made)

    return add


def _type_of(field: Field) -> Any:
    while isinstance(field, ForeignKeyField):
        field = field.rel_field
    found = field.holds if isinstance(field, JSONField) else _OF_FIELDS[type(field)]
    return found | None if field.null else found
