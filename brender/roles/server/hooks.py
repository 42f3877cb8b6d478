"""Hooks in the server's core: what happened becomes deliveries, in the same commit. Pure.

A delivery is a row until its target has taken it, or it is given up; who carries them out is
`brender.roles.server.hook_deliveries`, outside of the control loop.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from brender.bus.messages import Manage
from brender.farm.farm import Farm
from brender.model.errors import NotFound
from brender.model.hooks import TEST, Happening, Hook
from brender.roles.effects import Deliver, Effect, Now
from brender.roles.server.activity import ActivityLog

#: Deliveries of one hook that wait at most; more are not kept.
_WAITING_MOST = 10_000


class Hooks:
    """The hooks of *farm*; what is delivered goes to *emit*."""

    def __init__(self, farm: Farm, activity: ActivityLog, emit: Callable[[Effect], None]) -> None:
        self.farm = farm
        self.activity = activity
        self.emit = emit
        self._full: set[str] = set()

    def tell(self) -> None:
        """Make deliveries of all that happened since the last time."""
        if not self.farm.happenings:
            return
        happenings, self.farm.happenings = self.farm.happenings, []
        for happening in happenings:
            for hook in self.farm.hooks.values():
                if hook.wants(happening.event, str(happening.fields.get("project", ""))):
                    self._deliver(hook, happening)

    def test(self, message: Manage, now: Now) -> dict[str, Any]:
        """Deliver a test to the hook that is asked for; return the delivery's ``id``. Raises `NotFound`."""
        hook = self.farm.hooks.get(str(message.arguments.get("id", "")))
        if hook is None:
            raise NotFound(f"There is no hook {message.arguments.get('id')!r}: `brender hooks list` lists them")
        return {"id": self._deliver(hook, Happening(TEST, now.wall, {"text": "A test of this hook"}))}

    def delivered(self, id: str, hook: str, tries: int, why_not: str, is_over: bool, now: Now) -> None:
        """Note what came of the delivery *id* of *hook*, tried *tries* times: *why_not* is "" where it went well. *is_over*:
        it is not tried again."""
        if hook not in self.farm.hooks:
            return  # it was removed meanwhile, with its deliveries
        if not is_over:
            self.farm.ledger.change("hook_delivery", id, {"tries": tries, "error": why_not[:500]})
            return
        self.farm.ledger.drop("hook_delivery", id)
        self.farm.hooks_waiting[hook] -= 1
        self._full.discard(hook)
        if why_not:
            text = f"the hook {hook} was not told of something, after {tries} tries: {why_not}"
            self.activity.note(now, "hook", text)

    def _deliver(self, hook: Hook, happening: Happening) -> str:
        waiting: Counter[str] = self.farm.hooks_waiting
        self.farm.deliveries_made += 1
        # (Unique also beside those that an earlier process of the server made.)
        id = f"{int(happening.wall * 1000):012x}{self.farm.deliveries_made % 2**32:08x}"
        if waiting[hook.id] >= _WAITING_MOST:
            if hook.id not in self._full:
                self._full.add(hook.id)
                text = f"{_WAITING_MOST:,} deliveries of the hook {hook.id} wait: it is not told of more until it takes them"
                self.activity.note(Now(0.0, happening.wall), "hook", text)
            return id
        waiting[hook.id] += 1
        body = json.dumps({"event": happening.event, "id": id, "time": happening.wall, **happening.fields}, ensure_ascii=False)
        fields: Mapping[str, Any] = {"hook": hook.id, "event": happening.event, "body": body, "created": happening.wall}
        self.farm.ledger.insert("hook_delivery", id, fields)
        self.emit(Deliver(id, hook, happening.event, body, happening.wall))
        return id
