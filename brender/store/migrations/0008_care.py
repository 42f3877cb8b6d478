"""What people say of workers: further tags, a note, when they sleep."""

from peewee import TextField


def up(migrator, db):
    migrator.migrate(
        migrator.add_column("worker", "extra_tags", TextField(default="[]")),
        migrator.add_column("worker", "note", TextField(default="")),
        migrator.add_column("worker", "schedule", TextField(default="")),
    )
