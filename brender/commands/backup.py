"""The command that backs the record up."""

import time
from pathlib import Path

import click

from brender.commands.config import Configured
from brender.commands.options import common
from brender.commands.output import size
from brender.store.backup import back_up
from brender.store.datafolder import DataFolder


@click.command(cls=Configured, section="backup")
@common
@click.option("--database", envvar="BRENDER_DATABASE", help="The server's database, if it is not in the data folder.")
@click.argument("target", required=False, type=click.Path(path_type=Path, dir_okay=False))
def backup(data: Path, config: Path | None, verbose: bool, database: str | None, target: Path | None) -> None:
    """Copy the server's database to TARGET while the farm works. [default: farm-DATE-TIME.db, here]

    To go back to it, stop the server, put the copy in the place of farm.db (remove farm.db-wal and farm.db-shm), and start it.
    """
    chosen = target or Path(time.strftime("farm-%Y%m%d-%H%M%S.db"))
    folder = DataFolder(data)
    announced = (folder.announced("server") or {}).get("database")
    taken = back_up(database or announced or str(folder.database), chosen)
    click.echo(f"{chosen}: {size(taken)}, checked")
