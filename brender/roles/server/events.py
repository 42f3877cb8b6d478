"""Events: what is published of the rows that were written. Pure."""

from collections.abc import Iterable, Iterator
from typing import Any

from brender.farm.record import Row

#: Kinds that are published to nobody.
_PRIVATE = frozenset({"key", "token", "user", "api_token", "subscription"})
#: Fields that are large, and that nobody watches.
_TOO_LARGE = "facts"


def events(rows: Iterable[Row]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield for each thing that *rows* are about its kind, its key and its new values."""
    merged: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        if row.verb != "delete" and row.kind not in _PRIVATE:
            merged.setdefault((row.kind, str(row.key)), {}).update(row.fields)
    for (kind, key), fields in merged.items():
        fields.pop(_TOO_LARGE, None)
        yield kind, key, fields
