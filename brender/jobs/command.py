"""The job type ``command``: any program with arguments, once, or once a frame.

In the arguments ``{frame}`` becomes the frame number, ``{frame:04d}`` the number with four digits, and ``{output}`` the
job's output folder; ``{{`` and ``}}`` are plain braces. The worker fills them in. The program is started directly, never
through a shell.
"""

from collections.abc import Mapping

import msgspec

from brender.jobs.declare import MORE, ORDER, WHAT, Setting, check_settings
from brender.jobs.numbering import NUMBERED, numbering_of
from brender.jobs.placeholders import check_words, fill_words
from brender.jobs.stages import Stage, one_stage
from brender.model.errors import BadInput
from brender.model.job import JobSpec, PartPlan, Requirements, TaskPlan

_ONCE = (0,)


class Command:
    name = "command"
    label = "Command"
    engine = "command"
    settings = (
        Setting("program", str, "the program to start", required=True, label="Program", group=WHAT),
        Setting(
            "arguments",
            list,
            "its arguments; {frame} is the frame number",
            default=[],
            label="Arguments",
            group=WHAT,
        ),
        Setting(
            "frames",
            str,
            "the program runs once for each of these frames, such as 1-100",
            label="Frames",
            group=WHAT,
            without="it runs once",
            edit=MORE,
        ),
        NUMBERED,
        Setting(
            "chunk",
            int,
            "for how many frames one worker runs it as one task",
            default=1,
            lowest=1,
            highest=1_000_000,
            label="Frames in one task",
            unit="frames",
            group=ORDER,
        ),
    )

    def prepare(self, spec: JobSpec) -> JobSpec:
        settings = check_settings(self.name, self.settings, spec.settings)
        if not settings["program"].strip():
            raise BadInput("The setting 'program' is empty: name the program to start")
        if settings["frames"] is not None:
            numbering_of(settings)
        check_words([settings["program"], *settings["arguments"]])
        return msgspec.structs.replace(spec, settings=settings)

    def task_count(self, spec: JobSpec) -> int:
        return 1 if spec.settings["frames"] is None else numbering_of(spec.settings).task_count

    def part_count(self, spec: JobSpec) -> int:
        return 1 if spec.settings["frames"] is None else numbering_of(spec.settings).frame_count

    def task(self, spec: JobSpec, index: int) -> TaskPlan:
        settings = spec.settings
        frames = _ONCE if settings["frames"] is None else numbering_of(settings).of_task(index)
        return TaskPlan(index=index, parts=tuple(PartPlan(frame=frame) for frame in frames))

    def may_repeat(self, spec: JobSpec) -> bool:
        return False  # nobody knows what it does to the world

    def is_elastic(self, spec: JobSpec) -> bool:
        return False

    def stages(self, spec: JobSpec) -> tuple[Stage, ...]:
        return one_stage(self.task_count(spec), "commands")

    def rank(self, spec: JobSpec, index: int, measured: Mapping[int, float]) -> float:
        return 0.0

    def requirements(self, spec: JobSpec) -> Requirements:
        return Requirements(job_type=self.name, tags=frozenset(spec.tags), program=spec.settings["program"])

    def output_key(self, spec: JobSpec) -> str:
        return ""


def fill(words: list[str], frame: int, output: str) -> list[str]:
    """Return *words* with their placeholders filled. Raises `BadInput` for a placeholder that does not exist, and for a word that
    becomes longer than a program takes.

    >>> fill(["--frame", "{frame:04d}"], 7, "/renders")
    ['--frame', '0007']
    """
    return fill_words(words, {"frame": frame, "output": output})


JOB_TYPE = Command()
