"""Asks the terminal whether it shows pictures, and how large its cells are."""

import contextlib
import os
import select
import sys
import time

from brender.commands.terminal_protocols import QUESTION, Protocol, is_answered, protocol_of

#: Seconds that a terminal has for its answer, which may come over a slow line; most answer at once.
_ANSWER_SECONDS = 0.5
#: Pixels of a cell where the terminal does not say.
_CELL = (10, 20)


def probe() -> Protocol | None:
    """Return how the terminal at standard input and output is sent pictures; ``None``: not at all."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return None
    return protocol_of(_answer(), os.environ)


def cell_size() -> tuple[int, int]:
    """Return the width and height of a cell of the terminal in pixels, as far as is known."""
    if sys.platform == "win32":
        return _CELL
    with contextlib.suppress(OSError):
        import fcntl
        import struct
        import termios

        rows, columns, width, height = struct.unpack("HHHH", fcntl.ioctl(sys.stdout.fileno(), termios.TIOCGWINSZ, b"\0" * 8))
        if width and height and rows and columns:
            return max(1, width // columns), max(1, height // rows)
    return _CELL


def _answer() -> bytes:
    """Return what the terminal answers to `QUESTION`; nothing where it does not in time, or where there is no way to ask."""
    if sys.platform == "win32":
        return b""
    import termios
    import tty

    keys = sys.stdin.fileno()
    before = termios.tcgetattr(keys)
    answer = b""
    try:
        tty.setcbreak(keys, termios.TCSANOW)
        os.write(sys.stdout.fileno(), QUESTION)
        deadline = time.monotonic() + _ANSWER_SECONDS
        while not is_answered(answer) and (left := deadline - time.monotonic()) > 0:
            if select.select([keys], [], [], left)[0]:
                answer += os.read(keys, 1024)
    finally:
        termios.tcsetattr(keys, termios.TCSANOW, before)
    return answer
