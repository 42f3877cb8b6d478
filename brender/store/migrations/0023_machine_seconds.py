"""How long workers worked for a job, whatever came of it."""

from peewee import DoubleField


def up(migrator, db):
    migrator.migrate(migrator.add_column("job", "machine_seconds", DoubleField(default=0.0)))
    db.execute_sql(
        "UPDATE job SET machine_seconds = (SELECT COALESCE(SUM(attempt.seconds), 0) FROM attempt WHERE attempt.job = job.id)"
    )
