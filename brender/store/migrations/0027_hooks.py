"""Hooks: their secrets, what is still to be delivered; and the events of web addresses by their longer names."""

import json

from peewee import BigIntegerField, DoubleField, IntegerField, Model, TextField

_NEW_NAMES = {name: f"job-{name}" for name in ("completed", "failed", "attention")}


def up(migrator, db):
    class HookDelivery(Model):
        id = TextField(primary_key=True)
        hook = TextField(index=True)
        event = TextField()
        body = TextField()
        created = DoubleField()
        tries = IntegerField()
        error = TextField()
        change = BigIntegerField()

        class Meta:
            database = db
            legacy_table_names = False

    db.create_tables([HookDelivery])
    migrator.migrate(migrator.add_column("subscription", "secret", TextField(default="")))
    rows = list(db.execute_sql("SELECT id, events FROM subscription WHERE kind = 'webhook'"))
    for id, events in rows:
        named = json.dumps([_NEW_NAMES.get(each, each) for each in json.loads(events)])
        db.execute_sql(f"UPDATE subscription SET events = {db.param} WHERE id = {db.param}", (named, id))
