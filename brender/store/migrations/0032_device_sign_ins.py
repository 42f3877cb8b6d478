"""Programs that wait to be let in by a code that somebody confirms on the page."""

from peewee import BigIntegerField, DoubleField, Model, TextField


def up(migrator, db):
    class DeviceSignIn(Model):
        id = TextField(primary_key=True)
        device = TextField(index=True)
        name = TextField()
        origin = TextField(default="")
        created = DoubleField()
        expires = DoubleField()
        user = TextField(default="")
        answer = TextField(default="waited-for")
        change = BigIntegerField(default=0)

        class Meta:
            database = db
            legacy_table_names = False

    db.create_tables([DeviceSignIn])
