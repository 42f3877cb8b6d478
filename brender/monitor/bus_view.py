"""The bus as the monitor shows it: each role with its traffic, its links as ZeroMQ has them, its messages by type. Pure."""

from brender.model.bus_figures import Link, LinkState
from brender.model.text import plural
from brender.monitor.filters import Filter
from brender.monitor.heard import Heard, Node
from brender.monitor.rates import Rates, in_all, of_links, of_rounds
from brender.monitor.tables import MEANINGS, Cell, Column, Meaning, Table, clock, milliseconds, rate, size

#: Names by which roles are filtered.
ROLE_NAMES = ("role", "name", "state")
ROLE_COLUMNS = (
    Column("NAME", 12, grows=True),
    Column("ROLE", 7),
    Column("UPWARD", 12),
    Column("ROUND TRIP", 10, rank=1, right=True),
    Column("OUT/s", 5, right=True),
    Column("IN/s", 5, right=True),
    Column("B OUT/s", 7, rank=3, right=True),
    Column("B IN/s", 6, rank=3, right=True),
    Column("WAITING", 7, rank=5, right=True),
    Column("UNSENT", 6, rank=4, right=True),
    Column("DROPPED", 7, rank=6, right=True),
    Column("REFUSED", 7, rank=9, right=True),
    Column("HELD", 5, rank=6, right=True),
    Column("OUTBOX", 6, rank=5, right=True),
    Column("RESENT", 6, rank=7, right=True),
    Column("BEAT", 5, rank=1, right=True),
    Column("MISSED", 6, rank=4, right=True),
    Column("ROUNDS/s", 8, rank=8, right=True),
    Column("BUSY", 5, rank=8, right=True),
    Column("LONGEST", 8, rank=8, right=True),
    Column("COMMITS/s", 9, rank=10, right=True),
    Column("ROWS/s", 6, rank=10, right=True),
)
LINK_COLUMNS = (
    Column("LINK", 20, grows=True),
    Column("STATE", 16),
    Column("ADDRESS", 20, rank=3),
    Column("PEERS", 5, rank=4, right=True),
    Column("OUT/s", 5, right=True),
    Column("IN/s", 5, right=True),
    Column("B OUT/s", 7, rank=2, right=True),
    Column("B IN/s", 6, rank=2, right=True),
    Column("WAITING", 7, rank=5, right=True),
    Column("LIMITS", 11, rank=6, right=True),
    Column("UNSENT", 6, rank=5, right=True),
    Column("DROPPED", 7, rank=5, right=True),
    Column("MADE", 6, rank=7, right=True),
    Column("LOST", 6, rank=7, right=True),
    Column("REFUSED", 7, rank=8, right=True),
    Column("FAILED", 6, rank=8, right=True),
)
TYPE_COLUMNS = (
    Column("MESSAGE", 14, grows=True),
    Column("LINK", 20, rank=1),
    Column("OUT/s", 6, right=True),
    Column("IN/s", 6, right=True),
    Column("SENT", 10, rank=2, right=True),
    Column("RECEIVED", 10, rank=2, right=True),
)
_KINDS = {"server": 0, "manager": 1, "worker": 2}
_STATES_BAD = (LinkState.REFUSED, LinkState.FAILED, LinkState.DISCONNECTED)
_QUIET = frozenset({LinkState.CONNECTED, LinkState.LISTENING})


def upward(heard: Heard, node: Node, now: float) -> tuple[str, Meaning]:
    """Return how the connection of *node* to its parent stands, of a server how it does itself."""
    status = heard.status(node, now)
    if status in ("offline", "silent", "unknown"):
        return status, MEANINGS.get(status, "")
    if node.figures is None:
        return "not told", "dim"
    states = [link.state for link in node.figures.links if link.state is not LinkState.LISTENING]
    worst = next((state for state in (*_STATES_BAD, LinkState.CONNECTING) if state in states), None)
    state = worst or (LinkState.CONNECTED if states else LinkState.LISTENING)
    return state, MEANINGS.get(state, "")


def roles(heard: Heard, now: float, chosen: Filter) -> Table:
    """Return the table of all roles that are there, the server first, then managers and workers."""
    found = []
    for node in heard.nodes.values():
        state, _ = upward(heard, node, now)
        if state == "offline" and not node.has_beaten:
            continue
        if chosen.fits("", {"role": node.kind, "name": node.name, "state": state}):
            found.append(node)
    found.sort(key=lambda node: (_KINDS.get(node.kind, 3), upward(heard, node, now)[1] != "bad", node.name.lower()))
    told = sum(1 for node in heard.nodes.values() if node.figures is not None)
    return Table(
        title=f"{plural(len(found), 'role')}, {told} tell of their part of the bus · {heard.events_a_second(now):,.0f} events/s"
        f"{f', 1 of {heard.sampling} of the details looked at' if heard.sampling > 1 else ''}"
        f"{f' · {heard.lost:,} events left out or lost' if heard.lost else ''}",
        columns=ROLE_COLUMNS,
        keys=[node.id for node in found],
        cells=lambda id: _role_cells(heard, heard.nodes[id], now) if id in heard.nodes else [Cell("")] * len(ROLE_COLUMNS),
        empty="Nothing has been heard of any role yet",
    )


def _role_cells(heard: Heard, node: Node, now: float) -> list[Cell]:
    state, meaning = upward(heard, node, now)
    figures = node.figures
    beat = Cell(clock(now - node.heard_at) if node.has_beaten else "", "bad" if state == "silent" else "dim")
    missed = Cell(str(node.missed or ""), "warn")
    if figures is None:
        return [Cell(node.name), Cell(node.kind), Cell(state, meaning), *[Cell("")] * 12, beat, missed, *[Cell("")] * 5]
    links = of_links(figures, node.before)
    passed, rounds = in_all([rates for _, rates in links]), of_rounds(figures, node.before)
    trips = Cell(milliseconds(figures.round_trip), "warn" if (figures.round_trip or 0.0) > 1.0 else "")
    refused = sum(figures.refusals.values())
    return [
        Cell(node.name),
        Cell(node.kind),
        Cell(state, meaning),
        trips,
        Cell(rate(passed.sent)),
        Cell(rate(passed.received)),
        Cell(rate(passed.bytes_sent)),
        Cell(rate(passed.bytes_received)),
        Cell(str(max((link.waiting for link, _ in links), default=0) or "")),
        Cell(_count(sum(link.unsent for link, _ in links)), "warn"),
        Cell(_count(sum(link.malformed for link, _ in links)), "bad"),
        Cell(_count(refused), "warn"),
        Cell(_count(figures.held)),
        Cell(_count(figures.outbox), "warn" if figures.outbox > 100 else ""),
        Cell(_count(figures.resent), "warn"),
        beat,
        missed,
        Cell(rate(rounds.rounds)),
        Cell(f"{rounds.busy:.0%}" if node.before is not None else "", "warn" if rounds.busy > 0.9 else ""),
        Cell(milliseconds(rounds.longest) if rounds.longest else ""),
        Cell(rate(rounds.commits)),
        Cell(rate(rounds.rows)),
    ]


def links(heard: Heard, id: str) -> Table:
    """Return the table of the links of the role *id*."""
    found = _links(heard, id)
    name = heard.node_name(id) if id in heard.nodes else ""
    return Table(
        title=f"{plural(len(found), 'link')} of {name}" if name else "links",
        columns=LINK_COLUMNS,
        keys=[str(place) for place in range(len(found))],
        cells=lambda place: _link_cells(*found[int(place)]),
        empty="This role does not measure its part of the bus (it is of an older version)" if name else "",
    )


def _links(heard: Heard, id: str) -> list[tuple[Link, Rates]]:
    node = heard.nodes.get(id)
    return of_links(node.figures, node.before) if node is not None and node.figures is not None else []


def _link_cells(link: Link, rates: Rates) -> list[Cell]:
    return [
        Cell(link.name, "" if link.state in _QUIET else "warn"),
        Cell(link.state, MEANINGS.get(link.state, "")),
        Cell(link.address, "dim"),
        Cell(_count(link.peers)),
        Cell(rate(rates.sent)),
        Cell(rate(rates.received)),
        Cell(rate(rates.bytes_sent)),
        Cell(rate(rates.bytes_received)),
        Cell(_count(link.waiting)),
        Cell(f"{size(link.send_limit)}/{size(link.receive_limit)}", "dim"),
        Cell(_count(link.unsent), "warn"),
        Cell(_count(link.malformed), "bad"),
        Cell(_count(link.connected)),
        Cell(_count(link.lost)),
        Cell(_count(link.refused), "bad"),
        Cell(_count(link.failed), "warn"),
    ]


def types(heard: Heard, id: str) -> Table:
    """Return the table of the messages of the role *id*, by type, those that pass most often first; below them what it has
    refused, by door and reason."""
    rows: list[list[Cell]] = []
    passed = []
    for link, rates in _links(heard, id):
        for name in dict.fromkeys((*link.sent, *link.received)):
            out, into = rates.by_type.get(name, (0.0, 0.0))
            passed.append((out + into, link.sent.get(name, 0), link.received.get(name, 0), name, link.name, out, into))
    for _, sent, received, name, link_name, out, into in sorted(passed, key=lambda each: (-each[0], -each[1] - each[2], each[3])):
        rows.append([Cell(name), Cell(link_name, "dim"), *map(Cell, (rate(out), rate(into), _count(sent), _count(received)))])
    node = heard.nodes.get(id)
    for reason, count in (node.figures.refusals if node is not None and node.figures is not None else {}).items():
        rows.append([Cell(f"refused: {reason}", "warn"), *[Cell("")] * 4, Cell(_count(count), "warn")])
    return Table(
        title="messages by type",
        columns=TYPE_COLUMNS,
        keys=[str(place) for place in range(len(rows))],
        cells=lambda place: rows[int(place)],
        empty="No message has passed yet" if id else "",
    )


def _count(count: int) -> str:
    return f"{count:,}" if 0 < count < 100_000 else size(count) if count else ""
