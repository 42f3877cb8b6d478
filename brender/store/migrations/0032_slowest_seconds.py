"""What the slowest frame of each job took."""

from peewee import DoubleField


def up(migrator, db):
    migrator.migrate(migrator.add_column("job", "slowest_seconds", DoubleField(default=0.0)))
