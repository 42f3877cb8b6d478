"""What an edit makes of a job: which of its settings may change, and what that means for frames that are done. Pure.

Tasks keep their numbers, and frames their files: an edit that would give them others is refused, and a clone is the remedy.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from brender.jobs.declare import MORE, NAMES, PICTURES, JobType, Setting
from brender.model.edit import Edit
from brender.model.errors import BadInput
from brender.model.frames import format_frames, parse_frames
from brender.model.job import JobSpec, TaskPlan
from brender.model.sharing import Sharing
from brender.model.text import short_id, size_in_words
from brender.model.units import passes_of

#: Tasks that are compared, of those that a job has before and after an edit.
_COMPARED = 64
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
    """A job after an edit. ``said``: what changed, in words; "" where nothing did. ``pictures``: frames look otherwise, or have
    other files; ``renames``: they have other files."""

    spec: JobSpec
    said: str
    changed: tuple[str, ...]
    pictures: bool
    renames: bool = False


def revise(kind: JobType, spec: JobSpec, edit: Edit) -> Revised:
    """Return *spec*, a prepared job of the type *kind*, as *edit* makes it. Raises `BadInput` where it cannot be edited so."""
    declared = {setting.name: setting for setting in kind.settings}
    given = {name: _whole(name, value, declared, spec) for name, value in edit.settings.items()}
    sharing = edit.sharing(spec.sharing)
    revised = msgspec.structs.replace(spec, **edit.fields, sharing=sharing, settings=spec.settings | given)
    if given:
        # (What is filled in from another setting is filled in again.)
        revised = kind.prepare(msgspec.structs.replace(revised, warnings=()))
    changed = [name for name, value in revised.settings.items() if value != spec.settings.get(name)]
    for name in changed:
        if name not in declared or not declared[name].edit:
            raise BadInput(_refusal(spec, name, declared.get(name), revised.settings[name]))
    renames = any(declared[name].edit == NAMES for name in changed)
    if changed:
        _check_plan(kind, spec, revised, any(declared[name].edit == MORE for name in changed), renames)
    said = [_said(declared[name], spec.settings.get(name), revised.settings[name]) for name in changed]
    fields = [name for name in edit.fields if getattr(revised, name) != getattr(spec, name)]
    said[:0] = [f"{name.replace('_', ' ')} {_plain(getattr(spec, name))} → {_plain(getattr(revised, name))}" for name in fields]
    shared = [name for name in _SHARING if getattr(sharing, name) != getattr(spec.sharing, name)]
    said += [f"{_SHARING[name]} {_shared(spec.sharing, name)} → {_shared(sharing, name)}" for name in shared]
    pictures = any(declared[name].edit in (PICTURES, NAMES) for name in changed)
    return Revised(revised, ", ".join(said), (*fields, *shared, *changed), pictures, renames)


def _whole(name: str, value: Any, declared: dict[str, Setting], spec: JobSpec) -> Any:
    """Return the *value* of the setting *name*; frames that are added come after those that the job has. Raises `BadInput`."""
    if name not in declared or declared[name].edit != MORE or not isinstance(value, str) or not spec.settings.get(name):
        return value
    there, wanted = parse_frames(spec.settings[name]), parse_frames(value)
    if gone := set(there).difference(wanted):
        raise BadInput(
            f"Frames can be added to the job, but {_named(gone)} cannot be taken out of it: cancel it, and `brender clone "
            f"{short_id(spec.id)} --frames {value}` renders these alone"
        )
    known = set(there)
    added = [frame for frame in wanted if frame not in known]
    if not added or wanted == (*there, *added):
        return value if added else spec.settings[name]
    return f"{spec.settings[name]},{format_frames(added)}"


def _named(frames: Iterable[int]) -> str:
    several = sorted(frames)
    return f"frame {several[0]}" if len(several) == 1 else f"the frames {format_frames(several)}"


def _refusal(spec: JobSpec, name: str, setting: Setting | None, value: Any) -> str:
    option = f"--{name.replace('_', '-')} {value}" if name in ("frames", "format", "pattern") else f"--set {name}={value}"
    label = setting.title if setting is not None else name
    return (
        f"{label} ({name}) decides which tasks and files a job has, so it cannot be edited: `brender clone {short_id(spec.id)} "
        f"{option}` submits the job again with it"
    )


def _check_plan(kind: JobType, spec: JobSpec, revised: JobSpec, grows: bool, renames: bool) -> None:
    """Raises `BadInput` unless *revised* has the tasks and files of *spec*; where it *grows*, these and more after them; where it
    *renames*, the same tasks, with files of other names, of which nothing else is made."""
    if grows and renames:
        raise BadInput("Add frames in one edit and change their files in another")
    count, now = kind.task_count(spec), kind.task_count(revised)
    stages = len(kind.stages(spec)), len(kind.stages(revised))
    same = stages[0] == stages[1] and (renames or kind.output_key(spec) == kind.output_key(revised))
    if renames:
        same = same and stages[0] == 1 and not spec.settings.get("pieces") and not passes_of(spec.settings)
    if grows:
        same = same and stages[0] == 1 and now > count and revised.settings.get("order", _FORWARD) == _FORWARD
    else:
        same = same and now == count and kind.part_count(spec) == kind.part_count(revised)
    step = max(1, count // _COMPARED)
    compared = {*range(0, count, step), count - 1}
    if not same or any(_task(kind, spec, number, renames) != _task(kind, revised, number, renames) for number in compared):
        if grows:
            raise BadInput(
                "The new frames would not come after the tasks that the job has (it has a film or other stages, another order "
                f"of frames, or a last task that is not full): `brender clone {short_id(spec.id)} --frames FRAMES` renders them "
                "as a job of their own"
            )
        raise BadInput(
            f"So edited, the job would have other tasks, or files with other names: `brender clone {short_id(spec.id)}` with the "
            "same options submits it again"
        )


def _task(kind: JobType, spec: JobSpec, number: int, renames: bool) -> TaskPlan:
    """Return the task *number* of *spec*; where an edit *renames* its files, without their names."""
    task = kind.task(spec, number)
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
