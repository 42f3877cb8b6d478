"""The job types that `brender submit --type` takes: brender's own, installed ones, and those of files in the data folder."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from brender.commands.config import Configured
from brender.engines.openjd_templates import SUFFIXES
from brender.jobs.declare import OTHER, JobType, Setting, submitted_types
from brender.model.errors import BadInput
from brender.store.datafolder import DataFolder

_YES, _NO = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


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


def with_script(given: dict[str, Any]) -> dict[str, Any]:
    """Return the settings *given* of a script, with the text of its file, where it names one that is here. Raises `BadInput`."""
    file = Path(str(given.get("script", "")))
    if not file.suffix and not file.is_file():
        return given  # a text in the .blend
    try:
        return given | {"script": file.name, "text": file.read_text("utf-8")}
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise BadInput(f"The script {file} cannot be read: {why}") from error


def with_whole_paths(given: dict[str, Any]) -> dict[str, Any]:
    """Return the settings *given*, with whole paths for the files of a film, which may be named from the current folder."""
    named = [name for name in ("pictures", "sound") if given.get(name) and not str(given[name]).startswith("{")]
    return given | {name: str(Path(str(given[name])).absolute()) for name in named}


def template_among(words: Sequence[str], parameters: Sequence[str]) -> Path | None:
    """Return the template of Open Job Description that the *words* of a submission name; ``None`` where they name none. Raises
    `BadInput` where there are *parameters* of one, and it is missing."""
    if len(words) == 1 and words[0].lower().endswith(SUFFIXES):
        return Path(words[0])
    if parameters:
        raise BadInput("--param is for templates of Open Job Description: brender submit TEMPLATE.yaml --param NAME=VALUE")
    return None


def named_values(words: Sequence[str]) -> dict[str, str]:
    """Return what *words*, each NAME=VALUE, say. Raises `BadInput`."""
    for word in words:
        if "=" not in word:
            raise BadInput(f"--param takes NAME=VALUE, not {word!r}")
    return {name: value for name, _, value in (word.partition("=") for word in words)}


def given_settings(words: Sequence[str], declared: Sequence[Setting]) -> dict[str, Any]:
    """Return what ``--set NAME=VALUE`` says, each value as its setting takes it; a list grows by each. Raises `BadInput`."""
    kinds = {setting.name: setting.kind for setting in declared}
    given: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals:
            raise BadInput(f"--set takes NAME=VALUE, not {word!r}")
        value = _value(name, text, kinds.get(name))
        given[name] = [*given.get(name, []), *value] if isinstance(value, list) else value
    return given


def _value(name: str, text: str, kind: type | None) -> Any:
    if kind is str:
        return text
    if kind is bool:
        if text.lower() not in (*_YES, *_NO):
            raise BadInput(f"--set {name} takes yes or no, not {text!r}")
        return text.lower() in _YES
    if kind is list and not text.startswith("["):
        return [text]
    try:
        return json.loads(text)
    except ValueError:
        return text


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


class Submitting(Configured):
    """`brender submit`, whose ``--help`` also lists the settings of the job type that ``--type`` names."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_options(ctx, formatter)
        name = ctx.meta.get("brender.type")
        if not name:
            return
        try:
            kind = named_type(ctx.meta["brender.data"], name)
        except BadInput as error:
            formatter.write_paragraph()
            formatter.write_text(str(error))
            return
        by_group: dict[str, list[tuple[str, str]]] = {}
        for setting in kind.settings:
            if not setting.hidden:
                by_group.setdefault(setting.group or OTHER, []).append((setting.name, described(setting)))
        formatter.write_paragraph()
        formatter.write_text(f"Settings of the job type {kind.name} ({kind.label}), each by --set NAME=VALUE:")
        for group, rows in by_group.items():
            with formatter.section(group):
                formatter.write_dl(rows)

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        context.meta["brender.type"] = _named(args, "--type")
        data = _named(args, "--data") or os.environ.get("BRENDER_DATA")
        context.meta["brender.data"] = Path(data) if data else DataFolder.default()
        return super().parse_args(context, args)


def described(setting: Setting) -> str:
    """Return what *setting* is, what it takes and what happens without it, for a list of settings."""
    takes = (
        ", ".join(setting.choices)
        or {str: "text", int: "number", float: "number", bool: "yes or no", list: "text, again for each more"}[setting.kind]
    )
    if setting.unit and setting.kind is int:
        takes += f" of {setting.unit}"
    if setting.lowest is not None and setting.highest is not None:
        takes += f", {setting.lowest:,} to {setting.highest:,}"
    without = "needed" if setting.required else f"default: {setting.absent}"
    return f"{setting.help} ({takes}) [{without}]"


def _named(args: Sequence[str], option: str) -> str:
    """Return what *option* is given in *args*; "" where it is not."""
    for index, word in enumerate(args):
        if word == "--":
            break
        if word == option and index + 1 < len(args):
            return args[index + 1]
        if word.startswith(option + "="):
            return word.partition("=")[2]
    return ""
