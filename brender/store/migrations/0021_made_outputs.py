"""Which jobs have an output folder that was made for them."""

from peewee import BooleanField


def up(migrator, db):
    migrator.migrate(migrator.add_column("job", "made_output", BooleanField(default=False)))
