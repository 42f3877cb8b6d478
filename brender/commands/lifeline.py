"""A role that another program started ends with that program, however it ends: its end of the pipe closes."""

import os
import sys
import threading
from collections.abc import Callable

import click

lifeline_option = click.option("--lifeline", is_flag=True, hidden=True, help="End when standard input does.")


def watch_lifeline(stop: Callable[[], None], lifeline: bool) -> None:
    """Call *stop* when standard input ends, where it is a *lifeline*."""
    if not lifeline:
        return

    def watch() -> None:
        while os.read(sys.stdin.fileno(), 4096):
            pass
        stop()

    threading.Thread(target=watch, name="lifeline", daemon=True).start()
