"""What people set on a worker: further tags, a note, when it sleeps. Pure."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from brender.farm.farm import Farm
from brender.model.errors import BadInput
from brender.model.nodes import WorkerInfo
from brender.model.schedule import asleep, parse_schedule
from brender.roles.effects import Now
from brender.roles.server.activity import ActivityLog

#: What can be said, by the action that says it.
SAYABLE = ("tags", "note", "schedule", "give-back")
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NOTE_LENGTH = 1000
_LOOK_SECONDS = 15.0
_HOURS_MOST = 24.0 * 30


class WorkerSettings:
    """The settings that people gave the workers of *farm*; *look_at* is called with the workers that something changed for."""

    def __init__(self, farm: Farm, activity: ActivityLog, look_at: Callable[[set[str]], None]) -> None:
        self.farm = farm
        self.activity = activity
        self.look_at = look_at
        self._looked = float("-inf")

    def say(self, action: str, worker: str, name: str, value: Any, now: Now, user: str) -> None:
        """Set the ``tags`` (with commas between), ``note`` or ``schedule`` of *worker* to *value*; ``give-back``:
        give it back to its machine's owner for so many hours, 0 ends that. Raises `BadInput`."""
        text = str(value or "").strip()
        if action == "tags":
            tags = sorted({tag.strip() for tag in text.split(",") if tag.strip()})
            if wrong := [tag for tag in tags if not _TAG.fullmatch(tag)]:
                raise BadInput(f"{wrong[0]!r} cannot be a tag: letters, digits, and any of . _ -")
            self._retag(worker, frozenset(tags))
            fields: dict[str, Any] = {"extra_tags": tags}
            text = ", ".join(tags)
        elif action == "schedule":
            spans = parse_schedule(text)
            self.farm.schedules.pop(worker, None)
            if spans:
                self.farm.schedules[worker] = spans
            self._looked = float("-inf")
            fields = {"schedule": text}
        elif action == "give-back":
            until = now.wall + _hours(text) * 3600
            self.farm.paused.pop(worker, None)
            if until > now.wall:
                self.farm.paused[worker] = until
            self._looked = float("-inf")
            fields = {"paused_until": until if until > now.wall else None}
            text = f"{text} h" if until > now.wall else ""
        else:
            if len(text) > _NOTE_LENGTH:
                raise BadInput(f"A note has up to {_NOTE_LENGTH} characters")
            fields = {"note": text}
        self.farm.ledger.change("worker", worker, fields)
        self.activity.note(now, action, f"the {action} of the worker {name}: {text or 'none'}", user=user, worker=worker)
        self.look_at({worker})

    def tagged(self, info: WorkerInfo) -> WorkerInfo:
        """Return *info*, with the tags that people gave that worker."""
        extra = self.farm.extra_tags.get(info.id, frozenset())
        return msgspec.structs.replace(info, tags=info.tags | extra) if extra else info

    def tick(self, now: Now) -> set[str]:
        """Now and then: who sleeps; returns those that have just fallen asleep."""
        if now.mono - self._looked < _LOOK_SECONDS:
            return set()
        self._looked = now.mono
        here = datetime.fromtimestamp(now.wall)
        minute = here.hour * 60 + here.minute
        before = set(self.farm.asleep)
        self.farm.asleep = {
            worker: _clock(minute + left)
            for worker, spans in self.farm.schedules.items()
            if (left := asleep(spans, here.weekday(), minute)) is not None
        }
        for worker, until in list(self.farm.paused.items()):
            if until <= now.wall:
                del self.farm.paused[worker]
                self.farm.ledger.change("worker", worker, {"paused_until": None})
            else:
                self.farm.asleep[worker] = _day_and_clock(until, here)
        if changed := before ^ set(self.farm.asleep):
            self.look_at(changed)
        return set(self.farm.asleep) - before

    def _retag(self, worker: str, tags: frozenset[str]) -> None:
        before = self.farm.extra_tags.pop(worker, frozenset())
        if tags:
            self.farm.extra_tags[worker] = tags
        state = self.farm.workers.get(worker)
        if state is not None:
            own = (state.info.tags - before) | (before & state.own_tags)
            state.info = msgspec.structs.replace(state.info, tags=own | tags)


def _hours(text: str) -> float:
    """Return the hours that *text* says. Raises `BadInput`."""
    try:
        hours = float(text or "0")
    except ValueError:
        hours = -1.0
    if not 0 <= hours <= _HOURS_MOST:
        raise BadInput(f"A worker is given back for 0 (not any longer) to {_HOURS_MOST:.0f} hours, not {text!r}")
    return hours


def _day_and_clock(wall: float, here: datetime) -> str:
    at = datetime.fromtimestamp(wall)
    return f"{at:%H:%M}" if at.date() == here.date() else f"{at:%Y-%m-%d %H:%M}"


def _clock(minute: int) -> str:
    return f"{minute // 60 % 24:02d}:{minute % 60:02d}"
