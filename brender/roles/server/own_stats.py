"""What the server tells monitors of itself: its machine, its part of the bus, its rounds."""

from pathlib import Path
from typing import Any

import msgspec

from brender.bus.loop import Loop
from brender.bus.traffic import Meter
from brender.bus.transport import Socket
from brender.engines.stats import StatsReader
from brender.model.bus_figures import Link
from brender.roles.server.round import Round


class OwnStats:
    """The statistics of the server *name*, whose loop is *loop*, due every *interval* seconds."""

    def __init__(self, loop: Loop, folder: Path, name: str, interval: float) -> None:
        self._meter = Meter(loop)
        self._folder = folder
        self._name = name
        self._interval = interval
        self._machine: StatsReader | None = None
        self._told = float("-inf")
        self._sequence = 0

    def is_due(self, mono: float) -> bool:
        """Return whether it is time, at the monotonic time *mono*; it then counts as told."""
        if mono - self._told < self._interval:
            return False
        self._told = mono
        return True

    def fields(self, links: tuple[Link, ...], round: Round, refusals: dict[str, int]) -> dict[str, Any]:
        """Return the fields of the event, as they are for nodes (`Publish` of kind ``stats``)."""
        if self._machine is None:
            self._machine = StatsReader(self._folder)
        self._sequence += 1
        held = len(round.core.farm.attempts)
        return {
            "sequence": self._sequence,
            "name": self._name,
            "kind": "server",
            "status": "paused" if round.paused else "online",
            "reason": round.store.trouble,
            "stats": msgspec.structs.asdict(self._machine.read()),
            "bus": self._meter.figures(links, held, refusals=refusals, commits=round.commits, rows=round.rows),
        }


def links_of(*sockets: Socket, is_report: bool = True) -> tuple[Link, ...]:
    """Return what passed through each of *sockets*. (So that what ZeroMQ says of connections is taken in, too.)"""
    return tuple(socket.link(is_report) for socket in sockets)
