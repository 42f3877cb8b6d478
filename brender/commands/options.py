"""Options that several commands share, and what they mean."""

import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from brender.api.farm import Farm
from brender.api.place import Place
from brender.bus.address import SERVER_PORT, Address, parse_address
from brender.bus.client import Client
from brender.commands.output import tell
from brender.store.datafolder import DataFolder

F = TypeVar("F", bound=Callable[..., Any])


class NamedPath(click.Path):
    """A path of this machine. An empty word, which a shell makes of a variable that is not set, is refused."""

    def __init__(self, **options: Any) -> None:
        super().__init__(path_type=Path, **options)

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> Any:
        if value == "":
            self.fail("it is empty. Name a path, or leave it out", param, context)
        return super().convert(value, param, context)


def common(function: F) -> F:
    """``--data``, ``--config``, ``--verbose``."""
    decorators = (
        click.option(
            "--data",
            type=NamedPath(file_okay=False),
            default=DataFolder.default,
            envvar="BRENDER_DATA",
            show_default="the platform's own place",
            help="The data folder of the farm.",
        ),
        click.option(
            "--config",
            type=NamedPath(dir_okay=False),
            envvar="BRENDER_CONFIG",
            help="The settings file (TOML).",
        ),
        click.option("--verbose", "-v", is_flag=True, help="Print more, and the traceback of an error."),
    )
    for decorator in reversed(decorators):
        function = decorator(function)
    return function


def server_option(function: F) -> F:
    """``--server``: where the server is."""
    return click.option(
        "--server",
        envvar="BRENDER_SERVER",
        show_default=f"the server of the data folder, else 127.0.0.1:{SERVER_PORT}",
        help="The server's address, HOST or HOST:PORT.",
    )(function)


def site_option(function: F) -> F:
    """``--site``: where this machine stands, for paths that differ from site to site (brender.model.paths)."""
    return click.option(
        "--site", envvar="BRENDER_SITE", default="", help="The site of this machine, if paths differ between sites."
    )(function)


def cache_option(function: F) -> F:
    """``--cache``: how much of files is kept."""
    return click.option(
        "--cache",
        type=click.FloatRange(0.1, 1e6),
        default=20.0,
        show_default=True,
        metavar="GB",
        help="How much of jobs' files to keep here. Those that were not used for longest are removed first.",
    )(function)


def json_option(function: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(function)


def pictures_option(function: F) -> F:
    """``--pictures``: the latest frame, in the terminal."""
    return click.option(
        "--pictures", is_flag=True, help="Show the latest frame, if the terminal can show pictures (kitty, iTerm2, sixel)."
    )(function)


def listen_address(listen: str, port_base: int | None, default: int) -> Address:
    address = parse_address(listen, default)
    return address if port_base is None else Address(address.host, port_base)


def client(server: str | None, data: Path, timeout: float = 10.0) -> Client:
    """Return a connection to the server that the options name, with the key that this machine's commands have.

    Raises as `brender.api.place.as_commands` does. A longer wait is said.
    """
    return Place(server, data, tell).client(timeout)


def farm(server: str | None, data: Path) -> Farm:
    """Return the farm whose server the options name, as Python has it. Raises as `client` does."""
    return Farm(server, data=data, notify=tell)


def host_name() -> str:
    """Return what a node is called where nobody names it."""
    return platform.node() or "brender"
