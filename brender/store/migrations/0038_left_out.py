"""What attempts were given that was taken out of their jobs since."""

from peewee import TextField


def up(migrator, db):
    migrator.migrate(migrator.add_column("attempt", "left_out", TextField(null=True)))
