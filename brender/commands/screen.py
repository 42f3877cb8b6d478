"""A terminal, or a pipe, that is told how a job goes: the thin shell around `brender.commands.display`."""

import os
import sys
import textwrap
import time
from collections.abc import Iterable
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.live import Live
from rich.segment import ControlType, Segment
from rich.text import Text

from brender.commands.display import JobView, Marks, draw
from brender.commands.first_word import take_back
from brender.model.text import harmless

if TYPE_CHECKING:
    from brender.commands.terminal_graphics import Shown as Picture

_REDRAWS_A_SECOND = 4
#: The exit code of a command that was interrupted, as shells have it.
INTERRUPTED = 130
#: Columns of a pipe.
_ENDLESS = 1_000_000
#: Rows of a picture at most; below so many it is not worth it.
_PICTURE_ROWS, _PICTURE_ROWS_LEAST = 12, 4


class _Sent:
    """What is sent to the terminal as it is."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Segment(self._text, None, [(ControlType.CARRIAGE_RETURN,)])


class Screen:
    """Use it in a ``with`` statement. On a terminal a few lines are drawn again and again (`show`), and what is said besides
    (`say`) goes above them. Into a pipe, and on a terminal that only prints, each is a line of its own.

    *apart*: standard output is for something else, so that all goes to standard error.
    """

    def __init__(self, apart: bool = False) -> None:
        take_back()
        stream = sys.stderr if apart else sys.stdout
        self.is_live = stream.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown")
        self.is_apart = apart
        self._console = Console(stderr=apart, highlight=False, emoji=False, markup=False)
        self._marks = Marks(getattr(stream, "encoding", None) or "utf-8")
        self._view, self._shown = JobView(), time.monotonic()
        self._live: Live | None = None
        self._warned: set[str] = set()
        self._picture_rows = 0
        """Rows of the picture that stands just above what is drawn; 0: there is none."""

    def __enter__(self) -> "Screen":
        if self.is_live:
            self._live = Live(
                console=self._console, get_renderable=self._draw, refresh_per_second=_REDRAWS_A_SECOND, vertical_overflow="crop"
            )
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close(erase=kind is None)

    @property
    def width(self) -> int:
        """Columns that a line may have."""
        return self._console.width if self.is_live else _ENDLESS

    def close(self, erase: bool = True) -> None:
        """Draw no more, and *erase* what is drawn or leave it."""
        live, self._live = self._live, None
        if live is not None:
            live.transient = erase
            live.stop()

    def show(self, view: JobView) -> None:
        """Draw *view* from now on."""
        self._view, self._shown = view, time.monotonic()

    def picture(self, shown: "Picture") -> None:
        """Put a picture above what is drawn, in the place of the one before where nothing was said since."""
        if self._live is None:
            return
        back = f"\x1b[{self._picture_rows}A\r\x1b[J" if self._picture_rows else ""
        rows = shown.rows
        # Room is made first, so that nothing moves while the picture is drawn; \x1b7 and \x1b8 keep the cursor.
        drawn = f"{back}{chr(10) * rows}\x1b[{rows}A\r  \x1b7{shown.sent}\x1b8\x1b[{rows}B\r"
        self._console.print(_Sent(drawn), soft_wrap=True, end="")
        self._picture_rows = rows

    @property
    def room_for_picture(self) -> tuple[int, int]:
        """Columns and rows that a picture may have; no rows where the terminal is too small for one."""
        width, height = self._console.size
        lines = len(draw(self._view, width, height, self._marks)) + 2
        rows = min(_PICTURE_ROWS, height - lines)
        return max(1, width - 4), rows if rows >= _PICTURE_ROWS_LEAST else 0

    def waits(self, what: str) -> None:
        """Say *what* is waited for before anything is known of a job."""
        if self.is_live:
            self.show(JobView(note=what))
        else:
            self.say(what)

    def silent(self, seconds: float, gone: str = "") -> None:
        """Draw from now on that nothing was heard for some *seconds*; *gone*: why the server runs no more."""
        view = self._view.after(time.monotonic() - self._shown)
        self.show(replace(view, silent=seconds, gone=gone))

    def say(self, text: str, style: str = "", error: bool = False) -> None:
        """Print *text*: on a terminal broken between words where each fits a line; into a pipe in one line.
        *error*: to standard error, where that is not the same terminal."""
        self._picture_rows = 0
        if error and not self.is_live:
            print(harmless(text), file=sys.stderr, flush=True)
        else:
            plain = self._marks.plain(text)
            lines = _wrapped(plain, self.width) if self.is_live else [plain]
            for line in lines:
                self._console.print(Text(line, style=style), soft_wrap=True)
            self._console.file.flush()

    def warn(self, text: str) -> None:
        """Print a warning, once."""
        if text in self._warned:
            return
        self._warned.add(text)
        self.say(f"Warning: {text}", style="yellow", error=True)

    def finished(self, lines: Iterable[str]) -> None:
        """Tell of finished frames, where what is drawn does not."""
        if not self.is_live:
            for line in lines:
                self.say(line)

    def _draw(self) -> Group:
        view = self._view.after(time.monotonic() - self._shown)
        width, height = self._console.size
        return Group(*draw(view, width, height, self._marks))


def _wrapped(text: str, width: int) -> list[str]:
    """Return *text* in lines of *width* columns; as it is where one of its words is longer, such as a path or an address, which
    is to stay whole for those who copy it."""
    if cell_len(text) <= width or any(cell_len(word) > width for word in text.split()):
        return [text]
    indent = text[: len(text) - len(text.lstrip())]
    return textwrap.wrap(text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
