"""`brender why`: in a sentence, why a job waits or a worker renders nothing, or how they stand."""

from pathlib import Path

import click

from brender.api.chosen_job import chosen_job
from brender.api.standing import JUST_JOINED, one_node, standing, worker_standing
from brender.commands.completion import complete_job
from brender.commands.config import Configured
from brender.commands.options import client, common, server_option
from brender.commands.output import say, tell, tell_more
from brender.model.answers import WHY_WORKER
from brender.model.errors import NotFound


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
                said = standing(connection.ask("job", id=chosen_job(connection, name, of_several="newest", notify=tell)))
                say(said)
                tell_more(said)
                return
            except NotFound as error:
                try:
                    row = one_node(connection, "worker", name)
                except NotFound:
                    raise error from None
        else:
            row = one_node(connection, "worker", name)
        say(worker_standing(row) or connection.ask(WHY_WORKER, id=row["id"]) or JUST_JOINED.format(name=row["name"]))
