"""The farm as the monitor shows it: its workers, those first that need somebody, and its jobs. Pure."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from brender.model.passes import mean_weight
from brender.model.spans import left_in_words
from brender.model.text import plural
from brender.monitor.filters import Filter
from brender.monitor.heard import RATE_SECONDS, Heard, Job, Node
from brender.monitor.tables import MEANINGS, Cell, Column, Meaning, Table, clock, size, sparkline

#: Names by which workers and jobs are filtered.
WORKER_NAMES = ("worker", "state", "job", "manager", "host", "tag")
JOB_NAMES = ("job", "status", "user", "project", "type")
#: Bars of a sparkline.
_SPARK = 6
#: Frames that a strip is drawn of one by one.
_DONE, _ACTIVE, _FAILED, _QUEUED = "█", "▒", "!", "·"

WORKER_COLUMNS = (
    Column("WORKER", 12, grows=True),
    Column("STATE", 8),
    Column("JOB", 10, rank=1, grows=True),
    Column("FRAME", 6, rank=2, right=True),
    Column("%", 4, rank=2, right=True),
    Column("PHASE", 16, rank=5, grows=True),
    Column("CPU", _SPARK + 5, rank=3, right=True),
    Column("MEMORY", _SPARK + 6, rank=4, right=True),
    Column("GPU", _SPARK + 5, rank=6, right=True),
    Column("DISK/s", _SPARK + 6, rank=8, right=True),
    Column("NET/s", _SPARK + 6, rank=7, right=True),
    Column("BEAT", 6, rank=10, right=True),
    Column("MANAGER", 10, rank=11),
    Column("REASON", 20, rank=9, grows=True),
)
_STRIP = 3
JOB_COLUMNS = (
    Column("JOB", 12, grows=True),
    Column("STATUS", 9),
    Column("PRIO", 4, rank=2, right=True),
    Column("FRAMES", 14, rank=1, grows=True),
    Column("DONE", 11, right=True),
    Column("RATE", 7, rank=3, right=True),
    Column("LEFT", 10, rank=1, right=True),
    Column("WORKERS", 7, rank=5, right=True),
    Column("USER", 8, rank=6),
    Column("PROJECT", 8, rank=8),
    Column("REASON", 24, rank=7, grows=True),
)

_RANKS = {"error": 0, "silent": 1, "draining": 4, "busy": 5, "idle": 6, "unknown": 7, "disabled": 8, "paused": 8}
_RANKS |= {"falling asleep": 9, "asleep": 9, "offline": 10}
#: Words of the reason for which a worker that is away left without being asked to.
_LOST = ("not heard", "was lost", "not admitted", "connection")


def need(heard: Heard, node: Node, now: float) -> int:
    """Return how much *node* needs somebody: the less, the sooner it is listed."""
    status, reason = heard.status(node, now), str(node.fields.get("reason") or "")
    if status == "offline" and any(word in reason for word in _LOST):
        return 2
    if reason and status in ("busy", "idle") and not node.fields.get("wanted"):
        return 3
    return _RANKS.get(status, 7)


def _last(node: Node, place: int) -> float:
    return node.history[-1][place] if node.history else -1.0


WORKER_ORDERS: dict[str, Callable[[Heard, Node, float], Any]] = {
    "need": need,
    "name": lambda heard, node, now: node.name.lower(),
    "job": lambda heard, node, now: heard.job_name(str(node.fields.get("job") or "~")).lower(),
    "CPU": lambda heard, node, now: -_last(node, 0),
    "memory": lambda heard, node, now: -_last(node, 1),
    "network": lambda heard, node, now: -_last(node, 4),
}


def workers(heard: Heard, now: float, chosen: Filter, order: str = "need", backwards: bool = False) -> Table:
    """Return the table of workers that *chosen* fits, in that *order*, and of those that stand equal by their names."""
    found = []
    for node in heard.of_kind("worker"):
        fields = node.fields
        named = {
            "worker": node.name,
            "state": heard.status(node, now),
            "job": heard.job_name(str(fields.get("job") or "")),
            "manager": heard.node_name(str(fields.get("manager") or "")),
            "host": str(fields.get("host") or ""),
            "tag": " ".join(fields.get("tags") or ()),
        }
        if chosen.fits(str(fields.get("reason") or ""), named):
            found.append(node)
    by = WORKER_ORDERS[order]
    found.sort(key=lambda node: node.name.lower())
    found.sort(key=lambda node: by(heard, node, now), reverse=backwards)
    states: dict[str, int] = {}
    for node in heard.of_kind("worker"):
        status = heard.status(node, now)
        states[status] = states.get(status, 0) + 1
    counted = ", ".join(f"{count} {status}" for status, count in sorted(states.items(), key=lambda each: _RANKS.get(each[0], 7)))
    total = sum(states.values())
    shown = "" if len(found) == total else f"{len(found)} of "
    return Table(
        title=f"{shown}{plural(total, 'worker')}{f': {counted}' if counted else ''}",
        columns=_worker_columns(heard),
        keys=[node.id for node in found],
        cells=lambda id: worker_cells(heard, heard.nodes[id], now) if id in heard.nodes else [Cell("")] * len(WORKER_COLUMNS),
        empty="No worker has been heard of yet" if not total else "No worker fits the filter",
        sorted_by=order + (", backwards" if backwards else ""),
    )


def _worker_columns(heard: Heard) -> Sequence[Column]:
    """Return the columns for workers; those for GPUs are left out if no worker has any."""
    if any(node.history and node.history[-1][2] >= 0 for node in heard.of_kind("worker")):
        return WORKER_COLUMNS
    return [replace(column, rank=12) if column.title == "GPU" else column for column in WORKER_COLUMNS]


def worker_cells(heard: Heard, node: Node, now: float) -> list[Cell]:
    fields, stats = node.fields, node.stats
    status = heard.status(node, now)
    is_there = status not in ("offline", "silent", "unknown")
    meaning: Meaning = "" if is_there else "dim"
    job = str(fields.get("job") or "")
    fraction = float(fields.get("fraction") or 0.0)
    history = list(node.history)

    def spark(place: int, text: str, most: float | None = None) -> Cell:
        values = [sample[place] for sample in history]
        bars = sparkline(values, most if most is not None else max([1.0, *values]), _SPARK)
        return Cell(f"{bars} {text}" if history else "", meaning)

    has_gpu = bool(history) and history[-1][2] >= 0
    return [
        Cell(node.name, "" if is_there else MEANINGS.get(status, "")),
        Cell(status, "bad" if need(heard, node, now) <= 2 else MEANINGS.get(status, "")),
        Cell(heard.job_name(job) if job else "", meaning),
        Cell(str(fields["frame"]) if job and fields.get("frame") is not None else "", meaning),
        Cell(f"{fraction:.0%}" if job and fraction else "", meaning),
        Cell(str(fields.get("phase") or "") if job else "", meaning),
        spark(0, f"{stats.get('cpu_percent', 0.0):3.0f}%", 100.0),
        spark(1, f"{size(stats.get('memory_used', 0)):>5}", 100.0),
        spark(2, f"{stats.get('gpu_percent', 0.0):3.0f}%", 100.0) if has_gpu else Cell(""),
        spark(3, f"{size(history[-1][3]) if history else '':>5}"),
        spark(4, f"{size(history[-1][4]) if history else '':>5}"),
        Cell(
            clock(now - node.heard_at) if node.has_beaten and status != "offline" else "", "bad" if status == "silent" else "dim"
        ),
        Cell(heard.node_name(str(fields.get("manager") or "")), meaning),
        Cell(
            reason_of(heard, node, now),
            "dim" if status in ("offline", "disabled", "paused", "falling asleep", "asleep") else "warn",
        ),
    ]


def reason_of(heard: Heard, node: Node, now: float) -> str:
    """Return why *node* stands as it does, as a sentence, or "" if there is nothing to say."""
    if heard.status(node, now) == "silent":
        return f"no heartbeat for {clock(now - node.heard_at)}"
    return str(node.fields.get("reason") or "")


# --- jobs -------------------------------------------------------------------------------------------------------------


def busy_workers(heard: Heard) -> Counter[str]:
    """Return how many workers render each job."""
    at_work = (node.fields for node in heard.of_kind("worker") if node.fields.get("status") != "offline")
    return Counter(str(fields["job"]) for fields in at_work if fields.get("job"))


def frames_an_hour(job: Job, wall: float) -> float | None:
    """Return how many parts of *job* were done in an hour, lately; ``None`` where that is not known."""
    recent = [each for each in job.progress if wall - each[0] <= RATE_SECONDS]
    if len(recent) < 2 or recent[-1][1] <= recent[0][1] or wall <= recent[0][0]:
        return None
    return (recent[-1][1] - recent[0][1]) / (wall - recent[0][0]) * 3600


def seconds_left(job: Job, busy: int, wall: float) -> float | None:
    """Return how long *job* still takes, by its rate of late, else by what its frames took with as many workers as are *busy*
    with it, later passes over the frames as much longer as they have more samples; ``None``: not known."""
    to_come = job.number("part_count") - job.number("completed_parts") - job.number("given_up_parts")
    if job.status != "active" or to_come <= 0:
        return None
    done, parts, weights = job.number("completed_parts"), job.number("part_count"), job.fields.get("pass_weights") or ()
    mean = mean_weight(weights, done, parts, parts)
    if hourly := frames_an_hour(job, wall):
        recent = [each[1] for each in job.progress if wall - each[0] <= RATE_SECONDS]
        return to_come / hourly * 3600 * mean / mean_weight(weights, recent[0], recent[-1], parts)
    rendered = done - job.number("kept_parts")
    if rendered <= 0 or not busy:
        return None
    return (
        float(job.fields.get("render_seconds") or 0.0) / rendered * to_come / busy * mean / mean_weight(weights, 0, done, parts)
    )


def strip(job: Job, room: int) -> str:
    """Return the frames of *job* on *room* cells: done █, rendering ▒, failed !, and ·, those to come. Where a cell stands for
    several, a failed one counts before one that renders; done are only all."""
    if room <= 0:
        return ""
    total = max(1, job.number("part_count"), len(job.parts))
    if len(job.parts) < total:
        done, failed = job.number("completed_parts") / total, job.number("given_up_parts") / total
        full = int(done * room)
        bad = min(room - full, max(1, round(failed * room))) if failed else 0
        return _DONE * full + _FAILED * bad + _QUEUED * (room - full - bad)
    ordered = sorted((part for part in job.parts.values() if part.piece >= 0), key=lambda part: (part.frame or 0, part.piece))
    count = len(ordered)
    cells = []
    for place in range(min(room, count)):
        states = {part.status for part in ordered[place * count // min(room, count) : (place + 1) * count // min(room, count)]}
        if states & {"failed", "canceled"}:
            cells.append(_FAILED)
        elif "active" in states:
            cells.append(_ACTIVE)
        else:
            cells.append(_DONE if states == {"completed"} else _QUEUED)
    return "".join(cells)


_STATUS_RANKS = {"active": 0, "queued": 1, "paused": 2, "failed": 3, "canceled": 4, "completed": 5}

#: By name: what a job is sorted by, with the seconds that it still takes.
JOB_ORDERS: dict[str, Callable[[Job, float | None], Any]] = {
    "status": lambda job, left: (
        _STATUS_RANKS.get(job.status, 6),
        -job.number("priority") if job.status in ("active", "queued", "paused") else 0,
        -(job.fields.get("finished") or 0.0),
        job.fields.get("submitted") or 0.0,
    ),
    "name": lambda job, left: job.name.lower(),
    "priority": lambda job, left: -job.number("priority"),
    "time left": lambda job, left: left if left is not None else float("inf"),
    "user": lambda job, left: str(job.fields.get("user") or "~"),
}


def jobs(heard: Heard, now: float, chosen: Filter, order: str = "status", backwards: bool = False) -> Table:
    """Return the table of jobs that *chosen* fits, in that *order*."""
    known = [job for job in heard.jobs.values() if job.status]
    found = [job for job in known if chosen.fits(str(job.fields.get("reason") or ""), _named(job))]
    by, busy, wall = JOB_ORDERS[order], busy_workers(heard), heard.wall(now)
    found.sort(key=lambda job: job.name.lower())
    found.sort(key=lambda job: by(job, seconds_left(job, busy[job.id], wall)), reverse=backwards)
    unfinished = sum(1 for job in known if job.status in ("active", "queued", "paused"))
    shown = "" if len(found) == len(known) else f"{len(found)} of "
    return Table(
        title=f"{shown}{plural(len(known), 'job')}{f', {unfinished} unfinished' if known else ''}",
        columns=JOB_COLUMNS,
        keys=[job.id for job in found],
        cells=lambda id: job_cells(heard.jobs[id], busy[id], wall) if id in heard.jobs else [Cell("")] * len(JOB_COLUMNS),
        drawn={_STRIP: lambda id, room: strip(heard.jobs[id], room) if id in heard.jobs else ""},
        empty="No job has been heard of yet" if not known else "No job fits the filter",
        sorted_by=order + (", backwards" if backwards else ""),
    )


def _named(job: Job) -> dict[str, str]:
    fields = job.fields
    named = {"status": job.status, "user": fields.get("user"), "project": fields.get("project"), "type": fields.get("job_type")}
    return {"job": f"{job.name} {job.id}"} | {name: str(value or "") for name, value in named.items()}


def job_cells(job: Job, busy: int, wall: float) -> list[Cell]:
    fields = job.fields
    left = seconds_left(job, busy, wall)
    hourly = frames_an_hour(job, wall) if job.status == "active" else None
    total = job.number("units") or job.number("part_count")
    done = min(job.number("finished_frames" if job.number("steps") else "completed_parts"), total)
    return [
        Cell(job.name, MEANINGS.get(job.status, "") if job.status not in ("active", "queued") else ""),
        Cell(job.status, MEANINGS.get(job.status, "")),
        Cell(str(fields.get("priority", ""))),
        Cell("", MEANINGS.get(job.status, "")),
        Cell(f"{done:,}/{total:,}"),
        Cell(f"{hourly:,.0f}/h" if hourly else ""),
        Cell("" if left is None else left_in_words(left)),
        Cell(str(busy or "")),
        Cell(str(fields.get("user") or "")),
        Cell(str(fields.get("project") or "")),
        Cell(str(fields.get("reason") or ""), "warn"),
    ]
