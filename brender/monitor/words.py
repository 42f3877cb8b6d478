"""An event in words: one line of the tail, with its level and what it is about. Pure."""

import logging
from dataclasses import dataclass
from typing import Protocol

from brender.model.log_events import read_event
from brender.model.text import short_id
from brender.monitor.items import Told

#: Names by which lines are filtered.
NAMES = ("role", "job", "worker", "type", "level")


class Place(Protocol):
    """Where a part belongs, and which worker has or had it ("": not known)."""

    job: str
    frame: int | None
    piece: int
    worker: str


class Known(Protocol):
    """What was heard so far of the things that events name by their ids."""

    def node_name(self, id: str) -> str: ...

    def job_name(self, id: str) -> str: ...

    def place(self, part: str) -> Place | None:
        """Return where a part belongs; ``None`` where that is not known."""

    def attempt(self, id: str) -> tuple[str, str]:
        """Return the job and the worker of an attempt, or "" if they are not known."""


@dataclass(frozen=True)
class Line:
    """A line of the tail. ``told``: the message itself."""

    number: int
    wall: float
    level: str
    role: str
    job: str
    worker: str
    text: str
    told: Told

    @property
    def named(self) -> dict[str, str]:
        """What a filter may name."""
        return {"role": self.role, "job": self.job, "worker": self.worker, "type": self.told.kind}


_Said = tuple[str, str, str, str, str]
"""Level, role, job, worker, text."""


def line(told: Told, known: Known, number: int) -> Line | None:
    """Return the line that says *told*; ``None`` where it is not for the tail, as heartbeats are."""
    said = _say(told, known)
    return None if said is None else Line(number, told.wall, *said, told)


def _say(told: Told, known: Known) -> _Said | None:
    match told.kind:
        case "activity":
            return _activity(told, known)
        case "part":
            return _part(told, known)
        case "attempt":
            return _attempt(told, known)
        case "worker" | "manager":
            return _node(told, known)
        case "job":
            return _job(told, known)
        case "task":
            return _task(told, known)
        case "kept_off":
            if "reason" not in told.fields:
                return "info", "server", "", "", "a worker may try a job again that it was kept off"
            how_long = " for some minutes" if told.fields.get("readmitted") else ""
            return "warning", "server", "", "", f"a worker is kept off a job{how_long}: {told.fields['reason']}"
        case "set_aside":
            return "error", "server", "", "", "the server failed at a message, and has set it aside: `brender doctor` says more"
        case "stats" | "stat":
            return None
    return "debug", "server", "", "", f"{told.kind.replace('_', ' ')} {told.key} was written"


def _activity(told: Told, known: Known) -> _Said:
    fields = told.fields
    level, text = read_event(str(fields.get("action", "")), {"text": str(fields.get("text", ""))})
    user = f", by {fields['user']}" if fields.get("user") else ""
    id = str(fields.get("job", ""))
    job = known.job_name(id)
    # (Of a job that was submitted just now nothing else was heard; the sentence has its name.)
    about = f"{job}: " if job not in (short_id(id), "") and job not in text else ""
    return _level(level), "server", job, known.node_name(str(fields.get("worker", ""))), f"{about}{text}{user}"


def _part(told: Told, known: Known) -> _Said | None:
    fields = told.fields
    place = known.place(told.key)
    job = known.job_name(place.job) if place is not None else ""
    worker = known.node_name(str(fields.get("worker") or (place.worker if place is not None else "")))
    which = "a frame" if place is None or place.frame is None else "the film" if place.piece < 0 else f"frame {place.frame}"
    if place is not None and place.piece > 0:
        which = f"piece {place.piece} of {which}"
    what = f"{which} of {job}" if job else which
    by = _worker(worker)
    match fields.get("status"):
        case "completed" if fields.get("kept"):
            return "info", "server", job, worker, f"{what} was there already, and is kept"
        case "completed":
            seconds = fields.get("seconds")
            took = f" in {_seconds(float(seconds))}" if seconds else ""
            return "info", "worker", job, worker, f"{by} finished {what}{took}"
        case "failed":
            return "warning", "worker", job, worker, f"{what} failed"
        case "canceled":
            return "info", "server", job, worker, f"{what} was canceled"
        case "active":
            return "debug", "worker", job, worker, f"{by} began {what}"
        case "queued" if "job" not in fields:
            return "info", "server", job, worker, f"{what} is queued again"
        case "queued":
            return "debug", "server", job, worker, f"{what} is queued"
    return None


def _worker(name: str) -> str:
    """Return how the worker *name* is called in a sentence: "worker hal", but "worker-1"."""
    return "a worker" if not name else name if name.startswith("worker") else f"worker {name}"


def _attempt(told: Told, known: Known) -> _Said | None:
    fields = told.fields
    job_id, worker_id = known.attempt(told.key)
    job, worker = known.job_name(job_id), known.node_name(worker_id)
    of, on = f" of {job}" if job else "", _worker(worker)
    reason = f": {fields['reason']}" if fields.get("reason") else ""
    match fields.get("outcome"):
        case "live":
            return "debug", "server", job, worker, f"{on} is granted task {fields.get('task', '')}{of}"
        case "completed":
            took = f" in {_seconds(float(fields['seconds']))}" if fields.get("seconds") else ""
            return "debug", "worker", job, worker, f"{on} completed a task{of}{took}"
        case "failed":
            return "warning", "worker", job, worker, f"an attempt{of} failed on {on}{reason}"
        case "lost":
            return "warning", "server", job, worker, f"an attempt{of} is lost with {on}{reason}"
        case "recalled":
            return "debug", "server", job, worker, f"{on} gave a task{of} back{reason}"
        case str() as outcome:
            return "info", "server", job, worker, f"an attempt{of} on {on} is {outcome}{reason}"
    return ("debug", "worker", job, worker, f"{on} began a task{of}") if fields.get("started") else None


def _node(told: Told, known: Known) -> _Said | None:
    fields, kind = told.fields, told.kind
    name = known.node_name(told.key)
    worker = name if kind == "worker" else ""
    status = fields.get("status")
    if status is None:
        if fields.get("frame") is not None:
            job = known.job_name(str(fields.get("job", "")))
            return "debug", kind, job, worker, f"{kind} {name} renders frame {fields['frame']}"
        return None
    reason = f": {fields['reason']}" if fields.get("reason") else ""
    level = "error" if status == "error" else "warning" if status == "offline" else "info" if reason else "debug"
    return level, kind, known.job_name(str(fields.get("job", ""))), worker, f"{kind} {name} is {status}{reason}"


def _job(told: Told, known: Known) -> _Said | None:
    fields, job = told.fields, known.job_name(told.key)
    if fields.get("deleting"):
        return "info", "server", job, "", f"job {job} is being deleted"
    if status := fields.get("status"):
        reason = f": {fields['reason']}" if fields.get("reason") else ""
        # (What people did and how it ended, the activity says.)
        return "debug", "server", job, "", f"job {job} is {status}{reason}"
    if fields.get("reason"):
        return "debug", "server", job, "", f"job {job}: {fields['reason']}"
    if "completed_parts" in fields:
        return "debug", "server", job, "", f"job {job} has {fields['completed_parts']} parts done"
    return None


def _task(told: Told, known: Known) -> _Said | None:
    status = told.fields.get("status")
    if status is None:
        return None
    level = "warning" if status == "failed" else "debug"
    reason = f": {told.fields['reason']}" if told.fields.get("reason") else ""
    job = known.job_name(str(told.fields.get("job", "")))
    return level, "server", job, "", f"task {told.key}{f' of {job}' if job else ''} is {status}{reason}"


def _level(level: int) -> str:
    return "error" if level >= logging.ERROR else "warning" if level >= logging.WARNING else "info"


def _seconds(seconds: float) -> str:
    """Return how long something took.

    >>> _seconds(0.25), _seconds(39.4), _seconds(600)
    ('0.2 s', '39 s', '10 min')
    """
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s" if seconds < 300 else f"{seconds / 60:.0f} min"
