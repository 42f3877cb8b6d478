"""What memory each GPU of a worker has."""

from peewee import BigIntegerField


def up(migrator, db):
    migrator.migrate(migrator.add_column("worker", "gpu_memory", BigIntegerField(default=0)))
