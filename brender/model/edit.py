"""What of a job may be changed after it was submitted. Pure."""

from typing import Any

import msgspec

from brender.model.errors import BadInput


class Edit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Changes of one job. ``None``: as it is. ``settings``: those of its type that change; a setting that is ``None`` is what the
    .blend says. ``from_now_on``: frames that are done stay as they are, although the others will look otherwise."""

    name: str | None = None
    project: str | None = None
    priority: int | None = None
    tags: tuple[str, ...] | None = None
    stall_minutes: float | None = None
    limit_minutes: float | None = None
    settings: dict[str, Any] = {}
    from_now_on: bool = False

    @property
    def fields(self) -> dict[str, Any]:
        """What changes of the job itself, by the names of `brender.model.job.JobSpec`."""
        names = ("name", "project", "priority", "tags", "stall_minutes", "limit_minutes")
        return {name: value for name in names if (value := getattr(self, name)) is not None}


def read_edit(value: object) -> Edit:
    """Return *value*, as it came in a message. Raises `BadInput` where it is no edit."""
    try:
        return msgspec.convert(value, Edit)
    except msgspec.ValidationError as error:
        raise BadInput(f"A job cannot be edited so: {error}") from error
