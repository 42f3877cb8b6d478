"""What users have used of the farm within projects, and what projects, users and licences may have: kept in the record. Pure.

A second of machine counts half after each half-life. So that nothing has to be counted again as time goes by, a second counts
more the later it is (`Usages.scale`), and what was used before stays as it is.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec

from brender.farm.record import Entity, Ledger
from brender.model.quotas import HALF_LIFE_SECONDS, Quota, QuotaKind

#: Once a second counts so many times what it did at first, all is counted again, and it counts 1.
_SCALE_MOST = 2.0**40
Who = tuple[str, str]
"""A project, and a user within it."""


@dataclass(eq=False)
class UsageState(Entity):
    """What ``user`` has used of the farm within ``project`` by attempts that ended: ``seconds``, as they counted at the time
    ``wall``."""

    project: str
    user: str
    seconds: float = 0.0
    wall: float = 0.0
    ended: float = 0.0
    """The same, as they count by the present scale."""
    running: float = 0.0
    """What the live attempts are taken to use, as that counts."""
    live: int = 0

    kind: ClassVar[str] = "usage"
    born: ClassVar[tuple[str, ...]] = ("project", "user")
    columns: ClassVar[tuple[str, ...]] = ("seconds", "wall")

    @property
    def key(self) -> str:
        return f"{self.project}\n{self.user}"  # no name of a project has a line feed

    def values(self) -> tuple[Any, ...]:
        return self.seconds, self.wall

    def birth(self) -> tuple[Any, ...]:
        return self.project, self.user

    @property
    def used(self) -> float:
        return self.ended + self.running


class Usages:
    """All usage, with that of live attempts, which is estimated; and the quotas."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.known: dict[Who, UsageState] = {}
        self.quotas: dict[tuple[QuotaKind, str], Quota] = {}
        self.changed: dict[Who, None] = {}
        """Whose usage changed since the scheduler was last told."""
        self.changed_quotas: dict[tuple[QuotaKind, str], None] = {}
        """Which quotas changed since then."""
        self.rescaled = 1.0
        """By which factor all usage was multiplied since then."""
        self.half_life = HALF_LIFE_SECONDS
        self.scale = 1.0
        """What a second of machine counts now."""
        self._base = self.wall = 0.0
        """When it counted 1; and now."""
        self._charges: dict[str, tuple[Who, float]] = {}
        """What live attempts are taken to use, as it counts."""

    def advance(self, wall: float) -> None:
        """Let it be *wall* now. (Time does not go back.)"""
        if not self.wall:
            self._base = self.wall = wall
            self._count_again(1.0)
        self.wall = max(self.wall, wall)
        self.scale = 2.0 ** min((self.wall - self._base) / self.half_life, 1000.0)
        if self.scale > _SCALE_MOST:
            self._count_again(1 / self.scale)

    def set_half_life(self, seconds: float) -> None:
        """Let what was used count half after so many *seconds*, from now on."""
        for usage in self.known.values():
            self._add(usage, 0.0)
        factor, self.half_life = 1 / self.scale, seconds
        self._count_again(factor)

    def restore(self, project: str, user: str, seconds: float, wall: float) -> None:
        """Note what the record says of a usage."""
        usage = self.known[project, user] = UsageState(project, user, seconds, wall)
        usage.keep_in(self.ledger, recorded=True)
        usage.ended = self._as_it_counts(usage)
        self.changed[project, user] = None

    def charge(self, attempt: str, project: str, user: str, seconds: float) -> None:
        """Count *attempt*, which begins, as one that will have used so many *seconds*."""
        usage = self._usage(project, user)
        charge = seconds * self.scale
        self._charges[attempt] = (project, user), charge
        usage.running += charge
        usage.live += 1
        self.changed[project, user] = None

    def outrun(self, attempt: str, seconds: float) -> None:
        """Count *attempt* for as many *seconds* as it has run by now, if that is more than was expected."""
        who, charge = self._charges.get(attempt, (("", ""), float("inf")))
        if (more := seconds * self.scale - charge) > 0:
            self._charges[attempt] = who, charge + more
            self.known[who].running += more
            self.changed[who] = None

    def settle(self, attempt: str, seconds: float) -> None:
        """Count what *attempt*, which has ended, took."""
        who, charge = self._charges.pop(attempt, (None, 0.0))
        if who is None:
            return
        usage = self.known[who]
        usage.live -= 1
        usage.running = max(0.0, usage.running - charge) if usage.live else 0.0
        self.changed[who] = None
        if seconds > 0:
            self._add(usage, seconds)

    def quota(self, kind: QuotaKind, name: str) -> Quota:
        """Return what is set for *name*."""
        return self.quotas.get((kind, name), Quota())

    def set_quota(self, kind: QuotaKind, name: str, quota: Quota) -> None:
        """Let *quota* be set for *name*, and kept."""
        self.quotas[kind, name] = quota
        self.changed_quotas[kind, name] = None
        self.ledger.put("quota", (kind, name), msgspec.structs.asdict(quota))

    # --- inside -----------------------------------------------------------------------------------------------------------

    def _usage(self, project: str, user: str) -> UsageState:
        usage = self.known.get((project, user))
        if usage is None:
            usage = self.known[project, user] = UsageState(project, user, wall=self.wall)
            usage.keep_in(self.ledger)
        return usage

    def _add(self, usage: UsageState, seconds: float) -> None:
        usage.seconds = usage.seconds * 2.0 ** (-max(0.0, self.wall - usage.wall) / self.half_life) + seconds
        usage.wall = max(self.wall, usage.wall)
        usage.ended = self._as_it_counts(usage)
        usage.touch()

    def _as_it_counts(self, usage: UsageState) -> float:
        passed = max(0.0, self.wall - usage.wall)
        return float(usage.seconds * 2.0 ** (-passed / self.half_life) * self.scale)

    def _count_again(self, factor: float) -> None:
        """Let a second count 1 now; what live attempts are taken to use counts *factor* times what it did."""
        self._base, self.scale = self.wall, 1.0
        self._charges = {attempt: (who, charge * factor) for attempt, (who, charge) in self._charges.items()}
        for usage in self.known.values():
            usage.ended = self._as_it_counts(usage)
            usage.running *= factor
        self.changed.update(dict.fromkeys(self.known))
        self.rescaled *= factor
