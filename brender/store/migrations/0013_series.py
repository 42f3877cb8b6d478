"""The series of Blender that renders all of a job."""

from peewee import TextField


def up(migrator, db):
    migrator.migrate(migrator.add_column("job", "series", TextField(default="")))
