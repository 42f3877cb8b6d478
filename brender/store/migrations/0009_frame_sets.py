"""Frame sets with a colon, which jobs of before may have: written out, as a colon is refused since."""

import json

from fileseq import FrameSet


def up(migrator, db):
    for id, text in db.execute_sql("SELECT id, settings FROM job").fetchall():
        settings = json.loads(text)
        frames = settings.get("frames")
        if isinstance(frames, str) and ":" in frames:
            # In the order that they have: the record counts the job's tasks by it.
            settings["frames"] = ",".join(str(frame) for frame in FrameSet(frames))
            db.execute_sql(f"UPDATE job SET settings = {db.param} WHERE id = {db.param}", (json.dumps(settings), id))
