"""`brender`: the one program with a command for everything."""

from collections.abc import Iterable
from importlib import import_module
from typing import Any

import click

from brender import __version__
from brender.commands.config import run
from brender.commands.joining import hide_token


class Commands(click.Group):
    """Commands that are imported when they are asked for: importing all of them takes longer than most of them do.

    *modules* has the names of each module's commands; one is called there as it is here.
    """

    def __init__(self, *args: Any, modules: dict[str, Iterable[str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._modules = {name: module for module, names in modules.items() for name in names}

    def list_commands(self, context: click.Context) -> list[str]:
        return sorted({*self._modules, *super().list_commands(context)})

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        module = self._modules.get(name)
        if module is None:
            return super().get_command(context, name)
        command = getattr(import_module(f"brender.commands.{module}"), name)
        assert isinstance(command, click.Command), f"{name} is a command"
        return command


@click.group(
    cls=Commands,
    modules={
        "farm": ("farm", "render", "demo"),
        "jobs": (
            *("submit", "jobs", "job", "tasks", "log"),
            *("pause", "resume", "cancel", "requeue", "priority", "readmit"),
        ),
        "files": ("pack", "fetch", "archive"),
        "nodes": ("workers", "managers", "drain", "disable", "enable", "restart", "describe"),
        "projects": ("project", "path", "delete"),
        "keys": ("join", "token", "key", "discover"),
        "backup": ("backup", "restore"),
        "doctor": ("doctor",),
    },
)
@click.version_option(__version__, prog_name="brender")
def brender() -> None:
    """A render farm for Blender.

    `brender render FILE.blend` renders here and now; `brender farm` runs a farm; `brender doctor` checks this machine.
    """


@brender.group(cls=Commands, modules={"roles": ("server", "manager", "dashboard", "monitor"), "worker": ("worker",)})
def role() -> None:
    """Start one role by hand: the same as brender-server, brender-manager, and so on."""


def main() -> None:
    hide_token()
    run(brender)


if __name__ == "__main__":
    main()
