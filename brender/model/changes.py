"""What a core wants written to the record: plain statements about rows, free of any database.

Kinds and field names are those of the tables (brender.store.tables). A store applies a batch of changes in one
transaction, in this order, and gives every row it touches the batch's change number.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

Key = str | int | tuple[str | int | float, ...]


class New(msgspec.Struct, frozen=True):
    """A row that does not exist yet. ``fields`` holds every column that has no default."""

    kind: str
    key: Key
    fields: Mapping[str, Any]


class Update(msgspec.Struct, frozen=True):
    """New values for some fields of the row *key*."""

    kind: str
    key: Key
    fields: Mapping[str, Any]


class Put(msgspec.Struct, frozen=True):
    """A row with these fields: written anew, or over the one that has the same key."""

    kind: str
    key: Key
    fields: Mapping[str, Any]


class UpdateWhere(msgspec.Struct, frozen=True):
    """New values for every row whose columns have the values in ``where`` (a tuple there means any of them)."""

    kind: str
    where: Mapping[str, Any]
    fields: Mapping[str, Any]


class NewRows(msgspec.Struct, frozen=True):
    """Many new rows of one shape, as the hot path makes them: each row its key and then the values of ``columns``."""

    kind: str
    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


class UpdateRows(msgspec.Struct, frozen=True):
    """New values of ``columns`` for many rows: each row the values and then its key."""

    kind: str
    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


class Delete(msgspec.Struct, frozen=True):
    """No more row whose columns have the values in ``where``."""

    kind: str
    where: Mapping[str, Any]


Change = New | Update | Put | UpdateWhere | NewRows | UpdateRows | Delete
