"""The names with which you write a job type of your own: a Python file in the folder ``job_types`` of the server's data folder.

The file sets ``JOB_TYPE`` to a `JobTypeFile`. Its ``compile`` gets the checked settings. It returns the steps of the job
(`Step`); or, where the type has a ``base``, the settings of a job of that type. It runs when a job is submitted, in a process
of its own, with little time and memory: a job that was accepted needs the file no more.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from brender.jobs.declare import FILES, MACHINES, ORDER, PICTURE, WHAT, Setting, check_settings, job_type
from brender.jobs.steps import Step, Steps, StepsType, as_text, check_steps
from brender.model.errors import BadInput
from brender.model.frames import parse_frames

__all__ = ["FILES", "MACHINES", "ORDER", "PICTURE", "WHAT", "BadInput", "JobTypeFile", "Setting", "Step", "parse_frames"]

Compile = Callable[[dict[str, Any]], Sequence[Step] | Mapping[str, Any]]


@dataclass(frozen=True)
class JobTypeFile:
    """A job type: its *name*, as in ``brender submit --type NAME``, its *label* for people, its *settings*, and *compile*.

    *compile* gets every setting, checked and with its default, and returns steps. *base* names one of brender's own job types,
    such as ``blender-animation``: then *compile* returns settings of that, and the job is one of that type.
    """

    name: str
    label: str
    settings: tuple[Setting, ...]
    compile: Compile
    base: str = ""


def described(kind: JobTypeFile) -> list[dict[str, Any]]:
    """Return the settings of *kind* as plain data, from which `as_setting` makes them again. Raises `BadInput`."""
    if not isinstance(kind, JobTypeFile):
        raise BadInput("JOB_TYPE is not a JobTypeFile (from brender.jobs.authoring)")
    if not kind.name or not all(each.isalnum() or each in "-_" for each in kind.name) or len(kind.name) > 60:
        raise BadInput(f"The name {kind.name!r} is not of letters, digits, - and _ alone")
    if kind.base:
        job_type(kind.base)
    return [{**vars(each), "kind": each.kind.__name__} for each in kind.settings]


def as_setting(plain: Mapping[str, Any]) -> Setting:
    """Return the setting that *plain* data describe, lists in place of tuples."""
    kind = {"str": str, "int": int, "float": float, "bool": bool, "list": list}[plain["kind"]]
    words = tuple((value, text) for value, text in plain["words"])
    spelled = tuple((text, value) for text, value in plain["spelled"])
    return Setting(**{**plain, "kind": kind, "choices": tuple(plain["choices"]), "words": words, "spelled": spelled})


def compiled(kind: JobTypeFile, file: str, given: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the job type and settings of the job that *kind*, of *file*, makes of the settings *given*. Raises `BadInput`, or
    whatever its ``compile`` raises."""
    settings = check_settings(kind.name, kind.settings, given)
    made = kind.compile(dict(settings))
    if kind.base:
        if not isinstance(made, Mapping):
            raise BadInput(f"compile has to return the settings of a {kind.base} job, as a dictionary, not {made!r:.80}")
        return kind.base, dict(made)
    if not isinstance(made, Sequence) or isinstance(made, str) or not all(isinstance(each, Step) for each in made):
        raise BadInput(f"compile has to return a list of Step, not {made!r:.80}")
    # (Lists in place of tuples are as good, where people write steps.)
    steps = msgspec.convert(msgspec.to_builtins(Steps(tuple(made))), Steps)
    try:
        steps = check_steps(steps)
    except BadInput as error:
        raise BadInput(f"The job type {kind.name!r} makes no job of these settings: {error}") from error
    said = [f"{each.title}: {each.say(settings[each.name])}" for each in kind.settings if settings[each.name] is not None]
    return StepsType.name, {
        "type": kind.name,
        "label": kind.label or kind.name,
        "given": said,
        "source": file,
        "steps": as_text(steps),
    }
