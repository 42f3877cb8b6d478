"""The options of the command line that describe a job; `brender.api.jobspec` makes the job of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from brender.commands.moments import Moment
from brender.commands.options import NamedPath
from brender.jobs.blender_settings import DEVICES, ENGINES, ORDERS, PROCESSES
from brender.jobs.blender_still import SPLITS
from brender.model.errors import BadInput
from brender.model.job import LIMIT_MINUTES, PRIORITY_NORMAL, STALL_MINUTES
from brender.model.naming import EXTENSIONS
from brender.model.sharing import Sharing, check_sharing
from brender.model.text import read_size

F = TypeVar("F", bound=Callable[..., Any])
_TRUSTED = "Let scripts inside the .blend run, or render without them. [default: refused where there are such]"
_PROCESS = "How Blender is used for it. [default: warm, or in-order where something simulates that is not baked]"


class ChunkSize(click.ParamType):  # type: ignore[type-arg]  # click 8.1 has it without one
    """A number of frames, or ``auto``, which is 0."""

    name = "N|auto"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> int:
        if value == "auto" or value == 0:
            return 0
        try:
            return int(value)
        except ValueError:
            self.fail(f"{value!r} is neither a number of frames nor auto", param, context)


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


class Percent(click.ParamType):  # type: ignore[type-arg]  # click 8.1 has it without one
    """A whole percentage, such as ``50`` or ``50%``."""

    name = "PERCENT"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> int:
        try:
            return int(str(value).strip().removesuffix("%"))
        except ValueError:
            self.fail(f"{value!r} is not a whole percentage, such as 50 or 50%", param, context)


def render_options(function: F) -> F:
    """Return what may be said of a Blender render; what is not said is what the .blend says."""
    said = "[default: what the .blend says]"
    decorators = (
        click.option("--frames", help=f"Frames, such as 1-100x2,150. {said}"),
        click.option("--chunk", type=ChunkSize(), help="Frames in one task. [default: auto, about a minute of work]"),
        click.option("--pieces", type=int, help="Split one frame, a still, into so many pieces for many workers."),
        click.option("--split", type=click.Choice(SPLITS), help="How a still is split. [default: auto]"),
        click.option(
            "--progressive",
            is_flag=True,
            help="Show all frames soon, with few samples, and refine them pass by pass. --passes, --noise and --until imply it.",
        ),
        click.option("--passes", type=int, help="Passes over the frames. [default: 8]"),
        click.option("--noise", type=float, help="Frames with so little noise are done: 0.01 is clean. [default: all samples]"),
        click.option("--until", type=Moment(), help="Refine frames until then. [default: to the last sample]"),
        click.option("--order", type=click.Choice(ORDERS), help="Which frames come first. [default: forward]"),
        click.option("--scene", help=f"The scene. {said}"),
        click.option(
            "--view-layer", "view_layers", multiple=True, metavar="NAME", help=f"A view layer, again for each more. {said}"
        ),
        click.option("--camera", help=f"The camera. {said}"),
        click.option("--engine", type=click.Choice(ENGINES, case_sensitive=False), help=f"The render engine. {said}"),
        click.option("--resolution", type=Percent(), help=f"Percent of the scene's size. {said}"),
        click.option("--samples", type=int, help=f"Samples a pixel. {said}"),
        click.option("--format", type=click.Choice(tuple(EXTENSIONS), case_sensitive=False), help=f"Image format. {said}"),
        click.option("--film", metavar="NAME", help="Make a film of all frames, such as shot.mp4, with the scene's sound."),
        click.option(
            "--denoise-after/--no-denoise-after",
            default=None,
            help="Render frames without denoising, and denoise them one by one in a stage of their own.",
        ),
        click.option(
            "--copy-to", type=NamedPath(), help="Copy each finished frame, and the film, to this folder, as the workers see it."
        ),
        click.option("--pattern", help="Names of the files, # for the frame number's digits. [default: the scene's own]"),
        click.option(
            "--output",
            type=NamedPath(),
            help="The folder for the frames; // is that of the .blend. [default: the scene's own; NAME_frames, here, where that "
            "is a temporary one]",
        ),
        click.option("--overwrite", is_flag=True, help="Render frames that are there already once more."),
        click.option("--process", type=click.Choice(PROCESSES), help=_PROCESS),
        click.option("--device", type=click.Choice(DEVICES), help="What Cycles renders on. [default: what the .blend says]"),
        click.option(
            "--persistent/--no-persistent", default=None, help="Cycles keeps what does not change. [default: --persistent]"
        ),
        click.option(
            "--blender-series",
            "blender",
            metavar="4.5",
            help="The series of Blender that renders all of it. [default: the file's own, else that of most workers]",
        ),
        click.option("--ocio", metavar="FILE", help="The OpenColorIO configuration; none: the workers' own. [default: $OCIO]"),
        click.option("--trusted/--untrusted", default=None, help=_TRUSTED),
        click.option(
            "--addon",
            "addons",
            multiple=True,
            type=click.Path(path_type=Path),
            metavar="PATH",
            help="A Blender add-on that it has: a .zip, a .py file or a folder. Again for each more.",
        ),
        click.option("--no-site-addons", is_flag=True, help="Leave out the add-ons that the farm has for all jobs."),
        click.option("--allow-missing", is_flag=True, help="Render although files that the .blend names are not there."),
        click.option("--name", help="The job's name. [default: the file's]"),
    )
    for decorator in reversed(decorators):
        function = decorator(function)
    return function


def priority_option(function: F) -> F:
    return click.option(
        "--priority", type=click.IntRange(0, 100), default=PRIORITY_NORMAL, show_default=True, help="0 to 100; higher goes first."
    )(function)


def sharing_options(function: F) -> F:
    """Return how the job shares the farm with others."""
    most = click.option(
        "--most-workers", type=click.IntRange(1), metavar="N", help="Give out N of its tasks at a time at most. [default: any]"
    )
    licence = click.option("--licence", "licences", multiple=True, help="A licence that each of its tasks takes one of.")
    pool = click.option("--pool", default="", help="The pool of workers that it belongs to; others help.")
    reclaim = click.option(
        "--reclaim-at-once", is_flag=True, help="Take workers of its pool back from other jobs at once, not after their frame."
    )
    rush = click.option(
        "--rush", is_flag=True, help="If no worker is free, let a running task of lower priority give way. For wranglers."
    )
    cores = click.option(
        "--cores", type=click.IntRange(1), metavar="N", help="Cores that each of its tasks reserves, and uses. [default: none]"
    )
    gpu_memory = click.option(
        "--gpu-memory", type=Size(), help="GPU memory that each of its tasks reserves, such as 8GB. [default: none]"
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
        help="End an attempt that shows no sign of progress for so long; 0: never.",
    )
    limit = click.option(
        "--limit-minutes",
        type=click.FloatRange(0, 1e6),
        default=LIMIT_MINUTES,
        show_default=True,
        help="End an attempt that runs for so long; 0: never.",
    )
    return stall(limit(function))
