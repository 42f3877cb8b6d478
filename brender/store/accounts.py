"""The question about the accounts: what was done, by user, project, worker or day, out of the sums of each day."""

import re
import time
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from peewee import fn

from brender.model.accounts import BY, day_of
from brender.model.errors import BadInput

if TYPE_CHECKING:
    from brender.store.named import Record

#: Names that the days are told of one by one, those with the most machine hours; all others are one, `None`.
_NAMED_DAILY = 8
_DAYS = 30
_AGO = re.compile(r"([0-9]{1,5})([dwy])")
_DAYS_OF = {"d": 1, "w": 7, "y": 365}
_COUNTS = ("frames", "attempts", "failures")
_SUMS = ("machine_seconds", *_COUNTS, "joules", "metered_seconds")


def accounts(
    record: "Record",
    by: str = "day",
    since: str = "",
    until: str = "",
    user: str = "",
    project: str = "",
    worker: str = "",
    daily: bool = False,
) -> dict[str, Any]:
    """Return what was done from the day *since* to the day *until*: ``rows`` *by* user, project, worker or day, those with the
    most machine hours first (days in their order), and the ``total``; each with its failures by cause. Perhaps only that of one
    *user*, *project* or *worker*. *daily*: also ``days``, the sums of each day by the same names, and ``failures`` of each day
    by cause.

    A day is one of UTC, such as 2026-11-26, or so long ago: 7d, 4w, 1y; ``all``: from the first, or "" for 30 days. Raises
    `BadInput`."""
    if by not in BY:
        raise BadInput(f"Accounts are grouped by {', '.join(BY[:-1])} or {BY[-1]}, not by {by!r}")
    today = day_of(time.time())
    first, last = day_named(since, today, f"{_DAYS - 1}d"), day_named(until, today, today)
    if first > last:
        raise BadInput(f"The accounts since {first} cannot end on {last}: --since comes first")
    tables = record.tables
    wanted = {"user": user, "project": project, "worker": worker}

    def chosen(table: Any) -> Any:
        condition = (table.day >= first) & (table.day <= last)
        for name, value in wanted.items():
            condition &= getattr(table, name) == value if value else True
        return condition

    sums, failures = tables.Account, tables.AccountFailure
    totals = [fn.SUM(getattr(sums, name)).alias(name) for name in _SUMS]
    key, cause_key = getattr(sums, by), getattr(failures, by)
    found = sums.select(key.alias("name"), *totals).where(chosen(sums)).group_by(key).dicts()
    rows = {row["name"]: row | {"causes": {}} for row in found}
    counted = failures.select(cause_key, failures.cause, fn.SUM(failures.failures)).where(chosen(failures))
    total = {"name": "", **{name: sum(row[name] for row in rows.values()) for name in _SUMS}, "causes": {}}
    for name, cause, count in counted.group_by(cause_key, failures.cause).tuples():
        for row in (rows[name], total):
            row["causes"][cause] = row["causes"].get(cause, 0) + int(count)
    ordered = sorted(rows.values(), key=lambda row: row["name"] if by == "day" else (-row["machine_seconds"], row["name"]))
    told: dict[str, Any] = {"by": by, "since": first, "until": last, "rows": ordered, "total": total}
    if daily:
        named = [row["name"] for row in ordered[:_NAMED_DAILY]] if by != "day" else []
        told["days"] = _days(sums, totals, key, chosen(sums), named, by)
        by_cause = failures.select(failures.day, failures.cause, fn.SUM(failures.failures)).where(chosen(failures))
        ordered_causes = by_cause.group_by(failures.day, failures.cause).order_by(failures.day, failures.cause).tuples()
        told["failures"] = [{"day": day, "cause": cause, "failures": int(count)} for day, cause, count in ordered_causes]
    for row in (*ordered, total, *told.get("days", ())):
        row.update({name: int(row[name]) for name in _COUNTS})  # (sums are decimals on PostgreSQL)
    return told


def _days(sums: Any, totals: list[Any], key: Any, chosen: Any, named: list[str], by: str) -> list[dict[str, Any]]:
    """Return the sums of each day by the names in *named*, and of all others together under ``None``."""
    if by == "day":
        rows = sums.select(sums.day, *totals).where(chosen).group_by(sums.day).order_by(sums.day).dicts()
        return [row | {"name": row["day"]} for row in rows]
    own = sums.select(sums.day, key.alias("name"), *totals).where(chosen & key.in_(named)).group_by(sums.day, key)
    others = sums.select(sums.day, *totals).where(chosen & key.not_in(named)).group_by(sums.day)
    found = [*own.dicts(), *({**row, "name": None} for row in others.dicts())]
    return sorted(found, key=lambda row: (row["day"], row["name"] is None, row["name"] or ""))


def day_named(text: str, today: str, otherwise: str) -> str:
    """Return the day that *text* names, such as 2026-11-26, 7d or all; *otherwise* is taken for "". Raises `BadInput`."""
    text = text.strip().lower() or otherwise
    if text == "all":
        return "0000-00-00"
    if text == "today":
        return today
    try:
        if ago := _AGO.fullmatch(text):
            return (date.fromisoformat(today) - timedelta(days=int(ago[1]) * _DAYS_OF[ago[2]])).isoformat()
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            return date.fromisoformat(text).isoformat()
    except (ValueError, OverflowError):
        pass
    raise BadInput(f"{text!r} is not a day: write one such as {today}, or 7d, 4w, 1y for so long ago, or all")
