"""What a worker did last: attempts by worker, in the order in which they were granted."""


def up(migrator, db):
    db.execute_sql("CREATE INDEX attempt_worker_granted ON attempt (worker, granted)")
