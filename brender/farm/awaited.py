"""A job that other jobs wait for, as far as these have to know it; it need not be in memory itself. Pure."""

from dataclasses import dataclass, field

from brender.model.ranges import Ranges
from brender.model.status import JobStatus
from brender.model.units import Units

NOTHING_DONE = Units("frame", 0, 0)


@dataclass(eq=False)
class Awaited:
    """``status``: ``None`` where it was deleted. ``done``: how far it is. ``frames``: those that are done, where some
    job waits for it by frame; ``None``: nobody does, or it is not known (then it has to be completed)."""

    id: str
    name: str
    status: JobStatus | None
    done: Units = NOTHING_DONE
    frames: Ranges | None = None
    placing: dict[tuple[str, int], int] = field(default_factory=dict)
    """Its frames that are done and not in its folder yet, by attempt and part."""
    waiting: set[str] = field(default_factory=set)
    """The unfinished jobs that wait for it."""

    @property
    def is_completed(self) -> bool:
        return self.status is JobStatus.COMPLETED

    def has(self, frame: int) -> bool:
        """Return whether *frame* is done."""
        return self.is_completed or (self.frames is not None and frame in self.frames)
