"""What a terminal shows while a command is still being imported and reads its .blend: a word, which what comes next takes back.

Imported before everything else, so that the word is there at once; it needs nothing but `click`.
"""

import os
import sys

import click

#: Commands for which somebody waits, and what they do at first.
_WORDS = {"render": "Reading the .blend …", "submit": "Reading the .blend …", "demo": "Making the demo's scene …"}
_is_shown = False


def say_first_word(command: str) -> None:
    """Show what *command* does at first, where standard error and output are a terminal that can take it back."""
    global _is_shown
    word = _WORDS.get(command)
    can = sys.stdout.isatty() and sys.stderr.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown")
    if word is None or not can or {"--help", "--json"} & set(sys.argv):
        return
    _is_shown = True
    plain = word if (sys.stderr.encoding or "").lower().startswith("utf") else word.replace("…", "...")
    click.echo(f"{plain}\r", nl=False, err=True)


def take_back() -> None:
    """Remove the word; nothing where none is shown."""
    global _is_shown
    if _is_shown:
        _is_shown = False
        click.echo("\x1b[K", nl=False, err=True)
