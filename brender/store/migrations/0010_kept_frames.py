"""Which frames were there before their job found them. Of jobs of before: those that took no time, which only such frames do."""

from peewee import BooleanField


def up(migrator, db):
    migrator.migrate(migrator.add_column("part", "kept", BooleanField(default=False)))
    some = "SELECT id FROM job WHERE kept_parts > 0 AND bundle = ''"
    db.execute_sql(
        f"UPDATE part SET kept = {db.param} WHERE seconds = 0 AND status = 'completed' AND job IN ({some})",
        (True,),
    )
