"""Path variables and sites; what projects keep; jobs that are deleted; further files of frames."""

from peewee import BigIntegerField, BooleanField, CompositeKey, DoubleField, Model, TextField


def up(migrator, db):
    migrator.migrate(
        migrator.drop_column("project", "root_linux"),
        migrator.drop_column("project", "root_windows"),
        migrator.drop_column("project", "root_macos"),
        migrator.add_column("project", "root", TextField(default="")),
        migrator.add_column("project", "keep_days", DoubleField(default=0.0)),
        migrator.add_column("project", "keep_bytes", BigIntegerField(default=0)),
        migrator.add_column("job", "deleting", TextField(default="")),
        migrator.add_column("job", "frames_deleted", DoubleField(null=True)),
        migrator.add_column("part", "digest", TextField(default="")),
        migrator.add_column("part", "extras", TextField(default="[]")),
        migrator.add_column("worker", "site", TextField(default="")),
    )

    class Base(Model):
        class Meta:
            database = db
            legacy_table_names = False

    class PathVariable(Base):
        name = TextField()
        platform = TextField()
        site = TextField()
        path = TextField()
        change = BigIntegerField()

        class Meta:
            primary_key = CompositeKey("name", "platform", "site")

    class Sight(Base):
        worker = TextField()
        variable = TextField()
        proof = TextField()
        digest = TextField()
        writable = BooleanField()
        problem = TextField()
        wall = DoubleField()
        change = BigIntegerField()

        class Meta:
            primary_key = CompositeKey("worker", "variable")

    db.create_tables([PathVariable, Sight])
