"""Options that a job without a .blend has no use for: they would be ignored, so they are refused. Pure."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from brender.jobs.declare import Setting
from brender.model.errors import BadInput

#: The options about a .blend, by their names in Python and in the JSON API, without those that say where it is.
OF_A_BLEND = ("overwrite", "allow_missing", "trusted", "addons")


def has_blend(settings: Iterable[Setting]) -> bool:
    """Return whether jobs with these *settings*, which their type declares, have a .blend."""
    return any(setting.name == "file" for setting in settings)


def check_no_blend(job_type: str, given: Mapping[str, Any], engine: str, called: Callable[[str], str]) -> None:
    """Raise `BadInput` where one of *given*, all of them about a .blend, says something, for a job that has none. *job_type*:
    its type, as its submitter names it; *engine*: what runs it; *called*: how its submitter writes each name.

    >>> check_no_blend("command", {"trusted": False, "overwrite": False}, "command", '"{}"'.format)
    Traceback (most recent call last):
    ...
    brender.model.errors.BadInput: A job of the type command has no .blend: leave out "trusted"
    """
    said = [name for name, value in given.items() if _says(name, value, engine)]
    if said:
        raise BadInput(f"A job of the type {job_type} has no .blend: leave out {' and '.join(map(called, said))}")


def _says(name: str, value: Any, engine: str) -> bool:
    """Return whether *value* of *name* asks for something that a job without a .blend, run by *engine*, does not have."""
    if name == "site_addons":  # (Blender has them without a .blend too)
        return value is False and engine != "blender"
    return value is not None if name == "trusted" else bool(value)
