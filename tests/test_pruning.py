"""The history of a farm is kept for so long, and deleted in bounded slices."""

import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from brender.bus.address import Address, ServerAddresses, free_ports
from brender.roles.policy import Policy
from brender.roles.server.loop import Server
from brender.store.database import open_for_writing
from brender.store.datafolder import DataFolder
from brender.store.pruning import SLICE, Pruning
from brender.store.writer import Writer
from tests.rows import new
from tests.tools import until


@pytest.fixture
def writer(database: str) -> Iterator[Writer]:
    """A record on each kind of database."""
    made = Writer(open_for_writing(database))
    yield made
    made.database.close()


def _row(wall: float) -> dict[str, Any]:
    return {"wall": wall, "action": "x", "text": ""}


def _use(writer: Writer, used: list[tuple[str, float]]) -> None:
    stat = writer.tables.Stat
    with writer.database.atomic():
        for start in range(0, len(used), 500):
            rows = [{"node": node, "wall": wall, "seconds": 60.0, "stats": {}} for node, wall in used[start : start + 500]]
            stat.insert_many(rows).execute()


def test_old_activity_and_statistics_are_deleted_in_bounded_slices(writer: Writer) -> None:
    tables, kept = writer.tables, 100.0
    writer.commit([new("activity", number, _row(1.0)) for number in range(1, SLICE + 501)])
    writer.commit([new("activity", SLICE + 501, _row(kept))])
    _use(writer, [*(("worker", 1.0 + second / 1e6) for second in range(SLICE + 500)), ("manager", kept)])
    pruning, left = Pruning(tables, kept, kept), []
    while pruning.step():
        left.append((tables.Activity.select().count(), tables.Stat.select().count()))
    taken = [before[at] - after[at] for before, after in pairwise(left) for at in (0, 1)]
    assert left[0] == (501, SLICE + 501) and max(taken) <= SLICE
    assert [row.wall for row in tables.Activity.select()] == [row.wall for row in tables.Stat.select()] == [kept]


def test_the_newest_activity_stays_since_the_next_one_s_number_follows_it(writer: Writer) -> None:
    writer.commit([new("activity", number, _row(1.0)) for number in (1, 2)])
    Pruning(writer.tables, 100.0, 100.0).step()
    assert [row.id for row in writer.tables.Activity.select()] == [2]


def test_old_activity_and_statistics_are_removed_when_a_server_starts(folder: DataFolder) -> None:
    writer = Writer(open_for_writing(str(folder.make().database)))
    long_ago, now = time.time() - 400 * 86400, time.time()
    writer.commit([new("activity", number, _row(wall)) for number, wall in enumerate((long_ago, long_ago, now), 1)])
    _use(writer, [("w", long_ago), ("w", now)])
    made = Server(folder, ServerAddresses.of(Address("127.0.0.1", free_ports(4))), Policy())
    serving = threading.Thread(target=made.run)
    serving.start()
    try:
        until(lambda: writer.tables.Stat.select().count() == 1)
        until(lambda: not writer.tables.Activity.select().where(writer.tables.Activity.wall == long_ago).exists())
    finally:
        made.stop()
        serving.join(30)
    assert writer.tables.Activity.get_by_id(3).wall == now
    writer.database.close()
