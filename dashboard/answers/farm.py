"""What the JSON API answers about the whole farm: its page, activity, projects and paths, job types."""

from typing import Any, Literal

import msgspec

from brender.jobs.declare import Setting
from dashboard.answers.jobs import Awaited, Counted
from dashboard.answers.rows import Row, row


class Picture(msgspec.Struct):
    part: int
    frame: int


@row("Job", without=("facts", "settings", "warnings", "addons", "after_jobs"))
class JobOnFarmPage(Counted, kw_only=True):
    """``brief``: what it renders, in a few words."""

    picture: Picture | None
    workers: int
    brief: list[str]


class Need(msgspec.Struct):
    """What a person has to do something about: why, and the action that mends it ("": none does by itself)."""

    kind: Literal["job", "worker", "manager"]
    id: str
    name: str
    why: str
    action: str
    user: str | msgspec.UnsetType = msgspec.UNSET


class FramesDone(msgspec.Struct):
    hour: int
    day: int


class Overview(msgspec.Struct):
    """``workers`` and ``jobs``: how many, by status; ``rendering``: how many workers do, also of those that are to take nothing
    more; ``left_seconds``: until all is done (``null``: not known, or more than
    ``left_least``), without the ``left_unknown`` jobs of which that is not known; ``left_words``: the same, and
    ``left_precision``: the seconds to which it is known."""

    workers: dict[str, int]
    rendering: int
    jobs: dict[str, int]
    frames: FramesDone
    active: list[JobOnFarmPage]
    attention: list[Need]
    left_seconds: float | None
    left_least: float | None
    left_most: float | None
    left_words: str
    left_precision: int | None
    left_unknown: int


@row("Worker", only=("id", "name", "status", "reason", "job", "frame", "fraction", "pool"))
class LaneWorker(Row): ...


class Lanes(msgspec.Struct):
    """``rows``: worker and job (their places in ``ids`` and ``jobs``), start and end (seconds before ``wall``; -1: it goes on),
    outcome. ``jobs``: ids and names. ``older``: ask for what is older with it as ``until``."""

    wall: float
    rows: list[tuple[int, int, float, float, str]]
    older: float | None
    ids: list[str]
    jobs: list[tuple[str, str]]
    workers: list[LaneWorker] | msgspec.UnsetType = msgspec.UNSET


class About(msgspec.Struct):
    software: str
    wall: float
    change: int
    wal_bytes: int
    trouble: str
    users: int
    unfinished_jobs: int
    workers: int
    busy_workers: int
    silent_seconds: float | None


@row("Activity")
class Activity(Row):
    """``is_job_there``: its job has not been deleted."""

    is_job_there: bool


class Sums(msgspec.Struct, kw_only=True):
    """Machine time in seconds; ``attempts`` that ended, and how many of them failed; the energy in ``joules`` that was used in
    the ``metered_seconds`` in which it was measured (0: it is not known)."""

    machine_seconds: float
    frames: int
    attempts: int
    failures: int
    joules: float
    metered_seconds: float


class Account(Sums, kw_only=True):
    """``causes``: the failures by their cause."""

    name: str
    causes: dict[str, int]


class AccountDay(Sums, kw_only=True):
    """``name``: ``null`` is all that have no name of their own among ``days``."""

    day: str
    name: str | None


class FailuresOfDay(msgspec.Struct):
    day: str
    cause: str
    failures: int


class Accounts(msgspec.Struct):
    """``rows``: by user, project, worker or day. Days are those of UTC."""

    by: str
    since: str
    until: str
    rows: list[Account]
    total: Account
    days: list[AccountDay]
    failures: list[FailuresOfDay]


class ShareOfProject(msgspec.Struct):
    """``seconds``: of machine that it has used, as they count now. ``live``: its tasks that are out; ``running`` of these, and
    ``waiting`` that could run. ``due``: its part of the farm by its weight, and ``had``, the part of what was used, both among
    those that have tasks; ``null``: it has none."""

    project: str
    weight: float
    seconds: float
    live: int
    running: int
    waiting: int
    due: float | None
    had: float | None


class ShareOfUser(msgspec.Struct):
    """The same of a user; ``due`` and ``had`` are parts of the project. ``of_project`` and ``of_farm``: of all that was used."""

    user: str
    project: str
    weight: float
    user_weight: float
    project_weight: float
    seconds: float
    live: int
    running: int
    waiting: int
    due: float | None
    had: float | None
    of_project: float
    of_farm: float


class WeightSaid(msgspec.Struct):
    """``said_by``: command or file; ``in_file``: what the settings file says."""

    kind: str
    name: str
    weight: float
    said_by: str
    in_file: float | None


class Shares(msgspec.Struct):
    """``half_life``: seconds after which what was used counts half. ``priority``: the highest of jobs that have work."""

    half_life: float
    priority: int | None
    projects: list[ShareOfProject]
    users: list[ShareOfUser]
    weights: list[WeightSaid]


@row("Project")
class Project(Awaited, kw_only=True):
    """When its jobs are done: without the ``eta_unknown`` ones of which that is not known."""

    jobs: int
    unfinished: int
    eta_unknown: int
    pool: str


@row("PathVariable")
class PathVariable(Row): ...


class ProjectSet(msgspec.Struct):
    name: str
    root: str | msgspec.UnsetType = msgspec.UNSET
    keep_days: float | msgspec.UnsetType = msgspec.UNSET
    keep_bytes: int | msgspec.UnsetType = msgspec.UNSET


@row("PathVariable", without=("change",))
class PathSet(Row): ...


class PathGone(msgspec.Struct):
    name: str
    removed: int


class SettingDeclared(msgspec.Struct):
    """A setting of a job type, as the type declares it. ``words``: what special values mean; ``absent``: what happens where it is
    left out."""

    name: str
    kind: Literal["str", "int", "bool", "list", "float"]
    help: str
    default: Any
    required: bool
    from_file: bool
    choices: list[str]
    lowest: float | None
    highest: float | None
    label: str
    unit: str
    group: str
    words: list[tuple[Any, str]]
    absent: str


def declared(setting: Setting) -> dict[str, Any]:
    """Return *setting* as the API tells it."""
    return {
        "name": setting.name,
        "kind": setting.kind.__name__,
        "help": setting.help,
        "default": setting.default,
        "required": setting.required,
        "from_file": setting.from_file,
        "choices": list(setting.choices),
        "lowest": setting.lowest,
        "highest": setting.highest,
        "label": setting.title,
        "unit": setting.unit,
        "group": setting.group,
        "words": [[value, text] for value, text in setting.words],
        "absent": setting.absent,
    }


class JobTypeDeclared(msgspec.Struct):
    name: str
    label: str
    engine: str
    needs_file: bool
    settings: list[SettingDeclared]
