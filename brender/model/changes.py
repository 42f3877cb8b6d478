"""What a core wants written to the record: plain statements about rows, free of any database.

Kinds and field names are those of the tables (brender.store.tables). A store applies a batch of changes in one
transaction, in this order, and gives every row it touches the batch's change number.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Key = str | int | tuple[str | int | float, ...]


@dataclass(frozen=True, slots=True)
class New:
    """A row that does not exist yet. ``fields`` holds every column that has no default."""

    kind: str
    key: Key
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Update:
    """New values for some fields of the row *key*."""

    kind: str
    key: Key
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Put:
    """A row with these fields: written anew, or over the one that has the same key."""

    kind: str
    key: Key
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class UpdateWhere:
    """New values for every row whose columns have the values in ``where`` (a tuple there means any of them)."""

    kind: str
    where: Mapping[str, Any]
    fields: Mapping[str, Any]


Change = New | Update | Put | UpdateWhere
