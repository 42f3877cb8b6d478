"""Until when workers are given back to the owners of their machines."""

from peewee import DoubleField


def up(migrator, db):
    migrator.migrate(migrator.add_column("worker", "paused_until", DoubleField(null=True)))
