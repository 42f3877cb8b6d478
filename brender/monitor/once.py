"""A snapshot of what a monitor shows, as text or as plain data; and the events as a stream of JSON. No screen."""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import click
import msgspec

from brender.bus.messages import Event
from brender.model.bus_figures import unpacked
from brender.model.errors import NotFound, Unreachable
from brender.model.text import harmless
from brender.monitor import bus_view, farm_view, tail_view
from brender.monitor.filters import Filter
from brender.monitor.heard import CUT_OFF_SECONDS, Heard, Node
from brender.monitor.rates import in_all, of_links, of_rounds
from brender.monitor.session import LiveSession, Session

#: Seconds after which a snapshot is taken at the latest, and how long two heartbeats of every node take: rates need two.
_MOST_SECONDS, _BEATS_SECONDS = 8.0, 4.6
_LOOK_SECONDS = 0.1
_LINES = 20
#: Seconds without a word after which a stream says so.
_QUIET_SECONDS = 10.0
NOTHING_HEARD = (
    "Nothing is heard from {source}, where the farm's server should be. Check that it runs (`brender farm` or `brender-server` "
    "on its machine), or name another with --server"
)


def settle(session: Session, sleep: Callable[[float], None] = time.sleep) -> None:
    """Let *session* hear until a snapshot says enough. Raises `Unreachable` where nothing is heard."""
    while (now := session.now()) < _MOST_SECONDS:
        session.step(_LOOK_SECONDS)
        heard = session.heard
        if session.player is not None:
            session.player.seek(session.player.lasts)
            session.step(0.0)
            return
        there = [node for node in heard.nodes.values() if node.fields.get("status") != "offline"]
        if there and now >= _BEATS_SECONDS and all(node.before is not None or not node.has_beaten for node in there):
            return
        if not heard.is_linked and not heard.count and now > CUT_OFF_SECONDS + 1.0:
            break
        sleep(_LOOK_SECONDS)
    if not session.heard.count and not session.heard.nodes:
        if session.heard.why_cut:
            raise Unreachable(f"{session.heard.why_cut} ({session.heard.source})")
        raise Unreachable(NOTHING_HEARD.format(source=session.heard.source))


def node_named(heard: Heard, name: str) -> Node:
    """Return the worker or manager of that *name*, or whose id begins so. Raises `NotFound`."""
    named = [node for node in heard.nodes.values() if node.name == name]
    named += [node for node in heard.nodes.values() if node.id.startswith(name) and node not in named]
    there = [node for node in named if node.fields.get("status") != "offline"] or named
    if not there:
        raise NotFound(f"There is no worker or manager {name!r}. `brender workers` and `brender managers` list them")
    return there[0]


def as_text(heard: Heard, now: float, width: int, at: str = "") -> str:
    """Return a snapshot in lines of at most *width* cells: the farm, the bus, the last messages; or what there is of the worker
    or manager *at*. Raises `NotFound`."""
    parts: list[list[str]] = []
    if (silence := heard.silence(now)) is not None:
        parts.append([silence])
    if at:
        node = node_named(heard, at)
        reason = farm_view.reason_of(heard, node, now)
        parts.append([f"{node.kind} {node.name}: {heard.status(node, now)}{f', {reason}' if reason else ''}"])
        table = farm_view.workers(heard, now, Filter())
        if node.kind == "worker":
            fitted = table.fitted(width)
            parts.append([table.head(fitted).rstrip(), " ".join(cell.text for cell in table.row(node.id, fitted)).rstrip()])
        parts += [bus_view.links(heard, node.id).lines(width), bus_view.types(heard, node.id).lines(width)]
        chosen = Filter(words=(node.name.lower(),))
    else:
        parts += [farm_view.workers(heard, now, Filter()).lines(width), farm_view.jobs(heard, now, Filter()).lines(width)]
        parts.append(bus_view.roles(heard, now, Filter()).lines(width))
        chosen = Filter(level="info")
    tail = tail_view.tail(heard, chosen)
    fitted = tail.fitted(width)
    parts.append([tail.title, *(" ".join(cell.text for cell in tail.row(key, fitted)).rstrip() for key in tail.keys[-_LINES:])])
    return "\n\n".join("\n".join(map(harmless, part)) for part in parts)


def as_data(heard: Heard, now: float, at: str = "") -> dict[str, Any]:
    """Return a snapshot as plain data. Raises `NotFound`."""
    nodes = [node_named(heard, at)] if at else list(heard.nodes.values())
    shown: list[dict[str, Any]] = []
    for node in nodes:
        facts: dict[str, Any] = {"id": node.id, "kind": node.kind, "state": heard.status(node, now), **node.fields}
        if node.has_beaten:
            facts |= {"heartbeat_age": round(now - node.heard_at, 1), "heartbeats_missed": node.missed}
        if node.figures is not None:
            links = of_links(node.figures, node.before)
            facts["bus"] = msgspec.to_builtins(node.figures)
            facts["rates"] = {
                "total": msgspec.to_builtins(in_all([rates for _, rates in links])),
                "links": {link.name: msgspec.to_builtins(rates) for link, rates in links},
                "rounds": msgspec.to_builtins(of_rounds(node.figures, node.before)),
            }
        shown.append(facts)
    wall, busy = heard.wall(now), farm_view.busy_workers(heard)
    jobs = [
        {
            "id": job.id,
            **job.fields,
            "workers": busy[job.id],
            "frames_an_hour": farm_view.frames_an_hour(job, wall),
            "seconds_left": farm_view.seconds_left(job, busy[job.id], wall),
        }
        for job in heard.jobs.values()
        if job.status
    ]
    return {
        "source": heard.source,
        "wall": wall,
        "silent_seconds": heard.silent(now),
        "events_heard": heard.count,
        "events_lost": heard.lost,
        "nodes": shown,
        "jobs": [] if at else jobs,
    }


def plain(event: Event) -> dict[str, Any]:
    """Return *event* as plain data, with what roles tell of the bus unpacked."""
    told: dict[str, Any] = msgspec.to_builtins(event)
    if isinstance(bus := event.fields.get("bus"), bytes):
        told["fields"]["bus"] = msgspec.to_builtins(unpacked(bus))
    return told


def print_events(session: LiveSession, ended: Callable[[], bool], sleep: Callable[[float], None] = time.sleep) -> None:
    """Print each event as a line of JSON as it comes, until it *ended*; beside them, say when the server is silent, and when it
    is heard again. Raises `BrenderError` where it does not let this monitor listen."""
    said, quiet_since = False, session.now()
    while not ended():
        session.step(_LOOK_SECONDS)
        heard, now = session.heard, session.now()
        silence = heard.silence(now) if heard.count else None
        if silence is not None and not said:
            click.echo(harmless(silence), err=True)
        elif silence is None and said:
            click.echo("The server answers again", err=True)
        said = silence is not None
        if not heard.count and now - quiet_since > _QUIET_SECONDS:
            quiet_since = now
            click.echo(harmless(f"Nothing has been heard from {heard.source} yet. Is the server running there?"), err=True)
        for event in session.feed.events():
            sys.stdout.write(json.dumps(plain(event)) + "\n")
        sys.stdout.flush()
        sleep(_LOOK_SECONDS)
