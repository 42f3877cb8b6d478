"""The first schema. A frozen copy of the tables as they were then: it never changes again."""

from peewee import (
    BigIntegerField,
    BooleanField,
    CompositeKey,
    DoubleField,
    ForeignKeyField,
    IntegerField,
    Model,
    TextField,
)


def up(migrator, db):
    class Base(Model):
        class Meta:
            database = db
            legacy_table_names = False

    class Counter(Base):
        name = TextField(primary_key=True)
        value = BigIntegerField()

    class Project(Base):
        name = TextField(primary_key=True)
        root_linux = TextField()
        root_windows = TextField()
        root_macos = TextField()
        change = BigIntegerField(index=True)

    class Job(Base):
        id = TextField(primary_key=True)
        project = ForeignKeyField(Project, column_name="project", backref="jobs")
        name = TextField()
        user = TextField()
        job_type = TextField()
        status = TextField(index=True)
        reason = TextField()
        priority = IntegerField()
        tags = TextField()
        output = TextField()
        trusted = BooleanField()
        warnings = TextField()
        revision = IntegerField()
        settings = TextField()
        facts = TextField(null=True)
        blender_version = TextField()
        task_count = IntegerField()
        planned_tasks = IntegerField()
        part_count = IntegerField()
        completed_parts = IntegerField()
        failed_tasks = IntegerField()
        failures = IntegerField()
        render_seconds = DoubleField()
        submitted = DoubleField(index=True)
        started = DoubleField(null=True)
        finished = DoubleField(null=True)
        change = BigIntegerField(index=True)

    class JobRevision(Base):
        job = ForeignKeyField(Job, column_name="job")
        revision = IntegerField()
        settings = TextField()
        user = TextField()
        wall = DoubleField()
        change = BigIntegerField()

        class Meta:
            primary_key = CompositeKey("job", "revision")

    class OutputOwner(Base):
        folder = TextField()
        pattern = TextField()
        job = ForeignKeyField(Job, column_name="job")
        change = BigIntegerField()

        class Meta:
            primary_key = CompositeKey("folder", "pattern")

    class Manager(Base):
        id = TextField(primary_key=True)
        incarnation = BigIntegerField()
        name = TextField()
        host = TextField()
        address = TextField()
        software = TextField()
        pid = IntegerField()
        status = TextField()
        reason = TextField()
        stats = TextField(null=True)
        last_seen = DoubleField()
        change = BigIntegerField(index=True)

    class Worker(Base):
        id = TextField(primary_key=True)
        incarnation = BigIntegerField()
        name = TextField()
        host = TextField()
        manager = ForeignKeyField(Manager, column_name="manager", backref="workers")
        status = TextField()
        reason = TextField()
        platform = TextField()
        software = TextField()
        pid = IntegerField()
        cores = IntegerField()
        memory = BigIntegerField()
        blenders = TextField()
        tags = TextField()
        job_types = TextField()
        attempt = TextField()
        job = TextField()
        frame = IntegerField(null=True)
        fraction = DoubleField()
        line = TextField()
        stats = TextField(null=True)
        last_seen = DoubleField()
        change = BigIntegerField(index=True)

    class Task(Base):
        id = BigIntegerField(primary_key=True)
        job = ForeignKeyField(Job, column_name="job", backref="tasks", index=False)
        number = IntegerField()
        status = TextField()
        failures = IntegerField()
        reason = TextField()
        change = BigIntegerField(index=True)

        class Meta:
            indexes = ((("job", "number"), True), (("job", "status"), False))

    class Part(Base):
        id = BigIntegerField(primary_key=True)
        job = ForeignKeyField(Job, column_name="job", backref="parts", index=False)
        task = ForeignKeyField(Task, column_name="task", backref="parts")
        frame = IntegerField()
        scene = TextField()
        layer = TextField()
        view = TextField()
        piece = IntegerField()
        status = TextField()
        output = TextField()
        attempt = TextField()
        worker = TextField()
        size = BigIntegerField()
        width = IntegerField()
        height = IntegerField()
        seconds = DoubleField()
        warnings = TextField()
        finished = DoubleField(null=True)
        change = BigIntegerField()

        class Meta:
            indexes = ((("job", "frame"), False), (("job", "change"), False))

    class Attempt(Base):
        id = TextField(primary_key=True)
        job = ForeignKeyField(Job, column_name="job", backref="attempts")
        task = ForeignKeyField(Task, column_name="task", backref="attempts")
        worker = ForeignKeyField(Worker, column_name="worker")
        manager = ForeignKeyField(Manager, column_name="manager")
        outcome = TextField(index=True)
        reason = TextField()
        last_report = IntegerField()
        granted = DoubleField()
        started = DoubleField(null=True)
        finished = DoubleField(null=True)
        seconds = DoubleField()
        change = BigIntegerField(index=True)

    class Stat(Base):
        node = TextField()
        wall = DoubleField()
        seconds = DoubleField()
        stats = TextField()
        change = BigIntegerField()

        class Meta:
            primary_key = CompositeKey("node", "wall")

    class Activity(Base):
        id = BigIntegerField(primary_key=True)
        wall = DoubleField()
        user = TextField()
        action = TextField()
        job = TextField(index=True)
        worker = TextField()
        text = TextField()
        change = BigIntegerField(index=True)

    db.create_tables([Counter, Project, Job, JobRevision, OutputOwner, Manager, Worker, Task, Part, Attempt, Stat, Activity])
