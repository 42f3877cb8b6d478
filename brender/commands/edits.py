"""Commands that make another job of one: `brender edit`, a new revision of it, and `brender clone`, a job of its own."""

import shlex
from pathlib import Path
from typing import Any

import click
import msgspec

from brender.api.chosen_job import chosen_job
from brender.api.cloning import submit_again
from brender.api.connection import Again
from brender.api.place import user
from brender.commands.beginning import after_of, after_options, night_option
from brender.commands.changes import Changing, change_of, change_options
from brender.commands.completion import job_argument
from brender.commands.options import NamedPath, client, common, json_option, server_option, site_option
from brender.commands.output import print_json, say, tell
from brender.commands.projects import check_project
from brender.model.beginning import Beginning
from brender.model.edit import Edit
from brender.model.errors import BadInput
from brender.model.text import job_in_words, short_id
from brender.model.units import in_tasks
from brender.store.datafolder import DataFolder


@click.command(cls=Changing, section="edit", short_help="Change a job: name, tags, limits, samples, frames.")
@common
@server_option
@job_argument
@change_options(of_edit=True)
@site_option
@click.option(
    "--from-now-on", is_flag=True, help="Change only frames that are still to render; finished frames stay as they are."
)
def edit(
    data: Path,
    config: Path | None,
    verbose: bool,
    server: str | None,
    id: str,
    site: str,
    from_now_on: bool,
    **options: Any,
) -> None:
    """Change a job. Finished frames stay, unless the change would make them look different: then they are rendered again."""
    with client(server, data) as connection:
        record = connection.ask("job", id=chosen_job(connection, id, of_several="only", notify=tell))
        change = change_of(options, record, connection, site, from_now_on)
        if change == Edit(from_now_on=from_now_on):
            raise BadInput("Say what is to change, such as --priority 80: `brender edit --help` lists what can")
        if change.project is not None:
            check_project(connection, change.project, options["new_project"])
        connection.act("edit", record["id"], value=msgspec.to_builtins(change), user=user())
        record = connection.ask("job", id=record["id"])
    said = record["revisions"][-1]["said"]
    say(f"Job {short_id(record['id'])} is {record['status']}. Revision {record['revision']}: {said}")


@click.command(cls=Changing, section="clone", short_help="Submit a job again, with changes.")
@common
@server_option
@json_option
@job_argument
@change_options(of_edit=False)
@click.option("--output", type=NamedPath(), help="The folder for the frames. [default: NAME_2, beside the first job's folder]")
@click.option("--overwrite", is_flag=True, help="Render frames again that are in the folder already.")
@click.option("--paused", is_flag=True, help="Submit the job paused.")
@after_options
@night_option
@site_option
def clone(
    data: Path,
    config: Path | None,
    verbose: bool,
    server: str | None,
    as_json: bool,
    id: str,
    output: Path | None,
    overwrite: bool,
    paused: bool,
    after: tuple[str, ...],
    after_frames: tuple[str, ...],
    start_at: float | None,
    night: bool,
    site: str,
    **options: Any,
) -> None:
    """Submit a job again, with the same settings, files, add-ons and tags, except for what you change. Its frames go to a new
    folder, or to --output. It waits for no other job or time, and copies its frames nowhere, unless you give those options."""
    with client(server, data) as connection:
        record = connection.ask("job", id=chosen_job(connection, id, of_several="newest", notify=tell))
        change = change_of(options, record, connection, site)
        if change.project is not None:
            check_project(connection, change.project, options["new_project"])
        beginning = Beginning(after=after_of(after, after_frames), start_at=start_at or 0.0, night=night)
        again = Again(change, str(output or ""), overwrite, paused, beginning, site)
        spec, accepted = submit_again(connection, record, again, DataFolder(data).local_key.exists())
    if as_json:
        print_json(accepted)
        return
    for warning in accepted["warnings"]:
        say(f"Warning: {warning}", err=True)
    if (copies := record["settings"].get("copy_to")) and not spec.settings.get("copy_to"):
        does = f"`--copy-to {shlex.quote(copies)}` does"
        say(f"Its frames are not copied to {copies}, as those of the first were: {does}", err=True)
    what = in_tasks(spec.settings, accepted["frames"], accepted["tasks"])
    where = f" to {accepted['output']}" if accepted["output"] else ""
    say(f"Job {short_id(accepted['id'])}, {spec.name}: {what}{where}, as {job_in_words(record['id'], record['name'])}")
