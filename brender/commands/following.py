"""What is known of a job that is waited for, from what the server answers. Pure: answers and time in, what is to be shown out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from brender.commands.display import JobView, LastFile, WorkerLine, frame_line
from brender.engines.progress import read_text
from brender.jobs.part_names import part_in_words
from brender.model.passes import growth, passes_of
from brender.model.units import in_words, steps_of, units_of

ENDED = ("completed", "failed", "canceled")
#: Seconds that a reason has to last before it is shown: workers take that long to start.
_LASTING_SECONDS = 2.0
#: The share of a frame that is to be done before its time is estimated by that.
_SHARE_LEAST = 0.03


#: How the warning about a still begins that could not be split (brender/engines/inside/split.py).
IN_ONE_PIECE = "This still is rendered in one piece"


def done_in_words(record: Mapping[str, Any]) -> str:
    """Return what is done of the job of *record*, as it was done: a still that could not be split is one frame."""
    settings = record["settings"]
    if settings.get("pieces") and any(IN_ONE_PIECE in warning for warning in record["warnings"]):
        return "1 frame, in one piece"
    return in_words(settings, record["completed_parts"])


@dataclass(frozen=True)
class Rendering:
    """A frame that a worker renders: the share that is done, the seconds since it began, and those that Blender says it still
    takes (``None``: it does not say)."""

    share: float
    seconds: float
    remaining: float | None = None

    @property
    def whole(self) -> float | None:
        """Seconds that all of the frame probably takes; ``None``: not known yet."""
        if self.remaining is not None:
            return self.seconds + self.remaining
        return self.seconds / self.share if self.share >= _SHARE_LEAST else None


def seconds_left(left: int, per_part: float | None, now: Sequence[Rendering]) -> float | None:
    """Return the seconds until *left* parts are done, some of which are rendered *now*; ``None`` where nobody can tell.

    *per_part*: the mean of those that are done. Before the first one is, those that are rendered now tell by their samples.
    """
    if not now or left <= 0:
        return None
    if per_part is None:
        known = [whole for each in now if (whole := each.whole) is not None]
        if not known:
            return None
        per_part = sum(known) / len(known)
    work = per_part * max(0.0, left - sum(each.share for each in now)) / len(now)
    return max(work, *(each.remaining or 0.0 for each in now), 0.0)


@dataclass
class Follower:
    """Follows a job. *folder* is what its files' names are shown with, and *began* when that was, by the clock of `look`."""

    folder: str
    began: float
    view: JobView = field(default_factory=JobView)
    change: int = -1
    """The commit that told of the last finished part."""
    _warned: set[str] = field(default_factory=set)
    _frames: dict[str, tuple[int | None, float]] = field(default_factory=dict)
    """What each worker renders, and since when."""
    _done: set[int] = field(default_factory=set)
    last_part: Mapping[str, Any] | None = None
    """The part that was finished last."""
    _last: LastFile | None = None
    _reason: str = ""
    _reason_since: float = 0.0
    _reason_told: str = ""

    def look(self, record: Mapping[str, Any], parts: Iterable[Mapping[str, Any]], now: float) -> list[str]:
        """Take the job's *record* and the *parts* that changed since `change`; returns a line for each that was finished."""
        done, total = record["completed_parts"], record["part_count"]
        counted = units_of(record["settings"], done, total, record.get("finished_frames", 0))
        workers, rendering = self._workers(record, now)
        rendered = done - record["kept_parts"]
        per_part = record["render_seconds"] / rendered if rendered > 0 else None
        if per_part is not None:  # later passes over the frames may be more work
            per_part *= growth(record["settings"], done, total)
        ended = record["status"] in ENDED
        to_come = total - done - record.get("given_up_parts", 0)
        left = None if ended else seconds_left(to_come, per_part, rendering)
        lines = self._finished(record, parts, left)
        self.view = JobView(
            done=done if counted.passes else counted.done,
            total=total if counted.passes else counted.total,
            frames=counted.total if counted.passes else 0,
            left=left,
            elapsed=now - self.began,
            workers=() if ended else workers,
            last=self._last,
            note="" if ended else self._note(record["reason"], bool(workers), now),
        )
        return lines

    def new_warnings(self, record: Mapping[str, Any]) -> list[str]:
        """Return the warnings of the job that were not told yet."""
        new = [warning for warning in dict.fromkeys(record["warnings"]) if warning not in self._warned]
        self._warned.update(new)
        return new

    def new_reason(self) -> str:
        """Return the reason why nothing renders, once, or ""."""
        reason = self.view.note if self._reason and self.view.note == self._reason else ""
        if reason == self._reason_told:
            return ""
        self._reason_told = reason
        return reason

    def _workers(self, record: Mapping[str, Any], now: float) -> tuple[tuple[WorkerLine, ...], list[Rendering]]:
        lines, rendering, frames = [], [], {}
        for at in record["rendering"]:
            frame, since = self._frames.get(at["id"], (None, now))
            if frame != at["frame"]:
                since = now
            frames[at["id"]] = at["frame"], since
            told = read_text(at["line"])
            count = f"{told.sample}/{told.samples}" if told.samples else ""
            phase = told.phase or ("starting" if at["frame"] is None and not at["fraction"] else "")
            lines.append(WorkerLine(at["name"], at["frame"], phase, count, at["fraction"], now - since))
            rendering.append(Rendering(at["fraction"], now - since, told.remaining))
        self._frames = frames
        return tuple(lines), rendering

    def _finished(self, record: Mapping[str, Any], parts: Iterable[Mapping[str, Any]], left: float | None) -> list[str]:
        fresh = []
        for part in parts:
            self.change = max(self.change, part["change"])
            if part["status"] != "completed":
                self._done.discard(part["id"])
            elif part["id"] not in self._done:
                self._done.add(part["id"])
                fresh.append(part)
        kept = [part for part in fresh if part["kept"]]
        made = [part for part in fresh if not part["kept"]]
        passes = passes_of(record["settings"])
        each_part = passes or steps_of(record["settings"]) > 1
        total = record["part_count"] if each_part else units_of(record["settings"], 0, record["part_count"]).total
        lines = []
        if kept:
            why = "passes need no rendering: the frames stay as they are" if passes else "were there already, and are kept"
            lines.append(f"{len(kept)} of {total} {why}")
        for number, part in enumerate(made, start=len(self._done) - len(made) + 1):
            file = f"{self.folder}{part['output']}" if part["output"] else ""
            lines.append(
                frame_line(
                    what=part_in_words(record["settings"], part),
                    done=min(number, total),
                    total=total,
                    file=file,
                    seconds=part["seconds"],
                    worker=part["worker_name"],
                    left=left,
                )
            )
        if made:
            part = max(made, key=lambda part: part["finished"] or 0.0)
            name = f"{self.folder}{part['output']}" if part["output"] else part_in_words(record["settings"], part)
            self.last_part = part
            self._last = LastFile(name, part["seconds"], part["memory"])
        return lines

    def _note(self, reason: str, rendering: bool, now: float) -> str:
        if reason != self._reason:
            self._reason, self._reason_since = reason, now
        if rendering:
            return ""
        if reason and now - self._reason_since >= _LASTING_SECONDS:
            return reason
        return "" if self._last else "Waiting for a worker"
