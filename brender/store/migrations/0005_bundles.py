"""Jobs whose files travel."""

from peewee import TextField


def up(migrator, db):
    migrator.migrate(migrator.add_column("job", "bundle", TextField(default="")))
