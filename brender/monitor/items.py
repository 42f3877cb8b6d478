"""What a monitor takes in, live or from a recording: each kind declared once. Pure.

Nothing here holds the contents of jobs, lines that programs print, or keys: what may hold a secret is left out before anything
else of the monitor sees it, so that a recording can be handed on, and shows what was seen.
"""

from typing import Any

import msgspec

from brender.bus.messages import Event
from brender.engines.progress import read_text
from brender.model.bus_figures import BusFigures, unpacked
from brender.model.field_types import Count, Name, Seconds, Text
from brender.model.passes import weights_of

_NODE = frozenset(
    {"name", "host", "status", "reason", "wanted", "software", "stats", "last_seen", "incarnation", "pid", "address", "workers"}
)
#: Fields that are kept, by what they are of. All others are left out.
KEPT: dict[str, frozenset[str]] = {
    "manager": _NODE,
    "worker": _NODE
    | {"manager", "manager_name", "platform", "cores", "memory", "tags", "site", "note", "schedule", "attempt", "job", "job_name"}
    | {"frame", "fraction", "phase"},
    "job": frozenset(
        {"project", "name", "user", "job_type", "status", "reason", "priority", "tags", "task_count", "part_count"}
        | {
            "completed_parts",
            "kept_parts",
            "finished_frames",
            "given_up_parts",
            "failed_tasks",
            "failures",
            "render_seconds",
            "submitted",
            "started",
        }
        | {"finished", "series", "deleting", "unit", "units", "units_done", "steps", "memory", "planned_tasks", "of_render"}
        | {"pass_weights"}
    ),
    "task": frozenset({"job", "number", "status", "failures", "losses", "reason"}),
    "part": frozenset(
        {"job", "frame", "task", "scene", "layer", "view", "piece", "status", "attempt", "worker", "size", "width", "height"}
        | {"kept", "seconds", "memory", "finished"}
    ),
    "attempt": frozenset(
        {"job", "task", "worker", "manager", "granted", "outcome", "reason", "started", "finished", "seconds", "last_report"}
    ),
    "activity": frozenset({"wall", "user", "action", "job", "worker", "text"}),
    "stats": frozenset({"sequence", "name", "kind", "stats", "status", "reason", "manager", "job", "frame", "fraction"}),
    "kept_off": frozenset({"failures", "reason", "wall", "readmitted"}),
}
#: Letters of a reason that are kept: the sentence, not what a program printed at its end.
_REASON = 300


class Told(msgspec.Struct, frozen=True, kw_only=True, tag="event", omit_defaults=True):
    """An event of the server's, as far as it is kept; ``withheld`` names the fields that are not. ``bus``: of statistics, what
    the role tells of its part of the bus."""

    kind: Name
    key: Text
    fields: dict[str, Any]
    wall: Seconds = 0.0
    number: Count = 0
    change: Count = 0
    bus: BusFigures | None = None
    withheld: tuple[Name, ...] = ()


class Answered(msgspec.Struct, frozen=True, kw_only=True, tag="answer"):
    """The answer to a question about the record: all ``rows`` of a kind. ``about``: the job that was asked about."""

    question: Name
    rows: list[dict[str, Any]]
    about: Text = ""


class Linked(msgspec.Struct, frozen=True, kw_only=True, tag="link", omit_defaults=True):
    """The connection to the server's events was made or lost; ``why`` says why it was lost, as far as that is known."""

    up: bool
    why: Text = ""


class Skipped(msgspec.Struct, frozen=True, kw_only=True, tag="skipped"):
    """So many events came and were not looked at, since there were too many: one of ``of`` is looked at now, and of heartbeats
    and of what says how things stand one of ``of_telling``."""

    count: Count
    of: Count
    of_telling: Count = 1


Item = Told | Answered | Linked | Skipped


def kept(kind: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Return those of *fields*, of a thing of that *kind*, that are kept."""
    names = KEPT.get(kind, frozenset())
    found = {name: value for name, value in fields.items() if name in names}
    if (reason := found.get("reason")) and isinstance(reason, str) and len(reason) > _REASON:
        found["reason"] = reason[:_REASON] + "…"
    if kind == "job" and isinstance(settings := fields.get("settings"), dict):
        found["pass_weights"] = weights_of(settings)
    if kind == "worker" and "line" in fields:
        found["phase"] = phase_of(str(fields["line"]))
    return found


def phase_of(line: str) -> str:
    """Return what *line*, the last one that a worker told of, says of a frame, in brender's own words; "" of a program's line.

    >>> phase_of("sampling 12/64 · 1:23 left · 36 MB"), phase_of("password: x")
    ('sampling 12/64 · 1:23 left', '')
    """
    progress = read_text(line)
    if progress.phase == line and not progress.samples and line not in _PHASES:
        return ""
    return progress.text


_PHASES = frozenset(
    {"loading", "compiling shaders", "synchronizing", "rendering", "sampling", "denoising", "compositing", "writing"}
    | {"making the film"}
)


def told(event: Event) -> Told:
    """Return *event* as a monitor takes it in."""
    fields = event.fields
    known = kept(event.kind, fields)
    withheld = tuple(sorted(name for name in fields if name not in known and name not in ("bus", "line")))
    bus = fields.get("bus") if event.kind == "stats" else None
    return Told(
        kind=event.kind,
        key=event.key,
        fields=known,
        wall=event.wall,
        number=event.number,
        change=event.change,
        bus=unpacked(bus) if isinstance(bus, bytes) else None,
        withheld=withheld,
    )


#: What the rows of an answer are of, by the question.
OF_QUESTION = {"workers": "worker", "managers": "manager", "jobs": "job", "frames_by_part": "part"}


def answered(question: str, rows: list[dict[str, Any]], about: str = "") -> Answered:
    """Return the answer to *question* as a monitor takes it in."""
    kind = OF_QUESTION[question]
    return Answered(question=question, rows=[{"id": row["id"]} | kept(kind, row) for row in rows], about=about)
