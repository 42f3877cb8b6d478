"""How many frames are finished, where several steps finish a frame; of the jobs that are there, counted."""

import json

from peewee import IntegerField

#: Those of the time of this step.
_COPY = -3


def up(migrator, db):
    migrator.migrate(migrator.add_column("job", "finished_frames", IntegerField(default=0)))
    mark = db.param
    counted = f"SELECT COUNT(*) FROM part WHERE job = {mark} AND piece = {mark} AND status = 'completed' AND output <> {mark}"
    for id, text in db.execute_sql("SELECT id, settings FROM job").fetchall():
        settings = json.loads(text) if isinstance(text, str) else text
        if not (settings.get("copy_to") or settings.get("denoise_after")) or settings.get("pieces"):
            continue
        film = str(settings.get("film") or "")
        piece = _COPY if settings.get("copy_to") else 0
        (frames,) = db.execute_sql(counted, (id, piece, film)).fetchone()
        db.execute_sql(f"UPDATE job SET finished_frames = {mark} WHERE id = {mark}", (frames, id))
