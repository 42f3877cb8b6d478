"""The options of the command line that describe a job; `brender.api.jobspec` makes the job of them. Those of the settings of a
render are made from the declarations of its job types."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, TypeVar

import click

from brender.commands.options import NamedPath
from brender.commands.setting_options import GroupedOption, add_option, option_of
from brender.jobs.declare import FILES, MACHINES, ORDER, WHAT, render_settings
from brender.model.errors import BadInput
from brender.model.job import LIMIT_MINUTES, PRIORITY_NORMAL, STALL_MINUTES
from brender.model.sharing import Sharing, check_sharing
from brender.model.text import read_size

F = TypeVar("F", bound=Callable[..., Any])
_TRUSTED = "Run scripts inside the .blend, or render without them. [default: a file with scripts is refused]"


class Size(click.ParamType):  # type: ignore[type-arg]  # click 8.1 has it without one
    """A size of memory, such as ``8GB``, in bytes."""

    name = "SIZE"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> int:
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)  # as the settings file may have it
        try:
            return read_size(str(value))
        except BadInput as error:
            self.fail(str(error), param, context)


def render_options(*, apart: Collection[str] = ()) -> Callable[[F], F]:
    """Return what gives a command an option for each setting of brender's own job types for renders, but for those named in
    *apart*, and for what else may be said of a render."""
    settings = [option_of(setting) for setting in render_settings().values() if setting.name not in apart]

    def decorate(function: F) -> F:
        for option in reversed([*settings, *_more_of_a_render()]):
            add_option(function, option)
        return function

    return decorate


def _more_of_a_render() -> tuple[click.Option, ...]:
    """Return the options of a render that are no settings of its job type."""
    return (
        GroupedOption(["--name"], help="The job's name. [default: the file's]", group=WHAT),
        GroupedOption(
            ["--progressive"],
            is_flag=True,
            help="Render all frames with few samples first, then refine them in further passes. --passes, --noise, --until and "
            "--refine imply it.",
            group=ORDER,
        ),
        GroupedOption(
            ["--output"],
            type=NamedPath(),
            help="The folder for the frames; // is the folder of the .blend. [default: the scene's own, or NAME_frames, "
            "here, if that is a temporary one]",
            group=FILES,
        ),
        GroupedOption(["--overwrite"], is_flag=True, help="Render frames again that are in the folder already.", group=FILES),
        GroupedOption(
            ["--allow-missing"], is_flag=True, help="Render even if files are missing that the .blend uses.", group=FILES
        ),
        GroupedOption(["--trusted/--untrusted"], default=None, help=_TRUSTED, group=MACHINES),
        GroupedOption(
            ["--addon", "addons"],
            multiple=True,
            type=click.Path(path_type=Path),
            metavar="PATH",
            help="A Blender add-on for the job: a .zip, a .py file or a folder. May be given several times.",
            group=MACHINES,
        ),
        GroupedOption(
            ["--no-site-addons"],
            is_flag=True,
            help="Do not use the add-ons that the farm gives to every job.",
            group=MACHINES,
        ),
    )


def priority_option(function: F) -> F:
    return click.option(
        "--priority",
        type=click.IntRange(0, 100),
        default=PRIORITY_NORMAL,
        show_default=True,
        help="The job's priority, 0 to 100; higher goes first.",
    )(function)


def sharing_options(function: F) -> F:
    """Return how the job shares the farm with others."""
    most = click.option(
        "--most-workers", type=click.IntRange(1), metavar="N", help="Run at most N of its tasks at a time. [default: any number]"
    )
    licence = click.option(
        "--licence", "licences", multiple=True, help="Each task takes one of this licence. May be given several times."
    )
    pool = click.option("--pool", default="", help="The job's pool of workers; other workers help if they are free.")
    reclaim = click.option(
        "--reclaim-at-once",
        is_flag=True,
        help="Take workers of its pool back from other jobs at once, without waiting for the end of their frame.",
    )
    rush = click.option(
        "--rush",
        is_flag=True,
        help="If no worker is free, stop a task of lower priority, and render that one later. For wranglers.",
    )
    cores = click.option(
        "--cores", type=click.IntRange(1), metavar="N", help="Number of cores that each task reserves and uses. [default: none]"
    )
    gpu_memory = click.option(
        "--gpu-memory", type=Size(), help="GPU memory that each task reserves, such as 8GB. [default: none]"
    )
    return most(licence(pool(reclaim(rush(cores(gpu_memory(function)))))))


def sharing_of(options: dict[str, Any]) -> Sharing:
    """Take what `sharing_options` gave out of *options*; return it. Raises `BadInput`."""
    sharing = Sharing(
        most_workers=options.pop("most_workers") or 0,
        licences=tuple(options.pop("licences")),
        pool=options.pop("pool"),
        reclaim_at_once=options.pop("reclaim_at_once"),
        rush=options.pop("rush"),
        cores=options.pop("cores") or 0,
        gpu_memory=options.pop("gpu_memory") or 0,
    )
    check_sharing(sharing)
    return sharing


def limit_options(function: F) -> F:
    """Return how long an attempt at one of the job's tasks may take."""
    stall = click.option(
        "--stall-minutes",
        type=click.FloatRange(0, 1e6),
        default=STALL_MINUTES,
        show_default=True,
        help="End an attempt after so many minutes without progress; 0: never.",
    )
    limit = click.option(
        "--limit-minutes",
        type=click.FloatRange(0, 1e6),
        default=LIMIT_MINUTES,
        show_default=True,
        help="End an attempt that runs for so many minutes; 0: never.",
    )
    return stall(limit(function))
