"""The settings of a job type as a JSON Schema (2020-12), made from their declaration. Pure."""

import re
from typing import Any

from brender.jobs.declare import JobType, Setting

_TYPES: dict[type, dict[str, Any]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    list: {"type": "array", "items": {"type": "string"}},
}
#: What is no setting of a submission: it names its .blend by itself.
_APART = ("file",)


def schema_name(job_type: str) -> str:
    """Return what the schema of the settings of *job_type* is called.

    >>> schema_name("blender-animation")
    'BlenderAnimationSettings'
    """
    return "".join(word[:1].upper() + word[1:] for word in re.split(r"[^A-Za-z0-9]+", job_type)) + "Settings"


def settings_schema(kind: JobType) -> dict[str, Any]:
    """Return the JSON Schema of the settings that a job of the type *kind* takes: what `check_settings` accepts, but for the
    .blend. ``x-unit`` is the unit of a number."""
    declared = [setting for setting in kind.settings if setting.name not in _APART]
    schema: dict[str, Any] = {
        "title": kind.label,
        "description": f"Settings of the job type {kind.name}.",
        "type": "object",
        "properties": {setting.name: setting_schema(setting) for setting in declared},
        "additionalProperties": False,
    }
    required = [setting.name for setting in declared if setting.required]
    return schema | ({"required": required} if required else {})


def setting_schema(setting: Setting) -> dict[str, Any]:
    """Return the JSON Schema of one *setting*."""
    schema = {"title": setting.title, "description": _described(setting)} | _TYPES[setting.kind]
    if setting.unit:
        schema["x-unit"] = setting.unit
    if setting.choices:
        schema["enum"] = list(setting.choices)
    if setting.kind in (int, float):
        schema["minimum"] = setting.lowest or 0
        if setting.highest is not None:
            schema["maximum"] = setting.highest
    if setting.default is not None:
        schema["default"] = setting.default
    return schema


def _described(setting: Setting) -> str:
    """Return the help of *setting* as sentences, with its special values and with what happens where it is left out."""
    said = setting.help[:1].upper() + setting.help[1:] + "."
    if setting.words:
        said += " " + "; ".join(f"{value!r}: {text}" for value, text in setting.words) + "."
    if setting.hidden:
        return f"{said} The job type fills it in."
    return said if setting.required else f"{said} Left out: {setting.absent}."
