"""The tail as the monitor shows it: messages in words, and a whole one. Pure."""

import json
from datetime import datetime
from typing import Any

import msgspec

from brender.model.text import harmless
from brender.monitor.filters import Filter
from brender.monitor.heard import LINES, Heard
from brender.monitor.tables import MEANINGS, Cell, Column, Table
from brender.monitor.words import Line

_TIMES = frozenset({"submitted", "started", "finished", "last_seen"})
COLUMNS = (
    Column("TIME", 8),
    Column("LEVEL", 7, rank=2),
    Column("FROM", 7, rank=3),
    Column("MESSAGE", 40, grows=True),
)


def tail(heard: Heard, chosen: Filter, until: int | None = None) -> Table:
    """Return the table of the lines that *chosen* fits, the newest last; up to the line of the number *until*, where given."""
    found: dict[str, Line] = {}
    for line in heard.lines:
        if (until is None or line.number <= until) and chosen.fits(line.text, line.named, line.level):
            found[str(line.number)] = line
    of = "" if len(found) == len(heard.lines) else f" of {len(heard.lines):,}"
    skipped = f" · {heard.skipped:,} events were too many to look at" if heard.skipped else ""
    lost = f" · {heard.lost:,} were left out by the server, or lost" if heard.lost else ""
    return Table(
        title=f"{len(found):,}{of} messages{f' (the last {LINES:,})' if len(heard.lines) == LINES else ''}{skipped}{lost}",
        columns=COLUMNS,
        keys=list(found),
        cells=lambda key: _cells(found[key]),
        empty="Nothing has happened yet" if not heard.lines else "No message fits the filter",
    )


def _cells(line: Line) -> list[Cell]:
    meaning = MEANINGS.get(line.level, "")
    return [Cell(time_of(line.wall), "dim"), Cell(line.level, meaning), Cell(line.role, "dim"), Cell(line.text, meaning)]


def time_of(wall: float) -> str:
    """Return the server's time *wall* as a clock shows it here, or ""."""
    return f"{datetime.fromtimestamp(wall):%H:%M:%S}" if wall else ""


def fact(name: str, value: Any) -> str:
    """Return the *value* of a field called *name*, for a person."""
    if name in _TIMES and isinstance(value, float):
        return f"{datetime.fromtimestamp(value):%Y-%m-%d %H:%M:%S}"
    return ", ".join(map(str, value)) if isinstance(value, list) else f"{value:.6g}" if isinstance(value, float) else str(value)


def whole(line: Line) -> str:
    """Return the whole message of *line*, as far as a monitor takes it in."""
    told = line.told
    message = {"kind": told.kind, "key": told.key, "change": told.change, "number": told.number, "wall": told.wall}
    message["fields"] = msgspec.to_builtins(told.fields)
    text = json.dumps(message, indent=2, ensure_ascii=False)
    withheld = f"\n\nNot shown, since it may hold secrets: {', '.join(told.withheld)}" if told.withheld else ""
    return harmless(f"{line.text}\n\n{text}{withheld}", kept="\n")


def line_of(heard: Heard, number: str) -> Line | None:
    """Return the line of that *number*, ``None`` where it has gone."""
    return next((line for line in reversed(heard.lines) if str(line.number) == number), None)
