"""When programs' tokens were used last, and for how long a use renews them."""

from peewee import DoubleField


def up(migrator, db):
    migrator.migrate(
        migrator.add_column("api_token", "used", DoubleField(null=True)),
        migrator.add_column("api_token", "days", DoubleField(null=True)),
    )
