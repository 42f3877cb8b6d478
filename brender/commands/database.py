"""The command that moves a farm's record from one database to another."""

import shlex
from pathlib import Path

import click

from brender.commands.config import Configured
from brender.commands.options import common
from brender.commands.output import say
from brender.model.text import plural
from brender.store.database import is_url, shown
from brender.store.moving import move as move_record


@click.group()
def database() -> None:
    """Move the record between SQLite and PostgreSQL."""


@database.command(cls=Configured, section="database", short_help="Copy the farm's record into another, empty database.")
@common
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
def move(data: Path, config: Path | None, verbose: bool, source: str, target: str) -> None:
    """Copy the farm's record FROM one database TO another, which is empty, and compare both.

    Each is a file of SQLite, such as farm.db in the data folder, or a postgresql:// URL. No server may run on either. FROM
    stays as it is.
    """
    tables = move_record(source, target)
    rows = sum(table.rows for table in tables.values())
    say(f"{plural(rows, 'row')} of {plural(len(tables), 'table')} moved; counts and hashes of every table are the same in both")
    start = f"brender-server {database_words(target)}"
    say(f"Start the server with {start} from now on. {shown(source)} is as it was: it goes no further")


def database_words(where: str) -> str:
    """Return the option that names the database at *where*, and that its password belongs there, which is never shown."""
    if not is_url(where):
        return f"--database {shlex.quote(str(Path(where).absolute()))}"
    hidden = " (with its password, which is not shown here)" if shown(where) != where else ""
    return f"--database {shlex.quote(shown(where))}{hidden}"
