"""Tables as the views make them and any screen draws them: columns that fit a width, and cells with a meaning. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from rich.cells import cell_len, set_cell_size

from brender.model.text import harmless

Meaning = Literal["", "good", "busy", "warn", "bad", "dim"]
"""What a cell says beyond its text; a screen with colors shows it by one."""

#: How statuses look.
MEANINGS: dict[str, Meaning] = {
    "idle": "good",
    "online": "good",
    "connected": "good",
    "listening": "good",
    "completed": "good",
    "busy": "busy",
    "active": "busy",
    "queued": "",
    "paused": "warn",
    "draining": "warn",
    "connecting": "warn",
    "disconnected": "warn",
    "silent": "bad",
    "error": "bad",
    "failed": "bad",
    "refused by key": "bad",
    "handshake failed": "bad",
    "canceled": "dim",
    "offline": "dim",
    "asleep": "dim",
    "falling asleep": "dim",
    "disabled": "dim",
    "unknown": "dim",
    "warning": "warn",
    "debug": "dim",
}
_BARS = " ▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class Cell:
    text: str
    meaning: Meaning = ""


@dataclass(frozen=True)
class Column:
    """``width`` in cells at least; one that ``grows`` takes what is left. Where there is little room, those of the highest
    ``rank`` are left out first; those of rank 0 never are."""

    title: str
    width: int
    rank: int = 0
    grows: bool = False
    right: bool = False


@dataclass(frozen=True)
class Table:
    """Rows by their ``keys``; ``cells`` makes one, when it is drawn. ``drawn`` has columns whose text is made for the room that
    there is. ``empty``: what is said where there is no row."""

    title: str
    columns: Sequence[Column]
    keys: Sequence[str]
    cells: Callable[[str], Sequence[Cell]]
    empty: str = ""
    sorted_by: str = ""
    drawn: Mapping[int, Callable[[str, int], str]] = field(default_factory=dict)

    def fitted(self, width: int) -> list[tuple[int, int]]:
        """Return the columns that are shown in *width* cells, each by its number and its width."""
        return fit(self.columns, width)

    def head(self, fitted: Iterable[tuple[int, int]]) -> str:
        columns = [(self.columns[number], room) for number, room in fitted]
        return " ".join(padded(column.title, room, column.right) for column, room in columns)

    def row(self, key: str, fitted: Sequence[tuple[int, int]]) -> list[Cell]:
        """Return the cells of the row *key*, each as wide as its column."""
        cells = self.cells(key)
        made = []
        for number, room in fitted:
            cell = cells[number]
            text = self.drawn[number](key, room) if number in self.drawn else cell.text
            made.append(Cell(padded(text, room, self.columns[number].right), cell.meaning))
        return made

    def lines(self, width: int, most: int | None = None) -> list[str]:
        """Return the whole table as plain lines, at most so many rows of it."""
        fitted = self.fitted(width)
        shown = self.keys if most is None else self.keys[:most]
        rows = [" ".join(cell.text for cell in self.row(key, fitted)).rstrip() for key in shown]
        left = [f"… and {len(self.keys) - len(shown)} more"] if len(shown) < len(self.keys) else []
        return [self.title, self.head(fitted).rstrip(), *(rows or [self.empty]), *left]


def fit(columns: Sequence[Column], width: int) -> list[tuple[int, int]]:
    """Return which of *columns* are shown in *width* cells, with one between each two, and how wide each is."""
    shown = list(range(len(columns)))
    while len(shown) > 1 and sum(columns[each].width + 1 for each in shown) - 1 > width:
        last = max(shown, key=lambda each: (columns[each].rank, each))
        if columns[last].rank == 0:
            break
        shown.remove(last)
    spare = max(0, width - (sum(columns[each].width + 1 for each in shown) - 1))
    growing = [each for each in shown if columns[each].grows]
    widths = {each: columns[each].width for each in shown}
    for place, each in enumerate(growing):
        widths[each] += spare // len(growing) + (place < spare % len(growing))
    return [(each, widths[each]) for each in shown]


def padded(text: str, room: int, right: bool = False) -> str:
    """Return *text*, which may hold anybody's names, on exactly *room* cells."""
    if not text.isprintable():
        text = harmless(text)
    size = len(text) if text.isascii() else cell_len(text)
    if size > room:
        return set_cell_size(text, room - 1) + "…" if room > 0 else ""
    return " " * (room - size) + text if right else text + " " * (room - size)


def sparkline(values: Sequence[float], most: float, room: int) -> str:
    """Return the last *room* of *values* as bars, of which the highest stands for *most*.

    >>> sparkline([0, 50, 100], 100, 4)
    '  ▄█'
    """
    last = values[-room:]
    top = len(_BARS) - 1
    bars = [_BARS[0 if value <= 0 else max(1, min(top, round(value / most * top))) if most > 0 else 0] for value in last]
    return "".join(bars).rjust(room)


def size(count: float) -> str:
    """Return *count* bytes in at most five cells.

    >>> size(0), size(999), size(12_345), size(1_500_000), size(2e12)
    ('0', '999', '12k', '1.5M', '2.0T')
    """
    for unit in ("", "k", "M", "G"):
        if count < 999.5:
            return f"{count:.0f}{unit}" if not unit or count >= 9.95 else f"{count:.1f}{unit}"
        count /= 1000
    return f"{count:.1f}T"


def rate(count: float) -> str:
    """Return how many a second, in at most five cells, or "".

    >>> rate(0), rate(0.25), rate(12.3), rate(4567)
    ('', '0.2', '12', '4.6k')
    """
    return "" if count <= 0 else f"{max(0.1, count):.1f}" if count < 9.95 else size(count)


def milliseconds(seconds: float | None) -> str:
    """Return a short time in milliseconds, or seconds where it is long.

    >>> milliseconds(0.00089), milliseconds(0.0421), milliseconds(2.5), milliseconds(None)
    ('0.9 ms', '42 ms', '2.5 s', '')
    """
    if seconds is None:
        return ""
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.1f} ms" if seconds < 0.00995 else f"{seconds * 1000:.0f} ms"


def clock(seconds: float | None) -> str:
    """Return how long something takes: seconds, minutes, hours or days.

    >>> clock(None), clock(8), clock(75), clock(7300), clock(200_000)
    ('', '8 s', '1:15', '2:01 h', '2.3 d')
    """
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
    return f"{int(seconds) // 3600}:{int(seconds) // 60 % 60:02} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} d"
