"""`brender why`: in a sentence, why a job waits, or how it stands."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from brender.commands.chosen_job import chosen_job
from brender.commands.completion import job_argument
from brender.commands.config import Configured
from brender.commands.options import client, common, server_option
from brender.commands.output import say
from brender.model.text import job_in_words, plural, short_id, some_of


@click.command(cls=Configured, section="why")
@common
@server_option
@job_argument
def why(data: Path, config: Path | None, verbose: bool, server: str | None, id: str) -> None:
    """Say why a job waits, and what to do about it."""
    with client(server, data) as connection:
        say(standing(connection.ask("job", id=chosen_job(connection, id, of_several="newest"))))


def standing(record: Mapping[str, Any]) -> str:
    """Return how the job of *record* stands and why, with the command that changes it where there is one."""
    called, id = job_in_words(record["id"], record["name"]), short_id(record["id"])
    reason, status = str(record["reason"]).rstrip("."), record["status"]
    verb = "is" if 1 in (record["units_done"], record["units"]) else "are"
    in_pass = f" in pass {record['pass_number']} of {record['passes']}" if record.get("passes") else ""
    done = f"{record['units_done']:,} of {plural(record['units'], record['unit'])} {verb} done{in_pass}"
    if status == "failed":
        more = f"`brender log {id}` prints the log of what failed, `brender requeue {id}` renders it again"
        return f"{called} failed: {reason or 'it is not said why'}. {more}"
    if status == "paused":
        return f"{called} is paused, {done}. `brender resume {id}` goes on"
    if status not in ("queued", "active"):
        return f"{called} is {status}" + (f": {reason}" if reason and reason != status else "")
    if names := sorted({at["name"] for at in record["rendering"]}):
        most = (record.get("sharing") or {}).get("most_workers", 0)
        limited = f". It has {plural(most, 'worker')} at most (`--most-workers`)" if most and len(names) >= most else ""
        return f"{called} renders on {some_of(names)}: {done}{limited}"
    return f"{called} waits. {reason}" if reason else f"{called} has its turn in a moment: {done}"
