"""Whether frames that are there are rendered anew, how many were not, and the memory that frames need."""

from peewee import BigIntegerField, BooleanField, IntegerField


def up(migrator, db):
    migrator.migrate(
        migrator.add_column("job", "overwrite", BooleanField(default=False)),
        migrator.add_column("job", "kept_parts", IntegerField(default=0)),
        migrator.add_column("job", "memory", BigIntegerField(default=0)),
        migrator.add_column("part", "memory", BigIntegerField(default=0)),
    )
