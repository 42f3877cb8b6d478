"""`brender submit`: a .blend, a program or a template, as a job of the farm."""

import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click

from brender.api.job_types import named_type
from brender.api.place import Place
from brender.api.standing import check_ended_well
from brender.api.submitting import Wanted
from brender.api.submitting import submit as submit_wanted
from brender.bus.client import Client
from brender.commands.beginning import after_of, after_options, night_option
from brender.commands.completion import complete_project
from brender.commands.following import done_in_words
from brender.commands.jobspec import limit_options, priority_option, render_options, sharing_of, sharing_options
from brender.commands.latest_picture import LatestPicture
from brender.commands.options import client, common, json_option, pictures_option, server_option, site_option
from brender.commands.output import duration, print_json, say, tell, tell_more
from brender.commands.own_types import Submitting, check_pictures, given_settings, named_values, template_among, without_file_s
from brender.commands.projects import check_project
from brender.commands.screen import INTERRUPTED, Screen
from brender.commands.sending import shown
from brender.commands.shot import fit, shot_facts
from brender.commands.waiting import shown_folder, tell_log_end, wait_for, wait_for_frames
from brender.engines.openjd_templates import compile_template
from brender.jobs.declare import job_type
from brender.jobs.steps import STEPS
from brender.model.errors import RenderFailed
from brender.model.hooks import NEEDS_SOMEBODY
from brender.model.job import JobSpec
from brender.model.job_standing import waiting
from brender.model.text import short_id
from brender.model.units import in_tasks
from brender.store.datafolder import DataFolder

#: Seconds for which `brender submit` waits to hear why the job is not begun.
_REASON_SECONDS = 0.5


@click.command(cls=Submitting, section="submit", short_help="Submit a .blend, a program or a template to the farm.")
@common
@server_option
@json_option
@click.argument("words", nargs=-1, metavar="FILE.blend | TEMPLATE.yaml | -- PROGRAM [ARGUMENTS]...")
@render_options()
@click.option("--type", "kind", default="blender-animation", show_default=True, help="The job type.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="A setting of the job type. May be given several times; `--type TYPE --help` lists them.",
)
@click.option(
    "--param", "parameters", multiple=True, metavar="NAME=VALUE", help="A parameter of an Open Job Description template."
)
@click.option("--project", default="default", show_default=True, shell_complete=complete_project, help="The job's project.")
@click.option("--new-project", is_flag=True, help="Make a new project, even if there is one with a similar name.")
@click.option("--tag", "tags", multiple=True, help="A tag that its workers must have. May be given several times.")
@click.option("--paused", is_flag=True, help="Submit the job paused.")
@after_options
@night_option
@click.option("--wait", is_flag=True, help="Wait until the job has ended, and show its progress.")
@pictures_option
@click.option(
    "--send",
    is_flag=True,
    help="Send the .blend and the files that it uses to the farm, if its workers do not see this machine's files. The frames go "
    "to the server; `brender fetch` brings them here.",
)
@site_option
@priority_option
@sharing_options
@limit_options
def submit(
    data: Path,
    config: Path | None,
    verbose: bool,
    server: str | None,
    as_json: bool,
    words: tuple[str, ...],
    kind: str,
    settings: tuple[str, ...],
    parameters: tuple[str, ...],
    project: str,
    new_project: bool,
    tags: tuple[str, ...],
    paused: bool,
    after: tuple[str, ...],
    after_frames: tuple[str, ...],
    start_at: float | None,
    night: bool,
    wait: bool,
    pictures: bool,
    send: bool,
    site: str,
    priority: int,
    stall_minutes: float,
    limit_minutes: float,
    **options: Any,
) -> None:
    """Submit to the farm: a .blend, a program (--type command), or a template of Open Job Description.

    Arguments of a program may contain {frame}, the frame number: brender submit --type command --frames 1-3 -- echo {frame}
    """
    more: dict[str, Any] = {
        "project": project,
        "tags": tags,
        "paused": paused,
        "after": after_of(after, after_frames),
        "start_at": start_at or 0.0,
        "night": night,
        "priority": priority,
        "stall_minutes": stall_minutes,
        "limit_minutes": limit_minutes,
        "sharing": sharing_of(options),
    }
    check_pictures(pictures, wait)
    chosen: Any  # a job type of brender's, or of a file
    if (template := template_among(words, parameters, settings)) is not None:
        made = compile_template(template, named_values(parameters))
        kind, chosen, given, words = STEPS, job_type(STEPS), made.settings, ()
        called = options["name"] or made.name
        more |= {"tags": (*tags, *made.tags), "warnings": made.warnings}
    else:
        chosen = named_type(data, kind)
        given = given_settings(settings, chosen.settings)
        called = options["name"]
    options = without_file_s(options, chosen)
    wanted_job = Wanted(chosen, kind, given, options, words, called, more, send, site)
    place, may_begin = Place(server, data, tell), partial(check_project, project=project, is_new=new_project)
    spec, accepted = submit_wanted(wanted_job, place, shown, may_begin, tell)
    with client(server, data) as connection:
        if as_json:
            print_json(accepted)
        else:
            for warning in accepted["warnings"] if not wait else ():  # (else it is said while it is waited for)
                say(f"Warning: {warning}", err=True)
                tell_more(warning)
            what = in_tasks(spec.settings, accepted["frames"], accepted["tasks"])
            say(f"Job {short_id(accepted['id'])}, {spec.name}: {what}{_where_to(accepted, spec)}")
            is_said = any(warning.startswith(NEEDS_SOMEBODY) for warning in accepted["warnings"])
            if not wait and not is_said and (reason := _why_it_waits(connection, accepted["id"])):
                say(waiting("It", reason), err=True)
                tell_more(reason)
        if wait:
            screen, folder = Screen(as_json), DataFolder(data)
            picture = LatestPicture.wanted(pictures, screen, folder)
            # A machine that has joined a farm elsewhere may not see the folders of its jobs.
            _wait(connection, spec, screen, picture, place)


def _where_to(accepted: Mapping[str, Any], spec: JobSpec) -> str:
    """Return where the frames of the job go that was *accepted*, as the end of a sentence, or "" if it has none."""
    if spec.bundle and not spec.output:
        return f", to the server; `brender fetch {short_id(accepted['id'])}` brings them"
    return f", to {accepted['output']}" if accepted["output"] else ""


def _why_it_waits(connection: Client, job: str) -> str:
    """Return why nothing renders of *job*, which was submitted just now, or "" if it begins, or nothing is known yet."""
    deadline = time.monotonic() + _REASON_SECONDS
    while True:
        record = connection.ask("job", id=job)
        if record["reason"] or record["status"] != "queued" or time.monotonic() >= deadline:
            return str(record["reason"])
        time.sleep(_REASON_SECONDS / 5)


def _wait(connection: Client, spec: JobSpec, screen: Screen, pictures: LatestPicture | None, place: Place) -> None:
    """Wait until the job has ended, at *place*."""
    with screen:
        if spec.facts is not None and not screen.is_apart:
            for words in fit(shot_facts(spec, shown_folder(spec.output)), screen.width):
                screen.say(words)
        try:
            if place.is_here:
                record = wait_for_frames(connection, spec.id, screen, pictures=pictures, away=place.follow)
            else:
                record = check_ended_well(wait_for(connection, spec.id, screen, pictures=pictures, away=place.follow))
        except RenderFailed as error:
            screen.close(erase=False)
            tell_log_end(connection, spec.id, screen, is_kept=True, told=str(error))
            raise
        except KeyboardInterrupt:
            screen.close(erase=False)
            id = short_id(spec.id)
            told = f"The job goes on without this command. `brender job {id}` shows it, `brender cancel {id}` stops it"
            click.echo(err=True)
            say(told, err=True)
            raise click.exceptions.Exit(INTERRUPTED) from None
    if not screen.is_apart:
        took = f" in {duration(record['finished'] - record['started'])}" if record["started"] else ""
        folder = f": {record['output']}" if record["output"] else ""
        say(f"{done_in_words(record)}{took}{folder}")
