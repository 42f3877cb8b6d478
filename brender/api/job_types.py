"""The job types that can be submitted, by name, and what of the settings of a render goes to which."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from brender.jobs.declare import JobType, Setting, submitted_types
from brender.model.errors import BadInput
from brender.store.datafolder import DataFolder


def named_type(data: Path, name: str) -> Any:
    """Return the job type *name*: a `JobType`, or a `TypeFile` of the farm's data folder *data*. Raises `BadInput`."""
    known: dict[str, JobType] = submitted_types()
    if name in known:
        return known[name]
    from brender.engines.type_files import type_files  # (few commands need it)

    folder = DataFolder(data).job_types
    files, problems = type_files(folder)
    if name in files:
        return files[name]
    broken = next((reason for file, reason in problems.items() if file.stem == name), None)
    if broken is not None:
        raise BadInput(f"The job type in {folder / name}.py cannot be used: {broken}")
    there = ", ".join(sorted([*known, *files]))
    elsewhere = not DataFolder(data).local_key.exists()
    more = (
        "the farm's own are submitted on its page, or on the server's machine"
        if elsewhere
        else f"{folder / name}.py could add it"
    )
    raise BadInput(f"There is no job type {name!r}; there are: {there}. {more[0].upper()}{more[1:]}")


def option_settings(options: Mapping[str, Any], declared: Sequence[Setting], kind: str) -> dict[str, Any]:
    """Return those *options* of a render that a job type has settings for, such as ``--frames``. Raises `BadInput` where others
    were given, which would be ignored."""
    names = {setting.name for setting in declared}
    apart = ("name", "output", "addons", "overwrite", "allow_missing", "trusted", "no_site_addons")
    given = {name: value for name, value in options.items() if value not in (None, (), False) and name not in apart}
    if unknown := sorted(given.keys() - names):
        option = "--" + {"view_layers": "view-layer", "blender": "blender-series"}.get(unknown[0], unknown[0])
        raise BadInput(f"{option} is not for jobs of the type {kind}: `brender submit --type {kind} --help` lists its settings")
    return {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}


def with_script(given: dict[str, Any]) -> dict[str, Any]:
    """Return the settings *given* of a script, with the text of its file, where it names one that is here. Raises `BadInput`."""
    file = Path(str(given.get("script", "")))
    if not file.suffix and not file.is_file():
        return given  # a text in the .blend
    try:
        return given | {"script": file.name, "text": file.read_text("utf-8")}
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise BadInput(f"The script {file} cannot be read: {why}") from error


def with_whole_paths(given: dict[str, Any]) -> dict[str, Any]:
    """Return the settings *given*, with whole paths for the files of a film, which may be named from the current folder."""
    named = [name for name in ("pictures", "sound") if given.get(name) and not str(given[name]).startswith("{")]
    return given | {name: str(Path(str(given[name])).absolute()) for name in named}
