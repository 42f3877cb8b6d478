"""A role that another program started ends with that program, however it ends: its end of the pipe closes."""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable

import click

#: Seconds that a role has to stop in, before it is ended.
STOP_SECONDS = 10.0


def start_again() -> None:
    """Let this process be its program once more, from the beginning, with the same words: a role was asked to."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # nosec B606 (our own words)


lifeline_option = click.option("--lifeline", is_flag=True, hidden=True, help="End when standard input does.")


class Lifeline:
    """Watches standard input, if it is a lifeline (`held`), and ends this process when that closes.

    Until the role is ready, the process ends at once. Afterwards the role is asked to stop (`ends`); one that has not done so
    within 10 seconds, such as one that waits for a drive that does not answer, is ended.
    """

    def __init__(self, held: bool) -> None:
        self._stop: Callable[[], None] = lambda: os._exit(1)
        if held:
            threading.Thread(target=self._watch, name="lifeline", daemon=True).start()

    def ends(self, stop: Callable[[], None]) -> None:
        """Call `stop`, from another thread, when the lifeline closes."""
        self._stop = stop

    def _watch(self) -> None:
        with contextlib.suppress(OSError):  # what cannot be read any more has ended, too
            while os.read(0, 4096):
                pass
        try:
            self._stop()
            time.sleep(STOP_SECONDS)
        finally:
            os._exit(1)
