"""`brender version`: which brender this is, and which each role of the farm is."""

import platform
from pathlib import Path

import click

from brender import __version__
from brender.commands.config import Configured
from brender.commands.options import client, common, json_option, server_option
from brender.commands.output import print_json, print_table, say
from brender.model.text import plural
from brender.store.datafolder import DataFolder


@click.command(cls=Configured, section="version", short_help="Print the version of brender, or of each role.")
@common
@server_option
@json_option
@click.option("--farm", is_flag=True, help="Print the version of each role of the running farm.")
def version(data: Path, config: Path | None, verbose: bool, server: str | None, as_json: bool, farm: bool) -> None:
    """Print the version of brender; with --farm, that of each role of the running farm."""
    if not farm:
        if as_json:
            print_json({"brender": __version__, "python": platform.python_version()})
        else:
            say(f"brender {__version__} on Python {platform.python_version()}")
        return
    with client(server, data) as connection:
        its = connection.ask("about")["software"]
        nodes = [(kind, row) for kind in ("manager", "worker") for row in connection.ask(f"{kind}s")]
    roles = [{"role": "server", "name": "", "software": its, "host": ""}]
    announced = DataFolder(data).announced("dashboard")
    if announced is not None:
        roles.append({"role": "dashboard", "name": "", "software": announced.get("software", ""), "host": platform.node()})
    there = [(kind, row) for kind, row in nodes if row["status"] != "offline"]
    roles += [{"role": kind, "name": row["name"], "software": row["software"], "host": row["host"]} for kind, row in there]
    if as_json:
        print_json(roles)
        return
    print_table(
        ("ROLE", "NAME", "BRENDER", "HOST", "NOTE"),
        [(*role.values(), "" if role["software"] == its else "not the server's") for role in roles],
        "",
        {"NOTE"},
    )
    others = sum(role["software"] != its for role in roles)
    say(f"All run brender {its}" if not others else f"The server runs brender {its}; {plural(others, 'role')} another")
