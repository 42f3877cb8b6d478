"""Commands about add-ons: those that the farm gives every job, and brender's own, which submits from inside Blender."""

from pathlib import Path
from typing import Any

import click
import msgspec

from brender.api.place import Place
from brender.api.sending import send_addons
from brender.blender_addon.build import addon_zip
from brender.commands.config import Configured
from brender.commands.options import client, common, json_option, server_option
from brender.commands.output import print_json, print_table, say, tell, when
from brender.commands.sending import shown
from brender.model.addon import AddOn
from brender.model.errors import BadInput
from brender.model.text import size_in_words


@click.group(short_help="Manage the Blender add-ons of every job; build brender's own.")
def addon() -> None:
    """Manage the Blender add-ons that every job gets, and build brender's own, which submits from inside Blender.

    `brender submit --addon` gives an add-on to a single job.
    """


@addon.command("list", cls=Configured, section="addon")
@common
@server_option
@json_option
def list_addons(data: Path, config: Path | None, verbose: bool, server: str | None, as_json: bool) -> None:
    """List the add-ons that every new job gets."""
    with client(server, data) as connection:
        rows = connection.ask("addons")
    if as_json:
        print_json(rows)
        return
    print_table(
        ("ADD-ON", "VERSION", "MODULE", "SIZE", "BY", "SINCE"),
        [_shown(row) for row in rows],
        empty="The farm has no add-ons. `brender addon add PATH` gives the farm one",
    )
    if missing := [row["module"] for row in rows if not row.get("is_here", True)]:
        say(
            f"Warning: the files of {' and '.join(missing)} are not on the server (any more), and renders that would have "
            f"{'it' if len(missing) == 1 else 'them'} are refused: `brender addon add PATH` adds them again",
            err=True,
        )


def _shown(row: dict[str, Any]) -> tuple[str, ...]:
    addon = row["addon"]
    name = addon["name"] if row.get("is_here", True) else f"{addon['name']} (without its files)"
    return name, addon["version"], row["module"], size_in_words(addon["size"]), row["user"], when(row["wall"])


@addon.command("add", cls=Configured, section="addon", short_help="Give every new job an add-on.")
@common
@server_option
@click.argument("path", type=click.Path(path_type=Path), metavar="PATH")
def add_addon(data: Path, config: Path | None, verbose: bool, server: str | None, path: Path) -> None:
    """Give every new job the add-on at PATH: a .zip, a .py file, or a folder. It replaces another version of the same add-on.
    Jobs that were submitted earlier keep theirs."""
    (added,) = send_addons([path], Place(server, data, tell), shown)
    with client(server, data) as connection:
        told = connection.manage("add-addon", addon=msgspec.to_builtins(added))
    instead = f", in the place of {told['replaced']}" if told["replaced"] else ""
    say(f"Every render that is submitted from now on has the add-on {added.label}{instead}")
    if unfit := told.get("unfit"):
        say(
            f"Warning: {added.label} {unfit}, and no worker that runs add-ons has such a Blender: every render waits for one. "
            f"`brender addon remove {added.module}` takes it away again",
            err=True,
        )
    if told["unable"]:
        one = told["unable"] == 1
        who, it = ("1 worker takes", "it") if one else (f"{told['unable']} workers take", "them")
        say(f"Warning: {who} no such renders, as add-ons may not run there: start {it} with `--accept-trusted`", err=True)


@addon.command("remove", cls=Configured, section="addon", short_help="Stop giving an add-on to new jobs.")
@common
@server_option
@click.argument("name")
def remove_addon(data: Path, config: Path | None, verbose: bool, server: str | None, name: str) -> None:
    """Give new jobs the add-on NAME no more. NAME is its name or its module."""
    with client(server, data) as connection:
        told = connection.manage("remove-addon", name=name)
    removed = msgspec.convert(told["addon"], AddOn)
    say(f"Jobs that are submitted from now on do not have the add-on {removed.label}")


@addon.command("build", short_help="Write the add-on that submits from inside Blender.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--address", default="", metavar="URL", help="The address of the farm's page, for the add-on.")
def build_addon(file: Path, address: str) -> None:
    """Write the add-on that submits from inside Blender to FILE, a zip that Blender installs.

    The page Submit of a farm has it too, with the farm's own address in it.
    """
    if file.suffix != ".zip":
        raise BadInput(f"Blender installs a zip, and {file} is not called so: `brender addon build {file.with_suffix('.zip')}`")
    try:
        file.write_bytes(addon_zip(address.strip().rstrip("/")))
    except OSError as error:
        raise BadInput(f"{file} cannot be written: {error.strerror}") from error
    say(f"{file} is written: install it in Blender by Edit, Preferences, Add-ons, Install from Disk")
