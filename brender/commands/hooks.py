"""`brender hooks`: whom the server tells of what happens: web addresses and programs."""

import shlex
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from brender.bus.client import Client
from brender.commands.completion import complete_project
from brender.commands.config import Configured
from brender.commands.options import client, common, json_option, server_option
from brender.commands.output import print_json, print_table, say, tell
from brender.commands.paging import tell_end
from brender.model.errors import BadInput, BrenderError, NotFound
from brender.model.hooks import EVENTS

_LOOK_SECONDS = 0.3
_TEST_SECONDS = 15.0
_DEFAULT = ("job-completed", "job-failed", "job-attention")


@click.group(short_help="Tell web addresses and programs of events.")
def hooks() -> None:
    """Tell web addresses, and run programs on the server's machine, when something happens."""


@hooks.command("add", cls=Configured, section="hooks", short_help="Add a hook: a web address or a program.")
@common
@server_option
@click.argument("target", nargs=-1, required=True, metavar="URL|PROGRAM [ARGUMENT]...")
@click.option(
    "--event",
    "events",
    multiple=True,
    type=click.Choice(list(EVENTS)),
    help=f"The event; may be given several times. [default: {', '.join(_DEFAULT)}]",
)
@click.option("--project", default="", shell_complete=complete_project, help="Only for jobs of this project.")
@json_option
def add_hook(
    data: Path,
    config: Path | None,
    verbose: bool,
    server: str | None,
    target: tuple[str, ...],
    events: tuple[str, ...],
    project: str,
    as_json: bool,
) -> None:
    """Add a hook: a web address that gets a POST of signed JSON, or a program that reads the same JSON from its standard input.

    A program must be one that the server's owner lets hooks run (`brender-server --hook-program PATH`); it runs as the server
    does, without a shell. Options of the program come after --.
    """
    kind = "webhook" if target[0].startswith(("http://", "https://")) else "program"
    if kind == "webhook" and len(target) > 1:
        raise BadInput("A web address has no arguments")
    text = target[0] if kind == "webhook" else shlex.join(target)
    with client(server, data) as connection:
        made = connection.manage("subscribe", kind=kind, target=text, events=list(events or _DEFAULT), project=project)
        known = {row["name"] for row in connection.ask("projects")} if project else {project}
    if project not in known:
        tell(f"Warning: there is no project {project} yet. The hook hears of its jobs once there are any")
    if as_json:
        print_json(made)
        return
    say(f"The hook {made['id']} gets the events {', '.join(made['events'])}{f' of the project {project}' if project else ''}")
    if kind == "webhook":
        say(f"Deliveries are signed with the secret {made['secret']}, which is shown only now")
    say(f"`brender hooks test {made['id']}` tries it")


@hooks.command("list", cls=Configured, section="hooks")
@common
@server_option
@json_option
def list_hooks(data: Path, config: Path | None, verbose: bool, server: str | None, as_json: bool) -> None:
    """List the hooks, and the deliveries that wait."""
    with client(server, data) as connection:
        rows = connection.manage("hooks")
    tell_end(rows, "hooks")
    if as_json:
        print_json(rows)
        return
    print_table(
        ("ID", "TARGET", "EVENTS", "PROJECT", "ADDED", "WAITING", "WHY"),
        [
            (row["id"], row["target"], ", ".join(row["events"]), row["project"] or "all", _day(row), row["waiting"], row["error"])
            for row in rows
        ],
        empty="There are no hooks. `brender hooks add https://…` adds one",
        optional={"WHY"},
    )


@hooks.command("test", cls=Configured, section="hooks")
@common
@server_option
@click.argument("id")
def test_hook(data: Path, config: Path | None, verbose: bool, server: str | None, id: str) -> None:
    """Send a test event to the hook ID, and say whether it was accepted."""
    with client(server, data) as connection:
        hook = _hook(connection, id)["id"]
        delivery = connection.manage("test-hook", id=hook)["id"]
        until = time.monotonic() + _TEST_SECONDS
        while time.monotonic() < until:
            row = _hook(connection, hook)
            if delivery not in row["ids"]:
                say(f"The hook {hook} accepted the delivery")
                return
            if row["error"]:
                raise BrenderError(
                    f"The hook {hook} did not accept it: {row['error']}. It is tried again for a day, at growing intervals"
                )
            time.sleep(_LOOK_SECONDS)
        raise BrenderError(f"The hook {hook} has not answered yet; {row['waiting']:,} wait. `brender hooks list` says why")


@hooks.command("remove", cls=Configured, section="hooks")
@common
@server_option
@click.argument("id")
def remove_hook(data: Path, config: Path | None, verbose: bool, server: str | None, id: str) -> None:
    """Remove the hook ID, and its deliveries that wait."""
    with client(server, data) as connection:
        hook = _hook(connection, id)["id"]
        connection.manage("unsubscribe", id=hook)
    say(f"The hook {hook} is removed")


def _hook(connection: Client, start: str) -> dict[str, Any]:
    """Return the one hook whose id begins with *start*. Raises `NotFound` or `BadInput`."""
    found = [row for row in connection.manage("hooks") if start and str(row["id"]).startswith(start)]
    if not found:
        raise NotFound(f"There is no hook {start!r}: `brender hooks list` lists them")
    if len(found) > 1:
        raise BadInput(f"{start!r} means several hooks: write more of the id")
    return dict(found[0])


def _day(row: dict[str, Any]) -> str:
    return f"{datetime.fromtimestamp(row['created']):%Y-%m-%d}"
