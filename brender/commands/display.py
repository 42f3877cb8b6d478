"""What a terminal shows of a job while it renders, as lines of text. Pure: state, size and time in, lines out.

From the top: a bar for the job with what is done and the time left, a line for each worker, the file that was finished last,
and, where nothing renders, why. Lines fit the width; what there is no room for is left out, the least important first.
"""

import textwrap
from dataclasses import dataclass, field, replace

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from brender.commands.output import clock
from brender.model.spans import left_in_words, span_in_words
from brender.model.text import harmless, size_in_words

#: Columns from which there is room for wide gaps, and for longer bars of workers.
_WIDE, _WIDER = 80, 120
_BAR_LEAST, _WORKER_BAR = 8, 16
#: Columns of a phase and its samples: "sampling 16384/16384".
_PHASE = 20
_REASON_LINES = 3
#: Lines of a screen that are kept for all but workers.
_OTHER_LINES = 8
#: What stands for signs that a terminal cannot show.
_PLAIN = str.maketrans({"…": "...", "·": "-", "–": "-", "→": ">", "×": "x", "’": "'"})


@dataclass(frozen=True)
class Marks:
    """The signs that a terminal can show: those of its *encoding*."""

    encoding: str = "utf-8"

    @property
    def _full(self) -> bool:
        return self.encoding.lower().replace("_", "-").startswith("utf")

    def plain(self, text: str) -> str:
        """Return *text* as it can be shown: nothing that a terminal would obey, and no sign that it does not have."""
        text = harmless(text)
        if self._full:
            return text
        return text.translate(_PLAIN).encode(self.encoding, "replace").decode(self.encoding)

    def bar(self, share: float, width: int, small: bool = False) -> tuple[str, str]:
        """Return the full and the empty piece of a bar of *width* columns."""
        full = min(width, int(max(0.0, share) * width + 1e-6))
        done, empty = ("▆" if small else "█", "░") if self._full else ("#", ".")
        return done * full, empty * (width - full)

    @property
    def dots(self) -> str:
        return "…" if self._full else "."


@dataclass(frozen=True)
class WorkerLine:
    """What one worker does: its name, its frame (``None``: not begun), the phase, the samples (``164/256``), the share of the
    frame that is done, and the seconds since it began."""

    name: str
    frame: int | None = None
    phase: str = ""
    count: str = ""
    share: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True)
class LastFile:
    """The file that was finished last, the seconds it took and the bytes of memory (0: not known)."""

    name: str
    seconds: float = 0.0
    memory: int = 0


@dataclass(frozen=True)
class JobView:
    """What there is to show. ``total`` 0: it is not known yet. ``frames``: of a job that goes over its frames in passes, how many
    these are; else 0. ``left`` in seconds, ``None``: nobody knows. ``note``: what is
    waited for, and why. ``silent``: seconds for which the server has not answered; ``gone``: why it runs no more."""

    done: int = 0
    total: int = 0
    frames: int = 0
    left: float | None = None
    elapsed: float = 0.0
    workers: tuple[WorkerLine, ...] = ()
    last: LastFile | None = None
    note: str = ""
    silent: float | None = None
    gone: str = ""

    def after(self, seconds: float) -> "JobView":
        """Return the same some *seconds* later: what is measured by the clock goes on."""
        return replace(
            self,
            elapsed=self.elapsed + seconds,
            left=None if self.left is None else max(0.0, self.left - seconds),
            silent=None if self.silent is None else self.silent + seconds,
            workers=tuple(replace(worker, seconds=worker.seconds + seconds) for worker in self.workers),
        )


def draw(view: JobView, width: int, height: int = 24, marks: Marks = Marks()) -> list[Text]:
    """Return the lines that show *view* on a screen of *width* columns and *height* lines, none wider than that."""
    indent = 2 if width >= 40 else 0
    room = max(1, width - indent - 1)  # the last column stays free: some terminals go on to the next line from there
    lines = [_job(view, room, marks)] if view.total else []
    shown = view.workers[: max(1, height - _OTHER_LINES)]
    workers, column = _workers(shown, room, marks)
    lines += workers
    if len(view.workers) > len(shown):
        lines.append(Text(_clip(f"and {len(view.workers) - len(shown)} more workers", room, marks), style="dim"))
    if view.last is not None:
        lines.append(_last(view.last, column, room, marks))
    lines += [Text(line, style="yellow" if view.total else "") for line in _notes(view, room, marks)]
    return [Text(" " * indent).append_text(line) for line in lines]


def frame_line(*, what: str, done: int, total: int, file: str, seconds: float, worker: str, left: float | None) -> str:
    """Return the line that a pipe gets for a finished frame.

    >>> frame_line(what="frame 1019", done=19, total=48, file="v1/a_1019.exr", seconds=38.9, worker="w2", left=730.0)
    'frame 1019 (19 of 48): v1/a_1019.exr, 38.9 s on w2, 12 min left'
    """
    took = f"{seconds:.1f} s" + (f" on {worker}" if worker else "")
    rest = [f"{left_in_words(left)} left"] if left is not None and done < total else []
    return harmless(f"{what} ({done} of {total}): {', '.join(filter(None, (file, took, *rest)))}")


def _job(view: JobView, room: int, marks: Marks) -> Text:
    """Return the job's bar with its figures. Each figure keeps its place, so that the bar does not jump."""
    gap = "   " if room >= _WIDE else "  "
    count = _in_passes(view) if view.frames else f"{view.done}/{view.total}".rjust(2 * len(str(view.total)) + 1)
    rough = "" if view.left is None or view.silent is not None else left_in_words(view.left)
    elapsed = clock(view.elapsed).rjust(5)
    choices = (
        (f"about {rough} left" if rough else "", 21, elapsed, 20),
        (f"{rough} left" if rough else "", 15, elapsed, 12),
        (f"{rough} left" if rough else "", 15, "", _BAR_LEAST),
        (rough, 10, "", _BAR_LEAST),
        ("", 0, "", _BAR_LEAST),
    )
    for left, kept, time, least in choices:
        figures = [(count, "bold"), (left.ljust(kept), "bold"), (time, "dim")]
        taken = sum(cell_len(text) + len(gap) for text, _ in figures if text)
        width = min(max(46, room * 2 // 5), room - taken)
        if width >= least:
            break
    else:
        return Text(_clip(count.strip(), room, marks), style="bold")
    full, empty = marks.bar(view.done / view.total, width)
    line = Text().append(full, style="green").append(empty, style="bright_black")
    for text, style in figures:
        if text.strip():
            # "about 12 min left" keeps its place; what is longer, and comes seldom, moves the clock.
            shown = text.rstrip().ljust(min(17, kept)) if text is figures[1][0] else text
            line.append(gap).append(marks.plain(shown), style=style)
    line.rstrip()
    line.truncate(room)
    return line


def _in_passes(view: JobView) -> str:
    """Return how far a job is that goes over its frames again and again: the frames of this pass, and the pass."""
    passes = max(1, view.total // view.frames)
    number = min(passes, view.done // view.frames + 1)
    done = f"{view.done - (number - 1) * view.frames}/{view.frames}".rjust(2 * len(str(view.frames)) + 1)
    return f"{done}, pass {number} of {passes}"


@dataclass
class _Column:
    """Cells below each other, each with its style; ``right``: they end at the same place."""

    cells: list[str]
    style: str = ""
    right: bool = False
    width: int = field(init=False)

    def __post_init__(self) -> None:
        self.width = max((cell_len(cell) for cell in self.cells), default=0)


def _workers(workers: tuple[WorkerLine, ...], room: int, marks: Marks) -> tuple[list[Text], int]:
    """Return a line for each of *workers*, and the width of the names' column."""
    if not workers:
        return [], 0
    names = _Column([_clip(worker.name, max(8, room // 4), marks) for worker in workers])
    plain = ["" if worker.frame is None else str(worker.frame) for worker in workers]
    numbers = _Column(plain)
    frames = _Column([f"frame {number.rjust(numbers.width)}" if number else "" for number in plain])
    phases = [marks.plain(f"{worker.phase} {worker.count}".rstrip()) for worker in workers]
    bar = _WORKER_BAR if room < _WIDER else _WORKER_BAR * 3 // 2
    percents = _Column([f"{worker.share:4.0%}" if worker.share > 0 else "" for worker in workers])
    times = _Column([clock(worker.seconds, short=True) for worker in workers], style="dim", right=True)
    bars = _Column(["".join(marks.bar(worker.share, bar, small=True)) if worker.share > 0 else "" for worker in workers])
    bars.width, times.width, percents.width = bar, max(5, times.width), 4
    gap = 3 if room >= _WIDE else 2
    # From the fullest line to the barest; the phase takes what is left.
    choices: tuple[tuple[list[_Column], list[_Column], int], ...] = (
        ([names, frames], [bars, percents, times], _PHASE),
        ([names, frames], [percents, times], _PHASE),
        ([names, numbers], [percents, times], _PHASE),
        ([names, numbers], [], 16),
        ([names, numbers], [], 8),
        ([numbers], [], 1),
    )

    def rest_of(before: list[_Column], after: list[_Column]) -> int:
        return room - sum(column.width + gap for column in (*before, *after) if column.width)

    before, after, least = next((each for each in choices if rest_of(each[0], each[1]) >= each[2]), choices[-1])
    rest = max(1, rest_of(before, after))
    phase = _Column([_clip(text, rest, marks) for text in phases])
    phase.width = max(phase.width, min(rest, least))
    columns = [column for column in (*before, phase, *after) if column.width]
    lines = []
    for row, worker in enumerate(workers):
        line = Text()
        for column in columns:
            cell = column.cells[row]
            padding = " " * (column.width - cell_len(cell))
            if column is bars and cell:
                full, empty = marks.bar(worker.share, bar, small=True)
                line.append(full, style="cyan").append(empty, style="bright_black")
            else:
                line.append(padding + cell if column.right else cell + padding, style=column.style)
            line.append(" " * gap)
        line.rstrip()
        line.truncate(room)
        lines.append(line)
    return lines, names.width if columns[0] is names else 0


def _last(last: LastFile, column: int, room: int, marks: Marks) -> Text:
    gap = "   " if room >= _WIDE else "  "
    label = "last".ljust(column) + gap if room >= 30 else ""
    details = [f"{last.seconds:.1f} s" if last.seconds < 60 else clock(last.seconds, short=True)]
    if last.memory:
        details.append(size_in_words(last.memory))
    name = marks.plain(last.name)
    while details and cell_len(name) > room - len(label) - sum(len(each) + len(gap) for each in details):
        if cell_len(name.rpartition("/")[2]) + 2 <= room - len(label) - sum(len(each) + len(gap) for each in details):
            break  # the file's own name fits, and that of its folder is cut
        details.pop()
    rest = room - len(label) - sum(len(each) + len(gap) for each in details)
    line = Text().append(label, style="dim").append(_clip_left(name, max(1, rest), marks))
    for each in details:
        line.append(gap).append(each, style="dim")
    line.truncate(room)
    return line


def _notes(view: JobView, room: int, marks: Marks) -> list[str]:
    """Return what is to be said below all, in at most three lines."""
    note = view.note
    if view.gone:
        note = view.gone
    elif view.silent is not None:
        lasted = span_in_words(view.silent, 1 if view.silent < 60 else 60)
        note = f"The server has been silent for {lasted}. Renders go on, nothing new starts"
    elif not view.total and note:
        note = f"{note}  {clock(view.elapsed, short=True)}"
    if not note:
        return []
    lines = textwrap.wrap(marks.plain(note), room, break_long_words=False) or [""]
    if len(lines) > _REASON_LINES:
        lines = [*lines[: _REASON_LINES - 1], " ".join(lines[_REASON_LINES - 1 :])]
    return [_clip(line, room, marks) for line in lines]


def _clip(text: str, room: int, marks: Marks) -> str:
    text = marks.plain(text)
    if cell_len(text) <= room:
        return text
    return set_cell_size(text, room - 1).rstrip() + marks.dots if room > 1 else set_cell_size(text, room)


def _clip_left(text: str, room: int, marks: Marks) -> str:
    """Return the end of *text*."""
    if cell_len(text) <= room:
        return text
    end = ""
    for character in reversed(text):
        if cell_len(character + end) > room - 1:
            break
        end = character + end
    return marks.dots + end
