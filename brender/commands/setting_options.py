"""Options of the command line for the settings that job types declare: their names, help, choices and defaults are made from the
declaration (`brender.jobs.declare.Setting`)."""

from typing import Any

import click

from brender.commands.moments import Moment
from brender.commands.options import NamedPath
from brender.jobs.declare import FOLDER, GROUPS, MOMENT, Setting

#: Limits from here on are not told in a help: nobody comes near them.
_NO_LIMIT = 1_000_000
_AGAIN = "May be given several times."
_GENERAL = "Options"
#: What the command line takes for these settings, and does where they are left out, in place of what the declaration says: it
#: knows the shell that the job is submitted from.
_BY_THE_SHELL = {"ocio": "The OpenColorIO configuration; none: each worker's own. [default: $OCIO]"}


class GroupedOption(click.Option):
    """An option of a render. ``group``: the heading that a help has it under, one of `GROUPS`."""

    def __init__(self, *args: Any, group: str, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.group = group


class Number(click.ParamType):  # type: ignore[type-arg]  # click 8.1 has it without one
    """A whole number of *setting*, which may have a sign of percent, or a word in its place."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        words = [text for text, _ in setting.spelled]
        self.name = "|".join(["N", *words]) if words else "percent"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> int:
        spelled, text = dict(self.setting.spelled), str(value).strip()
        if text in spelled:
            return spelled[text]
        try:
            return int(text.removesuffix("%") if self.setting.unit == "%" else text)
        except ValueError:
            words = "".join(f" nor {word}" for word in spelled)
            what = "a whole percentage, such as 50 or 50%" if self.setting.unit == "%" else "a whole number"
            self.fail(f"{value!r} is {f'neither {what}{words}' if words else f'not {what}'}", param, context)


def option_of(setting: Setting) -> click.Option:
    """Return the option that gives *setting*. What it gives is ``None``, or ``()`` of a list, where it is left out."""
    names = [setting.name, setting.flag]
    attributes: dict[str, Any] = {"help": help_of(setting), "group": setting.group, "default": None}
    if setting.metavar:
        attributes["metavar"] = setting.metavar
    if setting.kind is bool:
        names[1] = f"{setting.flag}/{_no(setting)}"
    elif setting.kind is list:
        attributes |= {"multiple": True}
    elif setting.choices:
        attributes["type"] = click.Choice(setting.choices, case_sensitive=False)
    elif setting.kind is int:
        attributes["type"] = Number(setting) if setting.spelled or setting.unit == "%" else click.INT
    elif setting.kind is float:
        attributes["type"] = click.FLOAT
    elif setting.form:
        attributes["type"] = {MOMENT: Moment, FOLDER: NamedPath}[setting.form]()
    return GroupedOption(names, **attributes)


def help_of(setting: Setting) -> str:
    """Return what *setting* is, what its choices mean, its limits, and what happens where it is left out.

    >>> help_of(Setting("samples", int, "how many samples", from_file=True, lowest=1, highest=99))
    'How many samples (1 to 99). [default: as the file says]'
    """
    if setting.name in _BY_THE_SHELL:
        return _BY_THE_SHELL[setting.name]
    said = setting.help[:1].upper() + setting.help[1:]
    if setting.lowest is not None and setting.highest is not None and setting.highest < _NO_LIMIT:
        said += f" ({setting.lowest:,} to {setting.highest:,})"
    if words := _words(setting):
        said += f" ({words})"
    again = f" {_AGAIN}" if setting.kind is list else ""
    return f"{said}.{again} [default: {setting.default if setting.default in setting.choices else setting.absent}]"


def _words(setting: Setting) -> str:
    """Return what the choices of *setting* mean, those that do not speak for themselves."""
    if setting.kind is bool:
        return "; ".join(f"{setting.flag if value else _no(setting)}: {text}" for value, text in setting.words)
    chosen = [(value, text) for value, text in setting.words if value in setting.choices]
    return "; ".join(f"{value}: {text}" for value, text in chosen if _plain(value) != _plain(text))


def _plain(text: str) -> str:
    return "".join(filter(str.isalnum, text)).casefold()


def _no(setting: Setting) -> str:
    return f"--no-{setting.flag.removeprefix('--')}"


def write_options(command: click.Command, context: click.Context, formatter: click.HelpFormatter) -> None:
    """Write the options of *command*: first those of no group, then each group under its heading."""
    by_group: dict[str, list[tuple[str, str]]] = {name: [] for name in (_GENERAL, *GROUPS)}
    for param in (each for each in command.get_params(context) if isinstance(each, click.Option)):
        if (record := param.get_help_record(context)) is not None:
            by_group.setdefault(getattr(param, "group", _GENERAL), []).append(record)
    for group, records in by_group.items():
        if records:
            with formatter.section(group):
                formatter.write_dl(records)
