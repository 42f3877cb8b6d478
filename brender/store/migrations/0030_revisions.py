"""What an edit of a job changed."""

from peewee import TextField


def up(migrator, db):
    migrator.migrate(migrator.add_column("job_revision", "said", TextField(default="")))
