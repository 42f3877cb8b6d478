"""Which folders the owners of workers let jobs use."""

from peewee import TextField


def up(migrator, db):
    migrator.migrate(
        migrator.add_column("worker", "folders", TextField(default="[]")),
        migrator.add_column("worker", "readable", TextField(default="[]")),
    )
