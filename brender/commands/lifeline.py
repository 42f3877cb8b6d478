"""A role that another program started ends with that program, however it ends: its end of the pipe closes."""

import _thread
import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import NoReturn

import click

from brender.system import restart

#: Seconds that a role has to stop in, before it is ended.
STOP_SECONDS = 10.0


lifeline_option = click.option("--lifeline", is_flag=True, hidden=True, help="End when standard input does.")


class Lifeline:
    """Watches standard input, if it is a lifeline (`held`), and ends this process when that closes.

    Until the role is ready, the process ends at once. Afterwards the role is asked to stop (`ends`); one that has not done so
    within 10 seconds, such as one that waits for a drive that does not answer, is ended. What asks it to finish on the way
    (`restart.ask_to_finish`) does what SIGTERM does.
    """

    def __init__(self, held: bool) -> None:
        self._stop: Callable[[], None] = lambda: os._exit(1)
        self._held = held
        if held:
            threading.Thread(target=self._watch, name="lifeline", daemon=True).start()

    def ends(self, stop: Callable[[], None]) -> None:
        """Call `stop`, from another thread, when the lifeline closes."""
        self._stop = stop

    def start_again(self) -> NoReturn:
        """Let this process be its program once more, from the beginning: the role was asked to."""
        restart.start_again(self._held)

    def _watch(self) -> None:
        with contextlib.suppress(OSError):  # what cannot be read any more has ended, too
            while said := os.read(0, 4096):
                if restart.FINISH in said:
                    if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
                        os._exit(1)  # it is not ready yet
                    _thread.interrupt_main(signal.SIGTERM)
        try:
            self._stop()
            time.sleep(STOP_SECONDS)
        finally:
            os._exit(1)
