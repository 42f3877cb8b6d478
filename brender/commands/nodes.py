"""Commands about the farm's machines: workers and managers."""

from pathlib import Path

import click

from brender.commands.config import Configured
from brender.commands.options import client, common, json_option, server_option
from brender.commands.output import print_json, print_table, size, when


@click.command(cls=Configured, section="workers")
@common
@server_option
@json_option
def workers(data: Path, config: Path | None, verbose: bool, server: str | None, as_json: bool) -> None:
    """List the workers, what they have and what they render."""
    with client(server, data) as connection:
        rows = connection.ask("workers")
    if as_json:
        print_json(rows)
        return
    print_table(
        ("NAME", "STATUS", "JOB", "FRAME", "CPU", "MEMORY", "BLENDER", "MANAGER", "ID"),
        [
            (
                row["name"],
                row["status"],
                row["job_name"],
                "" if row["frame"] is None else row["frame"],
                f"{row['stats']['cpu_percent']:.0f} %" if row["stats"] else "",
                f"{size(row['stats']['memory_used'])} of {size(row['stats']['memory_total'])}" if row["stats"] else "",
                ", ".join(f"{blender['kind']} {blender['version']}" for blender in row["blenders"]) or "none",
                row["manager_name"],
                row["id"][:8],
            )
            for row in rows
        ],
        empty="There are no workers. `brender-worker` starts one",
    )


@click.command(cls=Configured, section="managers")
@common
@server_option
@json_option
def managers(data: Path, config: Path | None, verbose: bool, server: str | None, as_json: bool) -> None:
    """List the managers."""
    with client(server, data) as connection:
        rows = connection.ask("managers")
    if as_json:
        print_json(rows)
        return
    print_table(
        ("NAME", "STATUS", "WORKERS", "ADDRESS", "HOST", "LAST SEEN", "ID"),
        [
            (row["name"], row["status"], row["workers"], row["address"], row["host"], when(row["last_seen"]), row["id"][:8])
            for row in rows
        ],
        empty="There are no managers. `brender-manager` starts one",
    )
