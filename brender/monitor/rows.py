"""A table on the screen: draws the rows that are seen, and no others, so that a thousand workers cost no more than fifty."""

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding
from textual.events import Click, MouseScrollDown, MouseScrollUp
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from brender.monitor.tables import Meaning, Table, padded

#: (Where there are no colors, Textual asks each letter for its style.)
_PLAIN = Style()
_STYLES: dict[Meaning, Style] = {
    "": _PLAIN,
    "good": Style(color="green"),
    "busy": Style(color="cyan"),
    "warn": Style(color="yellow"),
    "bad": Style(color="red", bold=True),
    "dim": Style(dim=True),
}
_TITLE, _HEAD, _CURSOR = Style(bold=True), Style(underline=True, dim=True), Style(reverse=True)
#: Lines above the rows: the title and the names of the columns.
_ABOVE = 2
_SCROLLED = 3


class Rows(Widget, can_focus=True):
    """Shows a `Table`, with a cursor. *follows*: the cursor stays on the last row until it is moved up."""

    BINDINGS: ClassVar = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home,g", "end(False)", "First", show=False),
        Binding("end,G", "end(True)", "Last", show=False),
        Binding("enter", "choose", "Open", show=False),
    ]

    class Moved(Message):
        """The cursor is on another row now."""

    class Chosen(Message):
        """The row under the cursor is to be opened."""

        def __init__(self, rows: "Rows", key: str) -> None:
            self.rows, self.key = rows, key
            super().__init__()

    def __init__(self, id: str, follows: bool = False) -> None:
        super().__init__(id=id)
        self.table: Table | None = None
        self.key = ""
        """The row that the cursor is on, or ""."""
        self.follows = follows
        self._is_following = follows
        self._first = 0
        self._lines: list[Strip] = []
        """What is on the screen."""

    @property
    def room(self) -> int:
        """How many rows are seen at once."""
        return max(1, self.size.height - _ABOVE)

    @property
    def place(self) -> int:
        """The place of the cursor among the rows; 0 where its row has gone."""
        if self.table is None or not self.key:
            return 0
        if self._is_following and self.table.keys:
            return len(self.table.keys) - 1
        try:
            return list(self.table.keys).index(self.key)
        except ValueError:
            return min(self._last_place, max(0, len(self.table.keys) - 1))

    _last_place = 0

    def show(self, table: Table) -> None:
        """Show *table* from now on; the cursor stays on its row, where that is still there."""
        self.table = table
        place = self.place
        if table.keys and (self.key not in table.keys or self._is_following):
            place = len(table.keys) - 1 if self._is_following else min(self._last_place, len(table.keys) - 1)
        self._go(place)

    def action_move(self, by: int) -> None:
        self._is_following = False
        self._go(self.place + by, moved=True)
        self._follow_again()

    def action_page(self, by: int) -> None:
        self.action_move(by * self.room)

    def action_end(self, last: bool) -> None:
        self.action_move(len(self.table.keys) if self.table is not None and last else -(10**9))

    def action_choose(self) -> None:
        if self.key:
            self.post_message(self.Chosen(self, self.key))

    def on_click(self, event: Click) -> None:
        line = event.y - _ABOVE
        if self.table is not None and line >= 0 and self._first + line < len(self.table.keys):
            was_on = self._first + line == self.place
            self.action_move(self._first + line - self.place)
            if was_on:
                self.action_choose()

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        event.stop()
        self.action_move(_SCROLLED)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        event.stop()
        self.action_move(-_SCROLLED)

    def _follow_again(self) -> None:
        if self.follows and self.table is not None and self.place >= len(self.table.keys) - 1:
            self._is_following = True

    def _go(self, place: int, moved: bool = False) -> None:
        keys = self.table.keys if self.table is not None else ()
        place = min(max(0, place), len(keys) - 1) if keys else 0
        before, self.key = self.key, keys[place] if keys else ""
        self._last_place = place
        self._first = min(max(self._first, place - self.room + 1), place)
        self._first = max(0, min(self._first, len(keys) - self.room))
        if moved or self.key != before:
            self.post_message(self.Moved())
        self._draw()

    def on_resize(self) -> None:
        self._go(self.place)

    def on_focus(self) -> None:
        self._draw()

    def on_blur(self) -> None:
        self._draw()

    def _draw(self) -> None:
        """Draw the lines that have changed, and no others: every letter may go over a slow line."""
        before, self._lines = self._lines, self._made()
        if len(before) != len(self._lines):
            self.refresh()
        else:
            width = self.size.width
            changed = [y for y, line in enumerate(self._lines) if line != before[y]]
            if changed:
                self.refresh(*(Region(0, y, width, 1) for y in changed))

    def render_line(self, y: int) -> Strip:
        return self._lines[y] if y < len(self._lines) else Strip.blank(self.size.width, _PLAIN)

    def _made(self) -> list[Strip]:
        width, table = self.size.width, self.table
        if table is None or width <= 0:
            return []
        fitted = table.fitted(width)
        sorted_by = f" · by {table.sorted_by}" if table.sorted_by else ""
        mark = "▸ " if self.has_focus else "  "
        above = ((f"{mark}{table.title}{sorted_by}", _TITLE), (table.head(fitted), _HEAD))
        lines = [Strip([Segment(padded(text, width), style)], width) for text, style in above]
        for key in table.keys[self._first : self._first + self.room]:
            lines.append(self._row(table, key, fitted, width))
        if not table.keys:
            lines.append(Strip([Segment(padded(table.empty, width), _STYLES["dim"])], width))
        blank = Strip([Segment(" " * width, _PLAIN)], width)
        return (lines + [blank] * (self.size.height - len(lines)))[: self.size.height]

    def _row(self, table: Table, key: str, fitted: list[tuple[int, int]], width: int) -> Strip:
        is_cursor = self.has_focus and key == self.key
        segments = []
        for cell in table.row(key, fitted):
            # (Colors turned around would make blocks of what is empty.)
            segments.append(Segment(cell.text + " ", _CURSOR if is_cursor else _STYLES[cell.meaning]))
        return Strip(segments).adjust_cell_length(width, _CURSOR if is_cursor else _PLAIN)
