"""What is in memory of one job's stages, so that it is seen at once what may go when a frame is done. Pure.

A task that is not in memory though the job's cursor is beyond its number has ended; `unmade` knows which frames it did not make.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from brender.jobs.stages import Graph
from brender.model.ranges import Ranges

if TYPE_CHECKING:
    from brender.farm.tasks import PartState, TaskState


class Dependencies:
    """The tasks in memory of a job with this *graph* of stages, and those of them that wait for others: ``held``."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.held: set[int] = set()
        self.unmade = [Ranges() for _ in graph.stages]
        """Of each stage, the frames that failed or were canceled. Empty where the job has but one stage."""
        self._in_memory = [0] * len(graph.stages)
        self._parts: dict[tuple[int, int], dict[int, PartState]] = {}
        """By stage, where others wait for it by frame, and frame: the parts in memory."""
        self._held_at: dict[int, dict[int, None]] = {}
        """By frame, the held tasks that wait for something by frame."""
        self._frames: dict[int, tuple[int, ...]] = {}
        """The frames of these."""

    def grow(self, graph: Graph) -> None:
        """Take *graph*, which has the stages of before, and perhaps more after them."""
        for _ in graph.stages[len(self.graph.stages) :]:
            self.unmade.append(Ranges())
            self._in_memory.append(0)
        self.graph = graph

    def enter(self, task: "TaskState") -> None:
        """Note that *task* is in memory now."""
        self._in_memory[self.graph.place(task.number)] += 1
        self.watch(task.number, task.parts)

    def watch(self, number: int, parts: Iterable["PartState"]) -> None:
        """Note that *parts* of task *number* are in memory now."""
        place = self.graph.place(number)
        if self.graph.frame_waiters[place]:
            for part in parts:
                self._parts.setdefault((place, part.frame), {})[part.id] = part

    def leave(self, task: "TaskState", was_in_memory: bool) -> None:
        """Note that *task* has ended, and leaves memory if it was there."""
        place = self.graph.place(task.number)
        self.release(task.id)
        if self.graph.has_waits:
            for part in task.parts:
                if part.is_given_up:
                    self.unmade[place].add(part.frame)
        if not was_in_memory:
            return
        self._in_memory[place] -= 1
        if self.graph.frame_waiters[place]:
            for part in task.parts:
                self._take(place, part)

    def forget(self, number: int, parts: Iterable["PartState"]) -> None:
        """Note that *parts* of task *number* are no longer of the job."""
        self.queue_again(number, parts)
        place = self.graph.place(number)
        for part in parts if self.graph.frame_waiters[place] else ():
            self._take(place, part)

    def _take(self, place: int, part: "PartState") -> None:
        known = self._parts.get((place, part.frame), {})
        known.pop(part.id, None)
        if not known:
            self._parts.pop((place, part.frame), None)

    def queue_again(self, number: int, parts: Iterable["PartState"]) -> None:
        """Note that *parts* of task *number*, which had been given up, are to be done again."""
        place = self.graph.place(number)
        for part in parts:
            self.unmade[place].discard(part.frame)

    def hold(self, task: "TaskState", by_frame: bool = False) -> None:
        """Let *task* wait. *by_frame*: it also waits for frames of other jobs."""
        self.held.add(task.id)
        if by_frame or any(by_frame for _, by_frame in self.graph.waits[self.graph.place(task.number)]):
            self._frames[task.id] = tuple({part.frame: None for part in task.parts})
            for frame in self._frames[task.id]:
                self._held_at.setdefault(frame, {})[task.id] = None

    def release(self, task: int) -> None:
        """Let *task* wait no more."""
        self.held.discard(task)
        for frame in self._frames.pop(task, ()):
            known = self._held_at[frame]
            del known[task]
            if not known:
                del self._held_at[frame]

    def forget_held(self) -> None:
        """Let none wait."""
        self.held.clear()
        self._held_at.clear()
        self._frames.clear()

    def held_at(self, frames: Iterable[int]) -> list[int]:
        """Return the held tasks that wait for something of *frames*."""
        return list({task: None for frame in frames for task in self._held_at.get(frame, ())})

    def is_over(self, place: int, cursor: int) -> bool:
        """Return whether all of the stage at *place* has ended, where tasks up to *cursor* are in memory or have ended."""
        return cursor >= self.graph.stages[place].last_task and not self._in_memory[place]

    def waits(self, task: "TaskState", cursor: int) -> bool:
        """Return whether *task* waits for something of its own job."""
        for place, by_frame in self.graph.waits[self.graph.place(task.number)]:
            if not by_frame:
                if not self.is_over(place, cursor):
                    return True
            elif cursor < self.graph.stages[place].last_task or any(self._is_open(place, part.frame) for part in task.parts):
                return True
        return False

    def _is_open(self, place: int, frame: int) -> bool:
        return any(not part.done for part in self._parts.get((place, frame), {}).values())

    def is_in_vain(self, task: "TaskState") -> bool:
        """Return whether something that *task* waits for failed or was canceled."""
        for place, by_frame in self.graph.waits[self.graph.place(task.number)]:
            unmade = self.unmade[place]
            if unmade and (not by_frame or any(part.frame in unmade for part in task.parts)):
                return True
        return False
