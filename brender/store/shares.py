"""What people read of the fair share: who has used what of the farm, and with which weights."""

import time
from collections import Counter
from typing import Any

from peewee import SQL, fn

from brender.model.quotas import HALF_LIFE, HALF_LIFE_SECONDS, QuotaKind
from brender.store.tables import ATTEMPT_LIVE, Tables


def limits(tables: Tables) -> list[dict[str, Any]]:
    """Return each limit: its ``kind`` (project, user or licence) and ``name``, how many tasks may be out at a time (``most``),
    how many are (``live``), and who said so (``said_by``: command or file; ``in_file``: what the settings file says)."""
    attempt, job = tables.Attempt, tables.Job
    counted = (
        job.select(job.project, job.user, job.sharing, fn.COUNT(attempt.id))
        .join(attempt, on=(attempt.job == job.id))
        .where(SQL(f"t2.{ATTEMPT_LIVE}"))
        .group_by(job.project, job.user, job.sharing)
    )
    live: Counter[tuple[str, str]] = Counter()
    for project, user, sharing, count in counted.tuples():
        for key in (("project", project), ("user", user), *(("licence", each) for each in sharing.get("licences", ()))):
            live[key] += count
    quota = tables.Quota
    rows = quota.select().where(quota.most.is_null(False)).order_by(quota.kind, quota.name)
    return [
        {"kind": row.kind, "name": row.name, "most": row.most, "live": live[row.kind, row.name], **_said(row, "most")}
        for row in rows
        if row.kind != QuotaKind.FARM
    ]


def shares(tables: Tables) -> dict[str, Any]:
    """Return the ``half_life`` in seconds, and ``users``: of each user of each project the seconds of machine that they have
    used, as they count now, how many tasks they have out, their weights, and their part of all that was used (``of_farm``) and
    of what their project has used (``of_project``); those who have used most come first."""
    quotas = {(row.kind, row.name): row for row in tables.Quota.select()}
    said = {key: row for key, row in quotas.items() if "weight" in (*row.by_command, *row.by_file)}
    half_life = said[HALF_LIFE].weight if HALF_LIFE in said else HALF_LIFE_SECONDS
    attempt, job = tables.Attempt, tables.Job
    counted = (
        job.select(job.project, job.user, fn.COUNT(attempt.id))
        .join(attempt, on=(attempt.job == job.id))
        .where(SQL(f"t2.{ATTEMPT_LIVE}"))
        .group_by(job.project, job.user)
    )
    live = {(project, user): count for project, user, count in counted.tuples()}
    rows = list(tables.Usage.select())
    newest = max((row.wall for row in rows), default=0.0)
    since = 2.0 ** (-max(0.0, time.time() - newest) / half_life)
    used = {(row.project, row.user): row.seconds * 2.0 ** ((row.wall - newest) / half_life) for row in rows}
    weighed = [name for kind, name in said if kind == QuotaKind.USER and not any(user == name for _, user in used)]
    used |= {("", name): 0.0 for name in weighed}
    used |= dict.fromkeys(live.keys() - used.keys(), 0.0)
    of_project: dict[str, float] = {}
    for (project, _), seconds in used.items():
        of_project[project] = of_project.get(project, 0.0) + seconds
    total = sum(used.values())

    def weight(kind: QuotaKind, name: str) -> float:
        row = quotas.get((kind, name))
        return row.weight if row is not None else 1.0

    users = [
        {
            "project": project,
            "user": user,
            "seconds": seconds * since,
            "live": live.get((project, user), 0),
            "project_weight": weight(QuotaKind.PROJECT, project),
            "user_weight": weight(QuotaKind.USER, user),
            "of_farm": seconds / total if total else 0.0,
            "of_project": seconds / of_project[project] if of_project[project] else 0.0,
        }
        for (project, user), seconds in sorted(used.items(), key=lambda each: (-each[1], each[0]))
    ]
    weights = [
        {"kind": kind, "name": name, "weight": row.weight, **_said(row, "weight")} for (kind, name), row in sorted(said.items())
    ]
    return {"half_life": half_life, "users": users, "weights": weights}


def _said(row: Any, field: str) -> dict[str, Any]:
    """Return who said what a quota has for *field*, and what the settings file says; "" and ``None`` for nobody and nothing."""
    said_by = "command" if field in row.by_command else "file" if field in row.by_file else ""
    return {"said_by": said_by, "in_file": row.by_file.get(field)}
