"""`brender shares` and `brender limits`: who has used what of the farm, and by which weights and limits."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from brender.commands.completion import complete_project
from brender.commands.config import Configured
from brender.commands.options import client, common, json_option, server_option
from brender.commands.output import duration, print_json, print_table, say
from brender.model.errors import BadInput
from brender.model.quotas import FROM_FILE, QuotaKind, limit_in_words

_HOUR = 3600.0


class OrFile(click.ParamType):  # type: ignore[type-arg]  # click 8.1 has it without one
    """A number, or ``file``: what the settings file says."""

    name = "N|file"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> float | str:
        try:
            return FROM_FILE if value == FROM_FILE else float(value)
        except ValueError:
            self.fail(f"{value!r} is neither a number nor file", param, context)


@click.command(cls=Configured, section="shares", short_help="Show how the farm is shared, and set weights.")
@common
@server_option
@json_option
@click.option("--user", help="The user whose --weight to set.")
@click.option("--project", help="The project whose --weight to set.", shell_complete=complete_project)
@click.option("--weight", type=OrFile(), help="The weight of the user or project: 2 is twice the share of others. [at first: 1]")
@click.option(
    "--half-life", type=OrFile(), metavar="HOURS|file", help="After how many hours earlier use counts half. [default: 1 hour]"
)
def shares(
    data: Path,
    config: Path | None,
    verbose: bool,
    server: str | None,
    as_json: bool,
    user: str | None,
    project: str | None,
    weight: float | str | None,
    half_life: float | str | None,
) -> None:
    """Show who gets the farm and who should, by project and by user, or set their weights.

    Of jobs of equal priority, the one is next whose project has used least, and within the project the one whose user has:
    seconds of machine, divided by the weight. Used time counts half after each half-life. DUE and HAD are parts of the
    farm, or of the user's project, among those that have work.
    """
    named = {kind: name for kind, name in (("user", user), ("project", project)) if name is not None}
    if named and weight is None:
        raise BadInput("Say the weight too: `brender shares --user NAME --weight 2`. Without options all weights are listed")
    if weight is not None and len(named) != 1:
        raise BadInput("Say whose weight it is, a user's or a project's: `brender shares --user NAME --weight 2`")
    with client(server, data) as connection:
        for kind, name in named.items():
            told = connection.manage("set-weight", kind=kind, name=name, weight=weight)
            say(f"The {kind} {name} has the weight {told['weight']:g} from now on")
        if half_life is not None:
            seconds = half_life * _HOUR if isinstance(half_life, float) else half_life
            told = connection.manage("set-half-life", seconds=seconds)
            say(f"Earlier use of the farm counts half after {told['seconds'] / _HOUR:g} hours from now on")
        if named or half_life is not None:
            return
        answer = connection.ask("shares")
    if as_json:
        print_json(answer)
        return
    print_table(
        ("PROJECT", "USER", "WEIGHT", "DUE", "HAD", "MACHINE HOURS", "RUNNING", "WAITING"),
        list(_lines(answer)),
        empty="Nobody has used the farm yet",
    )
    say(f"Older work counts less: half after {duration(answer['half_life'])}")
    weights = [row for row in answer.get("weights", ()) if row["kind"] != QuotaKind.FARM]
    if weights:
        say("")
        print_table(
            ("WEIGHT OF", "NAME", "WEIGHT", "SET BY"),
            [(row["kind"], row["name"], f"{row['weight']:g}", _said_by(row)) for row in weights],
            empty="",
        )


@click.command(cls=Configured, section="limits", short_help="Show limits, and set those of users, projects and licences.")
@common
@server_option
@json_option
@click.option("--user", metavar="NAME=N", help="Run at most N tasks of this user at a time; NAME=none: any number.")
@click.option("--project", metavar="NAME=N", help="Run at most N tasks of this project at a time; NAME=none: any number.")
@click.option(
    "--licence",
    metavar="NAME=N",
    help="The farm has N of this licence. Each task of a job with `submit --licence NAME` takes one.",
)
def limits(
    data: Path,
    config: Path | None,
    verbose: bool,
    server: str | None,
    as_json: bool,
    user: str | None,
    project: str | None,
    licence: str | None,
) -> None:
    """Show the limits, or set them. Tasks that workers hold count. They go on even if you lower a limit.

    A job's own limit is `brender submit --most-workers N`.
    """
    given = [
        (kind, *_limit(kind, said))
        for kind, said in (("user", user), ("project", project), ("licence", licence))
        if said is not None
    ]
    with client(server, data) as connection:
        for kind, name, most in given:
            told = connection.manage("set-limit", kind=kind, name=name, most=most)
            say(f"The {kind} {name} has {limit_in_words(told['most'])} from now on")
        if given:
            return
        rows = connection.ask("limits")
    if as_json:
        print_json(rows)
        return
    print_table(
        ("LIMIT OF", "NAME", "TASKS AT MOST", "TASKS OUT", "SET BY"),
        [(row["kind"], row["name"], str(row["most"]), str(row["live"]), _said_by(row)) for row in rows],
        empty="There are no limits. `brender limits --licence nuke=4` makes one",
    )


def _said_by(row: dict[str, Any]) -> str:
    """Return who set what *row* has, in words."""
    if row.get("said_by") == "file":
        return "the settings file"
    return "command" if row.get("in_file") is None else f"command (the settings file says {row['in_file']:g})"


def _limit(kind: str, said: str) -> tuple[str, int | str | None]:
    """Return the name and the number in *said*, such as ``nuke=4``; ``None`` for none, `FROM_FILE` for what the settings file
    says. Raises `BadInput`."""
    name, equals, number = said.rpartition("=")
    if not equals or not (number in ("none", FROM_FILE) or number.isdecimal()):
        raise BadInput(
            f"--{kind} {said}: say it as NAME=N, such as {name or said or 'ada'}=4, or NAME=none for no limit, or NAME=file for "
            "what the settings file says"
        )
    return name, FROM_FILE if number == FROM_FILE else None if number == "none" else int(number)


def _lines(answer: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """Yield a line for each project, and below it one for each of its users. (A server of before tells of users only.)"""
    for project in answer.get("projects", ()):
        yield project["project"], "", *_shown(project)
        for user in answer["users"]:
            if user["project"] == project["project"]:
                yield "", user["user"] or "(no name)", *_shown(user)


def _shown(row: dict[str, Any]) -> tuple[str, ...]:
    parts = ("" if row[part] is None else f"{row[part] * 100:.0f} %" for part in ("due", "had"))
    return f"{row['weight']:g}", *parts, f"{row['seconds'] / _HOUR:.2f}", f"{row['running']:,}", f"{row['waiting']:,}"
