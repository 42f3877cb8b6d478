"""What users and projects have used of the farm, as a forecast of its queue is told of it."""

from brender.model.quotas import HALF_LIFE, HALF_LIFE_SECONDS
from brender.scheduling.forecast_shares import Usage
from brender.store.shares import used_at
from brender.store.tables import Tables


def usage_now(tables: Tables, now: float) -> Usage:
    """Return what users of projects have used of the farm by tasks that ended, as it counts *now*, and their weights."""
    half_life, weights = HALF_LIFE_SECONDS, dict[tuple[str, str], float]()
    for row in tables.Quota.select():
        if (row.kind, row.name) != HALF_LIFE:
            weights[row.kind, row.name] = row.weight
        elif "weight" in (*row.by_command, *row.by_file):
            half_life = row.weight
    return Usage(used_at(tables, half_life, now), weights, half_life)
