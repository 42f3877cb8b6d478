"""When jobs begin: the options of `brender submit` that say so, and `brender when`, that changes it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from brender.api.chosen_job import chosen_job
from brender.api.place import user
from brender.commands.completion import complete_job, job_argument
from brender.commands.config import Configured
from brender.commands.options import client, common, server_option
from brender.commands.output import say, tell
from brender.commands.output import when as clock
from brender.model.beginning import After, Beginning, parse_start
from brender.model.errors import BadInput
from brender.model.text import job_in_words

F = TypeVar("F", bound=Callable[..., Any])


class StartTime(click.ParamType):  # type: ignore[type-arg]  # click 8.1 has it without one
    """A time to come."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> float:
        try:
            return value if isinstance(value, float) else parse_start(str(value), datetime.now())
        except BadInput as error:
            self.fail(str(error), param, context)


def after_options(function: F) -> F:
    """``--after``, ``--after-frames``, ``--start-at``."""
    decorators = (
        click.option(
            "--after",
            multiple=True,
            metavar="JOB",
            shell_complete=complete_job,
            help="Begin once this job is completed. May be given several times.",
        ),
        click.option(
            "--after-frames",
            multiple=True,
            metavar="JOB",
            shell_complete=complete_job,
            help="Begin each frame once the same frame of this job is done. May be given several times.",
        ),
        click.option("--start-at", type=StartTime(), help="Begin at this time: 22:00, 2026-12-24 22:00, or +2h30m from now."),
    )
    for decorator in reversed(decorators):
        function = decorator(function)
    return function


def night_option(function: F) -> F:
    """``--night``, of a new job."""
    return click.option(
        "--night",
        is_flag=True,
        help="Run only at night, in the hours that the server has for that. Frames that still run in the morning finish.",
    )(function)


def after_of(whole: Sequence[str], by_frame: Sequence[str]) -> tuple[After, ...]:
    """Return what ``--after`` and ``--after-frames`` name."""
    return (*map(After, whole), *(After(each, by_frame=True) for each in by_frame))


@click.command(cls=Configured, section="when", short_help="Say when a job begins: after others, at a time, at night, or now.")
@common
@server_option
@job_argument
@after_options
@click.option("--not-after", multiple=True, metavar="JOB", help="No longer wait for this job. May be given several times.")
@click.option("--any-time", is_flag=True, help="No longer wait for a time.")
@click.option(
    "--night/--by-day", default=None, help="Run only at night, in the hours that the server has for that; or also by day."
)
@click.option("--now", "at_once", is_flag=True, help="Begin now: no longer wait for jobs, a time or the night.")
def when(
    data: Path,
    config: Path | None,
    verbose: bool,
    server: str | None,
    id: str,
    after: tuple[str, ...],
    after_frames: tuple[str, ...],
    start_at: float | None,
    not_after: tuple[str, ...],
    any_time: bool,
    night: bool | None,
    at_once: bool,
) -> None:
    """Say when a job begins; without an option, show what it waits for. Finished frames stay."""
    if start_at and any_time:
        raise BadInput("Give --start-at or --any-time, not both")
    wanted = bool(after or after_frames or not_after or start_at or any_time or night is not None or at_once)
    with client(server, data) as connection:
        id = chosen_job(connection, id, of_several="newest" if not wanted else "only", notify=tell)
        record = connection.ask("job", id=id)
        if wanted:
            known = Beginning() if at_once else _without(record, not_after)
            added = after_of(after, after_frames)
            beginning = Beginning(
                after=(*known.after, *added),
                start_at=0.0 if any_time else start_at or known.start_at,
                night=known.night if night is None else night,
            )
            connection.act("when", record["id"], value=msgspec.to_builtins(beginning), user=user())
            record = connection.ask("job", id=record["id"])
    for line in said_of_beginning(record):
        say(line)


def _without(record: Mapping[str, Any], not_after: Iterable[str]) -> Beginning:
    """Return when the job of *record* begins, without the jobs *not_after*. Raises `BadInput` where it does not wait for one."""
    after = list(record["waits"])
    for named in not_after:
        found = [each for each in after if each["job"].startswith(named) or each["name"] == named]
        if not found:
            raise BadInput(f"{job_in_words(record['id'], record['name'])} does not wait for {named!r}")
        after = [each for each in after if each not in found]
    return Beginning(
        after=tuple(After(each["job"], each["by_frame"]) for each in after), start_at=record["start_at"], night=record["night"]
    )


def said_of_beginning(record: Mapping[str, Any]) -> list[str]:
    """Return when the job of *record* begins, a line for each condition."""
    lines = []
    for each in record["waits"]:
        how = "frame by frame after" if each["by_frame"] else "after"
        called = job_in_words(each["job"], each["name"]) if each["name"] else f"a job that is deleted ({each['job'][:8]})"
        lines.append(f"It begins {how} {called}" + (f": {each['status']}, {each['done']}" if each["status"] else ""))
    if record["start_at"]:
        lines.append(f"It begins at {clock(record['start_at'])}")
    if record["night"]:
        lines.append("It runs at night alone")
    if not lines:
        lines.append("It waits for nothing but a worker")
    if record["waiting_for"] and record["reason"]:
        lines.append(f"Now: {record['reason']}")
    return lines
