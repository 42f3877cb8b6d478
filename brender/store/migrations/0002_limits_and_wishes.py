"""Time limits of jobs, lost workers of tasks, what people want of nodes, workers that are kept off jobs; fewer indexes."""

from peewee import BigIntegerField, CompositeKey, DoubleField, ForeignKeyField, IntegerField, Model, TextField


def up(migrator, db):
    migrator.migrate(
        migrator.add_column("job", "stall_minutes", DoubleField(default=60.0)),
        migrator.add_column("job", "limit_minutes", DoubleField(default=1440.0)),
        migrator.add_column("manager", "wanted", TextField(default="")),
        migrator.add_column("worker", "wanted", TextField(default="")),
        migrator.add_column("task", "losses", IntegerField(default=0)),
        # Each index costs every task and attempt; nobody asks by these, or one serves for two.
        migrator.drop_index("attempt", "attempt_job"),
        migrator.drop_index("attempt", "attempt_task"),
        migrator.drop_index("attempt", "attempt_worker"),
        migrator.drop_index("attempt", "attempt_manager"),
        migrator.drop_index("attempt", "attempt_outcome"),
        migrator.drop_index("attempt", "attempt_change"),
        migrator.drop_index("task", "task_change"),
        migrator.drop_index("task", "task_job_status"),
        migrator.add_index("attempt", ("job", "task"), False),
    )

    db.execute_sql("CREATE INDEX attempt_live ON attempt (granted) WHERE outcome = 'live'")

    class Base(Model):
        class Meta:
            database = db
            legacy_table_names = False

    class Job(Base):
        id = TextField(primary_key=True)

    class Worker(Base):
        id = TextField(primary_key=True)

    class KeptOff(Base):
        job = ForeignKeyField(Job, column_name="job")
        worker = ForeignKeyField(Worker, column_name="worker")
        failures = IntegerField()
        reason = TextField()
        wall = DoubleField()
        readmitted = DoubleField(null=True)
        change = BigIntegerField()

        class Meta:
            primary_key = CompositeKey("job", "worker")

    db.create_tables([KeptOff])
