"""Which jobs `brender render` itself submitted."""

from peewee import BooleanField


def up(migrator, db):
    migrator.migrate(migrator.add_column("job", "of_render", BooleanField(default=False)))
