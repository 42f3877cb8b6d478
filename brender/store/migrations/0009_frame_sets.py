"""Frame sets of earlier jobs that mean something else since, or nothing: written out, as the record counts a job's tasks by them.

A colon interleaved frames, a step could be negative, and spaces meant nothing.
"""

import json

from fileseq import FrameSet
from fileseq.exceptions import FileSeqException

from brender.model.errors import BadInput
from brender.model.frames import parse_frames


def up(migrator, db):
    for id, text in db.execute_sql("SELECT id, settings FROM job").fetchall():
        settings = json.loads(text)
        frames = settings.get("frames")
        if isinstance(frames, str) and (meant := as_meant(frames)) and meant != as_read(frames):
            settings["frames"] = written_out(meant)
            db.execute_sql(f"UPDATE job SET settings = {db.param} WHERE id = {db.param}", (json.dumps(settings), id))


def as_meant(text):
    """The frames of *text* as they were read when the job was submitted; none where it was no frame set."""
    try:
        return tuple(int(str(frame)) for frame in FrameSet(text.replace(" ", "")))
    except (FileSeqException, ValueError):
        return ()


def as_read(text):
    """The frames of *text* as they are read now; none where it is not a frame set."""
    try:
        return parse_frames(text)
    except BadInput:
        return ()


def written_out(frames):
    """*frames* in their order, in which even runs are ranges."""
    pieces, at = [], 0
    while at < len(frames):
        step = frames[at + 1] - frames[at] if at + 1 < len(frames) else 0
        end = at
        while end + 1 < len(frames) and frames[end + 1] - frames[end] == step:
            end += 1
        if end - at < 2:
            pieces.append(str(frames[at]))
            at += 1
            continue
        every = f"x{abs(step)}" if abs(step) > 1 else ""
        pieces.append(f"{frames[at]}-{frames[end]}{every}")
        at = end + 1
    return ",".join(pieces)
