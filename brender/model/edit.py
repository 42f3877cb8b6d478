"""What of a job may be changed after it was submitted. Pure."""

from typing import Any

import msgspec

from brender.model.errors import BadInput
from brender.model.sharing import Sharing, check_sharing


class Edit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Changes of one job. ``None``: as it is; of how it shares the farm, 0, none or "" is what a job has that says
    nothing. ``settings``: those of its type that change; a setting that is ``None`` is what the
    .blend says. ``from_now_on``: frames that are done stay as they are, although the others will look otherwise."""

    name: str | None = None
    project: str | None = None
    priority: int | None = None
    tags: tuple[str, ...] | None = None
    stall_minutes: float | None = None
    limit_minutes: float | None = None
    most_workers: int | None = None
    licences: tuple[str, ...] | None = None
    pool: str | None = None
    cores: int | None = None
    gpu_memory: int | None = None
    settings: dict[str, Any] = {}
    from_now_on: bool = False

    @property
    def fields(self) -> dict[str, Any]:
        """What changes of the job itself, by the names of `brender.model.job.JobSpec`."""
        names = ("name", "project", "priority", "tags", "stall_minutes", "limit_minutes")
        return {name: value for name in names if (value := getattr(self, name)) is not None}

    def sharing(self, before: Sharing) -> Sharing:
        """Return how the job shares the farm, which did it as *before*. Raises `BadInput`."""
        names = ("most_workers", "licences", "pool", "cores", "gpu_memory")
        given = {name: value for name in names if (value := getattr(self, name)) is not None}
        if given.get("pool") == "":
            given["reclaim_at_once"] = False
        sharing = msgspec.structs.replace(before, **given)
        if given:
            check_sharing(sharing)
        return sharing


def read_edit(value: object) -> Edit:
    """Return *value*, as it came in a message. Raises `BadInput` where it is no edit."""
    try:
        return msgspec.convert(value, Edit)
    except msgspec.ValidationError as error:
        raise BadInput(f"A job cannot be edited so: {error}") from error
