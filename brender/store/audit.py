"""Whether the record is what the farm in memory says: each entity's row against the row that the database has."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from brender.farm.record import Entity, Row
from brender.store.writer import Writer

_ROWS_A_QUERY = 500


def differences(writer: Writer, entities: Iterable[Entity]) -> Iterator[str]:
    """Yield a sentence for each column in which a row of *entities* is not as the entity says."""
    for kind, group in groupby(sorted(entities, key=lambda each: each.kind), key=lambda each: each.kind):
        several = list(group)
        for start in range(0, len(several), _ROWS_A_QUERY):
            yield from _differences(writer, kind, several[start : start + _ROWS_A_QUERY])


def _differences(writer: Writer, kind: str, entities: list[Entity]) -> Iterator[str]:
    columns = ("id", *entities[0].columns)
    quoted = ", ".join(f'"{column}"' for column in columns)
    marks = ", ".join([writer.database.param] * len(entities))
    statement = f'SELECT {quoted} FROM "{kind}" WHERE "id" IN ({marks})'
    cursor = writer.database.execute_sql(statement, [entity.key for entity in entities])
    rows: dict[Any, tuple[Any, ...]] = {row[0]: row[1:] for row in cursor.fetchall()}
    wanted = writer.as_written([Row("update", kind, entity.key, entity.columns, entity.values()) for entity in entities])
    for entity, written in zip(entities, wanted, strict=True):
        if (recorded := rows.get(entity.key)) is None:
            yield f"the {kind} {entity.key} has no row"
            continue
        for column, mine, theirs in zip(entity.columns, written, recorded, strict=True):
            if mine != theirs:
                yield f"the {column} of the {kind} {entity.key} is {mine!r}, and the record says {theirs!r}"
