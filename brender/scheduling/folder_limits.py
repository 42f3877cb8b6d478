"""Which folders the owners of workers let these use, and whether a job's lie in them. Pure."""

from collections.abc import Iterable
from typing import NamedTuple

from brender.model.eligibility import used_by
from brender.model.nodes import WorkerInfo
from brender.model.paths import Platform, platform_of, spelled
from brender.scheduling.terms import Demand


class Limits(NamedTuple):
    """What decides of a worker whose owner named folders whether a job's lie below these."""

    platform: Platform
    site: str
    folders: tuple[str, ...]
    """As they are compared (`spelled`)."""
    readable: tuple[str, ...]
    """The same, and what may be read besides."""

    @classmethod
    def of(cls, info: WorkerInfo) -> "Limits | None":
        """Return those of the worker *info*; ``None`` where it has none."""
        if not info.folders:
            return None
        platform = platform_of(info.platform)
        folders, readable = (tuple(spelled(each, platform) for each in some) for some in (info.folders, info.readable))
        return cls(platform, info.site, folders, folders + readable)


def inside_of(demand: Demand, limits: Iterable[Limits]) -> frozenset[Limits]:
    """Return which of *limits* let a worker use all folders of the job with *demand*."""
    used: dict[tuple[Platform, str], tuple[list[str], list[str]]] = {}
    found = []
    for each in limits:
        key = each.platform, each.site
        if key not in used:
            reads, writes = used_by(demand.need, demand.paths, each.platform, each.site)
            used[key] = [spelled(path, each.platform) for path in reads], [spelled(path, each.platform) for path in writes]
        reads_here, writes_here = used[key]
        if all(path.startswith(each.readable) for path in reads_here) and all(
            path.startswith(each.folders) for path in writes_here
        ):
            found.append(each)
    return frozenset(found)
