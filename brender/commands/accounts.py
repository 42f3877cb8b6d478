"""`brender accounts`: machine hours, frames and failures, by user, project, worker or day."""

from pathlib import Path
from typing import Any

import click

from brender.commands.completion import complete_project
from brender.commands.config import Configured
from brender.commands.options import client, common, json_option, server_option
from brender.commands.output import print_json, print_table, say
from brender.model.accounts import BY, as_csv
from brender.model.causes import WORDS, Cause
from brender.model.energy import energy_in_words
from brender.model.errors import BadInput
from brender.model.text import plural


@click.command(cls=Configured, section="accounts", short_help="Print machine hours, frames and failures.")
@common
@server_option
@click.option("--by", type=click.Choice(BY), default="user", show_default=True, help="Group the sums by this.")
@click.option(
    "--since", default="", metavar="DAY", help="The first day: 2026-11-01; 7d, 4w or 1y ago; or all.  [default: 30 days]"
)
@click.option("--until", default="", metavar="DAY", help="The last day.  [default: today]")
@click.option("--user", default="", metavar="NAME", help="Only this user.")
@click.option("--project", default="", metavar="NAME", help="Only this project.", shell_complete=complete_project)
@click.option("--worker", default="", metavar="NAME", help="Only the worker of this name.")
@click.option("--csv", "as_csv_", is_flag=True, help="Print comma-separated values, for a spreadsheet.")
@json_option
def accounts(
    data: Path,
    config: Path | None,
    verbose: bool,
    server: str | None,
    by: str,
    since: str,
    until: str,
    user: str,
    project: str,
    worker: str,
    as_csv_: bool,
    as_json: bool,
) -> None:
    """Print machine hours, frames, and failures by their cause. Days are in UTC; an attempt counts for the day on which it ended.
    The sums stay when jobs are deleted."""
    if as_csv_ and as_json:
        raise BadInput("--csv and --json are two ways to print the same: give one of them")
    wanted = {"by": by, "since": since, "until": until, "user": user, "project": project, "worker": worker}
    with client(server, data) as connection:
        told = connection.ask("accounts", **wanted)
    if as_json:
        print_json(told)
    elif as_csv_:
        click.echo(as_csv(told), nl=False)
    else:
        _print(told)


def _print(told: dict[str, Any]) -> None:
    rows, total = told["rows"], told["total"]
    when = f"from {told['since']} to {told['until']}" if told["since"] > "0000" else f"to {told['until']}"
    if not rows:
        say(f"Nothing was rendered {when}. `brender accounts --since all` has all that the farm remembers")
        return
    print_table(
        (told["by"].upper(), "MACHINE HOURS", "FRAMES", "ATTEMPTS", "FAILED", "ENERGY", "WHY"),
        [(row["name"] or "(no name)", *_sums(row)) for row in rows],
        empty="",
    )
    say(f"{_hours(total)} machine hours and {plural(total['frames'], 'frame')} {when}")


def _sums(row: dict[str, Any]) -> tuple[str, ...]:
    causes = ", ".join(f"{row['causes'][cause]:,} {WORDS[cause]}" for cause in Cause if row["causes"].get(cause))
    return _hours(row), f"{row['frames']:,}", f"{row['attempts']:,}", f"{row['failures']:,}", _energy(row), causes


def _energy(row: dict[str, Any]) -> str:
    return energy_in_words(row["joules"], row["metered_seconds"], row["machine_seconds"])


def _hours(row: dict[str, Any]) -> str:
    hours = row["machine_seconds"] / 3600
    return f"{hours:,.2f}" if hours >= 1 else f"{hours:.4f}"
