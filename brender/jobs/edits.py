"""What an edit makes of a job: which of its settings may change, and what that means for frames that are done. Pure.

Tasks keep their numbers, and frames their files: an edit that would give them others is refused, and a clone is the remedy.
Frames may be added, as tasks after the others, and taken out of the tasks that have them (`brender.jobs.numbering`).
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from brender.jobs.clones import clone_command
from brender.jobs.declare import MORE, NAMES, PICTURES, JobType, Setting
from brender.jobs.numbering import NUMBERED, renumbered, times_added
from brender.jobs.stages import Graph, Stage
from brender.jobs.steps import check_not_compiled
from brender.model.edit import Edit
from brender.model.errors import BadInput
from brender.model.frames import format_frames, frame_ranges, parse_frames
from brender.model.job import JobSpec, TaskPlan
from brender.model.passes import passes_of
from brender.model.ranges import Ranges
from brender.model.sharing import Sharing
from brender.model.text import size_in_words

#: So often may frames be added to a job: each time gives it tasks of its own, which it keeps when they are taken out again.
ADDED_MOST = 64
#: Tasks that are compared, of those that a job has before and after an edit.
_COMPARED = 64
_NONE = Ranges()
#: The order of frames in which more of them come after those that the job has.
_FORWARD = "forward"
#: What of `Sharing` may change, in words.
_SHARING = {
    "most_workers": "workers at a time",
    "licences": "licences",
    "pool": "pool",
    "cores": "cores a task",
    "gpu_memory": "GPU memory a task",
}


class Revised(NamedTuple):
    """A job after an edit. ``said``: what changed, in words, or "" if nothing did. ``pictures``: frames look otherwise, or have
    other files; ``renames``: they have other files."""

    spec: JobSpec
    said: str
    changed: tuple[str, ...]
    pictures: bool
    renames: bool = False
    gone: Ranges = _NONE
    """The frames that are taken out of it."""


def revise(kind: JobType, spec: JobSpec, edit: Edit) -> Revised:
    """Return *spec*, a prepared job of the type *kind*, as *edit* makes it. Raises `BadInput` where it cannot be edited so."""
    check_not_compiled(spec.settings, edit.settings)
    declared = {setting.name: setting for setting in kind.settings}
    given = {name: _whole(name, value, declared, spec, edit) for name, value in edit.settings.items()}
    sharing, frames = edit.sharing(spec.sharing), spec.settings.get("frames")
    renumbers = "frames" in given and NUMBERED.name in declared and frames is not None and NUMBERED.name not in given
    if renumbers:
        given[NUMBERED.name] = ""
    revised = msgspec.structs.replace(spec, **edit.fields, sharing=sharing, settings=spec.settings | given)
    if given:
        # (What is filled in from another setting is filled in again.)
        revised = kind.prepare(msgspec.structs.replace(revised, warnings=()))
    gone = Ranges()
    if renumbers:
        revised, gone = _renumbered(spec, revised, edit)
    changed = [name for name, value in revised.settings.items() if value != spec.settings.get(name)]
    if renumbers and NUMBERED.name in changed:
        changed.remove(NUMBERED.name)
    for name in changed:
        if name not in declared or not declared[name].edit:
            raise BadInput(_refusal(spec, name, declared.get(name), edit))
    renames = any(declared[name].edit == NAMES for name in changed)
    if changed:
        _check_plan(kind, spec, revised, edit, any(declared[name].edit == MORE for name in changed), renames, gone)
    said = [_said(declared[name], spec.settings.get(name), revised.settings[name]) for name in changed]
    fields = [name for name in edit.fields if getattr(revised, name) != getattr(spec, name)]
    said[:0] = [f"{name.replace('_', ' ')} {_plain(getattr(spec, name))} → {_plain(getattr(revised, name))}" for name in fields]
    shared = [name for name in _SHARING if getattr(sharing, name) != getattr(spec.sharing, name)]
    said += [f"{_SHARING[name]} {_shared(spec.sharing, name)} → {_shared(sharing, name)}" for name in shared]
    pictures = any(declared[name].edit in (PICTURES, NAMES) for name in changed)
    return Revised(revised, ", ".join(said), (*fields, *shared, *changed), pictures, renames, gone)


def _renumbered(spec: JobSpec, revised: JobSpec, edit: Edit) -> tuple[JobSpec, Ranges]:
    """Return *revised*, which has other frames than *spec*, with these numbered after those; and the frames that it lacks.
    Raises `BadInput` where frames were added too often."""
    settings, frames = revised.settings, revised.settings["frames"]
    there, wanted = frame_ranges(spec.settings["frames"]), frame_ranges(frames)
    if there == wanted:
        same = {name: spec.settings[name] for name in ("frames", NUMBERED.name) if name in spec.settings}
        return msgspec.structs.replace(revised, settings=settings | same), Ranges()
    settings = settings | {NUMBERED.name: renumbered(spec.settings, frames)}
    if times_added(settings) > ADDED_MOST:
        raise BadInput(
            f"Frames were added to this job {ADDED_MOST} times, which is the most: `{clone_command(spec.id, edit)}` renders what "
            "is to come as a job of its own"
        )
    return msgspec.structs.replace(revised, settings=settings), there.minus(wanted)


def _whole(name: str, value: Any, declared: dict[str, Setting], spec: JobSpec, edit: Edit) -> Any:
    """Return the *value* of the setting *name*; where tasks cannot be numbered otherwise, frames that are added come after those
    that the job has. Raises `BadInput`."""
    if NUMBERED.name in declared:
        return value
    if name not in declared or declared[name].edit != MORE or not isinstance(value, str) or not spec.settings.get(name):
        return value
    there, wanted = parse_frames(spec.settings[name]), parse_frames(value)
    if gone := set(there).difference(wanted):
        raise BadInput(
            f"Frames can be added to a job of the type {spec.job_type}, but {_named(gone)} cannot be taken out of it: cancel it, "
            f"and `{clone_command(spec.id, edit)}` renders these alone"
        )
    known = set(there)
    added = [frame for frame in wanted if frame not in known]
    if not added or wanted == (*there, *added):
        return value if added else spec.settings[name]
    return f"{spec.settings[name]},{format_frames(added)}"


def _named(frames: Iterable[int]) -> str:
    several = sorted(frames)
    return f"frame {several[0]}" if len(several) == 1 else f"the frames {format_frames(several)}"


def _refusal(spec: JobSpec, name: str, setting: Setting | None, edit: Edit) -> str:
    label = setting.title if setting is not None else name
    return (
        f"{label} ({name}) decides which tasks and files a job has, so it cannot be edited: `{clone_command(spec.id, edit)}` "
        "submits the job again with it"
    )


def _check_plan(kind: JobType, spec: JobSpec, revised: JobSpec, edit: Edit, of_frames: bool, renames: bool, gone: Ranges) -> None:
    """Raises `BadInput` unless *revised* has the tasks and files of *spec*; where other frames are asked for (*of_frames*), these
    without those that are *gone*, and perhaps more after them; where it *renames*, the same tasks, with files of other names, of
    which nothing else is made."""
    if of_frames and renames:
        raise BadInput("Change the frames in one edit and their files in another")
    count, now = kind.task_count(spec), kind.task_count(revised)
    grows = of_frames and (now > count or not gone)
    stages = kind.stages(spec), kind.stages(revised)
    same = (grows or len(stages[0]) == len(stages[1])) and (renames or kind.output_key(spec) == kind.output_key(revised))
    if renames:
        same = same and len(stages[0]) == 1 and not spec.settings.get("pieces") and not passes_of(spec.settings)
    if grows:
        ordered = NUMBERED.name in revised.settings or revised.settings.get("order", _FORWARD) == _FORWARD
        same = same and _come_after(kind, *stages) and now > count and ordered
    else:
        same = same and now == count and (bool(gone) or kind.part_count(spec) == kind.part_count(revised))
    step = max(1, count // _COMPARED)
    compared = {*range(0, count, step), count - 1}
    graph = Graph(stages[0])

    def differs(number: int) -> bool:
        of_frames, made = graph.stage(number).of_frames, _task(kind, revised, number, renames)
        if grows and not of_frames and not made.parts:
            return False  # what is made of all frames, a later stage makes
        return _task(kind, spec, number, renames, gone if of_frames else Ranges()) != made

    if not same or any(map(differs, compared)):
        if grows:
            raise BadInput(
                "The new frames would not come after the job's own tasks, or what its type makes first would not serve them: "
                f"`{clone_command(spec.id, edit)}` renders them as a job of their own"
            )
        raise BadInput(
            "This edit would give the job other tasks, or files with other names: "
            f"`{clone_command(spec.id, edit)}` submits it again"
        )


def _come_after(kind: JobType, before: Sequence[Stage], now: Sequence[Stage]) -> bool:
    """Return whether the frames that are added to a job with the stages *before*, which are *now* these, come after its own: in
    its last stage, or in stages of their own. What is made before all frames has to serve these too."""
    serves = before[0].of_frames or getattr(kind, "first_serves_all", False)
    if not serves or len(now) < len(before):
        return False
    last, place = before[-1], len(before) - 1
    grown = msgspec.structs.replace(now[place], count=last.count) if last.of_frames and len(now) == len(before) else now[place]
    return (*now[:place], grown) == tuple(before)


def _task(kind: JobType, spec: JobSpec, number: int, renames: bool, gone: Ranges = _NONE) -> TaskPlan:
    """Return the task *number* of *spec* without the frames *gone*; where an edit *renames* its files, without their names."""
    task = kind.task(spec, number)
    if gone:
        task = msgspec.structs.replace(task, parts=tuple(part for part in task.parts if part.frame not in gone))
    if not renames:
        return task
    return msgspec.structs.replace(task, parts=tuple(msgspec.structs.replace(part, output="") for part in task.parts))


def _said(setting: Setting, before: Any, after: Any) -> str:
    return f"{setting.title.lower()} {setting.say(before)} → {setting.say(after)}"


def _shared(sharing: Sharing, name: str) -> str:
    value = getattr(sharing, name)
    if name == "most_workers":
        return str(value or "any number")
    if name == "gpu_memory" and value:
        return size_in_words(value)
    return _plain(value or ())


def _plain(value: Any) -> str:
    if isinstance(value, tuple):
        return " ".join(value) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
