"""The accounts: their days, and how programs for tables read them, as comma-separated values. Pure."""

import csv
import io
from collections.abc import Mapping
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

from brender.model.causes import Cause
from brender.model.energy import kwh

#: What the sums are told by.
BY = ("user", "project", "worker", "day")
#: How a text begins that a spreadsheet would take for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

_DAY = 86_400
_EPOCH = date(1970, 1, 1)


def day_of(wall: float) -> str:
    """Return the day of *wall* (seconds since the epoch) in UTC, as ``2026-11-26``.

    >>> day_of(0.0)
    '1970-01-01'
    """
    return _day(int(wall // _DAY))


@lru_cache(maxsize=8)
def _day(number: int) -> str:
    return (_EPOCH + timedelta(days=number)).isoformat()


def as_csv(told: Mapping[str, Any]) -> str:
    """Return the accounts *told* (`brender.store.accounts`) as CSV (RFC 4180), with a line of headings."""
    text = io.StringIO()
    writer = csv.writer(text)
    causes = [str(cause) for cause in Cause]
    writer.writerow(
        [
            told["by"],
            "machine_hours",
            "frames",
            "attempts",
            "failures",
            "kwh",
            "metered_hours",
            *(f"failed_{each}" for each in causes),
        ]
    )
    for row in told["rows"]:
        counts = [row["causes"].get(each, 0) for each in causes]
        hours = f"{row['machine_seconds'] / 3600:.4f}"
        measured = row["metered_seconds"] > 0
        energy = [f"{kwh(row['joules']):.6f}", f"{row['metered_seconds'] / 3600:.4f}"] if measured else ["", "0"]
        writer.writerow([_harmless(row["name"]), hours, row["frames"], row["attempts"], row["failures"], *energy, *counts])
    return text.getvalue()


def _harmless(name: str) -> str:
    """Return *name* so that no spreadsheet takes it for a formula."""
    return f"'{name}" if name.startswith(_FORMULA) else name
