"""Weights in the fair share, and limits, in the server's core: set by people, kept in the record. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from brender.bus.messages import Manage
from brender.farm.farm import Farm
from brender.model.errors import BadInput
from brender.model.farm_file import Said
from brender.model.quotas import (
    FROM_FILE,
    HALF_LIFE,
    Quota,
    QuotaKind,
    check_half_life,
    check_most,
    check_weight,
    half_life_of,
    limit_in_words,
)
from brender.model.sharing import check_name
from brender.roles.effects import Now
from brender.roles.server.activity import ActivityLog

#: What is asked of a `Manage` about them.
OF_QUOTAS = frozenset({"set-weight", "set-half-life", "set-limit", "set-pool"})
_NAME_LENGTH = 255
_LIMITED = (QuotaKind.PROJECT, QuotaKind.USER, QuotaKind.LICENCE)
_WEIGHED = (QuotaKind.PROJECT, QuotaKind.USER)


class Quotas:
    """Works on *farm*."""

    def __init__(self, farm: Farm, activity: ActivityLog) -> None:
        self.farm = farm
        self.activity = activity

    def manage(self, message: Manage, now: Now) -> dict[str, Any]:
        """Carry out what a wrangler asks; returns the answer. Raises `BrenderError`.

        ``set-weight``: ``kind`` (project or user), ``name``, ``weight``. ``set-half-life``: ``seconds``. ``set-limit``:
        ``kind`` (project, user or licence), ``name``, ``most`` (``None``: no limit). ``set-pool``:
        ``name`` of a project, ``pool`` ("": none). For any of these values `FROM_FILE`: what the settings file says.
        """
        self.farm.usages.advance(now.wall)
        if message.what == "set-half-life":
            return self._set_half_life(message.arguments, now)
        if message.what == "set-pool":
            return self._set_pool(message.arguments, now)
        if message.what == "set-limit":
            return self._set_limit(message.arguments, now)
        return self._set_weight(message.arguments, now)

    def _set_limit(self, arguments: Mapping[str, Any], now: Now) -> dict[str, Any]:
        kind, name = _whose(arguments, _LIMITED)
        if kind is QuotaKind.LICENCE:
            check_name(name, "licence")
        most = arguments.get("most")
        if most != FROM_FILE:
            most = check_most(most, f"the {kind} {name}")
        quota = self._set(kind, name, "most", most)
        self.activity.note(now, "limit", f"the {kind} {name} has {limit_in_words(quota.most)}")
        return {"kind": kind, "name": name, "most": quota.most}

    def _set_weight(self, arguments: Mapping[str, Any], now: Now) -> dict[str, Any]:
        kind, name = _whose(arguments, _WEIGHED)
        weight = arguments.get("weight")
        if weight != FROM_FILE:
            weight = check_weight(weight, f"the {kind} {name}")
        quota = self._set(kind, name, "weight", weight)
        self.activity.note(now, "weight", f"the {kind} {name} has the weight {quota.weight:g} in the fair share")
        return {"kind": kind, "name": name, "weight": quota.weight}

    def _set_half_life(self, arguments: Mapping[str, Any], now: Now) -> dict[str, Any]:
        seconds = arguments.get("seconds")
        if seconds != FROM_FILE:
            seconds = check_half_life(seconds)
        seconds = half_life_of(self._set(*HALF_LIFE, "weight", seconds))
        self.farm.usages.set_half_life(seconds)
        self.activity.note(now, "weight", f"earlier use of the farm counts half after {seconds / 3600:g} hours")
        return {"seconds": seconds}

    def _set_pool(self, arguments: Mapping[str, Any], now: Now) -> dict[str, Any]:
        _, name = _whose({**arguments, "kind": QuotaKind.PROJECT}, (QuotaKind.PROJECT,))
        pool = arguments.get("pool")
        if not isinstance(pool, str):
            raise BadInput(f"{pool!r} is not the name of a pool")
        if pool not in ("", FROM_FILE):
            check_name(pool, "pool")
        self.farm.ledger.put("project", name, {})
        quota = self._set(QuotaKind.PROJECT, name, "pool", pool)
        of_pool = f"belong to the pool {quota.pool}" if quota.pool else "belong to no pool"
        self.activity.note(now, "project", f"the jobs of the project {name} {of_pool}")
        return {"name": name, "pool": quota.pool}

    def _set(self, kind: QuotaKind, name: str, field: str, value: Any) -> Quota:
        quota = self.farm.usages.quota(kind, name).set(field, value)
        self.farm.usages.set_quota(kind, name, quota)
        return quota

    def read_file(self, said: Iterable[Said], now: Now) -> None:
        """Let what the settings file says be as *said*; what people set counts more."""
        usages = self.farm.usages
        wanted: dict[tuple[QuotaKind, str], dict[str, Any]] = {}
        for each in said:
            wanted.setdefault((each.kind, each.name), {})[each.field] = each.value
        for key in {**usages.quotas, **wanted}:
            before, read = usages.quota(*key), wanted.get(key, {})
            if before.by_file != read:
                usages.set_quota(*key, before.read(read))
                if key[0] is QuotaKind.PROJECT:
                    self.farm.ledger.put("project", key[1], {})
        if (seconds := half_life_of(usages.quota(*HALF_LIFE))) != usages.half_life:
            usages.advance(now.wall)
            usages.set_half_life(seconds)


def _whose(arguments: Mapping[str, Any], kinds: tuple[QuotaKind, ...]) -> tuple[QuotaKind, str]:
    """Return the kind and the name that *arguments* give. Raises `BadInput`."""
    kind, name = arguments.get("kind"), arguments.get("name")
    if kind not in kinds:
        raise BadInput(f"{kind!r} has no such setting: there are {', '.join(kinds)}")
    if not isinstance(name, str) or not name.isprintable() or len(name) > _NAME_LENGTH or (not name and kind != QuotaKind.USER):
        raise BadInput(f"{name!r} is not the name of a {kind}")
    return QuotaKind(kind), name
