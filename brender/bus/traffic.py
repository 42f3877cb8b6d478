"""What a role counts of its part of the bus, and tells with its heartbeats (brender.model.bus_figures)."""

import time
from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from brender.model.bus_figures import BusFigures, Link, Rounds, packed

if TYPE_CHECKING:
    from brender.bus.loop import Loop

#: Doors and reasons of refusals that are told.
_REFUSALS_TOLD = 50


class Traffic:
    """What passed through one socket. Counted in its thread, read from any."""

    __slots__ = ("bytes_received", "bytes_sent", "malformed", "received", "sent", "unsent", "waiting")

    def __init__(self) -> None:
        self.sent: defaultdict[type, int] = defaultdict(int)
        self.received: defaultdict[type, int] = defaultdict(int)
        self.bytes_sent = self.bytes_received = self.unsent = self.malformed = 0
        self.waiting = 0
        """The most messages that one drain found since the last report."""


def by_name(counts: dict[type, int]) -> dict[str, int]:
    """Return *counts* of types of messages by their names. The copy is one step, so that another thread may go on counting."""
    return {kind.__name__: count for kind, count in counts.copy().items()}


class Meter:
    """What a role tells of itself, as the bytes that travel; its loop is *loop*."""

    def __init__(self, loop: "Loop") -> None:
        self._loop = loop
        self._began = time.monotonic()
        self.round_trip: float | None = None
        """Seconds from the last request for the lease to its answer."""

    def answered(self, sent: float, now: float) -> None:
        """A request of the time *sent* was answered *now*, both monotonic; 0.0: it was said without being asked for."""
        if 0.0 < sent <= now:
            self.round_trip = now - sent

    def figures(
        self,
        links: Iterable[Link],
        held: int = 0,
        outbox: int = 0,
        resent: int = 0,
        refusals: dict[str, int] | None = None,
        commits: int = 0,
        rows: int = 0,
    ) -> bytes:
        """Return the figures of now, packed. The longest round is counted again from here on."""
        count, seconds, longest = self._loop.rounds
        self._loop.rounds = (count, seconds, 0.0)
        most = dict(sorted((refusals or {}).items(), key=lambda each: -each[1])[:_REFUSALS_TOLD])
        return packed(
            BusFigures(
                up=time.monotonic() - self._began,
                links=tuple(links),
                rounds=Rounds(count=count, seconds=seconds, longest=longest, commits=commits, rows=rows),
                round_trip=self.round_trip,
                held=held,
                outbox=outbox,
                resent=resent,
                refusals=most,
            )
        )
