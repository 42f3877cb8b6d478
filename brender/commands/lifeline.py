"""A role that another program started ends with that program, however it ends: its end of the pipe closes."""

import os
import sys
import threading
from collections.abc import Callable

import click


def start_again() -> None:
    """Let this process be its program once more, from the beginning, with the same words: a role was asked to."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # nosec B606 (our own words)


lifeline_option = click.option("--lifeline", is_flag=True, hidden=True, help="End when standard input does.")


class Lifeline:
    """Watches standard input from now on, where it is one (*held*). Until the role stands, its end ends this process as it is."""

    def __init__(self, held: bool) -> None:
        self._stop: Callable[[], None] = lambda: os._exit(1)
        if held:
            threading.Thread(target=self._watch, name="lifeline", daemon=True).start()

    def ends(self, stop: Callable[[], None]) -> None:
        """From now on its end calls *stop*."""
        self._stop = stop

    def _watch(self) -> None:
        while os.read(sys.stdin.fileno(), 4096):
            pass
        self._stop()
