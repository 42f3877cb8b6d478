"""The stages of a job and the jobs around it, as a tree for the terminal."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from brender.api.connection import Asking
from brender.model.errors import BadInput
from brender.model.status import HANDED_OUT
from brender.model.text import job_in_words, plural, short_id
from brender.model.units import Units


def graph_of(connection: Asking, job: str) -> Mapping[str, Any] | None:
    """Return what waits for what around *job* (`brender.store.job_graph.graph`); ``None``: nothing does, or the server is of an
    earlier version."""
    try:
        found: Mapping[str, Any] = connection.ask("graph", id=job)
    except BadInput:
        return None
    return found if found["waits"] or len(found["stages"]) > 1 else None


def tree(graph: Mapping[str, Any], job: str) -> list[str]:
    """Return lines that show *graph* from *job*: its stages, what it waits for, and what waits for it."""
    known = {each["id"]: each for each in graph["jobs"]}
    lines = _stages(graph["stages"])
    below = _branches(graph, known, job, "job", "after", {job})
    if below:
        lines += ["Waits for:", *below]
    above = _branches(graph, known, job, "after", "job", {job})
    if above:
        lines += ["Waited for by:", *above]
    if graph["left_out"]:
        lines.append("  and more jobs, which are not shown")
    return lines


def _stages(stages: Sequence[Mapping[str, Any]]) -> list[str]:
    if len(stages) < 2:
        return []
    width = max(len(stage["name"]) for stage in stages)
    lines = ["Stages:"]
    for stage in stages:
        counts = stage["counts"]
        after = [f"{wait['stage']}{' frame by frame' if wait['by_frame'] else ''}" for wait in stage["after"]]
        said = f"{counts.get('completed', 0):,} of {plural(stage['tasks'], 'task')} done"
        said += "".join(f", {counts[each]:,} {each}" for each in ("active", HANDED_OUT, "failed", "canceled") if counts.get(each))
        lines.append(f"  {stage['name']:<{width}}  {said}" + (f"; after {' and '.join(after)}" if after else ""))
    return lines


def _branches(
    graph: Mapping[str, Any], known: Mapping[str, Mapping[str, Any]], job: str, this: str, other: str, seen: Iterable[str]
) -> list[str]:
    lines = []
    edges = [wait for wait in graph["waits"] if wait[this] == job]
    for number, wait in enumerate(edges):
        is_last = number == len(edges) - 1
        id, seen_now = wait[other], {*seen, wait[other]}
        lines.append(
            f"  {'└─' if is_last else '├─'} {_called(known.get(id), id)}{', frame by frame' if wait['by_frame'] else ''}"
        )
        if id not in seen:
            more = _branches(graph, known, id, this, other, seen_now)
            lines += [f"  {'  ' if is_last else '│ '}{line}" for line in more]
    return lines


def _called(job: Mapping[str, Any] | None, id: str) -> str:
    if job is None:
        return f"the job {short_id(id)}, which is deleted"
    return f"{job_in_words(job['id'], job['name'])}: {job['status']}, {Units.of_row(job)}"
