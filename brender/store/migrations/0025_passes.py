"""In how many passes a job goes over its frames, and how much noise is left in each."""

from peewee import DoubleField, IntegerField


def up(migrator, db):
    migrator.migrate(
        migrator.add_column("job", "passes", IntegerField(default=0)),
        migrator.add_column("part", "noise", DoubleField(null=True)),
    )
