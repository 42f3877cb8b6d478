"""A grant: one attempt, given to one worker, with all that is needed to run it."""

from typing import Any

import msgspec

from brender.model.plain import Count, Id, Name, Text, Whole


class PartGrant(msgspec.Struct, frozen=True, kw_only=True):
    """One part to do. ``output`` is relative to the job's output folder."""

    id: Count
    frame: Whole
    output: Text = ""


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt given to one worker's slot, with all that is needed to run it."""

    attempt: Id
    worker: Id
    term: Text = ""
    """The registration of the worker that it was given to."""
    task: Count
    job: Id
    job_name: Text
    job_type: Name
    engine: Name
    settings: dict[str, Any]
    parts: tuple[PartGrant, ...]
    output: Text = ""
    blender: tuple[int, int] | None = None
    trusted: bool = False
