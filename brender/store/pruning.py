"""Removing old rows of the farm's history: statistics and activity, a bounded slice at a time, so that the server's loop is never
held up by it."""

from peewee import fn

from brender.store.tables import Tables

#: Rows that one slice deletes at most, of each table.
SLICE = 1000
#: Nodes whose statistics one slice looks through at most.
_NODES = 50


class Pruning:
    """One pass over the history in *tables*: it deletes statistics from before ``stats_before`` and activity from before
    ``activity_before``, both in seconds since the epoch. Call `step` until it returns False."""

    def __init__(self, tables: Tables, stats_before: float, activity_before: float) -> None:
        self._tables = tables
        self._stats_before = stats_before
        self._activity_before = activity_before
        self._node = ""
        self._activity_left = self._stats_left = True

    def step(self) -> bool:
        """Delete one slice, in one transaction. Return whether there may be more. Raises peewee's `OperationalError`."""
        with self._tables.Activity._meta.database.atomic():
            if self._activity_left:
                self._activity_left = self._prune_activity() == SLICE
            elif self._stats_left:
                self._stats_left = self._prune_stats()
        return self._activity_left or self._stats_left

    def _prune_activity(self) -> int:
        """Delete the oldest rows. Return how many."""
        row = self._tables.Activity
        # Ids grow with time, so the old rows are the first ones: no scan of the whole table, which has no index on the time.
        # The newest row stays, whatever its age: the next id follows it.
        newest = row.select(fn.MAX(row.id)).scalar()
        first = row.select(row.id, row.wall).order_by(row.id).limit(SLICE).tuples()
        old = [id for id, wall in first if wall < self._activity_before and id != newest]
        return int(row.delete().where(row.id.in_(old)).execute()) if old else 0

    def _prune_stats(self) -> bool:
        """Delete rows of the next few nodes. Return whether there may be more."""
        stat = self._tables.Stat
        left = SLICE
        for _ in range(_NODES):
            node = stat.select(fn.MIN(stat.node)).where(stat.node > self._node).scalar()
            if node is None:
                return False
            fits = (stat.node == node) & (stat.wall < self._stats_before)
            oldest = stat.select(stat.wall).where(fits).order_by(stat.wall).limit(left)
            left -= int(stat.delete().where((stat.node == node) & stat.wall.in_(oldest)).execute())
            if left <= 0:
                return True  # this node may have more
            self._node = node
        return True
