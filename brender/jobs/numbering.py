"""Which frames each task of a job renders, also once frames were added to the job or taken out of it. Pure.

Tasks keep their numbers. Where an edit gave a job other frames than its tasks were numbered by, its setting ``numbered`` has the
latter: one frame set for each time that frames were added, such as ``1-100;101-150``. Those that are not among its ``frames`` any
more are in no task, and a task may have no frame left. Of a frame that was taken out and added again, the last set counts.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any

from brender.jobs.declare import ORDER, Setting
from brender.model.errors import BadInput
from brender.model.frames import arrange, chunk, chunk_count, format_frames, parse_frames
from brender.model.text import some_of
from brender.model.units import passes_of, steps_of

#: Why a task has no frames any more, and an attempt that had only such was stopped.
TAKEN_OUT = "its frames were taken out of the job"
_BETWEEN = ";"

#: The setting of the job types whose frames may be taken out.
NUMBERED = Setting(
    "numbered",
    str,
    "the frames that its tasks were numbered by, where it was edited to have others",
    default="",
    label="Numbered by",
    group=ORDER,
    words=(("", "its frames"),),
    hidden=True,
)


class Numbering:
    """The frames of the tasks of one job, ``size`` at most in each, ``runs`` after runs."""

    def __init__(self, frames: str, numbered: str, order: str, size: int) -> None:
        self.runs = tuple(arrange(parse_frames(each), order) for each in (numbered or frames).split(_BETWEEN))
        self.size = size
        self._firsts: list[int] = []
        self.task_count = 0
        for run in self.runs:
            self._firsts.append(self.task_count)
            self.task_count += chunk_count(len(run), size)
        self.frames: Sequence[int] = self.runs[0] if not numbered else arrange(parse_frames(frames), order)
        self._newest = {frame: run for run, several in enumerate(self.runs) for frame in several} if numbered else None
        self.kept = frozenset(self.frames)
        if self._newest is not None and (unknown := self.kept - self._newest.keys()):
            raise BadInput(f"The setting 'numbered' lacks {some_of(sorted(map(str, unknown)))} of the job's frames: leave it out")

    def of_task(self, index: int) -> Sequence[int]:
        """Return the frames of task *index*, from 0."""
        run = bisect_right(self._firsts, index) - 1
        found = chunk(self.runs[run], self.size, index - self._firsts[run])
        if self._newest is None:
            return found
        return tuple(frame for frame in found if frame in self.kept and self._newest[frame] == run)

    @cached_property
    def bounds(self) -> tuple[int, int]:
        """The first and the last of all frames that it ever had."""
        return min(map(min, self.runs)), max(map(max, self.runs))

    @cached_property
    def empty(self) -> int:
        """How many of its tasks have no frame left."""
        return 0 if self._newest is None else sum(not self.of_task(index) for index in range(self.task_count))


@lru_cache(maxsize=256)
def _numbering(frames: str, numbered: str, order: str, size: int) -> Numbering:
    return Numbering(frames, numbered, order, size)


def numbering_of(settings: Mapping[str, Any]) -> Numbering:
    """Return which frames the tasks of a prepared job with these *settings* have. Raises `BadInput` where they make no sense."""
    return _numbering(
        settings["frames"], settings.get("numbered") or "", settings.get("order") or "forward", settings.get("chunk") or 1
    )


def renumbered(settings: Mapping[str, Any], frames: str) -> str:
    """Return the setting ``numbered`` of a job with these *settings* that is edited to have *frames*.

    >>> renumbered({"frames": "1-100"}, "1-50"), renumbered({"frames": "1-50", "numbered": "1-100"}, "1-100")
    ('1-100', '1-100;51-100')
    >>> renumbered({"frames": "3-5"}, "1-7"), renumbered({"frames": "1-5", "numbered": "1-6"}, "1-6")
    ('3-5;1-2,6-7', '1-6;6')
    """
    there = frozenset(parse_frames(settings["frames"]))
    known, added = settings.get("numbered") or settings["frames"], [each for each in parse_frames(frames) if each not in there]
    return f"{known}{_BETWEEN}{format_frames(added)}" if added else known


def tasks_without_frames(settings: Mapping[str, Any]) -> int:
    """Return how many tasks of a prepared job with these *settings* have no frame left, since those were taken out."""
    if not settings.get("numbered"):
        return 0
    return numbering_of(settings).empty * (passes_of(settings) or steps_of(settings))
