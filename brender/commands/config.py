"""Settings: each option of each command from the command line, else its environment variable, else one TOML file.

The file has a table for each command that takes settings (``[server]``, ``[worker]``, …) with the option's own names, and
``data`` at its top. It is named by ``--config`` or ``BRENDER_CONFIG``, or lies at the platform's own place.
"""

import importlib
import os
import pkgutil
import re
import sys
import tomllib
import traceback
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click
import platformdirs

from brender.commands.first_word import take_back
from brender.commands.output import say, tell_more
from brender.commands.role_logs import is_json, say_of_role
from brender.model.errors import BadInput, BrenderError
from brender.model.farm_file import FARM_TABLES, read_farm_tables
from brender.model.text import harmless

#: Commands by the name of their table. Filled as they are declared.
SECTIONS: dict[str, click.Command] = {}
#: Tables that set options of another command: which, and how these options begin.
PARTS = {"power": ("server", "power_")}
#: Keys that stand above the tables and count for every command.
SHARED = ("data",)
#: Options by which a person takes something upon themselves: for this time, and never by a file.
EACH_TIME = frozenset({"as_it_is", "yes"})
#: Options that say how one command is to answer, and are no settings of a farm.
NO_SETTINGS = frozenset({"config", "verbose", "help", "as_json", "lifeline", *EACH_TIME})


#: Commands that list things, and those that show one of them.
_ONE_OF = {"jobs": "job", "workers": "worker", "managers": "manager"}


def default_config() -> Path:
    return platformdirs.user_config_path("brender", appauthor=False) / "brender.toml"


class Configured(click.Command):
    """A command whose options may also stand in the file, in the table that has its ``section``."""

    def __init__(self, *args: Any, section: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        SECTIONS[section] = self
        self.section = section

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        if "default_map" not in extra:
            try:
                extra["default_map"] = settings_for(self.section, read_config(args))
            except BadInput:
                if not extra.get("resilient_parsing"):
                    raise  # (a shell that completes is told nothing)
        return super().make_context(info_name, args, parent, **extra)

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Read *args*; of a list that is given a name, say which command shows one thing of it."""
        try:
            return super().parse_args(context, args)
        except click.UsageError as error:
            extra = re.search(r"^Got unexpected extra arguments? \((\S+).*\)$", error.message)
            one = _ONE_OF.get(self.section)
            if extra is None or one is None:
                raise
            said = f"`brender {self.section}` lists all. `brender {one} {extra[1]}` shows {one} {extra[1]}"
            raise click.UsageError(said, context) from error


def names_config(args: Sequence[str]) -> bool:
    """Return whether *args* name a settings file."""
    return _named_in(args) is not None


def config_file(args: Sequence[str]) -> Path:
    """Return the settings file that *args*, the environment or the platform names."""
    named = _named_in(args) or os.environ.get("BRENDER_CONFIG")
    return Path(named) if named else default_config()


def read_config(args: Sequence[str]) -> dict[str, Any]:
    """Return the settings file that *args*, the environment or the platform names, checked. Raises `BadInput`."""
    named, path = _named_in(args) or os.environ.get("BRENDER_CONFIG"), config_file(args)
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        if named:
            raise BadInput(f"There is no settings file {path}, which --config or BRENDER_CONFIG names") from error
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"The settings file {path} cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"The settings file {path} is not TOML: {error}") from error
    check_config(content, path)
    return content


def check_config(content: dict[str, Any], path: Path) -> None:
    """Raises `BadInput` that names the first table or key of *content* that nobody knows."""
    for key, value in content.items():
        if key in SHARED:
            if not isinstance(value, str):
                raise BadInput(f"{path}: {key} is a text in quotes, and not {_as_toml(value)}")
            continue
        if key not in SECTIONS and key not in FARM_TABLES:
            declare_all()
        if key not in SECTIONS and key not in FARM_TABLES and key not in PARTS:
            known = [*SECTIONS, *PARTS, *FARM_TABLES, *SHARED]
            raise BadInput(f"{path}: nobody knows {_what(key, value)}{_hint(key, known)}")
        if not isinstance(value, dict):
            raise BadInput(f"{path}: {key!r} must be a table, [{key}], with settings below it")
        if key in FARM_TABLES:
            continue
        names = _settings(key)
        for name, said in value.items():
            if name.replace("-", "_") not in names:
                raise BadInput(f"{path}: [{key}] has no setting {name!r}{_hint(name, _shown_settings(key))}")
            parameter = names[name.replace("-", "_")]
            if parameter in EACH_TIME:
                raise BadInput(f"{path}: [{key}] {name} cannot be set in the file: give it on the command line each time")
            _check_kind(key, parameter, said, f"{path}: [{key}] {name}")
    try:
        read_farm_tables(content)
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from error


def _check_kind(section: str, parameter: str, value: object, what: str) -> None:
    """Raise `BadInput` where *value* is of another kind than the option that sets *parameter* of *section* takes."""
    option = next(each for each in _command_of(section).params if each.name == parameter)
    assert isinstance(option, click.Option)
    kinds: tuple[type, ...]
    if option.is_flag:
        kinds, wanted = (bool,), "true or false"
    elif isinstance(option.type, click.types.FloatParamType | click.FloatRange):
        kinds, wanted = (int, float), "a number"
    elif isinstance(option.type, click.types.IntParamType | click.IntRange):
        kinds, wanted = (int,), "a whole number"
    else:
        kinds, wanted = (str,), "a text in quotes"
    if option.multiple:
        fits = isinstance(value, list) and all(_is_of(each, kinds) for each in value)
        wanted = f"a list: [{wanted}, …]"
    else:
        fits = _is_of(value, kinds)
    if not fits:
        raise BadInput(f"{what} is {wanted}, and not {_as_toml(value)}")


def _is_of(value: object, kinds: tuple[type, ...]) -> bool:
    return isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))


def _as_toml(value: object) -> str:
    """Return *value* as its writer knows it."""
    if isinstance(value, bool):
        return str(value).lower()
    return "a table" if isinstance(value, dict) else f'"{value}"' if isinstance(value, str) else str(value)


def declare_all() -> None:
    """Have all commands in `SECTIONS`: they are declared as their modules are imported, and one file is for all of them."""
    for module in pkgutil.iter_modules([str(Path(__file__).parent)], "brender.commands."):
        importlib.import_module(module.name)


def settings_for(section: str, content: dict[str, Any]) -> dict[str, Any]:
    shared = {name: content[name] for name in SHARED if name in content}
    if section in FARM_TABLES:
        return shared  # what stands there is the farm's, and no option of the command
    names = _settings(section) if section in SECTIONS else {}
    own = {name.replace("-", "_"): value for name, value in content.get(section, {}).items()}
    for part, (command, prefix) in PARTS.items():
        if command == section:
            own |= {f"{prefix}{name.replace('-', '_')}": value for name, value in content.get(part, {}).items()}
    return shared | {names.get(name, name): value for name, value in own.items()}


def _settings(section: str) -> dict[str, str]:
    """Return each name of a setting of *section*, and the parameter that it sets: an option's own name (``allow_program`` for
    ``--allow-program``), and the parameter's."""
    if section in PARTS:
        command, prefix = PARTS[section]
        return {name.removeprefix(prefix): each for name, each in _settings(command).items() if name.startswith(prefix)}
    options = [each for each in SECTIONS[section].params if isinstance(each, click.Option)]
    found = {each.name or "": each.name or "" for each in options}
    for option in options:
        own = [word.removeprefix("--").replace("-", "_") for word in option.opts if word.startswith("--")]
        found |= {word: option.name or "" for word in own if word not in found}
    return found


def run(command: click.Command, args: Sequence[str] | None = None) -> None:
    """Run *command* as a program: what goes wrong is one sentence on standard error and an exit code."""
    words = list(sys.argv[1:] if args is None else args)
    try:
        try:
            code = command.main(words, standalone_mode=False)
        finally:
            take_back()
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except click.Abort as error:
        nobody_to_ask = isinstance(error.__cause__ or error.__context__, EOFError)
        say("There is no terminal to ask on" if nobody_to_ask else "Interrupted", err=True)
        code = 130
    except BrenderError as error:
        if {"--verbose", "-v"} & set(own_words(words)):
            traceback.print_exc()
        say_of_role(harmless(str(error), kept="\n"), error=True)
        if not is_json():
            tell_more(str(error))
        code = error.exit_code
    sys.exit(code if isinstance(code, int) else 0)


def own_words(words: Sequence[str]) -> Sequence[str]:
    """Return those of a command's *words* that are its own: not what follows ``--``, which is for another program."""
    return words[: words.index("--")] if "--" in words else words


def _named_in(args: Sequence[str]) -> str | None:
    for place, word in enumerate(args := own_words(args)):
        if word.startswith("--config="):
            return word.partition("=")[2]
        if word == "--config" and place + 1 < len(args):
            return args[place + 1]
    return None


def _what(key: str, value: object) -> str:
    return f"the table [{key}]" if isinstance(value, dict) else f"the setting {key!r}"


def _command_of(section: str) -> click.Command:
    return SECTIONS[PARTS[section][0] if section in PARTS else section]


def _shown_settings(section: str) -> list[str]:
    """Return the names of the settings of *section* as people write them."""
    if section in PARTS:
        return [each.replace("_", "-") for each in _settings(section)]
    options = [each for each in SECTIONS[section].params if isinstance(each, click.Option)]
    told = [each for each in options if not each.hidden and each.name not in NO_SETTINGS]
    return [next((word.removeprefix("--") for word in each.opts if word.startswith("--")), each.name or "") for each in told]


def _hint(name: str, known: Sequence[str]) -> str:
    close = get_close_matches(name.replace("_", "-"), known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known are: {', '.join(sorted(known))}"
