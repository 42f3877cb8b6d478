"""Starting a program again from its beginning, and asking one that this one has started to finish."""

import os
import signal
import subprocess
import sys
from typing import NoReturn

#: What a program ends with that its parent is to start again at once.
START_AGAIN = 75
#: What a parent writes to the standard input of a program that it asks to finish.
FINISH = b"finish\n"
#: The signals that ask a program to finish: of Windows' also Ctrl-Break.
STOP_SIGNALS = [signal.SIGTERM, signal.SIGINT]
if sys.platform == "win32":
    STOP_SIGNALS.append(signal.SIGBREAK)

#: Whether a process can neither become another program nor be sent a signal that it may answer.
_IS_WINDOWS = sys.platform == "win32"


def start_again(watched: bool) -> NoReturn:
    """Let this process be its program once more, from the beginning, with the same words.

    On Windows exec ends the process as if all had been done: there it ends with `START_AGAIN` where a parent has *watched* for
    that, and else waits for the new one, to end as that does.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    words = [sys.executable, *sys.orig_argv[1:]]
    if not _IS_WINDOWS:
        os.execv(sys.executable, words)  # nosec B606 (our own words)
    os._exit(START_AGAIN if watched else _run(words))


def ask_to_finish(process: subprocess.Popen[bytes]) -> None:
    """Ask *process*, which has a pipe for its standard input and reads it, to finish what it does and leave; asked
    twice, it leaves at once. Harmless where it has ended."""
    if not _IS_WINDOWS:
        process.terminate()
        return
    # Windows' terminate is what kill is elsewhere.
    try:
        if process.stdin is not None and not process.stdin.closed:
            os.write(process.stdin.fileno(), FINISH)  # (what is written by `write` and not read would fail its `close`)
    except OSError:
        return


def _run(words: list[str]) -> int:
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)  # they are for the other, which has the same console
    return subprocess.call(words)
