"""What is still to be done to many tasks of a job, slice by slice."""

from peewee import TextField


def up(migrator, db):
    migrator.migrate(migrator.add_column("job", "sweeps", TextField(default="[]")))
