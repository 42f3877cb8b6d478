"""The tables. Times are the server's, in seconds since the epoch; durations in seconds; sizes in bytes.

A row's ``change`` is the number of the commit that last touched it: who asks for rows beyond a number misses nothing.
The schema itself is made by the migrations beside this file; a test holds the two against each other.
"""

import json
from dataclasses import dataclass
from typing import Any

import msgspec
from peewee import (
    SQL,
    BigIntegerField,
    BooleanField,
    CompositeKey,
    Database,
    DoubleField,
    ForeignKeyField,
    IntegerField,
    Model,
    TextField,
)

from brender.model.addon import AddOn
from brender.model.beginning import After
from brender.model.job import LIMIT_MINUTES, STALL_MINUTES, FileFacts
from brender.model.sharing import Sharing

#: What the index of live attempts holds, as SQL: a query finds them by these very words.
ATTEMPT_LIVE = "outcome = 'live'"


#: As `json.loads`, in a fraction of the time: a list of workers holds thousands of such values.
_decoded = msgspec.json.Decoder().decode


class JSONField(TextField):
    """A value of plain data, kept as JSON text. *holds*: its type."""

    def __init__(self, *arguments: Any, holds: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.holds = holds

    def db_value(self, value: Any) -> str:
        return json.dumps(value, separators=(",", ":"))

    def python_value(self, value: str | None) -> Any:
        if value is None:
            return None
        try:
            return _decoded(value)
        except msgspec.DecodeError:
            return json.loads(value)  # NaN and Infinity, which JSON proper has not


@dataclass(frozen=True)
class Tables:
    """The model classes, bound to one database. ``by_kind`` finds them by the kind that rows have."""

    Counter: Any
    Project: Any
    Job: Any
    JobRevision: Any
    OutputOwner: Any
    Manager: Any
    Worker: Any
    Task: Any
    Part: Any
    Attempt: Any
    KeptOff: Any
    Stat: Any
    Activity: Any
    Key: Any
    Token: Any
    PathVariable: Any
    SiteAddOn: Any
    Usage: Any
    Quota: Any
    SharedFolder: Any
    SetAside: Any
    User: Any
    ApiToken: Any
    DeviceSignIn: Any
    Preset: Any
    Subscription: Any
    Account: Any
    AccountFailure: Any
    HookDelivery: Any

    @property
    def by_kind(self) -> dict[str, Any]:
        """In an order in which rows may be inserted: what is pointed at comes first."""
        return {model._meta.table_name: model for model in self.__dict__.values()}


def make_tables(database: Database) -> Tables:
    """Fresh model classes for *database*: two stores in one process share nothing."""

    class Base(Model):
        class Meta:
            legacy_table_names = False

    Base._meta.set_database(database)

    class Counter(Base):
        """One number each: ``change``, and the last ids given."""

        name = TextField(primary_key=True)
        value = BigIntegerField()

    class Project(Base):
        """A named group of jobs. ``root`` is the folder that holds its files, perhaps with a path variable. Of jobs that have
        ended it keeps those of the last ``keep_days``, and frames of ``keep_bytes`` in all (0: any)."""

        name = TextField(primary_key=True)
        root = TextField(default="")
        keep_days = DoubleField(default=0.0)
        keep_bytes = BigIntegerField(default=0)
        change = BigIntegerField(default=0, index=True)

    class Job(Base):
        id = TextField(primary_key=True)
        project = ForeignKeyField(Project, column_name="project", backref="jobs")
        name = TextField()
        user = TextField(default="", index=True)
        job_type = TextField()
        status = TextField(index=True)
        reason = TextField(default="")
        priority = IntegerField()
        tags = JSONField(holds=list[str], default=list)
        output = TextField(default="")
        made_output = BooleanField(default=False)
        made_above = IntegerField(default=0)
        trusted = BooleanField(default=False)
        overwrite = BooleanField(default=False)
        bundle = TextField(default="")
        addons = JSONField(holds=list[AddOn], default=list)
        of_render = BooleanField(default=False)
        after_jobs = JSONField(holds=list[After], default=list)
        start_at = DoubleField(default=0.0)
        night = BooleanField(default=False)
        waiting_for = TextField(default="")
        stall_minutes = DoubleField(default=STALL_MINUTES)
        limit_minutes = DoubleField(default=LIMIT_MINUTES)
        sharing = JSONField(holds=Sharing, default=dict)
        warnings = JSONField(holds=list[str], default=list)
        revision = IntegerField(default=1)
        settings = JSONField(holds=dict[str, Any])
        facts = JSONField(holds=FileFacts, null=True)
        blender_version = TextField(default="")
        series = TextField(default="")
        task_count = IntegerField()
        planned_tasks = IntegerField(default=0)
        part_count = IntegerField()
        passes = IntegerField(default=0)
        completed_parts = IntegerField(default=0)
        kept_parts = IntegerField(default=0)
        finished_frames = IntegerField(default=0)
        given_up_parts = IntegerField(default=0)
        memory = BigIntegerField(default=0)
        failed_tasks = IntegerField(default=0)
        failures = IntegerField(default=0)
        render_seconds = DoubleField(default=0.0)
        slowest_seconds = DoubleField(default=0.0)
        machine_seconds = DoubleField(default=0.0)
        joules = DoubleField(default=0.0)
        metered_seconds = DoubleField(default=0.0)
        submitted = DoubleField(index=True)
        started = DoubleField(null=True)
        finished = DoubleField(null=True)
        deleting = TextField(default="")
        frames_deleted = DoubleField(null=True)
        sweeps = JSONField(holds=list[dict[str, Any]], default=list)
        estimates = JSONField(holds=list[dict[str, float]], default=list)
        change = BigIntegerField(default=0, index=True)

    class JobRevision(Base):
        job = ForeignKeyField(Job, column_name="job")
        revision = IntegerField()
        settings = JSONField(holds=dict[str, Any])
        user = TextField(default="")
        wall = DoubleField()
        said = TextField(default="")
        change = BigIntegerField(default=0)

        class Meta:
            primary_key = CompositeKey("job", "revision")

    class OutputOwner(Base):
        """Which job owns the files of one folder and name pattern."""

        folder = TextField()
        pattern = TextField()
        job = ForeignKeyField(Job, column_name="job")
        change = BigIntegerField(default=0)

        class Meta:
            primary_key = CompositeKey("folder", "pattern")

    class Manager(Base):
        id = TextField(primary_key=True)
        incarnation = BigIntegerField()
        name = TextField()
        host = TextField(default="")
        address = TextField(default="")
        software = TextField(default="")
        pid = IntegerField(default=0)
        status = TextField()
        reason = TextField(default="")
        wanted = TextField(default="")
        stats = JSONField(holds=dict[str, float], null=True)
        last_seen = DoubleField()
        change = BigIntegerField(default=0, index=True)

    class Worker(Base):
        id = TextField(primary_key=True)
        incarnation = BigIntegerField()
        name = TextField()
        host = TextField(default="")
        manager = ForeignKeyField(Manager, column_name="manager", backref="workers")
        status = TextField()
        reason = TextField(default="")
        wanted = TextField(default="")
        platform = TextField(default="")
        software = TextField(default="")
        pid = IntegerField(default=0)
        cores = IntegerField(default=0)
        memory = BigIntegerField(default=0)
        blenders = JSONField(holds=list[dict[str, Any]], default=list)
        tags = JSONField(holds=list[str], default=list)
        job_types = JSONField(holds=list[str], default=list)
        programs = JSONField(holds=list[str], default=list)
        takes_trusted = BooleanField(default=False)
        takes_addons = BooleanField(default=False)
        site = TextField(default="")
        pool = TextField(default="")
        gpu_memory = BigIntegerField(default=0)
        folders = JSONField(holds=list[str], default=list)
        readable = JSONField(holds=list[str], default=list)
        extra_tags = JSONField(holds=list[str], default=list)
        note = TextField(default="")
        schedule = TextField(default="")
        paused_until = DoubleField(null=True)
        failed_in_row = JSONField(holds=list[Any], default=list)
        drained = TextField(default="")
        mac = TextField(default="")
        power = JSONField(holds=dict[str, Any], null=True)
        attempt = TextField(default="")
        job = TextField(default="")
        frame = IntegerField(null=True)
        fraction = DoubleField(default=0.0)
        line = TextField(default="")
        stats = JSONField(holds=dict[str, float], null=True)
        last_seen = DoubleField()
        change = BigIntegerField(default=0, index=True)

    class Task(Base):
        id = BigIntegerField(primary_key=True)
        job = ForeignKeyField(Job, column_name="job", backref="tasks", index=False)
        number = IntegerField()
        status = TextField()
        failures = IntegerField(default=0)
        losses = IntegerField(default=0)
        reason = TextField(default="")
        change = BigIntegerField(default=0)

        class Meta:
            indexes = ((("job", "number"), True),)

    class Part(Base):
        """The durable unit of work; normally one frame. ``output`` is relative to the job's folder, ``digest`` its SHA-256 where
        it travelled; ``further_files`` are those of the frame besides (brender.model.grant.FurtherFile). ``kept``: the job found
        these files there and left them, so that they are not its own. ``noise``: what is left in the picture of a frame that is
        refined pass by pass."""

        id = BigIntegerField(primary_key=True)
        job = ForeignKeyField(Job, column_name="job", backref="parts", index=False)
        task = ForeignKeyField(Task, column_name="task", backref="parts")
        frame = IntegerField()
        scene = TextField(default="")
        layer = TextField(default="")
        view = TextField(default="")
        piece = IntegerField(default=0)
        status = TextField()
        output = TextField(default="")
        attempt = TextField(default="")
        worker = TextField(default="")
        size = BigIntegerField(default=0)
        width = IntegerField(default=0)
        height = IntegerField(default=0)
        digest = TextField(default="")
        further_files = JSONField(holds=list[dict[str, Any]], default=list)
        kept = BooleanField(default=False)
        seconds = DoubleField(default=0.0)
        memory = BigIntegerField(default=0)
        warnings = JSONField(holds=list[str], default=list)
        noise = DoubleField(null=True)
        finished = DoubleField(null=True)
        change = BigIntegerField(default=0)

        class Meta:
            indexes = ((("job", "frame"), False), (("job", "change"), False))

    class Attempt(Base):
        id = TextField(primary_key=True)
        job = ForeignKeyField(Job, column_name="job", backref="attempts", index=False)
        task = ForeignKeyField(Task, column_name="task", backref="attempts", index=False)
        worker = ForeignKeyField(Worker, column_name="worker", index=False)
        manager = ForeignKeyField(Manager, column_name="manager", index=False)
        outcome = TextField()
        reason = TextField(default="")
        last_report = IntegerField(default=0)
        granted = DoubleField()
        started = DoubleField(null=True)
        finished = DoubleField(null=True)
        seconds = DoubleField(default=0.0)
        left_out = JSONField(holds=list[int], null=True)
        change = BigIntegerField(default=0)

        class Meta:
            indexes = ((("job", "task"), False), (("worker", "granted"), False))

    # The live ones, which a server that starts looks for. Each index costs every attempt; this one only while it lives.
    Attempt.add_index(Attempt.index(Attempt.granted, where=SQL(ATTEMPT_LIVE), name="attempt_live"))

    # Those that have ended, by when, for the lanes of workers. Entries are added at its end only.
    Attempt.add_index(Attempt.index(Attempt.finished, where=SQL("finished IS NOT NULL"), name="attempt_finished"))

    class KeptOff(Base):
        """A worker that a job does not go to any more, since it failed it; until it is ``readmitted``: at a time to come where it
        cannot use the job's folders now, and tries again then."""

        job = ForeignKeyField(Job, column_name="job")
        worker = ForeignKeyField(Worker, column_name="worker")
        failures = IntegerField()
        reason = TextField(default="")
        wall = DoubleField()
        readmitted = DoubleField(null=True)
        change = BigIntegerField(default=0)

        class Meta:
            primary_key = CompositeKey("job", "worker")

    class Stat(Base):
        """What a node used, one row for every ``seconds`` of its time."""

        node = TextField()
        wall = DoubleField()
        seconds = DoubleField()
        stats = JSONField(holds=dict[str, float])
        change = BigIntegerField(default=0)

        class Meta:
            primary_key = CompositeKey("node", "wall")

    class Activity(Base):
        """Who did what, when."""

        id = BigIntegerField(primary_key=True)
        wall = DoubleField()
        user = TextField(default="")
        principal = TextField(default="")
        origin = TextField(default="")
        action = TextField()
        job = TextField(default="", index=True)
        worker = TextField(default="")
        text = TextField()
        change = BigIntegerField(default=0, index=True)

    class Key(Base):
        """A key that was admitted to the bus; ``revoked`` says when it ceased to be, ``reason`` why."""

        id = TextField(primary_key=True)
        public = TextField(index=True)
        role = TextField()
        name = TextField()
        node = TextField(default="")
        token = TextField(default="")
        created = DoubleField()
        expires = DoubleField(null=True)
        revoked = DoubleField(null=True)
        reason = TextField(default="")
        change = BigIntegerField(default=0)

    class Token(Base):
        """What lets keys in; of its secret there is only the ``digest`` (brender.model.keys)."""

        id = TextField(primary_key=True)
        role = TextField()
        digest = TextField()
        uses = IntegerField()
        expires = DoubleField()
        name = TextField(default="")
        key_seconds = DoubleField(null=True)
        created = DoubleField()
        revoked = DoubleField(null=True)
        change = BigIntegerField(default=0)

    class PathVariable(Base):
        """Where a platform, at a site or everywhere, has the folder that the variable ``name`` stands for."""

        name = TextField()
        platform = TextField()
        site = TextField(default="")
        path = TextField()
        change = BigIntegerField(default=0)

        class Meta:
            primary_key = CompositeKey("name", "platform", "site")

    class SiteAddOn(Base):
        """An add-on that every job gets which is accepted while it is there."""

        module = TextField(primary_key=True)
        addon = JSONField(holds=AddOn)
        user = TextField(default="")
        wall = DoubleField()
        change = BigIntegerField(default=0)

        class Meta:
            table_name = "site_addon"

    class Usage(Base):
        """What a user has used of the farm within a project: seconds of machine, as they counted at ``wall``."""

        id = TextField(primary_key=True)
        project = TextField()
        user = TextField()
        seconds = DoubleField(default=0.0)
        wall = DoubleField(default=0.0)
        change = BigIntegerField(default=0)

    class Quota(Base):
        """What a project, a user or a licence (``kind``) may have: its ``weight`` in the fair share, how many tasks at most
        (``NULL``: any number), and the pool of a project's jobs; and what people and the settings file said of these."""

        kind = TextField()
        name = TextField()
        weight = DoubleField(default=1.0)
        most = IntegerField(null=True)
        pool = TextField(default="")
        by_command = JSONField(holds=dict[str, Any], default=dict)
        by_file = JSONField(holds=dict[str, Any], default=dict)
        change = BigIntegerField(default=0)

        class Meta:
            primary_key = CompositeKey("kind", "name")

    class SharedFolder(Base):
        """What a worker last saw of the file ``proof`` in a variable's folder: its ``digest``, or what the ``problem`` is."""

        worker = TextField()
        variable = TextField()
        proof = TextField()
        digest = TextField(default="")
        writable = BooleanField(default=False)
        problem = TextField(default="")
        wall = DoubleField()
        change = BigIntegerField(default=0)

        class Meta:
            primary_key = CompositeKey("worker", "variable")

    class SetAside(Base):
        """A message that the server failed at, by the ``digest`` of what it says: whole as far as it is not long, and why."""

        digest = TextField(primary_key=True)
        wall = DoubleField()
        principal = TextField(default="")
        origin = TextField(default="")
        type = TextField()
        message = TextField()
        error = TextField()
        change = BigIntegerField(default=0)

    class User(Base):
        """Somebody who may come in at the web page. ``password`` is its hash (Werkzeug's)."""

        name = TextField(primary_key=True)
        role = TextField()
        password = TextField()
        email = TextField(default="")
        created = DoubleField()
        disabled = DoubleField(null=True)
        change = BigIntegerField(default=0)

    class ApiToken(Base):
        """What lets a user's programs in; of its secret there is only the ``digest`` (SHA-256). ``used``: when it was last, to
        the hour; ``days``: for how long each use renews it; ``NULL``: none does."""

        id = TextField(primary_key=True)
        user = TextField(index=True)
        name = TextField()
        digest = TextField(index=True)
        created = DoubleField()
        expires = DoubleField(null=True)
        revoked = DoubleField(null=True)
        used = DoubleField(null=True)
        days = DoubleField(null=True)
        change = BigIntegerField(default=0)

    class DeviceSignIn(Base):
        """A program that waits to be let in by a code that somebody confirms: ``id`` is that code's digest, ``device`` that of
        the token that it gets then. ``origin``: the address that it asked from; ``user``: who answered."""

        id = TextField(primary_key=True)
        device = TextField(index=True)
        name = TextField()
        origin = TextField(default="")
        created = DoubleField()
        expires = DoubleField()
        user = TextField(default="")
        answer = TextField(default="waited-for")
        change = BigIntegerField(default=0)

    class Preset(Base):
        """Settings of a job type, under a name."""

        name = TextField(primary_key=True)
        job_type = TextField()
        settings = JSONField(holds=dict[str, Any])
        user = TextField(default="")
        change = BigIntegerField(default=0)

    class Subscription(Base):
        """Who is told of what ``events`` of jobs in ``project`` ("": any): an ``email`` address by the dashboard; a ``webhook``
        or a ``program``, which are hooks, by the server, which signs with the ``secret`` what it tells them."""

        id = TextField(primary_key=True)
        user = TextField()
        kind = TextField()
        target = TextField()
        events = JSONField(holds=list[str])
        project = TextField(default="")
        created = DoubleField()
        secret = TextField(default="")
        change = BigIntegerField(default=0)

    class HookDelivery(Base):
        """What the ``hook`` is to be told: the ``body`` (JSON). It is here until it was told, or is given up; ``error``: why the
        last of its ``tries`` failed."""

        id = TextField(primary_key=True)
        hook = TextField(index=True)
        event = TextField()
        body = TextField()
        created = DoubleField()
        tries = IntegerField(default=0)
        error = TextField(default="")
        change = BigIntegerField(default=0)

    class Account(Base):
        """What was done on one ``day`` (of UTC, as 2026-11-26) for a user and a project by the worker of that name: sums, that
        stay when the jobs are deleted. ``attempts``: those that ended; ``failures``: those of them that failed, or were
        lost; ``joules``: what they used in the ``metered_seconds`` in which that was measured."""

        day = TextField()
        user = TextField()
        project = TextField()
        worker = TextField()
        machine_seconds = DoubleField(default=0.0)
        frames = BigIntegerField(default=0)
        attempts = BigIntegerField(default=0)
        failures = BigIntegerField(default=0)
        joules = DoubleField(default=0.0)
        metered_seconds = DoubleField(default=0.0)
        change = BigIntegerField(default=0)

        class Meta:
            primary_key = CompositeKey("day", "user", "project", "worker")

    class AccountFailure(Base):
        """The ``failures`` of an account by their cause (brender.model.causes)."""

        day = TextField()
        user = TextField()
        project = TextField()
        worker = TextField()
        cause = TextField()
        failures = BigIntegerField(default=0)
        change = BigIntegerField(default=0)

        class Meta:
            primary_key = CompositeKey("day", "user", "project", "worker", "cause")

    return Tables(
        Counter, Project, Job, JobRevision, OutputOwner, Manager, Worker, Task, Part, Attempt, KeptOff, Stat, Activity, Key,
        Token, PathVariable, SiteAddOn, Usage, Quota, SharedFolder, SetAside, User, ApiToken, DeviceSignIn, Preset,
        Subscription, Account, AccountFailure, HookDelivery,
    )  # fmt: skip
