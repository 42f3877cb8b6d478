"""What jobs wait for: other jobs, a time, the night."""

from peewee import BooleanField, DoubleField, TextField


def up(migrator, db):
    migrator.migrate(
        migrator.add_column("job", "after_jobs", TextField(default="[]")),
        migrator.add_column("job", "start_at", DoubleField(default=0.0)),
        migrator.add_column("job", "night", BooleanField(default=False)),
        migrator.add_column("job", "waiting_for", TextField(default="")),
    )
