"""The members of a fleet, from one look to the next: what the provider lists and what the farm lists, put together. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from brender.model.status import WorkerStatus
from brender.scaling.decisions import Member, Phase

#: Seconds for which what was started counts although its provider does not list it yet.
_LISTED_WITHIN = 30.0
#: How much of the mean time of a start the newest one makes.
_NEWEST_SHARE = 0.3

_PHASES = {
    WorkerStatus.IDLE: Phase.IDLE,
    WorkerStatus.BUSY: Phase.BUSY,
    WorkerStatus.DRAINING: Phase.LEAVING,
}


@dataclass(frozen=True)
class Allocation:
    """What a provider has started, or was asked to: the worker called *name*. ``running``: it has begun it. ``about``: why it
    waits, or where it runs, for a person."""

    name: str
    running: bool
    about: str = ""


@dataclass(frozen=True)
class Look:
    """What a look shows: the ``members``; the names of those that ``joined`` since the last one, and of those that ``failed``,
    which ended before they joined; and the workers, by name and id, that are ``dead``: the farm lists them, and they do not come
    back."""

    members: tuple[Member, ...]
    joined: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    dead: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Fleet:
    """What is known of a fleet's members between looks. ``start_seconds``: how long a start takes, by those that there were."""

    start_seconds: float = 20.0
    _members: dict[str, Member] = field(default_factory=dict)
    _started: dict[str, float] = field(default_factory=dict)
    """When those were started, or seen first, that have not joined."""
    _unlisted: set[str] = field(default_factory=set)
    """Those that were started, and that the provider has not listed yet."""
    _known: set[str] = field(default_factory=set)
    """Those that have joined."""
    _ending: set[str] = field(default_factory=set)
    """Those that the provider was asked to end."""

    def started(self, name: str, now: float) -> None:
        """The provider was asked to start the member *name*."""
        self._members[name] = Member(name, Phase.WAITING, now)
        self._started[name] = now
        self._unlisted.add(name)

    def look(self, allocations: Iterable[Allocation], rows: Iterable[Mapping[str, Any]], now: float) -> Look:
        """Return how the fleet stands, where its provider lists *allocations* and the farm has *rows* of its workers."""
        there = {each.name: each for each in allocations}
        workers = {str(row["name"]): row for row in rows}
        seen, joined, failed = {}, [], []
        self._unlisted -= there.keys()
        for name, allocation in there.items():
            row = workers.get(name)
            phase = self._phase(name, allocation, row)
            if row is not None and row["status"] != WorkerStatus.OFFLINE and name not in self._known:
                self._known.add(name)
                if (began := self._started.pop(name, None)) is not None:
                    joined.append(name)
                    self._measure(now - began)
            elif name not in self._known:
                self._started.setdefault(name, now)
            before = self._members.get(name)
            since = before.since if before is not None and before.phase is phase else now
            seen[name] = Member(name, phase, since, allocation.about)
        for name, member in self._members.items():
            if name in there:
                continue
            if name in self._unlisted and now - member.since < _LISTED_WITHIN:
                seen[name] = member
            elif name in self._started and name not in workers and name not in self._ending:
                failed.append(name)
        for name in self._started.keys() - seen.keys():
            del self._started[name]
        self._known &= seen.keys()
        self._ending &= seen.keys()
        self._unlisted &= seen.keys()
        self._members = seen
        offline = {name: str(row["id"]) for name, row in workers.items() if row["status"] == WorkerStatus.OFFLINE}
        dead = {name: id for name, id in offline.items() if name not in seen}
        return Look(tuple(seen.values()), tuple(joined), tuple(failed), dead)

    def ending(self, name: str, now: float) -> None:
        """The provider is asked to end the member *name*: that it does not join is no further failure."""
        self._ending.add(name)
        self._members[name] = Member(name, Phase.ENDING, now)

    def _phase(self, name: str, allocation: Allocation, row: Mapping[str, Any] | None) -> Phase:
        if row is not None and row["status"] != WorkerStatus.OFFLINE:
            return _PHASES.get(row["status"], Phase.HELD)
        if name in self._ending:
            return Phase.ENDING
        if row is not None or name in self._known:
            return Phase.GONE
        return Phase.STARTING if allocation.running else Phase.WAITING

    def _measure(self, seconds: float) -> None:
        self.start_seconds += (seconds - self.start_seconds) * _NEWEST_SHARE
