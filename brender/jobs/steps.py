"""The job type ``steps``: programs that run one after the other, each once, once a frame, or once for each choice of parameters.

People do not submit it themselves. Job types that a farm adds by a file (brender/jobs/authoring.py), and templates of Open Job
Description, are compiled to it when they are submitted, so that an accepted job needs neither the file nor the template any more.

A task's parts carry the name of their step as their layer.
"""

import shlex
from collections.abc import Mapping
from functools import cached_property, lru_cache
from itertools import accumulate
from math import prod
from typing import Any

import msgspec

from brender.jobs.declare import FILES, ORDER, WHAT, Setting, check_settings
from brender.jobs.placeholders import OF_COMMANDS, check_words
from brender.jobs.stages import Stage, Wait
from brender.model.errors import BadInput
from brender.model.frames import parse_frames
from brender.model.job import JobSpec, PartPlan, Requirements, TaskPlan

#: The name of this job type.
STEPS = "steps"
#: Steps of one job, and tasks of one step, at most.
STEPS_MOST, TASKS_MOST = 1000, 2_000_000
_NAME_MOST = 128
#: Stands for any program, as in what a worker's owner allows: a step that starts a file which it brings itself may do anything.
ANY_PROGRAM = "*"
#: The ``type`` of a job that was submitted as a template of Open Job Description.
TEMPLATE = "openjd"
#: How a file that a step brings is named in its words.
FILE_MARK = "file."
#: The folder that an attempt works in.
WORK = "work"
_parse = lru_cache(maxsize=256)(parse_frames)


class BroughtFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A file that is written before a program starts: ``{file.NAME}`` in its words is the path. *text* has placeholders too."""

    name: str
    text: str
    file: str = ""
    """What it is called on disk, or "" if the same as *name*."""
    is_program: bool = False
    """It is to be started itself."""


class Environment(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is set up around the programs of a step: variables, and programs that run before and after them."""

    name: str
    variables: dict[str, str] = {}
    enter: tuple[str, ...] = ()
    exit: tuple[str, ...] = ()
    files: tuple[BroughtFile, ...] = ()
    limit_seconds: int = 0
    """How long each of its programs may run; 0: as long as the job allows."""


class Axis(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Parameters whose values change together: of each name its values, as a set of numbers (``1-100``) or one by one."""

    values: dict[str, str | tuple[str, ...]]

    def __len__(self) -> int:
        return min((len(_listed(each)) for each in self.values.values()), default=1)

    def at(self, index: int) -> dict[str, int | str]:
        """Return the value of each name at *index*."""
        return {name: _listed(each)[index] for name, each in self.values.items()}


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A program, started directly (never through a shell) once for each of its *frames*, or each choice of its *axes*; once
    where it has neither.

    In *command*, ``{frame}`` is the frame number, ``{frame:04d}`` the same with four digits, ``{output}`` the job's output
    folder, ``{work}`` a folder that is deleted afterwards. It begins when the steps *after* are done, and each frame of it when
    the same frame of the steps *after_frames* is.
    """

    name: str
    command: tuple[str, ...]
    frames: str = ""
    after: tuple[str, ...] = ()
    after_frames: tuple[str, ...] = ()
    chunk: int = 1
    """How many frames one worker does as one task."""
    axes: tuple[Axis, ...] = ()
    files: tuple[BroughtFile, ...] = ()
    environments: tuple[Environment, ...] = ()
    limit_seconds: int = 0
    """How long its program may run; 0: as long as the job allows."""

    @property
    def parts(self) -> int:
        """How often its program runs."""
        return len(_parse(self.frames)) if self.frames else prod(map(len, self.axes))

    @property
    def tasks(self) -> int:
        return -(-self.parts // self.chunk)

    def frame_of(self, part: int) -> int:
        """Return the number of *part*, from 0: its frame, or itself."""
        return _parse(self.frames)[part] if self.frames else part

    def values_of(self, frame: int) -> dict[str, int | str]:
        """Return what the parameters are where its program runs for *frame* (`frame_of`)."""
        found: dict[str, int | str] = {}
        for axis in reversed(self.axes):
            frame, index = divmod(frame, len(axis))
            found |= axis.at(index)
        return found


class Steps(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """All steps of a job, in an order in which they could be done."""

    steps: tuple[Step, ...]

    @cached_property
    def by_name(self) -> dict[str, Step]:
        return {step.name: step for step in self.steps}

    @cached_property
    def first_tasks(self) -> list[int]:
        """The number of each step's first task; and, last, that of all tasks."""
        return list(accumulate((step.tasks for step in self.steps), initial=0))

    def of_task(self, index: int) -> tuple[int, int]:
        """Return the number of the step that task *index* belongs to, and which of its tasks it is."""
        for number, first in enumerate(self.first_tasks[1:]):
            if index < first:
                return number, index - self.first_tasks[number]
        raise IndexError(index)


@lru_cache(maxsize=256)
def read_steps(text: str) -> Steps:
    """Return the steps that *text*, JSON, describes. Raises `BadInput` where it does not."""
    try:
        return msgspec.json.decode(text, type=Steps)
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"The steps of the job cannot be read: {error}") from error


def as_text(steps: Steps) -> str:
    """Return *steps* as `read_steps` takes them."""
    return msgspec.json.encode(steps).decode()


def steps_of(settings: Mapping[str, Any]) -> Steps | None:
    """Return the steps that a job with these *settings* runs; ``None``: it is of another type."""
    return read_steps(settings["steps"]) if isinstance(settings.get("steps"), str) else None


def check_not_compiled(settings: Mapping[str, Any], changed: Mapping[str, Any]) -> None:
    """Raise `BadInput`, with what submits it otherwise, where a job with these *settings* has steps that were made of the
    settings of another type, or of a template, and these are to be *changed*."""
    if not isinstance(settings.get("steps"), str) or changed.keys() <= {setting.name for setting in StepsType.settings}:
        return
    label, source = settings.get("label") or "Its job type", shlex.quote(settings.get("source") or "TEMPLATE")
    if settings.get("type") == TEMPLATE:
        how = f"`brender submit {source} --param NAME=VALUE` submits it with others"
    else:
        said = " ".join(f"--set {shlex.quote(f'{name}={value}')}" for name, value in changed.items())
        how = f"`brender submit --type {settings.get('type')} {said}` submits it with others (add those that stay)"
    raise BadInput(f"{label} made the steps of this job when it was submitted, and its settings cannot change since: {how}")


def programs_of(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the programs that a prepared job with these *settings* starts, which the owner of a worker has to allow."""
    steps = steps_of(settings)
    if steps is None:
        return (str(settings["program"]),) if settings.get("program") else ()
    found: dict[str, None] = {}
    for step in steps.steps:
        for words in (step.command, *(each.enter for each in step.environments), *(each.exit for each in step.environments)):
            if words:
                found[ANY_PROGRAM if "{" in words[0] else words[0]] = None
    return tuple(found)


def check_steps(steps: Steps) -> Steps:
    """Return *steps*, in an order in which they can be done. Raises `BadInput` where they make no job."""
    if not steps.steps:
        raise BadInput("The job has no steps, so there is nothing to do")
    if len(steps.steps) > STEPS_MOST:
        raise BadInput(f"The job has {len(steps.steps):,} steps; {STEPS_MOST:,} is the most")
    known = steps.by_name
    if len(known) < len(steps.steps):
        names = [step.name for step in steps.steps]
        raise BadInput(f"Several steps of the job are called {next(each for each in names if names.count(each) > 1)!r}")
    for step in steps.steps:
        _check(step, known)
    if (count := sum(step.parts for step in steps.steps)) > TASKS_MOST:
        raise BadInput(f"The job's programs would run {count:,} times; {TASKS_MOST:,} is the most: make several jobs of it")
    return Steps(tuple(_in_order(steps)))


def _check(step: Step, known: Mapping[str, Step]) -> None:
    what = f"The step {step.name!r}"
    if not step.name.strip() or len(step.name) > _NAME_MOST:
        raise BadInput(f"{what} needs a name of at most {_NAME_MOST} characters")
    if not step.command or not step.command[0].strip():
        raise BadInput(f"{what} names no program to start")
    if step.frames and step.axes:
        raise BadInput(f"{what} has frames and parameters too: it can have one of them")
    if step.frames:
        _parse(step.frames)
    elif step.chunk != 1 and not step.axes:
        raise BadInput(f"{what} has a chunk of {step.chunk} frames, and no frames")
    if step.chunk < 1:
        raise BadInput(f"{what} has a chunk of {step.chunk} frames: give 1 or more")
    if (count := step.parts) > TASKS_MOST or count < 1:
        raise BadInput(f"{what} would run {count:,} times; 1 to {TASKS_MOST:,} is what a step can have")
    for other in (*step.after, *step.after_frames):
        if other not in known:
            there = ", ".join(repr(each) for each in known)
            raise BadInput(f"{what} waits for the step {other!r}, which is not there; there are: {there}")
    for other in step.after_frames:
        if not step.frames or not set(_parse(step.frames)) <= set(_parse(known[other].frames or "0")):
            raise BadInput(f"{what} waits frame by frame for the step {other!r}, which does not have all of its frames")
    names: dict[str, type] = {name: type(value) for name, value in step.values_of(0).items()} if step.axes else {}
    for environment in step.environments:
        inside = _names(environment.files)
        _check_texts(environment.files, inside)
        for words in (environment.enter, environment.exit, tuple(environment.variables.values())):
            check_words(words, inside)
    names |= _names(step.files)
    check_words(step.command, names)
    _check_texts(step.files, names)


def _names(files: tuple[BroughtFile, ...]) -> dict[str, type]:
    return {**OF_COMMANDS, WORK: str, **{FILE_MARK + file.name: str for file in files}}


def _check_texts(files: tuple[BroughtFile, ...], names: Mapping[str, type]) -> None:
    for file in files:
        called = file.file or file.name
        if "/" in called or "\\" in called or called in ("", ".", ".."):
            raise BadInput(f"The file {called!r} that a step brings has to have a plain name")
        check_words([file.text], names)


def _in_order(steps: Steps) -> list[Step]:
    """Return *steps*, each behind those that it waits for. Raises `BadInput` where that cannot be."""
    done: dict[str, Step] = {}
    left = list(steps.steps)
    while left:
        ready = [step for step in left if all(each in done for each in (*step.after, *step.after_frames))]
        if not ready:
            raise BadInput(f"The steps {' and '.join(repr(step.name) for step in left[:3])} wait for each other")
        done |= {step.name: step for step in ready}
        left = [step for step in left if step.name not in done]
    return list(done.values())


@lru_cache(maxsize=256)
def _listed(values: str | tuple[str, ...]) -> tuple[int, ...] | tuple[str, ...]:
    return _parse(values) if isinstance(values, str) else values


class StepsType:
    name = STEPS
    label = "Programs in steps"
    engine = "command"
    is_internal = True
    settings = (
        Setting(
            "type",
            str,
            "the job type that it was submitted as",
            default="",
            label="Job type",
            group=WHAT,
            words=(("", "steps"),),
            hidden=True,
        ),
        Setting("label", str, "what people call that", default="", label="Submitted as", group=WHAT, words=(("", "steps"),)),
        Setting("given", list, "the settings that it was submitted with", default=[], label="Settings", group=WHAT),
        Setting("source", str, "what it was compiled from", default="", label="Made by", group=FILES, words=(("", "a program"),)),
        Setting("steps", str, "the steps, as JSON", required=True, label="Steps", group=ORDER, hidden=True),
    )

    def prepare(self, spec: JobSpec) -> JobSpec:
        settings = check_settings(self.name, self.settings, spec.settings)
        settings["steps"] = as_text(check_steps(read_steps(settings["steps"])))
        return msgspec.structs.replace(spec, settings=settings)

    def task_count(self, spec: JobSpec) -> int:
        return self._steps(spec).first_tasks[-1]

    def part_count(self, spec: JobSpec) -> int:
        return sum(step.parts for step in self._steps(spec).steps)

    def task(self, spec: JobSpec, index: int) -> TaskPlan:
        steps = self._steps(spec)
        number, task = steps.of_task(index)
        step = steps.steps[number]
        parts = range(task * step.chunk, min((task + 1) * step.chunk, step.parts))
        return TaskPlan(index=index, parts=tuple(PartPlan(frame=step.frame_of(part), layer=step.name) for part in parts))

    def may_repeat(self, spec: JobSpec) -> bool:
        return False  # nobody knows what its programs do to the world

    def is_elastic(self, spec: JobSpec) -> bool:
        return False

    def stages(self, spec: JobSpec) -> tuple[Stage, ...]:
        steps = self._steps(spec)
        return tuple(
            Stage(
                step.name,
                first,
                step.tasks,
                (*map(Wait, step.after), *(Wait(each, by_frame=True) for each in step.after_frames)),
                of_frames=bool(step.frames),
            )
            for step, first in zip(steps.steps, steps.first_tasks, strict=False)
        )

    def rank(self, spec: JobSpec, index: int, measured: Mapping[int, float]) -> float:
        return 0.0

    def requirements(self, spec: JobSpec) -> Requirements:
        programs = programs_of(spec.settings)
        return Requirements(job_type=self.name, tags=frozenset(spec.tags), program=programs[0], further_programs=programs[1:])

    def output_key(self, spec: JobSpec) -> str:
        return ""

    @staticmethod
    def _steps(spec: JobSpec) -> Steps:
        return read_steps(spec.settings["steps"])


JOB_TYPE = StepsType()
