"""The job types that `brender submit --type` takes: brender's own, installed ones, and those of files in the data folder."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from brender.api.job_types import named_type
from brender.api.options import render_options
from brender.commands.config import Configured
from brender.commands.setting_options import write_options
from brender.engines.openjd_templates import SUFFIXES
from brender.jobs.declare import OTHER, Setting
from brender.model.errors import BadInput
from brender.store.datafolder import DataFolder

_YES, _NO = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


def template_among(words: Sequence[str], parameters: Sequence[str], settings: Sequence[str]) -> Path | None:
    """Return the template of Open Job Description that the *words* of a submission name; ``None`` where they name none. Raises
    `BadInput` where there are *parameters* of one, and it is missing; or a template, and a job type or *settings* of one."""
    if len(words) == 1 and words[0].lower().endswith(SUFFIXES):
        if settings:
            raise BadInput(f"--set is for job types, and {words[0]} is a template, with parameters: --param NAME=VALUE")
        if named := click.get_current_context().meta["brender.type"]:
            raise BadInput(f"{words[0]} is a template, which says itself what its job does: leave out --type {named}")
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


def check_pictures(pictures: bool, wait: bool) -> None:
    """Raise `BadInput` where *pictures* are wanted on the command line, and nothing is waited for that would show them."""
    if pictures and not wait and click.get_current_context().get_parameter_source("pictures") is ParameterSource.COMMANDLINE:
        raise BadInput("--pictures shows frames while the job is waited for: give --wait too, or leave it out")


def without_file_s(options: dict[str, Any], kind: Any) -> dict[str, Any]:
    """Return *options* for a job of the type *kind*, without those of renders that the settings file gives, if that type has no
    use for them. (On the command line they are refused: the file is for all jobs.)"""
    from brender.engines.type_files import needs_file  # (few commands need it)

    if needs_file(kind):
        return options
    context, empty, own = click.get_current_context(), render_options({}), {each.name for each in kind.settings}
    unused = {
        name: empty[name]
        for name in options.keys() & empty.keys() - own - {"name", "output"}
        if context.get_parameter_source(name) is ParameterSource.DEFAULT_MAP
    }
    return options | unused


class Submitting(Configured):
    """`brender submit`, whose ``--help`` also lists the settings of the job type that ``--type`` names, and only options that
    such a job has a use for."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        name = ctx.meta.get("brender.type")
        if not name:
            write_options(self, ctx, formatter)
            return
        try:
            kind = named_type(ctx.meta["brender.data"], name)
        except BadInput as error:
            write_options(self, ctx, formatter)
            formatter.write_paragraph()
            formatter.write_text(str(error))
            return
        from brender.engines.type_files import TypeFile, needs_file  # (few commands need it)

        has_file = needs_file(kind)
        if is_usual := has_file and not isinstance(kind, TypeFile):  # its settings are the options, but for a few
            write_options(self, ctx, formatter)
        self._write_settings(kind, formatter)
        if not is_usual:
            write_options(self, ctx, formatter, None if has_file else {each.name for each in kind.settings})

    @staticmethod
    def _write_settings(kind: Any, formatter: click.HelpFormatter) -> None:
        """Write the settings of the job type *kind* itself."""
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
        if not self._has_words(context, args):
            args = _of_a_program(args)
        context.meta["brender.type"] = _named(args, "--type")
        data = _named(args, "--data") or os.environ.get("BRENDER_DATA")
        context.meta["brender.data"] = Path(data) if data else DataFolder.default()
        return super().parse_args(context, args)

    def _has_words(self, context: click.Context, args: list[str]) -> bool:
        """Return whether *args* have a word that is no option, nor an option's value, before ``--``."""
        before = args[: args.index("--")] if "--" in args else []
        try:
            values, _, _ = self.make_parser(context).parse_args(list(before))
        except click.UsageError:  # (which is said when all of them are parsed)
            return True
        words = values.get("words")
        return isinstance(words, tuple) and bool(words)  # (click has a mark of its own for "not named")


def _of_a_program(args: list[str]) -> list[str]:
    """Return *args* with ``--type command`` where they begin with options, and ``--`` begins a program's words, and no type is
    named. What begins with a file is no program.

    >>> _of_a_program(["--frames", "1-3", "--", "echo", "hello"])
    ['--frames', '1-3', '--type', 'command', '--', 'echo', 'hello']
    >>> _of_a_program(["--", "-shot.blend", "other.blend"])
    ['--', '-shot.blend', 'other.blend']
    """
    if "--" not in args:
        return args
    place = args.index("--")
    options, words = args[:place], args[place + 1 :]
    is_file = words and words[0].lower().endswith((".blend", *SUFFIXES))
    if not words or is_file or any(each == "--type" or each.startswith("--type=") for each in options):
        return args
    return [*options, "--type", "command", *args[place:]]


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
    """Return what *option* is given in *args*, or "" if it is not."""
    for index, word in enumerate(args):
        if word == "--":
            break
        if word == option and index + 1 < len(args):
            return args[index + 1]
        if word.startswith(option + "="):
            return word.partition("=")[2]
    return ""
