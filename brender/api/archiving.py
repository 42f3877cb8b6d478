"""All of a job in one zip: what it was, what became of it, its logs and its frames."""

import json
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from brender.api.connection import Connection, asked
from brender.api.fetching import check_unchanged, was_changed
from brender.api.finished import all_parts, finished_files
from brender.model.bundle import check_path
from brender.model.errors import Conflict


class Archived(NamedTuple):
    """How many ``files`` and ``logs`` an archive has."""

    files: int
    logs: int


def write_archive(connection: Connection, record: Mapping[str, Any], target: Path, with_frames: bool) -> Archived:
    """Write the job of *record* into the new zip *target*, whole or not at all: ``job.json``, ``logs/`` with the end of each
    attempt's log, and, *with_frames*, ``frames/`` with its finished files. Raises `Conflict` where *target* is there, and, once
    all is written, where a file is not what the job rendered (`check_unchanged`); `BrenderError` or `OSError`."""
    if target.exists():
        raise Conflict(f"{target} is there already. Name another")
    beginning, job, count = target.with_name(f".{target.name}.part"), record["id"], 0
    parts = list(all_parts(connection, job))
    changed = list[str]()
    attempts, activity = (asked(connection, each, None, "id", job=job) for each in ("attempts", "activity"))
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            zipfile.ZipFile(beginning, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as zipped,
        ):
            told = {"job": record, "parts": parts, "attempts": attempts, "activity": activity}
            zipped.writestr("job.json", json.dumps(told, indent=1))
            for attempt in attempts:
                text = connection.ask("log", job=job, attempt=attempt["id"])["text"]
                zipped.writestr(f"logs/{attempt['id']}.log", text)
            there = with_frames and record["frames_deleted"] is None
            for each in finished_files(connection, job) if there else ():
                check_path(each.output)
                frame = Path(folder) / "frame"
                connection.fetch(job, each.part, frame, file=each.file)
                if was_changed(record, frame, each):
                    changed.append(each.output)
                zipped.write(frame, f"frames/{each.output}", zipfile.ZIP_STORED)
                count += 1
        beginning.replace(target)
    finally:
        beginning.unlink(missing_ok=True)
    check_unchanged(record, changed, "archived")
    return Archived(count, len(attempts))
