"""How many of the folders that a job's output folder lies in were made for it too."""

from peewee import IntegerField


def up(migrator, db):
    migrator.migrate(migrator.add_column("job", "made_above", IntegerField(default=0)))
