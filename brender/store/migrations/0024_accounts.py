"""What was done by day, user, project and worker, as sums; those of all that the record still knows."""

from collections import defaultdict
from datetime import date, timedelta

from peewee import BigIntegerField, CompositeKey, DoubleField, Model, TextField

_ENDED = """SELECT attempt.finished, job."user", job.project, worker.name, attempt.seconds, attempt.outcome, attempt.started
    FROM attempt JOIN job ON job.id = attempt.job JOIN worker ON worker.id = attempt.worker WHERE attempt.finished IS NOT NULL"""
_FRAMES = """SELECT part.finished, job."user", job.project, COALESCE(worker.name, part.worker)
    FROM part JOIN job ON job.id = part.job LEFT JOIN worker ON worker.id = part.worker
    WHERE part.status = 'completed' AND part.finished IS NOT NULL AND part.piece = 0 AND NOT part.kept"""


def up(migrator, db):
    class Account(Model):
        day = TextField()
        user = TextField()
        project = TextField()
        worker = TextField()
        machine_seconds = DoubleField()
        frames = BigIntegerField()
        attempts = BigIntegerField()
        failures = BigIntegerField()
        change = BigIntegerField(default=0)

        class Meta:
            database = db
            legacy_table_names = False
            primary_key = CompositeKey("day", "user", "project", "worker")

    class AccountFailure(Model):
        day = TextField()
        user = TextField()
        project = TextField()
        worker = TextField()
        cause = TextField()
        failures = BigIntegerField()
        change = BigIntegerField(default=0)

        class Meta:
            database = db
            legacy_table_names = False
            primary_key = CompositeKey("day", "user", "project", "worker", "cause")

    db.create_tables([Account, AccountFailure])
    sums = defaultdict(lambda: [0.0, 0, 0, 0])
    causes = defaultdict(int)
    for finished, user, project, worker, seconds, outcome, started in db.execute_sql(_ENDED):
        key = _day(finished), user, project, worker
        failed = outcome == "failed" or (outcome == "lost" and started is not None)
        for place, number in enumerate((seconds, 0, 1, int(failed))):
            sums[key][place] += number
        if failed:  # (of others than the lost it is not known any more)
            causes[(*key, "lost" if outcome == "lost" else "other")] += 1
    for finished, user, project, worker in db.execute_sql(_FRAMES):
        sums[_day(finished), user, project, worker][1] += 1
    _insert(db, "account", ("day", "user", "project", "worker", "machine_seconds", "frames", "attempts", "failures"), sums)
    _insert(db, "account_failure", ("day", "user", "project", "worker", "cause", "failures"), causes)


def _day(wall):
    return (date(1970, 1, 1) + timedelta(days=int(wall // 86_400))).isoformat()


def _insert(db, table, columns, rows):
    names = ", ".join(f'"{name}"' for name in columns)
    marks = ", ".join([db.param] * len(columns))
    for key, values in rows.items():
        values = values if isinstance(values, list) else [values]
        db.execute_sql(f'INSERT INTO "{table}" ({names}, "change") VALUES ({marks}, 0)', (*key, *values))
