"""How a job stands and why, in a sentence or two, from its row and what the scheduler says of it. Pure."""

from collections.abc import Mapping
from typing import Any

from brender.model.obstacle import short_name
from brender.model.status import waits_for_busy
from brender.model.text import job_in_words, plural, short_id, some_of
from brender.model.units import Units


def because(status: str, reason: str) -> str:
    """Return the *status* of a job or task with the *reason* for it, which may begin with it.

    >>> because("canceled", "canceled by ann"), because("failed", "the disk is full"), because("active", "")
    ('canceled by ann', 'failed: the disk is full', 'active')
    """
    if not reason or reason == status:
        return status
    return reason if reason.startswith(f"{status} ") else f"{status}: {reason}"


def waiting(who: str, reason: str) -> str:
    """Return that *who* waits, for this *reason*, a sentence that may begin with that word.

    >>> waiting("It", "Waits for frames of shot"), waiting("It", "No worker is connected")
    ('It waits for frames of shot', 'It waits. No worker is connected')
    """
    return f"{who} w{reason[1:]}" if reason.startswith("Waits ") else f"{who} waits. {reason}"


def standing(record: Mapping[str, Any], queued: str = "") -> str:
    """Return how the job of *record* stands and why, with the command that changes it where there is one. *queued*: why the
    scheduler gives out none of its queued tasks now, "" if nothing hinders it."""
    called, id = job_in_words(record["id"], record["name"]), short_id(record["id"])
    reason, status = str(record["reason"]).rstrip("."), record["status"]
    done = Units.of_row(record).clause
    if status == "failed":
        more = f"`brender log {id}` prints the log of what failed, `brender requeue {id}` renders it again"
        return f"{called} failed: {reason or 'it is not said why'}. {more}"
    if status == "paused":
        return f"{called} is paused, {done}. `brender resume {id}` goes on"
    if status not in ("queued", "active"):
        return f"{called} is {because(status, reason)}"
    gave_way = f". {record['gave_way']}" if record.get("gave_way") else ""
    if names := sorted({at["name"] for at in record["rendering"]}):
        most = (record.get("sharing") or {}).get("most_workers", 0)
        stuck = "".join(f". {short_name(at['name'])} {at['reason']}" for at in record.get("stuck", ())[:1])
        limited = f". It has {plural(most, 'worker')} at most (`--most-workers`)" if most and len(names) >= most else ""
        if queued and not waits_for_busy(queued):  # (while it renders, others are busy too)
            limited = f". The rest waits. {queued.rstrip('.')}"
        return f"{called} renders on {some_of(names)}: {done}{limited}{stuck}{gave_way}"
    waits = waiting(called, reason) if reason else f"{called} has its turn in a moment: {done}"
    return waits + gave_way


def waits_for_its_turn(record: Mapping[str, Any]) -> bool:
    """Return whether the job of *record* waits only since the workers that can run it render other jobs."""
    return record["status"] in ("queued", "active") and not record["rendering"] and waits_for_busy(str(record["reason"]))
