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
_TRUSTED = "Run scripts inside the .blend, or render without them. [default: a file with scripts is refused]"
_PROCESS = (
    "Keep Blender open between frames (warm), start it for each (cold), or go through all earlier frames first (in-order). "
    "[default: warm; in-order if a simulation is not baked]"
)


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
        click.option("--chunk", type=ChunkSize(), help="Number of frames in one task. [default: auto, about a minute of work]"),
        click.option("--pieces", type=int, help="Split a still (one frame) into so many pieces, which several workers render."),
        click.option("--split", type=click.Choice(SPLITS), help="How a still is split. [default: auto]"),
        click.option(
            "--progressive",
            is_flag=True,
            help="Render all frames with few samples first, then refine them in further passes. --passes, --noise and --until "
            "imply it.",
        ),
        click.option(
            "--passes",
            type=int,
            help="Equal passes of a progressive render. [default: 4 that double the samples; 8 with --noise or --until]",
        ),
        click.option(
            "--noise",
            type=float,
            help="Stop refining a frame once it has this little noise; 0.01 is clean. [default: render all samples]",
        ),
        click.option("--until", type=Moment(), help="Stop refining frames at this time. [default: render all samples]"),
        click.option(
            "--order", type=click.Choice(ORDERS), help="The order of the frames; preview: every eighth first. [default: forward]"
        ),
        click.option("--scene", help=f"The scene. {said}"),
        click.option(
            "--view-layer", "view_layers", multiple=True, metavar="NAME", help=f"A view layer. May be given several times. {said}"
        ),
        click.option("--camera", help=f"The camera. {said}"),
        click.option("--engine", type=click.Choice(ENGINES, case_sensitive=False), help=f"The render engine. {said}"),
        click.option("--resolution", type=Percent(), help=f"Percent of the scene's size. {said}"),
        click.option("--samples", type=int, help=f"Samples per pixel. {said}"),
        click.option("--format", type=click.Choice(tuple(EXTENSIONS), case_sensitive=False), help=f"Image format. {said}"),
        click.option("--film", metavar="NAME", help="Make a film of all frames, such as shot.mp4, with the scene's sound."),
        click.option(
            "--denoise-after/--no-denoise-after",
            default=None,
            help="Render the frames without denoising, and denoise them afterwards, one by one.",
        ),
        click.option(
            "--copy-to",
            type=NamedPath(),
            help="Also copy each finished frame, and the film, to this folder. Give the path that workers see.",
        ),
        click.option(
            "--pattern", help="Names of the files, with # for each digit of the frame number. [default: the scene's own]"
        ),
        click.option(
            "--output",
            type=NamedPath(),
            help="The folder for the frames; // is the folder of the .blend. [default: the scene's own, or NAME_frames, "
            "here, if that is a temporary one]",
        ),
        click.option("--overwrite", is_flag=True, help="Render frames again that are in the folder already."),
        click.option("--process", type=click.Choice(PROCESSES), help=_PROCESS),
        click.option(
            "--device",
            type=click.Choice(DEVICES),
            help="Whether Cycles renders on the GPU or CPU. [default: what the .blend says]",
        ),
        click.option(
            "--persistent/--no-persistent",
            default=None,
            help="Let Cycles keep data that does not change between frames. [default: --persistent]",
        ),
        click.option(
            "--blender-series",
            "blender",
            metavar="4.5",
            help="The version of Blender that renders all frames. [default: the file's own, or that of most workers]",
        ),
        click.option("--ocio", metavar="FILE", help="The OpenColorIO configuration; none: each worker's own. [default: $OCIO]"),
        click.option("--trusted/--untrusted", default=None, help=_TRUSTED),
        click.option(
            "--addon",
            "addons",
            multiple=True,
            type=click.Path(path_type=Path),
            metavar="PATH",
            help="A Blender add-on for the job: a .zip, a .py file or a folder. May be given several times.",
        ),
        click.option("--no-site-addons", is_flag=True, help="Do not use the add-ons that the farm gives to every job."),
        click.option("--allow-missing", is_flag=True, help="Render even if files are missing that the .blend uses."),
        click.option("--name", help="The job's name. [default: the file's]"),
    )
    for decorator in reversed(decorators):
        function = decorator(function)
    return function


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
