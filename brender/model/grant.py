"""A grant: one attempt, given to one worker; and the order that says how the tasks of its job are run."""

from typing import Any

import msgspec

from brender.model.addon import AddOn
from brender.model.failure_patterns import FailurePattern
from brender.model.field_types import Count, Id, Key, Name, Seconds, Text, Whole
from brender.model.job import Inputs
from brender.model.paths import PathVariable, expand, paths_of, places, platform_of


class FurtherFile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A further file of a frame, such as a file-output node of the compositor writes. ``output`` is relative to the job's output
    folder, or absolute where the .blend names another; ``digest`` its SHA-256, where it travels."""

    output: Text
    size: Count = 0
    digest: Text = ""


class PartGrant(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One part to do. ``output`` is relative to the job's output folder; ``piece`` counts the pieces of a frame from 1, 0 is all
    of it, `brender.model.job.FILM` the film of all frames."""

    id: Count
    frame: Whole
    output: Text = ""
    piece: Whole = 0
    layer: Text = ""
    """The view layer that it shows alone, or "" if it shows those of the job."""
    digest: Text = ""
    """Of a copy: the SHA-256 of the one that the job made of it before, or ""."""


class Order(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What all grants of one job have in common: how its tasks are run."""

    job: Id
    engine: Name
    settings: dict[str, Any]
    output: Text = ""
    blender: tuple[int, int] | None = None
    """The Blender that saved its .blend; ``None``: it has none."""
    oldest_blender: tuple[int, int, int] | None = None
    """The oldest Blender that may open it (major, minor, file subversion); ``None``: the one that saved it."""
    series: tuple[int, int] | None = None
    """The series of Blender that renders all of the job; ``None``: the worker chooses, as workers of before did."""
    trusted: bool = False
    addons: tuple[AddOn, ...] = ()
    """The add-ons that Blender has for it."""
    scene_engine: Text = ""
    """The engine that the scene was saved with, in Blender's own word, or "" if any will do."""
    scene_color: tuple[Text, ...] = ()
    """The display, view and look that the scene was saved with, "" for one that is not known; empty: all of them."""
    inputs: Inputs = Inputs()
    """The files that the .blend used when the job was submitted."""
    views: tuple[Text, ...] = ()
    """What the names of a frame's pictures have more, one for each view (brender.model.views); none: it has one picture."""
    overwrite: bool = False
    """Frames that are there already are rendered again."""
    bundle: str = ""
    """The job's files, which the worker has to have first, and whose frames go to the server (brender.model.bundle)."""
    stall_seconds: Seconds = 0.0
    """An attempt that shows no sign of progress for so long is ended; 0: never."""
    limit_seconds: Seconds = 0.0
    """An attempt that runs for so long is ended; 0: never."""
    paths: tuple[PathVariable, ...] = ()
    """What path variables mean, on every platform and site."""
    cores: Count = 0
    """Each task reserves so many cores of its machine; 0: none."""
    patterns: tuple[FailurePattern, ...] = ()
    """The farm's own patterns of lines that mean failure."""


class Grant(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One attempt given to one worker's slot. How it is run stands in its job's `Order`."""

    attempt: Id
    worker: Key
    term: Text = ""
    """The registration of the worker that it was given to."""
    task: Count
    job: Key
    parts: tuple[PartGrant, ...]
    pieces: tuple[Text, ...] = ()
    """Of the task that merges a still, or makes a film, where files travel: the digest of each piece or frame, or "" for one
    that has no file."""
    repeats: bool = False
    """Another attempt at the same task runs already, and is slow: whichever finishes a frame first has finished it."""


def with_threads(settings: dict[str, Any], cores: int) -> dict[str, Any]:
    """Return *settings* with so many threads as a task reserves *cores*, where the job type has that setting and the job does
    not say fewer; 0: as they are."""
    threads = settings.get("threads")
    if not cores or not isinstance(threads, int) or 0 < threads <= cores:
        return settings
    return {**settings, "threads": cores}


def localized(order: Order, system: str, site: str) -> Order:
    """Return *order* with the path variables of its settings and its output read as a machine has them that runs *system*
    and stands at *site*. Raises `BadInput` where one has no place there."""
    here_platform = platform_of(system)
    here = places(order.paths, here_platform, site)
    read = {name: expand(value, here, here_platform) for name, value in paths_of(order.settings).items()}
    output = expand(order.output, here, here_platform)
    return msgspec.structs.replace(order, settings={**order.settings, **read}, output=output)
