"""What the JSON API answers about workers and managers."""

from typing import Literal

import msgspec

from dashboard.answers.rows import Row, row


class BlenderThere(msgspec.Struct):
    kind: str
    path: str
    version: str
    file_subversion: int | msgspec.UnsetType | None = msgspec.UNSET


@row("Worker")
class Worker(msgspec.Struct, kw_only=True):
    blenders: list[BlenderThere]
    manager_name: str
    job_name: str


@row("Attempt")
class AttemptOfJob(msgspec.Struct, kw_only=True):
    job_name: str


@row("Worker")
class WorkerWhole(msgspec.Struct, kw_only=True):
    blenders: list[BlenderThere]
    manager_name: str
    attempts: list[AttemptOfJob]


class Why(msgspec.Struct):
    why: str


@row("Worker", only=("id", "name", "status", "reason"))
class WorkerOfManager(Row): ...


@row("Manager")
class Manager(msgspec.Struct, kw_only=True):
    workers: int


@row("Manager")
class ManagerWhole(msgspec.Struct, kw_only=True):
    workers: list[WorkerOfManager]


@row("Stat", only=("wall", "seconds", "stats"))
class StatsThen(Row): ...


class WorkerLog(msgspec.Struct):
    """``wall``: when it was told (0: never)."""

    text: str
    wall: float


class ActedOnNode(msgspec.Struct):
    """``wanted``: what is wanted of it now."""

    id: str
    kind: Literal["worker", "manager"]
    name: str
    wanted: str
