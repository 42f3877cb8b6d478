"""How workers stand, in sentences, and which worker a name means; whether a job ended well."""

import shlex
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from brender.api.connection import Asking
from brender.model.errors import BadInput, NotFound, RenderFailed
from brender.model.obstacle import short_name
from brender.model.stuck import STUCK
from brender.model.text import plural, short_id
from brender.model.units import units_of

#: The sentence about the worker ``name`` as long as the scheduler has not seen it.
JUST_JOINED = "The worker {name} joined a moment ago: ask again"


def when(wall: float | None) -> str:
    """Return a moment, in local time, or ""."""
    return datetime.fromtimestamp(wall).strftime("%Y-%m-%d %H:%M:%S") if wall else ""


def one_node(connection: Asking, kind: str, named: str) -> dict[str, Any]:
    """Return the row of the worker or manager (*kind*) with this name, or beginning of an id. Raises `NotFound` or `BadInput`."""
    rows: list[dict[str, Any]] = connection.ask(f"{kind}s")
    found = [row for row in rows if row["name"] == named] or [row for row in rows if named and row["id"].startswith(named)]
    found = [row for row in found if row["status"] != "offline"] or found
    if len(found) == 1:
        return found[0]
    if not found:
        raise NotFound(f"There is no {kind} {named!r}: `brender {kind}s` lists them")
    raise BadInput(f"There are {len(found)} {kind}s {named!r}: write the id of one, which `brender {kind}s` lists")


def worker_status(row: Mapping[str, Any]) -> str:
    """Return the status of the worker of *row* in a word or two, as lists show it: also that its task seems stuck."""
    is_stuck = row["status"] == "busy" and row["reason"].startswith(STUCK)
    return STUCK if is_stuck else str(row["status"])


def worker_standing(row: Mapping[str, Any]) -> str:
    """Return how the worker of *row* stands, where that is not for the scheduler to say; else ""."""
    name = short_name(row["name"])
    if row["status"] == "offline":
        why = f": {row['reason']}" if row["reason"] else ""
        seen = f"The worker {name} is not there, last seen {when(row['last_seen'])}{why}"
        return f"{seen}. Start it on its machine with `brender-worker`"
    if row["status"] == "asleep":
        again = f"`brender wake {shlex.quote(row['name'])}` wakes it"
        return f"The worker {name} is not there: {row['reason']}. {again}"
    if row["status"] == "error":
        return f"The worker {name} cannot render: {row['reason']}"
    if worker_status(row) == STUCK:
        return f"The worker {name} {row['reason']}"
    if row["job"] and row["frame"] is not None:
        return f"The worker {name} renders frame {row['frame']} of {row['job_name'] or short_id(row['job'])}"
    return ""


def check_ended_well(record: dict[str, Any]) -> dict[str, Any]:
    """Return *record*. Raises `RenderFailed`, with the reason and what is missing, unless its job is completed."""
    if record["status"] == "completed":
        return record
    counted = units_of(record["settings"], record["completed_parts"], record["part_count"], record.get("finished_frames", 0))
    left, wholes = counted.total - counted.done, "the film" if record["settings"].get("film") else "the picture"
    missing = f"not rendered: {left:,} of {plural(counted.total, counted.noun)}" if left else f"not made: {wholes}"
    raise RenderFailed(f"{record['reason'] or 'the job is ' + record['status']} ({missing})")
