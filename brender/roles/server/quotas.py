"""Weights in the fair share, and limits, in the server's core: set by people, kept in the record. Pure."""

from collections.abc import Mapping
from typing import Any

import msgspec

from brender.bus.messages import Manage
from brender.farm.farm import Farm
from brender.model.errors import BadInput
from brender.model.quotas import HALF_LIFE, QuotaKind, check_half_life, check_most, check_weight, limit_in_words
from brender.model.sharing import check_name
from brender.roles.effects import Now
from brender.roles.server.activity import ActivityLog

#: What is asked of a `Manage` about them.
OF_QUOTAS = frozenset({"set-weight", "set-half-life", "set-limit"})
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
        ``kind`` (project, user or licence), ``name``, ``most`` (``None``: no limit).
        """
        self.farm.usages.advance(now.wall)
        if message.what == "set-half-life":
            return self._set_half_life(message.arguments, now)
        if message.what == "set-limit":
            return self._set_limit(message.arguments, now)
        return self._set_weight(message.arguments, now)

    def _set_limit(self, arguments: Mapping[str, Any], now: Now) -> dict[str, Any]:
        kind, name = _whose(arguments, _LIMITED)
        if kind is QuotaKind.LICENCE:
            check_name(name, "licence")
        most = check_most(arguments.get("most"), f"the {kind} {name}")
        usages = self.farm.usages
        usages.set_quota(kind, name, msgspec.structs.replace(usages.quota(kind, name), most=most))
        self.activity.note(now, "limit", f"the {kind} {name} has {limit_in_words(most)}")
        return {"kind": kind, "name": name, "most": most}

    def _set_weight(self, arguments: Mapping[str, Any], now: Now) -> dict[str, Any]:
        kind, name = _whose(arguments, _WEIGHED)
        weight = check_weight(arguments.get("weight"), f"the {kind} {name}")
        usages = self.farm.usages
        usages.set_quota(kind, name, msgspec.structs.replace(usages.quota(kind, name), weight=weight))
        self.activity.note(now, "weight", f"the {kind} {name} has the weight {weight:g} in the fair share")
        return {"kind": kind, "name": name, "weight": weight}

    def _set_half_life(self, arguments: Mapping[str, Any], now: Now) -> dict[str, Any]:
        seconds = check_half_life(arguments.get("seconds"))
        usages = self.farm.usages
        usages.set_half_life(seconds)
        usages.set_quota(*HALF_LIFE, msgspec.structs.replace(usages.quota(*HALF_LIFE), weight=seconds))
        self.activity.note(now, "weight", f"what was used of the farm counts half after {seconds / 3600:g} hours")
        return {"seconds": seconds}


def _whose(arguments: Mapping[str, Any], kinds: tuple[QuotaKind, ...]) -> tuple[QuotaKind, str]:
    """Return the kind and the name that *arguments* give. Raises `BadInput`."""
    kind, name = arguments.get("kind"), arguments.get("name")
    if kind not in kinds:
        raise BadInput(f"{kind!r} has no such setting: there are {', '.join(kinds)}")
    if not isinstance(name, str) or not name.isprintable() or len(name) > _NAME_LENGTH or (not name and kind != QuotaKind.USER):
        raise BadInput(f"{name!r} is not the name of a {kind}")
    return QuotaKind(kind), name
