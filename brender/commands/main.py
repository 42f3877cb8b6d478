"""`brender`: the one program with a command for everything."""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Any

import click

from brender import __version__
from brender.commands.config import run
from brender.commands.first_word import say_first_word
from brender.commands.hidden_token import hide_token


class Commands(click.Group):
    """Commands that are imported when they are asked for: importing all of them takes longer than most of them do.

    *modules* has the names of each module's commands; one is called there as it is here. *sections* has the names of commands by
    the headings that they are listed under; without it there is one list.
    """

    def __init__(
        self,
        *args: Any,
        modules: Mapping[str, Iterable[str]],
        sections: Mapping[str, Iterable[str]] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._modules = {name: module for module, names in modules.items() for name in names}
        self.sections = {heading: tuple(names) for heading, names in (sections or {}).items()}

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands under their headings."""
        for heading, names in (self.sections or {"Commands": tuple(self.list_commands(context))}).items():
            with formatter.section(heading):
                width = formatter.width - 6 - max(map(len, names))
                commands = [(name, self.get_command(context, name)) for name in names]
                formatter.write_dl([(name, command.get_short_help_str(width)) for name, command in commands if command])

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Say of an option that comes too early where it belongs."""
        try:
            return super().parse_args(context, args)
        except click.NoSuchOption as error:
            word = next((word for word in args if self.get_command(context, word) is not None), "COMMAND")
            said = f"{error.option_name} comes after the command's name: {context.command_path} {word} {error.option_name} …"
            raise click.UsageError(said, context) from error

    def resolve_command(self, context: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """For a word that is not a command, say which one was perhaps meant."""
        word = args[0]
        if not context.resilient_parsing:  # (a shell that completes is told nothing)
            say_first_word(word)
        if word == "help" and self.get_command(context, word) is None:
            _show_help(self, context, args[1:])
        if self.get_command(context, word) is None and not word.startswith("-"):
            program = context.command_path
            if word.lower().endswith(".blend"):
                said = f"`{program} render {word}` renders it here and now; `{program} submit {word}` gives it to the farm"
            else:
                near = get_close_matches(word, self.list_commands(context), 1)
                said = f"There is no command {word!r}. " + (f"Is {near[0]} meant? " if near else "")
                said += f"`{program} --help` lists them"
            raise click.UsageError(said, context)
        return super().resolve_command(context, args)

    def list_commands(self, context: click.Context) -> list[str]:
        return sorted({*self._modules, *super().list_commands(context)})

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        module = self._modules.get(name)
        if module is None:
            return super().get_command(context, name)
        command = getattr(import_module(f"brender.commands.{module}"), name.replace("-", "_"))
        assert isinstance(command, click.Command), f"{name} is a command"
        return command


def _show_help(group: click.Group, context: click.Context, words: Sequence[str]) -> None:
    """Print the help of *group*, or of the command in it that *words* name, and end."""
    shown: click.Command = group
    for word in words:
        if not isinstance(shown, click.Group) or (below := shown.get_command(context, word)) is None:
            raise click.UsageError(
                f"There is no command {' '.join(words)!r}. `{context.command_path} --help` lists them", context
            )
        shown, context = below, click.Context(below, context, word)
    click.echo(shown.get_help(context))
    context.exit()


@click.group(
    cls=Commands,
    modules={
        "farm": ("farm", "render", "demo"),
        "submit": ("submit",),
        "jobs": ("jobs", "job", "tasks", "log"),
        "job_actions": ("pause", "resume", "cancel", "requeue", "priority", "readmit"),
        "beginning": ("when",),
        "edits": ("edit", "clone"),
        "why": ("why",),
        "shares": ("shares", "limits"),
        "files": ("pack", "fetch", "archive"),
        "nodes": (
            *("workers", "worker", "managers", "manager", "activity"),
            *("drain", "disable", "enable", "restart", "sleep", "wake", "describe", "forget", "log-level"),
        ),
        "people": ("user", "api-token"),
        "addons": ("addon",),
        "projects": ("project", "path", "delete"),
        "accounts": ("accounts",),
        "hooks": ("hooks",),
        "pause_here": ("pause-here",),
        "keys": ("join", "token", "key", "discover"),
        "backup": ("backup", "restore"),
        "database": ("database",),
        "doctor": ("doctor",),
        "docs": ("docs",),
        "version": ("version",),
        "service": ("service",),
        "settings": ("config",),
        "scale": ("scale",),
    },
    sections={
        "Render and watch": ("render", "submit", "jobs", "job", "tasks", "log", "why", "fetch", "pack", "demo"),
        "Change jobs": (
            "pause",
            "resume",
            "cancel",
            "requeue",
            "priority",
            "when",
            "edit",
            "clone",
            "readmit",
            "delete",
            "archive",
        ),
        "The farm": ("farm", "scale", "doctor", "activity", "accounts", "hooks", "shares", "limits", "project", "path", "addon"),
        "Machines": (
            "workers",
            "worker",
            "managers",
            "manager",
            "drain",
            "disable",
            "enable",
            "restart",
            "sleep",
            "wake",
            "describe",
            "forget",
            "log-level",
            "discover",
            "pause-here",
            "service",
        ),
        "People and keys": ("join", "token", "key", "user", "api-token"),
        "Keeping": ("backup", "restore", "database", "version", "config", "docs"),
        "By hand": ("role",),
    },
)
@click.version_option(__version__, prog_name="brender")
def brender() -> None:
    """A render farm for Blender.

    `brender render FILE.blend` renders here and now; `brender farm` runs a farm; `brender doctor` checks this machine;
    `brender docs` opens the documentation.
    """


@brender.group(
    short_help="Start one role: the same as brender-server and so on.",
    cls=Commands,
    modules={"roles": ("server", "manager", "dashboard"), "monitor": ("monitor",), "worker": ("worker",)},
)
def role() -> None:
    """Start one role by hand: the same as brender-server, brender-manager, and so on."""


def main() -> None:
    hide_token()
    run(brender)


if __name__ == "__main__":
    main()
