"""The keys that are admitted to the bus, the tokens that let them in; by which key, and from where, each change came; what
workers' owners allow."""

from peewee import BigIntegerField, BooleanField, DoubleField, IntegerField, Model, TextField


def up(migrator, db):
    migrator.migrate(
        migrator.add_column("activity", "principal", TextField(default="")),
        migrator.add_column("activity", "origin", TextField(default="")),
        migrator.add_column("worker", "programs", TextField(default="[]")),
        migrator.add_column("worker", "takes_trusted", BooleanField(default=False)),
    )

    class Base(Model):
        class Meta:
            database = db
            legacy_table_names = False

    class Key(Base):
        id = TextField(primary_key=True)
        public = TextField(index=True)
        role = TextField()
        name = TextField()
        node = TextField()
        token = TextField()
        created = DoubleField()
        expires = DoubleField(null=True)
        revoked = DoubleField(null=True)
        reason = TextField()
        change = BigIntegerField()

    class Token(Base):
        id = TextField(primary_key=True)
        role = TextField()
        digest = TextField()
        uses = IntegerField()
        expires = DoubleField()
        name = TextField()
        key_seconds = DoubleField(null=True)
        created = DoubleField()
        revoked = DoubleField(null=True)
        change = BigIntegerField()

    db.create_tables([Key, Token])
