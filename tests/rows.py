"""Rows as tests write them into a record."""

from collections.abc import Mapping
from typing import Any

from brender.farm.record import Key, Row, Verb


def new(kind: str, key: Key, fields: Mapping[str, Any]) -> Row:
    """A row that is not there yet."""
    return _row("insert", kind, key, fields)


def put(kind: str, key: Key, fields: Mapping[str, Any]) -> Row:
    """A row, there or not."""
    return _row("put", kind, key, fields)


def update(kind: str, key: Key, fields: Mapping[str, Any]) -> Row:
    """New values of a row that is there."""
    return _row("update", kind, key, fields)


def gone(kind: str, key: Key) -> Row:
    """A row that is to go."""
    return _row("delete", kind, key, {})


def _row(verb: Verb, kind: str, key: Key, fields: Mapping[str, Any]) -> Row:
    return Row(verb, kind, key, tuple(fields), tuple(fields.values()))
