"""Options of the command line for the settings that job types declare: their names, help, choices and defaults are made from the
declaration (`brender.jobs.declare.Setting`)."""

from collections.abc import Callable, Collection
from typing import Any

import click

from brender.commands.moments import Moment
from brender.commands.options import NamedPath
from brender.jobs.declare import FOLDER, GROUPS, MOMENT, NAMES, NEXT, PICTURES, Setting

#: Limits from here on are not told in a help: nobody comes near them.
_NO_LIMIT = 1_000_000
_AGAIN = "May be given several times."
_INSTEAD = "Those that you give replace the earlier ones."
#: What becomes of finished frames after an edit of a setting, as its help says it.
_EDITED = {
    NEXT: "Finished frames stay.",
    PICTURES: "Finished frames are rendered again.",
    NAMES: "All frames are rendered again; the earlier files stay.",
}
_GENERAL = "Options"
#: The help of settings for which the command line, which knows the shell that a job is submitted from, takes other values and
#: has another default than the declaration.
_BY_THE_SHELL = {"ocio": ("The OpenColorIO configuration; none: each worker's own.", "[default: $OCIO]")}


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


def option_of(setting: Setting, help: str | None = None) -> click.Option:
    """Return the option that gives *setting*, with *help* (``None``: that of a submission). What it gives is ``None``, or ``()``
    of a list, where it is left out."""
    names = [setting.name, setting.flag]
    attributes: dict[str, Any] = {"help": help or help_of(setting), "group": setting.group, "default": None}
    if setting.metavar:
        attributes["metavar"] = setting.metavar
    if setting.kind is bool:
        names[1] = f"{setting.flag}/{setting.no_flag}"
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
        return " ".join(_BY_THE_SHELL[setting.name])
    again = f" {_AGAIN}" if setting.kind is list else ""
    default = setting.default if setting.default in setting.choices else setting.absent
    return f"{_said(setting)}{again} [default: {default}]"


def help_of_change(setting: Setting, of_edit: bool) -> str:
    """Return the help of *setting* of a job that is there: what it is, its choices and limits, and, where it is *of_edit*, what
    becomes of finished frames.

    >>> help_of_change(Setting("samples", int, "how many samples", lowest=1, highest=99, edit=PICTURES), of_edit=True)
    'How many samples (1 to 99). Finished frames are rendered again.'
    """
    said = _BY_THE_SHELL[setting.name][0] if setting.name in _BY_THE_SHELL else _said(setting)
    instead = _INSTEAD if setting.kind is list else ""
    return " ".join(filter(None, (said, instead, _EDITED.get(setting.edit) if of_edit else "")))


def _said(setting: Setting) -> str:
    """Return what *setting* is, its limits and what its choices mean, as a sentence."""
    said = setting.help[:1].upper() + setting.help[1:]
    if setting.lowest is not None and setting.highest is not None and setting.highest < _NO_LIMIT:
        said += f" ({setting.lowest:,} to {setting.highest:,})"
    if words := _words(setting):
        said += f" ({words})"
    return f"{said}."


def _words(setting: Setting) -> str:
    """Return what the choices of *setting* mean, those that do not speak for themselves."""
    if setting.kind is bool:
        return "; ".join(f"{setting.flag if value else setting.no_flag}: {text}" for value, text in setting.words)
    chosen = [(value, text) for value, text in setting.words if value in setting.choices]
    return "; ".join(f"{value}: {text}" for value, text in chosen if _plain(value) != _plain(text))


def _plain(text: str) -> str:
    return "".join(filter(str.isalnum, text)).casefold()


def add_option(function: Callable[..., Any], option: click.Option) -> None:
    """Give the command that is made of *function* the *option*, as `click.option` does."""
    function.__dict__.setdefault("__click_params__", []).append(option)


def write_options(
    command: click.Command, context: click.Context, formatter: click.HelpFormatter, only: Collection[str] | None = None
) -> None:
    """Write the options of *command*: first those of no group, then each group under its heading. *only*: of those in groups,
    which are of settings, those of the settings with these names; ``None``: all."""
    by_group: dict[str, list[tuple[str, str]]] = {name: [] for name in (_GENERAL, *GROUPS)}
    for param in (each for each in command.get_params(context) if isinstance(each, click.Option)):
        if only is not None and isinstance(param, GroupedOption) and param.name not in only:
            continue
        if (record := param.get_help_record(context)) is not None:
            by_group.setdefault(getattr(param, "group", _GENERAL), []).append(record)
    for group, records in by_group.items():
        if records:
            with formatter.section(group):
                formatter.write_dl(records)
