"""The terminal monitor: what passes on the server's event bus, and every node's statistics, as it happens.

It only listens. What it shows is what it heard since it was started.
"""

import json
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import click
import msgspec
import zmq
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from brender.bus.address import Address
from brender.bus.keys import Credentials
from brender.bus.messages import Event
from brender.bus.transport import Connections, Socket
from brender.model.errors import Unreachable
from brender.model.log_events import read_event
from brender.model.text import harmless, short_id

_QUIET_SECONDS = 10.0
_LOOK_MILLISECONDS = 500
#: Seconds between the statistics of a node.
_STATS_SECONDS = 2.0
#: Seconds without a connection after which the server is called silent.
SILENT_SECONDS = 3.0
#: Fields that the screen shows of an event; `--plain` prints all.
_WORTH_TELLING = (
    "name",
    "status",
    "outcome",
    "frame",
    "fraction",
    "output",
    "seconds",
    "completed_parts",
    "priority",
    "reason",
    "line",
)


@dataclass
class Seen:
    """What was heard so far. Pure: `hear` takes events, `screen` draws."""

    source: str = "the server"
    names: dict[str, str] = field(default_factory=dict)
    stats: dict[str, tuple[float, dict[str, Any]]] = field(default_factory=dict)
    status: dict[str, str] = field(default_factory=dict)
    missed: dict[str, int] = field(default_factory=dict)
    sequences: dict[str, int] = field(default_factory=dict)
    recent: deque[Event] = field(default_factory=lambda: deque(maxlen=200))
    count: int = 0
    heard_at: float = 0.0
    """When anything was heard last, by the monotonic clock."""

    @property
    def expects_word(self) -> bool:
        """Whether some node is there: then its statistics come every other second, as long as the server lives."""
        return any(self.status.get(key) != "offline" for key in self.stats)

    def hear(self, event: Event, now: float = 0.0) -> None:
        self.count += 1
        self.heard_at = now
        if event.kind == "stats":
            sequence = int(event.fields.get("sequence", 0))
            gap = sequence - self.sequences.get(event.key, sequence - 1) - 1
            self.missed[event.key] = self.missed.get(event.key, 0) + max(0, gap)
            self.sequences[event.key] = sequence
            self.names[event.key] = event.fields.get("name", "")
            self.status.setdefault(event.key, event.fields.get("kind", ""))
            self.stats[event.key] = (event.wall, event.fields.get("stats", {}))
            return
        if event.kind in ("worker", "manager"):
            self.names[event.key] = event.fields.get("name", self.names.get(event.key, ""))
            self.status[event.key] = event.fields.get("status", self.status.get(event.key, ""))
        if _told(event):
            self.recent.append(event)

    def screen(self, height: int, silent: float | None = None) -> Group:
        """Return what is drawn in *height* lines. *silent*: seconds for which there was no connection to the server; how nodes
        stand is not known then."""
        nodes = Table(box=None, expand=True, header_style="bold")
        for column in ("NODE", "STATUS", "CPU", "LOAD", "MEMORY", "RENDER", "DISK R/W", "NET ↓/↑", "MISSED"):
            nodes.add_column(column, no_wrap=True)
        for key, (_, stats) in sorted(self.stats.items(), key=lambda item: self.names.get(item[0], item[0])):
            nodes.add_row(*self._cells(key, stats, is_known=silent is None))
        room = max(3, height - len(self.stats) - 8)
        nothing = (
            "Nothing has happened yet"
            if self.count
            else f"Nothing has been heard from {self.source} yet. Is the server running there?"
        )
        events = Table.grid(padding=(0, 1), expand=True)
        for width in (8, 8, 18):
            events.add_column(width=width, no_wrap=True, overflow="ellipsis")
        events.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        for event in list(self.recent)[-room:]:
            clock = time.strftime("%H:%M:%S", time.localtime(event.wall))
            who = self.names.get(event.key) or short_id(event.key)
            events.add_row(*(Text(harmless(cell)) for cell in (clock, event.kind, who, _told(event))))
        if not self.recent:
            events.add_row("", "", "", Text(harmless(nothing), style="dim"))
        said = [] if silent is None else [Text(harmless(silence(self.source, silent)), style="bold red")]
        return Group(*said, Panel(nodes, title=f"{len(self.stats)} nodes"), Panel(events, title=f"events ({self.count} heard)"))

    def _cells(self, key: str, stats: dict[str, Any], is_known: bool) -> list[Text]:
        known = stats.get("memory_total")
        texts = [self.names.get(key, short_id(key)), self.status.get(key, "") if is_known else "unknown"]
        if known:
            texts += [
                f"{stats['cpu_percent']:.0f} %",
                f"{stats['load']:.1f}",
                f"{_size(stats['memory_used'])}/{_size(known)}",
                f"{stats['render_cpu_percent']:.0f} % {_size(stats['render_memory'])}" if stats["render_processes"] else "",
                f"{_size(stats['disk_read'])}/{_size(stats['disk_written'])}",
                f"{_size(stats['network_received'])}/{_size(stats['network_sent'])}",
                str(self.missed.get(key, 0) or ""),
            ]
        return [Text(harmless(text)) for text in texts]


@dataclass
class Silence:
    """For how long the server has been silent. Pure."""

    since: float | None = None
    is_told: bool = False

    def look(self, up: bool, seen: Seen, now: float) -> float | None:
        """Take whether there is a connection at the monotonic time *now*, and what was *seen*; returns the seconds of silence,
        ``None`` while that is no more than a moment."""
        self.since = None if up else now if self.since is None else self.since
        if self.since is not None:
            silent = now - self.since
        else:
            silent = now - seen.heard_at - _STATS_SECONDS if seen.expects_word else 0.0
        return silent if silent >= SILENT_SECONDS else None

    def news(self, silent: float | None) -> bool:
        """Return whether it is news that the server is silent, or that it is heard again."""
        is_news, self.is_told = (silent is not None) != self.is_told, silent is not None
        return is_news


def silence(source: str, seconds: float) -> str:
    """Return what is said of a server at the address *source* that has been silent for some *seconds*."""
    return f"{read_event('server-silent', {'seconds': seconds})[1]} ({source})"


def watch(server_events: Address, credentials: Credentials, plain: bool) -> None:
    """Listen at *server_events*, with those *credentials*, until Ctrl-C; *plain*: print each event as a line of JSON."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    socket = Socket(context, zmq.SUB, "monitor", credentials)
    connections = socket.connections()
    socket.connect(server_events)
    socket.subscribe()
    try:
        if plain or not sys.stdout.isatty():
            _print_events(socket, connections, server_events)
        else:
            _draw(socket, connections, server_events)
    except (KeyboardInterrupt, BrokenPipeError):
        return
    finally:
        socket.close()
        context.term()


def _print_events(socket: Socket, connections: Connections, address: Address) -> None:
    heard, began, seen, silence_of = False, time.monotonic(), Seen(str(address)), Silence()
    while True:
        socket.raw.poll(_LOOK_MILLISECONDS)
        now = time.monotonic()
        if not heard and now - began > _QUIET_SECONDS:
            began = now
            click.echo(harmless(f"Nothing has been heard from {address} yet. Is the server running there?"), err=True)
        _check_admitted(connections, address)
        silent = silence_of.look(connections.up, seen, now)
        if silence_of.news(silent) and heard:
            said = silence(str(address), silent) if silent is not None else "The server answers again"
            click.echo(harmless(said), err=True)
        for received in socket.drain():
            heard = True
            if isinstance(received.message, Event):
                seen.hear(received.message, now)
            click.echo(json.dumps(msgspec.to_builtins(received.message)))
            sys.stdout.flush()


def _draw(socket: Socket, connections: Connections, address: Address) -> None:
    seen, silence_of = Seen(str(address)), Silence()
    console = Console()
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            until = time.monotonic() + 0.5
            while (left := until - time.monotonic()) > 0 and socket.raw.poll(int(left * 1000)):
                for received in socket.drain():
                    if isinstance(received.message, Event):
                        seen.hear(received.message, time.monotonic())
            _check_admitted(connections, address)
            silent = silence_of.look(connections.up, seen, time.monotonic())
            live.update(seen.screen(console.height, silent), refresh=True)


def _check_admitted(connections: Connections, address: Address) -> None:
    connections.happened()
    if connections.refused:
        raise Unreachable(
            f"The server does not admit this machine's key at {address}. Ask the one who runs the farm for a new token (`brender "
            f"token "
            "create --role monitor`), and use it with `brender join TOKEN`"
        )


def _told(event: Event) -> str:
    """Return what an event says, for a person: what it is or became, without numbers that only programs need; "" for nothing."""
    if event.kind == "activity":
        return str(event.fields.get("text", ""))
    fields = {name: value for name, value in event.fields.items() if name in _WORTH_TELLING and value not in ("", None, [])}
    return ", ".join(f"{name} {value}" for name, value in fields.items())


def _size(count: float) -> str:
    for unit in ("B", "k", "M", "G"):
        if count < 1000:
            return f"{count:.0f}{unit}"
        count /= 1000
    return f"{count:.1f}T"
