"""brender config: what settings there are, what each is, and where that comes from."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click
from click.core import ParameterSource

from brender.bus.address import parse_address
from brender.commands.config import NO_SETTINGS, SECTIONS, SHARED, config_file, declare_all, read_config, settings_for
from brender.commands.options import NamedPath
from brender.commands.output import print_json, print_table, say
from brender.model.errors import BadInput
from brender.model.farm_file import COMMANDS, FARM_TABLES, Said, read_farm_tables
from brender.model.quotas import QuotaKind
from brender.model.text import plural

#: Settings that are secrets: what they are is shown to nobody.
_SECRETS = frozenset({"join"})
_ADDRESSES = frozenset({"listen", "server"})
_FILE = "the settings file"
_NOWHERE = "default"

_config = click.option("--config", type=NamedPath(dir_okay=False), envvar="BRENDER_CONFIG", help="The settings file (TOML).")


class Setting(NamedTuple):
    """A setting of the command *section*, "" for one of all: *source* says in words where its *value* comes from."""

    section: str
    name: str
    value: Any
    source: str


@click.group(short_help="Show settings, and check the settings file.")
def config() -> None:
    """Show the settings and where each comes from, and check the settings file."""


@config.command(short_help="Show the settings that differ from their defaults.")
@_config
@click.option("--all", "of_all", is_flag=True, help="Also show settings that have their defaults.")
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
@click.argument("table", default="", metavar="[TABLE]")
def show(config: Path | None, of_all: bool, is_json: bool, table: str) -> None:
    """Show the settings that differ from their defaults, or all of one TABLE of the file, such as `server`.

    What a command's own words say counts more than its environment, and that more than the file.
    """
    content, path = _read(config)
    if table and table not in SECTIONS and table not in FARM_TABLES:
        raise BadInput(f"There is no table {table!r}. There are: {', '.join(sorted({*SECTIONS, *FARM_TABLES}))}")
    of_farm = [
        Setting(each.table, each.key, _as_in_file(each), f"{_FILE}, unless `{COMMANDS[each.table]}` set another")
        for each in read_farm_tables(content)
    ]
    if table in FARM_TABLES:
        found = [each for each in of_farm if each.section == table]
    elif table:
        found = list(settings(table, content))
    else:
        every = [each for section in sorted(SECTIONS.keys() - FARM_TABLES.keys()) for each in settings(section, content)]
        shared = {each.name: each._replace(section="") for each in every if each.name in SHARED}
        found = [*shared.values(), *(each for each in every if each.name not in SHARED)]
        found = [each for each in found if of_all or each.source != _NOWHERE]
        found += of_farm
    if is_json:
        rows = [each._asdict() | {"value": _plain(each.value)} for each in found]
        print_json({"file": str(path), "there": path.is_file(), "settings": rows})
        return
    say(f"{path}" if path.is_file() else f"{path} (there is no such file)")
    shown = [(f"[{each.section}]" if each.section else "all", each.name, _in_words(each.value), each.source) for each in found]
    print_table(
        ("TABLE", "SETTING", "VALUE", "FROM"),
        shown,
        "Every setting has its default. `brender config show --all` shows them",
    )


@config.command()
@_config
def check(config: Path | None) -> None:
    """Check the settings file: every table, every name, every value."""
    content, path = _read(config)
    if not path.is_file():
        say(f"There is no settings file {path}: every setting has its default")
        return
    for section in content.keys() & SECTIONS.keys():
        context = _context(section, content)
        said = context.default_map or {}
        for option in context.command.params:
            if option.name not in said:
                continue
            try:
                option.process_value(context, said[option.name])
                if option.name in _ADDRESSES:
                    parse_address(said[option.name], 1)
            except click.ClickException as error:
                raise BadInput(f"{path}: [{section}] {_name(option)}: {error.format_message()}") from error
            except BadInput as error:
                raise BadInput(f"{path}: [{section}] {_name(option)}: {error}") from error
    count = sum(len(value) if isinstance(value, dict) else 1 for value in content.values())
    say(f"{path}: {plural(count, 'setting')}, all good")


def settings(section: str, content: dict[str, Any]) -> Iterator[Setting]:
    """Yield the settings of the command *section*, with the settings file's *content*."""
    from brender.store.database import shown  # here: it takes a while to import

    context = _context(section, content)
    for option in _options(context):
        value, source = option.consume_value(context, {})
        said = {
            ParameterSource.ENVIRONMENT: _variable(option),
            ParameterSource.DEFAULT_MAP: _FILE,
        }.get(source, _NOWHERE)
        if said == _NOWHERE:
            value = _default(option, context)
        elif option.name in _SECRETS:
            value = "(not shown)"
        elif isinstance(value, str) and "://" in value:
            value = shown(value)
        yield Setting(section, _name(option), value, said)


def _as_in_file(said: Said) -> Any:
    """Return the value of *said* as the file has it: hours, where the farm counts seconds."""
    return said.value / 3600 if said.kind is QuotaKind.FARM else said.value


def _read(config: Path | None) -> tuple[dict[str, Any], Path]:
    """Return the settings file that *config*, the environment or the platform names, and where that is."""
    declare_all()
    words = [] if config is None else ["--config", str(config)]
    return read_config(words), config_file(words)


def _context(section: str, content: dict[str, Any]) -> click.Context:
    context = click.Context(SECTIONS[section], info_name=section)
    context.default_map = settings_for(section, content)
    return context


def _options(context: click.Context) -> list[click.Option]:
    options = [each for each in context.command.params if isinstance(each, click.Option)]
    return [each for each in options if not each.hidden and each.name not in NO_SETTINGS]


def _default(option: click.Option, context: click.Context) -> Any:
    """Return what *option* is by default, ``None`` for nothing; in words where it says it so."""
    if isinstance(option.show_default, str):
        return f"({option.show_default})"
    default = option.get_default(context)
    return None if default is getattr(click.core, "UNSET", None) else default  # (since click 8.3, nothing has a name)


def _name(option: click.Parameter) -> str:
    long = [word for word in option.opts if word.startswith("--")]
    return long[0].removeprefix("--") if long else option.name or ""


def _variable(option: click.Option) -> str:
    named = option.envvar
    return f"${named}" if isinstance(named, str) else f"${', $'.join(named or ())}"


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _in_words(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_in_words, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None or value == "" else str(value)
