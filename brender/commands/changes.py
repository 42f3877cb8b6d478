"""The options of `brender edit` and `brender clone` that change a job; those of its settings are made from the declarations."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click

from brender.api.connection import Asking
from brender.api.job_types import check_said_once, with_script
from brender.api.jobspec import chosen_configuration, placed_folder, shared_folder, shared_path
from brender.commands.completion import complete_project
from brender.commands.config import Configured
from brender.commands.jobspec import Size
from brender.commands.own_types import given_settings
from brender.commands.setting_options import add_option, help_of_change, option_of, write_options
from brender.engines.destination import output_folder
from brender.jobs.declare import Setting, edited_settings, job_type, render_settings
from brender.model.edit import Edit
from brender.model.errors import BadInput
from brender.model.paths import BUILT_IN

F = TypeVar("F", bound=Callable[..., Any])
#: The settings that name a folder or a file of this machine.
_PATHS = ("copy_to", "ocio")


class Changing(Configured):
    """A command that changes a job: its ``--help`` has the options of settings in their groups."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        write_options(self, ctx, formatter)


def change_options(*, of_edit: bool) -> Callable[[F], F]:
    """Return what gives a command the options that change a job: *of_edit*, those that an edit may change, else those of a
    clone."""
    settings = [option_of(each, help_of_change(each, of_edit)) for each in changed_settings(of_edit).values()]

    def decorate(function: F) -> F:
        for option in reversed(settings):
            add_option(function, option)
        for decorator in reversed(_OF_THE_JOB):
            function = decorator(function)
        return function

    return decorate


def changed_settings(of_edit: bool) -> dict[str, Setting]:
    """Return the settings that have an option of `brender edit`, or else of `brender clone`, by name."""
    return edited_settings() if of_edit else edited_settings() | render_settings()


_OF_THE_JOB: tuple[Callable[..., Any], ...] = (
    click.option("--name", help="The job's name."),
    click.option("--project", shell_complete=complete_project, help="The job's project."),
    click.option("--new-project", is_flag=True, help="Make a new project, even if there is one with a similar name."),
    click.option("--priority", type=click.IntRange(0, 100), help="The job's priority, 0 to 100; higher goes first."),
    click.option(
        "--tag", "tags", multiple=True, help="A tag that its workers must have. The tags that you give replace the earlier ones."
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
    click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="NAME=VALUE",
        help="A setting of its job type that has no option here. May be given several times.",
    ),
)


def change_of(
    options: Mapping[str, Any], record: Mapping[str, Any], connection: Asking, site: str, from_now_on: bool | None = None
) -> Edit:
    """Return what the *options* of `change_options` say of the job of *record*. *site*: where this machine stands, for paths;
    *from_now_on*: whether finished frames stay, of an edit (``None``: it is a clone). Raises `BadInput`."""
    if options["tags"] and options["no_tags"]:
        raise BadInput("Give --tag or --no-tags, not both")
    if options["licences"] and options["no_licences"]:
        raise BadInput("Give --licence or --no-licences, not both")
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
        settings=_settings(options, record, connection, site, of_edit=from_now_on is not None),
        from_now_on=bool(from_now_on),
    )


def _settings(
    options: Mapping[str, Any], record: Mapping[str, Any], connection: Asking, site: str, of_edit: bool
) -> dict[str, Any]:
    """Return the settings that the *options* change, each by its own option or by ``--set``. Raises `BadInput`."""
    named = given_settings(options["settings"], job_type(record["job_type"]).settings)
    by_option = {name: options[name] for name in changed_settings(of_edit) if options[name] not in (None, ())}
    check_said_once(by_option, named)
    given = {name: list(value) if isinstance(value, tuple) else value for name, value in by_option.items()}
    paths = {name: value for name, value in given.items() if name in _PATHS}
    given |= _placed(paths, record, connection, site) if paths else {}
    given |= named
    return with_script(given) if record["job_type"] == "script" else given


def _placed(paths: dict[str, Any], record: Mapping[str, Any], connection: Asking, site: str) -> dict[str, Any]:
    """Return *paths* of this machine (the folder for copies, the OpenColorIO configuration) as the job of *record* has them.
    Raises `BadInput`."""
    known: dict[str, Any] = {"variables": connection.ask("paths"), "site": site}
    if "copy_to" in paths:
        folder = Path(output_folder(str(paths["copy_to"])))
        paths["copy_to"] = placed_folder(folder, partial(shared_folder, **known))
    if "ocio" in paths:
        name = chosen_configuration(paths["ocio"])
        if name and not name.startswith(BUILT_IN):
            if record["bundle"]:
                raise BadInput(
                    f"The files of this job were sent to the farm, and {name} is not among them: submit its .blend again with "
                    "--send --ocio"
                )
            name = shared_path(name, **known)
        paths["ocio"] = name
    return paths
