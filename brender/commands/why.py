"""`brender why`: in a sentence, why a job waits or a worker renders nothing, or how they stand."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from brender.api.chosen_job import chosen_job
from brender.commands.completion import complete_job
from brender.commands.config import Configured
from brender.commands.nodes import one_node
from brender.commands.options import client, common, server_option
from brender.commands.output import say, tell, when
from brender.model.answers import WHY_WORKER
from brender.model.errors import NotFound
from brender.model.obstacle import short_name
from brender.model.text import job_in_words, plural, short_id, some_of

_MOMENT = "The worker {name} joined a moment ago: ask again"


@click.command(cls=Configured, section="why", short_help="Say why a job waits, or a worker does nothing.")
@common
@server_option
@click.option(
    "--worker", "of_worker", is_flag=True, help="It is a worker that is asked about. [default: unless a job is called so]"
)
@click.argument("name", metavar="JOB|WORKER", shell_complete=complete_job)
def why(data: Path, config: Path | None, verbose: bool, server: str | None, of_worker: bool, name: str) -> None:
    """Say why a job waits or a worker renders nothing, and what to do about it."""
    with client(server, data) as connection:
        if not of_worker:
            try:
                say(standing(connection.ask("job", id=chosen_job(connection, name, of_several="newest", notify=tell))))
                return
            except NotFound as error:
                try:
                    row = one_node(connection, "worker", name)
                except NotFound:
                    raise error from None
        else:
            row = one_node(connection, "worker", name)
        say(worker_standing(row) or connection.ask(WHY_WORKER, id=row["id"]) or _MOMENT.format(name=row["name"]))


def worker_standing(row: Mapping[str, Any]) -> str:
    """Return how the worker of *row* stands, where that is not for the scheduler to say; else ""."""
    name = short_name(row["name"])
    if row["status"] == "offline":
        why = f": {row['reason']}" if row["reason"] else ""
        seen = f"The worker {name} is not there, last seen {when(row['last_seen'])}{why}"
        return f"{seen}. Start it on its machine with `brender-worker`"
    if row["status"] == "error":
        return f"The worker {name} cannot render: {row['reason']}"
    if row["job"] and row["frame"] is not None:
        return f"The worker {name} renders frame {row['frame']} of {row['job_name'] or short_id(row['job'])}"
    return ""


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
