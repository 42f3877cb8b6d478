"""The add-ons of jobs, those that the farm has for all jobs, and which workers run add-ons."""

from peewee import BigIntegerField, BooleanField, DoubleField, Model, TextField


def up(migrator, db):
    migrator.migrate(
        migrator.add_column("job", "addons", TextField(default="[]")),
        migrator.add_column("worker", "takes_addons", BooleanField(default=False)),
    )

    class Base(Model):
        class Meta:
            database = db
            legacy_table_names = False

    class SiteAddOn(Base):
        module = TextField(primary_key=True)
        addon = TextField()
        user = TextField()
        wall = DoubleField()
        change = BigIntegerField()

        class Meta:
            table_name = "site_addon"

    db.create_tables([SiteAddOn])
