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
from brender.model.frames import arrange, chunk, chunk_count, format_ranges, frame_ranges, frame_sequence
from brender.model.passes import passes_of
from brender.model.ranges import Ranges
from brender.model.text import some_of
from brender.model.units import steps_of

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
    only_where_set=True,
)


class Numbering:
    """The frames of the tasks of one job, ``size`` at most in each, ``runs`` after runs. Frames in a row are kept as ranges: a
    job may have a million."""

    def __init__(self, frames: str, numbered: str, order: str, size: int) -> None:
        texts = (numbered or frames).split(_BETWEEN)
        self.runs = tuple(arrange(frame_sequence(each), order) for each in texts)
        self.size = size
        self._firsts: list[int] = []
        self.task_count = 0
        for run in self.runs:
            self._firsts.append(self.task_count)
            self.task_count += chunk_count(len(run), size)
        self._ever = tuple(map(frame_ranges, texts))
        self.kept = frame_ranges(frames) if numbered else self._ever[0]
        self.frame_count = len(self.kept)
        self._void = self._left_out() if numbered else None

    def _left_out(self) -> tuple[Ranges, ...]:
        """Return of each run the frames that its tasks do not have: those that are not kept, and those of a later run. Raises
        `BadInput`."""
        void, later = list[Ranges](), Ranges()
        for ever in reversed(self._ever):
            left = ever.minus(ever.minus(later))
            for first, last in ever.minus(self.kept).pairs():
                left.add(first, last)
            void.append(left)
            for first, last in ever.pairs():
                later.add(first, last)
        if unknown := self.kept.minus(later):
            named = [str(first) if first == last else f"{first}-{last}" for first, last in unknown.pairs()]
            raise BadInput(f"The setting 'numbered' lacks {some_of(named)} of the job's frames: leave it out")
        return tuple(reversed(void))

    @property
    def run_tasks(self) -> tuple[int, ...]:
        """How many tasks each run has."""
        return tuple(chunk_count(len(run), self.size) for run in self.runs)

    def of_task(self, index: int) -> Sequence[int]:
        """Return the frames of task *index*, from 0."""
        run = bisect_right(self._firsts, index) - 1
        found = chunk(self.runs[run], self.size, index - self._firsts[run])
        if self._void is None:
            return found
        return tuple(frame for frame in found if frame not in self._void[run])

    @property
    def first(self) -> int:
        """The first of the frames that it had at first."""
        return self._ever[0].bounds[0]

    @property
    def bounds(self) -> tuple[int, int]:
        """The first and the last of all frames that it ever had."""
        return min(each.bounds[0] for each in self._ever), max(each.bounds[1] for each in self._ever)

    @cached_property
    def empty(self) -> int:
        """How many of its tasks have no frame left."""
        return 0 if self._void is None else sum(map(self._empty_of, self.runs, self._void))

    def _empty_of(self, run: Sequence[int], void: Ranges) -> int:
        """Return how many chunks of *run* have frames of *void* only."""
        size = self.size
        if size == 1:
            return len(void)
        if not isinstance(run, range) or abs(run.step) != 1:
            return sum(all(frame in void for frame in run[at : at + size]) for at in range(0, len(run), size)) if void else 0
        count = 0
        for pair in void.pairs():
            first, last = sorted(map(run.index, pair))
            ends = chunk_count(len(run), size) if last == len(run) - 1 else (last + 1) // size
            count += max(0, ends - chunk_count(first, size))
        return count


@lru_cache(maxsize=8)
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
    known, added = settings.get("numbered") or settings["frames"], frame_ranges(frames).minus(frame_ranges(settings["frames"]))
    return f"{known}{_BETWEEN}{format_ranges(added)}" if added else known


def times_added(settings: Mapping[str, Any]) -> int:
    """Return how often frames were added to the job with these *settings*."""
    return str(settings.get("numbered") or "").count(_BETWEEN)


def tasks_without_frames(settings: Mapping[str, Any]) -> int:
    """Return how many tasks of a prepared job with these *settings* have no frame left, since those were taken out."""
    if not settings.get("numbered"):
        return 0
    numbering, of_all = numbering_of(settings), bool(settings.get("film")) * (1 + bool(settings.get("copy_to")))
    # (Of what is made of all frames, each run has a task, and that of the last does it.)
    return numbering.empty * (passes_of(settings) or steps_of(settings)) + (len(numbering.runs) - 1) * of_all
