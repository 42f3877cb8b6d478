"""What was expected of jobs while they went on."""

from peewee import TextField


def up(migrator, db):
    migrator.migrate(migrator.add_column("job", "estimates", TextField(default="[]")))
