"""How answers look in a terminal: tables, times, JSON."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from brender.model.text import harmless

STYLES = {
    "queued": "cyan",
    "active": "bold blue",
    "busy": "bold blue",
    "paused": "yellow",
    "completed": "green",
    "idle": "green",
    "online": "green",
    "failed": "bold red",
    "lost": "bold red",
    "canceled": "dim",
    "offline": "dim",
}


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], empty: str) -> None:
    """A table; *empty* in its place where there are no rows. Cells are text, never markup; a status gets its colour."""
    cells = [[Text(harmless(str(cell)), style=STYLES.get(str(cell), "")) for cell in row] for row in rows]
    if not cells:
        click.echo(empty)
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in cells:
        table.add_row(*row)
    # Into a pipe nothing is cut or folded to a terminal's width.
    Console(width=None if sys.stdout.isatty() else 400, highlight=False).print(table)


def print_facts(facts: Iterable[tuple[str, Any]]) -> None:
    """Print *facts*, a label and a value each, one below the other; those without a value are left out."""
    for label, value in facts:
        if value not in ("", None):
            click.echo(f"{label + ':':<14}{harmless(str(value))}")


def counted(settings: Mapping[str, Any], parts: int) -> str:
    """Return how many frames *parts* of a job with these *settings* are: its film, or each piece of its still, is one of them."""
    if settings.get("pieces"):
        return "1 frame"
    film = settings.get("film")
    frames = parts - 1 if film else parts
    return f"{frames} {'frame' if frames == 1 else 'frames'}{f' and the film {film}' if film else ''}"


def plural(count: int, noun: str) -> str:
    """Return *count* things, such as "1 worker" or "3 workers"."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def when(wall: float | None) -> str:
    """Return a moment, in local time; "" for none."""
    return datetime.fromtimestamp(wall).strftime("%Y-%m-%d %H:%M:%S") if wall else ""


def duration(seconds: float | None) -> str:
    """Return a length of time, as 1:02:03 or 4.2 s; "" for none."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def clock(seconds: float, short: bool = False) -> str:
    """Return *seconds* as a clock shows them; *short*: without a leading zero.

    >>> clock(221), clock(221, short=True), clock(4206)
    ('03:41', '3:41', '1:10:06')
    """
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02}:{rest:02}"
    return f"{minutes}:{rest:02}" if short else f"{minutes:02}:{rest:02}"


def roughly(seconds: float) -> str:
    """Return a length of time as people say it.

    >>> [roughly(each) for each in (0.4, 8, 43, 700, 7800, 200_000)]
    ['1 s', '8 s', '45 s', '12 min', '2 h 10 min', '2 d 7 h']
    """
    if seconds < 55:
        return f"{max(1, round(seconds)) if seconds < 10 else 5 * round(seconds / 5)} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours, minutes = divmod(10 * round(minutes / 10), 60)
    if hours < 36:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def size(count: float) -> str:
    """Bytes, in words."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
