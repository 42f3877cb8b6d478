"""What people read of the fair share: who has used what of the farm, and with which weights."""

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil
from typing import Any

from peewee import SQL, fn

from brender.model.quotas import HALF_LIFE, HALF_LIFE_SECONDS, QuotaKind
from brender.model.status import JobStatus
from brender.store.tables import ATTEMPT_LIVE, Tables

_MOST_HALF_LIVES = 500


def limits(tables: Tables, user: str = "") -> list[dict[str, Any]]:
    """Return each limit: its ``kind`` (project, user or licence) and ``name``, how many tasks may be out at a time (``most``),
    how many are (``live``), and who said so (``said_by``: command or file; ``in_file``: what the settings file says).

    *user*: of users only this one's ("": all)."""
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
        if row.kind != QuotaKind.FARM and not (row.kind == QuotaKind.USER and user not in ("", row.name))
    ]


def shares(tables: Tables, user: str = "") -> dict[str, Any]:
    """Return how the farm is shared now: the ``half_life`` in seconds, ``projects``, ``users`` of each, ``weights``, and
    the highest ``priority`` of jobs that have work (``None`` if no job has any).

    Of each project and user: the ``seconds`` of machine that they have used, as they count now; how many tasks they have out
    (``live``), how many of these are ``running``, and how many are ``waiting`` that could run. Of those that have any: the
    part that is ``due`` to them by their weights, of the farm or of their project, and the part that they ``had``, among those
    that have any too; ``None`` of the others. Those who have used most come first. ``of_farm`` and ``of_project``: a user's
    part of all that was used.

    *user*: only they are named ("": all are), with the projects that they have used or have tasks in, each as a whole.
    """
    now = time.time()
    quotas = {(row.kind, row.name): row for row in tables.Quota.select()}
    said = {key: row for key, row in quotas.items() if "weight" in (*row.by_command, *row.by_file)}
    half_life = said[HALF_LIFE].weight if HALF_LIFE in said else HALF_LIFE_SECONDS
    at_work, priority = _at_work(tables, now)
    used = used_at(tables, half_life, now)
    weighed = [name for kind, name in said if kind == QuotaKind.USER and not any(each == name for _, each in used)]
    for who in [*(("", name) for name in weighed), *at_work]:
        used[who] = used.get(who, 0.0) + (at_work[who].seconds if who in at_work else 0.0)

    def weight(kind: QuotaKind, name: str) -> float:
        row = quotas.get((kind, name))
        return row.weight if row is not None else 1.0

    members: dict[str, list[_Member]] = {}
    for (project, member), seconds in used.items():
        mine = _Member(member, weight(QuotaKind.USER, member), seconds, at_work.get((project, member), _Work()))
        members.setdefault(project, []).append(mine)
    whole = [
        _Member(name, weight(QuotaKind.PROJECT, name), sum(each.seconds for each in own), _sum_of([each.work for each in own]))
        for name, own in members.items()
    ]
    total = sum(each.seconds for each in whole)
    users = [
        row
        | {
            "project": project.name,
            "project_weight": project.weight,
            "user_weight": row["weight"],
            "of_farm": row["seconds"] / total if total else 0.0,
            "of_project": row["seconds"] / project.seconds if project.seconds else 0.0,
        }
        for project in whole
        for row in _rows("user", members[project.name])
        if user in ("", row["user"])
    ]
    projects = _rows("project", [each for each in whole if each.name])  # (users who only have a weight are in none)
    if user:
        own = {row["project"] for row in users}
        projects = [row for row in projects if row["project"] in own]
        named = {(QuotaKind.USER, user), HALF_LIFE, *((QuotaKind.PROJECT, project) for project in own)}
        said = {key: row for key, row in said.items() if key in named}
    weights = [
        {"kind": kind, "name": name, "weight": row.weight, **_said(row, "weight")} for (kind, name), row in sorted(said.items())
    ]
    return {
        "half_life": half_life,
        "priority": priority,
        "projects": projects,
        "users": sorted(users, key=lambda row: (-row["seconds"], row["project"], row["user"])),
        "weights": weights,
    }


@dataclass
class _Work:
    """Tasks that are ``live`` and ``waiting``; ``seconds``: for how long those that are ``running`` have run together."""

    live: int = 0
    running: int = 0
    waiting: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class _Member:
    """A project, or a user of one, among those that share."""

    name: str
    weight: float
    seconds: float
    work: _Work

    @property
    def wants(self) -> bool:
        """Whether there is anything to share with it."""
        return bool(self.work.live or self.work.waiting)


def _sum_of(works: Iterable[_Work]) -> _Work:
    """Return what all of *works* are together."""
    whole = _Work()
    for each in works:
        whole = _Work(
            whole.live + each.live,
            whole.running + each.running,
            whole.waiting + each.waiting,
            whole.seconds + each.seconds,
        )
    return whole


def _rows(kind: str, members: Iterable[_Member]) -> list[dict[str, Any]]:
    """Return a row for each of *members*, which share among themselves; those who have used most come first."""
    ordered = sorted(members, key=lambda each: (-each.seconds, each.name))
    weights = sum(each.weight for each in ordered if each.wants)
    seconds = sum(each.seconds for each in ordered if each.wants)
    return [
        {
            kind: each.name,
            "weight": each.weight,
            "seconds": each.seconds,
            "live": each.work.live,
            "running": each.work.running,
            "waiting": each.work.waiting,
            "due": each.weight / weights if each.wants else None,
            "had": (each.seconds / seconds if seconds else 0.0) if each.wants else None,
        }
        for each in ordered
    ]


def used_at(tables: Tables, half_life: float, now: float) -> dict[tuple[str, str], float]:
    """Return the seconds of machine that each user of each project has used by tasks that ended, as they count *now*."""
    rows = list(tables.Usage.select())
    newest = max((row.wall for row in rows), default=0.0)
    # So that what is long ago is not lost from count: who had which part of it is still to be seen.
    passed = min(max(0.0, now - newest), _MOST_HALF_LIVES * half_life)
    return {(row.project, row.user): row.seconds * 2.0 ** (-(newest - row.wall + passed) / half_life) for row in rows}


def _at_work(tables: Tables, now: float) -> tuple[dict[tuple[str, str], _Work], int | None]:
    """Return the tasks that users of projects have out, and those that wait and could run; and the highest priority of open
    jobs."""
    attempt, job = tables.Attempt, tables.Job
    counted = (
        job.select(job.project, job.user, fn.COUNT(attempt.id), fn.COUNT(attempt.started), fn.SUM(now - attempt.started))
        .join(attempt, on=(attempt.job == job.id))
        .where(SQL(f"t2.{ATTEMPT_LIVE}"))
        .group_by(job.project, job.user)
    )
    found = {
        (project, user): _Work(live, running, 0, max(0.0, float(seconds or 0.0)))
        for project, user, live, running, seconds in counted.tuples()
    }
    highest: int | None = None
    columns = (job.priority, job.project, job.user, job.task_count, job.part_count, job.completed_parts, job.given_up_parts)
    open_jobs = job.select(*columns).where(job.status.in_([JobStatus.QUEUED, JobStatus.ACTIVE]) & (job.waiting_for == ""))
    for priority, project, user, tasks, parts, completed, given_up in open_jobs.tuples():
        highest = priority if highest is None else max(highest, priority)
        work = found.setdefault((project, user), _Work())
        work.waiting += ceil(tasks * max(0, parts - completed - given_up) / max(1, parts))
    for work in found.values():
        work.waiting = max(0, work.waiting - work.running)
    return found, highest


def _said(row: Any, field: str) -> dict[str, Any]:
    """Return who said what a quota has for *field*, and what the settings file says; "" and ``None`` for nobody and nothing."""
    said_by = "command" if field in row.by_command else "file" if field in row.by_file else ""
    return {"said_by": said_by, "in_file": row.by_file.get(field)}
