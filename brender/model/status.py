"""The statuses of things and every change between them that is allowed, one table each.

Code, screen and docs all take these words from here. A change that is not in its table is an error, not a shrug.
"""

from enum import StrEnum
from typing import TypeVar

from brender.model.errors import IllegalTransition


class JobStatus(StrEnum):
    QUEUED = "queued"
    ACTIVE = "active"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"


class TaskStatus(StrEnum):
    WAITING = "waiting"
    QUEUED = "queued"
    ACTIVE = "active"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"


class PartStatus(StrEnum):
    QUEUED = "queued"
    ACTIVE = "active"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"


class Outcome(StrEnum):
    """How an attempt stands; ``live`` until it has ended."""

    LIVE = "live"
    COMPLETED = "completed"
    FAILED = "failed"
    LOST = "lost"
    CANCELED = "canceled"
    SUPERSEDED = "superseded"
    RECALLED = "recalled"


class WorkerStatus(StrEnum):
    IDLE = "idle"
    BUSY = "busy"
    DRAINING = "draining"
    DISABLED = "disabled"
    PAUSED = "paused"
    """It takes nothing for a while, and goes on by itself: its owner uses it, it is outside its hours, or is being woken."""
    FALLING_ASLEEP = "falling asleep"
    """It is being put to sleep, and there still."""
    OFFLINE = "offline"
    ERROR = "error"
    ASLEEP = "asleep"
    """It was put to sleep, and can be woken. In the record it is offline: it is not there."""


class ManagerStatus(StrEnum):
    ONLINE = "online"
    DRAINING = "draining"
    DISABLED = "disabled"
    OFFLINE = "offline"


class Wanted(StrEnum):
    """What people want of a worker or manager, beyond that it works."""

    DISABLED = "disabled"
    """It takes nothing new, and stays."""
    DRAINED = "drained"
    """It finishes what runs, and leaves."""
    RESTARTED = "restarted"
    """It finishes what runs, and starts again."""
    FORGOTTEN = "forgotten"
    """It is away for good, and no list names it, until it joins again."""
    FORGOTTEN_DISABLED = "forgotten, disabled"
    """The same, and it takes nothing new once it joins again."""


#: What is wanted of a node that no list names.
UNLISTED = (Wanted.FORGOTTEN, Wanted.FORGOTTEN_DISABLED)


S = TypeVar("S", bound=StrEnum)
Table = dict[S, frozenset[S]]

_J, _T, _P, _O = JobStatus, TaskStatus, PartStatus, Outcome

JOB_TRANSITIONS: Table[JobStatus] = {
    _J.QUEUED: frozenset({_J.ACTIVE, _J.PAUSED, _J.COMPLETED, _J.FAILED, _J.CANCELED}),
    _J.ACTIVE: frozenset({_J.QUEUED, _J.PAUSED, _J.COMPLETED, _J.FAILED, _J.CANCELED}),
    _J.PAUSED: frozenset({_J.QUEUED, _J.ACTIVE, _J.COMPLETED, _J.FAILED, _J.CANCELED}),
    # What has ended starts again only when somebody requeues it.
    _J.COMPLETED: frozenset({_J.QUEUED}),
    _J.FAILED: frozenset({_J.QUEUED}),
    _J.CANCELED: frozenset({_J.QUEUED}),
}

TASK_TRANSITIONS: Table[TaskStatus] = {
    _T.WAITING: frozenset({_T.QUEUED, _T.CANCELED}),
    # Queued to completed: requeued after it was canceled, when every part of it had been done already.
    _T.QUEUED: frozenset({_T.ACTIVE, _T.COMPLETED, _T.FAILED, _T.CANCELED}),
    _T.ACTIVE: frozenset({_T.QUEUED, _T.COMPLETED, _T.FAILED, _T.CANCELED}),
    _T.COMPLETED: frozenset({_T.QUEUED}),
    _T.FAILED: frozenset({_T.QUEUED}),
    _T.CANCELED: frozenset({_T.QUEUED}),
}

PART_TRANSITIONS: Table[PartStatus] = {
    _P.QUEUED: frozenset({_P.ACTIVE, _P.FAILED, _P.CANCELED}),
    _P.ACTIVE: frozenset({_P.QUEUED, _P.COMPLETED, _P.FAILED, _P.CANCELED}),
    _P.COMPLETED: frozenset({_P.QUEUED}),
    _P.FAILED: frozenset({_P.QUEUED}),
    _P.CANCELED: frozenset({_P.QUEUED}),
}

OUTCOMES: Table[Outcome] = {
    _O.LIVE: frozenset(set(_O) - {_O.LIVE}),
    **{ended: frozenset() for ended in _O if ended is not _O.LIVE},
}

#: What people read of a task that a worker has and has not begun; its status is ``active``.
HANDED_OUT = "handed out"
ENDED_JOB = frozenset({_J.COMPLETED, _J.FAILED, _J.CANCELED})
#: Those of jobs that can be given out.
#: Workers that take tasks.
OPEN_WORKER = frozenset({WorkerStatus.IDLE, WorkerStatus.BUSY})
OPEN_JOB = frozenset({_J.QUEUED, _J.ACTIVE})
ENDED_TASK = frozenset({_T.COMPLETED, _T.FAILED, _T.CANCELED})
#: How the reason ends for which a job waits, where that passes by itself: nobody has to do anything.
ENDS_OF_WAITING = (" is busy", " are busy", ", which takes some seconds", " a moment ago")
#: What may follow such an end, before the names of jobs.
RENDERING = ", rendering "


def waits_for_busy(reason: str) -> bool:
    """Return whether *reason*, for which a job waits, is only that the workers that can run it are busy."""
    return reason.partition(RENDERING)[0].endswith(ENDS_OF_WAITING[:2])


def change(table: Table[S], kind: str, id: int | str, old: S, new: S) -> S:
    """Return *new*, if *table* allows it after *old*; the same status again is not a change and always allowed.

    *kind* and *id* name what would change, for the error. Raises `IllegalTransition`.
    """
    if new is not old and new not in table[old]:
        allowed = ", ".join(sorted(table[old])) or "nothing"
        raise IllegalTransition(f"{kind} {id} cannot go from {old} to {new}; allowed: {allowed}")
    return new
