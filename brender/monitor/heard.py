"""What was heard so far: nodes, jobs, the bus, and the last messages in words. Pure.

`Heard.take` takes items in, live or from a recording, each with the monitor's own time; the views (`brender.monitor.farm_view`
and its neighbours) draw what is here. The same items at the same times make the same screens.
"""

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from brender.model.bus_figures import BusFigures
from brender.model.log_events import read_event
from brender.model.power import SLEEPING
from brender.model.text import short_id
from brender.monitor.items import Answered, Item, Linked, Skipped, Told
from brender.monitor.words import Line, line

#: Seconds without a word after which the server, or a node, is called silent. It beats every other second, and its manager passes
#: that on within half a second; it is to be seen on a screen within five.
SILENT_SECONDS = 3.75
#: Seconds without a connection after which the server is.
CUT_OFF_SECONDS = 3.0
#: Lines of the tail, samples of a sparkline, parts whose place is known, and parts of one job that its strip is drawn of.
LINES, SAMPLES, PLACES, STRIP_PARTS = 5_000, 60, 200_000, 20_000
#: Jobs that have ended and are still shown.
_ENDED_JOBS = 200
_UNFINISHED = frozenset({"active", "queued", "paused"})
_ATTEMPTS = 20_000
#: Seconds over which the rate of a job is taken.
RATE_SECONDS = 600.0


@dataclass
class Node:
    """A worker, a manager or the server. ``heard_at``: its last heartbeat, by the monitor's time."""

    id: str
    kind: str
    heard_at: float
    fields: dict[str, Any] = field(default_factory=dict)
    has_beaten: bool = False
    sequence: int = 0
    missed: int = 0
    """Heartbeats that were sent and not heard."""
    figures: BusFigures | None = None
    before: BusFigures | None = None
    """The report before that."""
    history: deque[tuple[float, ...]] = field(default_factory=lambda: deque(maxlen=SAMPLES))
    """CPU, memory, GPU (percent), disk and network (bytes a second), the newest last."""

    @property
    def name(self) -> str:
        return str(self.fields.get("name") or short_id(self.id))

    @property
    def stats(self) -> dict[str, float]:
        return self.fields.get("stats") or {}


@dataclass(slots=True)
class Part:
    """Where a part belongs, and how it stands. ``frame`` is ``None`` where it is not known."""

    job: str
    frame: int | None
    piece: int
    status: str
    worker: str = ""


@dataclass
class Job:
    """A job, and the parts of it that are known. ``version`` counts their changes."""

    id: str
    fields: dict[str, Any] = field(default_factory=dict)
    parts: dict[str, Part] = field(default_factory=dict)
    version: int = 0
    is_whole: bool = False
    """All its parts were heard of: it was submitted while this monitor listened, or the record was asked."""
    progress: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=120))
    """When so many of its parts were done, by the server's clock."""

    @property
    def name(self) -> str:
        return str(self.fields.get("name") or short_id(self.id))

    @property
    def status(self) -> str:
        return str(self.fields.get("status", ""))

    def number(self, name: str) -> int:
        return int(self.fields.get(name) or 0)


class Heard:
    """Everything that a monitor of *source*, an address, has heard."""

    def __init__(self, source: str = "the server") -> None:
        self.source = source
        self.nodes: dict[str, Node] = {}
        self.jobs: dict[str, Job] = {}
        self.lines: deque[Line] = deque(maxlen=LINES)
        self.is_linked, self.why_cut = True, ""
        """Whether there is a connection to the server, and if not, why, as far as that is known."""
        self.count = self.lost = self.skipped = 0
        """Events that came; that were sent and did not come; and that came and were not looked at."""
        self.sampling = 1
        """One of so many of the less telling events is looked at now."""
        self._heartbeats_of = 1
        self._places: OrderedDict[str, Part] = OrderedDict()
        self._attempts: OrderedDict[str, tuple[str, str]] = OrderedDict()
        self._number = self._lines_made = 0
        self._cut_at: float | None = None
        self._heard_at = 0.0
        self._wall, self._wall_at = 0.0, 0.0
        self._tells_of_itself = False
        self.rate: deque[tuple[float, int]] = deque(maxlen=60)
        """How many events had come, now and then."""

    # --- taking in ----------------------------------------------------------------------------------------------------

    def take(self, item: Item, now: float) -> None:
        """Take *item* in, at the monotonic time *now*."""
        match item:
            case Told():
                self._hear(item, now)
            case Answered():
                self._answered(item, now)
            case Linked(up=up, why=why):
                self.is_linked, self.why_cut = up, why
                self._cut_at = None if up else now if self._cut_at is None else self._cut_at
                if up:
                    self._excuse(now)
            case Skipped(count=count, of=of, of_telling=of_telling):
                self.count += count
                self.skipped += count
                self._number += count if self._number else 0
                self.sampling, self._heartbeats_of = max(of, of_telling), of_telling
                self._heard_at = max(self._heard_at, now)

    def _hear(self, told: Told, now: float) -> None:
        if now - self._heard_at > SILENT_SECONDS:
            self._excuse(now)
        self.count += 1
        self._heard_at = now
        if not self.rate or now - self.rate[-1][0] >= 1.0:
            self.rate.append((now, self.count))
        if told.wall:
            self._wall, self._wall_at = told.wall, now
        if told.number:
            if self._number and told.number > self._number + 1:
                self.lost += told.number - self._number - 1
            self._number = told.number
        match told.kind:
            case "stats":
                self._beat(told, now)
            case "worker" | "manager":
                self._node(told.key, told.kind, now).fields.update(told.fields)
            case "job":
                self._job(told)
            case "part":
                self._part(told)
            case "attempt":
                self._attempt(told)
        said = line(told, self, self._lines_made + 1)
        if said is not None:
            self._lines_made += 1
            self.lines.append(said)

    def _excuse(self, now: float) -> None:
        """Nobody could be heard for a while: count the silence of each node from here on."""
        for node in self.nodes.values():
            node.heard_at = max(node.heard_at, now)

    def _node(self, id: str, kind: str, now: float) -> Node:
        node = self.nodes.get(id)
        if node is None:
            node = self.nodes[id] = Node(id, kind, now)
        return node

    def _beat(self, told: Told, now: float) -> None:
        fields = told.fields
        node = self._node(told.key, str(fields.get("kind") or "worker"), now)
        sequence = int(fields.get("sequence") or 0)
        if node.has_beaten and sequence > node.sequence + 1 and self._heartbeats_of == 1:
            node.missed += sequence - node.sequence - 1
        node.sequence, node.heard_at, node.has_beaten = sequence, now, True
        node.fields.update((name, value) for name, value in fields.items() if name not in ("sequence", "kind"))
        self._tells_of_itself |= node.kind == "server"
        if told.bus is not None:
            node.before, node.figures = (node.figures if node.figures and node.figures.up <= told.bus.up else None), told.bus
        if stats := fields.get("stats"):
            total, gpu = stats.get("memory_total") or 1, stats.get("gpu_memory_total")
            node.history.append(
                (
                    stats.get("cpu_percent", 0.0),
                    100 * stats.get("memory_used", 0) / total,
                    stats.get("gpu_percent", 0.0) if gpu else -1.0,
                    stats.get("disk_read", 0.0) + stats.get("disk_written", 0.0),
                    stats.get("network_received", 0.0) + stats.get("network_sent", 0.0),
                )
            )

    def _job(self, told: Told) -> None:
        job = self.jobs.setdefault(told.key, Job(told.key))
        job.fields.update(told.fields)
        job.is_whole |= "submitted" in told.fields
        if "completed_parts" in told.fields:
            job.progress.append((told.wall, int(told.fields["completed_parts"])))
        if job.fields.get("deleting") in ("record", "both"):
            del self.jobs[told.key]
        elif job.status not in _UNFINISHED:
            self._forget_old_jobs()

    def _forget_old_jobs(self) -> None:
        ended = [job for job in self.jobs.values() if job.status and job.status not in _UNFINISHED]
        for job in sorted(ended, key=lambda job: job.fields.get("finished") or 0.0)[: max(0, len(ended) - _ENDED_JOBS)]:
            del self.jobs[job.id]

    def _part(self, told: Told) -> None:
        fields = told.fields
        if "job" in fields:
            self._place(told.key, str(fields["job"]), int(fields.get("frame") or 0), int(fields.get("piece") or 0))
        elif told.key not in self._places and fields.get("attempt") in self._attempts:
            # It was made before this monitor listened. Which frame it is only the record tells.
            self._place(told.key, self._attempts[fields["attempt"]][0], None, 0)
        part = self._places.get(told.key)
        if part is not None and fields.get("worker"):
            part.worker = str(fields["worker"])
        if part is not None and fields.get("status"):
            part.status = fields["status"]
            if (job := self.jobs.get(part.job)) is not None:
                job.version += 1

    def _place(self, key: str, job: str, frame: int | None, piece: int, status: str = "queued", worker: str = "") -> None:
        part = self._places[key] = Part(job, frame, piece, status, worker)
        known = self.jobs.setdefault(job, Job(job))
        if len(known.parts) < STRIP_PARTS and frame is not None:
            known.parts[key] = part
        known.version += 1
        if len(self._places) > PLACES:
            old, gone = self._places.popitem(last=False)
            if gone.job in self.jobs:
                self.jobs[gone.job].parts.pop(old, None)

    def _attempt(self, told: Told) -> None:
        if "job" in told.fields:
            self._attempts[told.key] = (str(told.fields["job"]), str(told.fields.get("worker", "")))
            if len(self._attempts) > _ATTEMPTS:
                self._attempts.popitem(last=False)

    def _answered(self, item: Answered, now: float) -> None:
        match item.question:
            case "workers" | "managers":
                kind = item.question[:-1]
                there = {row["id"] for row in item.rows}
                for id in [id for id, node in self.nodes.items() if node.kind == kind and id not in there]:
                    del self.nodes[id]
                for row in item.rows:
                    self._node(row["id"], kind, now).fields.update(row)
            case "jobs":
                there = {row["id"] for row in item.rows}
                for id in [id for id, job in self.jobs.items() if job.status in _UNFINISHED and id not in there]:
                    del self.jobs[id]
                for row in item.rows:
                    self.jobs.setdefault(row["id"], Job(row["id"])).fields.update(row)
                self._forget_old_jobs()
            case "frames_by_part":
                self.jobs.setdefault(item.about, Job(item.about)).is_whole = True
                for row in item.rows:
                    self._place(
                        str(row["id"]),
                        item.about,
                        int(row["frame"]),
                        int(row.get("piece") or 0),
                        str(row["status"]),
                        str(row.get("worker") or ""),
                    )

    # --- what is asked of it ------------------------------------------------------------------------------------------

    def unknown_jobs(self) -> list[Job]:
        """Return the jobs that render, and of whose parts not all were heard."""
        return [job for job in self.jobs.values() if job.status == "active" and not job.is_whole]

    def node_name(self, id: str) -> str:
        node = self.nodes.get(id)
        return node.name if node is not None else short_id(id)

    def job_name(self, id: str) -> str:
        job = self.jobs.get(id)
        return job.name if job is not None else short_id(id)

    def place(self, part: str) -> Part | None:
        return self._places.get(part)

    def attempt(self, id: str) -> tuple[str, str]:
        return self._attempts.get(id, ("", ""))

    def of_kind(self, kind: str) -> Iterator[Node]:
        return (node for node in self.nodes.values() if node.kind == kind)

    def wall(self, now: float) -> float:
        """Return the server's time *now*; 0 before anything was heard."""
        return self._wall + (now - self._wall_at) if self._wall else 0.0

    def silent(self, now: float) -> float | None:
        """Return for how many seconds the server has been silent; ``None`` while that is no more than a moment."""
        cut = now - self._cut_at if self._cut_at is not None else 0.0
        if cut >= CUT_OFF_SECONDS:
            return cut
        # One that tells of itself does so every other second; of any other nothing is expected where nobody is there.
        expects = self._tells_of_itself or any(node.has_beaten and self._is_there(node) for node in self.nodes.values())
        quiet = now - self._heard_at if expects else 0.0
        return quiet if quiet >= SILENT_SECONDS else None

    def silence(self, now: float) -> str | None:
        """Return what is said of a silent server; ``None`` while it is not."""
        seconds = self.silent(now)
        if seconds is None:
            return None
        why = f". {self.why_cut}" if self.why_cut else ""
        return f"{read_event('server-silent', {'seconds': seconds})[1]} ({self.source}){why}"

    def status(self, node: Node, now: float) -> str:
        """Return how *node* stands *now*, as far as can be known."""
        if self.silent(now) is not None:
            return "silent" if node.kind == "server" else "unknown"
        status = str(node.fields.get("status") or "")
        if str(node.fields.get("reason", "")).startswith(SLEEPING) and status in ("offline", "paused", "disabled"):
            return "asleep"
        if not self._is_there(node):
            return "offline"
        # (Of many events one is looked at: a heartbeat may be among the others.)
        if self._heard_at - node.heard_at > SILENT_SECONDS * self._heartbeats_of:
            return "silent"
        if status in ("paused", "disabled") and str(node.fields.get("reason", "")).startswith("it sleeps"):
            return "asleep"
        return status or "unknown"

    def events_a_second(self, now: float) -> float:
        """Return how many events came in a second, lately."""
        recent = [each for each in self.rate if now - each[0] <= 10.0]
        if len(recent) < 2:
            return 0.0
        (began, before), (ended, after) = recent[0], recent[-1]
        return (after - before) / (ended - began)

    @staticmethod
    def _is_there(node: Node) -> bool:
        return node.fields.get("status") != "offline"
