"""Events: what is published of the rows that were written. Pure."""

from collections.abc import Iterable, Iterator
from typing import Any

from brender.farm.record import Row

#: Kinds that are published to nobody.
_PRIVATE = frozenset(
    {"key", "token", "user", "api_token", "device_sign_in", "subscription", "account", "account_failure", "hook_delivery"}
)
#: Fields that are large, and that nobody watches.
_TOO_LARGE = "facts"
#: Kinds of which there are several for each task: a farm of tiny tasks makes tens of thousands a second, that nobody can read.
_DETAILS = frozenset({"task", "part", "attempt", "worker"})
#: Of these, so many a second are published; and each that says that a worker is neither idle nor busy.
_DETAILS_A_SECOND = 500
_COMMON = frozenset({"idle", "busy"})


class Listening:
    """Which kinds of events are listened to, by the topics that listeners have subscribed to, and how many details are published
    in a second."""

    def __init__(self, details_a_second: int = _DETAILS_A_SECOND) -> None:
        self._topics: set[str] = set()
        self._most = details_a_second
        self._second = float("-inf")
        self._details = 0
        self.left_out = 0
        """Events that were not published, since there were too many."""

    def __bool__(self) -> bool:
        """Return whether anybody listens."""
        return bool(self._topics)

    def heard(self, frame: bytes) -> None:
        """Take what a publisher hears of its listeners: 1 and the topic that the first one subscribes to, 0 where the last one
        left."""
        topic = frame[1:].decode("utf-8", "replace")
        if frame[:1] == b"\1":
            self._topics.add(topic)
        else:
            self._topics.discard(topic)

    def clear(self) -> None:
        """Begin again, with nobody who listens."""
        self._topics.clear()

    def wants(self, kind: str) -> bool:
        """Return whether anybody listens to events of this *kind*."""
        return any(kind.startswith(topic) for topic in self._topics)

    def of(self, rows: Iterable[Row], now: float) -> list[Row]:
        """Return those of *rows* that are published *now* (monotonic). Hot path, watched by benchmarks.monitor."""
        if now - self._second >= 1.0:
            self._second, self._details = now, 0
        wanted = {kind: self.wants(kind) for kind in _DETAILS}
        chosen = []
        for row in rows:
            if row.kind not in _DETAILS:
                chosen.append(row)
            elif wanted[row.kind]:
                self._details += 1
                if self._details <= self._most or _is_uncommon(row):
                    chosen.append(row)
                else:
                    self.left_out += 1
        return chosen


def _is_uncommon(row: Row) -> bool:
    """Return whether *row* says that a worker is neither idle nor busy."""
    if row.kind != "worker" or "status" not in row.columns:
        return False
    return row.values[row.columns.index("status")] not in _COMMON


def events(rows: Iterable[Row]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield for each thing that *rows* are about its kind, its key and its new values."""
    merged: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        if row.verb != "delete" and row.kind not in _PRIVATE:
            merged.setdefault((row.kind, str(row.key)), {}).update(row.fields)
    for (kind, key), fields in merged.items():
        fields.pop(_TOO_LARGE, None)
        yield kind, key, fields
