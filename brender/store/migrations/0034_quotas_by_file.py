"""What people and the settings file said of each quota, and the pool of a project's jobs."""

import json

from peewee import TextField


def up(migrator, db):
    migrator.migrate(
        migrator.add_column("quota", "pool", TextField(default="")),
        migrator.add_column("quota", "by_command", TextField(default="{}")),
        migrator.add_column("quota", "by_file", TextField(default="{}")),
    )
    for kind, name, weight, most in db.execute_sql("SELECT kind, name, weight, most FROM quota").fetchall():
        said = ({"weight": weight} if weight != 1.0 else {}) | ({"most": most} if most is not None else {})
        sql = f"UPDATE quota SET by_command = {db.param} WHERE kind = {db.param} AND name = {db.param}"
        db.execute_sql(sql, (json.dumps(said), kind, name))
