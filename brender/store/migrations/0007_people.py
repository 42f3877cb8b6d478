"""People: users and their tokens; presets of settings; who is told of what."""

from peewee import BigIntegerField, DoubleField, Model, TextField


def up(migrator, db):
    class Base(Model):
        class Meta:
            database = db
            legacy_table_names = False

    class User(Base):
        name = TextField(primary_key=True)
        role = TextField()
        password = TextField()
        email = TextField()
        created = DoubleField()
        disabled = DoubleField(null=True)
        change = BigIntegerField()

    class ApiToken(Base):
        id = TextField(primary_key=True)
        user = TextField(index=True)
        name = TextField()
        digest = TextField(index=True)
        created = DoubleField()
        expires = DoubleField(null=True)
        revoked = DoubleField(null=True)
        change = BigIntegerField()

    class Preset(Base):
        name = TextField(primary_key=True)
        job_type = TextField()
        settings = TextField()
        user = TextField()
        change = BigIntegerField()

    class Subscription(Base):
        id = TextField(primary_key=True)
        user = TextField()
        kind = TextField()
        target = TextField()
        events = TextField()
        project = TextField()
        created = DoubleField()
        change = BigIntegerField()

    db.create_tables([User, ApiToken, Preset, Subscription])
    migrator.migrate(migrator.add_index("job", ("user",)))
