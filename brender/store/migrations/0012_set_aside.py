"""Messages that the server failed at."""

from peewee import BigIntegerField, DoubleField, Model, TextField


def up(migrator, db):
    class SetAside(Model):
        digest = TextField(primary_key=True)
        wall = DoubleField()
        principal = TextField(default="")
        origin = TextField(default="")
        type = TextField()
        message = TextField()
        error = TextField()
        change = BigIntegerField(default=0)

        class Meta:
            database = db
            legacy_table_names = False

    db.create_tables([SetAside])
