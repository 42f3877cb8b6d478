"""The MAC addresses of workers, and which were put to sleep."""

from peewee import TextField


def up(migrator, db):
    migrator.migrate(
        migrator.add_column("worker", "mac", TextField(default="")),
        migrator.add_column("worker", "power", TextField(null=True)),
    )
