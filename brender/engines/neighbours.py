"""What of a frame is empty that is not in the frames beside it, as far as this worker has rendered them.

A device that fails may leave a part of a picture empty without a word. A scene with a transparent background has empty parts too,
but its next frame has nearly the same. Pure.
"""

from collections import OrderedDict

from brender.engines.pictures import newly_empty

#: Frames that are farther apart are no neighbours, and so many jobs and layers are remembered, with so many frames each.
_FARTHEST, _KEPT, _FRAMES = 10, 16, 32


class Neighbours:
    """The frames that this worker rendered last."""

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[str, str], dict[int, str]] = OrderedDict()

    def warning(self, job: str, layer: str, frame: int, empty: str) -> str | None:
        """Return a warning where *frame* is in large parts *empty* (`Picture.empty`) which none of the frames beside it is;
        ``None`` if it is not, or if no such frame is known. It is remembered, unless there is such a warning: so the frame
        after it is measured by a good one."""
        frames = self._seen.setdefault((job, layer), {})
        self._seen.move_to_end((job, layer))
        if len(self._seen) > _KEPT:
            self._seen.popitem(last=False)
        before = max((each for each in frames if frame - _FARTHEST <= each < frame), default=None)
        after = min((each for each in frames if frame < each <= frame + _FARTHEST), default=None)
        found = newly_empty(empty, [frames[each] for each in (before, after) if each is not None])
        if found is None:
            frames[frame] = empty
            if len(frames) > _FRAMES:
                del frames[min(frames, key=lambda each: (each == frame, -abs(each - frame)))]
        return found
