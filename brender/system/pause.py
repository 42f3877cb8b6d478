"""The pause that the owner of a machine asks for: a file in the data folder, that all workers there read."""

import json
from dataclasses import dataclass
from pathlib import Path

PAUSE_FILE = "pause.json"


@dataclass(frozen=True)
class Pause:
    """The owner has the machine until ``until`` (seconds since the epoch). ``at_once``: what runs is given back now, else after
    it is done."""

    until: float
    at_once: bool


def write_pause(folder: Path, pause: Pause | None) -> None:
    """Let all workers of the data folder *folder* pause, or go on (``None``). Raises `OSError`."""
    path = folder / PAUSE_FILE
    if pause is None:
        path.unlink(missing_ok=True)
        return
    part = path.with_suffix(".part")
    part.write_text(json.dumps({"until": pause.until, "at_once": pause.at_once}))
    part.replace(path)


def read_pause(folder: Path, wall: float) -> Pause | None:
    """Return the pause of *folder* that is not over at *wall*; ``None`` if it has no such pause, or one that cannot be read."""
    try:
        said = json.loads((folder / PAUSE_FILE).read_text())
        pause = Pause(float(said["until"]), bool(said["at_once"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return pause if wall < pause.until else None
