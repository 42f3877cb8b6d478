"""The stages of a job: named runs of its tasks, and which of them wait for which. Pure.

A wait is a rule between two stages, never a list of tasks: a job of a million frames has as few of them as one of ten.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from brender.model.errors import BadInput
from brender.model.text import plural


class Wait(msgspec.Struct, frozen=True):
    """A wait for the stage called ``stage``: for all of it, or ``by_frame``, for the tasks of the same frame alone."""

    stage: str
    by_frame: bool = False


class Stage(msgspec.Struct, frozen=True):
    """Tasks ``first_task`` to ``last_task`` of a job, which are begun once all of ``after`` is done.

    Stages follow each other without a gap, in the order in which they can be done: each waits only for stages before it.
    ``of_frames``: people may ask for its frames to be rendered again. Else it is done again only when something is that it waits
    for, such as the film of all frames. ``goes_on``: the stage that it is more of, with frames that were added to the job later;
    of what is made of all frames the last one counts, and those before have nothing to do. "": it is the first of its kind.
    """

    name: str
    first_task: int
    count: int
    after: tuple[Wait, ...] = ()
    of_frames: bool = True
    goes_on: str = ""

    @property
    def title(self) -> str:
        """What people call it: as the stage that it is more of."""
        return self.goes_on or self.name

    @property
    def last_task(self) -> int:
        return self.first_task + self.count - 1


def one_stage(count: int, name: str = "frames") -> tuple[Stage, ...]:
    """Return the stages of a job of *count* tasks that wait for nothing."""
    return (Stage(name, 0, count),)


def followed_by(count: int, name: str, last: str, of_frames: bool = False) -> tuple[Stage, ...]:
    """Return the stages of a job of *count* tasks, called *name*, and one more, called *last*, that is made of them all."""
    return (Stage(name, 0, count), Stage(last, count, 1, (Wait(name),), of_frames))


class Run(NamedTuple):
    """A stage before it is known how many tasks come before it."""

    name: str
    tasks: int
    after: tuple[Wait, ...] = ()
    of_frames: bool = True
    goes_on: str = ""


def in_a_row(runs: Iterable[Run]) -> tuple[Stage, ...]:
    """Return the stages that *runs* are, one after the other."""
    found: list[Stage] = []
    for run in runs:
        first = found[-1].last_task + 1 if found else 0
        found.append(Stage(run.name, first, run.tasks, run.after, run.of_frames, run.goes_on))
    return tuple(found)


def check_stages(job_type: str, stages: Sequence[Stage], task_count: int) -> None:
    """Raise `BadInput` unless *stages* are all tasks of a job, one after the other, and each waits for earlier ones only."""
    known: list[str] = []
    upto = 0
    for stage in stages:
        problem = None
        if stage.name in known:
            problem = f"has two stages called {stage.name!r}"
        elif stage.first_task != upto or stage.count < 1:
            own = plural(stage.count, "task")
            problem = f"lets its stage {stage.name!r} have {own} from number {stage.first_task} on, and {upto} come before it"
        elif unknown := [wait.stage for wait in stage.after if wait.stage not in known]:
            problem = f"lets its stage {stage.name!r} wait for {unknown[0]!r}, which is no stage before it"
        if problem is not None:
            raise BadInput(f"The job type {job_type!r} {problem}: a stage has tasks, and waits only for stages before it")
        known.append(stage.name)
        upto += stage.count
    if upto != task_count:
        raise BadInput(
            f"The job type {job_type!r} says that the job has {plural(task_count, 'task')}, and its stages have {upto}"
        )


class Graph:
    """The *stages* of one job by their places, and what waits for what."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        self.stages = tuple(stages)
        places = {stage.name: place for place, stage in enumerate(self.stages)}
        self.waits = tuple(tuple((places[wait.stage], wait.by_frame) for wait in stage.after) for stage in self.stages)
        """Of each stage, the places of those that it waits for, and whether that is by frame."""
        self.whole_waiters, self.frame_waiters = self._waiters(by_frame=False), self._waiters(by_frame=True)
        """Of each stage, the places of those that wait for all of it, or for it frame by frame."""
        self.has_waits = any(self.waits)
        self.main = max(self.stages, key=lambda stage: stage.count)
        """The stage that has the most tasks: what is measured of a job is mostly measured there."""
        last = next((stage.title for stage in reversed(self.stages) if stage.of_frames), self.stages[0].title)
        self.last_of_frames = frozenset(place for place, stage in enumerate(self.stages) if stage.title == last)
        """The places of the stages that frames are done with."""
        self._remade: tuple[frozenset[str], tuple[bool, ...]] | None = None
        self._firsts = [stage.first_task for stage in self.stages]

    def _waiters(self, by_frame: bool) -> tuple[frozenset[int], ...]:
        found: list[set[int]] = [set() for _ in self.stages]
        for waiter, waits in enumerate(self.waits):
            for place, frame_by_frame in waits:
                if frame_by_frame is by_frame:
                    found[place].add(waiter)
        return tuple(map(frozenset, found))

    def place(self, number: int) -> int:
        """Return the place of the stage of task *number*."""
        return bisect_right(self._firsts, number) - 1

    def stage(self, number: int) -> Stage:
        """Return the stage of task *number*."""
        return self.stages[self.place(number)]

    def is_remade(self, place: int, touched: frozenset[str]) -> bool:
        """Return whether all of the stage at *place* is to be made again, where something was queued again in the stages
        *touched*, whatever frames that was."""
        if self._remade is None or self._remade[0] != touched:
            remade: list[bool] = []
            for waits in self.waits:
                remade.append(
                    any(remade[before] if by_frame else self.stages[before].name in touched for before, by_frame in waits)
                )
            self._remade = touched, tuple(remade)
        return self._remade[1][place]

    def before(self, place: int) -> int:
        """Return how many tasks the stages have that the one at *place* waits for."""
        return sum(self.stages[each].count for each, _ in self.waits[place])

    def ready(self, done: int) -> int:
        """Return about how many tasks can be given out, where the first *done* tasks are done and no other is."""
        left = [min(stage.count, max(0, stage.first_task + stage.count - done)) for stage in self.stages]
        return sum(self._ready(place, left) for place in range(len(left)))

    def _ready(self, place: int, left: list[int]) -> int:
        ready = left[place]
        for before, by_frame in self.waits[place]:
            if left[before]:
                ready = min(ready, max(0, left[place] - left[before])) if by_frame else 0
        return ready

    def __iter__(self) -> Iterator[Stage]:
        return iter(self.stages)
