"""Lists that the server answers in pages, asked for as far as they are wanted."""

from collections.abc import Sized
from typing import Any

import click

from brender.api.connection import Asking
from brender.commands.output import say
from brender.model.answers import PAGE

#: Rows of a list that are shown where nobody says how many.
SHOWN = 1000

limit_option = click.option(
    "--limit", type=click.IntRange(1, 10_000_000), help=f"List at most so many. [default: {SHOWN:,}; all with --json]"
)
all_option = click.option("--all", "everything", is_flag=True, help="List all of them.")


def tell_end(rows: Sized, noun: str) -> None:
    """Say so where *rows*, the answer to a question that is not asked in pages, are as many as one answer may have."""
    if len(rows) >= PAGE:
        say(f"The first {PAGE:,} {noun}: there may be more, which are not shown", err=True)


def wanted(limit: int | None, everything: bool, as_json: bool) -> int | None:
    """Return how many rows are wanted, by the options of a list; ``None``: all."""
    return None if everything else limit or (None if as_json else SHOWN)


def counted_in_all(connection: Asking, rows: list[dict[str, Any]], count: int | None, of: str, **arguments: Any) -> int:
    """Return how many rows there are in all, where *rows* are the first *count* of them."""
    return len(rows) if count is None or len(rows) < count else int(connection.ask("count", of=of, **arguments))
