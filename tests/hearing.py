"""A farm as a monitor hears it: items without a server."""

from typing import Any

import msgspec

from brender.bus.messages import Event
from brender.model.bus_figures import BusFigures, Link, LinkState, Rounds, packed
from brender.model.nodes import Stats
from brender.monitor.heard import Heard
from brender.monitor.items import Told, answered, told

WALL = 1_800_000_000.0
W1, W2, M1, S1, J1 = "a1" * 8, "a2" * 8, "b1" * 8, "c1" * 8, "d1" * 8


def event(kind: str, key: str, wall: float = WALL, number: int = 0, /, **fields: Any) -> Told:
    return told(Event(change=1, wall=wall, kind=kind, key=key, fields=fields, number=number))


def stats(**more: Any) -> dict[str, Any]:
    given = {"cpu_percent": 50.0, "memory_used": 4 * 10**9, "memory_total": 8 * 10**9}
    return dict(msgspec.structs.asdict(Stats(**(given | more))))


def figures(up: float, sent: int = 0, received: int = 0, state: LinkState = LinkState.CONNECTED, **more: Any) -> BusFigures:
    link = Link(
        name="worker",
        address="10.0.0.1:7777",
        state=state,
        sent={"Renew": sent} if sent else {},
        received={"Grants": received} if received else {},
        bytes_sent=100 * sent,
        bytes_received=200 * received,
        send_limit=1000,
        receive_limit=1000,
    )
    return BusFigures(**({"up": up, "links": (link,), "rounds": Rounds(count=int(up * 10), seconds=up / 100)} | more))


def beat(key: str, sequence: int = 1, kind: str = "worker", /, bus: BusFigures | None = None, **fields: Any) -> Told:
    given: dict[str, Any] = {
        "sequence": sequence,
        "name": key[:2],
        "kind": kind,
        "status": "idle",
        "reason": "",
        "stats": stats(),
    }
    if bus is not None:
        given["bus"] = packed(bus)
    return event("stats", key, WALL + 2 * sequence, **(given | fields))


def job_row(id: str = J1, **fields: Any) -> dict[str, Any]:
    given = {
        "id": id,
        "name": "sh_020",
        "status": "active",
        "priority": 50,
        "part_count": 4,
        "completed_parts": 1,
        "kept_parts": 0,
    }
    given |= {"given_up_parts": 0, "render_seconds": 40.0, "user": "ada", "project": "show", "reason": "", "submitted": WALL}
    return given | {"units": 4, "units_done": 1, "unit": "frame", "job_type": "blender-animation"} | fields


def farm() -> Heard:
    """A farm at the time 10: a server, a manager, a worker that renders frame 2 of sh_020, and one that is disabled."""
    heard = Heard("10.0.0.1:9998")
    heard.take(answered("managers", [{"id": M1, "name": "site", "status": "online", "reason": ""}]), 1.0)
    worker = {"reason": "", "manager": M1, "job": "", "host": "h", "tags": ["cpu"]}
    rows = [
        worker | {"id": W1, "name": "render-01", "status": "busy", "job": J1, "frame": 2, "fraction": 0.25},
        worker | {"id": W2, "name": "render-02", "status": "disabled", "wanted": "disabled", "reason": "it is disabled"},
    ]
    heard.take(answered("workers", rows), 1.0)
    heard.take(answered("jobs", [job_row()]), 1.0)
    parts = [{"id": n, "frame": n, "piece": 0, "status": "completed" if n == 1 else "queued", "worker": ""} for n in range(1, 5)]
    heard.take(answered("frames_by_part", parts, J1), 1.0)
    for sequence, now in ((1, 8.0), (2, 10.0)):
        heard.take(beat(S1, sequence, "server", figures(now, state=LinkState.LISTENING), name="server", status="online"), now)
        heard.take(beat(M1, sequence, "manager", figures(now, 10 * sequence), name="site", status="online"), now)
        heard.take(
            beat(W1, sequence, bus=figures(now, 20 * sequence, 4 * sequence), name="render-01", status="busy", job=J1), now
        )
        heard.take(beat(W2, sequence, name="render-02", status="disabled", reason="it is disabled"), now)
    return heard
