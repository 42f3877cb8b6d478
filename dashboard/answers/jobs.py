"""What the JSON API answers about jobs, their frames, tasks, attempts and logs, and submitting them."""

from typing import Any, Literal

import msgspec

from dashboard.answers.rows import Row, row


class Awaited(msgspec.Struct, kw_only=True):
    """``eta_seconds``: until it is done, in about eight of ten cases between ``eta_least`` and ``eta_most``; ``null``: not known,
    or more than ``eta_least``. ``eta_words``: the same ("": not known); ``eta_precision``: the seconds to which it is known."""

    eta_seconds: float | None
    eta_least: float | None
    eta_most: float | None
    eta_words: str
    eta_precision: int | None


class Counted(Awaited, kw_only=True):
    """``progress``: the share that is done; ``units_done`` of ``units``: the same as people count it, in frames or pieces;
    where a frame is finished by several steps, ``steps_done`` of ``steps`` (else 0 of 0); ``pass_number``: in which of its
    ``passes`` over the frames it is, 0 where it renders each once; ``pass_weights``: how much work a part of each pass is, beside
    one of the first, empty where all are alike; ``done_words``: all that in words."""

    progress: float
    unit: Literal["frame", "piece", "film", "run"]
    units_done: int
    units: int
    steps_done: int
    steps: int
    pass_number: int
    pass_weights: list[float]
    done_words: str


@row("Job", without=("facts", "settings", "warnings", "addons", "after_jobs"))
class JobInList(Counted, kw_only=True): ...


class JobsPage(msgspec.Struct):
    """``total``: how many jobs there are; ``filtered``: how many of them fit."""

    rows: list[JobInList]
    total: int
    filtered: int


class Choices(msgspec.Struct):
    projects: list[str]
    users: list[str]


@row("Worker", only=("id", "name", "frame", "fraction", "line"))
class AtWork(Row): ...


class Stuck(msgspec.Struct, kw_only=True):
    """A worker at which the job seems stuck, as ``reason`` says."""

    id: str
    name: str
    frame: int | None
    reason: str


@row("KeptOff")
class KeptOff(msgspec.Struct, kw_only=True):
    worker_name: str


class Waited(msgspec.Struct, kw_only=True):
    """A job that another waits for, and how far it is; name and status are "" where it is deleted."""

    job: str
    by_frame: bool
    name: str
    status: str
    done: str


class GraphJob(msgspec.Struct, kw_only=True):
    id: str
    name: str
    status: str
    reason: str
    unit: str
    units_done: int
    units: int
    steps_done: int
    steps: int
    done_words: str


class GraphWait(msgspec.Struct, kw_only=True):
    """``job`` waits for ``after``, an id too; one that is deleted is not among the jobs."""

    job: str
    after: str
    by_frame: bool


class Revision(msgspec.Struct):
    """A revision of a job: who asked for it and when, and what it changed."""

    revision: int
    user: str
    wall: float
    said: str


class _JobNow(Counted, kw_only=True):
    """``frames_now``: what workers render at this moment; other frames of their tasks are active too, and wait for their turn."""

    fps: float
    rendering: list[AtWork]
    stuck: list[Stuck]
    frames_now: list[int]
    kept_off: list[KeptOff]
    put_off: list[KeptOff]
    waits: list[Waited]
    gave_way: str
    revisions: list[Revision]
    may_act: bool


@row("Job")
class JobNow(_JobNow, kw_only=True):
    pass


@row("Job")
class Job(_JobNow, kw_only=True):
    parts: dict[str, int]


class Cells(msgspec.Struct):
    """``rows``: values of ``columns``; ``workers``: names by ids."""

    change: int
    job: JobNow
    columns: list[str]
    rows: list[list[Any]]
    workers: dict[str, str]


Runs = list[tuple[int, int, int]]


class Strip(msgspec.Struct):
    """A letter a frame in ``states``: ``q`` queued, ``a`` active, ``c`` completed, ``w`` completed with a warning, ``d``
    completed without a picture, ``f`` failed, ``x`` canceled. The others are runs of ``[first, step, count]``."""

    change: int
    job: JobNow
    states: str
    ids: Runs
    frames: Runs
    pieces: Runs
    changes: Runs


class WhyJob(msgspec.Struct):
    """``queued``: why none of its queued tasks is given out now while others of it run; "": nothing hinders them, or they wait
    for busy workers alone."""

    why: str
    queued: str


@row("Attempt")
class AttemptOfWorker(msgspec.Struct, kw_only=True):
    worker_name: str


@row("Part")
class Part(msgspec.Struct, kw_only=True):
    worker_name: str


@row("Part")
class Frame(msgspec.Struct, kw_only=True):
    """``called``: of a run of a program, what it is in words; "" for a frame. ``of_frames``: frames of its stage can be queued
    again. ``why`` its task is not done, as the end of a sentence."""

    called: str
    of_frames: bool
    why: str
    worker_name: str
    mean_seconds: float | None
    revision: int | None
    attempts: list[AttemptOfWorker]


@row("Task")
class Task(msgspec.Struct, kw_only=True):
    """``of_frames``: its ``stage`` makes frames, rather than the film of all, or a run of a program."""

    stage: str
    of_frames: bool
    frames: list[int]
    attempt: AttemptOfWorker | None


class StageWait(msgspec.Struct):
    stage: str
    by_frame: bool


class Stage(msgspec.Struct):
    """``counts``: its ``tasks`` that are planned, by status; ``handed out``: those that a worker has, and has not begun."""

    name: str
    tasks: int
    counts: dict[str, int]
    after: list[StageWait]


class Graph(msgspec.Struct):
    """``jobs``: the job itself, those that it waits for, those that wait for it, and so on; ``left_out``: there are more."""

    stages: list[Stage]
    planned: int
    tasks: int
    jobs: list[GraphJob]
    waits: list[GraphWait]
    left_out: bool


class Log(msgspec.Struct):
    attempt: AttemptOfWorker
    what: str
    """Which frames it is of, in words."""
    text: str
    size: int
    """Bytes of the whole log."""
    path: str
    """Where the server has all of it."""


class Acted(msgspec.Struct):
    id: str
    status: str


class ActedOnMany(msgspec.Struct):
    """``refused``: why, by the id of each that could not be changed."""

    done: list[str]
    refused: dict[str, str]
