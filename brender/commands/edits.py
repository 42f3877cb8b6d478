"""Commands that make another job of one: `brender edit`, a new revision of it, and `brender clone`, a job of its own."""

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from brender.api.chosen_job import chosen_job
from brender.api.cloning import submit_again
from brender.api.connection import Again
from brender.api.place import user
from brender.commands.beginning import after_of, after_options, night_option
from brender.commands.completion import complete_project, job_argument
from brender.commands.config import Configured
from brender.commands.jobspec import Size
from brender.commands.options import NamedPath, client, common, json_option, server_option, site_option
from brender.commands.output import print_json, say, tell
from brender.commands.own_types import given_settings
from brender.commands.projects import check_project
from brender.jobs.clones import OWN_OPTIONS
from brender.jobs.declare import job_type
from brender.model.beginning import Beginning
from brender.model.edit import Edit
from brender.model.errors import BadInput
from brender.model.text import job_in_words, short_id
from brender.model.units import in_tasks
from brender.store.datafolder import DataFolder

F = TypeVar("F", bound=Callable[..., Any])


def change_options(function: F) -> F:
    """What may be said otherwise of a job."""
    decorators = (
        click.option("--name", help="The job's name."),
        click.option("--project", shell_complete=complete_project, help="The job's project."),
        click.option("--new-project", is_flag=True, help="Make a new project, even if there is one with a similar name."),
        click.option("--priority", type=click.IntRange(0, 100), help="The job's priority, 0 to 100; higher goes first."),
        click.option(
            "--tag",
            "tags",
            multiple=True,
            help="A tag that its workers must have. The tags that you give replace the earlier ones.",
        ),
        click.option("--no-tags", is_flag=True, help="Its workers need no tag."),
        click.option(
            "--stall-minutes",
            type=click.FloatRange(0, 1e6),
            help="End an attempt after so many minutes without progress; 0: never.",
        ),
        click.option(
            "--limit-minutes", type=click.FloatRange(0, 1e6), help="End an attempt that runs for so many minutes; 0: never."
        ),
        click.option(
            "--most-workers", type=click.IntRange(0), metavar="N", help="Run at most N of its tasks at a time; 0: any number."
        ),
        click.option(
            "--licence",
            "licences",
            multiple=True,
            help="Each task takes one of this licence. Those that you give replace the earlier ones.",
        ),
        click.option("--no-licences", is_flag=True, help="Its tasks take no licence."),
        click.option("--pool", help='The pool of workers for the job; "": none.'),
        click.option("--cores", type=click.IntRange(0), metavar="N", help="Cores that each task reserves; 0: none."),
        click.option("--gpu-memory", type=Size(), help="GPU memory that each task reserves, such as 8GB; 0: none."),
        click.option("--frames", help="Frames, such as 1-100x2,150."),
        click.option("--samples", type=int, help="Samples per pixel."),
        click.option("--resolution", type=int, help="Percent of the scene's size."),
        click.option("--format", help="Image format. All frames are rendered again; the earlier files stay."),
        click.option(
            "--pattern",
            help="Names of the files, with # for each digit of the frame number. All frames are rendered again; the earlier "
            "files stay.",
        ),
        click.option("--engine", help="The render engine."),
        click.option("--camera", help="The camera."),
        click.option(
            "--set", "settings", multiple=True, metavar="NAME=VALUE", help="Another setting. May be given several times."
        ),
    )
    for decorator in reversed(decorators):
        function = decorator(function)
    return function


def _change(options: Mapping[str, Any], record: Mapping[str, Any], from_now_on: bool = False) -> Edit:
    """Return what the *options* of `change_options` say of the job of *record*. Raises `BadInput`."""
    if options["tags"] and options["no_tags"]:
        raise BadInput("Give --tag or --no-tags, not both")
    if options["licences"] and options["no_licences"]:
        raise BadInput("Give --licence or --no-licences, not both")
    given = {name: options[name] for name in OWN_OPTIONS if options[name] is not None}
    given |= given_settings(options["settings"], job_type(record["job_type"]).settings)
    return Edit(
        name=options["name"],
        project=options["project"],
        priority=options["priority"],
        tags=() if options["no_tags"] else options["tags"] or None,
        stall_minutes=options["stall_minutes"],
        limit_minutes=options["limit_minutes"],
        most_workers=options["most_workers"],
        licences=() if options["no_licences"] else options["licences"] or None,
        pool=options["pool"],
        cores=options["cores"],
        gpu_memory=options["gpu_memory"],
        settings=given,
        from_now_on=from_now_on,
    )


@click.command(cls=Configured, section="edit", short_help="Change a job: name, tags, limits, samples, frames.")
@common
@server_option
@job_argument
@change_options
@click.option(
    "--from-now-on", is_flag=True, help="Change only frames that are still to render; finished frames stay as they are."
)
def edit(data: Path, config: Path | None, verbose: bool, server: str | None, id: str, from_now_on: bool, **options: Any) -> None:
    """Change a job. Finished frames stay, unless the change would make them look different: then they are rendered again."""
    with client(server, data) as connection:
        record = connection.ask("job", id=chosen_job(connection, id, of_several="only", notify=tell))
        change = _change(options, record, from_now_on)
        if change == Edit(from_now_on=from_now_on):
            raise BadInput("Say what is to change, such as --priority 80: `brender edit --help` lists what can")
        if change.project is not None:
            check_project(connection, change.project, options["new_project"])
        connection.act("edit", record["id"], value=msgspec.to_builtins(change), user=user())
        record = connection.ask("job", id=record["id"])
    said = record["revisions"][-1]["said"]
    say(f"Job {short_id(record['id'])} is {record['status']}. Revision {record['revision']}: {said}")


@click.command(cls=Configured, section="clone", short_help="Submit a job again, with changes.")
@common
@server_option
@json_option
@job_argument
@change_options
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
        change = _change(options, record)
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
        does = f"`--set {shlex.quote(f'copy_to={copies}')}` does"
        say(f"Its frames are not copied to {copies}, as those of the first were: {does}", err=True)
    what = in_tasks(spec.settings, accepted["frames"], accepted["tasks"])
    where = f" to {accepted['output']}" if accepted["output"] else ""
    say(f"Job {short_id(accepted['id'])}, {spec.name}: {what}{where}, as {job_in_words(record['id'], record['name'])}")
