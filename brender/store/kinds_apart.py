"""The kinds of workers that are there, where jobs are kept off some of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from brender.store.forecast import Kind

if TYPE_CHECKING:
    from brender.store.named import Record


@dataclass(frozen=True)
class KindApart:
    """Workers of one ``kind`` that are kept ``off`` the same jobs. How many of them are idle is not told."""

    kind: Kind
    off: frozenset[str] = frozenset()


def workers_off(record: "Record", jobs: Iterable[str], wall: float) -> dict[str, set[str]]:
    """Return by worker which of *jobs* it is kept off at *wall*, since it failed them or cannot use their folders now."""
    kept, wanted, found = record.tables.KeptOff, set(jobs), dict[str, set[str]]()
    for job, worker in kept.select(kept.job, kept.worker).where(kept.readmitted.is_null() | (kept.readmitted > wall)).tuples():
        if job in wanted:
            found.setdefault(worker, set()).add(job)
    return found


def kept_apart(kinds: Iterable[Kind], off: Mapping[str, set[str]]) -> list[KindApart]:
    """Return *kinds*, each divided by the jobs that its workers are kept *off*."""
    found = []
    for kind in kinds:
        alike: dict[frozenset[str], list[str]] = {}
        for id in kind.ids:
            alike.setdefault(frozenset(off.get(id, ())), []).append(id)
        found += [KindApart(Kind(kind.worker, len(ids), 0, tuple(ids)), jobs) for jobs, ids in alike.items()]
    return found
