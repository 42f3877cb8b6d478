"""The commands that back the record up, and put a backup in its place."""

import time
from pathlib import Path

import click

from brender.commands.config import Configured
from brender.commands.options import NamedPath, common
from brender.commands.output import say, size
from brender.store.backup import back_up
from brender.store.backup import restore as put_back
from brender.store.datafolder import DataFolder


@click.command(cls=Configured, section="backup")
@common
@click.option("--database", envvar="BRENDER_DATABASE", help="The server's database, if it is not in the data folder.")
@click.argument("target", required=False, type=NamedPath(dir_okay=False))
def backup(data: Path, config: Path | None, verbose: bool, database: str | None, target: Path | None) -> None:
    """Copy the server's database to TARGET while the farm works. [default: farm-DATE-TIME.db, here]

    To go back to it, stop the server, `brender restore TARGET`, and start it.
    """
    chosen = target or Path(time.strftime("farm-%Y%m%d-%H%M%S.db"))
    folder = DataFolder(data)
    announced = (folder.announced("server") or {}).get("database")
    taken = back_up(database or announced or str(folder.database), chosen)
    say(f"{chosen}: {size(taken)}, checked")


@click.command(cls=Configured, section="backup", short_help="Put back a copy that `brender backup` made.")
@common
@click.option("--database", envvar="BRENDER_DATABASE", help="The server's database, if it is not in the data folder.")
@click.argument("backup", type=NamedPath(dir_okay=False))
def restore(data: Path, config: Path | None, verbose: bool, database: str | None, backup: Path) -> None:
    """Put BACKUP, a copy that `brender backup` made, in the place of the server's database.

    The server must not run. The database that was there is kept beside it.
    """
    folder = DataFolder(data)
    lock = folder.make().lock("server")
    try:
        where = database or str(folder.database)
        kept = put_back(backup, where)
    finally:
        lock.release()
    say(f"{where} is {backup} from now on. Start the server with brender-server (or brender farm)")
    if kept is not None:
        say(f"What was there is kept: {kept}")
