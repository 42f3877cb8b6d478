"""A job type of several stages, for the tests of what waits for what."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from brender.jobs import declare
from brender.jobs.command import Command
from brender.jobs.declare import check_settings
from brender.jobs.numbering import NUMBERED
from brender.jobs.stages import Stage, Wait
from brender.model.frames import chunk, chunk_count, parse_frames
from brender.model.job import JobSpec, PartPlan, Requirements, TaskPlan
from tests.world import new_id

#: Of each stage: its name, what it waits for, and whether it has a task a frame, or one in all.
Plan = tuple[tuple[str, tuple[Wait, ...], bool], ...]
#: Frames that are drawn, then cleaned one by one, and counted when all are clean.
DRAW_CLEAN_COUNT: Plan = (
    ("draw", (), True),
    ("clean", (Wait("draw", by_frame=True),), True),
    ("count", (Wait("clean"),), False),
)


class Staged(Command):
    """Does the stages of `plan`, for each job that is made here; a stage's files are in a folder of its name."""

    def __init__(self, name: str = "staged", elastic: bool = False) -> None:
        self.name, self.elastic = name, elastic

    settings = tuple(setting for setting in Command.settings if setting is not NUMBERED)
    plan: Plan = DRAW_CLEAN_COUNT
    ranks: Mapping[int, float] = {}

    def prepare(self, spec: JobSpec) -> JobSpec:
        return msgspec.structs.replace(spec, settings=check_settings(self.name, self.settings, spec.settings))

    def stages(self, spec: JobSpec) -> tuple[Stage, ...]:
        first, found = 0, []
        for name, after, each in self.plan:
            found.append(Stage(name, first, self._tasks(spec) if each else 1, after, of_frames=each))
            first += found[-1].count
        return tuple(found)

    @staticmethod
    def _frames(settings: Mapping[str, Any]) -> tuple[int, ...]:
        return (0,) if settings["frames"] is None else parse_frames(settings["frames"])

    def _tasks(self, spec: JobSpec) -> int:
        return chunk_count(len(self._frames(spec.settings)), spec.settings["chunk"])

    def task_count(self, spec: JobSpec) -> int:
        return sum(stage.count for stage in self.stages(spec))

    def part_count(self, spec: JobSpec) -> int:
        return sum(len(self._frames(spec.settings)) if each else 1 for _, _, each in self.plan)

    def task(self, spec: JobSpec, index: int) -> TaskPlan:
        stage = next(stage for stage in self.stages(spec) if index <= stage.last_task)
        frames = self._frames(spec.settings)[:1]
        if stage.of_frames:
            frames = chunk(self._frames(spec.settings), spec.settings["chunk"], index - stage.first_task)
        return TaskPlan(index=index, parts=tuple(PartPlan(frame=frame, output=f"{stage.name}/{frame}") for frame in frames))

    def is_elastic(self, spec: JobSpec) -> bool:
        return self.elastic

    def rank(self, spec: JobSpec, index: int, measured: Mapping[int, float]) -> float:
        return self.ranks.get(index, 0.0)

    def requirements(self, spec: JobSpec) -> Requirements:
        return Requirements(job_type="blender-animation", tags=frozenset(spec.tags))  # which all workers take


def install(patch: pytest.MonkeyPatch, **chosen: Any) -> Staged:
    """Let the job type be there, with these attributes, while *patch* lasts."""
    kind = Staged()
    for name, value in chosen.items():
        setattr(kind, name, value)
    known = declare._loaded()
    patch.setattr(declare, "_loaded", lambda: {**known, "staged": kind})
    return kind


def staged(frames: str = "1-4", chunk: int = 1, **more: Any) -> JobSpec:
    """Return a job of the type."""
    identity = new_id()
    settings = {"program": "true", "frames": frames, "chunk": chunk}
    return JobSpec(id=identity, name="staged", job_type="staged", settings=settings, output=f"/renders/{identity}", **more)
