"""What each role adds to the trace of a frame, from its submit to the commit.

The names are those of docs/explanation/architecture.rst.

Only where there are `Spans`: else a role has ``None`` in the place of these. Times are in seconds since 1970. All is called in
the role's loop, but for what says otherwise.
"""

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass

from brender.bus.messages import Grants, Message, PartDone, Reports, Submit
from brender.farm.record import Row
from brender.metrics.spans import Spans
from brender.model.grant import Grant
from brender.model.status import ENDED_JOB, Outcome, PartStatus

Step = tuple[str, float, float]
"""What an engine did for a frame: its name, when it began and when it ended."""


@dataclass
class _Granted:
    job: str
    at: float
    frames: dict[int, int]
    """By part, its frame."""
    started: float | None = None


class ServerTraces:
    """The server's part: submit, queue, grant and commit, and the ``frame`` that all spans are below."""

    def __init__(self, spans: Spans) -> None:
        self._spans = spans
        self._jobs: dict[str, tuple[float, float]] = {}
        """Unfinished jobs: when each was submitted, and when it was committed (0.0: not yet)."""
        self._attempts: dict[str, _Granted] = {}
        """Live ones."""
        self._reported: dict[int, tuple[str, float]] = {}
        """By part whose report is not committed yet: the attempt, and when the report came."""

    def received(self, message: Message) -> None:
        """Take it that *message* has come, and is to be applied."""
        if isinstance(message, Submit):
            self._jobs.setdefault(message.job.id, (time.time(), 0.0))
        elif isinstance(message, Reports):
            now = time.time()
            for report in message.reports:
                if isinstance(report, PartDone):
                    self._reported[report.part] = report.attempt, now

    def sent(self, message: Message) -> None:
        """Take it that *message* goes out."""
        if isinstance(message, Grants):
            now = time.time()
            for grant in message.grants:
                frames = {part.id: part.frame for part in grant.parts}
                self._attempts.setdefault(grant.attempt, _Granted(grant.job, now, frames))

    def committed(self, rows: Iterable[Row]) -> None:
        """Take it that *rows* are written."""
        now, ended = time.time(), []
        for row in rows:
            if row.kind == "attempt":
                fields = row.fields
                granted = self._attempts.get(str(row.key))
                if granted is not None and granted.started is None:
                    granted.started = fields.get("started")
                if fields.get("outcome", Outcome.LIVE) != Outcome.LIVE:
                    ended.append(str(row.key))
            elif row.kind == "job":
                submitted, written = self._jobs.get(str(row.key), (0.0, 0.0))
                if submitted and not written:
                    self._jobs[str(row.key)] = submitted, now
        for row in rows:
            if row.kind == "part" and isinstance(row.key, int) and row.key in self._reported:
                attempt, came = self._reported.pop(row.key)
                if row.fields.get("status") == PartStatus.COMPLETED:
                    self._frame(attempt, row.key, came, now)
        self._reported.clear()  # those that were not taken are of parts that somebody else has done
        for attempt in ended:
            self._attempts.pop(attempt, None)
        for row in rows:
            if row.kind == "job" and row.fields.get("status") in ENDED_JOB:
                self._jobs.pop(str(row.key), None)

    def _frame(self, attempt: str, part: int, came: float, now: float) -> None:
        granted = self._attempts.get(attempt) or _Granted("", came, {})  # (of before the server's restart, nothing is known)
        submitted, written = self._jobs.get(granted.job, (0.0, 0.0))
        about = {"job": granted.job} | ({"frame": granted.frames[part]} if part in granted.frames else {})
        self._spans.add_root(attempt, part, "frame", submitted or granted.at, now, **about)
        if submitted:
            self._spans.add(attempt, part, "submit", submitted, written)
            self._spans.add(attempt, part, "queue", written, granted.at)
        if granted.started is not None:
            self._spans.add(attempt, part, "grant", granted.at, granted.started)
        self._spans.add(attempt, part, "commit", came, now)


class ManagerTraces:
    """A manager's part: what it passes down and up."""

    def __init__(self, spans: Spans) -> None:
        self._spans = spans

    def passed(self, message: Message, began: float) -> None:
        """Take it that *message*, which came at *began*, has been passed on."""
        now = time.time()
        if isinstance(message, Grants):
            for grant in message.grants:
                for part in grant.parts:
                    self._spans.add(grant.attempt, part.id, "pass down", began, now)
        elif isinstance(message, Reports):
            for report in message.reports:
                if isinstance(report, PartDone):
                    self._spans.add(report.attempt, report.part, "pass up", began, now)


class WorkerTraces:
    """The part of the worker *name*: wait, render, stage, read, publish, and the time in its outbox."""

    def __init__(self, spans: Spans, name: str) -> None:
        self._spans = spans
        self._name = name
        self._came: dict[str, float] = {}
        """When each attempt came that it holds."""
        self._lock = threading.Lock()
        self._since: dict[str, float] = {}
        """By running attempt, when its present frame began."""
        self._steps: dict[str, list[Step]] = {}
        self._kept: dict[tuple[str, int], tuple[int, float]] = {}
        """By attempt and number of a report that the server may not have: its part, and when it was kept."""

    def received(self, message: Message) -> None:
        """Take it that *message* has come from above."""
        if isinstance(message, Grants):
            for grant in message.grants:
                self._came.setdefault(grant.attempt, time.time())

    def begun(self, grant: Grant) -> None:
        """Take it that the attempt of *grant* begins."""
        now = time.time()
        came = self._came.pop(grant.attempt, now)
        with self._lock:
            self._since[grant.attempt] = now
        for part in grant.parts:
            self._spans.add(grant.attempt, part.id, "wait", came, now, worker=self._name)

    def did(self, attempt: str, step: Step) -> None:
        """Take it that the engine of *attempt* did *step* for its present frame. From any thread."""
        with self._lock:
            self._steps.setdefault(attempt, []).append(step)

    def done(self, grant: Grant, part: int) -> None:
        """Take it that *part* of *grant* is done. From any thread."""
        now = time.time()
        with self._lock:
            began, steps = self._since.get(grant.attempt, now), self._steps.pop(grant.attempt, [])
            self._since[grant.attempt] = now
        frame = next((each.frame for each in grant.parts if each.id == part), 0)
        rendered = min((step[1] for step in steps), default=now)
        self._spans.add(grant.attempt, part, "render", began, rendered, worker=self._name, frame=frame, job=grant.job)
        for name, since, until in steps:
            self._spans.add(grant.attempt, part, name, since, until, worker=self._name)

    def ended(self, attempt: str) -> None:
        """Take it that *attempt* has ended."""
        with self._lock:
            self._since.pop(attempt, None)
            self._steps.pop(attempt, None)

    def kept(self, report: object) -> None:
        """Take it that *report* is kept in the outbox."""
        if isinstance(report, PartDone):
            self._kept[report.attempt, report.number] = report.part, time.time()

    def forgotten(self, attempt: str, number: int) -> None:
        """Take it that the server has the reports of *attempt* up to *number*."""
        for key in [key for key in self._kept if key[0] == attempt and key[1] <= number]:
            part, since = self._kept.pop(key)
            self._spans.add(attempt, part, "outbox", since, time.time(), worker=self._name)
