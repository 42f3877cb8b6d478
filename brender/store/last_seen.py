"""How far a server's record was when the server last looked, kept so that an older one in its place is noticed.

An older record knows less than the blobs beside it and the workers, and gives numbers again that were given before.
"""

import json
import time
from pathlib import Path

from brender.model.errors import BadInput
from brender.store.database import is_url, shown
from brender.store.datafolder import DataFolder


def note_seen(folder: DataFolder, database: str, change: int, wall: float) -> None:
    """Write down that the record at *database* had the commit *change* at *wall*. Raises `OSError`."""
    path = _path(folder)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps({"database": _name(database), "change": change, "wall": wall}))
    temporary.replace(path)


def was_seen(folder: DataFolder, database: str) -> bool:
    """Return whether a server of *folder* has had its record at *database*, the last time it looked."""
    try:
        return bool(json.loads(_path(folder).read_text())["database"] == _name(database))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def record_of(folder: DataFolder, database: str | None) -> str:
    """Return where the record of the farm in *folder* is: at *database* where that is named, else where the server has it that
    runs now or was killed, else where one had it last, else in the folder.

    Raises `BadInput` where that is in PostgreSQL at a URL whose password nobody wrote down.
    """
    if database:
        return database
    if announced := (folder.last_announced("server") or {}).get("database"):
        return str(announced)
    try:
        seen = str(json.loads(_path(folder).read_text())["database"])
    except (OSError, ValueError, KeyError, TypeError):
        return str(folder.database)
    if is_url(seen):
        raise BadInput(
            f"The record of the farm in {folder.root} is not in that folder but in {seen}. "
            "Name it with --database URL, with its password"
        )
    return seen


def check_age(folder: DataFolder, database: str, change: int) -> None:
    """Raise `BadInput` where the record at *database*, whose last commit is *change*, was further when a server last looked. One
    without a commit begins a new farm."""
    try:
        seen = json.loads(_path(folder).read_text())
        is_older = bool(change) and seen["database"] == _name(database) and change < int(seen["change"])
    except (OSError, ValueError, KeyError, TypeError):
        return
    if is_older:
        of = "" if not is_url(database) else f" --database {shown(database)}"
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(float(seen.get("wall", 0))))
        raise BadInput(
            f"The record {shown(database)} is older than the server last saw it: it lacks what was recorded until {when}. "
            "Was an older file put in its place? `brender restore BACKUP` puts a backup there; "
            f"`brender restore --as-it-is{of}` goes on with this record, and renders what it does not know again"
        )


def _path(folder: DataFolder) -> Path:
    return folder.root / "seen.json"


def _name(database: str) -> str:
    return shown(database) if is_url(database) else str(Path(database).resolve())
