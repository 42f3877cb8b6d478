"""The job types that can be submitted, by name, and what of the settings of a render goes to which."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from brender.jobs.declare import JobType, Setting, render_settings, submitted_types
from brender.jobs.no_blend import OF_A_BLEND, check_no_blend
from brender.model.errors import BadInput
from brender.store.datafolder import DataFolder


def named_type(data: Path, name: str) -> Any:
    """Return the job type *name*: a `JobType`, or a `TypeFile` of the farm's data folder *data*. Raises `BadInput`."""
    known: dict[str, JobType] = submitted_types()
    if name in known:
        return known[name]
    from brender.engines.type_files import all_problems, own_type, type_files  # (few commands need it)

    folder = DataFolder(data).job_types
    if (own := own_type(folder, name)) is not None:
        return own
    there = ", ".join(sorted([*known, *type_files(folder)[0]]))
    elsewhere = not DataFolder(data).local_key.exists()
    more = (
        "the farm's own are submitted on its page, or on the server's machine"
        if elsewhere
        else f"{folder / name}.py could add it"
    )
    broken = "; ".join(all_problems(folder))
    more += f". Of the files that are there: {broken}" if broken else ""
    raise BadInput(f"There is no job type {name!r}; there are: {there}. {more[0].upper()}{more[1:]}")


#: All options of a render that are no settings of its job type under their own names.
NO_SETTINGS = ("name", "output", "no_site_addons", *OF_A_BLEND)


def check_said_once(options: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Raise `BadInput` where a setting is *given* by its name, and by one of the *options* too: one would be ignored."""
    if twice := sorted(given.keys() & _said(options).keys()):
        raise BadInput(f"{_option(twice[0])} and --set {twice[0]}= say the same setting: leave out one of them")


def check_needs_no_blend(options: Mapping[str, Any], kind: str, engine: str) -> None:
    """Raise `BadInput` where *options* of a .blend were given for a job of the type *kind*, run by *engine*, that has none."""
    words = {"addons": "--addon", "site_addons": "--no-site-addons"}
    words |= {"trusted": "--untrusted"} if options.get("trusted") is False else {}
    said = {name: options.get(name) for name in OF_A_BLEND} | {"site_addons": not options.get("no_site_addons")}
    check_no_blend(kind, said, engine, lambda name: words.get(name, f"--{name.replace('_', '-')}"))


def _option(name: str) -> str:
    """Return the option of the command line that gives the setting *name*."""
    known = render_settings().get(name)
    return f"--{name.replace('_', '-')}" if known is None else known.flag


def _said(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return those *options* that were given, and that are settings. (0 and ``--no-persistent`` are given too.)"""
    said = {name: value for name, value in options.items() if value is not None and value != () and name not in NO_SETTINGS}
    return {name: value for name, value in said.items() if name != "progressive" or value}


def option_settings(options: Mapping[str, Any], declared: Sequence[Setting], kind: str) -> dict[str, Any]:
    """Return those *options* of a render that a job type has settings for, such as ``--frames``. Raises `BadInput` where others
    were given, which would be ignored."""
    names = {setting.name for setting in declared}
    given = _said(options)
    if unknown := sorted(given.keys() - names):
        name = unknown[0]
        option = _option(name) if given[name] is not False else f"--no-{_option(name)[2:]}"
        raise BadInput(f"{option} is not for jobs of the type {kind}: `brender submit --type {kind} --help` lists its settings")
    given = {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}
    return {name: str(value) if isinstance(value, Path) else value for name, value in given.items()}


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
