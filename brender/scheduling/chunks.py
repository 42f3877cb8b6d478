"""How many frames one task should have, where its job leaves that open. Pure."""

#: A task of about a minute: long enough that handing it out costs nothing, short enough to lose.
TARGET_SECONDS = 60.0
MOST_FRAMES = 1000


def chunk_size(frame_seconds: float | None, queued: int, width: int) -> int:
    """Frames in the next task of a job of which *queued* frames wait, each of which takes about *frame_seconds* (``None``: not
    known yet), on a farm of *width* slots.

    One until the time is known, and near the job's end, so that no slot holds the last frames while others idle.

    >>> [chunk_size(2.0, queued, 4) for queued in (10_000, 100, 8)]
    [30, 12, 1]
    """
    if frame_seconds is None:
        return 1
    by_time = int(TARGET_SECONDS / max(frame_seconds, 0.001))
    return max(1, min(by_time, queued // (2 * max(1, width)), MOST_FRAMES))
