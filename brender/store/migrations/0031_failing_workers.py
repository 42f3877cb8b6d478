"""The tasks that failed at workers in a row, and why a worker is drained for them."""

from peewee import TextField


def up(migrator, db):
    migrator.migrate(
        migrator.add_column("worker", "failed_in_row", TextField(default="[]")),
        migrator.add_column("worker", "drained", TextField(default="")),
    )
