"""What jobs say of how they share the farm, and the pools of workers."""

from peewee import TextField


def up(migrator, db):
    migrator.migrate(
        migrator.add_column("job", "sharing", TextField(default="{}")),
        migrator.add_column("worker", "pool", TextField(default="")),
    )
