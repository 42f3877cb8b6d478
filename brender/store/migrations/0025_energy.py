"""What energy attempts used, and in how many seconds that was measured."""

from peewee import DoubleField


def up(migrator, db):
    migrator.migrate(
        *(
            migrator.add_column(table, column, DoubleField(default=0.0))
            for table in ("job", "account")
            for column in ("joules", "metered_seconds")
        )
    )
