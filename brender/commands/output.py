"""How answers look in a terminal: lines, tables, times, JSON.

What commands print goes through here (`say`, `print_table`, `print_facts`), so that no name can do anything to a terminal.
"""

import json
import os
import sys
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import click

from brender.api.standing import when as when
from brender.commands.first_word import take_back
from brender.model.symptoms import more_about
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


def line(text: str) -> str:
    """Return *text*, which may hold anybody's names, as one line that a terminal obeys nothing of."""
    return harmless(text)


def has_colors() -> bool:
    """Return whether a terminal may be sent colors: not where ``NO_COLOR`` is set, or ``TERM`` is one that only prints."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM", "") not in ("dumb", "unknown")


def say(text: str, err: bool = False) -> None:
    """Print *text* as one line (`line`); *err*: to standard error."""
    take_back()
    click.echo(line(text), err=err)


def tell_more(*messages: str) -> None:
    """Print which sections of the documentation are about *messages*, each once, where there are any and a person reads along."""
    for more in dict.fromkeys(map(more_about, messages)):
        if more and sys.stderr.isatty():
            tell(more)


def tell(text: str) -> None:
    """Print *text* as one line to standard error: what is to be known beside the answer."""
    say(text, err=True)


def say_lines(text: str, err: bool = False) -> None:
    """Print *text*, which may have several lines, likewise."""
    for each in text.splitlines() or [""]:
        say(each, err)


def say_cut(shown: int, total: int, noun: str, options: str) -> None:
    """Say, below a list, that it stops at *shown* of *total* things; nothing where it has all. *options*: what shows more or
    others."""
    if shown < total:
        say(f"{shown:,} of {total:,} {noun} are listed. More, or others: {options}", err=True)


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2))


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], empty: str, optional: Collection[str] = frozenset()
) -> None:
    """Print a table; *empty* in its place where there are no rows. Cells are text, never markup; a status gets its color.
    Columns that are *optional* are left out if all their cells are empty."""
    texts = [[str(cell) for cell in row] for row in rows]
    if not texts:
        say(empty)
        return
    shown = [place for place, name in enumerate(columns) if name not in optional or any(row[place] for row in texts)]
    from rich.console import Console  # here: it takes a tenth of a second, for which most commands need not wait
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False)
    for place in shown:
        table.add_column(columns[place], overflow="fold")
    for row in texts:
        table.add_row(*(Text(line(row[place]), style=STYLES.get(row[place], "")) for place in shown))
    # Into a pipe nothing is cut or folded to a terminal's width.
    Console(width=None if sys.stdout.isatty() else 400, highlight=False).print(table)


def print_facts(facts: Iterable[tuple[str, Any]]) -> None:
    """Print *facts*, a label and a value each, one below the other; those without a value are left out."""
    for label, value in facts:
        if value not in ("", None):
            say(f"{label + ':':<14}{value}")


def duration(seconds: float | None) -> str:
    """Return a length of time, as 1:02:03 or 4.2 s, or ""."""
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
