"""What is shown while a command is still being imported and reads its .blend: a word, which what comes next on a terminal takes
back.

Imported before everything else, so that the word is there at once; it needs nothing but `click`.
"""

import os
import sys
from itertools import takewhile

import click

#: Commands for which somebody waits, and what they do at first.
_WORDS = {
    "render": "Reading the .blend …",
    "submit": "Reading the job …",
    "demo": "Making the demo's scene …",
    "farm": "Starting the farm …",
}
#: Those that take so long that it is said into a pipe or a file, too.
_LONG = frozenset({"render", "demo", "farm"})
_is_shown = False


def say_first_word(command: str) -> None:
    """Show what *command* does at first: on a terminal that can take it back so that it goes; elsewhere, where the command takes
    long, as the first line of its output."""
    global _is_shown
    word = _WORDS.get(command)
    if word is None or {"--help", "--json"} & set(takewhile(lambda each: each != "--", sys.argv)):
        return
    _is_shown = sys.stdout.isatty() and sys.stderr.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown")
    if not _is_shown and command not in _LONG:
        return
    encoding = (sys.stderr if _is_shown else sys.stdout).encoding or ""
    plain = word if encoding.lower().startswith("utf") else word.replace("…", "...")
    click.echo(f"{plain}\r" if _is_shown else plain, nl=not _is_shown, err=_is_shown)


def take_back() -> None:
    """Remove the word, if one is shown."""
    global _is_shown
    if _is_shown:
        _is_shown = False
        click.echo("\x1b[K", nl=False, err=True)
