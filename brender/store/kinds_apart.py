"""The kinds of workers that are there, where jobs are kept off some of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from brender.store.forecast import Kind

if TYPE_CHECKING:
    from brender.store.named import Record

Off = dict[str, float | None]
"""Jobs that a worker is kept off, each for so many seconds from now on; ``None``: until somebody readmits it."""


@dataclass(frozen=True)
class KindApart:
    """Workers of one ``kind`` that are kept ``off`` the same jobs, and are ``put_off`` the same ones: by job, for how many
    seconds. How many of them are idle is not told."""

    kind: Kind
    off: frozenset[str] = frozenset()
    put_off: Mapping[str, float] = field(default_factory=dict)


def workers_off(record: "Record", jobs: Iterable[str], wall: float) -> dict[str, Off]:
    """Return by worker which of *jobs* it is kept off at *wall*, since it failed them or cannot use their folders now."""
    kept, wanted, found = record.tables.KeptOff, set(jobs), dict[str, Off]()
    off = kept.select(kept.job, kept.worker, kept.readmitted).where(kept.readmitted.is_null() | (kept.readmitted > wall))
    for job, worker, readmitted in off.tuples():
        if job in wanted:
            found.setdefault(worker, {})[job] = None if readmitted is None else readmitted - wall
    return found


def kept_apart(kinds: Iterable[Kind], off: Mapping[str, Off]) -> list[KindApart]:
    """Return *kinds*, each divided by the jobs that its workers are kept *off*. Of several workers that are put off a job, the
    last one tells for how long."""
    found = []
    for kind in kinds:
        alike: dict[tuple[frozenset[str], frozenset[str]], list[str]] = {}
        for id in kind.ids:
            jobs = off.get(id, {})
            waits = frozenset(job for job, seconds in jobs.items() if seconds is not None)
            alike.setdefault((frozenset(jobs) - waits, waits), []).append(id)
        for (for_good, waits), ids in alike.items():
            put_off = {job: max(off[id][job] or 0.0 for id in ids) for job in waits}
            found.append(KindApart(Kind(kind.worker, len(ids), 0, tuple(ids)), for_good, put_off))
    return found


def rests(off: Mapping[str, Off], most: int) -> dict[str, float]:
    """Return by job for how many seconds it rests, since so many workers, or more, are put off it."""
    waits: dict[str, list[float]] = {}
    for jobs in off.values():
        for job, seconds in jobs.items():
            if seconds is not None:
                waits.setdefault(job, []).append(seconds)
    return {job: max(found) for job, found in waits.items() if len(found) >= most}
