"""The farm, one aggregate: its unfinished jobs, the tasks near their turn, the live attempts, the nodes, and who may what.

Everything here can be read again from the record, which is a projection of it (`brender.farm.record`). Pure.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from brender.farm.awaited import Awaited
from brender.farm.jobs import JobState
from brender.farm.joining import Joining
from brender.farm.nodes import ManagerState, WorkerState
from brender.farm.record import Entity, Ledger
from brender.farm.streaks import Streaks
from brender.farm.tasks import AttemptState, TaskState
from brender.farm.totals import Totals
from brender.farm.usage import Usages
from brender.model.addon import AddOn
from brender.model.device_sign_in import DeviceSignIn
from brender.model.hooks import EVENTS, Happening, Hook
from brender.model.keys import Principal, Token
from brender.model.paths import PathVariable
from brender.model.people import Role
from brender.model.power import Sleeper
from brender.model.schedule import Span
from brender.model.status import PartStatus, Wanted
from brender.scheduling.terms import UNKNOWN_SECONDS

E = TypeVar("E", bound=Entity)
#: How many of the managers that joined last are named where none runs.
REMEMBERED_MANAGERS = 3


@dataclass
class Farm:
    """All that the server knows."""

    jobs: dict[str, JobState] = field(default_factory=dict)
    tasks: dict[int, TaskState] = field(default_factory=dict)
    attempts: dict[str, AttemptState] = field(default_factory=dict)
    workers: dict[str, WorkerState] = field(default_factory=dict)
    """Those that are there."""
    managers: dict[str, ManagerState] = field(default_factory=dict)
    joining: Joining = field(default_factory=Joining)
    last_managers: dict[str, ManagerState] = field(default_factory=dict)
    """The few that joined last, by id, the newest last; they may be there no more. See `remember`."""
    owners: dict[tuple[str, str], str] = field(default_factory=dict)
    """(output folder, name pattern) → the unfinished job that owns it."""
    deleting: dict[str, tuple[str, str]] = field(default_factory=dict)
    """By job whose files are being deleted, its output folder and name pattern ("": any name)."""
    wanted: dict[str, Wanted] = field(default_factory=dict)
    """What people want of workers and managers, those that are away too."""
    keys: dict[str, Principal] = field(default_factory=dict)
    """Those that are admitted."""
    tokens: dict[str, Token] = field(default_factory=dict)
    extra_tags: dict[str, frozenset[str]] = field(default_factory=dict)
    """Tags that people gave workers."""
    schedules: dict[str, tuple[Span, ...]] = field(default_factory=dict)
    """When workers sleep."""
    paused: dict[str, float] = field(default_factory=dict)
    """Workers that were given back to their owners, and until when (seconds since the epoch)."""
    asleep: dict[str, str] = field(default_factory=dict)
    """Those that do so now, and until what o'clock."""
    sleepers: dict[str, Sleeper] = field(default_factory=dict)
    """The workers that are put to sleep, sleep, or are woken, by their ids. Those that sleep are not there."""
    users: dict[str, Role] = field(default_factory=dict)
    disabled_users: set[str] = field(default_factory=set)
    paths: tuple[PathVariable, ...] = ()
    """What path variables mean."""
    addons: dict[str, AddOn] = field(default_factory=dict)
    """The add-ons that every job gets which is accepted, by module."""
    broken: dict[str, str] = field(default_factory=dict)
    """Jobs whose job type is not there or raised when they were read, and what it said."""
    changed: set[str] = field(default_factory=set)
    """Workers that came, went or changed since the scheduler was last told."""
    unanswered: dict[str, None] = field(default_factory=dict)
    """Live attempts whose worker may owe an answer: to a grant, a recall or a cancel."""
    changed_jobs: set[str] = field(default_factory=set)
    granted: set[str] = field(default_factory=set)
    """Workers that were given tasks, which the scheduler noted itself: their rows are not true yet."""
    granted_jobs: set[str] = field(default_factory=set)
    """The same of jobs: more of their tasks may have to be planned."""
    to_foresee: dict[str, None] = field(default_factory=dict)
    """Jobs of which it is to be kept when they are expected to be done."""
    """Jobs that came, went or changed since the scheduler was last told."""
    awaited: dict[str, Awaited] = field(default_factory=dict)
    """Jobs that unfinished jobs wait for, by their ids."""
    waiting: set[str] = field(default_factory=set)
    """Unfinished jobs that wait for others, for a time or for the night, or did."""
    waits_changed: set[str] = field(default_factory=set)
    """Those of which that may be otherwise now."""
    next_task: int = 1
    next_part: int = 1
    next_activity: int = 1
    next_order: int = 1
    api_tokens: dict[str, str] = field(default_factory=dict)
    """The users of the API's tokens."""
    token_days: dict[str, float] = field(default_factory=dict)
    """For how many days a use renews a token: of those that were made by a code."""
    device_sign_ins: dict[str, DeviceSignIn] = field(default_factory=dict)
    """Programs that wait to be let in, and did of late, by the digests of their codes."""
    subscriptions: dict[str, str] = field(default_factory=dict)
    """The users of subscriptions."""
    hooks: dict[str, Hook] = field(default_factory=dict)
    """Those subscriptions that the server itself tells: web addresses and programs."""
    hooks_waiting: Counter[str] = field(default_factory=Counter)
    """How many deliveries of each are not carried out yet."""
    deliveries_made: int = 0
    happenings: list[Happening] = field(default_factory=list)
    """What hooks are told of at the end of this message."""
    ledger: Ledger = field(default_factory=Ledger)
    """Which rows are no longer true."""
    totals: Totals = field(default_factory=Totals)
    usages: Usages = field(init=False)
    streaks: Streaks = field(init=False)
    """The tasks that failed at workers in a row, and who is drained for them."""

    def __post_init__(self) -> None:
        self.usages = Usages(self.ledger)
        self.streaks = Streaks(self.ledger)

    def keep(self, entity: E, recorded: bool = False) -> E:
        """Let *entity* have its row in the record from now on, and return it. *recorded*: the row is there already."""
        entity.keep_in(self.ledger, recorded)
        return entity

    def keep_recorded(self, task: TaskState) -> TaskState:
        """Let *task* and its parts, whose rows are in the record, have them from now on; return it."""
        for part in task.parts:
            self.keep(part, recorded=True)
        return self.keep(task, recorded=True)

    def entities(self) -> Iterator[Entity]:
        """Yield every entity in memory."""
        for several in (self.managers, self.workers, self.jobs, self.tasks, self.attempts, self.usages.known):
            yield from several.values()
        for task in self.tasks.values():
            yield from task.parts

    def remember(self, manager: ManagerState) -> None:
        """Keep *manager*, which joins, as the newest of `last_managers`."""
        self.last_managers.pop(manager.id, None)
        self.last_managers[manager.id] = manager
        for id in list(self.last_managers)[:-REMEMBERED_MANAGERS]:
            del self.last_managers[id]

    def happened(self, event: str, wall: float, job: JobState | None = None, **more: Any) -> None:
        """Let hooks be told of *event* at *wall*, of *job* perhaps, with what *more* there is to say of it."""
        if not self.hooks:
            return
        fields: dict[str, Any] = dict(more)
        if job is not None:
            spec = job.spec
            reason = str(more.get("reason", job.reason))
            said = f"{spec.name} {EVENTS[event]}" + (f": {reason}" if reason else "")
            fields = {"text": said, "job": job.id, "name": spec.name, "user": spec.user, "project": spec.project}
            fields |= {"status": job.status, "reason": job.reason} | more
        self.happenings.append(Happening(event, wall, fields))

    def enter(self, attempt: AttemptState, task: TaskState, job: JobState, worker: WorkerState) -> None:
        """Let *attempt*, which is new, be a live one at *task* of *job* by *worker*."""
        self.attempts[attempt.id] = self.keep(attempt)
        task.attempts.append(attempt.id)
        job.live.add(attempt.id)
        worker.attempts[attempt.id] = None
        self.changed.add(worker.info.id)
        self.changed_jobs.add(job.id)
        self.charge(attempt, job, len(task.parts))

    def charge(self, attempt: AttemptState, job: JobState, parts: int) -> None:
        """Count what *attempt* at so many *parts* of *job* is expected to use."""
        mean = job.mean_part_seconds
        seconds = UNKNOWN_SECONDS if mean is None else mean * parts
        self.usages.charge(attempt.id, job.spec.project, job.spec.user, seconds)

    def enqueue(self, job: JobState, task: TaskState) -> None:
        """Let *task*, which is in memory, wait for its turn; first for the end of an attempt at it that was canceled."""
        self.changed_jobs.add(job.id)
        if task.id in job.stopping:
            job.stopping.discard(task.id)
            job.delayed.append((0.0, task.id))
        else:
            job.enqueue(task)

    def needs_changed(self, job: JobState) -> None:
        """Let the scheduler look again at what the workers with attempts of *job* need of their machines."""
        self.changed_jobs.add(job.id)
        self.changed.update(self.attempts[each].worker for each in job.live)

    def hold_in_memory(self, job: JobState, task: TaskState) -> None:
        """Have *task* of *job* in memory."""
        self.tasks[task.id] = task
        job.tasks.add(task.id)
        job.dependencies.enter(task)

    def drop(self, job: JobState, task: TaskState, failed: bool = False) -> None:
        """Count *task* as ended, and let it leave memory, if it is there."""
        self.changed_jobs.add(job.id)
        if failed:
            self.totals.frames_failed += sum(part.status is PartStatus.FAILED for part in task.parts)
        job.count_ended_task(failed, sum(part.is_given_up for part in task.parts))
        job.dependencies.leave(task, task.id in job.tasks)
        job.stopping.discard(task.id)
        if task.id in job.alone:
            job.alone.discard(task.id)
            self.needs_changed(job)
        job.tasks.discard(task.id)
        self.tasks.pop(task.id, None)

    def forget_if_over(self, job: JobState) -> None:
        """Let *job* leave memory once nothing of it goes on."""
        if job.is_over:
            self.changed_jobs.add(job.id)
            self.jobs.pop(job.id, None)
