"""How many parts of a job failed or were canceled, so that the time left is only that of those to come."""

from peewee import IntegerField


def up(migrator, db):
    migrator.migrate(migrator.add_column("job", "given_up_parts", IntegerField(default=0)))
    counted = "SELECT COUNT(*) FROM part WHERE part.job = job.id AND part.status IN ('failed', 'canceled')"
    db.execute_sql(f"UPDATE job SET given_up_parts = ({counted})")
