"""The commands that back the record up, and put a backup in its place."""

import shutil
import time
from pathlib import Path

import click

from brender.commands.config import Configured
from brender.commands.database import database_words
from brender.commands.options import NamedPath, common
from brender.commands.output import say
from brender.model.errors import BadInput
from brender.model.text import harmless, plural, size_in_words, some_of
from brender.store.archive import (
    CONTENTS,
    RECORD,
    is_archive,
    lay_in,
    put_keys_back,
    put_nodes_back,
    unpack_archive,
    write_archive,
)
from brender.store.backup import back_up, check_kind, in_words, leap
from brender.store.backup import restore as put_back
from brender.store.database import shown
from brender.store.datafolder import DataFolder
from brender.store.in_use import lock_servers_out
from brender.store.last_seen import record_of

_database = click.option("--database", envvar="BRENDER_DATABASE", help="The server's database, if it is not in the data folder.")


@click.command(cls=Configured, section="backup")
@common
@_database
@click.option(
    "--with",
    "what",
    type=click.Choice([*CONTENTS, "all"]),
    multiple=True,
    help="Also save these, in one archive: the farm's keys, files that clients sent (blobs), frames in the data folder, logs, "
    "the farm's own job types. May be given several times.",
)
@click.argument("target", required=False, type=NamedPath(dir_okay=False))
def backup(
    data: Path, config: Path | None, verbose: bool, database: str | None, what: tuple[str, ...], target: Path | None
) -> None:
    """Copy the server's record to TARGET while the farm works. [default: farm-DATE-TIME.db, here; with --with: .tar]

    To go back to it, stop the server, `brender restore TARGET`, and start it.
    """
    folder = DataFolder(data)
    where = record_of(folder, database)
    chosen = target or Path(time.strftime("farm-%Y%m%d-%H%M%S" + (".tar" if what else ".db")))
    if what:
        chosen_contents = frozenset(CONTENTS) if "all" in what else frozenset(what)
        taken = write_archive(folder, where, chosen, chosen_contents)
        held = "the record, " + ", ".join(name for name in CONTENTS if name in chosen_contents)
        say(f"{chosen}: {size_in_words(taken.size)}, checked; it holds {held}")
        if taken.left_out:
            named = some_of([harmless(str(path.relative_to(folder.root))) for path in taken.left_out])
            one = len(taken.left_out) == 1
            say(f"Warning: It is without {named}: {'a link that leads' if one else 'links that lead'} nowhere", err=True)
        if "keys" in chosen_contents:
            say("Anyone who has it has the farm's keys: keep it where nobody else can read it")
    else:
        say(f"{chosen}: {size_in_words(back_up(where, chosen))}, checked")


@click.command(cls=Configured, section="restore", short_help="Put back a copy that `brender backup` made.")
@common
@_database
@click.option("--as-it-is", is_flag=True, help="Use the record that is there, although it is older than the server last saw it.")
@click.argument("backup", required=False, type=NamedPath(dir_okay=False))
def restore(data: Path, config: Path | None, verbose: bool, database: str | None, as_it_is: bool, backup: Path | None) -> None:
    """Put BACKUP, which `brender backup` or the server made, in the place of the server's record.

    The server must not run. The earlier record is kept. An archive (`brender backup --with`) also brings the keys, blobs,
    frames, logs and job types that it holds; such files that are there already stay as they are.
    """
    if (backup is None) != as_it_is:
        raise BadInput("Name the backup to restore, or say --as-it-is to go on with the record that is there; not both")
    if backup is not None and not backup.is_file():
        raise BadInput(f"There is no backup {backup}")
    folder = DataFolder(data)
    where = record_of(folder, database)
    with lock_servers_out(folder.make(), where):
        if backup is None:
            leap(where)
            say(f"The server goes on with {shown(where)} as it is. {_start(where, folder)}")
        elif is_archive(backup):
            _restore_archive(backup, where, folder)
        else:
            _say_restored(backup, where, folder, put_back(backup, where, folder.backups))


def _start(where: str, folder: DataFolder) -> str:
    if where == str(folder.database):
        return "Start it with brender-server (or brender farm)"
    return f"Start it with brender-server {database_words(where)}"


def _restore_archive(archive: Path, where: str, folder: DataFolder) -> None:
    """Put what is in *archive* in its place: files, which replace none, then the record, and its keys at once after it. One that
    fails has changed neither of these two; one that is cut off can be done again."""
    unpacked = folder.root / "restoring"
    shutil.rmtree(unpacked, ignore_errors=True)
    try:
        unpack_archive(archive, unpacked)
        check_kind(unpacked / RECORD)
        try:
            added = lay_in(unpacked, folder)
        except OSError as error:
            raise BadInput(
                f"The files of {archive} could not be written to {folder.root}: {in_words(error)}. Do it again"
            ) from error
        kept = put_back(unpacked / RECORD, where, folder.backups)
        _say_restored(archive, where, folder, kept)
        try:
            keys = put_keys_back(unpacked, folder)
            nodes = put_nodes_back(unpacked, folder)
        except OSError as error:
            raise BadInput(
                f"But the farm still has its earlier keys: {folder.root / 'keys'} could not be replaced: {in_words(error)}. "
                "Do it again"
            ) from error
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)
    say(f"{plural(added, 'file')} added to {folder.root}")
    if nodes:
        say("The managers and workers of this data folder have the keys from the archive")
    if keys is not None:
        say(f"The farm has the keys from the archive; the earlier ones are kept: {keys}")


def _say_restored(backup: Path, where: str, folder: DataFolder, kept: Path | None) -> None:
    say(f"{shown(where)} is {backup} from now on. {_start(where, folder)}")
    if kept is not None:
        say(f"What was there is kept: {kept}")
