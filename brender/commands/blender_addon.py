"""`brender blender-addon`: the add-on by which artists submit from inside Blender, as a zip to install there."""

from pathlib import Path

import click

from brender.blender_addon.build import addon_zip
from brender.commands.output import say
from brender.model.errors import BadInput


@click.command("blender-addon", short_help="Write the add-on that submits from inside Blender.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--address", default="", metavar="URL", help="The address of the farm's page, for the add-on.")
def blender_addon(file: Path, address: str) -> None:
    """Write the add-on that submits from inside Blender to FILE, a zip that Blender installs.

    The page Submit of a farm has it too, with the farm's own address in it. (`brender addon` is about add-ons that renders have.)
    """
    if file.suffix != ".zip":
        raise BadInput(f"Blender installs a zip, and {file} is not called so: `brender blender-addon {file.with_suffix('.zip')}`")
    try:
        file.write_bytes(addon_zip(address.strip().rstrip("/")))
    except OSError as error:
        raise BadInput(f"{file} cannot be written: {error.strerror}") from error
    say(f"{file} is written: install it in Blender by Edit, Preferences, Add-ons, Install from Disk")
