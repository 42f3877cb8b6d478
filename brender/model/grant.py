"""A grant: one attempt, given to one worker; and the order that says how the tasks of its job are run."""

from typing import Any

import msgspec

from brender.model.plain import Count, Id, Key, Name, Seconds, Text, Whole


class PartGrant(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One part to do. ``output`` is relative to the job's output folder; ``piece`` counts the pieces of a frame from 1, 0 is all
    of it."""

    id: Count
    frame: Whole
    output: Text = ""
    piece: Count = 0


class Order(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What all grants of one job have in common: how its tasks are run."""

    job: Id
    engine: Name
    settings: dict[str, Any]
    output: Text = ""
    blender: tuple[int, int] | None = None
    trusted: bool = False
    scene_engine: Text = ""
    """The engine that the scene was saved with, in Blender's own word; "": any will do."""
    overwrite: bool = False
    """Frames that are there already are rendered anew."""
    bundle: str = ""
    """The job's files, which the worker has to have first, and whose frames go to the server (brender.model.bundle)."""
    stall_seconds: Seconds = 0.0
    """An attempt that shows no sign of progress for so long is ended; 0: never."""
    limit_seconds: Seconds = 0.0
    """An attempt that runs for so long is ended; 0: never."""


class Grant(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One attempt given to one worker's slot. How it is run stands in its job's `Order`."""

    attempt: Id
    worker: Key
    term: Text = ""
    """The registration of the worker that it was given to."""
    task: Count
    job: Key
    parts: tuple[PartGrant, ...]
    repeats: bool = False
    """Another attempt at the same task runs already, and is slow: whichever finishes a frame first has finished it."""
