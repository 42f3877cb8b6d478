"""Frames that are refined pass by pass, in the record: each pass is a part, and the latest with a picture is the frame."""

from typing import Any

from peewee import fn

from brender.jobs.pieces import is_piece
from brender.model.status import PartStatus
from brender.store.tables import Tables


def pictures(tables: Tables, job: str, passes: int) -> Any:
    """Return the condition that a part of *job*, which goes over its frames in so many *passes* (0: as other jobs do), is the
    finished picture of a frame, the best that there is of it."""
    part = tables.Part
    done = (part.job == job) & (part.status == PartStatus.COMPLETED)
    if not passes:
        return done & (part.piece == 0)
    latest = tables.Part.alias()
    has_picture = (latest.job == job) & (latest.status == PartStatus.COMPLETED) & (latest.output != "")
    of_each = latest.select(fn.MAX(latest.id)).where(has_picture).group_by(latest.frame, latest.layer, latest.view)
    return done & part.id.in_(of_each)


def accumulated(tables: Tables, which: Any) -> dict[tuple[str, int], str]:
    """Return the digest of what each frame has accumulated, by job and frame, of the parts for *which* that condition holds."""
    part = tables.Part
    query = part.select(part.job, part.frame, part.further_files).where(
        which & (part.status == PartStatus.COMPLETED) & (part.piece > 0)
    )
    found: dict[tuple[str, int], str] = {}
    for job, frame, further_files in query.order_by(part.id).tuples():
        for further in further_files:
            if is_piece(further["output"]):
                found[job, frame] = further.get("digest", "")
    return found


def noises(tables: Tables, job: str) -> dict[int, float]:
    """Return the noise of each frame of *job*, as it was measured last."""
    part = tables.Part
    query = part.select(part.frame, part.noise).where((part.job == job) & part.noise.is_null(False))
    return dict(query.order_by(part.id).tuples())
