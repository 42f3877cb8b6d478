"""What whoever listens to events is told of what was recorded. Pure."""

from collections.abc import Iterable, Iterator
from typing import Any

from brender.model.changes import Change, New, NewRows, Put, Update, UpdateRows, UpdateWhere

#: What nobody is told of who listens to events.
_UNTOLD = frozenset({"key", "token", "user", "api_token", "subscription"})
#: Fields that are large, and that nobody watches.
_TOO_LARGE = "facts"

Told = tuple[str, str, dict[str, Any]]


def told(changes: Iterable[Change]) -> Iterator[Told]:
    """For each thing that *changes* are about: its kind, its key, and its new values together. A change of many at once is told
    as one of its kind's plural, with the key of their job."""
    merged: dict[tuple[str, str], dict[str, Any]] = {}
    for change in changes:
        if isinstance(change, UpdateWhere):
            yield f"{change.kind}s", str(change.where.get("job", "")), dict(change.fields)
        elif isinstance(change, NewRows | UpdateRows):
            key_at = 0 if isinstance(change, NewRows) else len(change.columns)
            for row in change.rows:
                values = row[1:] if isinstance(change, NewRows) else row[:-1]
                merged.setdefault((change.kind, str(row[key_at])), {}).update(zip(change.columns, values, strict=True))
        elif isinstance(change, New | Put | Update):
            merged.setdefault((change.kind, str(change.key)), {}).update(change.fields)
    for (kind, key), fields in merged.items():
        if kind not in _UNTOLD:
            fields.pop(_TOO_LARGE, None)
            yield kind, key, fields
