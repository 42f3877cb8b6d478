"""What users have used of the farm within projects; and what projects, users and licences may have of it."""

from peewee import BigIntegerField, CompositeKey, DoubleField, IntegerField, Model, TextField


def up(migrator, db):
    class Base(Model):
        class Meta:
            database = db
            legacy_table_names = False

    class Usage(Base):
        id = TextField(primary_key=True)
        project = TextField()
        user = TextField()
        seconds = DoubleField()
        wall = DoubleField()
        change = BigIntegerField()

    class Quota(Base):
        kind = TextField()
        name = TextField()
        weight = DoubleField()
        most = IntegerField(null=True)
        change = BigIntegerField()

        class Meta:
            primary_key = CompositeKey("kind", "name")

    db.create_tables([Usage, Quota])
