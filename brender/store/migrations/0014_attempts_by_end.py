"""What workers did of late: attempts that have ended, by when."""


def up(migrator, db):
    db.execute_sql("CREATE INDEX attempt_finished ON attempt (finished) WHERE finished IS NOT NULL")
